/* Whether the numbers of a room, 1, 2, 3 …, come to a client once and in order. */
#ifndef BENCH_ORDER_H
#define BENCH_ORDER_H

#include <stdint.h>

struct order {
	uint64_t next; /* the number that is expected */
	uint64_t came; /* bit i: number next - 1 - i has come; what is older than 64 counts as come */
};

enum order_kind {
	ORDER_NEXT,  /* the one expected, or one beyond it */
	ORDER_LATE,  /* one that was passed over before */
	ORDER_AGAIN, /* one that came before */
};

static inline void
order_init(struct order *order, uint64_t next)
{
	*order = (struct order) { next, UINT64_MAX };
}

/* *skipped: for ORDER_NEXT how many numbers were passed over. */
static inline enum order_kind
order_take(struct order *order, uint64_t number, uint64_t *skipped)
{
	uint64_t ago;

	if (number >= order->next) {
		*skipped = number - order->next;
		order->came = *skipped < 63 ? order->came << (*skipped + 1) | 1 : 1;
		order->next = number + 1;
		return ORDER_NEXT;
	}
	ago = order->next - 1 - number;
	if (ago >= 64 || (order->came >> ago & 1) != 0)
		return ORDER_AGAIN;
	order->came |= UINT64_C(1) << ago;
	return ORDER_LATE;
}

/* How many from `floor` on were passed over and have not come, of the last 64. */
static inline unsigned
order_open(const struct order *order, uint64_t floor)
{
	uint64_t n;

	if (order->next <= floor || order->came == UINT64_MAX)
		return 0;
	n = order->next - floor;
	return (unsigned)__builtin_popcountll(~order->came & (n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1));
}

#endif
