/* GET /ws/status. One view of the hub after another (summary, and with the `stat` scope rooms and users) becomes one
 * JSON object. Its own file because it alone reads the hub's tables.
 *
 * There are two pages, with ids and without. Whoever asks for one while the hub is asked for it gets the same, and so
 * does who asks within FRESH_MS: it costs the hub a few answers a second, however many ask here.
 *
 * Failure modes: the hub does not answer, or is busy with the long views of others: all who wait are told so (503). One
 * who leaves is taken off the list; the page is finished all the same.
 */
#include "http/routes.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "base/clock.h"
#include "edge.h"
#include "http/api.h"
#include "hub/uplink.h"
#include "wire/wire.h"

enum { FRESH_MS = 1000, ROWS_MAX = 10000, COLUMNS_MAX = 32 };

struct page {
	struct edge *edge;
	bool full;            /* with ids */
	bool asking;          /* the hub, for what is put together in */
	struct dw_buf next;   /* this */
	struct dw_buf last;   /* what was answered last, */
	uint64_t made_at;     /* and when; dw_mono_ms */
	struct asker *askers; /* utlist */
	uint64_t corr;
};

/* A request that waits for a page. */
struct asker {
	struct asker *prev, *next;
	struct page *page;
	struct request *request;
};

struct status {
	struct page plain, full;
};

static void ask_view(struct page *page, const char *view, uplink_done *done);

static void
forget(struct request *request)
{
	struct asker *asker = request->context;

	if (asker == NULL)
		return;
	DL_DELETE(asker->page->askers, asker);
	free(asker);
	request->context = NULL;
}

static void
answer(struct request *request, const struct page *page)
{
	dw_buf_add(&request->answer, page->last.data, page->last.len);
	http_answer(request, MHD_HTTP_OK);
}

/* err: of the call, or what the hub says. */
static void
finish(struct page *page, int err)
{
	struct dw_buf made = page->next;

	page->asking = false;
	dw_buf_init(&page->next);
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
		struct request *request = page->askers->request;

		forget(request);
		if (err == DW_OK)
			answer(request, page);
		else
			api_fail(request, err == DW_E_TIMEOUT || err == DW_E_CLOSING ? DW_E_HUB_AWAY : err, NULL, NULL);
	}
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
	struct page *page = user;

	if (err == DW_OK) {
		add_map(&page->next, "users", &answer->table, "user_id", "connections");
		dw_buf_addc(&page->next, '}');
	}
	finish(page, err);
}

static void
on_rooms(void *user, int err, const struct dw_wire *answer)
{
	struct page *page = user;

	if (err != DW_OK) {
		finish(page, err);
		return;
	}
	add_map(&page->next, "connections_by_diagnosis", &answer->table, "diagnosis_id", "connections");
	add_map(&page->next, "queued_messages_by_diagnosis", &answer->table, "diagnosis_id", "queued");
	ask_view(page, "users", on_users);
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
	struct page *page = user;
	struct dw_cell cells[COLUMNS_MAX];
	size_t count;

	if (err == DW_OK && !first_row(&answer->table, cells))
		err = DW_E_HUB_AWAY;
	if (err != DW_OK) {
		finish(page, err);
		return;
	}
	for (size_t i = 0; i < sizeof(totals) / sizeof(totals[0]); i++) {
		size_t at = find_column(answer->table.columns, totals[i].column, &count);

		dw_buf_addf(&page->next, "%c\"%s\":%lld", i == 0 ? '{' : ',', totals[i].name,
			at < count ? (long long)cells[at].number : 0LL);
	}
	if (page->full) {
		ask_view(page, "rooms", on_rooms);
		return;
	}
	dw_buf_addc(&page->next, '}');
	finish(page, DW_OK);
}

static void
ask_view(struct page *page, const char *view, uplink_done *done)
{
	struct dw_wire ask = { .kind = DW_STAT, .stat = { .view = dw_str(view), .limit = ROWS_MAX } };
	const int err = uplink_ask(page->edge->uplink, &ask, done, page, &page->corr);

	if (err != DW_OK)
		finish(page, err);
}

static struct page *
get_page(struct edge *edge, bool full)
{
	if (edge->status == NULL)
		edge->status = calloc(1, sizeof(*edge->status));
	if (edge->status == NULL)
		return NULL;
	edge->status->plain.edge = edge->status->full.edge = edge;
	edge->status->full.full = true;
	return full ? &edge->status->full : &edge->status->plain;
}

void
status_take(struct request *request)
{
	struct page *page = get_page(request->edge, (request->claims.scope & DW_SCOPE_STAT) != 0);
	struct asker *asker;

	if (page != NULL && page->last.len > 0 && dw_mono_ms() < page->made_at + FRESH_MS) {
		answer(request, page);
		return;
	}
	asker = page != NULL ? calloc(1, sizeof(*asker)) : NULL;
	if (asker == NULL) {
		api_fail(request, DW_E_NOMEM, NULL, NULL);
		return;
	}
	*asker = (struct asker) { .page = page, .request = request };
	request->context = asker;
	request->forget = forget;
	DL_APPEND(page->askers, asker);
	if (page->asking)
		return;
	page->asking = true;
	ask_view(page, "summary", on_summary);
}

void
status_clear(struct edge *edge)
{
	if (edge->status == NULL)
		return;
	dw_buf_clear(&edge->status->plain.last);
	dw_buf_clear(&edge->status->full.last);
	free(edge->status);
	edge->status = NULL;
}
