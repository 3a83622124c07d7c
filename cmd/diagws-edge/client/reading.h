/* How a subscription gets what it has not got: from the room's ring, or, behind it, from the hub.
 */
#ifndef READING_H
#define READING_H

#include "message/position.h"
#include "wire/wire.h"

struct conn;
struct subscription;

/* The client's own position, from which the ring or the hub goes on. */
void sub_stand(struct subscription *sub, struct dw_position at);
/* Writes what the client has not got, as far as the kernel takes it. */
void sub_push(struct subscription *sub);
/* Of all its rooms, now that the kernel takes again. */
void sub_push_all(struct conn *conn);
/* From the hub. */
void sub_fed(struct subscription *sub, const struct dw_records *records);

#endif
