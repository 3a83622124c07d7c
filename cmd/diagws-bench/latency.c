/* diagws-bench latency: messages at a fixed rate, each measured from the moment it was to be sent.
 *
 * Its own file because it is a schedule that waits for nobody: a server that stalls is late with all that was due
 * meanwhile, and so are we when we are late. The rooms take turns. A warm-up is a schedule of its own before it, so
 * that reading what processes use delays no message.
 */
#include "run.h"

struct latency {
	struct run *run;
	uint64_t start_at;
	uint64_t sent, count; /* of this schedule */
	uint64_t before;      /* messages of the one before */
};

static uint64_t
due_at(const struct latency *latency)
{
	const uint64_t rate = (uint64_t)latency->run->options->rate;

	return latency->start_at + latency->sent / rate * UINT64_C(1000000000) +
		   latency->sent % rate * UINT64_C(1000000000) / rate;
}

static uint64_t
latency_turn(void *user, uint64_t now)
{
	struct latency *latency = user;
	struct run *run = latency->run;
	uint64_t due = LOOP_IDLE;

	if (run_refused(run))
		return LOOP_IDLE;
	while (latency->sent < latency->count && (due = due_at(latency)) <= now) {
		const uint64_t all = latency->before + latency->sent++;
		const uint32_t room = (uint32_t)(all % run->plan.rooms);

		run_message(run, room % run->publisher.count, room, all / run->plan.rooms + 1, due);
	}
	publisher_turn(&run->publisher, now);
	run_progress(run, now, "messages", latency->sent, latency->count);
	if (latency->sent < latency->count)
		return due;
	return run->crowd.owed == 0 && publisher_pending(&run->publisher) == 0 ? LOOP_DONE : LOOP_IDLE;
}

static int
run_schedule(struct latency *latency, uint64_t count)
{
	latency->before += latency->sent;
	latency->sent = 0;
	latency->count = count;
	latency->start_at = now_ns();
	return run_loop(latency->run, latency_turn, latency);
}

int
latency_run(struct run *run)
{
	const struct options *options = run->options;
	const uint64_t rate = (uint64_t)options->rate;
	struct latency latency = { .run = run };
	int err = run_publisher(run, run->plan.rooms);

	for (uint32_t room = 0; room < run->plan.rooms; room++)
		run->crowd.rooms[room].floor = UINT64_MAX;
	if (err == DW_OK)
		err = run_connect(run);
	if (err == DW_OK && options->warm_up > 0)
		err = run_schedule(&latency, rate * (uint64_t)options->warm_up);
	if (err != DW_OK)
		return err;
	run->crowd.latency = &run->latency;
	err = run_begin(run);
	if (err == DW_OK)
		err = run_schedule(&latency,
			options->messages > 0 ? (uint64_t)options->messages : rate * (uint64_t)options->duration_ms / 1000);
	return run_end(run, err);
}
