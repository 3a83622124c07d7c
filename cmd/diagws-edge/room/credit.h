/* What came of the hub's MESSAGES since our HELLO, and up to which of them the hub is given credit (CREDIT).
 *
 * Credit goes no further than the oldest that is still deferred: what the hub has under way is bounded in number and in
 * bytes, and so is what the edge keeps for later. A file of its own, for it is nothing but arithmetic that such a bound
 * hangs on.
 */
#ifndef CREDIT_H
#define CREDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CREDIT_EVERY = 128, /* MESSAGES, or so many bytes of records: well within the hub's window of either */
	CREDIT_BYTES = 2 * 1024 * 1024,
};

struct extent {
	uint64_t messages, bytes;
};

/* One that is deferred. */
struct credit_deferred {
	struct credit_deferred *prev, *next;
	struct extent before; /* what had come before it */
};

struct credit {
	struct extent before, came, credited; /* before the newest came, with it, what the hub was told */
	struct credit_deferred *deferred;     /* oldest first (utlist) */
};

/* One has come, with so many bytes of records. */
void credit_came(struct credit *credit, size_t bytes);
/* The newest that came is deferred; and not any more. */
void credit_defer(struct credit *credit, struct credit_deferred *one);
void credit_settle(struct credit *credit, struct credit_deferred *one);
/* Whether it is time to tell the hub that it has credit for all up to credit->credited; it counts as told then. */
bool credit_due(struct credit *credit);

#endif
