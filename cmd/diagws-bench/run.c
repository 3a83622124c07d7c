/* What the subcommands have in common. Its own file so that each of them is only its schedule.
 *
 * Failure modes, and what the exit status makes of them: the set-up fails (nothing is reported), messages do not come
 * for --timeout (what came is reported), SIGINT (likewise).
 */
#include "run.h"

#include <stdio.h>
#include <unistd.h>

enum { SHOW_NS = 250 * 1000000, WINDOW = 4096 };

int
run_init(struct run *run)
{
	int err;

	run->end_at = UINT64_MAX;
	err = loop_init(&run->loop, dw_common.timeout_ms);
	run->loop.spin = bench_options.spin;
	if (err == DW_OK)
		err = plan_init(&run->plan, &run->fault);
	if (err == DW_OK)
		err = processes_init(&run->processes, &bench_options.processes, &run->fault);
	if (err == DW_OK)
		err = crowd_init(&run->crowd, &run->plan, &run->loop, &run->fault);
	return err;
}

int
run_publisher(struct run *run, uint64_t parallel)
{
	size_t lanes = parallel < LANES_MAX ? (size_t)parallel : LANES_MAX;

	if (run->plan.publish.path == NULL)
		lanes = 1;
	run->publisher.strict = true;
	return publisher_init(&run->publisher, &run->plan, &run->loop, lanes, WINDOW, &run->fault);
}

void
run_clear(struct run *run)
{
	publisher_clear(&run->publisher);
	crowd_clear(&run->crowd);
	plan_clear(&run->plan);
	loop_clear(&run->loop);
}

static bool
shows(void)
{
	return !dw_common.quiet && isatty(STDERR_FILENO);
}

void
run_progress(struct run *run, uint64_t now, const char *what, uint64_t done, uint64_t all)
{
	if (now < run->shown_at + SHOW_NS)
		return;
	run->shown_at = now;
	if (!shows())
		return;
	fprintf(stderr, "\r%s %llu", what, (unsigned long long)done);
	if (all != UINT64_MAX && all > 0)
		fprintf(stderr, "/%llu %d%%", (unsigned long long)all, (int)(done * 100 / all));
	fputs("\033[K", stderr);
	(void)fflush(stderr);
}

int
run_loop(struct run *run, loop_turn *turn)
{
	int err = loop_run(&run->loop, turn, run);

	if (shows())
		fprintf(stderr, "\r\033[K");
	/* What the server has not acknowledged it may not have. */
	if (err != DW_OK && (err != DW_E_TIMEOUT || run->publisher.pending > 0))
		run->cut_short = true;
	if (err == DW_E_TIMEOUT && run->fault.message[0] == '\0') {
		if (run->crowd.unfinished > 0)
			(void)dw_fault_set(&run->fault, err, NULL, NULL,
				"%u of %u clients are connected, and no more within %lld ms", run->crowd.ready, run->crowd.count,
				(long long)dw_common.timeout_ms);
		else
			(void)dw_fault_set(&run->fault, err, NULL, NULL,
				"nothing came for %lld ms: %llu messages are missing, %llu not acknowledged",
				(long long)dw_common.timeout_ms, (unsigned long long)run->crowd.owed,
				(unsigned long long)run->publisher.pending);
	}
	return err;
}

static uint64_t
connect_turn(struct run *run, uint64_t now)
{
	struct crowd *crowd = &run->crowd;
	const uint64_t next = crowd_connect(crowd, now);

	if (!run->measured && crowd->errors > 0)
		run->loop.failed = crowd->err;
	if (crowd->caught != NULL)
		run_progress(run, now, "caught up", run->latency.count, crowd->count);
	else
		run_progress(run, now, "connecting", crowd->ready, crowd->count);
	return crowd->started == crowd->count && crowd->unfinished == 0 && crowd->owed == 0 ? LOOP_DONE : next;
}

int
run_clients(struct run *run)
{
	return run_loop(run, connect_turn);
}

int
run_begin(struct run *run)
{
	int err = processes_read(&run->processes, false, &run->fault);

	run_count(run);
	return err;
}

void
run_count(struct run *run)
{
	run->measured = true;
	run->begun_at = run->ended_at = now_ns();
	run->crowd.count_from = run->publisher.count_from = run->begun_at;
	if (bench_options.duration_ms > 0)
		run->end_at = run->begun_at + (uint64_t)bench_options.duration_ms * 1000000;
}

int
run_end(struct run *run, int err)
{
	int failed;

	run->ended_at = now_ns();
	failed = processes_read(&run->processes, true, err == DW_OK ? &run->fault : NULL);
	return err != DW_OK ? err : failed;
}

void
run_message(struct run *run, size_t lane, uint32_t room, uint64_t number, uint64_t due)
{
	crowd_issue(&run->crowd, room, number);
	publisher_add(&run->publisher, lane, room, number, due);
}

bool
run_is_quiet(const struct run *run)
{
	return run->crowd.owed == 0 && run->publisher.pending == 0;
}

uint64_t
run_lost(const struct run *run)
{
	return crowd_lost(&run->crowd, !run->cut_short);
}
