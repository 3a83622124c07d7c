/* The clinic's file: SQLite with a write-ahead log, every commit on disk before it is told (synchronous=FULL), foreign
 * keys held. Statements are texts from .sql files (clinic_sql.h, made at build), prepared once.
 *
 * What is changed is changed between db_begin and db_commit, which takes the only place of a writer at once, so that
 * nothing read there can be outdated. Others may read meanwhile, and another writer waits for up to 5 s (DW_E_BUSY
 * then). A connection belongs to one thread at a time.
 *
 * What may fail, everywhere: DW_E_STORAGE_FULL, DW_E_BUSY, DW_E_IO, DW_E_CORRUPT, DW_E_PERMISSION, DW_E_NOMEM; the
 * fault names the file. After a failure between begin and commit: db_rollback. A file that is no longer where it was
 * opened is DW_E_IO at every begin, until it is back.
 */
#ifndef DB_H
#define DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "clinic_sql.h"

struct db;

enum { DB_VERSION = 1, DB_PATIENCE_MS = 5000 };

/* Makes a new file with empty tables. DW_E_CREATE: something is there already. */
int db_create(const char *path, struct dw_fault *fault);
/* Opens one, brought up to DB_VERSION first. DW_E_NOINPUT: there is none; DW_E_VERSION: it is of a newer program;
 * DW_E_CORRUPT: it is none of ours. *out is the caller's: db_close, which nulls it (and accepts NULL). */
int db_open(struct db **out, const char *path, struct dw_fault *fault);
void db_close(struct db **db_p);

/* How long to wait for another writer from now on: DB_PATIENCE_MS unless set. */
void db_patience(struct db *db, int ms);
int db_begin(struct db *db, struct dw_fault *fault);
/* For statements that only read and are to see the same: nobody waits for it. It ends with db_rollback. */
int db_begin_read(struct db *db, struct dw_fault *fault);
int db_commit(struct db *db, struct dw_fault *fault);
/* Between two of many commits: long enough for others to begin, who would else wait for all of them. */
void db_give_way(void);
void db_rollback(struct db *db); /* also where nothing was begun; statements that were begun end */

/* Begins a statement. kinds: a letter for each ?1, ?2, … that follows as an argument: i int64_t, d double, s const char
 * * (NULL: NULL), t struct dw_str (p NULL: NULL), n: NULL, without an argument. Texts must live until the last db_next.
 * *out is for db_next and sqlite3_column_…; the statement ends with the row that is not there, with db_end, or with the
 * next db_query of the same text. */
int db_query(struct db *db, sqlite3_stmt **out, struct dw_fault *fault, const char *sql, const char *kinds, ...);
/* The next row, or none: *more. */
int db_next(struct db *db, sqlite3_stmt *row, bool *more, struct dw_fault *fault);
void db_end(sqlite3_stmt *row);
/* A statement that has no rows, or whose rows do not matter. */
int db_run(struct db *db, struct dw_fault *fault, const char *sql, const char *kinds, ...);
/* The first column of its first row; *found (may be NULL) tells whether there was one that is not NULL, *out is left
 * alone where there was none. */
int db_number(
	struct db *db, int64_t *out, bool *found, struct dw_fault *fault, const char *sql, const char *kinds, ...);

/* A text column; empty for NULL. Valid until the next db_next. */
struct dw_str db_text(sqlite3_stmt *row, int column);
int64_t db_last_id(const struct db *db); /* of the last INSERT */
int64_t db_changes(const struct db *db); /* rows that the last statement changed */
/* The connection itself, for backups and query plans. */
sqlite3 *db_handle(const struct db *db);

#endif
