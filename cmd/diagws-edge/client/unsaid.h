/* Watches whose confirmed position the hub does not know yet: told together, one CONFIRM for all sessions of a room
 * that stand at one position.
 */
#ifndef UNSAID_H
#define UNSAID_H

#include <stdbool.h>

struct uplink;
struct watch;

struct unsaid {
	struct watch *list; /* utlist, by unsaid_next */
};

/* `confirmed`, or `acked` when sure, has moved. */
void unsaid_add(struct unsaid *unsaid, struct watch *watch, bool sure);
void unsaid_remove(struct unsaid *unsaid, struct watch *watch);
/* Tells all, and empties it. What no memory is left for stays. */
void unsaid_tell(struct unsaid *unsaid, struct uplink *uplink);
/* Tells what this one acknowledged itself, if that is not known yet. */
void unsaid_tell_ack(struct watch *watch, struct uplink *uplink);

#endif
