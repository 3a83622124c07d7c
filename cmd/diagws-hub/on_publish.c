/* PUBLISH: a message to be stored. Every byte is checked here once more, whoever sent it.
 *
 * Happy path: grammar, contents, staged; STORED is answered by the commit (apply.c). Failure modes: a
 * field or the contents are wrong (the text says which and why), too much waits already (busy). A hub
 * that is shutting down says nothing: what it was asked is asked of the next one again.
 */
#include "hub.h"

#include <stdlib.h>
#include <string.h>

#include "diagws/clock.h"
#include "diagws/msg.h"

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
	if (publish->user.n > 0 && !dw_user_ok(publish->user))
		return dw_fault_set(fault, DW_E_FIELD, "user", NULL, "field 'user' is not a user id");
	return DW_OK;
}

/* Of type and contents, with a byte between that neither can hold. */
static int
hash_content(struct dw_str type, const struct dw_buf *data, uint8_t hash[DW_HASH_SIZE])
{
	struct dw_buf both = { 0 };
	uint8_t digest[32];

	dw_buf_add(&both, type.p, type.n);
	dw_buf_addc(&both, '\0');
	dw_buf_add(&both, data->data, data->len);
	if (!dw_buf_ok(&both)) {
		dw_buf_clear(&both);
		return DW_E_NOMEM;
	}
	dw_sha256(both.data, both.len, digest);
	memcpy(hash, digest, DW_HASH_SIZE);
	dw_buf_clear(&both);
	return DW_OK;
}

/* Takes data's memory over. */
static int
stage(struct hub *hub, struct peer *peer, const struct dw_publish *publish, struct dw_buf *data)
{
	struct staged *staged = stage_new(DW_OP_APPEND, publish->room);
	char made[DW_HEX_ID_SIZE];
	int err;

	if (staged == NULL)
		return DW_E_NOMEM;
	err = hash_content(publish->type, data, staged->op.append.hash);
	if (err != DW_OK) {
		free(staged);
		return err;
	}
	dw_random_id(made);
	(void)dw_str_copy(publish->type, staged->op.append.type, sizeof(staged->op.append.type));
	(void)dw_str_copy(
		publish->id.n > 0 ? publish->id : dw_str(made), staged->op.append.id, sizeof(staged->op.append.id));
	(void)dw_str_copy(publish->user, staged->op.append.publisher, sizeof(staged->op.append.publisher));
	staged->op.append.claimed = publish->claimed;
	staged->op.append.data = data->data;
	staged->op.append.size = data->len;
	staged->op.append.at = dw_now_ms();
	dw_buf_init(data);
	staged->reply = REPLY_STORED;
	staged->corr = publish->corr;
	return stage_add(hub, peer, staged);
}

void
on_publish(struct hub *hub, struct peer *peer, const struct dw_wire *message, struct dw_str frame)
{
	const struct dw_publish *publish = &message->publish;
	struct dw_fault fault = { 0 };
	struct dw_buf data = { 0 };
	int err = DW_OK;

	(void)frame;
	if (hub->closing)
		return;
	hub->counters.received++;
	if (stage_full(hub, peer))
		err = DW_E_BUSY;
	if (err == DW_OK)
		err = check_names(publish, &fault);
	if (err == DW_OK)
		err = dw_data_check(publish->type, publish->data.p, publish->data.n, &data, &fault);
	if (err == DW_OK)
		err = stage(hub, peer, publish, &data);
	dw_buf_clear(&data);
	if (err == DW_OK)
		return;
	hub->counters.rejected++;
	answer_failure(hub, peer->number, message, err, fault.message[0] != '\0' ? fault.message : NULL);
}
