/* What a connection is to the router: found by its number, in its lists and counts, until it ends.
 *
 * Its own file because whoever accepts, reads or writes may have to end a connection, or to put it where it is found
 * again, and none of these is above the others.
 *
 * Invariants: what ends leaves the ring, the strangers and what is unsent at once, and stays in the table and at the
 * head of those that are looked at until dw_router_gone has told it; the sums are those of the lists.
 */
#include <assert.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

#include "wire/router_parts.h"

struct line *
router_find(const struct dw_router *router, uint32_t number)
{
	struct line *line;

	HASH_FIND(hh, router->lines, &number, sizeof(number), line);
	return line;
}

void
router_ring(struct dw_router *router, struct line *line)
{
	if (line->ringed || line->lent || line->fd < 0)
		return;
	line->ringed = true;
	DL_APPEND2(router->ring, line, ring_prev, ring_next);
}

void
router_unring(struct dw_router *router, struct line *line)
{
	if (line->ringed)
		DL_DELETE2(router->ring, line, ring_prev, ring_next);
	line->ringed = false;
}

void
router_set_stranger(struct dw_router *router, struct line *line, bool stranger)
{
	if (line->stranger == stranger)
		return;
	line->stranger = stranger;
	if (stranger)
		DL_APPEND2(router->strangers, line, stranger_prev, stranger_next);
	else
		DL_DELETE2(router->strangers, line, stranger_prev, stranger_next);
}

void
router_note_unsent(struct dw_router *router, struct line *line, size_t before)
{
	const size_t now = router_line_unsent(line);

	router->unsent += now - before;
	if (before > 0 && now < before)
		DL_DELETE2(router->unsents, line, unsent_prev, unsent_next);
	if (now > 0 && (before == 0 || now < before))
		DL_APPEND2(router->unsents, line, unsent_prev, unsent_next);
}

void
router_end(struct dw_router *router, struct line *line, const char *why)
{
	const size_t unsent = router_line_unsent(line);

	if (line->fd < 0)
		return;
	(void)close(line->fd);
	line->fd = -1;
	dw_buf_clear(&line->out);
	line->sent_up_to = 0;
	router_note_unsent(router, line, unsent);
	line->why = why;
	line->listener->count--;
	router->count--;
	router_unring(router, line);
	router_set_stranger(router, line, false);
	assert(router->looks != line || line->look_prev == line || line->look_next != NULL);
	DL_DELETE2(router->looks, line, look_prev, look_next);
	DL_PREPEND2(router->looks, line, look_prev, look_next);
}

void
router_free_line(struct line *line)
{
	dw_buf_clear(&line->in);
	dw_buf_clear(&line->out);
	free(line);
}

void
router_forget(struct dw_router *router, struct line *line)
{
	if (line->is_drained)
		DL_DELETE2(router->drained, line, drained_prev, drained_next);
	DL_DELETE2(router->looks, line, look_prev, look_next);
	assert(router->lines != NULL);
	HASH_DEL(router->lines, line);
	router->read -= router_counted(line);
	router_free_line(line);
}
