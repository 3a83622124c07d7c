/* What the conditions of a record mean: for whom it is, and whether it still is.
 *
 * Its own file because hub and edge judge alike, and neither packing (wire.c) nor showing (render.c) is needed for it.
 */
#include "message/msg.h"

struct dw_number
dw_record_number(const struct dw_record *record)
{
	return (struct dw_number) { record->seq, record->n, record->own };
}

bool
dw_record_plain(const struct dw_record *record)
{
	return record->type.n > 0 && record->to.n == 0 && record->except == 0 && record->expires_at == 0;
}

bool
dw_record_dead(const struct dw_record *record, uint64_t now)
{
	return record->type.n == 0 || (record->expires_at != 0 && record->expires_at <= now);
}
