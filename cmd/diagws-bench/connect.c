/* diagws-bench connect: how long it takes to come in, from the moment a client was to connect.
 *
 * Its own file because here a connection that fails is counted and not the end. With --rate the schedule waits for
 * nobody but --concurrency, and a client that had to wait counts from when it was due.
 */
#include "run.h"

static uint64_t
connect_turn(void *user, uint64_t now)
{
	struct run *run = user;
	struct crowd *crowd = &run->crowd;
	const uint64_t next = crowd_connect(crowd, now, (uint64_t)run->options->rate, (uint32_t)run->options->concurrency);

	run_progress(run, now, "connecting", run->latency.count, crowd->count);
	return run->latency.count + crowd->failed >= crowd->count ? LOOP_DONE : next;
}

int
connect_run(struct run *run)
{
	int err = run_begin(run);

	run->crowd.connects = &run->latency;
	run->crowd.start_at = run->begun_at;
	if (err == DW_OK)
		err = run_loop(run, connect_turn, run);
	if (err == DW_E_TIMEOUT)
		run->crowd.failed += run->crowd.unfinished;
	return run_end(run, err);
}
