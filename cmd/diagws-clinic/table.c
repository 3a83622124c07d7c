/* See table.h. Rules that look at one field alone are checked here; what depends on other records is a query of
 * sql/transfer.sql, whose row is the complaint.
 */
#include "table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "clinic.h"
#include "message/msg.h"
#include "when.h"

enum { WORDS_MAX = 200 };

static const struct table tables[] = {
	{ "patients",
		{ { "id", FIELD_ID, true, 0, 0 }, { "name", FIELD_NAME, true, 0, WORDS_MAX },
			{ "mizaj", FIELD_NAME, false, 0, NAME_MAX_POINTS }, { "age", FIELD_NUMBER, false, 0, 150 } },
		NULL, sql_store_patients, sql_dump_patients },
	{ "diagnoses",
		{ { "id", FIELD_ROOM, true, 0, 0 }, { "patient", FIELD_ID, true, 0, 0 },
			{ "condition", FIELD_NAME, true, 0, NAME_MAX_POINTS },
			{ "symptoms", FIELD_SYMPTOMS, false, 0, SYMPTOMS_MAX }, { "created", FIELD_TIME, false, 0, 0 } },
		sql_check_diagnoses, sql_store_diagnoses, sql_dump_diagnoses },
	{ "recommendations",
		{ { "id", FIELD_ID, true, 0, 0 }, { "diagnosis", FIELD_ROOM, true, 0, 0 },
			{ "herb", FIELD_NAME, true, 0, NAME_MAX_POINTS }, { "dosage", FIELD_WORDS, false, 0, WORDS_MAX },
			{ "frequency", FIELD_WORDS, false, 0, WORDS_MAX }, { "duration", FIELD_WORDS, false, 0, WORDS_MAX } },
		sql_check_recommendations, sql_store_recommendations, sql_dump_recommendations },
	{ "feedback",
		{ { "id", FIELD_ID, false, 0, 0 }, { "diagnosis", FIELD_ROOM, true, 0, 0 },
			{ "recommendation", FIELD_ID, true, 0, 0 }, { "rating", FIELD_NUMBER, true, 1, 5 },
			{ "symptom_improvement", FIELD_NUMBER, true, 1, 5 }, { "compliance", FIELD_NUMBER, false, 1, 5 },
			{ "side_effects", FIELD_TEXT, false, 0, TEXT_MAX_POINTS },
			{ "comment", FIELD_TEXT, false, 0, TEXT_MAX_POINTS }, { "created", FIELD_TIME, false, 0, 0 },
			{ "updated", FIELD_TIME, false, 0, 0 }, { "version", FIELD_NUMBER, false, 1, INT32_MAX } },
		sql_check_feedback, sql_store_feedback, sql_dump_feedback },
	{ "herb_symptoms",
		{ { "herb", FIELD_NAME, true, 0, NAME_MAX_POINTS }, { "symptom", FIELD_NAME, true, 0, NAME_MAX_POINTS },
			{ "strength", FIELD_SHARE, true, 0, 0 } },
		NULL, sql_store_herb_symptoms, sql_dump_herb_symptoms },
};

const struct table *
table_find(const char *name)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (strcmp(tables[i].name, name) == 0)
			return &tables[i];
	return NULL;
}

void
table_names(struct dw_buf *out)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		dw_buf_addf(out, "%s%s", i == 0 ? "" : " ", tables[i].name);
}

size_t
table_count(const struct table *table)
{
	size_t n = 0;

	while (n < TABLE_FIELDS && table->fields[n].name != NULL)
		n++;
	return n;
}

int
table_field(const struct table *table, struct dw_str name)
{
	for (size_t i = 0; i < table_count(table); i++)
		if (dw_str_is(name, table->fields[i].name))
			return (int)i;
	return -1;
}

/* ---- a value ---- */

/* A checked value, as it is put into the file. */
struct value {
	int64_t number;
	double real;
	struct dw_str text;
	struct dw_buf made; /* what text lies in, where it was made here */
	enum { NOTHING, NUMBER, REAL, TEXT } type;
	char room[DW_ROOM_MAX + 1];
};

static struct dw_str
trim(struct dw_str text)
{
	while (text.n > 0 && strchr(" \t\r\n", text.p[0]) != NULL && text.p[0] != '\0')
		text = (struct dw_str) { text.p + 1, text.n - 1 };
	while (text.n > 0 && strchr(" \t\r\n", text.p[text.n - 1]) != NULL && text.p[text.n - 1] != '\0')
		text.n--;
	return text;
}

static size_t
code_points(struct dw_str text)
{
	size_t count = 0;

	for (size_t i = 0; i < text.n; i++)
		count += ((unsigned char)text.p[i] & 0xC0) != 0x80;
	return count;
}

/* Nothing that controls: it would break a line of a table. */
static bool
is_plain(struct dw_str text)
{
	while (text.n > 0) {
		const size_t n = dw_utf8_character(text.p, text.n);

		if (!dw_user_ok(dw_str_take(&text, n > 0 ? n : 1)))
			return false;
	}
	return true;
}

static int
take_name(const struct field *field, const struct dw_json_member *member, struct value *value, struct dw_fault *fault)
{
	const struct dw_str text = field->kind == FIELD_TEXT ? member->text : trim(member->text);
	const size_t points = code_points(text);
	char expected[96];

	(void)snprintf(expected, sizeof(expected), "%s%lld characters%s", field->kind == FIELD_NAME ? "1 to " : "at most ",
		(long long)field->max, field->kind == FIELD_TEXT ? "" : " without control characters");
	if (member->type != DW_JSON_STRING)
		return dw_member_refuse(member, "is not a text", expected, fault);
	value->text = text;
	value->type = text.n > 0 || field->kind == FIELD_WORDS ? TEXT : NOTHING;
	if (points > (size_t)field->max)
		return dw_fault_set(
			fault, DW_E_FIELD, field->name, expected, "field '%s': it has %zu characters", field->name, points);
	if (points == 0 && field->kind == FIELD_NAME && field->required)
		return dw_fault_set(fault, DW_E_FIELD, field->name, expected, "field '%s': it is empty", field->name);
	if (field->kind != FIELD_TEXT && !is_plain(text))
		return dw_member_refuse(member, "has control characters", expected, fault);
	return DW_OK;
}

/* An array of names, as the file keeps it. */
static int
take_symptoms(
	const struct field *field, const struct dw_json_member *member, struct value *value, struct dw_fault *fault)
{
	static const char expected[] = "an array of at most 50 texts of 1 to 64 characters without ';'";
	const struct field name = { field->name, FIELD_NAME, true, 0, NAME_MAX_POINTS };
	struct dw_json *list = NULL;
	struct value one = { .type = NOTHING };
	int err;

	if (member->type != DW_JSON_ARRAY)
		return dw_member_refuse(member, "is not an array of texts", expected, fault);
	err = dw_json_parse(&list, member->raw.p, member->raw.n, fault);
	if (err == DW_OK && list->count > (size_t)field->max)
		err = dw_fault_set(
			fault, DW_E_FIELD, field->name, expected, "field '%s': it has %zu entries", field->name, list->count);
	dw_buf_addc(&value->made, '[');
	for (size_t i = 0; err == DW_OK && i < list->count; i++) {
		struct dw_json_member entry = list->members[i];

		entry.key = dw_str(field->name);
		err = take_name(&name, &entry, &one, fault);
		/* It stands between them in a CSV. */
		if (err == DW_OK && one.text.p != NULL && memchr(one.text.p, ';', one.text.n) != NULL)
			err = dw_member_refuse(&entry, "has a ';'", expected, fault);
		dw_buf_adds(&value->made, i == 0 ? "" : ",");
		if (err == DW_OK)
			dw_buf_add_json_string(&value->made, one.text);
	}
	dw_buf_addc(&value->made, ']');
	dw_json_destroy(&list);
	value->type = TEXT;
	value->text = dw_bytes(value->made.data, value->made.len);
	return err != DW_OK || dw_buf_ok(&value->made) ? err : DW_E_NOMEM;
}

static int
take_number(const struct field *field, const struct dw_json_member *member, struct value *value, struct dw_fault *fault)
{
	const int64_t min = field->kind == FIELD_ID ? 1 : field->min,
				  max = field->kind == FIELD_ID ? INT64_MAX : field->max;
	char expected[64], why[64];

	if (field->kind == FIELD_ID) {
		(void)snprintf(expected, sizeof(expected), "a whole number above 0");
		(void)snprintf(why, sizeof(why), "is not a whole number above 0");
	} else {
		(void)snprintf(expected, sizeof(expected), "an integer from %lld to %lld", (long long)min, (long long)max);
		(void)snprintf(why, sizeof(why), "is not within %lld..%lld", (long long)min, (long long)max);
	}
	if (member->type != DW_JSON_INTEGER)
		return dw_member_refuse(member, "is not an integer", expected, fault);
	if (member->integer < min || member->integer > max)
		return dw_member_refuse(member, why, expected, fault);
	value->type = NUMBER;
	value->number = member->integer;
	return DW_OK;
}

static int
take_time(const struct dw_json_member *member, struct value *value, struct dw_fault *fault)
{
	char digits[24] = "";

	if (member->type == DW_JSON_INTEGER)
		(void)snprintf(digits, sizeof(digits), "%lld", (long long)member->integer);
	value->type = NUMBER;
	if ((member->type != DW_JSON_INTEGER && member->type != DW_JSON_STRING) ||
		!when_parse(member->type == DW_JSON_STRING ? member->text.p : digits, &value->number))
		return dw_member_refuse(
			member, "is not a time", "RFC 3339 (2026-12-01T14:00:00Z), or whole seconds since 1970", fault);
	return DW_OK;
}

static int
take_value(const struct field *field, const struct dw_json_member *member, struct value *value, struct dw_fault *fault)
{
	int err;

	*value = (struct value) { .type = NOTHING };
	if (member == NULL || member->type == DW_JSON_NULL)
		return field->required
				   ? dw_fault_set(fault, DW_E_FIELD, field->name, NULL, "field '%s' is missing", field->name)
				   : DW_OK;
	switch (field->kind) {
	case FIELD_ID:
	case FIELD_NUMBER:
		return take_number(field, member, value, fault);
	case FIELD_ROOM:
		err = dw_id_from_json(member, value->room, sizeof(value->room), fault);
		value->type = TEXT;
		value->text = dw_str(value->room);
		return err == DW_OK && !dw_room_ok(value->text)
				   ? dw_member_refuse(member, "is not a diagnosis id", "1 to 64 of A-Z a-z 0-9 _ -", fault)
				   : err;
	case FIELD_SHARE:
		value->type = REAL;
		value->real = member->number;
		if ((member->type != DW_JSON_INTEGER && member->type != DW_JSON_REAL) || !(member->number >= 0) ||
			member->number > 1)
			return dw_member_refuse(member, "is not within 0..1", "a number from 0 to 1", fault);
		return DW_OK;
	case FIELD_TIME:
		return take_time(member, value, fault);
	case FIELD_SYMPTOMS:
		return take_symptoms(field, member, value, fault);
	default:
		return take_name(field, member, value, fault);
	}
}

/* ---- into the file ---- */

static int
bind(sqlite3_stmt *row, int at, const struct value *value)
{
	switch (value->type) {
	case NUMBER:
		return sqlite3_bind_int64(row, at, value->number);
	case REAL:
		return sqlite3_bind_double(row, at, value->real);
	case TEXT:
		return sqlite3_bind_text64(
			row, at, value->text.p != NULL ? value->text.p : "", value->text.n, SQLITE_STATIC, SQLITE_UTF8);
	default:
		return sqlite3_bind_null(row, at);
	}
}

/* Carries a statement out. A row that it answers is what is wrong. */
static int
carry_out(struct db *db, const char *sql, const struct value *values, size_t count, int64_t now, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	bool more = false;
	int err = db_query(db, &row, fault, sql, ""), code = SQLITE_OK, wanted;

	if (err != DW_OK)
		return err;
	wanted = sqlite3_bind_parameter_count(row);
	for (int i = 0; i < (int)count && i < wanted && code == SQLITE_OK; i++)
		code = bind(row, i + 1, &values[i]);
	if (wanted > (int)count && code == SQLITE_OK)
		code = sqlite3_bind_int64(row, (int)count + 1, now);
	if (code != SQLITE_OK)
		return DW_E_NOMEM;
	err = db_next(db, row, &more, fault);
	if (err == DW_OK && more) {
		err = dw_fault_set(
			fault, DW_E_FIELD, db_text(row, 0).p, NULL, "field '%s': %s", db_text(row, 0).p, db_text(row, 1).p);
		db_end(row);
	}
	return err;
}

int
table_store(struct db *db, const struct table *table, const struct dw_json_member *const *members, int64_t now,
	struct dw_fault *fault)
{
	const size_t count = table_count(table);
	struct value values[TABLE_FIELDS];
	size_t taken = 0;
	int err = DW_OK;

	while (taken < count && err == DW_OK) {
		err = take_value(&table->fields[taken], members[taken], &values[taken], fault);
		taken++;
	}
	if (err == DW_OK && table->check != NULL)
		err = carry_out(db, table->check, values, count, now, fault);
	if (err == DW_OK)
		err = carry_out(db, table->store, values, count, now, fault);
	for (size_t i = 0; i < taken; i++)
		dw_buf_clear(&values[i].made);
	return err;
}

/* "a;b" as a JSON array. */
static struct dw_str
split(struct dw_str cell, struct dw_buf *scratch)
{
	dw_buf_reset(scratch);
	dw_buf_addc(scratch, '[');
	while (cell.n > 0) {
		const char *end = memchr(cell.p, ';', cell.n);
		const size_t n = end != NULL ? (size_t)(end - cell.p) : cell.n;

		dw_buf_adds(scratch, scratch->len > 1 ? "," : "");
		dw_buf_add_json_string(scratch, dw_str_take(&cell, n));
		(void)dw_str_take(&cell, cell.n > 0 ? 1 : 0);
	}
	dw_buf_addc(scratch, ']');
	return dw_bytes(scratch->data, scratch->len);
}

struct dw_json_member
table_from_csv(const struct field *field, struct dw_str cell, struct dw_buf *scratch)
{
	struct dw_json_member member = { .key = dw_str(field->name), .raw = cell, .text = cell, .type = DW_JSON_STRING };
	const bool is_number = field->kind == FIELD_ID || field->kind == FIELD_NUMBER || field->kind == FIELD_SHARE;
	char *end;

	if (cell.n == 0)
		member.type = DW_JSON_NULL;
	if (cell.n > 0 && field->kind == FIELD_SYMPTOMS) {
		member.type = DW_JSON_ARRAY;
		member.raw = split(cell, scratch);
	}
	if (cell.n == 0 || cell.n > 32 || !is_number || strspn(cell.p, "0123456789+-.eE") != cell.n)
		return member;
	errno = 0;
	member.integer = strtoll(cell.p, &end, 10);
	member.type = *end == '\0' && errno == 0 ? DW_JSON_INTEGER : DW_JSON_REAL;
	member.number = strtod(cell.p, &end);
	if (*end != '\0')
		member.type = DW_JSON_STRING;
	return member;
}

/* ---- out of the file ---- */

static void
add_json_value(struct dw_buf *out, const struct field *field, sqlite3_stmt *row, int at)
{
	const struct dw_str text = db_text(row, at);
	char when[WHEN_SIZE];

	switch (field->kind) {
	case FIELD_ROOM:
		dw_id_to_json(out, text);
		break;
	case FIELD_TIME:
		when_print(sqlite3_column_int64(row, at), when);
		dw_buf_addf(out, "\"%s\"", when);
		break;
	case FIELD_ID:
	case FIELD_NUMBER:
	case FIELD_SYMPTOMS:
	case FIELD_SHARE:
		dw_buf_add(out, text.p, text.n);
		break;
	default:
		dw_buf_add_json_string(out, text);
	}
}

void
table_add_json(struct dw_buf *out, const struct table *table, sqlite3_stmt *row)
{
	char before = '{';

	for (int i = 0; i < (int)table_count(table); i++) {
		if (sqlite3_column_type(row, i) == SQLITE_NULL)
			continue;
		dw_buf_addf(out, "%c\"%s\":", before, table->fields[i].name);
		add_json_value(out, &table->fields[i], row, i);
		before = ',';
	}
	dw_buf_adds(out, "}\n");
}

static void
add_csv_text(struct dw_buf *out, struct dw_str text)
{
	bool quoted = false;

	for (size_t i = 0; i < text.n && !quoted; i++)
		quoted = strchr("\",\r\n", text.p[i]) != NULL;
	if (!quoted) {
		dw_buf_add(out, text.p, text.n);
		return;
	}
	dw_buf_addc(out, '"');
	for (size_t i = 0; i < text.n; i++) {
		dw_buf_adds(out, text.p[i] == '"' ? "\"" : "");
		dw_buf_addc(out, text.p[i]);
	}
	dw_buf_addc(out, '"');
}

void
table_add_csv(struct dw_buf *out, const struct table *table, sqlite3_stmt *row)
{
	struct dw_buf list = { 0 };
	char when[WHEN_SIZE];

	for (int i = 0; i < (int)table_count(table); i++) {
		struct dw_str text = db_text(row, i);
		struct dw_json *symptoms = NULL;

		if (table->fields[i].kind == FIELD_TIME && text.n > 0) {
			when_print(sqlite3_column_int64(row, i), when);
			text = dw_str(when);
		} else if (table->fields[i].kind == FIELD_SYMPTOMS && dw_json_parse(&symptoms, text.p, text.n, NULL) == DW_OK) {
			for (size_t n = 0; n < symptoms->count; n++) {
				dw_buf_adds(&list, n == 0 ? "" : ";");
				dw_buf_add(&list, symptoms->members[n].text.p, symptoms->members[n].text.n);
			}
			text = dw_bytes(list.data, list.len);
		}
		dw_buf_adds(out, i == 0 ? "" : ",");
		add_csv_text(out, text);
		dw_json_destroy(&symptoms);
	}
	dw_buf_addc(out, '\n');
	out->failed = out->failed || !dw_buf_ok(&list);
	dw_buf_clear(&list);
}

void
table_add_csv_head(struct dw_buf *out, const struct table *table)
{
	for (size_t i = 0; i < table_count(table); i++)
		dw_buf_addf(out, "%s%s", i == 0 ? "" : ",", table->fields[i].name);
	dw_buf_addc(out, '\n');
}
