/* The transaction around a call, and around each entry of a batch.
 */
#ifndef WORK_CALL_H
#define WORK_CALL_H

#include "clinic.h"
#include "json/json.h"

/* Carries out what a call consists of, in one commit: what failed is undone, and nothing of it stays in the answer. Of
 * a dry order everything is undone. */
int call_write(
	struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault, clinic_call *body);
/* The same for what only reads: all that it sees is of one moment, and no writer waits for it. */
int call_read(
	struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault, clinic_call *body);

/* For a call that does more before it begins: ends what db_begin began. After err == DW_OK it commits; else, or when
 * that fails, all is undone and the answer is cut to `len`. */
int call_end(
	struct db *db, const struct order *order, int err, struct dw_buf *answer, size_t len, struct dw_fault *fault);

/* What is done with an entry; it appends members of an object, behind "success":true. */
typedef int call_entry(struct db *db, const struct order *order, const struct dw_json_member *entry,
	struct dw_buf *answer, struct dw_fault *fault);
/* The whole call for a body {"name":[…]} of at most max entries: each is taken or refused by itself, all in one commit.
 * What is wrong with an entry stands in its place in the answer; where the body itself is wrong, or the file fails,
 * nothing is done at all. */
int call_batch(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault,
	const char *name, int64_t max, call_entry *entry);

#endif
