/* How a watch gets what it has not got: from the room's ring, or, behind it, from the hub.
 */
#ifndef READING_H
#define READING_H

#include "room/position.h"
#include "wire/wire.h"

struct conn;
struct watch;

/* The client's own position, from which the ring or the hub goes on. */
void watch_stand(struct watch *watch, struct dw_position at);
/* Writes what the client has not got, as far as the kernel takes it. */
void watch_push(struct watch *watch);
/* Of all its rooms, now that the kernel takes again. */
void watch_push_all(struct conn *conn);
/* From the hub. */
void watch_fed(struct watch *watch, const struct dw_records *records);

#endif
