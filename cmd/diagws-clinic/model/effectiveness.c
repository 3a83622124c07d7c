/* See effectiveness.h. A rate is never divided out before it is compared: s1/n1 - s2/n2 > 1/10 is asked as
 * 10 * (s1*n2 - s2*n1) > n1*n2, where nothing is rounded. Counts are of records in a file, far below 2^31.
 */
#include "model/effectiveness.h"

bool
model_success(int64_t rating, int64_t improvement)
{
	return rating >= MODEL_GOOD && improvement >= MODEL_GOOD;
}

static void
due_at(struct model_effect *effect, int64_t at)
{
	if (effect->due == 0 || at < effect->due)
		effect->due = at;
}

void
model_effect_add(struct model_effect *effect, int64_t now, int64_t created, int64_t rating, int64_t improvement)
{
	const bool success = model_success(rating, improvement);
	const bool recent = created >= now - MODEL_RECENT;

	if (created < now - MODEL_WINDOW)
		return;
	if (created > now) {
		due_at(effect, created);
		return;
	}
	effect->cases++;
	effect->successes += success;
	effect->recent += recent;
	effect->recent_successes += recent && success;
	effect->rating_sum += rating;
	effect->improvement_sum += improvement;
	due_at(effect, created + (recent ? MODEL_RECENT : MODEL_WINDOW) + 1);
}

int64_t
model_share(int64_t part, int64_t whole)
{
	return (2000 * part + whole) / (2 * whole);
}

int64_t
model_effectiveness(const struct model_effect *effect)
{
	return model_share(effect->successes, effect->cases);
}

int64_t
model_confidence(int64_t cases)
{
	return 500 + 5 * (cases < 100 ? cases : 100);
}

const char *
model_trend(const struct model_effect *effect)
{
	const int64_t earlier = effect->cases - effect->recent;
	const int64_t difference = effect->recent_successes * earlier - /* times recent * earlier */
							   (effect->successes - effect->recent_successes) * effect->recent;

	if (10 * difference > effect->recent * earlier)
		return "improving";
	if (-10 * difference > effect->recent * earlier)
		return "declining";
	return "stable"; /* also where a side is empty: all of it is 0 then */
}

int64_t
model_average(int64_t sum, int64_t n)
{
	return (200 * sum + n) / (2 * n);
}

const char *
model_performance(const struct model_effect *effect)
{
	const int64_t effectiveness = model_effectiveness(effect);

	return effectiveness >= 700 ? "high" : effectiveness >= 400 ? "medium" : "low";
}
