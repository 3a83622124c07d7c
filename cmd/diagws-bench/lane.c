/* What an answer means. Its own file because both ways (hub.c, post.c) are given one, and the publisher, which sends by
 * them, is above them. Failure modes: a message that is not stored (counted; the first one's reason is kept).
 */
#include <stdarg.h>
#include <stdio.h>

#include "publisher.h"

void
lane_answered(struct lane *lane, uint64_t due, int err, const char *format, ...)
{
	struct publisher *publisher = lane->publisher;
	const uint64_t now = now_ns();
	char what[200];
	va_list args;

	lane->unanswered--;
	if (err == DW_OK) {
		publisher->loop->progress_at = now;
		if (due < publisher->count_from)
			return;
		publisher->acknowledged++;
		if (publisher->times != NULL)
			histogram_add(publisher->times, (now - due + 500) / 1000);
		return;
	}
	publisher->rejected++;
	if (publisher->err != DW_OK)
		return;
	va_start(args, format);
	(void)vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	publisher->err = dw_fault_set(&publisher->fault, err, NULL, NULL, "a message was not stored: %s", what);
}
