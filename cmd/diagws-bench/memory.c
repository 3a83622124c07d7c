/* diagws-bench memory: what idle clients cost each process.
 *
 * Its own file because nothing is sent in it. Read before the first client connects, and again when all have been idle
 * for --duration.
 */
#include "run.h"

static uint64_t
idle_turn(void *user, uint64_t now)
{
	const struct run *run = user;
	const uint64_t end = run->begun_at + (uint64_t)run->options->duration_ms * 1000000;

	return now >= end ? LOOP_DONE : end;
}

int
memory_run(struct run *run)
{
	int err = processes_begin(&run->processes, &run->fault);

	if (err == DW_OK)
		err = run_connect(run);
	if (err != DW_OK)
		return err;
	run->measured = true;
	run->begun_at = now_ns();
	return run_end(run, run_loop(run, idle_turn, run));
}
