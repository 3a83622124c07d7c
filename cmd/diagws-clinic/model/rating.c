/* See rating.h. Compared in integers, as effectiveness.c does.
 */
#include "model/rating.h"

#include <stdlib.h>

#include "model/effectiveness.h"

enum { ENOUGH = 3 }; /* recent records, for a trend */

void
model_ratings_add(struct model_ratings *ratings, int64_t now, int64_t created, int64_t rating)
{
	if (created > now || created < now - MODEL_WINDOW)
		return;
	if (created >= now - MODEL_RECENT) {
		ratings->recent++;
		ratings->recent_sum += rating;
	} else {
		ratings->earlier++;
		ratings->earlier_sum += rating;
	}
}

const char *
model_rating_trend(const struct model_ratings *ratings, int64_t *confidence)
{
	const int64_t both = ratings->recent * ratings->earlier;
	const int64_t difference = ratings->recent_sum * ratings->earlier - ratings->earlier_sum * ratings->recent;
	const int64_t size = llabs(difference); /* times both */

	if (ratings->recent < ENOUGH || ratings->earlier == 0) {
		*confidence = 500;
		return "new";
	}
	if (2 * size <= both) {
		*confidence = 700;
		return "stable";
	}
	*confidence = (400 * size + both) / (2 * both);
	return difference > 0 ? "improving" : "declining";
}
