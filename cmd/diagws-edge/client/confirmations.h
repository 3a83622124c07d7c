/* Pending confirmations: positions of subscriptions that the hub does not know yet. Told together, one CONFIRM for all
 * sessions of a room that stand at one position.
 */
#ifndef CONFIRMATIONS_H
#define CONFIRMATIONS_H

#include <stdbool.h>

struct uplink;
struct subscription;

struct confirmations {
	struct subscription *list; /* utlist, by pending_next */
};

/* `confirmed`, or `acked` when sure, has moved. */
void confirmations_add(struct confirmations *confirmations, struct subscription *sub, bool sure);
void confirmations_remove(struct confirmations *confirmations, struct subscription *sub);
/* Tells all, and empties it. What no memory is left for stays. */
void confirmations_tell(struct confirmations *confirmations, struct uplink *uplink);
/* Tells what this one acknowledged itself, if that is not known yet. */
void confirmations_tell_ack(struct subscription *sub, struct uplink *uplink);

#endif
