/* GET /ws/status, and of /readyz what the hub knows. One view of the hub after another (summary, and with the `stat`
 * scope rooms and users) becomes one JSON object. Its own file because it alone reads the hub's tables.
 */
#include "status.h"

#include <string.h>

#include "api.h"
#include "diagws/clock.h"
#include "diagws/wire.h"
#include "edge.h"
#include "uplink.h"

enum { READY_MS = 2000, ROWS_MAX = 10000, COLUMNS_MAX = 32 };

static void ask_view(struct request *request, const char *view, uplink_done *done);

static void
fail(struct request *request)
{
	http_error(request, DW_HTTP_UNAVAILABLE, dw_err_code(DW_E_HUB_AWAY), dw_err_text(DW_E_HUB_AWAY), NULL);
}

/* The index of a column by name, and how many there are. */
static size_t
find_column(struct dw_str columns, const char *name, size_t *count)
{
	size_t found = COLUMNS_MAX, index = 0, from = 0;

	for (size_t i = 0; i <= columns.n; i++) {
		if (i < columns.n && columns.p[i] != '\t')
			continue;
		if (dw_str_is((struct dw_str) { columns.p + from, i - from }, name))
			found = index;
		index++;
		from = i + 1;
	}
	*count = index;
	return found;
}

/* The next row's cells. */
static bool
next_row(struct dw_str *rest, size_t count, struct dw_cell *cells)
{
	for (size_t i = 0; i < count; i++)
		if (i >= COLUMNS_MAX || dw_cell_next(rest, &cells[i]) != DW_OK)
			return false;
	return count > 0;
}

/* `,"name":{"123":4,…}` of two columns. */
static void
add_map(struct dw_buf *out, const char *name, const struct dw_table *table, const char *key, const char *value)
{
	struct dw_str rest = table->cells;
	struct dw_cell cells[COLUMNS_MAX];
	size_t count, key_at = find_column(table->columns, key, &count), value_at;
	bool first = true;

	value_at = find_column(table->columns, value, &count);
	dw_buf_addf(out, ",\"%s\":{", name);
	while (key_at < count && value_at < count && next_row(&rest, count, cells)) {
		if (cells[value_at].number == 0)
			continue;
		if (!first)
			dw_buf_addc(out, ',');
		first = false;
		dw_buf_add_json_string(out, cells[key_at].text);
		dw_buf_addf(out, ":%lld", (long long)cells[value_at].number);
	}
	dw_buf_addc(out, '}');
}

static void
on_users(void *user, int err, const struct dw_wire *answer)
{
	struct request *request = user;

	request->corr = 0;
	if (err != DW_OK || answer->table.code != 0) {
		fail(request);
		return;
	}
	add_map(&request->answer, "users", &answer->table, "user_id", "connections");
	dw_buf_addc(&request->answer, '}');
	http_answer(request, DW_HTTP_OK);
}

static void
on_rooms(void *user, int err, const struct dw_wire *answer)
{
	struct request *request = user;

	request->corr = 0;
	if (err != DW_OK || answer->table.code != 0) {
		fail(request);
		return;
	}
	add_map(&request->answer, "connections_by_diagnosis", &answer->table, "diagnosis_id", "connections");
	add_map(&request->answer, "queued_messages_by_diagnosis", &answer->table, "diagnosis_id", "queued");
	ask_view(request, "users", on_users);
}

static bool
first_row(const struct dw_table *table, struct dw_cell *cells)
{
	struct dw_str rest = table->cells;
	size_t count;

	(void)find_column(table->columns, "", &count);
	return next_row(&rest, count, cells);
}

static void
on_summary(void *user, int err, const struct dw_wire *answer)
{
	static const struct {
		const char *column, *name;
	} totals[] = { { "rooms", "total_diagnoses" }, { "connections", "total_connections" },
		{ "queued", "queued_messages" }, { "uptime_s", "uptime_s" } };
	struct request *request = user;
	struct dw_cell cells[COLUMNS_MAX];
	size_t count;

	request->corr = 0;
	if (err != DW_OK || answer->table.code != 0 || !first_row(&answer->table, cells)) {
		fail(request);
		return;
	}
	for (size_t i = 0; i < sizeof(totals) / sizeof(totals[0]); i++) {
		size_t at = find_column(answer->table.columns, totals[i].column, &count);

		dw_buf_addf(&request->answer, "%c\"%s\":%lld", i == 0 ? '{' : ',', totals[i].name,
			at < count ? (long long)cells[at].number : 0LL);
	}
	if ((request->claims.scope & DW_SCOPE_STAT) != 0) {
		ask_view(request, "rooms", on_rooms);
		return;
	}
	dw_buf_addc(&request->answer, '}');
	http_answer(request, DW_HTTP_OK);
}

static void
ask_view(struct request *request, const char *view, uplink_done *done)
{
	struct dw_wire ask = { .kind = DW_STAT, .stat = { .view = dw_str(view), .limit = ROWS_MAX } };

	if (uplink_ask(request->edge->uplink, &ask, ANSWER_MS, done, request, &request->corr) != DW_OK)
		fail(request);
}

void
status_take(struct request *request)
{
	ask_view(request, "summary", on_summary);
}

static void
on_ready(void *user, int err, const struct dw_wire *answer)
{
	struct request *request = user;
	struct dw_cell cells[COLUMNS_MAX];
	size_t count, at;

	request->corr = 0;
	if (err != DW_OK || answer->table.code != 0 || !first_row(&answer->table, cells)) {
		api_unready(request, "the hub does not answer");
		return;
	}
	at = find_column(answer->table.columns, "store_writable", &count);
	api_unready(request, at < count && cells[at].number == 0 ? "the storage is full" : NULL);
}

void
status_take_ready(struct request *request)
{
	struct dw_wire ask = { .kind = DW_STAT, .stat = { .view = DW_STR("summary"), .limit = 1 } };

	if (uplink_ask(request->edge->uplink, &ask, READY_MS, on_ready, request, &request->corr) != DW_OK)
		api_unready(request, "the hub does not answer");
}
