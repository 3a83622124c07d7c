/* Steps of clients: WebSockets and polls. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t EXPIRES = 4000000000; /* of every token, s since 1970 */

/* ---- clients */

/* Where a client begins. False: it names what is not there. */
static bool
read_from(struct sim_from *from)
{
	const char *after = option("after"), *epoch = option("epoch");

	*from = (struct sim_from) { 0 };
	if (epoch != NULL)
		(void)dw_str_copy(dw_str(strcmp(epoch, "first") == 0 ? world.first_epoch
								 : strcmp(epoch, "now") == 0 ? hub_epoch()
															 : "another"),
			from->epoch, sizeof(from->epoch));
	if (after == NULL)
		return true;
	from->after_new = strcmp(after, "new") == 0;
	from->has_after = !from->after_new;
	if (strcmp(after, "last") == 0)
		from->after = poll_last();
	else if (after[0] == '+')
		from->after = hub_head() + strtoull(after + 1, NULL, 10);
	else if (after[0] >= '0' && after[0] <= '9')
		from->after = strtoull(after, NULL, 10);
	else if (from->has_after && find_sent(after) != NULL)
		from->after = find_sent(after)->seq;
	else
		return from->after_new;
	return true;
}

void
do_open(void)
{
	const int edge = edge_of(word(2));
	struct sim_from from;

	if (!is_there(edge) || client_find(word(1)) != NULL || !read_from(&from)) {
		noop();
		return;
	}
	client_open(word(1), edge, word(3), word(4), word(5), &from, flag("derived"), flag("ack"), flag("claim"), EXPIRES);
	settle();
}

/* One that can do something now. */
static struct client *
active(bool hub)
{
	struct client *client = client_find(word(1));

	if (client == NULL || world.stopped[client_edge(client)] || client_frozen(client) ||
		(hub && world.away[client_edge(client)])) {
		noop();
		return NULL;
	}
	return client;
}

void
do_sub(void)
{
	struct client *client = active(true);
	struct dw_buf json = { 0 };
	struct sim_from from;

	if (client == NULL)
		return;
	if (!read_from(&from)) {
		noop();
		return;
	}
	dw_buf_addf(&json, "{\"type\":\"subscribe\",\"diagnosis_id\":\"%s\"", word(2));
	if (from.after_new)
		dw_buf_adds(&json, ",\"after\":\"new\"");
	if (from.has_after)
		dw_buf_addf(&json, ",\"after\":%llu", (unsigned long long)from.after);
	if (from.epoch[0] != '\0')
		dw_buf_addf(&json, ",\"epoch\":\"%s\"", from.epoch);
	dw_buf_addc(&json, '}');
	client_say(client, json.data);
	dw_buf_clear(&json);
	settle();
}

void
do_unsub(void)
{
	struct client *client = active(true);
	char json[200];

	if (client == NULL)
		return;
	(void)snprintf(json, sizeof(json), "{\"type\":\"unsubscribe\",\"diagnosis_id\":\"%s\"}", word(2));
	client_say(client, json);
	settle();
}

void
do_pong(void)
{
	struct client *client = active(false);
	const struct sent *sent = words_given() > 2 ? find_sent(word(2)) : NULL;

	if (client == NULL)
		return;
	if ((words_given() > 2 && sent == NULL && !client_many(client)) ||
		!client_pong(client, sent != NULL ? sent->seq : 0)) {
		noop();
		return;
	}
	tick_links();
}

static void
say_ack(struct client *client, const struct sent *sent)
{
	char json[200];

	(void)snprintf(json, sizeof(json), "{\"type\":\"ack\",\"seq\":%llu,\"diagnosis_id\":\"%s\"}",
		(unsigned long long)sent->seq, sent->room);
	client_say(client, json);
}

void
do_ack(void)
{
	struct client *client = active(false);
	const struct sent *sent = find_sent(word(2));

	if (client == NULL)
		return;
	if (sent == NULL) {
		noop();
		return;
	}
	say_ack(client, sent);
	tick_links();
}

void
do_close(void)
{
	struct client *client = client_find(word(1));
	const struct sent *sent = option("ack") != NULL ? find_sent(option("ack")) : NULL;

	if (client == NULL || world.stopped[client_edge(client)]) {
		noop();
		return;
	}
	/* It goes before its edge has told the hub of that. */
	if (sent != NULL && !client_frozen(client))
		say_ack(client, sent);
	client_close(client);
	settle();
}

void
do_freeze(void)
{
	struct client *client = active(false);

	if (client != NULL)
		client_freeze(client);
}

void
do_thaw(void)
{
	struct client *client = client_find(word(1));

	if (client == NULL || !client_frozen(client) || world.stopped[client_edge(client)]) {
		noop();
		return;
	}
	client_thaw(client);
	settle();
}

void
do_poll(void)
{
	const int edge = edge_of(word(1));
	struct sim_from from;

	if (!is_there(edge) || !read_from(&from) || from.after_new) {
		noop();
		return;
	}
	edge_poll(edge, "", word(2), word(3), &from, number_option("limit", 0), flag("claim"));
	settle();
}

void
do_wait(void)
{
	const int edge = edge_of(word(2));
	struct sim_from from;

	if (!is_there(edge) || poll_waits(word(1)) || !read_from(&from) || from.after_new) {
		noop();
		return;
	}
	edge_poll(edge, word(1), word(3), word(4), &from, number_option("limit", 0), flag("claim"));
	settle();
}
