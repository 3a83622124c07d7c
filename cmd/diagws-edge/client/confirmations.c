/* Pending confirmations: see subscription.h. Ten thousand clients may stand at ten thousand positions: telling them
 * sorts the list once. A client may have confirmed twice, its stack by a PONG, and further back it itself by an `ack`,
 * which is worth more to the hub: both are told.
 */
#include "subscription.h"

#include <stdlib.h>

#include <utlist.h>

#include "client/conn.h"
#include "edge.h"
#include "hub/uplink.h"
#include "room/rooms.h"

enum { PONG = 1, ACK = 2, KEYS = 8 };

struct confirmation {
	/* All that is the same in one CONFIRM. Where one began again the hub has to know before it hears of anything that
	 * it confirmed there. */
	uint64_t key[KEYS];
	struct dw_confirm confirm; /* but for its sessions */
	uint64_t session;
};

void
confirmations_add(struct subscription *sub, bool sure)
{
	if (sub->pending == 0)
		DL_APPEND2(sub->conn->edge->confirmations, sub, pending_prev, pending_next);
	sub->pending |= sure ? ACK : PONG;
}

void
confirmations_remove(struct subscription *sub)
{
	if (sub->pending != 0)
		DL_DELETE2(sub->conn->edge->confirmations, sub, pending_prev, pending_next);
	sub->pending = 0;
}

static int
compare(const void *one, const void *other)
{
	const struct confirmation *a = one, *b = other;

	for (size_t i = 0; i < KEYS; i++)
		if (a->key[i] != b->key[i])
			return a->key[i] < b->key[i] ? -1 : 1;
	return 0;
}

/* Those of `said` from the first on that stand where it does, in one message. Returns how many. */
static size_t
tell_some(struct uplink *uplink, const struct confirmation *said, size_t count, struct dw_buf *sessions)
{
	struct dw_wire message = { .kind = DW_CONFIRM, .confirm = said->confirm };
	size_t n = 0;

	dw_buf_reset(sessions);
	while (n < count && n < DW_WIRE_SESSIONS_MAX && compare(&said[n], said) == 0)
		dw_session_pack(sessions, said[n++].session);
	message.confirm.sessions = dw_bytes(sessions->data, sessions->len);
	if (dw_buf_ok(sessions))
		(void)uplink_send(uplink, &message);
	return n;
}

/* Where it began to read again is said once. */
static struct confirmation
confirmation_of(struct subscription *sub, bool sure)
{
	const struct dw_position at = sure ? written_acked(sub) : sub->confirmed;
	const struct dw_begun begun = { sub->anew ? sub->numbered.begun : 0, sub->anew ? sub->direct.begun : 0 };
	const struct confirmation said = { .session = sub->conn->session,
		.confirm = { .room = dw_str(sub->room->id), .at = at, .sure = sure, .anew = sub->anew, .begun = begun },
		.key = { (uintptr_t)sub->room, !sub->anew, dw_seq(at), dw_n(at), dw_own(at), begun.n, begun.own, sure } };

	sub->anew = false;
	return said;
}

void
confirmations_tell(struct edge *edge)
{
	struct dw_buf sessions = { 0 };
	struct subscription *sub, *next;
	struct confirmation *said;
	size_t count = 0, told = 0;

	DL_COUNT2(edge->confirmations, sub, count, pending_next);
	said = count > 0 ? malloc(2 * count * sizeof(*said)) : NULL;
	if (said == NULL)
		return;
	count = 0;
	DL_FOREACH_SAFE2(edge->confirmations, sub, next, pending_next)
	{
		/* Not before the hub counts it again. */
		if (sub->state == SUB_RETURNING)
			continue;
		if (sub->joined && (sub->pending & PONG) != 0)
			said[count++] = confirmation_of(sub, false);
		if (sub->joined && (sub->pending & ACK) != 0)
			said[count++] = confirmation_of(sub, true);
		confirmations_remove(sub);
	}
	qsort(said, count, sizeof(*said), compare);
	while (told < count)
		told += tell_some(edge->uplink, said + told, count - told, &sessions);
	dw_buf_clear(&sessions);
	free(said);
}

void
confirmations_tell_ack(struct subscription *sub)
{
	struct dw_buf sessions = { 0 };
	struct confirmation said;

	if ((sub->pending & ACK) == 0)
		return;
	said = confirmation_of(sub, true);
	(void)tell_some(sub->conn->edge->uplink, &said, 1, &sessions);
	dw_buf_clear(&sessions);
}
