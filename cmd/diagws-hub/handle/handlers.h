/* What messages do (on_….c), what a commit brings (apply.c), how peers go (farewell.c). */
#ifndef DIAGWS_HUB_HANDLERS_H
#define DIAGWS_HUB_HANDLERS_H

#include "request.h"

struct batch;
struct hub;
struct peer;

/* One handler a message. The peer has said HELLO (but for on_hello). */
void on_hello(struct hub *hub, struct peer *peer, struct request *request);
void on_ping(struct hub *hub, struct peer *peer, struct request *request);
void on_bye(struct hub *hub, struct peer *peer, struct request *request);
void on_publish(struct hub *hub, struct peer *peer, struct request *request);
void on_join(struct hub *hub, struct peer *peer, struct request *request);
void on_leave(struct hub *hub, struct peer *peer, struct request *request);
void on_confirm(struct hub *hub, struct peer *peer, struct request *request);
void on_credit(struct hub *hub, struct peer *peer, struct request *request);
void on_read(struct hub *hub, struct peer *peer, struct request *request);
void on_stat(struct hub *hub, struct peer *peer, struct request *request);
void on_own(struct hub *hub, struct peer *peer, struct request *request);

/* Carries out a batch that the store has given back: messages into their rooms, answers to those who asked. Then it is
 * empty, and hub->spare. */
void apply_batch(struct hub *hub, struct batch *batch);
/* Fails all that is staged in the next batch with err: once the storage has failed, it will not be stored either. */
void apply_failure(struct hub *hub, int err);

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
