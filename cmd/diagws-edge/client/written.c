/* Noted positions: see subscription.h. Past WRITTEN_MAX every second one is forgotten; what proves one of these
 * confirms up to the one before it. Failure modes: without memory a position is not noted, and what follows it proves
 * less.
 */
#include "subscription.h"

#include <stdlib.h>
#include <string.h>

enum { WRITTEN_MAX = 1024 };

struct written *
written_get(struct subscription *sub, size_t cap)
{
	struct written *written = sub->written;

	if (written != NULL && written->cap >= cap)
		return written;
	written = realloc(written, sizeof(*written) + cap * sizeof(written->at[0]));
	if (written == NULL)
		return NULL;
	if (sub->written == NULL)
		*written = (struct written) { 0 };
	written->cap = cap;
	sub->written = written;
	return written;
}

struct dw_position
written_acked(const struct subscription *sub)
{
	return sub->written != NULL ? sub->written->acked : dw_position_start();
}

struct dw_position
written_take(struct subscription *sub, uint64_t seq, size_t keep)
{
	struct written *written = sub->written;
	struct dw_position at = dw_position_start();
	size_t i = 0;

	while (written != NULL && i < written->count && dw_seq(written->at[i]) <= seq)
		at = written->at[i++];
	if (i <= keep)
		return at;
	written->count -= i - keep;
	memmove(written->at, written->at + i - keep, written->count * sizeof(written->at[0]));
	return at;
}

void
written_note(struct subscription *sub, struct dw_position at)
{
	struct written *written = sub->written;

	if (written != NULL && written->count > 0 && dw_seq(written->at[written->count - 1]) >= dw_seq(at))
		return;
	if (written == NULL || written->count == written->cap)
		written = written_get(sub, written == NULL ? WRITTEN_LEAST : dw_less(2 * written->cap, WRITTEN_MAX));
	if (written == NULL)
		return;
	if (written->count == WRITTEN_MAX) {
		for (size_t i = 0; i < WRITTEN_MAX / 2; i++)
			written->at[i] = written->at[2 * i + 1];
		written->count = WRITTEN_MAX / 2;
	}
	written->at[written->count++] = at;
}
