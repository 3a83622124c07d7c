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

struct room_reader;
struct room;
struct rooms;

/* One more who reads the room, parked: it is offered nothing. One that is not there any more. */
void fanout_join(struct room *room, struct room_reader *reader);
void fanout_part(struct room *room, struct room_reader *reader, bool parked);
/* It is offered what is new from now on, and has got all there is; or is parked. */
void fanout_enter(struct room *room, struct room_reader *reader);
void fanout_park(struct room *room, struct room_reader *reader);

/* All readers of the room are to be offered what is new. */
void fanout_add(struct room *room);
void fanout_remove(struct room *room);
/* Whether the ring has no place for so many bytes before those who keep up were offered what is in it. */
bool fanout_full(const struct room *room, size_t n);

/* Offers a slice of the readers of the room that waits longest what is new; one must wait. The room, when all of its
 * readers have been; else NULL. */
struct room *fanout_slice(struct rooms *rooms, void (*offer)(struct room_reader *reader));

#endif
