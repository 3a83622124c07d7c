/* libdiagws: how the next message is sent, checked and kept until then.
 *
 * Its own file because it is about one message and no call in particular: whichever comes next takes it. Failure
 * mode: something is out of its bounds (DIAGWS_INVALID, and the next message is sent as usual).
 *
 * Invariant: what is kept was checked, so that the hub need not refuse it.
 */
#include "client/diagws_parts.h"
#include "diagws.h"

enum { DEADLINE_MS = 5000, DEADLINE_MAX_MS = 3600 * 1000, TTL_MIN_MS = 1000, DEVICES_MAX = 1000000 };

static int
check_numbers(struct diagws *d, const struct diagws_how *how)
{
	if (how->ttl_ms != 0 && (how->ttl_ms < TTL_MIN_MS || how->ttl_ms > (int64_t)DW_TTL_MAX_S * 1000))
		return dw_diagws_refuse(d, "ttl_ms", "1000 to 2592000000", "it is out of bounds");
	if (how->delivered > DEVICES_MAX)
		return dw_diagws_refuse(d, "delivered", "at most 1000000", "it is out of bounds");
	if (how->deadline_ms < 0 || how->deadline_ms > DEADLINE_MAX_MS)
		return dw_diagws_refuse(d, "deadline_ms", "1 to 3600000, or 0 for 5000", "it is out of bounds");
	return DW_OK;
}

int
diagws_next(struct diagws *d, const struct diagws_how *how)
{
	struct dw_diagws_how next = { 0 };
	int err;

	d->fault = (struct dw_fault) { 0 };
	d->next = next;
	if (how->id != NULL && (!dw_id_ok(dw_str(how->id)) || !dw_str_copy(dw_str(how->id), next.id, sizeof(next.id))))
		return dw_diagws_refuse(d, "id", "1 to 128 of A-Z a-z 0-9 _ . : -", "it is not an id");
	if (how->user != NULL &&
		(!dw_user_ok(dw_str(how->user)) || !dw_str_copy(dw_str(how->user), next.to, sizeof(next.to))))
		return dw_diagws_refuse(d, "user", "1 to 128 bytes of UTF-8 without control characters", "it is not a user id");
	if (how->exclude_session != NULL && !dw_session_parse(dw_str(how->exclude_session), &next.except))
		return dw_diagws_refuse(d, "exclude_session", "16 hexadecimal digits", "it is not a session");
	err = check_numbers(d, how);
	if (err != DW_OK)
		return err;
	next.ttl_ms = (uint64_t)how->ttl_ms;
	next.wait = how->delivered;
	next.wait_ms = how->delivered == 0 ? 0 : how->deadline_ms > 0 ? (uint64_t)how->deadline_ms : DEADLINE_MS;
	d->next = next;
	return DW_OK;
}
