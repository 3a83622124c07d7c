/* What a commit brings (apply.c). */
#ifndef DIAGWS_HUB_APPLY_H
#define DIAGWS_HUB_APPLY_H

struct batch;
struct hub;

/* A batch that came back. It is the spare one then. */
void apply_batch(struct hub *hub, struct batch *batch);
/* Once the storage has failed, what is staged behind will not be stored either. */
void apply_failure(struct hub *hub, int err);

#endif
