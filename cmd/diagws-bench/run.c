/* What the subcommands have in common, then the subcommands: each is a schedule, which is called in every turn of the
 * loop and says when it wants the next one.
 * - fanout follows the deliveries: it measures how fast a server can go round.
 * - latency waits for nobody: a server that stalls is late with all that was due meanwhile, and so are we.
 * - connect counts a connection that fails, and goes on.
 * - storm cuts all clients off and lets them come back at once.
 * - publish has no clients; a message is due when a place in its sender's window is free.
 * - memory sends nothing.
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
		err = processes_init(run->processes, &run->fault);
	if (err == DW_OK)
		err = crowd_init(&run->crowd, &run->plan, &run->loop, &run->fault);
	return err;
}

/* Over HTTP at most so many, and at most LANES_MAX, messages are unanswered at a time, each on a lane of its own. One
 * that is not stored ends the loop. */
static int
open_publisher(struct run *run, uint64_t parallel)
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

/* On a terminal: how far it is, four times a second. */
static void
show_progress(struct run *run, uint64_t now, const char *what, uint64_t done, uint64_t all)
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

/* loop_run, with words for what went wrong. */
static int
loop_until_done(struct run *run, loop_turn *turn)
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

/* Connects all clients, until each has all that is owed to it. Before begin_counting all must come in; what fails later
 * is counted. */
static uint64_t
connect_turn(struct run *run, uint64_t now)
{
	struct crowd *crowd = &run->crowd;
	const uint64_t next = crowd_connect(crowd, now);

	if (!run->measured && crowd->errors > 0)
		run->loop.failed = crowd->err;
	if (crowd->caught != NULL)
		show_progress(run, now, "caught up", run->latency.count, crowd->count);
	else
		show_progress(run, now, "connecting", crowd->ready, crowd->count);
	return crowd->started == crowd->count && crowd->unfinished == 0 && crowd->owed == 0 ? LOOP_DONE : next;
}

/* What is sent from now on counts. */
static void
begin_messages(struct run *run)
{
	run->measured = true;
	run->begun_at = run->ended_at = now_ns();
	run->crowd.count_from = run->publisher.count_from = run->begun_at;
	if (bench_options.duration_ms > 0)
		run->end_at = run->begun_at + (uint64_t)bench_options.duration_ms * 1000000;
}

/* What is sent from now on counts, and what processes use. */
static int
begin_counting(struct run *run)
{
	int err = processes_read(run->processes, false, &run->fault);

	begin_messages(run);
	return err;
}

int
run_end(struct run *run, int err)
{
	int failed;

	run->ended_at = now_ns();
	failed = processes_read(run->processes, true, err == DW_OK ? &run->fault : NULL);
	return err != DW_OK ? err : failed;
}

/* A message to a room is due. */
static void
add_message(struct run *run, size_t lane, uint32_t room, uint64_t number, uint64_t due)
{
	crowd_issue(&run->crowd, room, number);
	publisher_add(&run->publisher, lane, room, number, due);
}

/* Everybody has everything, and the publisher all its answers. */
static bool
is_quiet(const struct run *run)
{
	return run->crowd.owed == 0 && run->publisher.pending == 0;
}

uint64_t
run_lost(const struct run *run)
{
	return crowd_lost(&run->crowd, !run->cut_short);
}

static void
send_burst(struct run *run, uint64_t burst, uint64_t now)
{
	const size_t lanes = run->publisher.count;

	for (uint32_t room = 0; run->mixed && room < run->plan.rooms; room++)
		run->crowd.rooms[room].floor = run->number + 1;
	for (uint64_t end = run->number + burst; run->number < end && run->number < run->until;) {
		run->number++;
		for (uint32_t room = 0; room < run->plan.rooms; room++)
			add_message(run, (run->mixed ? run->lane++ : room) % lanes, room, run->number, now);
	}
}

/* A burst when every client has the last one. */
static uint64_t
burst_turn(struct run *run, uint64_t now)
{
	const bool over = run->number == run->until || now >= run->end_at || run->crowd.ready == 0;

	if (run->crowd.owed == 0 && !over)
		send_burst(run, (uint64_t)bench_options.burst, now);
	publisher_turn(&run->publisher, now);
	show_progress(run, now, "messages", run->number, run->until);
	return over && is_quiet(run) ? LOOP_DONE : LOOP_IDLE;
}

static int
run_fanout(struct run *run)
{
	int err = open_publisher(run, 2 * (uint64_t)bench_options.burst * run->plan.rooms);

	run->mixed = run->publisher.count > 1;
	run->until = (uint64_t)bench_options.warm_up;
	if (err == DW_OK)
		err = loop_until_done(run, connect_turn);
	if (err == DW_OK && bench_options.warm_up > 0)
		err = loop_until_done(run, burst_turn);
	if (err == DW_OK)
		err = begin_counting(run);
	run->crowd.latency = &run->latency;
	run->until = bench_options.messages > 0 ? run->number + (uint64_t)bench_options.messages : UINT64_MAX;
	return err == DW_OK ? loop_until_done(run, burst_turn) : err;
}

/* Messages at a fixed rate, to the rooms in turn. */
static uint64_t
pace_turn(struct run *run, uint64_t now)
{
	const uint64_t rate = (uint64_t)bench_options.rate;
	uint64_t due = LOOP_IDLE;

	while (run->number < run->until) {
		const uint64_t before = run->number - run->first, all = run->number;
		const uint32_t room = (uint32_t)(all % run->plan.rooms);

		due = run->start_at + before / rate * UINT64_C(1000000000) + before % rate * UINT64_C(1000000000) / rate;
		if (due > now)
			break;
		add_message(run, room % run->publisher.count, room, all / run->plan.rooms + 1, due);
		run->number++;
	}
	publisher_turn(&run->publisher, now);
	show_progress(run, now, "messages", run->number - run->first, run->until - run->first);
	if (run->number < run->until)
		return due;
	return is_quiet(run) ? LOOP_DONE : LOOP_IDLE;
}

static int
keep_pace(struct run *run, uint64_t count)
{
	run->first = run->number;
	run->until = run->number + count;
	run->start_at = now_ns();
	return loop_until_done(run, pace_turn);
}

/* The warm-up is a schedule of its own, so that reading what processes use delays no message. */
static int
run_latency(struct run *run)
{
	const uint64_t rate = (uint64_t)bench_options.rate, messages = (uint64_t)bench_options.messages;
	int err = open_publisher(run, run->plan.rooms);

	if (err == DW_OK)
		err = loop_until_done(run, connect_turn);
	if (err == DW_OK && bench_options.warm_up > 0)
		err = keep_pace(run, rate * (uint64_t)bench_options.warm_up);
	if (err == DW_OK)
		err = begin_counting(run);
	run->crowd.latency = &run->latency;
	if (err != DW_OK)
		return err;
	return keep_pace(run, messages > 0 ? messages : rate * (uint64_t)bench_options.duration_ms / 1000);
}

/* Clients wait for nobody but --concurrency, and one that had to wait counts from when it was due. */
static int
run_connect(struct run *run)
{
	int err = begin_counting(run);

	run->crowd.connects = &run->latency;
	run->crowd.start_at = run->begun_at;
	run->crowd.rate = (uint64_t)bench_options.rate;
	if (err == DW_OK)
		err = loop_until_done(run, connect_turn);
	if (err == DW_E_TIMEOUT)
		run->crowd.failed += run->crowd.unfinished;
	return err;
}

static int
send_at_once(struct run *run, uint64_t count)
{
	run->until = run->number + count;
	send_burst(run, count, now_ns());
	return loop_until_done(run, burst_turn);
}

/* Each client has got a message before it is cut, so it knows its position ("seq" of the message, or its "number" where
 * the server gives none) and returns with it. It has caught up when it has the last message of its room; one that
 * failed to come back is not waited for. */
static int
run_storm(struct run *run)
{
	uint64_t cut_at;
	int err = open_publisher(run, run->plan.rooms);

	run->crowd.wants_seq = true;
	if (err == DW_OK)
		err = loop_until_done(run, connect_turn);
	if (err == DW_OK)
		err = send_at_once(run, 1);
	crowd_cut(&run->crowd);
	cut_at = now_ns();
	if (err == DW_OK)
		err = send_at_once(run, (uint64_t)bench_options.missed);
	if (err == DW_OK)
		err = begin_counting(run);
	run->crowd.caught = &run->latency;
	run->crowd.count_from = cut_at;
	run->crowd.start_at = run->begun_at;
	run->crowd.rate = run->crowd.concurrency = UINT64_MAX;
	run->crowd.started = 0;
	return err == DW_OK ? loop_until_done(run, connect_turn) : err;
}

static bool
is_over(const struct run *run, uint64_t now)
{
	const struct publisher *publisher = &run->publisher;

	return run->number == run->until || now >= run->end_at || publisher->err == DW_E_HUB_AWAY ||
		   publisher->err == DW_E_TIMEOUT || (publisher->rejected > 0 && publisher->acknowledged == 0);
}

/* A message of each sender's window as soon as there is a place for it. */
static uint64_t
window_turn(struct run *run, uint64_t now)
{
	struct publisher *publisher = &run->publisher;

	for (size_t i = 0; i < publisher->count && !is_over(run, now); i++) {
		while (run->number < run->until && publisher_has_room(publisher, i)) {
			publisher_add(publisher, i, (uint32_t)(run->number % run->plan.rooms), run->number + 1, now);
			run->number++;
		}
	}
	publisher_turn(publisher, now);
	show_progress(run, now, "acknowledged", publisher->acknowledged, run->until);
	if (is_over(run, now))
		return publisher->pending == 0 ? LOOP_DONE : LOOP_IDLE;
	/* What was refused at once leaves a place that no event will tell of. */
	return publisher->pending < publisher->count * publisher->window ? now : LOOP_IDLE;
}

static int
run_publish(struct run *run)
{
	int err = publisher_init(&run->publisher, &run->plan, &run->loop, (size_t)bench_options.senders,
		(size_t)bench_options.window, &run->fault);

	if (err == DW_OK)
		err = begin_counting(run);
	run->publisher.times = &run->latency;
	run->until = bench_options.messages > 0 ? (uint64_t)bench_options.messages : UINT64_MAX;
	return err == DW_OK ? loop_until_done(run, window_turn) : err;
}

static uint64_t
idle_turn(struct run *run, uint64_t now)
{
	return now >= run->end_at ? LOOP_DONE : run->end_at;
}

/* What processes use was read by run_init, and is again when all have been idle for --duration. */
static int
run_memory(struct run *run)
{
	int err = loop_until_done(run, connect_turn);

	if (err != DW_OK)
		return err;
	begin_messages(run);
	return loop_until_done(run, idle_turn);
}

const struct verb bench_verbs[] = {
	{ "fanout", run_fanout, FANOUT },
	{ "latency", run_latency, LATENCY },
	{ "connect", run_connect, CONNECT },
	{ "storm", run_storm, STORM },
	{ "publish", run_publish, PUBLISH },
	{ "memory", run_memory, MEMORY },
	{ 0 },
};
