/* Its own file because what is counted, and how, is one thing, and how bytes come in (client.c) another.
 *
 * The happy path of a message: its "sent" and "number" are found by a plain search, at the place where they were in the
 * one before; the number is the one that the client's room comes to next. Failure modes: a hole (counted as lost until
 * it comes late), a number twice, a connection that ends. Invariant: `owed` is the sum over READY clients of
 * what owed_to gives.
 */
#include "crowd.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "frame.h"

enum { FILES_BESIDE = 256, STARTS_IN_A_TURN = 64, PONGS_BYTES = 64 * FRAME_MASKED_MAX };

static int
raise_limit(uint32_t clients, struct dw_fault *fault)
{
	const rlim_t wanted = (rlim_t)clients + FILES_BESIDE;
	struct rlimit limit, more;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
		return DW_OK;
	more = (struct rlimit) { wanted, limit.rlim_max > wanted ? limit.rlim_max : wanted };
	if (setrlimit(RLIMIT_NOFILE, &more) == 0)
		return DW_OK;
	return dw_fault_set(fault, DW_E_CONFIG, NULL, "a hard limit (ulimit -Hn) of as many",
		"%u connections need %llu open files, and only %llu are allowed", clients, (unsigned long long)wanted,
		(unsigned long long)limit.rlim_max);
}

int
crowd_init(struct crowd *crowd, const struct plan *plan, struct loop *loop, struct dw_fault *fault)
{
	const struct options *options = plan->options;

	*crowd = (struct crowd) {
		.plan = plan,
		.loop = loop,
		.count = plan->clients,
		.no_confirm = options->no_confirm,
		.ready_text = options->ready,
		.ready_n = strlen(options->ready),
		.begun_at = now_ns(),
		.count_from = UINT64_MAX,
		.sent = { "\"sent", 5, 0 },
		.number = { "\"number", 7, 0 },
		.seq = { "\"seq", 4, 0 },
		.random = dw_random() | 1,
	};
	crowd->clients = calloc((size_t)plan->clients + 1, sizeof(*crowd->clients));
	crowd->rooms = calloc(plan->rooms, sizeof(*crowd->rooms));
	crowd->buffer = malloc(FRAME_MAX + FRAME_HEADER_MAX);
	crowd->pongs = malloc(PONGS_BYTES);
	if (crowd->clients == NULL || crowd->rooms == NULL || crowd->buffer == NULL || crowd->pongs == NULL)
		return DW_E_NOMEM;
	for (uint32_t i = 0; i < plan->clients; i++) {
		crowd->clients[i].fd = -1;
		crowd->clients[i].index = i;
		crowd->clients[i].room = plan_room_of(plan, i);
		crowd->clients[i].crowd = crowd;
	}
	return raise_limit(plan->clients + (uint32_t)options->senders, fault);
}

void
crowd_clear(struct crowd *crowd)
{
	for (uint32_t i = 0; crowd->clients != NULL && i < crowd->count && crowd->clients[i].crowd != NULL; i++)
		client_cut(&crowd->clients[i]);
	free(crowd->clients);
	free(crowd->rooms);
	free(crowd->buffer);
	free(crowd->pongs);
	*crowd = (struct crowd) { 0 };
}

uint64_t
crowd_connect(struct crowd *crowd, uint64_t now, uint64_t rate, uint32_t concurrency)
{
	for (uint32_t i = 0; crowd->started < crowd->count; i++) {
		const uint64_t due = rate > 0 ? crowd->start_at + crowd->started * UINT64_C(1000000000) / rate : now;

		if (crowd->unfinished >= concurrency)
			return LOOP_IDLE;
		if (due > now)
			return due;
		/* What has come meanwhile is not to wait for all of them. */
		if (i == STARTS_IN_A_TURN)
			return now;
		crowd->started++;
		client_open(&crowd->clients[crowd->started - 1], due, UINT64_MAX);
	}
	return LOOP_IDLE;
}

/* What a client has yet to get. One that was passed over is lost, or late, unless it is under way together with the
 * one that came. */
static uint64_t
owed_to(const struct crowd *crowd, const struct client *client)
{
	const struct room *room = &crowd->rooms[client->room];

	return room->target + 1 - client->order.next + order_open(&client->order, room->floor);
}

static void
note_caught_up(struct crowd *crowd, const struct client *client, uint64_t now)
{
	if (crowd->caught != NULL && client->state == CLIENT_READY &&
		client->order.next > crowd->rooms[client->room].target)
		histogram_add(crowd->caught, (now - client->due + 500) / 1000);
}

void
crowd_ready(struct crowd *crowd, struct client *client, uint64_t now)
{
	struct room *room = &crowd->rooms[client->room];

	if (!client->joined)
		order_init(&client->order, room->target + 1);
	client->joined = true;
	client->state = CLIENT_READY;
	crowd->owed += owed_to(crowd, client);
	room->up++;
	crowd->ready++;
	crowd->unfinished--;
	crowd->loop->progress_at = now;
	if (crowd->connects != NULL)
		histogram_add(crowd->connects, (now - client->due + 500) / 1000);
	note_caught_up(crowd, client, now);
}

void
crowd_forget(struct crowd *crowd, struct client *client)
{
	struct room *room = &crowd->rooms[client->room];

	if (client->state == CLIENT_READY) {
		crowd->owed -= owed_to(crowd, client);
		room->up--;
		crowd->ready--;
	} else if (client->state != CLIENT_DOWN) {
		crowd->unfinished--;
	}
	client->state = CLIENT_DOWN;
}

void
crowd_down(struct crowd *crowd, struct client *client, int err, const char *format, ...)
{
	char what[200];
	va_list args;

	if (client->state != CLIENT_READY)
		crowd->failed++;
	crowd->errors++;
	client_cut(client);
	if (crowd->err != DW_OK)
		return;
	va_start(args, format);
	(void)vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	crowd->err = dw_fault_set(&crowd->fault, err, NULL, NULL, "client %u: %s", client->index, what);
}

void
crowd_issue(struct crowd *crowd, uint32_t room, uint64_t number)
{
	crowd->rooms[room].target = number;
	crowd->owed += crowd->rooms[room].up;
}

uint64_t
crowd_lost(const struct crowd *crowd, bool final)
{
	uint64_t lost = crowd->holes;

	for (uint32_t i = 0; i < crowd->count; i++) {
		const struct client *client = &crowd->clients[i];

		if (client->joined && (final || client->state == CLIENT_DOWN))
			lost += crowd->rooms[client->room].target + 1 - client->order.next;
	}
	return lost;
}

/* The number behind a key that ends before p[i]: "key": 1, and \"key\":1 where the message is a text within a text. */
static bool
read_number(const char *p, size_t n, size_t i, uint64_t *value)
{
	uint64_t sum = 0;

	if (i >= n || (p[i] != '"' && p[i] != '\\'))
		return false;
	while (i < n && (p[i] == '"' || p[i] == '\\' || p[i] == ':' || p[i] == ' '))
		i++;
	if (i >= n || p[i] < '0' || p[i] > '9')
		return false;
	for (; i < n && p[i] >= '0' && p[i] <= '9'; i++)
		sum = sum * 10 + (uint64_t)(p[i] - '0');
	*value = sum;
	return true;
}

static bool
find_number(struct field *field, const char *p, size_t n, uint64_t *value)
{
	const char *found;
	size_t at = field->at;

	if (at + field->n <= n && memcmp(p + at, field->key, field->n) == 0 && read_number(p, n, at + field->n, value))
		return true;
	for (at = 0; (found = memmem(p + at, n - at, field->key, field->n)) != NULL; at += field->n) {
		at = (size_t)(found - p);
		if (read_number(p, n, at + field->n, value)) {
			field->at = at;
			return true;
		}
	}
	return false;
}

static void
take_update(struct crowd *crowd, struct client *client, uint64_t sent, uint64_t number, uint64_t now)
{
	const struct room *room = &crowd->rooms[client->room];
	const uint64_t owed = owed_to(crowd, client);
	uint64_t skipped = 0;

	switch (order_take(&client->order, number, &skipped)) {
	case ORDER_AGAIN:
		crowd->repeated++;
		return;
	case ORDER_LATE:
		crowd->holes--;
		crowd->disordered += number < room->floor;
		break;
	case ORDER_NEXT:
		crowd->holes += skipped;
		note_caught_up(crowd, client, now);
		break;
	}
	if (client->state == CLIENT_READY)
		crowd->owed -= owed - owed_to(crowd, client);
	crowd->last_at = now;
	crowd->loop->progress_at = now;
	if (sent < crowd->count_from)
		return;
	crowd->deliveries++;
	if (crowd->latency != NULL)
		histogram_add(crowd->latency, (now - sent + 500) / 1000);
}

void
crowd_message(struct crowd *crowd, struct client *client, const char *p, size_t n, uint64_t now)
{
	uint64_t sent, number, seq;

	if (client->state == CLIENT_WAITING && memmem(p, n, crowd->ready_text, crowd->ready_n) != NULL)
		crowd_ready(crowd, client, now);
	if (!client->joined || !find_number(&crowd->sent, p, n, &sent) || !find_number(&crowd->number, p, n, &number))
		return;
	if (sent < crowd->begun_at || sent > now || number == 0 || number > crowd->rooms[client->room].target)
		return;
	if (crowd->wants_seq)
		client->seq = find_number(&crowd->seq, p, n, &seq) ? seq : number;
	take_update(crowd, client, sent, number, now);
}
