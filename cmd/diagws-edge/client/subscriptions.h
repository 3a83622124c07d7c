/* Which rooms a connection watches, and whether those offer it what is new.
 */
#ifndef SUBSCRIPTIONS_H
#define SUBSCRIPTIONS_H

struct conn;
struct room;
struct subscription;

/* In use, in this order: sub_first, then sub_after until NULL. */
struct subscription *sub_first(struct conn *conn);
struct subscription *sub_after(struct subscription *sub);
struct subscription *sub_find(struct conn *conn, const struct room *room); /* NULL: none; room may be NULL */
/* One that watches this room, and is offered nothing yet: the first lies in its connection, the others are linked
 * behind it. NULL: no memory. */
struct subscription *sub_get(struct conn *conn, struct room *room);
/* Ends it: off its room's lists, and freed, but for the one that lies in the connection. */
void sub_put(struct subscription *sub);
/* Moves it to where it belongs: among those of its room that are offered what is new, or parked. To be called whenever
 * it may no longer read, or can again. */
void sub_park(struct subscription *sub);
void sub_park_all(struct conn *conn);

#endif
