/* What became of each message that was sent to the clients.
 * Its "sent" and "number" are found by a plain search, first at the place where they were in the one before. Failure
 * modes: a hole (counted as lost until it comes late), a number twice, a connection that ends. Invariant: `owed` is the
 * sum over READY clients of what owed_to gives.
 */
#include <string.h>

#include "crowd.h"

/* How many messages a client has yet to get. One that was passed over counts only where it was sent together with the
 * one that came: it may still be under way. Else it is lost, or late. */
static uint64_t
owed_to(const struct crowd *crowd, const struct client *client)
{
	const struct room *room = &crowd->rooms[client->room];

	return room->target + 1 - client->order.next + order_open(&client->order, room->floor);
}

static void
note_caught_up(struct crowd *crowd, const struct client *client, uint64_t now)
{
	if (client->state == CLIENT_READY && client->order.next > crowd->rooms[client->room].target)
		histogram_add_since(crowd->caught, client->due, now);
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
	histogram_add_since(crowd->connects, client->due, now);
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

/* Reads the number behind a key that ends at p[i]: "key": 1, or \"key\":1 where the message stands in a JSON string. */
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
	histogram_add_since(crowd->latency, sent, now);
}

void
crowd_message(struct crowd *crowd, struct client *client, const char *p, size_t n, uint64_t now)
{
	const char *ready = bench_options.ready;
	uint64_t sent, number, seq;

	if (client->state == CLIENT_WAITING && memmem(p, n, ready, strlen(ready)) != NULL)
		crowd_ready(crowd, client, now);
	if (!client->joined || !find_number(&crowd->sent, p, n, &sent) || !find_number(&crowd->number, p, n, &number))
		return;
	if (sent < crowd->begun_at || sent > now || number == 0 || number > crowd->rooms[client->room].target)
		return;
	if (crowd->wants_seq)
		client->seq = find_number(&crowd->seq, p, n, &seq) ? seq : number;
	take_update(crowd, client, sent, number, now);
}
