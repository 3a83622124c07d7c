/* What is predicted of a diagnosis's recommendations: read from the file, reckoned by model/score.h. Within a
 * transaction that somebody else has begun; nothing is written.
 *
 * Of a diagnosis the first PREDICTIONS_MAX recommendations, by their ids, are looked at: so much memory it takes.
 */
#ifndef WORK_PREDICTION_H
#define WORK_PREDICTION_H

#include "clinic.h"
#include "model/score.h"

enum { PREDICTIONS_MAX = 200 };

struct prediction {
	int64_t recommendation;
	struct model_parts parts;
	int64_t score;       /* by the last predictions_sort */
	int64_t confidence;  /* thousandths, as all of these */
	int64_t patients;    /* how many the cohort has */
	int64_t cases;       /* records that `historical` comes from */
	int64_t improvement; /* their mean, in hundredths */
};

struct predictions {
	struct prediction *entries;
	size_t count;
};

/* One recommendation, as if it belonged to the diagnosis; the score is left at 0. */
int prediction_make(struct db *db, struct dw_str diagnosis, int64_t recommendation, struct dw_str herb, int64_t now,
	struct prediction *out, struct dw_fault *fault);
/* All of a diagnosis that is there, sorted for balanced. *out is the caller's: predictions_clear, after a failure, too.
 */
int predictions_make(
	struct db *db, struct dw_str diagnosis, int64_t now, struct predictions *out, struct dw_fault *fault);
void predictions_clear(struct predictions *set);
/* Scores all anew; the highest first, of equal ones the lower id. */
void predictions_sort(struct predictions *set, const struct model_boldness *boldness);

#endif
