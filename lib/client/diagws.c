/* libdiagws: the public calls of diagws.h. Its names and those of diagws_updates.c are all that leaves the library.
 *
 * The happy path of a call: the arguments are checked with the rules that the hub has too, the hub is asked, and the
 * call waits for its own answer (other answers that come meanwhile go to their callbacks). Failure modes: arguments
 * that are wrong (nothing is sent, last_error says what), a hub that does not answer or refuses. Errors are the
 * numbers of err.h, of which diagws.h names those that can come.
 *
 * Invariants: every accepted request has one `struct call`; nothing waits inside a callback.
 */
#include "diagws.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/diagws_parts.h"
#include "message/msg.h"
#include "wire/wire.h"

enum { TIMEOUT_MS = 5000, WINDOW = 256, WINDOW_MAX = 4096, WAIT_MS = 1000 };
enum { DEADLINE_MS = 5000, DEADLINE_MAX_MS = 3600 * 1000, TTL_MIN_MS = 1000, DEVICES_MAX = 1000000 };

#define SAME(public_name, name) _Static_assert((int)(public_name) == (int)(name), "the public number is the list's")
SAME(DIAGWS_INVALID, DW_E_FIELD);
SAME(DIAGWS_BAD_JSON, DW_E_JSON);
SAME(DIAGWS_TOO_BIG, DW_E_TOO_BIG);
SAME(DIAGWS_NO_MEMORY, DW_E_NOMEM);
SAME(DIAGWS_CONFIG, DW_E_CONFIG);
SAME(DIAGWS_HUB_AWAY, DW_E_HUB_AWAY);
SAME(DIAGWS_TIMEOUT, DW_E_TIMEOUT);
SAME(DIAGWS_STORAGE_FULL, DW_E_STORAGE_FULL);
SAME(DIAGWS_STORAGE, DW_E_STORAGE);
SAME(DIAGWS_BUSY, DW_E_BUSY);
SAME(DIAGWS_PROTOCOL, DW_E_PROTOCOL);
SAME(DIAGWS_VERSION, DW_E_VERSION);
SAME(DIAGWS_ID_REUSED, DW_E_ID_REUSED);
SAME(DIAGWS_UNKNOWN, DW_E_UNKNOWN);
SAME(DIAGWS_UNDELIVERED, DW_E_UNDELIVERED);
SAME(DIAGWS_PERMISSION, DW_E_PERMISSION);
#undef SAME
_Static_assert(sizeof(((struct diagws_receipt *)NULL)->id) == DW_ID_MAX + 1, "a receipt holds any id");

/* A request under way: of diagws_send, freed with its last answer, or of a call that waits for it. */
struct call {
	struct diagws *d;
	struct dw_diagws_how how; /* of a message */
	struct diagws_receipt receipt;
	bool waits;
	diagws_done *done; /* unless it waits: who is told, or NULL */
	void *user;
	bool answered;
	int err;
	const struct column *columns; /* wanted of a table's first row */
	size_t count;
};

/* A number in a table's row, by its column's name. */
struct column {
	const char *name;
	uint64_t *value;
};

/* ---- open, close ---- */

int
diagws_open(struct diagws **out, const char *endpoint, const struct diagws_options *options)
{
	const char *from_env = getenv("DIAGWS_HUB");
	struct dw_client_config config = { .timeout_ms = TIMEOUT_MS, .window = WINDOW, .name = "libdiagws" };
	struct diagws *d;
	int err;

	if (options != NULL && (options->timeout_ms < 0 || options->window > WINDOW_MAX))
		return DIAGWS_INVALID;
	if (options != NULL && options->timeout_ms > 0)
		config.timeout_ms = options->timeout_ms;
	if (options != NULL && options->window > 0)
		config.window = options->window;
	if (options != NULL && options->name != NULL)
		config.name = options->name;
	config.endpoint = endpoint != NULL ? endpoint : from_env != NULL && from_env[0] != '\0' ? from_env : NULL;
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return DIAGWS_NO_MEMORY;
	d->plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
	err = d->plain != (locale_t)0 ? dw_client_new(&d->client, &config, &d->fault) : DW_E_NOMEM;
	if (err == DW_OK)
		*out = d;
	else
		diagws_close(&d);
	return err;
}

void
diagws_close(struct diagws **d_p)
{
	struct diagws *d = *d_p;

	if (d == NULL)
		return;
	d->closing = true;
	dw_client_destroy(&d->client);
	dw_buf_clear(&d->built);
	dw_buf_clear(&d->compact);
	if (d->plain != (locale_t)0)
		freelocale(d->plain);
	free(d);
	*d_p = NULL;
}

/* ---- failures ---- */

int
dw_diagws_fail(struct diagws *d, int err)
{
	if (d->fault.message[0] == '\0')
		(void)dw_fault_set(&d->fault, err, NULL, NULL, "%s", dw_err_text(err));
	return err;
}

int
dw_diagws_refuse(struct diagws *d, const char *field, const char *expected, const char *what)
{
	return dw_fault_set(&d->fault, DW_E_FIELD, field, expected, "field '%s': %s", field, what);
}

/* What ended a request: the answer's text, or what the client knows. */
static int
keep_answer(struct diagws *d, int err, const struct dw_wire *answer)
{
	if (err == DW_OK)
		return DW_OK;
	d->fault = (struct dw_fault) { 0 };
	if (answer != NULL && answer->kind == DW_DELIVERED)
		(void)dw_fault_set(&d->fault, err, NULL, NULL, "stored, but fewer devices have confirmed it in time: %llu",
			(unsigned long long)answer->delivered.count);
	else if (answer != NULL && answer->kind == DW_STORED && answer->stored.text.n > 0)
		(void)dw_fault_set(&d->fault, err, NULL, NULL, "%.*s", (int)answer->stored.text.n, answer->stored.text.p);
	else if (answer == NULL && !d->closing)
		dw_client_explain(d->client, err, &d->fault);
	return dw_diagws_fail(d, err);
}

const char *
diagws_strerror(int err)
{
	return dw_err_text(err);
}

const char *
diagws_last_error(const struct diagws *d)
{
	return d->fault.message;
}

const char *
diagws_version(void)
{
	return DW_VERSION;
}

/* ---- how the next message is sent: kept, checked, so that the hub need not refuse it ---- */

static int
check_numbers(struct diagws *d, const struct diagws_how *how)
{
	if (how->ttl_ms != 0 && (how->ttl_ms < TTL_MIN_MS || how->ttl_ms > (int64_t)DW_TTL_MAX_S * 1000))
		return dw_diagws_refuse(d, "ttl_ms", "1000 to 2592000000", "it is out of bounds");
	if (how->delivered > DEVICES_MAX)
		return dw_diagws_refuse(d, "delivered", "at most 1000000", "it is out of bounds");
	if (how->deadline_ms < 0 || how->deadline_ms > DEADLINE_MAX_MS)
		return dw_diagws_refuse(d, "deadline_ms", "1 to 3600000, or 0 for 5000", "it is out of bounds");
	return DW_OK;
}

int
diagws_next(struct diagws *d, const struct diagws_how *how)
{
	struct dw_diagws_how next = { 0 };
	int err;

	d->fault = (struct dw_fault) { 0 };
	d->next = next;
	if (how->id != NULL && (!dw_id_ok(dw_str(how->id)) || !dw_str_copy(dw_str(how->id), next.id, sizeof(next.id))))
		return dw_diagws_refuse(d, "id", "1 to 128 of A-Z a-z 0-9 _ . : -", "it is not an id");
	if (how->user != NULL &&
		(!dw_user_ok(dw_str(how->user)) || !dw_str_copy(dw_str(how->user), next.to, sizeof(next.to))))
		return dw_diagws_refuse(d, "user", "1 to 128 bytes of UTF-8 without control characters", "it is not a user id");
	if (how->exclude_session != NULL && !dw_session_parse(dw_str(how->exclude_session), &next.except))
		return dw_diagws_refuse(d, "exclude_session", "16 hexadecimal digits", "it is not a session");
	err = check_numbers(d, how);
	if (err != DW_OK)
		return err;
	next.ttl_ms = (uint64_t)how->ttl_ms;
	next.wait = how->delivered;
	next.wait_ms = how->delivered == 0 ? 0 : how->deadline_ms > 0 ? (uint64_t)how->deadline_ms : DEADLINE_MS;
	d->next = next;
	return DW_OK;
}

/* ---- sending ---- */

/* What an answer says; false: a second one follows. */
static bool
take_receipt(struct call *call, const struct dw_wire *answer)
{
	struct diagws_receipt *receipt = &call->receipt;

	if (answer != NULL && answer->kind == DW_DELIVERED)
		receipt->delivered = answer->delivered.count;
	if (answer == NULL || answer->kind != DW_STORED || answer->stored.code != 0)
		return true;
	receipt->seq = answer->stored.seq;
	receipt->n = answer->stored.n;
	receipt->duplicate = answer->stored.duplicate;
	receipt->clients_notified = answer->stored.notified;
	receipt->devices_queued = answer->stored.queued;
	return call->how.wait == 0;
}

/* Checks a message and gives it an id where the caller gave none; it points into the call and what was given. */
static int
prepare(struct call *call, struct dw_wire *message, const char *diagnosis, const char *type, struct dw_str data,
	const char *id)
{
	struct diagws *d = call->d;
	const struct dw_diagws_how *how = &call->how;
	locale_t before;
	int err;

	call->how = d->next;
	d->fault = (struct dw_fault) { 0 };
	d->next = (struct dw_diagws_how) { 0 };
	if (id == NULL && how->id[0] != '\0')
		id = how->id;
	if (id == NULL)
		dw_random_id(call->receipt.id);
	else if (!dw_id_ok(dw_str(id)) || !dw_str_copy(dw_str(id), call->receipt.id, sizeof(call->receipt.id)))
		return dw_diagws_refuse(d, "id", "1 to 128 of A-Z a-z 0-9 _ . : -", "it is not an id");
	if (!dw_room_ok(dw_str(diagnosis)))
		return dw_diagws_refuse(d, "diagnosis_id", "1 to 64 of A-Z a-z 0-9 _ -", "it is not a diagnosis id");
	if (!dw_type_ok(dw_str(type)))
		return dw_diagws_refuse(d, "type", "[a-z0-9_]{1,57}_update", "it is not a type");
	if (data.p == NULL)
		return dw_diagws_refuse(d, "data", "a JSON object", "it is missing");
	dw_buf_reset(&d->compact);
	before = uselocale(d->plain);
	err = dw_data_check(dw_str(type), data.p, data.n, &d->compact, &d->fault);
	(void)uselocale(before);
	if (err != DW_OK)
		return dw_diagws_fail(d, err);
	*message = (struct dw_wire) { .kind = DW_PUBLISH,
		.publish = { .room = dw_str(diagnosis),
			.type = dw_str(type),
			.id = dw_str(call->receipt.id),
			.data = { d->compact.data, d->compact.len },
			.to = dw_str(how->to),
			.except = how->except,
			.ttl_ms = how->ttl_ms,
			.wait = how->wait,
			.wait_ms = how->wait_ms } };
	return DW_OK;
}

static void
take_published(void *user, int err, const struct dw_wire *answer)
{
	struct call *call = user;
	struct diagws *d = call->d;

	if (!take_receipt(call, answer))
		return;
	call->err = keep_answer(d, err, answer);
	call->answered = true;
	if (call->waits)
		return;
	if (call->done != NULL && !d->closing) {
		const bool nested = d->in_callback;

		d->in_callback = true;
		call->done(call->user, call->err, &call->receipt);
		d->in_callback = nested;
	}
	free(call);
}

static int
ask_and_wait(struct call *call, const struct dw_wire *message, dw_client_done *take)
{
	struct diagws *d = call->d;
	int err;

	if (d->in_callback)
		return dw_fault_set(&d->fault, DW_E_BUSY, NULL, NULL, "a callback cannot wait for an answer");
	call->waits = true;
	err = dw_client_ask(d->client, message, take, call);
	if (err != DW_OK)
		return keep_answer(d, err, NULL);
	while (!call->answered)
		(void)dw_client_poll(d->client, WAIT_MS);
	return call->err;
}

int
diagws_publish(struct diagws *d, const char *diagnosis, const char *type, const char *data, size_t data_size,
	const char *id, struct diagws_receipt *receipt)
{
	struct call call = { .d = d };
	struct dw_wire message;
	int err = prepare(&call, &message, diagnosis, type, (struct dw_str) { data, data_size }, id);

	if (err == DW_OK)
		err = ask_and_wait(&call, &message, take_published);
	if (receipt != NULL)
		*receipt = call.receipt;
	return err;
}

int
diagws_send(struct diagws *d, const char *diagnosis, const char *type, const char *data, size_t data_size,
	const char *id, diagws_done *done, void *user)
{
	struct call *call = calloc(1, sizeof(*call));
	struct dw_wire message;
	int err;

	d->fault = (struct dw_fault) { 0 };
	if (call == NULL) {
		d->next = (struct dw_diagws_how) { 0 };
		return dw_diagws_fail(d, DW_E_NOMEM);
	}
	call->d = d;
	call->done = done;
	call->user = user;
	err = prepare(call, &message, diagnosis, type, (struct dw_str) { data, data_size }, id);
	if (err == DW_OK) {
		err = dw_client_ask(d->client, &message, take_published, call);
		if (err != DW_OK)
			err = keep_answer(d, err, NULL);
	}
	if (err != DW_OK)
		free(call);
	else
		/* Sending may have eaten the descriptor's edge: what is there is taken now. */
		(void)dw_client_poll(d->client, 0);
	return err;
}

int
diagws_poll(struct diagws *d, int64_t wait_ms)
{
	int result = dw_client_poll(d->client, wait_ms);

	return result < 0 ? keep_answer(d, result, NULL) : result;
}

int
diagws_flush(struct diagws *d)
{
	int err = dw_client_flush(d->client);

	return err < 0 ? keep_answer(d, err, NULL) : DW_OK;
}

int
diagws_fd(const struct diagws *d)
{
	return dw_client_fd(d->client);
}

/* ---- counts ---- */

/* Takes from a table's first row the columns that are asked for; the others are passed. */
static int
read_row(const struct call *call, const struct dw_table *table)
{
	const char *name = table->columns.p, *end = name + table->columns.n;
	struct dw_str cells = table->cells;

	if (cells.n == 0)
		return DW_E_UNKNOWN;
	while (name < end) {
		const char *tab = memchr(name, '\t', (size_t)(end - name));
		const size_t n = (size_t)((tab != NULL ? tab : end) - name);
		struct dw_cell cell;

		if (dw_cell_next(&cells, &cell) != DW_OK)
			return DW_E_PROTOCOL;
		for (size_t i = 0; i < call->count; i++)
			if (dw_str_is(dw_bytes(name, n), call->columns[i].name) && cell.type == DW_CELL_NUMBER && cell.number > 0)
				*call->columns[i].value = (uint64_t)cell.number;
		name += n + 1;
	}
	return DW_OK;
}

static void
take_table(void *user, int err, const struct dw_wire *answer)
{
	struct call *call = user;

	if (err == DW_OK)
		err = read_row(call, &answer->table);
	call->err = keep_answer(call->d, err, answer);
	call->answered = true;
}

static int
ask_view(struct diagws *d, const char *view, const char *room, const struct column *columns, size_t count)
{
	struct call call = { .d = d, .columns = columns, .count = count };
	const struct dw_wire message = { .kind = DW_STAT,
		.stat = { .view = dw_str(view), .room = dw_str(room), .limit = 1 } };

	d->fault = (struct dw_fault) { 0 };
	return ask_and_wait(&call, &message, take_table);
}

int
diagws_connection_counts(struct diagws *d, struct diagws_counts *counts)
{
	struct diagws_counts found = { 0 };
	const struct column columns[] = {
		{ "rooms", &found.rooms },
		{ "connections", &found.connections },
		{ "queued", &found.queued },
		{ "retained", &found.retained },
		{ "edges", &found.edges },
		{ "head", &found.head },
		{ "uptime_s", &found.uptime_s },
	};
	int err = ask_view(d, "summary", NULL, columns, sizeof(columns) / sizeof(columns[0]));

	if (err == DW_OK)
		*counts = found;
	return err;
}

int
diagws_room_info(struct diagws *d, const char *diagnosis, struct diagws_room *room)
{
	struct diagws_room found = { 0 };
	const struct column columns[] = {
		{ "connections", &found.connections },
		{ "devices", &found.devices },
		{ "queued", &found.queued },
		{ "retained", &found.retained },
		{ "head", &found.head },
		{ "oldest", &found.oldest },
		{ "n", &found.n },
	};
	int err;

	d->fault = (struct dw_fault) { 0 };
	if (!dw_room_ok(dw_str(diagnosis)))
		return dw_diagws_refuse(d, "diagnosis_id", "1 to 64 of A-Z a-z 0-9 _ -", "it is not a diagnosis id");
	err = ask_view(d, "room", diagnosis, columns, sizeof(columns) / sizeof(columns[0]));
	if (err == DW_OK)
		*room = found;
	return err;
}
