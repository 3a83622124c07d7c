/* What the tests of a clinic's calls share: a file of its own for each test, in a folder of its own, at a fixed time;
 * orders, and what they must answer, to the letter.
 */
#ifndef CLINIC_KIT_H
#define CLINIC_KIT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clinic.h"
#include "../../lib/plain_tests.h"
#include "sql/db.h"

enum { NOW = 1800000000 }; /* 2027-01-15T08:00:00Z */

static char kit_folder[] = "/tmp/diagws-clinic-XXXXXX", kit_file[64];
static struct db *db;
static struct order order; /* of the next call: all zero but `now`, after each call again */
static struct dw_buf answer;
static struct dw_fault fault;

static inline int
kit_open(void **state)
{
	(void)state;
	memset(kit_folder + strlen(kit_folder) - 6, 'X', 6);
	assert_non_null(mkdtemp(kit_folder));
	(void)snprintf(kit_file, sizeof(kit_file), "%s/clinic.db", kit_folder);
	assert_int_equal(DW_OK, db_create(kit_file, &fault));
	assert_int_equal(DW_OK, db_open(&db, kit_file, &fault));
	assert_int_equal(SQLITE_OK, sqlite3_exec(db_handle(db), "PRAGMA synchronous = OFF", NULL, NULL, NULL));
	order = (struct order) { .now = NOW };
	return 0;
}

static inline int
kit_close(void **state)
{
	char name[80];

	(void)state;
	db_close(&db);
	dw_buf_clear(&answer);
	for (int i = 0; i < 3; i++) {
		(void)snprintf(name, sizeof(name), "%s%s", kit_file, (const char *[]) { "", "-wal", "-shm" }[i]);
		(void)unlink(name);
	}
	return rmdir(kit_folder);
}

/* Carries statements out. */
static inline void kit_sql(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline void
kit_sql(const char *format, ...)
{
	char sql[4096], *why = NULL;
	va_list args;

	va_start(args, format);
	assert_in_range(vsnprintf(sql, sizeof(sql), format, args), 0, sizeof(sql) - 1);
	va_end(args);
	if (sqlite3_exec(db_handle(db), sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", sql, why);
}

/* What a query finds: columns apart by '|', rows by '\n', NULL as "-". Valid until the next one. */
static inline const char *
kit_read(const char *sql)
{
	static struct dw_buf found;
	sqlite3_stmt *row;

	dw_buf_reset(&found);
	dw_buf_adds(&found, "");
	assert_int_equal(SQLITE_OK, sqlite3_prepare_v2(db_handle(db), sql, -1, &row, NULL));
	while (sqlite3_step(row) == SQLITE_ROW) {
		if (found.len > 0)
			dw_buf_addc(&found, '\n');
		for (int i = 0; i < sqlite3_column_count(row); i++) {
			const char *text = (const char *)sqlite3_column_text(row, i);

			dw_buf_addf(&found, "%s%s", i > 0 ? "|" : "", text != NULL ? text : "-");
		}
	}
	assert_int_equal(SQLITE_OK, sqlite3_finalize(row));
	return found.data;
}

#define ASSERT_READ(want, sql) assert_string_equal(want, kit_read(sql))

/* Carries the order out, and takes up the next. */
static inline int
kit_call(clinic_call *call)
{
	int err;

	dw_buf_reset(&answer);
	dw_buf_adds(&answer, "");
	fault = (struct dw_fault) { 0 };
	err = call(db, &order, &answer, &fault);
	order = (struct order) { .now = order.now };
	return err;
}

static inline const char *
kit_answer(clinic_call *call)
{
	const int err = kit_call(call);

	if (err != DW_OK)
		fail_msg("got %d: %s", err, fault.message);
	return answer.data;
}

#define ASSERT_ANSWER(want, call) assert_string_equal(want, kit_answer(call))

/* It must fail like this, and answer nothing. */
static inline void
kit_refused(clinic_call *call, int want, const char *field, const char *message)
{
	const int err = kit_call(call);

	if (err != want || strcmp(field, fault.field) != 0 || strcmp(message, fault.message) != 0)
		fail_msg("want %d '%s' '%s', got %d '%s' '%s'", want, field, message, err, fault.field, fault.message);
	assert_string_equal("", answer.data);
}

#endif
