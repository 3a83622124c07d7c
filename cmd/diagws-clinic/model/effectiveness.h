/* How well a treatment works, from what its patients said: the formulas of the service that diagws replaces. Records
 * go in, numbers come out, counted in integers, so that the limits are exact and every machine agrees.
 *
 * A record is a success with improvement >= 3 and rating >= 3, both from 1 to 5. Times are seconds since 1970, windows
 * whole days back from now: a record of exactly 90 days still counts, one of exactly 30 days is recent, and the rest of
 * the 90 days is "earlier".
 */
#ifndef MODEL_EFFECTIVENESS_H
#define MODEL_EFFECTIVENESS_H

#include <stdbool.h>
#include <stdint.h>

enum {
	MODEL_DAY = 24 * 3600,
	MODEL_RECENT = 30 * MODEL_DAY,
	MODEL_WINDOW = 90 * MODEL_DAY,
	MODEL_GOOD = 3, /* the least rating and the least improvement of a success */
};

/* What was said of a treatment in the last 90 days; all zero: nothing yet. */
struct model_effect {
	int64_t cases, successes;         /* of all 90 days */
	int64_t recent, recent_successes; /* of the last 30 */
	int64_t rating_sum, improvement_sum;
	int64_t due; /* when one of these records leaves a window, or one from after now begins to count; 0: never */
};

/* Whether a record is a success. */
bool model_success(int64_t rating, int64_t improvement);
/* Adds a record; one too old, or from after `now`, does not count. */
void model_effect_add(struct model_effect *effect, int64_t now, int64_t created, int64_t rating, int64_t improvement);

/* part / whole in thousandths, half up; part >= 0, whole > 0. */
int64_t model_share(int64_t part, int64_t whole);
/* successes / cases, as model_share gives it; cases > 0. */
int64_t model_effectiveness(const struct model_effect *effect);
/* min(1, 0.5 + min(n, 100) / 100 * 0.5) in thousandths, exact. */
int64_t model_confidence(int64_t cases);
/* The recent success rate minus the earlier one: above +0.1 "improving", below -0.1 "declining", else, and where either
 * side is empty, "stable". */
const char *model_trend(const struct model_effect *effect);
/* sum / n in hundredths, half up; sum >= 0, n > 0. */
int64_t model_average(int64_t sum, int64_t n);
/* By the rounded effectiveness: from 0.7 on "high", from 0.4 on "medium", else "low"; cases > 0. */
const char *model_performance(const struct model_effect *effect);

#endif
