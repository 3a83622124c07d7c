/* A hashed timer wheel: a timer lies in the slot of its due tick, modulo the wheel's size; one that is
 * due in a later turn stays where it is when its slot is run.
 */
#include "wheel.h"

#include <stddef.h>

void
wheel_init(struct wheel *wheel, uint64_t now)
{
	*wheel = (struct wheel) { .tick = now / WHEEL_TICK_MS };
}

void
wheel_cancel(struct wheel_timer *timer)
{
	if (timer->link == NULL)
		return;
	*timer->link = timer->next;
	if (timer->next != NULL)
		timer->next->link = timer->link;
	timer->link = NULL;
	timer->next = NULL;
}

void
wheel_set(struct wheel *wheel, struct wheel_timer *timer, uint64_t due)
{
	uint64_t tick = (due + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
	struct wheel_timer **slot;

	wheel_cancel(timer);
	if (tick <= wheel->tick)
		tick = wheel->tick + 1;
	slot = &wheel->slots[tick % WHEEL_SLOTS];
	timer->due = due;
	timer->next = *slot;
	timer->link = slot;
	if (timer->next != NULL)
		timer->next->link = &timer->next;
	*slot = timer;
}

/* Firing may set and cancel any timer, so the slot is read from its start again after each one. */
static void
run_slot(struct wheel *wheel, uint64_t tick, uint64_t now)
{
	struct wheel_timer **slot = &wheel->slots[tick % WHEEL_SLOTS];
	struct wheel_timer *timer = *slot;

	while (timer != NULL) {
		if (timer->due > now) {
			timer = timer->next;
			continue;
		}
		wheel_cancel(timer);
		timer->fire(timer);
		timer = *slot;
	}
}

void
wheel_run(struct wheel *wheel, uint64_t now)
{
	uint64_t last = now / WHEEL_TICK_MS;

	if (last > wheel->tick + WHEEL_SLOTS)
		wheel->tick = last - WHEEL_SLOTS;
	while (wheel->tick < last) {
		wheel->tick++;
		run_slot(wheel, wheel->tick, now);
	}
}
