/* GET /ws/messages/{diagnosis_id}?after=SEQ&limit=N&wait=DUR&epoch=E: what is retained after a position, as the
 * same objects that a WebSocket gets. For clients whose network blocks WebSockets, and for refetching after a gap.
 *
 * The hub decides who may, and waits (long poll). Its answer is bounded (DW_WIRE_BATCH_MAX of records, a thousand of
 * them), so ours is: under 1.5 MiB, for a recommendation is shown with its old and new data twice.
 *
 * What is no more is told in `gaps`, each with the room's first and last n, the count and the reason: what was
 * trimmed, then each run of messages that expired among those that are left. `gap` is the first of them or null.
 * `direct_gap` and `direct_gaps` say the same of this user's direct messages, by their own numbers; they are left out
 * where there is none.
 *
 * A wait ends with the asker's token at the latest, with what is there then.
 *
 * Failure modes: a wrong argument (422, but 403 first); no hub (503). A client that leaves frees all that is here.
 */
#include "messages.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/opt.h"
#include "edge.h"
#include "http/api.h"
#include "http/wait.h"
#include "hub/uplink.h"
#include "wire/wire.h"

enum { LIMIT = 100, LIMIT_MAX = 1000, WAIT_MAX_MS = 60 * 1000 };

/* The arguments. */
struct reading {
	uint64_t after, limit, wait_ms;
	char epoch[DW_EPOCH_MAX + 1];
	struct dw_fault fault;
	int err; /* of the arguments: told when the asker may watch */
};

/* What is no more of one log, while it is put together. */
struct holes {
	struct dw_buf list, first;
	struct dw_gap gap; /* the present one; reason DW_GAP_NONE: none */
};

struct page {
	struct holes numbered, direct;
};

static void
forget(struct request *request)
{
	free(request->context);
}

/* false: it is there and no number within the bounds. */
static bool
read_number(const struct request *request, const char *name, uint64_t min, uint64_t max, uint64_t *out)
{
	char text[32];
	int64_t value;

	if (!http_argument(request, name, text, sizeof(text)))
		return true;
	if (!dw_parse_number(text, &value) || value < 0 || (uint64_t)value < min || (uint64_t)value > max)
		return false;
	*out = (uint64_t)value;
	return true;
}

static int
read_arguments(const struct request *request, struct reading *reading)
{
	struct dw_fault *fault = &reading->fault;
	char wait[32];
	int64_t ms = 0;

	reading->limit = LIMIT;
	if (!read_number(request, "after", 0, INT64_MAX, &reading->after))
		return dw_fault_set(fault, DW_E_FIELD, "after", NULL, "after is no seq");
	if (!read_number(request, "limit", 1, LIMIT_MAX, &reading->limit))
		return dw_fault_set(fault, DW_E_FIELD, "limit", NULL, "limit is not within 1..%d", LIMIT_MAX);
	if (http_argument(request, "wait", wait, sizeof(wait)) &&
		(!dw_parse_duration(wait, &ms) || ms < 0 || ms > WAIT_MAX_MS))
		return dw_fault_set(fault, DW_E_FIELD, "wait", NULL, "wait is not a duration of at most 60s");
	if (http_argument(request, "epoch", reading->epoch, sizeof(reading->epoch)) &&
		!dw_device_ok(dw_str(reading->epoch)))
		return dw_fault_set(fault, DW_E_FIELD, "epoch", NULL, "epoch is not what a `connect` gave");
	reading->wait_ms = (uint64_t)ms;
	return DW_OK;
}

/* Until the asker's token ends, and no longer: the next request is then told. */
static uint64_t
bound_wait(const struct request *request, uint64_t wait_ms)
{
	const uint64_t end = request->claims.expires * 1000 + (uint64_t)request->edge->config.leeway_ms;
	const uint64_t now = dw_now_ms(), left = end > now ? end - now : 0;

	return wait_ms < left ? wait_ms : left;
}

static void
add_gap(struct dw_buf *out, struct dw_gap gap)
{
	dw_buf_addf(out, "{\"from\":%llu,\"to\":%llu,\"count\":%llu,\"reason\":\"%s\"}", (unsigned long long)gap.from,
		(unsigned long long)gap.to, (unsigned long long)(gap.to - gap.from + 1), dw_gap_text(gap.reason));
}

/* The present hole is whole. */
static void
end_hole(struct holes *holes)
{
	if (holes->gap.reason == DW_GAP_NONE)
		return;
	if (holes->list.len > 0)
		dw_buf_addc(&holes->list, ',');
	else
		add_gap(&holes->first, holes->gap);
	add_gap(&holes->list, holes->gap);
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

/* A message that is no more. */
static void
add_dead(struct page *page, const struct dw_record *record)
{
	if (record->to.n == 0)
		add_hole(&page->numbered, (struct dw_gap) { record->n, record->n, DW_GAP_EXPIRED });
	else
		add_hole(&page->direct, (struct dw_gap) { record->own, record->own, DW_GAP_EXPIRED });
}

/* DW_E_PROTOCOL: the hub sent what is no record. */
static int
add_messages(struct dw_buf *out, struct page *page, const struct dw_records *records)
{
	const uint64_t now = dw_now_ms();
	struct dw_str rest = records->records;
	struct dw_record record;
	bool first = true;
	int err;

	while ((err = dw_record_next(&rest, &record)) == DW_OK) {
		if (dw_record_dead(&record, now)) {
			add_dead(page, &record);
			continue;
		}
		if (!first)
			dw_buf_addc(out, ',');
		first = false;
		dw_record_to_json(out, records->room, &record);
	}
	return err == DW_E_AGAIN ? DW_OK : err;
}

static void
add_holes(struct dw_buf *out, const char *name, struct holes *holes)
{
	end_hole(holes);
	dw_buf_addf(out, ",\"%sgap\":", name);
	if (holes->first.len > 0)
		dw_buf_add(out, holes->first.data, holes->first.len);
	else
		dw_buf_adds(out, "null");
	dw_buf_addf(out, ",\"%sgaps\":[", name);
	dw_buf_add(out, holes->list.data, holes->list.len);
	dw_buf_addc(out, ']');
	out->failed |= holes->first.failed || holes->list.failed;
	dw_buf_clear(&holes->first);
	dw_buf_clear(&holes->list);
}

static void
tell_records(struct request *request, const struct dw_records *records)
{
	struct page page = { 0 };
	struct dw_buf *out = &request->answer;
	int err;

	dw_buf_adds(out, "{\"messages\":[");
	add_hole(&page.numbered, records->gap);
	add_hole(&page.direct, records->direct);
	err = add_messages(out, &page, records);
	dw_buf_addf(out, "],\"epoch\":\"%s\",\"head\":%llu,\"last\":%llu,\"more\":%s%s",
		uplink_epoch(request->edge->uplink), (unsigned long long)records->head,
		(unsigned long long)dw_seq(records->last), records->more ? "true" : "false",
		records->reset ? ",\"reset\":true" : "");
	add_holes(out, "", &page.numbered);
	if (page.direct.list.len > 0 || page.direct.gap.reason != DW_GAP_NONE)
		add_holes(out, "direct_", &page.direct);
	dw_buf_addc(out, '}');
	if (err == DW_OK && !dw_buf_ok(out))
		err = DW_E_NOMEM;
	if (err == DW_OK)
		http_answer(request, DW_HTTP_OK);
	else
		api_fail(request, err, NULL, NULL);
}

static void
on_records(void *user, int err, const struct dw_wire *answer)
{
	struct request *request = user;

	request->corr = 0;
	wait_end(request, true);
	if (err == DW_OK)
		tell_records(request, &answer->records);
	else if (err == DW_E_DENIED)
		api_deny(request);
	else
		api_fail(request, err, NULL, NULL);
}

static void
on_checked(void *user, int err, const struct dw_wire *answer)
{
	struct request *request = user;
	const struct reading *reading = request->context;

	(void)answer;
	request->corr = 0;
	if (err == DW_OK)
		api_fail(request, reading->err, reading->fault.message, reading->fault.field);
	else if (err == DW_E_DENIED)
		api_deny(request);
	else
		api_fail(request, err, NULL, NULL);
}

/* Asks for the messages; when an argument is wrong, only whether the asker may be told of it. */
static int
ask(struct request *request, const struct reading *reading)
{
	const struct dw_str room = dw_str(request->last), user = dw_str(request->claims.user);
	const bool claimed = dw_claims_name(&request->claims, room);
	struct dw_wire check = { .kind = DW_OWN,
		.own = { .verb = DW_STR("check"), .room = room, .user = user, .claimed = claimed } };
	struct dw_wire read = { .kind = DW_READ,
		.read = { .room = room,
			.after = dw_position_said(reading->after, 0, 0),
			.limit = reading->limit,
			.user = user,
			.claimed = claimed,
			.epoch = dw_str(reading->epoch),
			.wait_ms = reading->wait_ms } };
	int err = DW_OK;

	if (reading->err != DW_OK)
		return uplink_ask(request->edge->uplink, &check, on_checked, request, &request->corr);
	if (reading->wait_ms > 0)
		err = wait_begin(request, reading->wait_ms);
	return err == DW_OK ? uplink_ask(request->edge->uplink, &read, on_records, request, &request->corr) : err;
}

void
messages_take(struct request *request)
{
	struct reading *reading = calloc(1, sizeof(*reading));
	int err = DW_E_NOMEM;

	request->context = reading;
	request->forget = forget;
	if (!dw_room_ok(dw_str(request->last))) {
		api_deny(request);
		return;
	}
	if (reading != NULL) {
		reading->err = read_arguments(request, reading);
		reading->wait_ms = bound_wait(request, reading->wait_ms);
		err = ask(request, reading);
	}
	if (err != DW_OK)
		api_fail(request, err, NULL, NULL);
}
