/* What messages do (on_….c), what a commit brings (apply.c), how peers go (farewell.c). */
#ifndef DIAGWS_HUB_HANDLERS_H
#define DIAGWS_HUB_HANDLERS_H

#include "request.h"

struct batch;

/* One handler a message. The peer has said HELLO (but for on_hello). */
request_fn on_hello, on_ping, on_bye, on_publish, on_join, on_leave, on_confirm, on_credit, on_read, on_stat, on_own;

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
