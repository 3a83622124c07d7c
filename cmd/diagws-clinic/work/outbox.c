/* What is to be pushed, kept with the record that it tells of. push/ sends it.
 */
#include "clinic.h"
#include "sql/db.h"

int
outbox_add(struct db *db, struct dw_str diagnosis, const char *type, const char *message, const struct dw_buf *data,
	int64_t now, struct dw_fault *fault)
{
	if (!dw_buf_ok(data))
		return dw_fault_set(fault, DW_E_NOMEM, NULL, NULL, "out of memory");
	return db_run(db, fault, sql_outbox_add, "tssti", diagnosis, type, message, dw_bytes(data->data, data->len), now);
}
