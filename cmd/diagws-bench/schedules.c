/* The subcommands: each is a schedule, which is called in every turn of the loop and says when it wants the next one.
 *
 * Its own file because what they have in common (run.c) knows none of them. fanout follows the deliveries: it measures
 * how fast a server can go round. latency waits for nobody: a server that stalls is late with all that was due
 * meanwhile, and so are we when we are late. In connect a connection that fails is counted and not the end. storm is
 * the only one with two lives of a client. publish is the one without clients; the time of an answer counts from when
 * its message was sent, which is when its place in the window was free. In memory nothing is sent.
 */
#include "run.h"

/* Bursts of messages to each room. */
struct bursts {
	struct run *run;
	uint64_t number; /* the last one sent to each room */
	uint64_t until;  /* and the last one there is */
	uint64_t burst;
	bool mixed; /* messages of a burst go out by several lanes, and may come in any order */
	size_t lane;
};

static void
send_burst(struct bursts *bursts, uint64_t now)
{
	struct run *run = bursts->run;
	const size_t lanes = run->publisher.count;
	uint64_t left = bursts->until - bursts->number;

	for (uint32_t room = 0; bursts->mixed && room < run->plan.rooms; room++)
		run->crowd.rooms[room].floor = bursts->number + 1;
	for (left = left < bursts->burst ? left : bursts->burst; left > 0; left--) {
		bursts->number++;
		for (uint32_t room = 0; room < run->plan.rooms; room++)
			run_message(run, (bursts->mixed ? bursts->lane++ : room) % lanes, room, bursts->number, now);
	}
}

/* A burst when every client has the last one. */
static uint64_t
burst_turn(void *user, uint64_t now)
{
	struct bursts *bursts = user;
	struct run *run = bursts->run;
	const bool over = bursts->number == bursts->until || now >= run->end_at || run->crowd.ready == 0;

	if (run->crowd.owed == 0 && !over)
		send_burst(bursts, now);
	publisher_turn(&run->publisher, now);
	run_progress(run, now, "messages", bursts->number, bursts->until);
	return over && run_is_quiet(run) ? LOOP_DONE : LOOP_IDLE;
}

int
run_fanout(struct run *run)
{
	const struct options *options = run->options;
	struct bursts bursts = { .run = run, .until = (uint64_t)options->warm_up, .burst = (uint64_t)options->burst };
	int err = run_publisher(run, 2 * bursts.burst * run->plan.rooms);

	bursts.mixed = run->publisher.count > 1;
	if (err == DW_OK)
		err = run_clients(run);
	if (err == DW_OK && options->warm_up > 0)
		err = run_loop(run, burst_turn, &bursts);
	if (err == DW_OK)
		err = run_begin(run);
	run->crowd.latency = &run->latency;
	bursts.until = options->messages > 0 ? bursts.number + (uint64_t)options->messages : UINT64_MAX;
	return err == DW_OK ? run_loop(run, burst_turn, &bursts) : err;
}

/* Messages at a fixed rate, to the rooms in turn. */
struct pace {
	struct run *run;
	uint64_t start_at;
	uint64_t sent, count; /* of this schedule */
	uint64_t before;      /* messages of the one before */
};

static uint64_t
due_at(const struct pace *pace)
{
	const uint64_t rate = (uint64_t)pace->run->options->rate;

	return pace->start_at + pace->sent / rate * UINT64_C(1000000000) + pace->sent % rate * UINT64_C(1000000000) / rate;
}

static uint64_t
pace_turn(void *user, uint64_t now)
{
	struct pace *pace = user;
	struct run *run = pace->run;
	uint64_t due = LOOP_IDLE;

	while (pace->sent < pace->count && (due = due_at(pace)) <= now) {
		const uint64_t all = pace->before + pace->sent++;
		const uint32_t room = (uint32_t)(all % run->plan.rooms);

		run_message(run, room % run->publisher.count, room, all / run->plan.rooms + 1, due);
	}
	publisher_turn(&run->publisher, now);
	run_progress(run, now, "messages", pace->sent, pace->count);
	if (pace->sent < pace->count)
		return due;
	return run_is_quiet(run) ? LOOP_DONE : LOOP_IDLE;
}

static int
keep_pace(struct pace *pace, uint64_t count)
{
	pace->before += pace->sent;
	pace->sent = 0;
	pace->count = count;
	pace->start_at = now_ns();
	return run_loop(pace->run, pace_turn, pace);
}

/* The warm-up is a schedule of its own, so that reading what processes use delays no message. */
int
run_latency(struct run *run)
{
	const struct options *options = run->options;
	const uint64_t rate = (uint64_t)options->rate, messages = (uint64_t)options->messages;
	struct pace pace = { .run = run };
	int err = run_publisher(run, run->plan.rooms);

	if (err == DW_OK)
		err = run_clients(run);
	if (err == DW_OK && options->warm_up > 0)
		err = keep_pace(&pace, rate * (uint64_t)options->warm_up);
	if (err == DW_OK)
		err = run_begin(run);
	run->crowd.latency = &run->latency;
	if (err != DW_OK)
		return err;
	return keep_pace(&pace, messages > 0 ? messages : rate * (uint64_t)options->duration_ms / 1000);
}

/* Clients wait for nobody but --concurrency, and one that had to wait counts from when it was due. */
int
run_connect(struct run *run)
{
	int err = run_begin(run);

	run->crowd.connects = &run->latency;
	run->crowd.start_at = run->begun_at;
	run->crowd.rate = (uint64_t)run->options->rate;
	if (err == DW_OK)
		err = run_clients(run);
	if (err == DW_E_TIMEOUT)
		run->crowd.failed += run->crowd.unfinished;
	return err;
}

static int
send_at_once(struct bursts *bursts, uint64_t count)
{
	bursts->until += count;
	bursts->burst = count;
	send_burst(bursts, now_ns());
	return run_loop(bursts->run, burst_turn, bursts);
}

/* Each client has got a message before it is cut, so it knows its position ("seq" of the message, or its "number" where
 * the server gives none) and returns with it. It has caught up when it has the last message of its room; one that
 * failed to come back is not waited for. */
int
run_storm(struct run *run)
{
	struct bursts bursts = { .run = run };
	uint64_t cut_at;
	int err = run_publisher(run, run->plan.rooms);

	run->crowd.wants_seq = true;
	if (err == DW_OK)
		err = run_clients(run);
	if (err == DW_OK)
		err = send_at_once(&bursts, 1);
	crowd_cut(&run->crowd);
	cut_at = now_ns();
	if (err == DW_OK)
		err = send_at_once(&bursts, (uint64_t)run->options->missed);
	if (err == DW_OK)
		err = run_begin(run);
	run->crowd.caught = &run->latency;
	run->crowd.count_from = cut_at;
	run->crowd.start_at = run->begun_at;
	run->crowd.rate = run->crowd.concurrency = UINT64_MAX;
	run->crowd.started = 0;
	return err == DW_OK ? run_clients(run) : err;
}

struct window {
	struct run *run;
	uint64_t number; /* messages, to all rooms */
	uint64_t until;
};

static bool
is_over(const struct window *window, uint64_t now)
{
	const struct publisher *publisher = &window->run->publisher;

	return window->number == window->until || now >= window->run->end_at || publisher->err == DW_E_HUB_AWAY ||
		   publisher->err == DW_E_TIMEOUT || (publisher->rejected > 0 && publisher->acknowledged == 0);
}

static uint64_t
window_turn(void *user, uint64_t now)
{
	struct window *window = user;
	struct run *run = window->run;
	struct publisher *publisher = &run->publisher;

	for (size_t i = 0; i < publisher->count && !is_over(window, now); i++) {
		while (window->number < window->until && publisher_has_room(publisher, i)) {
			publisher_add(publisher, i, (uint32_t)(window->number % run->plan.rooms), window->number + 1, now);
			window->number++;
		}
	}
	publisher_turn(publisher, now);
	run_progress(run, now, "acknowledged", publisher->acknowledged, window->until);
	if (is_over(window, now))
		return publisher->pending == 0 ? LOOP_DONE : LOOP_IDLE;
	/* What was refused at once leaves a place that no event will tell of. */
	return publisher->pending < publisher->count * publisher->window ? now : LOOP_IDLE;
}

int
run_publish(struct run *run)
{
	const struct options *options = run->options;
	struct window window = { .run = run, .until = UINT64_MAX };
	int err = publisher_init(
		&run->publisher, &run->plan, &run->loop, (size_t)options->senders, (size_t)options->window, &run->fault);

	if (err == DW_OK)
		err = run_begin(run);
	run->publisher.times = &run->latency;
	if (options->messages > 0)
		window.until = (uint64_t)options->messages;
	return err == DW_OK ? run_loop(run, window_turn, &window) : err;
}

static uint64_t
idle_turn(void *user, uint64_t now)
{
	const struct run *run = user;

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
	return run_loop(run, idle_turn, run);
}
