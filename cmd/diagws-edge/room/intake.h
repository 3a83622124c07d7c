/* What came of the hub's MESSAGES since our HELLO, and up to which of them the hub is given credit (CREDIT).
 *
 * Credit goes no further than the oldest that is still held: what the hub has under way is bounded in number and in
 * bytes, and so is what the edge holds. A file of its own, for it is nothing but arithmetic that such a bound hangs on.
 */
#ifndef INTAKE_H
#define INTAKE_H

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

/* One that is held. */
struct intake_hold {
	struct intake_hold *prev, *next;
	struct extent before; /* what had come before it */
};

struct intake {
	struct extent before, came, credited; /* before the newest came, with it, what the hub was told */
	struct intake_hold *held;             /* oldest first (utlist) */
};

/* One has come, with so many bytes of records. */
void intake_take(struct intake *intake, size_t bytes);
/* The newest that came is held; and not any more. */
void intake_hold(struct intake *intake, struct intake_hold *hold);
void intake_release(struct intake *intake, struct intake_hold *hold);
/* Whether it is time to tell the hub that it has credit for all up to intake->credited; it counts as told then. */
bool intake_credit(struct intake *intake);

#endif
