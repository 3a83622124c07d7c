/* Where the ratings of a treatment go: the formula of the service that diagws replaces. The mean of the last 30 days
 * minus the mean of days 30 to 90, with the windows of effectiveness.h.
 */
#ifndef MODEL_RATING_H
#define MODEL_RATING_H

#include <stdint.h>

/* All zero: nothing yet. */
struct model_ratings {
	int64_t recent, recent_sum;
	int64_t earlier, earlier_sum;
};

/* Adds a record; one too old, or from after `now`, does not count. */
void model_ratings_add(struct model_ratings *ratings, int64_t now, int64_t created, int64_t rating);

/* "new" (confidence 500) with fewer than 3 recent records or no earlier one; "stable" (700) while the means are at most
 * 0.5 apart; else "improving" or "declining", with |difference| / 5 as *confidence, in thousandths, half up. */
const char *model_rating_trend(const struct model_ratings *ratings, int64_t *confidence);

#endif
