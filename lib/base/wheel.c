/* A hierarchical timer wheel (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987): seven levels of 64
 * slots. A time is a number of seven digits to base 64; a timer lies at the level of the highest digit in which it
 * differs from now, in the slot of that digit. So everything at a level lies behind now's own digit there, and what is
 * at a lower level comes before it: the next slot is the first taken one of the lowest level that has any.
 *
 * The next slot is taken off; what is due in it fires, the rest goes on to lower levels, at most six times in a timer's
 * life. A slot whose timers were cancelled may still count as taken, and is then looked at for nothing, once.
 */
#include "base/wheel.h"

static const uint64_t LAST = (UINT64_C(1) << (DW_WHEEL_BITS * DW_WHEEL_LEVELS)) - 1;

void
dw_wheel_init(struct dw_wheel *wheel, uint64_t now)
{
	*wheel = (struct dw_wheel) { .now = now };
}

void
dw_wheel_cancel(struct dw_wheel_timer *timer)
{
	if (timer->link == NULL)
		return;
	*timer->link = timer->next;
	if (timer->next != NULL)
		timer->next->link = timer->link;
	timer->link = NULL;
	timer->next = NULL;
}

static void
put(struct dw_wheel_timer **list, struct dw_wheel_timer *timer)
{
	timer->next = *list;
	timer->link = list;
	if (timer->next != NULL)
		timer->next->link = &timer->next;
	*list = timer;
}

/* When a timer comes up for the next time: not before the next millisecond. */
static void
place(struct dw_wheel *wheel, struct dw_wheel_timer *timer)
{
	uint64_t at = timer->due > wheel->now ? timer->due : wheel->now + 1;
	unsigned level, slot;

	/* At once; but what fires and is set again must not fire for ever. */
	if (timer->due <= wheel->now && !wheel->runs) {
		put(&wheel->due, timer);
		return;
	}
	at = at < LAST ? at : LAST;
	level = (63 - (unsigned)__builtin_clzll((at ^ wheel->now) | 1)) / DW_WHEEL_BITS;
	slot = (unsigned)(at >> (level * DW_WHEEL_BITS)) % DW_WHEEL_SLOTS;
	put(&wheel->slots[level][slot], timer);
	wheel->taken[level] |= UINT64_C(1) << slot;
}

void
dw_wheel_set(struct dw_wheel *wheel, struct dw_wheel_timer *timer, uint64_t due)
{
	dw_wheel_cancel(timer);
	timer->due = due;
	place(wheel, timer);
}

/* The next slot that is taken, and when it begins. False: none is. */
static bool
find_next(const struct dw_wheel *wheel, unsigned *level, unsigned *slot, uint64_t *begins)
{
	for (unsigned i = 0; i < DW_WHEEL_LEVELS; i++) {
		const unsigned shift = i * DW_WHEEL_BITS;

		if (wheel->taken[i] == 0)
			continue;
		*level = i;
		*slot = (unsigned)__builtin_ctzll(wheel->taken[i]);
		*begins = (wheel->now >> shift >> DW_WHEEL_BITS << DW_WHEEL_BITS << shift) + ((uint64_t)*slot << shift);
		return true;
	}
	return false;
}

uint64_t
dw_wheel_next(const struct dw_wheel *wheel)
{
	unsigned level, slot;
	uint64_t begins;

	if (wheel->due != NULL)
		return wheel->now;
	return find_next(wheel, &level, &slot, &begins) ? begins : UINT64_MAX;
}

/* Firing may set and cancel any timer, so the list is read from its start again after each one. */
static size_t
run_due(struct dw_wheel *wheel, size_t most)
{
	size_t count = 0;

	wheel->runs = true;
	while (wheel->due != NULL && count < most) {
		struct dw_wheel_timer *timer = wheel->due;

		dw_wheel_cancel(timer);
		if (timer->due <= wheel->now)
			timer->fire(timer);
		else
			place(wheel, timer);
		count++;
	}
	wheel->runs = false;
	return count;
}

bool
dw_wheel_run(struct dw_wheel *wheel, uint64_t now, size_t most)
{
	unsigned level, slot;
	uint64_t begins;

	for (;;) {
		most -= run_due(wheel, most);
		if (wheel->due != NULL)
			return true;
		if (!find_next(wheel, &level, &slot, &begins) || begins > now)
			break;
		wheel->now = begins;
		wheel->taken[level] &= ~(UINT64_C(1) << slot);
		wheel->due = wheel->slots[level][slot];
		wheel->slots[level][slot] = NULL;
		if (wheel->due != NULL)
			wheel->due->link = &wheel->due;
	}
	if (now > wheel->now)
		wheel->now = now;
	return false;
}
