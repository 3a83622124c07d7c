/* The clinic's tables as lines of a file: which fields a record has, what each may be, and how it is put into the file
 * and taken out again. One table of rules serves import, export and the manual.
 */
#ifndef TABLE_H
#define TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "json/json.h"
#include "sql/db.h"

enum { TABLE_FIELDS = 12, SYMPTOMS_MAX = 50 };

enum field_kind {
	FIELD_ID,      /* a whole number from 1 */
	FIELD_ROOM,    /* a diagnosis's id */
	FIELD_NUMBER,  /* a whole number from min to max */
	FIELD_SHARE,   /* a number from 0 to 1 */
	FIELD_NAME,    /* 1 to max code points without control characters; spaces around it are dropped */
	FIELD_WORDS,   /* the same, and may be empty */
	FIELD_TEXT,    /* at most max code points of anything */
	FIELD_TIME,    /* RFC 3339, or seconds since 1970 */
	FIELD_SYMPTOMS /* an array of names; in CSV, separated by ';' */
};

struct field {
	const char *name;
	enum field_kind kind;
	bool required;
	int64_t min, max;
};

struct table {
	const char *name;
	struct field fields[TABLE_FIELDS]; /* ends at one without a name */
	/* Each with the fields as ?1, ?2, … and the time of the import behind them. */
	const char *check; /* NULL, or: a row says (field, why it is refused) */
	const char *store; /* inserts or updates */
	const char *dump;  /* all of it, the fields in their order */
};

/* NULL: there is none of this name. */
const struct table *table_find(const char *name);
void table_names(struct dw_buf *out); /* "patients diagnoses …" */
size_t table_count(const struct table *table);
/* The field of this name, or -1. */
int table_field(const struct table *table, struct dw_str name);

/* Puts a record into the file; members[i] is the value of fields[i], NULL or null: it has none. DW_E_FIELD, and what
 * sql/db.h says. */
int table_store(struct db *db, const struct table *table, const struct dw_json_member *const *members, int64_t now,
	struct dw_fault *fault);
/* What a CSV cell, which ends with a NUL, says for this field; an empty one says nothing. scratch is used where the
 * text has to be made anew, and must stay as it is until the record is stored. */
struct dw_json_member table_from_csv(const struct field *field, struct dw_str cell, struct dw_buf *scratch);

/* Appends a row of table->dump as a line. */
void table_add_json(struct dw_buf *out, const struct table *table, sqlite3_stmt *row);
void table_add_csv(struct dw_buf *out, const struct table *table, sqlite3_stmt *row);
void table_add_csv_head(struct dw_buf *out, const struct table *table);

#endif
