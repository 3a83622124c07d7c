/* Its own file because what is to be sent next, and what an answer means, is the same for both ways: a connection of
 * lib/client/client.c to the hub, or one of post.c. Failure modes: no memory; the hub is away or refuses (each message
 * is answered with the error); a message that is not stored (counted; the first one's reason is kept).
 */
#include "publisher.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <utlist.h>

#include "cli/interrupt.h"
#include "client/client.h"
#include "post.h"

enum { POLL_NS = 20 * 1000000, WAIT_MS = 100, NOT_ANSWERED = 1 };

/* A message from when it is due until it is answered. */
struct job {
	struct job *prev, *next; /* while it waits */
	struct lane *lane;
	uint64_t number, due;
	uint32_t room;
};

struct lane {
	struct source source; /* the first member: the hub's */
	struct publisher *publisher;
	struct job *jobs;           /* utlist: those that wait, the oldest first */
	size_t pending, unanswered; /* with those that wait, and without */
	struct dw_client *hub;      /* NULL: by POST */
	int greeting;               /* how the hub answered the first request */
	uint64_t polled_at;
	struct post post;
};

static void
end_job(struct job *job, int err, const char *text)
{
	struct publisher *publisher = job->lane->publisher;
	const uint64_t due = job->due, now = now_ns();

	publisher->pending--;
	job->lane->pending--;
	job->lane->unanswered--;
	free(job);
	if (err != DW_OK) {
		publisher->rejected++;
		if (publisher->err == DW_OK)
			publisher->err = dw_fault_set(&publisher->fault, err, NULL, NULL, "a message was not stored: %s", text);
		if (publisher->strict && publisher->loop->failed == DW_OK)
			publisher->loop->failed = publisher->err;
		return;
	}
	publisher->loop->progress_at = now;
	if (due < publisher->count_from)
		return;
	publisher->acknowledged++;
	histogram_add_since(publisher->times, due, now);
}

static void
take_posted(void *user, int err, const char *text)
{
	end_job(user, err, text);
}

static void
take_stored(void *user, int err, const struct dw_wire *message)
{
	struct job *job = user;
	struct dw_fault fault = { 0 };

	if (err != DW_OK && message != NULL && message->stored.text.n > 0)
		(void)dw_fault_set(&fault, err, NULL, NULL, "%.*s", (int)message->stored.text.n, message->stored.text.p);
	else if (err != DW_OK)
		dw_client_explain(job->lane->hub, err, &fault);
	end_job(job, err, fault.message);
}

static void
send_to_hub(struct lane *lane, struct job *job)
{
	const struct plan *plan = lane->publisher->plan;
	char room[ROOM_BYTES], id[ROOM_BYTES + 24];
	struct dw_wire message = { .kind = DW_PUBLISH };
	struct dw_buf data = { 0 };
	int err = DW_E_NOMEM;

	plan_room_name(plan, job->room, room);
	plan_data(&data, job->due, job->number);
	(void)snprintf(id, sizeof(id), "%016llx-%llu", (unsigned long long)plan->run, (unsigned long long)job->number);
	message.publish.room = dw_str(room);
	message.publish.type = DW_STR("bench_update");
	message.publish.id = dw_str(id);
	message.publish.data = (struct dw_str) { data.data, data.len };
	if (dw_buf_ok(&data))
		err = dw_client_ask(lane->hub, &message, take_stored, job);
	dw_buf_clear(&data);
	lane->polled_at = 0;
	if (err != DW_OK)
		take_stored(job, err, NULL);
}

/* Its descriptor does not tell all: after sending, and for what is overdue, it is to be asked. */
static void
poll_hub(struct lane *lane, uint64_t now)
{
	if (lane->polled_at == 0 || now >= lane->polled_at + POLL_NS) {
		lane->polled_at = now;
		(void)dw_client_poll(lane->hub, 0);
	}
	lane->publisher->loop->wake_at = now + POLL_NS;
}

static void
on_hub(struct source *source, uint32_t events)
{
	struct lane *lane = (struct lane *)source;

	(void)events;
	lane->polled_at = 0;
	(void)dw_client_poll(lane->hub, 0);
}

static void
take_greeting(void *user, int err, const struct dw_wire *message)
{
	struct lane *lane = user;

	(void)message;
	lane->greeting = err;
}

/* Waits until the hub answers, so that no message pays for the acquaintance. */
static int
greet(struct lane *lane, struct dw_fault *fault)
{
	struct dw_wire request = { .kind = DW_STAT, .stat = { .view = DW_STR("summary"), .limit = 1 } };
	int err = dw_client_ask(lane->hub, &request, take_greeting, lane);

	lane->greeting = NOT_ANSWERED;
	while (err == DW_OK && lane->greeting == NOT_ANSWERED) {
		(void)dw_client_poll(lane->hub, WAIT_MS);
		if (dw_interrupted())
			return DW_E_CLOSING;
	}
	err = err == DW_OK ? lane->greeting : err;
	if (err != DW_OK)
		dw_client_explain(lane->hub, err, fault);
	return err;
}

static int
open_hub(struct lane *lane, struct dw_fault *fault)
{
	const struct dw_client_config config = {
		.endpoint = dw_common.endpoint,
		.name = bench_command.name,
		.timeout_ms = dw_common.timeout_ms,
		.window = lane->publisher->window,
		.gathers = true,
		.beside = lane->publisher->lanes[0].hub /* of the first itself: NULL */
	};
	int err = dw_client_new(&lane->hub, &config, fault);

	if (err == DW_OK)
		err = greet(lane, fault);
	if (err != DW_OK)
		return err;
	lane->source.ready = on_hub;
	return loop_add(lane->publisher->loop, dw_client_fd(lane->hub), &lane->source) ? DW_OK : DW_E_NOMEM;
}

int
publisher_init(struct publisher *publisher, const struct plan *plan, struct loop *loop, size_t lanes, size_t window,
	struct dw_fault *fault)
{
	const bool posts = plan->publish.path != NULL;
	int err = DW_OK;

	publisher->plan = plan;
	publisher->loop = loop;
	publisher->window = posts ? 1 : window;
	publisher->count_from = UINT64_MAX;
	publisher->lanes = calloc(lanes, sizeof(*publisher->lanes));
	if (publisher->lanes == NULL)
		return DW_E_NOMEM;
	while (publisher->count < lanes && err == DW_OK) {
		struct lane *lane = &publisher->lanes[publisher->count++];

		lane->publisher = publisher;
		lane->post = (struct post) { .stream.fd = -1, .target = &plan->publish, .done = take_posted };
		if (!posts)
			err = open_hub(lane, fault);
	}
	return err;
}

void
publisher_clear(struct publisher *publisher)
{
	for (size_t i = 0; i < publisher->count; i++) {
		struct lane *lane = &publisher->lanes[i];
		struct job *job;

		dw_client_destroy(&lane->hub);
		post_close(&lane->post);
		free(lane->post.user);
		while ((job = lane->jobs) != NULL) {
			DL_DELETE(lane->jobs, job);
			free(job);
		}
	}
	free(publisher->lanes);
}

void
publisher_add(struct publisher *publisher, size_t at, uint32_t room, uint64_t number, uint64_t due)
{
	struct lane *lane = &publisher->lanes[at];
	struct job *job = malloc(sizeof(*job));

	if (job == NULL) {
		publisher->loop->failed = DW_E_NOMEM;
		return;
	}
	*job = (struct job) { .lane = lane, .number = number, .due = due, .room = room };
	DL_APPEND(lane->jobs, job);
	lane->pending++;
	publisher->pending++;
}

void
publisher_turn(struct publisher *publisher, uint64_t now)
{
	for (size_t i = 0; i < publisher->count; i++) {
		struct lane *lane = &publisher->lanes[i];

		while (lane->jobs != NULL && lane->unanswered < publisher->window && publisher->loop->failed == DW_OK) {
			struct job *job = lane->jobs;

			DL_DELETE(lane->jobs, job);
			lane->unanswered++;
			if (lane->hub != NULL) {
				send_to_hub(lane, job);
			} else {
				plan_post(publisher->plan, &lane->post.stream.out, job->room, job->due, job->number);
				post_send(&lane->post, publisher->loop, job);
			}
		}
		if (lane->hub != NULL && lane->unanswered > 0)
			poll_hub(lane, now);
	}
}

bool
publisher_has_room(const struct publisher *publisher, size_t at)
{
	return publisher->lanes[at].pending < publisher->window;
}
