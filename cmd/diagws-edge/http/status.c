/* GET /ws/status: totals for anyone; ids of diagnoses and users only for a token with the `stat` scope. One view of the
 * hub after another becomes one JSON object. Its own file because it alone reads the hub's tables.
 *
 * There are two pages, with ids and without. All who ask for one while it is made, or within FRESH_MS, get the same: it
 * costs the hub a few answers a second, however many ask here. One who leaves does not stop it. Failure modes: the hub
 * does not answer, or is busy with the long views of others: all who wait are told so (503).
 */
#include <utlist.h>

#include "base/clock.h"
#include "cli/rows.h"
#include "edge.h"
#include "http/calls.h"
#include "http/request.h"
#include "hub/uplink.h"
#include "wire/wire.h"

enum { FRESH_MS = 1000, ROWS_MAX = 10000 };

struct page {
	struct edge *edge;
	size_t views;                   /* of the hub, that it shows */
	size_t asked;                   /* the view that the hub is asked for, */
	bool asking;                    /* if it is, for what is put together in */
	struct dw_buf next;             /* this */
	struct dw_buf last;             /* what was answered last, */
	uint64_t made_at;               /* and when; dw_mono_ms */
	struct dw_http_request *askers; /* utlist */
};

static const char *const views[] = { "summary", "rooms", "users" };

static struct page plain = { .views = 1 }, full = { .views = sizeof(views) / sizeof(views[0]) };

static void ask_view(struct page *page);

static void
forget(struct dw_http_request *request)
{
	struct page *page = request->context;

	DL_DELETE(page->askers, request);
	request->forget = NULL;
}

static void
answer(struct dw_http_request *request, const struct page *page)
{
	dw_buf_add(&request->answer, page->last.data, page->last.len);
	dw_http_answer(request, MHD_HTTP_OK);
}

/* err: of the call, or what the hub says. */
static void
finish(struct page *page, int err)
{
	struct dw_buf made = page->next;

	page->asking = false;
	page->next = (struct dw_buf) { 0 };
	if (err == DW_OK && !dw_buf_ok(&made))
		err = DW_E_NOMEM;
	if (err == DW_OK) {
		dw_buf_clear(&page->last);
		page->last = made;
		page->made_at = dw_mono_ms();
	} else {
		dw_buf_clear(&made);
	}
	while (page->askers != NULL) {
		struct dw_http_request *request = page->askers;

		forget(request);
		if (err == DW_OK)
			answer(request, page);
		else
			dw_http_fail(request, err == DW_E_TIMEOUT || err == DW_E_CLOSING ? DW_E_HUB_AWAY : err, NULL, NULL);
	}
}

/* Which column has this name; rows->columns: none has. */
static size_t
find_column(const struct dw_rows *rows, const char *name)
{
	struct dw_str names = dw_rows_names(rows);
	size_t at = 0;

	while (at < rows->columns && !dw_str_is(dw_rows_take(&names).text, name))
		at++;
	return at;
}

/* `,"name":{"123":4,…}`: a column by the first one, which has the ids. */
static void
add_map(struct dw_buf *out, const char *name, const struct dw_rows *rows, const char *column)
{
	const size_t at = find_column(rows, column);
	struct dw_str rest = dw_rows_cells(rows), id = { 0 };
	const char *separator = "";

	dw_buf_addf(out, ",\"%s\":{", name);
	for (size_t i = 0; rest.n > 0; i++) {
		const struct dw_cell cell = dw_rows_take(&rest);

		if (i % rows->columns == 0)
			id = cell.text;
		if (i % rows->columns != at || cell.number == 0)
			continue;
		dw_buf_adds(out, separator);
		separator = ",";
		dw_buf_add_json_string(out, id);
		dw_buf_addf(out, ":%lld", (long long)cell.number);
	}
	dw_buf_addc(out, '}');
}

/* `{"name":4,…`: the only row of a summary. */
static void
add_totals(struct dw_buf *out, const struct dw_rows *rows)
{
	static const char *const totals[][2] = { { "{\"total_diagnoses", "rooms" },
		{ ",\"total_connections", "connections" }, { ",\"queued_messages", "queued" }, { ",\"uptime_s", "uptime_s" } };

	for (size_t i = 0; i < sizeof(totals) / sizeof(totals[0]); i++) {
		const size_t at = find_column(rows, totals[i][1]);
		struct dw_str rest = dw_rows_cells(rows);

		for (size_t before = 0; before < at; before++)
			(void)dw_rows_take(&rest);
		dw_buf_addf(out, "%s\":%lld", totals[i][0], (long long)dw_rows_take(&rest).number);
	}
}

static void
add_view(struct dw_buf *out, size_t view, const struct dw_rows *rows)
{
	if (view == 0) {
		add_totals(out, rows);
	} else if (view == 1) {
		add_map(out, "connections_by_diagnosis", rows, "connections");
		add_map(out, "queued_messages_by_diagnosis", rows, "queued");
	} else {
		add_map(out, "users", rows, "connections");
	}
}

static void
on_view(void *user, int err, const struct dw_wire *answer)
{
	struct page *page = user;
	struct dw_rows rows = { 0 };

	if (err == DW_OK)
		err = dw_rows_add(&rows, &answer->table);
	if (err == DW_OK && page->asked == 0 && rows.rows == 0)
		err = DW_E_HUB_AWAY;
	if (err == DW_OK)
		add_view(&page->next, page->asked, &rows);
	dw_rows_clear(&rows);
	if (err == DW_OK && ++page->asked < page->views) {
		ask_view(page);
		return;
	}
	dw_buf_addc(&page->next, '}');
	finish(page, err);
}

static void
ask_view(struct page *page)
{
	const struct dw_wire ask = { .kind = DW_STAT, .stat = { .view = dw_str(views[page->asked]), .limit = ROWS_MAX } };
	uint64_t corr;
	const int err = uplink_ask(page->edge->uplink, &ask, on_view, page, &corr);

	if (err != DW_OK)
		finish(page, err);
}

void
status_take(struct dw_http_request *request)
{
	struct page *page = (request->claims.scope & DW_SCOPE_STAT) != 0 ? &full : &plain;

	if (page->last.len > 0 && dw_mono_ms() < page->made_at + FRESH_MS) {
		answer(request, page);
		return;
	}
	request->context = page;
	request->forget = forget;
	DL_APPEND(page->askers, request);
	if (page->asking)
		return;
	page->edge = request->user;
	page->asking = true;
	page->asked = 0;
	ask_view(page);
}

void
status_clear(void)
{
	dw_buf_clear(&plain.last);
	dw_buf_clear(&full.last);
}
