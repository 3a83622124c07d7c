/* See db.h. Its own file because nothing else speaks to SQLite but through it, and its errors become ours here alone.
 */
#include "sql/db.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum {
	LOOK_MS = 2, /* a writer that waits */
	GIVE_WAY_MS = 3 * LOOK_MS,
	STATEMENTS_MAX = 128,     /* more than there are texts */
	APPLICATION = 0x64776331, /* "dwc1": marks a file as a clinic's */
};

struct db {
	sqlite3 *sqlite;
	char *path;
	int patience_ms;
	uint64_t waits_since; /* dw_mono_ms */
	struct {
		const char *sql;
		sqlite3_stmt *statement;
	} statements[STATEMENTS_MAX];
	size_t count;
};

static int
error_of(sqlite3 *sqlite)
{
	const int code = sqlite3_extended_errcode(sqlite) & 0xFF;
	const int cause = code == SQLITE_CANTOPEN || code == SQLITE_IOERR ? sqlite3_system_errno(sqlite) : 0;

	if (cause == ENOSPC || cause == EDQUOT) /* of the files beside it */
		return DW_E_STORAGE_FULL;
	if (cause == EACCES)
		return DW_E_PERMISSION;
	switch (code) {
	case SQLITE_FULL:
		return DW_E_STORAGE_FULL;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return DW_E_BUSY;
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return DW_E_CORRUPT;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return DW_E_PERMISSION;
	case SQLITE_NOMEM:
		return DW_E_NOMEM;
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
		return DW_E_IO;
	default:
		return DW_E_INTERNAL;
	}
}

static int
fail(const struct db *db, struct dw_fault *fault)
{
	const int err = error_of(db->sqlite);
	const char *why = err == DW_E_BUSY           ? "another program has been writing to it for 5 s"
					  : err == DW_E_STORAGE_FULL ? "the disk is full"
												 : sqlite3_errmsg(db->sqlite);

	return dw_fault_set(fault, err, NULL, NULL, "%s: %s", db->path, why);
}

/* ---- statements ---- */

static int
prepare(struct db *db, const char *sql, sqlite3_stmt **out, struct dw_fault *fault)
{
	for (size_t i = 0; i < db->count; i++) {
		if (db->statements[i].sql != sql)
			continue;
		*out = db->statements[i].statement;
		(void)sqlite3_reset(*out);
		return DW_OK;
	}
	if (db->count == STATEMENTS_MAX)
		return dw_fault_set(fault, DW_E_INTERNAL, NULL, NULL, "%s: too many statements", db->path);
	if (sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) != SQLITE_OK)
		return fail(db, fault);
	db->statements[db->count].sql = sql;
	db->statements[db->count++].statement = *out;
	return DW_OK;
}

static int
bind_text(sqlite3_stmt *statement, int at, struct dw_str text)
{
	if (text.p == NULL)
		return sqlite3_bind_null(statement, at);
	return sqlite3_bind_text64(statement, at, text.p, text.n, SQLITE_STATIC, SQLITE_UTF8);
}

static int
bind(sqlite3_stmt *statement, const char *kinds, va_list args)
{
	int code = SQLITE_OK;

	for (int at = 1; code == SQLITE_OK && *kinds != '\0'; at++, kinds++) {
		switch (*kinds) {
		case 'i':
			code = sqlite3_bind_int64(statement, at, va_arg(args, int64_t));
			break;
		case 'd':
			code = sqlite3_bind_double(statement, at, va_arg(args, double));
			break;
		case 's':
			code = bind_text(statement, at, dw_str(va_arg(args, const char *)));
			break;
		case 't':
			code = bind_text(statement, at, va_arg(args, struct dw_str));
			break;
		default:
			code = sqlite3_bind_null(statement, at);
		}
	}
	return code;
}

static int
query(struct db *db, sqlite3_stmt **out, struct dw_fault *fault, const char *sql, const char *kinds, va_list args)
{
	sqlite3_stmt *statement;
	int err = prepare(db, sql, &statement, fault);

	if (err == DW_OK && bind(statement, kinds, args) != SQLITE_OK)
		err = fail(db, fault);
	if (err == DW_OK)
		*out = statement;
	return err;
}

int
db_query(struct db *db, sqlite3_stmt **out, struct dw_fault *fault, const char *sql, const char *kinds, ...)
{
	va_list args;
	int err;

	va_start(args, kinds);
	err = query(db, out, fault, sql, kinds, args);
	va_end(args);
	return err;
}

int
db_next(struct db *db, sqlite3_stmt *row, bool *more, struct dw_fault *fault)
{
	const int code = sqlite3_step(row);
	int err = DW_OK;

	*more = code == SQLITE_ROW;
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		err = fail(db, fault);
	if (code != SQLITE_ROW)
		(void)sqlite3_reset(row);
	return err;
}

void
db_end(sqlite3_stmt *row)
{
	(void)sqlite3_reset(row);
}

int
db_run(struct db *db, struct dw_fault *fault, const char *sql, const char *kinds, ...)
{
	sqlite3_stmt *row;
	bool more = true;
	va_list args;
	int err;

	va_start(args, kinds);
	err = query(db, &row, fault, sql, kinds, args);
	va_end(args);
	while (err == DW_OK && more)
		err = db_next(db, row, &more, fault);
	return err;
}

int
db_number(struct db *db, int64_t *out, bool *found, struct dw_fault *fault, const char *sql, const char *kinds, ...)
{
	sqlite3_stmt *row;
	bool more = false;
	va_list args;
	int err;

	va_start(args, kinds);
	err = query(db, &row, fault, sql, kinds, args);
	va_end(args);
	if (err == DW_OK)
		err = db_next(db, row, &more, fault);
	if (err != DW_OK)
		return err;
	more = more && sqlite3_column_type(row, 0) != SQLITE_NULL;
	if (more)
		*out = sqlite3_column_int64(row, 0);
	if (found != NULL)
		*found = more;
	db_end(row);
	return DW_OK;
}

struct dw_str
db_text(sqlite3_stmt *row, int column)
{
	const unsigned char *text = sqlite3_column_text(row, column);

	return dw_bytes(text, text != NULL ? (size_t)sqlite3_column_bytes(row, column) : 0);
}

int64_t
db_last_id(const struct db *db)
{
	return sqlite3_last_insert_rowid(db->sqlite);
}

int64_t
db_changes(const struct db *db)
{
	return sqlite3_changes64(db->sqlite);
}

sqlite3 *
db_handle(const struct db *db)
{
	return db->sqlite;
}

/* ---- transactions ---- */

static int
execute(struct db *db, const char *sql, struct dw_fault *fault)
{
	return sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL) == SQLITE_OK ? DW_OK : fail(db, fault);
}

void
db_patience(struct db *db, int ms)
{
	db->patience_ms = ms;
}

void
db_give_way(void)
{
	(void)poll(NULL, 0, GIVE_WAY_MS);
}

/* What is written into a file without its name is lost, and beside another one's log it would mix two files up. */
static int
check_place(struct db *db, struct dw_fault *fault)
{
	int moved = 0;

	(void)sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
	if (moved == 0)
		return DW_OK;
	return dw_fault_set(fault, DW_E_IO, NULL, NULL,
		"%s: it was moved, deleted or replaced while it was open: put it back, or start again", db->path);
}

static int
begin(struct db *db, const char *sql, struct dw_fault *fault)
{
	const int err = check_place(db, fault);

	return err == DW_OK ? execute(db, sql, fault) : err;
}

int
db_begin(struct db *db, struct dw_fault *fault)
{
	return begin(db, "BEGIN IMMEDIATE", fault);
}

int
db_begin_read(struct db *db, struct dw_fault *fault)
{
	return begin(db, "BEGIN", fault);
}

int
db_commit(struct db *db, struct dw_fault *fault)
{
	return execute(db, "COMMIT", fault);
}

/* A statement that was left in its midst would keep to the moment that it reads of, beside which nothing can be written
 * once others have. */
void
db_rollback(struct db *db)
{
	for (size_t i = 0; i < db->count; i++)
		(void)sqlite3_reset(db->statements[i].statement);
	if (sqlite3_get_autocommit(db->sqlite) == 0)
		(void)sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL);
}

/* ---- the file ---- */

static int
read_pragma(struct db *db, const char *sql, int64_t *out, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	int err = DW_OK;

	if (sqlite3_prepare_v2(db->sqlite, sql, -1, &row, NULL) != SQLITE_OK)
		return fail(db, fault);
	if (sqlite3_step(row) == SQLITE_ROW)
		*out = sqlite3_column_int64(row, 0);
	else
		err = fail(db, fault);
	(void)sqlite3_finalize(row);
	return err;
}

/* Brings an older file up to date, each version in one commit. Version 0 is a file of db_create that was not finished.
 */
static int
migrate(struct db *db, struct dw_fault *fault)
{
	static const char *const steps[DB_VERSION] = { sql_schema_1 };
	char tag[DW_HEX_ID_SIZE], sql[192];
	int64_t version = 0;
	int err = db_begin(db, fault);

	if (err == DW_OK)
		err = read_pragma(db, "PRAGMA user_version", &version, fault); /* another one may have been faster */
	if (err == DW_OK && version == 0) {
		dw_random_id(tag);
		err = execute(db, steps[version++], fault);
		(void)snprintf(sql, sizeof(sql),
			"INSERT INTO clinic (one, tag) VALUES (1, '%.12s'); PRAGMA application_id = %d", tag, APPLICATION);
		if (err == DW_OK)
			err = execute(db, sql, fault);
	}
	for (; err == DW_OK && version < DB_VERSION; version++)
		err = execute(db, steps[version], fault);
	(void)snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", DB_VERSION);
	if (err == DW_OK)
		err = execute(db, sql, fault);
	if (err == DW_OK)
		err = db_commit(db, fault);
	if (err != DW_OK)
		db_rollback(db);
	return err;
}

/* Whether it is ours, and of which version. */
static int
look(struct db *db, int64_t *version, struct dw_fault *fault)
{
	int64_t application = 0, tables = 0;
	int err = read_pragma(db, "PRAGMA user_version", version, fault);

	if (err == DW_OK)
		err = read_pragma(db, "PRAGMA application_id", &application, fault);
	if (err == DW_OK)
		err = read_pragma(db, "SELECT count(*) FROM sqlite_schema", &tables, fault);
	if (err != DW_OK)
		return err;
	if (application != APPLICATION && tables > 0)
		return dw_fault_set(fault, DW_E_CORRUPT, NULL, "a file that 'diagws-clinic init' has made",
			"%s: not a clinic's file", db->path);
	if (*version > DB_VERSION)
		return dw_fault_set(fault, DW_E_VERSION, NULL, NULL,
			"%s: its format is %lld, and this program knows %d: use a newer one", db->path, (long long)*version,
			DB_VERSION);
	return DW_OK;
}

/* SQLite's own handler looks again only every 100 ms, when who writes in groups has long begun the next. */
static int
wait_for_writer(void *user, int count)
{
	struct db *db = user;
	const uint64_t now = dw_mono_ms();

	if (count == 0)
		db->waits_since = now;
	if (now - db->waits_since >= (uint64_t)db->patience_ms)
		return 0;
	(void)poll(NULL, 0, LOOK_MS);
	return 1;
}

static int
open_file(struct db **out, const char *path, int flags, struct dw_fault *fault)
{
	static const char set_up[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
								 "PRAGMA trusted_schema = OFF; PRAGMA cache_size = -65536"; /* KiB */
	struct db *db = calloc(1, sizeof(*db));
	int64_t version = 0;
	int err = DW_OK;

	if (db == NULL || (db->path = strdup(path)) == NULL) {
		free(db);
		return DW_E_NOMEM;
	}
	if (sqlite3_open_v2(path, &db->sqlite, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL) != SQLITE_OK)
		err = db->sqlite != NULL ? fail(db, fault) : DW_E_NOMEM;
	if (err == DW_OK) {
		db_patience(db, DB_PATIENCE_MS);
		(void)sqlite3_busy_handler(db->sqlite, wait_for_writer, db);
		err = look(db, &version, fault);
	}
	if (err == DW_OK)
		err = execute(db, set_up, fault);
	if (err == DW_OK && version < DB_VERSION)
		err = migrate(db, fault);
	if (err != DW_OK) {
		db_close(&db);
		return err;
	}
	*out = db;
	return DW_OK;
}

int
db_create(const char *path, struct dw_fault *fault)
{
	const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct db *db = NULL;
	int err;

	if (fd < 0)
		return dw_fault_set(
			fault, errno == EACCES ? DW_E_PERMISSION : DW_E_CREATE, NULL, NULL, "%s: %s", path, strerror(errno));
	(void)close(fd);
	err = open_file(&db, path, SQLITE_OPEN_READWRITE, fault);
	db_close(&db);
	if (err != DW_OK)
		(void)unlink(path);
	return err;
}

int
db_open(struct db **out, const char *path, struct dw_fault *fault)
{
	if (access(path, F_OK) != 0 && errno != EACCES) /* that is for SQLite to say */
		return dw_fault_set(
			fault, DW_E_NOINPUT, NULL, NULL, "%s: there is no such file: 'diagws-clinic init' makes one", path);
	return open_file(out, path, SQLITE_OPEN_READWRITE, fault);
}

void
db_close(struct db **db_p)
{
	struct db *db = *db_p;

	if (db == NULL)
		return;
	*db_p = NULL;
	for (size_t i = 0; i < db->count; i++)
		(void)sqlite3_finalize(db->statements[i].statement);
	(void)sqlite3_close(db->sqlite);
	free(db->path);
	free(db);
}
