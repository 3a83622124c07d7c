/* diagws-bench fanout: a burst of messages to each room when every client has the last one.
 *
 * Its own file because it is a schedule that follows the deliveries: it measures how fast a server can go round, and
 * the time from the moment a burst was due, which is when the one before had come to all.
 */
#include "run.h"

struct fanout {
	struct run *run;
	uint64_t number; /* the last one sent to each room */
	uint64_t until;  /* and the last one there is */
	uint64_t end_at; /* --duration; 0: not given */
	size_t lane;
};

static void
send_burst(struct fanout *fanout, uint64_t now)
{
	struct run *run = fanout->run;
	const bool mixed = run->publisher.count > 1;
	uint64_t burst = (uint64_t)run->options->burst;

	if (burst > fanout->until - fanout->number)
		burst = fanout->until - fanout->number;
	for (uint32_t room = 0; room < run->plan.rooms; room++)
		run->crowd.rooms[room].floor = mixed ? fanout->number + 1 : UINT64_MAX;
	while (burst-- > 0) {
		fanout->number++;
		for (uint32_t room = 0; room < run->plan.rooms; room++) {
			run_message(run, fanout->lane, room, fanout->number, now);
			fanout->lane = (fanout->lane + 1) % run->publisher.count;
		}
	}
}

static uint64_t
fanout_turn(void *user, uint64_t now)
{
	struct fanout *fanout = user;
	struct run *run = fanout->run;
	const bool over = fanout->number == fanout->until || (fanout->end_at > 0 && now >= fanout->end_at);

	if (run_refused(run))
		return LOOP_IDLE;
	if (run->crowd.owed == 0 && !over && run->crowd.ready > 0)
		send_burst(fanout, now);
	publisher_turn(&run->publisher, now);
	run_progress(run, now, "messages", fanout->number, fanout->until);
	if (run->crowd.owed == 0 && (over || run->crowd.ready == 0) && publisher_pending(&run->publisher) == 0)
		return LOOP_DONE;
	return LOOP_IDLE;
}

int
fanout_run(struct run *run)
{
	const struct options *options = run->options;
	struct fanout fanout = { .run = run, .until = (uint64_t)options->warm_up };
	int err = run_publisher(run, 2 * (uint64_t)options->burst * run->plan.rooms);

	if (err == DW_OK)
		err = run_connect(run);
	if (err == DW_OK && options->warm_up > 0)
		err = run_loop(run, fanout_turn, &fanout);
	if (err != DW_OK)
		return err;
	run->crowd.latency = &run->latency;
	err = run_begin(run);
	fanout.until = options->messages > 0 ? fanout.number + (uint64_t)options->messages : UINT64_MAX;
	if (options->duration_ms > 0)
		fanout.end_at = run->begun_at + (uint64_t)options->duration_ms * 1000000;
	if (err == DW_OK)
		err = run_loop(run, fanout_turn, &fanout);
	return run_end(run, err);
}
