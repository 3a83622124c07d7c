/* Its own file because what is to be sent next is the same for both ways. Failure modes: no memory.
 */
#include "publisher.h"

#include <stdlib.h>

enum { FIRST_JOBS = 16 };

int
publisher_init(struct publisher *publisher, const struct plan *plan, struct loop *loop, size_t lanes, size_t window,
	struct dw_fault *fault)
{
	int err = DW_OK;

	*publisher = (struct publisher) {
		.plan = plan, .loop = loop, .window = plan->publish.path != NULL ? 1 : window, .count_from = UINT64_MAX
	};
	publisher->lanes = calloc(lanes, sizeof(*publisher->lanes));
	if (publisher->lanes == NULL)
		return DW_E_NOMEM;
	for (size_t i = 0; i < lanes && err == DW_OK; i++) {
		struct lane *lane = &publisher->lanes[i];

		*lane = (struct lane) { .publisher = publisher, .fd = -1 };
		publisher->count++;
		if (plan->publish.path == NULL)
			err = hub_open(lane, fault);
	}
	return err;
}

void
publisher_clear(struct publisher *publisher)
{
	for (size_t i = 0; i < publisher->count; i++) {
		hub_close(&publisher->lanes[i]);
		post_close(&publisher->lanes[i]);
		free(publisher->lanes[i].jobs);
	}
	free(publisher->lanes);
	publisher->lanes = NULL;
	publisher->count = 0;
}

static bool
make_room(struct lane *lane)
{
	const size_t room = lane->room == 0 ? FIRST_JOBS : 2 * lane->room;
	struct job *jobs = calloc(room, sizeof(*jobs));

	if (jobs == NULL)
		return false;
	for (size_t i = 0; i < lane->waiting; i++)
		jobs[i] = lane->jobs[(lane->first + i) % lane->room];
	free(lane->jobs);
	lane->jobs = jobs;
	lane->first = 0;
	lane->room = room;
	return true;
}

bool
publisher_add(struct publisher *publisher, size_t at, const struct job *job)
{
	struct lane *lane = &publisher->lanes[at];

	if (lane->waiting == lane->room && !make_room(lane)) {
		publisher->loop->failed = DW_E_NOMEM;
		return false;
	}
	lane->jobs[(lane->first + lane->waiting) % lane->room] = *job;
	lane->waiting++;
	return true;
}

void
publisher_turn(struct publisher *publisher, uint64_t now)
{
	for (size_t i = 0; i < publisher->count; i++) {
		struct lane *lane = &publisher->lanes[i];

		while (lane->waiting > 0 && lane->unanswered < publisher->window && publisher->loop->failed == DW_OK) {
			const struct job job = lane->jobs[lane->first];

			lane->first = (lane->first + 1) % lane->room;
			lane->waiting--;
			lane->unanswered++;
			if (lane->hub != NULL)
				hub_send(lane, &job);
			else
				post_send(lane, &job);
		}
		if (lane->hub != NULL && lane->unanswered > 0)
			hub_poll(lane, now);
	}
}

uint64_t
publisher_pending(const struct publisher *publisher)
{
	uint64_t pending = 0;

	for (size_t i = 0; i < publisher->count; i++)
		pending += publisher->lanes[i].waiting + publisher->lanes[i].unanswered;
	return pending;
}

size_t
publisher_room(const struct publisher *publisher, size_t at)
{
	const struct lane *lane = &publisher->lanes[at];
	const size_t taken = lane->waiting + lane->unanswered;

	return taken < publisher->window ? publisher->window - taken : 0;
}
