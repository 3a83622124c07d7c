/* A client's connection to the hub: one DEALER, a window of unanswered requests, answers paired by `corr`.
 * Its own file because the library and three commands share it; an edge has a loop, and a connection of its own.
 *
 * The happy path: HELLO until WELCOME, then each request goes out as it is asked (those that were asked before it
 * could, or while answers are taken, together), and the answer ends it. Which answer belongs to whom is pending.c's
 * affair.
 *
 * Failure modes: no hub (nothing can be sent: retried with a growing pause until the deadlines pass); a hub that
 * restarted (it answers WHO, to a PING at the latest: HELLO with a higher incarnation, then all that is unanswered
 * again, oldest first, and what waits for devices waits there for the rest of its time only); a hub that refuses us or
 * does not speak the protocol (ends everything, for good).
 *
 * Invariants: after every send the bus is drained again, because
 * its descriptor is edge-triggered.
 */
#include "client/client.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/paths.h"
#include "client/pending.h"
#include "wire/bus.h"

enum {
	NAME_MAX_BYTES = 128,
	QUIET_MS = 1000, /* silence after which we ask again: PING, or HELLO when not welcomed */
	PAUSE_MAX_MS = 50,
	GRACE_MS = 1000,              /* so long after its deadline comes the hub's word on who has it */
	UNSTORED_BYTES = 1024 * 1024, /* beyond: only what is alone. The hub has a share for each sender: far within */
};

enum state {
	STRANGER, /* HELLO is to be sent */
	GREETED,  /* HELLO was sent */
	WELCOMED,
};

struct dw_client {
	struct dw_bus *bus;
	enum state state;
	char name[NAME_MAX_BYTES + 1];
	char *endpoint;
	uint64_t peer, incarnation;
	uint64_t heard_at;  /* any frame; 0: never */
	uint64_t spoken_at; /* HELLO or PING */
	uint64_t retry_at;  /* nothing can be sent before */
	uint64_t pause_ms;  /* grows while no hub is connected */
	bool ever_welcomed;
	bool polling; /* `done` may ask, but not poll */
	bool gathers;
	size_t gathered; /* bytes asked for since something was last sent */
	int failed;      /* the error that ended everything */
	struct dw_fault fault;
	struct dw_pendings asked;
};

static int
set_up(struct dw_client *client, const struct dw_client_config *config)
{
	char endpoint[DW_PATH_SIZE];

	client->peer = dw_random();
	client->pause_ms = 1;
	client->gathers = config->gathers;
	(void)snprintf(client->name, sizeof(client->name), "%s", config->name != NULL ? config->name : "client");
	if (config->endpoint == NULL)
		dw_default_endpoint(false, endpoint);
	client->asked = (struct dw_pendings) { .window = config->window,
		.bytes_max = UNSTORED_BYTES,
		.timeout_ms = (uint64_t)config->timeout_ms,
		.grace_ms = config->timeout_ms < GRACE_MS ? (uint64_t)config->timeout_ms : GRACE_MS };
	client->endpoint = strdup(config->endpoint != NULL ? config->endpoint : endpoint);
	if (client->endpoint == NULL)
		return DW_E_NOMEM;
	return dw_pendings_init(&client->asked);
}

int
dw_client_new(struct dw_client **out, const struct dw_client_config *config, struct dw_fault *fault)
{
	struct dw_client *client = calloc(1, sizeof(*client));
	int err;

	assert(config->timeout_ms >= 0);
	if (client == NULL)
		return DW_E_NOMEM;
	err = set_up(client, config);
	if (err == DW_OK)
		err =
			dw_bus_connect(&client->bus, client->endpoint, config->beside != NULL ? config->beside->bus : NULL, fault);
	if (err == DW_OK)
		*out = client;
	else
		dw_client_destroy(&client);
	return err;
}

static int
end_all(struct dw_client *client, int err)
{
	client->failed = err;
	dw_pendings_end_all(&client->asked, err);
	return err;
}

/* What could not be sent is tried again after a pause. */
static bool
note_sent(struct dw_client *client, bool sent)
{
	if (sent) {
		client->pause_ms = 1;
	} else {
		client->retry_at = dw_mono_ms() + client->pause_ms;
		client->pause_ms = client->pause_ms * 2 < PAUSE_MAX_MS ? client->pause_ms * 2 : PAUSE_MAX_MS;
	}
	return sent;
}

static bool
send_message(struct dw_client *client, const struct dw_wire *message)
{
	struct dw_buf frame = { 0 };
	bool sent;

	dw_wire_pack(&frame, message);
	sent = note_sent(client, dw_buf_ok(&frame) && dw_bus_send(client->bus, frame.data, frame.len) == DW_OK);
	dw_buf_clear(&frame);
	if (sent)
		client->spoken_at = dw_mono_ms();
	return sent;
}

static void
greet(struct dw_client *client)
{
	struct dw_wire hello = { .kind = DW_HELLO };

	hello.hello.version = dw_protocol_version();
	hello.hello.kind = DW_PEER_CLIENT;
	hello.hello.peer = client->peer;
	hello.hello.incarnation = client->incarnation + 1;
	hello.hello.name = dw_str(client->name);
	if (!send_message(client, &hello))
		return;
	client->incarnation++;
	client->state = GREETED;
}

/* Says what is due, as far as the bus takes it. */
static void
speak(struct dw_client *client, uint64_t now)
{
	const uint64_t last = client->heard_at > client->spoken_at ? client->heard_at : client->spoken_at;
	const bool quiet = now >= last + QUIET_MS;

	if (now < client->retry_at)
		return;
	if (client->state == STRANGER || (client->state == GREETED && quiet)) {
		greet(client);
		return;
	}
	if (client->state != WELCOMED)
		return;
	client->gathered = 0;
	if (client->asked.unsent != NULL)
		(void)note_sent(client, dw_pendings_send(&client->asked, client->bus));
	if (quiet && client->asked.count > 0 && client->asked.unsent == NULL) {
		struct dw_wire ping = { .kind = DW_PING };

		(void)send_message(client, &ping);
	}
}

/* A hub that has no time for us now may have it in a second; one that speaks otherwise will not. */
static int
take_refusal(struct dw_client *client, const struct dw_refused *refused)
{
	int err = refused->code > 0 && refused->code <= 9999 ? -(int)refused->code : DW_E_PROTOCOL;

	if (err == DW_E_BUSY || err == DW_E_CLOSING || err == DW_E_NOMEM)
		return DW_OK;
	return dw_fault_set(&client->fault, err, NULL, NULL, "%.*s", (int)refused->text.n, refused->text.p);
}

static int
take_message(struct dw_client *client, const struct dw_wire *message)
{
	switch (message->kind) {
	case DW_WHO:
		/* While greeted it answers what was sent before the HELLO. */
		if (client->state == WELCOMED)
			client->state = STRANGER;
		return DW_OK;
	case DW_WELCOME:
		if (client->state != GREETED || message->welcome.incarnation != client->incarnation)
			return DW_OK;
		client->state = WELCOMED;
		client->ever_welcomed = true;
		dw_pendings_unsend(&client->asked);
		return DW_OK;
	case DW_REFUSED:
		return take_refusal(client, &message->refused);
	case DW_STORED:
	case DW_DELIVERED:
	case DW_TABLE:
	case DW_OWNED:
		(void)dw_pendings_answer(&client->asked, message);
		return DW_OK;
	case DW_PONG:
	case DW_SHUTDOWN:
		return DW_OK;
	default:
		return dw_fault_set(
			&client->fault, DW_E_PROTOCOL, NULL, NULL, "the hub sent a message that is not for clients");
	}
}

/* Takes all frames that are there; *any says whether there was one. */
static int
drain(struct dw_client *client, bool *any)
{
	int err = DW_OK;

	*any = false;
	while (err == DW_OK) {
		struct dw_wire message;
		struct dw_str frame;

		if (dw_bus_recv(client->bus, &frame) != DW_OK)
			break;
		if (!*any)
			client->heard_at = dw_mono_ms();
		*any = true;
		do {
			err = dw_wire_next(&frame, &message, &client->fault);
			if (err == DW_E_NOMEM) {
				/* An answer may be lost: after the next HELLO all that is unanswered is sent again. */
				client->state = STRANGER;
				return DW_OK;
			}
			if (err != DW_OK)
				return DW_E_PROTOCOL;
			err = take_message(client, &message);
		} while (err == DW_OK && frame.n > 0);
	}
	return err;
}

/* How long nothing needs to be said or ended. */
static uint64_t
idle_ms(const struct dw_client *client, uint64_t now)
{
	uint64_t until = now + QUIET_MS;

	if ((client->asked.unsent != NULL || client->state == STRANGER) && client->retry_at < until)
		until = client->retry_at;
	if (client->asked.first != NULL && client->asked.look_at < until)
		until = client->asked.look_at;
	return until > now ? until - now : 1;
}

static int
poll_hub(struct dw_client *client, uint64_t wait_ms)
{
	const uint64_t before = client->asked.ended;
	uint64_t now = dw_mono_ms();
	const uint64_t end = now + wait_ms;

	for (;;) {
		bool any = true;

		while (any) {
			int err;

			speak(client, now);
			err = drain(client, &any);
			if (err != DW_OK)
				return end_all(client, err);
			now = dw_mono_ms();
		}
		dw_pendings_expire(&client->asked, now, client->ever_welcomed ? client->heard_at : 0);
		if (client->asked.count == 0 || client->asked.ended != before || now >= end)
			return (int)client->asked.count;
		wait_ms = idle_ms(client, now);
		(void)dw_bus_wait(client->bus, (int64_t)(wait_ms < end - now ? wait_ms : end - now));
		now = dw_mono_ms();
	}
}

int
dw_client_poll(struct dw_client *client, int64_t wait_ms)
{
	int result;

	if (client->failed != DW_OK)
		return client->failed;
	if (client->polling)
		return (int)client->asked.count;
	client->polling = true;
	result = poll_hub(client, wait_ms > 0 ? (uint64_t)wait_ms : 0);
	client->polling = false;
	return result;
}

static int
wait_for_room(struct dw_client *client)
{
	while (client->failed == DW_OK && dw_pendings_full(&client->asked)) {
		/* `done` is asking while others are being ended: none of them is its to wait for. */
		if (client->polling)
			return DW_E_BUSY;
		(void)dw_client_poll(client, QUIET_MS);
	}
	return client->failed;
}

bool
dw_client_has_room(const struct dw_client *client)
{
	return !dw_pendings_full(&client->asked);
}

int
dw_client_ask(struct dw_client *client, const struct dw_wire *request, dw_client_done *done, void *user)
{
	int err = wait_for_room(client);
	const struct dw_pending *pending;

	if (err != DW_OK)
		return err;
	pending = dw_pendings_add(&client->asked, request, done, user);
	if (pending == NULL)
		return DW_E_NOMEM;
	client->gathered += pending->frame.len;
	/* Who polls speaks when all answers that are there were taken. */
	if (!client->polling && (!client->gathers || client->gathered >= DW_WIRE_TOGETHER))
		speak(client, pending->since);
	return DW_OK;
}

int
dw_client_flush(struct dw_client *client)
{
	int left;

	if (client->polling)
		return DW_E_BUSY;
	do
		left = dw_client_poll(client, QUIET_MS);
	while (left > 0);
	return left;
}

int
dw_client_fd(const struct dw_client *client)
{
	return dw_bus_fd(client->bus);
}

void
dw_client_explain(const struct dw_client *client, int err, struct dw_fault *fault)
{
	if (err == DW_E_HUB_AWAY)
		(void)dw_fault_set(fault, err, NULL, NULL, "the hub at '%s' does not answer", client->endpoint);
	else if (err == client->failed && client->fault.message[0] != '\0')
		*fault = client->fault;
	else
		(void)dw_fault_set(fault, err, NULL, NULL, "%s", dw_err_text(err));
}

void
dw_client_destroy(struct dw_client **client_p)
{
	struct dw_client *client = *client_p;

	if (client == NULL)
		return;
	if (client->state == WELCOMED) {
		struct dw_wire bye = { .kind = DW_BYE };

		(void)send_message(client, &bye);
	}
	(void)end_all(client, DW_E_CLOSING);
	dw_bus_destroy(&client->bus);
	dw_pendings_clear(&client->asked);
	free(client->endpoint);
	free(client);
	*client_p = NULL;
}
