/* The bound on what is deferred: see credit.h. Failure modes: none. */
#include "credit.h"

#include <utlist.h>

void
credit_came(struct credit *credit, size_t bytes)
{
	credit->before = credit->came;
	credit->came.messages++;
	credit->came.bytes += bytes;
}

void
credit_defer(struct credit *credit, struct credit_deferred *one)
{
	one->before = credit->before;
	DL_APPEND(credit->deferred, one);
}

void
credit_settle(struct credit *credit, struct credit_deferred *one)
{
	DL_DELETE(credit->deferred, one);
}

bool
credit_due(struct credit *credit)
{
	const struct extent *done = credit->deferred != NULL ? &credit->deferred->before : &credit->came;

	if (done->messages - credit->credited.messages < CREDIT_EVERY &&
		done->bytes - credit->credited.bytes < CREDIT_BYTES)
		return false;
	credit->credited = *done;
	return true;
}
