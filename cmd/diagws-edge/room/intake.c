/* The bound on what is held: see intake.h. Failure modes: none. */
#include "intake.h"

#include <utlist.h>

void
intake_take(struct intake *intake, size_t bytes)
{
	intake->before = intake->came;
	intake->came.messages++;
	intake->came.bytes += bytes;
}

void
intake_hold(struct intake *intake, struct intake_hold *hold)
{
	hold->before = intake->before;
	DL_APPEND(intake->held, hold);
}

void
intake_release(struct intake *intake, struct intake_hold *hold)
{
	DL_DELETE(intake->held, hold);
}

bool
intake_credit(struct intake *intake)
{
	const struct extent *done = intake->held != NULL ? &intake->held->before : &intake->came;

	if (done->messages - intake->credited.messages < CREDIT_EVERY &&
		done->bytes - intake->credited.bytes < CREDIT_BYTES)
		return false;
	intake->credited = *done;
	return true;
}
