/* PUBLISH: a message to be stored. Every byte is checked here once more, whoever sent it; STORED is answered by the
 * commit (apply.c). Failure modes: a field or the contents are wrong (the text says which and why), too much waits
 * already (busy). A hub that is shutting down says nothing: what it was asked is asked of the next one again.
 */
#include "handle/handlers.h"

#include <string.h>

#include "base/clock.h"
#include "hub.h"
#include "message/msg.h"
#include "peers/outbox.h"
#include "peers/peers.h"
#include "rooms/load.h"
#include "rooms/question.h"
#include "rooms/rooms.h"
#include "rooms/waits.h"
#include "store/stage.h"

enum { WAIT_MAX = 1000000, WAIT_MAX_MS = 3600 * 1000 };

static const uint64_t TTL_MAX_MS = 30ULL * 24 * 3600 * 1000;

static int
check_names(const struct dw_publish *publish, struct dw_fault *fault)
{
	if (!dw_room_ok(publish->room))
		return dw_fault_set(fault, DW_E_FIELD, "diagnosis_id", NULL,
			"field 'diagnosis_id' is not 1 to %d of A-Z a-z 0-9 _ -", DW_ROOM_MAX);
	if (!dw_type_ok(publish->type))
		return dw_fault_set(fault, DW_E_FIELD, "type", NULL, "field 'type' is not 1 to 57 of a-z 0-9 _, then _update");
	if (publish->id.n > 0 && !dw_id_ok(publish->id))
		return dw_fault_set(
			fault, DW_E_FIELD, "id", NULL, "field 'id' is not 1 to %d of A-Z a-z 0-9 _ . : -", DW_ID_MAX);
	if ((publish->user.n > 0 && !dw_user_ok(publish->user)) || (publish->to.n > 0 && !dw_user_ok(publish->to)))
		return dw_fault_set(fault, DW_E_FIELD, "user", NULL, "field 'user' is not a user id");
	if (publish->ttl_ms > TTL_MAX_MS)
		return dw_fault_set(fault, DW_E_FIELD, "ttl_s", NULL, "field 'ttl_s' is not within 1 s to 30 days");
	if (publish->wait > WAIT_MAX || publish->wait_ms > WAIT_MAX_MS)
		return dw_fault_set(fault, DW_E_FIELD, "wait", NULL, "wait for at most %d devices, at most an hour", WAIT_MAX);
	return DW_OK;
}

/* Of type, receiver and contents, with a byte between that none can hold. */
static void
hash_content(const struct dw_publish *publish, const struct dw_buf *data, uint8_t hash[DW_HASH_SIZE])
{
	const struct dw_str parts[] = { publish->type, DW_STR("\0"), publish->to, { "", publish->to.n > 0 },
		{ data->data, data->len } };
	uint8_t digest[32];

	dw_sha256(parts, sizeof(parts) / sizeof(parts[0]), digest);
	memcpy(hash, digest, DW_HASH_SIZE);
}

/* Takes data's memory over. */
static int
stage_message(
	struct hub *hub, struct peer *peer, const struct dw_publish *publish, struct dw_room *room, struct dw_buf *data)
{
	struct staged *staged = stage_new(DW_OP_APPEND, publish->room);
	const uint64_t now = dw_now_ms();
	int err;

	if (staged == NULL)
		return DW_E_NOMEM;
	hash_content(publish, data, staged->op.append.hash);
	(void)dw_str_copy(publish->type, staged->op.append.type, sizeof(staged->op.append.type));
	if (publish->id.n > 0)
		(void)dw_str_copy(publish->id, staged->op.append.id, sizeof(staged->op.append.id));
	else
		dw_random_id(staged->op.append.id);
	(void)dw_str_copy(publish->user, staged->op.append.publisher, sizeof(staged->op.append.publisher));
	staged->op.append.claimed = publish->claimed;
	staged->op.append.data = data->data;
	staged->op.append.size = data->len;
	(void)dw_str_copy(publish->to, staged->op.append.to, sizeof(staged->op.append.to));
	staged->op.append.except = publish->except;
	staged->op.append.expires_at = publish->ttl_ms > 0 ? now + publish->ttl_ms : 0;
	staged->op.append.at = now;
	*data = (struct dw_buf) { 0 };
	staged->reply = REPLY_STORED;
	staged->corr = publish->corr;
	staged->wait = publish->wait;
	staged->wait_ms = publish->wait_ms;
	staged->holds = room != NULL;
	err = stage_add(hub, peer, staged);
	if (err == DW_OK && room != NULL)
		room_hold(hub, room);
	return err;
}

/* Whose devices get it is only known of a room in memory: room is NULL where nobody asks. DW_E_AGAIN: it waits. */
static int
need_room(struct hub *hub, struct peer *peer, const struct request *request, struct dw_room **room)
{
	const struct dw_publish *publish = &request->message.publish;
	int err;

	if (publish->wait == 0 && publish->to.n == 0)
		return DW_OK;
	*room = room_find(hub, publish->room);
	if (*room != NULL && dw_room_resident(*room))
		return DW_OK;
	/* It is not loaded for a user who may not publish there. */
	if (publish->user.n > 0)
		return right_check(hub, peer, request, room);
	*room = room_get(hub, publish->room);
	if (*room == NULL)
		return DW_E_NOMEM;
	err = room_wait(hub, *room, peer, request->frame);
	room_done(hub, *room);
	return err == DW_OK ? DW_E_AGAIN : err;
}

void
on_publish(struct hub *hub, struct peer *peer, struct request *request)
{
	const struct dw_publish *publish = &request->message.publish;
	struct dw_fault fault = { 0 };
	struct dw_buf data = { 0 };
	struct dw_room *room = NULL;
	int err = DW_OK;

	if (hub->closing)
		return;
	hub->counters.received += !request->again;
	if (!request->again &&
		(stage_full(hub, peer, HUB_SMALL + publish->data.n) || (publish->wait > 0 && waits_full(hub, peer))))
		err = DW_E_BUSY;
	if (err == DW_OK)
		err = check_names(publish, &fault);
	if (err == DW_OK)
		err = need_room(hub, peer, request, &room);
	if (err == DW_OK)
		err = dw_data_check(publish->type, publish->data.p, publish->data.n, &data, &fault);
	if (err == DW_OK)
		err = stage_message(hub, peer, publish, room, &data);
	dw_buf_clear(&data);
	if (err == DW_OK || err == DW_E_AGAIN)
		return;
	hub->counters.rejected++;
	answer_failure(hub, peer->number, &request->message, err, fault.message[0] != '\0' ? fault.message : NULL);
}
