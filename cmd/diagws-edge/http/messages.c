/* GET /ws/messages/{diagnosis_id}?after=SEQ&limit=N&wait=DUR&epoch=E: what is retained after a position, as the
 * same objects that a WebSocket gets. For clients whose network blocks WebSockets, and for refetching after a gap.
 *
 * The hub decides who may, and waits (long poll). Its answer is bounded (DW_WIRE_BATCH_MAX of records, a thousand of
 * them), so ours is: under 1.5 MiB, for a recommendation is shown with its old and new data twice.
 *
 * `gaps` tells what was trimmed, then each run of messages that expired among those that are left; `gap` is the first
 * of them or null. `direct_gap` and `direct_gaps` say the same of this user's direct messages, if there is any gap.
 *
 * Failure modes: a wrong argument (422, but 403 first); no hub (503).
 */
#include <string.h>

#include "base/clock.h"
#include "cli/opt.h"
#include "edge.h"
#include "http/ask.h"
#include "http/calls.h"
#include "http/route.h"
#include "hub/uplink.h"
#include "wire/wire.h"

enum { LIMIT = 100, LIMIT_MAX = 1000, WAIT_MAX_MS = 60 * 1000 };

/* What is no more of one log, while it is put together. */
struct holes {
	struct dw_buf list;
	struct dw_gap gap; /* the present one; reason DW_GAP_NONE: none */
};

/* How long to wait: until the asker's token ends, and no longer, for the next request is then told. */
static uint64_t
bound_wait(const struct dw_http_request *request, uint64_t wait_ms)
{
	const struct edge *edge = request->user;
	const uint64_t end = request->claims.expires * 1000 + (uint64_t)edge->config.leeway_ms;
	const uint64_t now = dw_now_ms(), left = end > now ? end - now : 0;

	return wait_ms < left ? wait_ms : left;
}

static int
read_arguments(struct dw_http_request *request, struct dw_read *read)
{
	struct dw_fault *fault = &request->fault;
	int64_t after = 0, limit = LIMIT, wait_ms = 0;

	if (!dw_http_number(request, "after", dw_parse_number, 0, INT64_MAX, &after))
		return dw_fault_set(fault, DW_E_FIELD, "after", NULL, "after is no seq");
	if (!dw_http_number(request, "limit", dw_parse_number, 1, LIMIT_MAX, &limit))
		return dw_fault_set(fault, DW_E_FIELD, "limit", NULL, "limit is not within 1..%d", LIMIT_MAX);
	if (!dw_http_number(request, "wait", dw_parse_duration, 0, WAIT_MAX_MS, &wait_ms))
		return dw_fault_set(fault, DW_E_FIELD, "wait", NULL, "wait is not a duration of at most 60s");
	read->after = dw_position_said((uint64_t)after, 0, 0);
	read->limit = (uint64_t)limit;
	read->wait_ms = bound_wait(request, (uint64_t)wait_ms);
	read->epoch = dw_str(dw_http_argument(request, "epoch"));
	if (read->epoch.p != NULL && (read->epoch.n > DW_EPOCH_MAX || !dw_device_ok(read->epoch)))
		return dw_fault_set(fault, DW_E_FIELD, "epoch", NULL, "epoch is not what a `connect` gave");
	return DW_OK;
}

/* The present hole is whole. */
static void
end_hole(struct holes *holes)
{
	const struct dw_gap gap = holes->gap;

	if (gap.reason == DW_GAP_NONE)
		return;
	if (holes->list.len > 0)
		dw_buf_addc(&holes->list, ',');
	dw_buf_addf(&holes->list, "{\"from\":%llu,\"to\":%llu,\"count\":%llu,\"reason\":\"%s\"}",
		(unsigned long long)gap.from, (unsigned long long)gap.to, (unsigned long long)(gap.to - gap.from + 1),
		dw_gap_text(gap.reason));
	holes->gap.reason = DW_GAP_NONE;
}

static void
add_hole(struct holes *holes, struct dw_gap gap)
{
	if (gap.reason == DW_GAP_NONE)
		return;
	if (holes->gap.reason != gap.reason || holes->gap.to + 1 != gap.from) {
		end_hole(holes);
		holes->gap = gap;
	}
	holes->gap.to = gap.to;
}

/* DW_E_PROTOCOL: the hub sent what is no record. */
static int
add_messages(struct dw_buf *out, struct holes *numbered, struct holes *direct, const struct dw_records *records)
{
	const uint64_t now = dw_now_ms();
	struct dw_str rest = records->records;
	struct dw_record record;
	const char *separator = "";
	int err;

	while ((err = dw_record_next(&rest, &record)) == DW_OK) {
		if (dw_record_dead(&record, now)) {
			const uint64_t n = record.to.n == 0 ? record.n : record.own;

			add_hole(record.to.n == 0 ? numbered : direct, (struct dw_gap) { n, n, DW_GAP_EXPIRED });
			continue;
		}
		dw_buf_adds(out, separator);
		separator = ",";
		dw_record_to_json(out, records->room, &record);
	}
	return err == DW_E_AGAIN ? DW_OK : err;
}

static void
add_holes(struct dw_buf *out, const char *name, struct holes *holes)
{
	const char *list;

	end_hole(holes);
	list = holes->list.len > 0 ? holes->list.data : NULL;
	dw_buf_addf(out, ",\"%sgap\":%.*s,\"%sgaps\":[%s]", name, list != NULL ? (int)strcspn(list, "}") + 1 : 4,
		list != NULL ? list : "null", name, list != NULL ? list : "");
	out->failed |= holes->list.failed;
	dw_buf_clear(&holes->list);
}

/* DW_E_PROTOCOL, DW_E_NOMEM. */
static int
add_records(struct dw_http_request *request, const struct dw_records *records)
{
	const struct edge *edge = request->user;
	struct holes numbered = { 0 }, direct = { 0 };
	struct dw_buf *out = &request->answer;
	int err;

	dw_buf_adds(out, "{\"messages\":[");
	add_hole(&numbered, records->gap);
	add_hole(&direct, records->direct);
	err = add_messages(out, &numbered, &direct, records);
	dw_buf_addf(out, "],\"epoch\":\"%s\",\"head\":%llu,\"last\":%llu,\"more\":%s%s", uplink_epoch(edge->uplink),
		(unsigned long long)records->head, (unsigned long long)dw_seq(records->last), records->more ? "true" : "false",
		records->reset ? ",\"reset\":true" : "");
	add_holes(out, "", &numbered);
	if (direct.list.len > 0 || direct.gap.reason != DW_GAP_NONE)
		add_holes(out, "direct_", &direct);
	dw_buf_addc(out, '}');
	return err == DW_OK && !dw_buf_ok(out) ? DW_E_NOMEM : err;
}

static void
on_records(struct dw_http_request *request, int err, const struct dw_wire *answer)
{
	if (err == DW_OK)
		err = add_records(request, &answer->records);
	if (err == DW_OK)
		dw_http_answer(request, MHD_HTTP_OK);
	else
		dw_http_fail(request, err, NULL, NULL);
}

void
messages_take(struct dw_http_request *request)
{
	const struct dw_str room = dw_str(request->part);
	struct dw_wire wire = { .kind = DW_READ };
	int err;

	if (!dw_room_ok(room)) {
		dw_http_fail(request, DW_E_DENIED, NULL, NULL);
		return;
	}
	wire.read.room = room;
	wire.read.user = dw_str(request->claims.user);
	wire.read.claimed = dw_claims_name(&request->claims, room);
	err = read_arguments(request, &wire.read);
	if (err == DW_OK)
		ask_hub(request, &wire, wire.read.wait_ms, on_records);
	else
		ask_refusal(request, room, err);
}
