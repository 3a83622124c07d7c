/* Timers by the ten thousand: setting, moving and cancelling one costs a few pointers.
 *
 * libwebsockets keeps its timers in a sorted list (O(n) to insert), and every connection here has
 * one that moves often. Precision is one tick; a timer never fires early. Milliseconds of dw_mono_ms.
 */
#ifndef WHEEL_H
#define WHEEL_H

#include <stdbool.h>
#include <stdint.h>

enum { WHEEL_SLOTS = 512, WHEEL_TICK_MS = 50 };

struct wheel_timer {
	struct wheel_timer *next;
	struct wheel_timer **link; /* what points at us; NULL: not set */
	uint64_t due;
	void (*fire)(struct wheel_timer *timer); /* it is not set any more then, and may be set again */
};

struct wheel {
	struct wheel_timer *slots[WHEEL_SLOTS];
	uint64_t tick; /* the last one that was run */
};

void wheel_init(struct wheel *wheel, uint64_t now);
void wheel_set(struct wheel *wheel, struct wheel_timer *timer, uint64_t due);
void wheel_cancel(struct wheel_timer *timer);
void wheel_run(struct wheel *wheel, uint64_t now);

#endif
