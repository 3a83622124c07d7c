/* How peers go (farewell.c). */
#ifndef DIAGWS_HUB_FAREWELL_H
#define DIAGWS_HUB_FAREWELL_H

struct hub;
struct peer;

/* Ends all its sessions and readers. */
void peer_empty(struct hub *hub, struct peer *peer);
/* Its sessions leave. Frees it. Its connection stays: should it say something, it is asked who it is. */
void peer_forget(struct hub *hub, struct peer *peer);
/* The same, and its connection is closed. */
void peer_close(struct hub *hub, struct peer *peer);
/* Those who have been silent for too long; whom nothing can be sent to; whose connections have ended; all. */
void peers_tick(struct hub *hub);
void peers_forget_lost(struct hub *hub);
void peers_forget_gone(struct hub *hub);
void peers_free(struct hub *hub);

#endif
