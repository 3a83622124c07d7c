/* See pump.h. Its own folder because nothing else speaks to the hub for the clinic.
 *
 * The happy path: of the first ROWS rows that wait, each diagnosis's first is sent, as far as the window has room;
 * answers are noted as they come, in the callback, and written down together, in one commit. So what a diagnosis is
 * told keeps its order, also where one push fails for a while and those behind it would not. Failure modes: an answer
 * that says never (the row is marked), one that says that its id was used for something else (the file was brought
 * back from a copy: the row gets another id, and is sent again), one that says not now or none at all (the connection
 * is given up and everything is read again from the first row), a file that cannot be written (the notes are kept for
 * the next turn).
 *
 * Invariants: flights and notes together are at most WINDOW, so that a note always has a place; less than half of the
 * library's own window of bytes is used, so that diagws_send never waits.
 */
#include "push/pump.h"

#include <stdio.h>
#include <stdlib.h>

#include "diagws.h"
#include "message/msg.h"
#include "sql/db.h"

enum { WINDOW = 64, ROWS = 4 * WINDOW, BYTES_MAX = 512 * 1024, WHY_SIZE = 256 };

/* A row that was sent, and what was answered. */
struct flight {
	struct pump *pump;
	int64_t row; /* 0: free */
	char diagnosis[DW_ROOM_MAX + 1], message[DW_ID_MAX + 1];
	size_t bytes;
	bool answered, refused, reused;
	char why[WHY_SIZE]; /* of a refused one */
};

struct pump {
	struct db *db;
	const char *endpoint;
	int64_t timeout_ms;
	struct diagws *d; /* NULL: not connected */
	struct flight flights[WINDOW];
	size_t under_way, bytes, noted;
	uint64_t refused;
	int err; /* why it gives up, as soon as nothing is under way */
	struct dw_fault fault;
};

int
pump_new(struct pump **out, struct db *db, const char *endpoint, int64_t timeout_ms)
{
	struct pump *pump = calloc(1, sizeof(*pump));

	if (pump == NULL)
		return DW_E_NOMEM;
	pump->db = db;
	pump->endpoint = endpoint;
	pump->timeout_ms = timeout_ms;
	*out = pump;
	return DW_OK;
}

void
pump_destroy(struct pump **pump_p)
{
	struct pump *pump = *pump_p;

	*pump_p = NULL;
	if (pump == NULL)
		return;
	diagws_close(&pump->d);
	free(pump);
}

int
pump_fd(const struct pump *pump)
{
	return pump->d != NULL ? diagws_fd(pump->d) : -1;
}

uint64_t
pump_refused(const struct pump *pump)
{
	return pump->refused;
}

/* The message itself is at fault: it would be refused again. */
static bool
is_final(int err)
{
	return err == DIAGWS_INVALID || err == DIAGWS_BAD_JSON || err == DIAGWS_TOO_BIG;
}

static void
note(struct flight *flight, int err)
{
	struct pump *pump = flight->pump;

	pump->under_way--;
	pump->bytes -= flight->bytes;
	if (err == 0 || is_final(err) || err == DIAGWS_ID_REUSED) {
		flight->answered = true;
		flight->refused = is_final(err);
		flight->reused = err == DIAGWS_ID_REUSED;
		(void)snprintf(flight->why, sizeof(flight->why), "%s", err != 0 ? diagws_last_error(pump->d) : "");
		pump->noted++;
		return;
	}
	flight->row = 0;
	if (pump->err == DW_OK)
		pump->err = dw_fault_set(&pump->fault, err, NULL, NULL, "%s", diagws_last_error(pump->d));
}

static void
take_answer(void *user, int err, const struct diagws_receipt *receipt)
{
	(void)receipt;
	note(user, err);
}

static int
write_note(struct pump *pump, const struct flight *flight, struct dw_fault *fault)
{
	int err;

	if (flight->refused)
		return db_run(pump->db, fault, sql_outbox_refused, "is", flight->row, flight->why);
	if (!flight->reused)
		return db_run(pump->db, fault, sql_outbox_stored, "i", flight->row);
	err = db_run(pump->db, fault, sql_outbox_new_tag, "s", flight->message);
	return err == DW_OK ? db_run(pump->db, fault, sql_outbox_rename, "is", flight->row, flight->message) : err;
}

/* In one commit. */
static int
write_notes(struct pump *pump, struct dw_fault *fault)
{
	int err;

	if (pump->noted == 0)
		return DW_OK;
	err = db_begin(pump->db, fault);
	for (size_t i = 0; i < WINDOW && err == DW_OK; i++) {
		const struct flight *flight = &pump->flights[i];

		if (flight->row != 0 && flight->answered)
			err = write_note(pump, flight, fault);
	}
	if (err == DW_OK)
		err = db_commit(pump->db, fault);
	if (err != DW_OK) {
		db_rollback(pump->db);
		return err;
	}
	for (size_t i = 0; i < WINDOW; i++) {
		if (!pump->flights[i].answered)
			continue;
		pump->refused += pump->flights[i].refused;
		pump->flights[i] = (struct flight) { 0 };
	}
	pump->noted = 0;
	return DW_OK;
}

static void
send_row(struct pump *pump, sqlite3_stmt *row)
{
	struct flight *flight = pump->flights;
	const struct dw_str data = db_text(row, 4);
	int err;

	while (flight->row != 0)
		flight++;
	*flight = (struct flight) { .pump = pump, .row = sqlite3_column_int64(row, 0), .bytes = data.n };
	(void)dw_str_copy(db_text(row, 1), flight->diagnosis, sizeof(flight->diagnosis));
	(void)dw_str_copy(db_text(row, 3), flight->message, sizeof(flight->message));
	pump->under_way++;
	pump->bytes += data.n;
	/* Texts of SQLite end with a NUL. */
	err = diagws_send(
		pump->d, flight->diagnosis, db_text(row, 2).p, data.p, data.n, db_text(row, 3).p, take_answer, flight);
	if (err != 0)
		note(flight, err);
}

/* Whether a push to this diagnosis is under way, or was answered just now. */
static bool
is_busy(const struct pump *pump, struct dw_str diagnosis)
{
	for (size_t i = 0; i < WINDOW; i++)
		if (pump->flights[i].row != 0 && dw_str_is(diagnosis, pump->flights[i].diagnosis))
			return true;
	return false;
}

static void
connect_to_hub(struct pump *pump)
{
	const struct diagws_options options = { .timeout_ms = pump->timeout_ms, .name = "diagws-clinic" };

	if (pump->d == NULL)
		pump->err = diagws_open(&pump->d, pump->endpoint, &options);
	if (pump->err == DIAGWS_CONFIG)
		(void)dw_fault_set(&pump->fault, DW_E_CONFIG, NULL, "ipc:///path or tcp://127.0.0.1:port",
			"'%s' is no endpoint", pump->endpoint != NULL ? pump->endpoint : "");
}

/* *none: there was nothing to send. */
static int
send_more(struct pump *pump, bool *none, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	bool more = true;
	int err = db_query(pump->db, &row, fault, sql_outbox_waiting, "i", (int64_t)ROWS);

	*none = true;
	while (err == DW_OK) {
		err = db_next(pump->db, row, &more, fault);
		if (err != DW_OK || !more)
			return err;
		*none = false;
		if (pump->under_way + pump->noted == WINDOW || pump->bytes >= BYTES_MAX)
			break;
		if (is_busy(pump, db_text(row, 1)))
			continue;
		connect_to_hub(pump);
		if (pump->err == DW_OK)
			send_row(pump, row);
		if (pump->err != DW_OK)
			break;
	}
	if (err == DW_OK)
		db_end(row);
	return err;
}

/* Everything is still in the outbox, and is read again from its first row. */
static int
give_up(struct pump *pump, struct dw_fault *fault)
{
	const int err = pump->err;

	if (pump->fault.message[0] == '\0')
		(void)dw_fault_set(&pump->fault, err, NULL, NULL, "%s", diagws_strerror(err));
	if (fault != NULL)
		*fault = pump->fault;
	diagws_close(&pump->d);
	pump->err = DW_OK;
	pump->fault = (struct dw_fault) { 0 };
	return err;
}

int
pump_run(struct pump *pump, bool *idle, struct dw_fault *fault)
{
	bool none = false;
	int err;

	*idle = false;
	if (pump->d != NULL)
		(void)diagws_poll(pump->d, 0); /* a failure was told to each that was under way */
	err = write_notes(pump, fault);
	if (err == DW_OK && pump->err == DW_OK)
		err = send_more(pump, &none, fault);
	if (err == DW_OK)
		err = write_notes(pump, fault);
	if (err != DW_OK)
		return err;
	if (pump->err != DW_OK && pump->under_way == 0)
		return give_up(pump, fault);
	*idle = none && pump->err == DW_OK && pump->under_way == 0;
	return DW_OK;
}
