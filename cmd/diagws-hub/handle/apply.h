/* What a commit brings (apply.c). */
#ifndef DIAGWS_HUB_APPLY_H
#define DIAGWS_HUB_APPLY_H

struct batch;
struct hub;

/* Carries out a batch that the store has given back: messages into their rooms, answers to those who asked. Then it is
 * empty, and hub->spare. */
void apply_batch(struct hub *hub, struct batch *batch);
/* Fails all that is staged in the next batch with err: once the storage has failed, it will not be stored either. */
void apply_failure(struct hub *hub, int err);

#endif
