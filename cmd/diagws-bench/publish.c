/* diagws-bench publish: senders that each keep a window of messages unanswered.
 *
 * Its own file because it is the one without clients. The time of an answer counts from when its message was sent,
 * which is when its place in the window was free.
 */
#include "run.h"

struct publish {
	struct run *run;
	uint64_t number; /* messages, to all rooms */
	uint64_t until;
	uint64_t end_at; /* 0: none */
};

static bool
is_over(const struct publish *publish, uint64_t now)
{
	const struct publisher *publisher = &publish->run->publisher;

	return publish->number == publish->until || (publish->end_at > 0 && now >= publish->end_at) ||
		   publisher->err == DW_E_HUB_AWAY || publisher->err == DW_E_TIMEOUT ||
		   (publisher->rejected > 0 && publisher->acknowledged == 0);
}

static uint64_t
publish_turn(void *user, uint64_t now)
{
	struct publish *publish = user;
	struct run *run = publish->run;
	struct publisher *publisher = &run->publisher;
	uint64_t pending;

	for (size_t i = 0; i < publisher->count && !is_over(publish, now); i++) {
		for (size_t room = publisher_room(publisher, i); room > 0 && publish->number < publish->until; room--) {
			publisher_add(publisher, i, (uint32_t)(publish->number % run->plan.rooms), publish->number + 1, now);
			publish->number++;
		}
	}
	publisher_turn(publisher, now);
	run_progress(run, now, "acknowledged", publisher->acknowledged, publish->until);
	pending = publisher_pending(publisher);
	if (is_over(publish, now))
		return pending == 0 ? LOOP_DONE : LOOP_IDLE;
	/* What was refused at once leaves a place that no event will tell of. */
	return pending < publisher->count * publisher->window ? now : LOOP_IDLE;
}

int
publish_run(struct run *run)
{
	const struct options *options = run->options;
	struct publish publish = { .run = run };
	int err = publisher_init(
		&run->publisher, &run->plan, &run->loop, (size_t)options->senders, (size_t)options->window, &run->fault);

	if (err != DW_OK)
		return err;
	run->publisher.times = &run->latency;
	err = run_begin(run);
	publish.until = options->messages > 0 ? (uint64_t)options->messages : UINT64_MAX;
	if (options->messages == 0)
		publish.end_at = run->begun_at + (uint64_t)options->duration_ms * 1000000;
	if (err == DW_OK)
		err = run_loop(run, publish_turn, &publish);
	err = run_end(run, err);
	if (err == DW_OK && run->publisher.err != DW_OK) {
		run->fault = run->publisher.fault;
		err = run->publisher.err;
	}
	return err;
}
