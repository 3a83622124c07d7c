/* A lane through the hub's socket, by lib/client/client.c. Its own file because the other way (post.c) shares nothing
 * with it. Failure modes: the hub is away or refuses (each message is answered with the error).
 */
#include <stdlib.h>
#include <sys/epoll.h>

#include "cli/interrupt.h"
#include "client/client.h"
#include "publisher.h"

enum { POLL_NS = 20 * 1000000, WAIT_MS = 100 };

struct greeting {
	bool came;
	int err;
};

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
	struct greeting *greeting = user;

	(void)message;
	*greeting = (struct greeting) { true, err };
}

/* Waits until the hub answers, so that no message pays for the acquaintance. */
static int
greet(struct dw_client *hub, struct dw_fault *fault)
{
	struct dw_wire request = { .kind = DW_STAT, .stat = { .view = DW_STR("summary"), .limit = 1 } };
	struct greeting greeting = { 0 };
	int err = dw_client_ask(hub, &request, take_greeting, &greeting);

	while (err == DW_OK && !greeting.came) {
		(void)dw_client_poll(hub, WAIT_MS);
		if (dw_interrupted())
			return DW_E_CLOSING;
	}
	err = err == DW_OK ? greeting.err : err;
	if (err != DW_OK)
		dw_client_explain(hub, err, fault);
	return err;
}

int
hub_open(struct lane *lane, struct dw_fault *fault)
{
	const size_t window = lane->publisher->window;
	const struct dw_client_config config = {
		.endpoint = dw_common.endpoint,
		.name = bench_command.name,
		.timeout_ms = dw_common.timeout_ms,
		.window = window,
		.gathers = true,
		.beside = lane->publisher->lanes[0].hub /* of the first itself: NULL */
	};
	int err = dw_client_new(&lane->hub, &config, fault);

	if (err == DW_OK)
		err = greet(lane->hub, fault);
	if (err != DW_OK)
		return err;
	lane->source.ready = on_hub;
	lane->asked = calloc(window, sizeof(*lane->asked));
	if (lane->asked == NULL || !loop_add(lane->publisher->loop, dw_client_fd(lane->hub), EPOLLIN, &lane->source))
		return DW_E_NOMEM;
	for (size_t i = 0; i < window; i++) {
		lane->asked[i] = (struct asked) { .next = lane->free, .lane = lane };
		lane->free = &lane->asked[i];
	}
	return DW_OK;
}

void
hub_close(struct lane *lane)
{
	dw_client_destroy(&lane->hub);
	free(lane->asked);
	lane->asked = NULL;
}

static void
take_answer(void *user, int err, const struct dw_wire *message)
{
	struct asked *asked = user;
	struct lane *lane = asked->lane;
	struct dw_fault fault = { 0 };

	if (err != DW_OK && message != NULL && message->stored.text.n > 0)
		(void)dw_fault_set(&fault, err, NULL, NULL, "%.*s", (int)message->stored.text.n, message->stored.text.p);
	else if (err != DW_OK && lane->hub != NULL)
		dw_client_explain(lane->hub, err, &fault);
	asked->next = lane->free;
	lane->free = asked;
	lane_answered(lane, asked->due, err, "%s", fault.message);
}

void
hub_send(struct lane *lane, const struct job *job)
{
	const struct plan *plan = lane->publisher->plan;
	struct asked *asked = lane->free;
	char room[ROOM_BYTES], id[ROOM_BYTES + 24];
	struct dw_wire message = { .kind = DW_PUBLISH };
	struct dw_buf data;
	int err = DW_E_NOMEM;

	lane->free = asked->next;
	asked->due = job->due;
	plan_room_name(plan, job->room, room);
	dw_buf_init(&data);
	plan_data(plan, &data, job->due, job->number);
	(void)snprintf(id, sizeof(id), "%016llx-%llu", (unsigned long long)plan->run, (unsigned long long)job->number);
	message.publish.room = dw_str(room);
	message.publish.type = DW_STR("bench_update");
	message.publish.id = dw_str(id);
	message.publish.data = (struct dw_str) { data.data, data.len };
	if (dw_buf_ok(&data))
		err = dw_client_ask(lane->hub, &message, take_answer, asked);
	dw_buf_clear(&data);
	lane->polled_at = 0;
	if (err != DW_OK)
		take_answer(asked, err, NULL);
}

/* Its descriptor does not tell all: after sending, and for what is overdue, it is to be asked. */
void
hub_poll(struct lane *lane, uint64_t now)
{
	if (lane->polled_at == 0 || now >= lane->polled_at + POLL_NS) {
		lane->polled_at = now;
		(void)dw_client_poll(lane->hub, 0);
	}
	lane->publisher->loop->wake_at = now + POLL_NS;
}
