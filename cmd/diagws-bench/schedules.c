/* The subcommands: each is a schedule, which is called in every turn of the loop and says when it wants the next one.
 *
 * Its own file because what they have in common (run.c) knows none of them.
 * - fanout follows the deliveries: it measures how fast a server can go round.
 * - latency waits for nobody: a server that stalls is late with all that was due meanwhile, and so are we.
 * - connect counts a connection that fails, and goes on.
 * - storm cuts all clients off and lets them come back at once.
 * - publish has no clients; a message is due when a place in its sender's window is free.
 * - memory sends nothing.
 */
#include "run.h"

static void
send_burst(struct run *run, uint64_t burst, uint64_t now)
{
	const size_t lanes = run->publisher.count;

	for (uint32_t room = 0; run->mixed && room < run->plan.rooms; room++)
		run->crowd.rooms[room].floor = run->number + 1;
	for (uint64_t end = run->number + burst; run->number < end && run->number < run->until;) {
		run->number++;
		for (uint32_t room = 0; room < run->plan.rooms; room++)
			run_message(run, (run->mixed ? run->lane++ : room) % lanes, room, run->number, now);
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
	run_progress(run, now, "messages", run->number, run->until);
	return over && run_is_quiet(run) ? LOOP_DONE : LOOP_IDLE;
}

int
run_fanout(struct run *run)
{
	int err = run_publisher(run, 2 * (uint64_t)bench_options.burst * run->plan.rooms);

	run->mixed = run->publisher.count > 1;
	run->until = (uint64_t)bench_options.warm_up;
	if (err == DW_OK)
		err = run_clients(run);
	if (err == DW_OK && bench_options.warm_up > 0)
		err = run_loop(run, burst_turn);
	if (err == DW_OK)
		err = run_begin(run);
	run->crowd.latency = &run->latency;
	run->until = bench_options.messages > 0 ? run->number + (uint64_t)bench_options.messages : UINT64_MAX;
	return err == DW_OK ? run_loop(run, burst_turn) : err;
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
		run_message(run, room % run->publisher.count, room, all / run->plan.rooms + 1, due);
		run->number++;
	}
	publisher_turn(&run->publisher, now);
	run_progress(run, now, "messages", run->number - run->first, run->until - run->first);
	if (run->number < run->until)
		return due;
	return run_is_quiet(run) ? LOOP_DONE : LOOP_IDLE;
}

static int
keep_pace(struct run *run, uint64_t count)
{
	run->first = run->number;
	run->until = run->number + count;
	run->start_at = now_ns();
	return run_loop(run, pace_turn);
}

/* The warm-up is a schedule of its own, so that reading what processes use delays no message. */
int
run_latency(struct run *run)
{
	const uint64_t rate = (uint64_t)bench_options.rate, messages = (uint64_t)bench_options.messages;
	int err = run_publisher(run, run->plan.rooms);

	if (err == DW_OK)
		err = run_clients(run);
	if (err == DW_OK && bench_options.warm_up > 0)
		err = keep_pace(run, rate * (uint64_t)bench_options.warm_up);
	if (err == DW_OK)
		err = run_begin(run);
	run->crowd.latency = &run->latency;
	if (err != DW_OK)
		return err;
	return keep_pace(run, messages > 0 ? messages : rate * (uint64_t)bench_options.duration_ms / 1000);
}

/* Clients wait for nobody but --concurrency, and one that had to wait counts from when it was due. */
int
run_connect(struct run *run)
{
	int err = run_begin(run);

	run->crowd.connects = &run->latency;
	run->crowd.start_at = run->begun_at;
	run->crowd.rate = (uint64_t)bench_options.rate;
	if (err == DW_OK)
		err = run_clients(run);
	if (err == DW_E_TIMEOUT)
		run->crowd.failed += run->crowd.unfinished;
	return err;
}

static int
send_at_once(struct run *run, uint64_t count)
{
	run->until = run->number + count;
	send_burst(run, count, now_ns());
	return run_loop(run, burst_turn);
}

/* Each client has got a message before it is cut, so it knows its position ("seq" of the message, or its "number" where
 * the server gives none) and returns with it. It has caught up when it has the last message of its room; one that
 * failed to come back is not waited for. */
int
run_storm(struct run *run)
{
	uint64_t cut_at;
	int err = run_publisher(run, run->plan.rooms);

	run->crowd.wants_seq = true;
	if (err == DW_OK)
		err = run_clients(run);
	if (err == DW_OK)
		err = send_at_once(run, 1);
	crowd_cut(&run->crowd);
	cut_at = now_ns();
	if (err == DW_OK)
		err = send_at_once(run, (uint64_t)bench_options.missed);
	if (err == DW_OK)
		err = run_begin(run);
	run->crowd.caught = &run->latency;
	run->crowd.count_from = cut_at;
	run->crowd.start_at = run->begun_at;
	run->crowd.rate = run->crowd.concurrency = UINT64_MAX;
	run->crowd.started = 0;
	return err == DW_OK ? run_clients(run) : err;
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
	run_progress(run, now, "acknowledged", publisher->acknowledged, run->until);
	if (is_over(run, now))
		return publisher->pending == 0 ? LOOP_DONE : LOOP_IDLE;
	/* What was refused at once leaves a place that no event will tell of. */
	return publisher->pending < publisher->count * publisher->window ? now : LOOP_IDLE;
}

int
run_publish(struct run *run)
{
	int err = publisher_init(&run->publisher, &run->plan, &run->loop, (size_t)bench_options.senders,
		(size_t)bench_options.window, &run->fault);

	if (err == DW_OK)
		err = run_begin(run);
	run->publisher.times = &run->latency;
	run->until = bench_options.messages > 0 ? (uint64_t)bench_options.messages : UINT64_MAX;
	return err == DW_OK ? run_loop(run, window_turn) : err;
}

static uint64_t
idle_turn(struct run *run, uint64_t now)
{
	return now >= run->end_at ? LOOP_DONE : run->end_at;
}

/* What processes use is read before the first client connects, and again when all have been idle for --duration. */
int
run_memory(struct run *run)
{
	int err = processes_read(&run->processes, false, &run->fault);

	if (err == DW_OK)
		err = run_clients(run);
	if (err != DW_OK)
		return err;
	run_count(run);
	return run_loop(run, idle_turn);
}
