/* The ranking of a diagnosis's recommendations, and who is told when it turns: see rank_diagnosis in clinic.h.
 */
#ifndef WORK_RANK_H
#define WORK_RANK_H

#include "work/prediction.h"

/* The same for predictions that were made just now and are sorted for balanced. */
int rank_predictions(
	struct db *db, struct dw_str diagnosis, const struct predictions *set, int64_t now, struct dw_fault *fault);

#endif
