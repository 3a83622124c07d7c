/* How well treatments work, from the records in the file, as of now; and what lists and answers have in common.
 */
#ifndef WORK_EFFECT_H
#define WORK_EFFECT_H

#include <sqlite3.h>
#include <stdint.h>

#include "clinic.h"
#include "message/msg.h"
#include "model/effectiveness.h"

enum { NAME_SIZE = 4 * NAME_MAX_POINTS + 1 };

struct recommendation {
	int64_t id;
	char diagnosis[DW_ROOM_MAX + 1];
	char herb[NAME_SIZE];
};

/* DW_E_UNKNOWN: there is none. */
int recommendation_read(struct db *db, struct recommendation *out, int64_t id, struct dw_fault *fault);
int diagnosis_read(struct db *db, struct dw_str id, char condition[NAME_SIZE], struct dw_fault *fault);
int diagnosis_unknown(struct dw_str id, struct dw_fault *fault);
int recommendation_unknown(int64_t id, struct dw_fault *fault);

/* A kept score, in thousandths. */
static inline int64_t
thousandths(double score)
{
	return (int64_t)(score * 1000 + 0.5);
}

/* Adds all rows of created, rating, symptom_improvement. */
int effect_gather(struct db *db, sqlite3_stmt *row, int64_t now, struct model_effect *effect, struct dw_fault *fault);
int effect_of_recommendation(
	struct db *db, int64_t id, int64_t now, struct model_effect *effect, struct dw_fault *fault);

/* "effectiveness","confidence","sample_size","trend","average_rating","performance": null without a case. */
void put_effect(struct dw_buf *out, const struct model_effect *effect);
/* The same of a recommendation, behind its "recommendation_id","herb_name","diagnosis_id". */
int put_recommendation(struct db *db, int64_t id, int64_t now, struct dw_buf *out, struct dw_fault *fault);
/* The whole answer of a list of results: a statement that is given a limit and a least number of cases, and has rows of
 * recommendation, herb, diagnosis, effectiveness, confidence, cases, trend, average_rating. DW_E_FIELD: the order's
 * limit or min_samples is out of bounds. */
int put_list(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault, const char *sql);

/* The order's limit, or `own` where it has none. DW_E_FIELD: it is not within 1..max. */
int limit_read(const struct order *order, int64_t own, int64_t max, int64_t *limit, struct dw_fault *fault);

#endif
