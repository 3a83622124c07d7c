/* Which rooms a connection watches, and whether those offer it what is new.
 */
#ifndef WATCHES_H
#define WATCHES_H

struct conn;
struct room;
struct watch;

/* In use, in this order: watch_first, then watch_after until NULL. */
struct watch *watch_first(struct conn *conn);
struct watch *watch_after(struct watch *watch);
struct watch *watch_find(struct conn *conn, const struct room *room); /* NULL: none; room may be NULL */
/* One that watches this room, and is offered nothing yet: the first lies in its connection, the others are linked
 * behind it. NULL: no memory. */
struct watch *watch_get(struct conn *conn, struct room *room);
/* It watches nothing any more, and is on no list. */
void watch_put(struct watch *watch);
/* In the right one of its room's lists: those that are offered what is new, or the others. */
void watch_park(struct watch *watch);
void watch_park_all(struct conn *conn);

#endif
