/* Timers by the hundred thousand: setting, moving and cancelling one costs a few pointers, and running costs what is
 * due, however many are not.
 *
 * libwebsockets keeps its timers in a sorted list (O(n) to insert), and each connection of an edge has one that moves
 * often; a hub has one for each room and each wait. A timer never fires early. Milliseconds of dw_mono_ms.
 */
#ifndef DIAGWS_WHEEL_H
#define DIAGWS_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DW_WHEEL_BITS = 6, DW_WHEEL_SLOTS = 1 << DW_WHEEL_BITS, DW_WHEEL_LEVELS = 7 };

struct dw_wheel_timer {
	struct dw_wheel_timer *next;
	struct dw_wheel_timer **link; /* what points at us; NULL: not set */
	uint64_t due;
	void (*fire)(struct dw_wheel_timer *timer); /* it is not set any more then, and may be set again */
};

struct dw_wheel {
	uint64_t now;               /* up to where it was run */
	struct dw_wheel_timer *due; /* of that time, and not fired yet */
	bool runs;
	uint64_t taken[DW_WHEEL_LEVELS]; /* a bit for each slot that may hold something */
	struct dw_wheel_timer *slots[DW_WHEEL_LEVELS][DW_WHEEL_SLOTS];
};

void dw_wheel_init(struct dw_wheel *wheel, uint64_t now);
/* It fires in the next run at the earliest or, where something that fires sets it, a millisecond after that; and at the
 * latest when the clock shows some 139 years. */
void dw_wheel_set(struct dw_wheel *wheel, struct dw_wheel_timer *timer, uint64_t due);
void dw_wheel_cancel(struct dw_wheel_timer *timer);
/* Looks at so many timers at most. True: more are due. */
bool dw_wheel_run(struct dw_wheel *wheel, uint64_t now, size_t most);
/* When it is to be run next, or earlier; UINT64_MAX: nothing is set. */
uint64_t dw_wheel_next(const struct dw_wheel *wheel);

#endif
