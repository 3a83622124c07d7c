/* The edge's turn: who of a room's readers is offered what is new, and when.
 *
 * A room with something new goes to the end of a queue. A turn (turn.c) gives each room in it by turns a slice of its
 * readers, until nobody is left or the turn's time is over; the loop then looks at its sockets before the next turn. So
 * a room of ten readers waits for one slice of a room of ten thousand, never for all of it, and one that got more
 * meanwhile gets it in the same write.
 */
#ifndef FANOUT_H
#define FANOUT_H

#include <stdbool.h>
#include <stddef.h>

struct room;
struct rooms;
struct watch;

/* A reader of its room from now on, which has got all there is; and not any more. */
void fanout_enter(struct watch *watch);
void fanout_leave(struct watch *watch);

/* All readers of the room are to be offered what is new. */
void fanout_add(struct room *room);
void fanout_remove(struct room *room);
/* Whether the ring has no place for so many bytes before those who keep up were offered what is in it. */
bool fanout_full(const struct room *room, size_t n);

/* Offers a slice of the readers of the room that waits longest what is new; one must wait. The room, when all of its
 * readers have been; else NULL. */
struct room *fanout_slice(struct rooms *rooms, void (*offer)(struct watch *reader));

#endif
