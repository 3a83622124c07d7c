/* Sending: see publisher.h. What is to be sent next, and what an answer means, is the same for both ways: a connection
 * of lib/client/client.c to the hub, or HTTP/1.1 POSTs over a connection that is kept, one at a time.
 *
 * Of a POST's answer the status counts: any 2xx is an acknowledgment; the body (Content-Length or chunks) is thrown
 * away. A connection that the server closed while it was idle is opened anew. Failure modes: no memory; the hub is away
 * or refuses, no connection, another status, an answer that is no HTTP or over its bound: the message is counted as
 * rejected, and the first one's reason is kept.
 */
#include "publisher.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <utlist.h>

#include "cli/command.h"
#include "client/client.h"

#define LAST_CHUNK "\r\n0\r\n\r\n"

enum { POLL_NS = 20 * 1000000, WAIT_MS = 100, NOT_ANSWERED = 1 };
enum { ANSWER_MAX = 256 * 1024, READ_BYTES = 16 * 1024 };

/* A message from when it is due until it is answered. */
struct job {
	struct job *prev, *next; /* while it waits */
	struct lane *lane;
	uint64_t number, due;
	uint32_t room;
};

struct lane {
	struct stream stream; /* the first member; its source is the hub's, too */
	struct publisher *publisher;
	struct job *jobs;           /* utlist: those that wait, the oldest first */
	size_t pending, unanswered; /* with those that wait, and without */
	struct dw_client *hub;      /* NULL: by POST */
	int greeting;               /* how the hub answered the first request */
	uint64_t polled_at;
	struct job *posted; /* NULL: no POST is unanswered */
	struct dw_buf answer;
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
close_post(struct lane *lane)
{
	stream_close(&lane->stream);
	dw_buf_clear(&lane->answer);
}

static void
end_post(struct lane *lane, int err, const char *text)
{
	struct job *job = lane->posted;

	lane->posted = NULL;
	if (job != NULL)
		end_job(job, err, text);
}

static void
fail_post(struct lane *lane, int err, const char *what, const char *why)
{
	struct dw_fault fault;

	(void)dw_fault_set(&fault, err, NULL, NULL, "%s '%s': %s", what, lane->publisher->plan->publish.host, why);
	close_post(lane);
	end_post(lane, err, fault.message);
}

/* What has come is a whole answer: 1; 0: not yet, -1: it is none. As one request is sent at a time, nothing follows. */
static int
read_answer(const struct dw_buf *in, int *status, bool *closes)
{
	const char *end = memmem(in->data, in->len, "\r\n\r\n", 4), *value;
	const size_t last_n = strlen(LAST_CHUNK);
	unsigned long size;

	if (in->len > ANSWER_MAX || (in->len >= 9 && strncmp(in->data, "HTTP/1.", 7) != 0))
		return -1;
	if (end == NULL)
		return 0;
	*status = (int)strtol(in->data + 8, NULL, 10);
	value = head_value(in->data, end, "Connection:");
	*closes = in->data[7] == '0' || (value != NULL && strncasecmp(value, "close", 5) == 0);
	value = head_value(in->data, end, "Transfer-Encoding:");
	if (value != NULL && strncasecmp(value, "chunked", 7) == 0)
		return memcmp(in->data + in->len - last_n, LAST_CHUNK, last_n) == 0;
	value = head_value(in->data, end, "Content-Length:");
	size = value != NULL ? strtoul(value, NULL, 10) : 0;
	if (size > ANSWER_MAX)
		return -1;
	return in->len - (size_t)(end + 4 - in->data) >= size;
}

static void
take_answer(struct lane *lane)
{
	bool closes = false;
	int status = 0, err = DW_E_FIELD;
	const int whole = read_answer(&lane->answer, &status, &closes);
	struct dw_fault fault;

	if (whole < 0 || (whole > 0 && lane->posted == NULL)) {
		fail_post(lane, DW_E_PROTOCOL, "the answer of", "is no HTTP, or too long");
		return;
	}
	if (whole == 0)
		return;
	if (closes || lane->stream.out.len > 0)
		close_post(lane);
	else
		dw_buf_reset(&lane->answer);
	if (status >= 200 && status <= 299)
		err = DW_OK;
	else if (status == 401 || status == 403)
		err = DW_E_DENIED;
	else if (status >= 500)
		err = DW_E_BUSY;
	(void)dw_fault_set(&fault, err, NULL, NULL, "'%s' answers %d", lane->publisher->plan->publish.host, status);
	end_post(lane, err, fault.message);
}

static void
flush(struct lane *lane)
{
	if (!stream_flush(&lane->stream))
		fail_post(lane, DW_E_HUB_AWAY, "cannot send to", strerror(errno));
}

static void
on_posted(struct source *source, uint32_t events)
{
	struct lane *lane = (struct lane *)source;
	char *to;
	ssize_t n;

	if (lane->stream.fd >= 0 && (events & EPOLLOUT) != 0)
		flush(lane);
	if (lane->stream.fd < 0 || (events & ~(uint32_t)EPOLLOUT) == 0)
		return;
	to = dw_buf_room(&lane->answer, READ_BYTES);
	n = to != NULL ? recv(lane->stream.fd, to, READ_BYTES, MSG_DONTWAIT) : 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		fail_post(lane, DW_E_HUB_AWAY, "no answer of", n < 0 ? strerror(errno) : "it closed the connection");
		return;
	}
	dw_buf_grow(&lane->answer, (size_t)n);
	take_answer(lane);
}

static void
post(struct lane *lane, struct job *job)
{
	const struct plan *plan = lane->publisher->plan;

	plan_post(plan, &lane->stream.out, job->room, job->due, job->number);
	lane->posted = job;
	lane->stream.source.ready = on_posted;
	if (!dw_buf_ok(&lane->stream.out))
		fail_post(lane, DW_E_NOMEM, "cannot send to", "no memory");
	else if (lane->stream.fd < 0 && !stream_open(&lane->stream, lane->publisher->loop, &plan->publish, NULL))
		fail_post(lane, DW_E_HUB_AWAY, "cannot connect to", strerror(errno));
	else
		flush(lane);
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
	lane->stream.source.ready = on_hub;
	return loop_add(lane->publisher->loop, dw_client_fd(lane->hub), &lane->stream.source) ? DW_OK : DW_E_NOMEM;
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
		lane->stream.fd = -1;
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
		close_post(lane);
		free(lane->posted);
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
			if (lane->hub != NULL)
				send_to_hub(lane, job);
			else
				post(lane, job);
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
