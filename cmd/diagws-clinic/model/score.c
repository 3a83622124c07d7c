/* See score.h. All in integers: hundredths of weights times thousandths of parts times hundredths of factors are
 * exact, and divided out once.
 */
#include "model/score.h"

#include <stdlib.h>

const struct model_boldness model_boldness[MODEL_BOLDNESS_COUNT] = {
	{ "conservative", 85 },
	{ "balanced", 100 },
	{ "aggressive", 115 },
};

int64_t
model_historical(const struct model_effect *effect)
{
	return effect->cases > 0 ? model_effectiveness(effect) : 500;
}

int64_t
model_cohort(int64_t good, int64_t cases)
{
	return cases > 0 ? model_share(good, cases) : 500;
}

int64_t
model_symptoms(double strengths, int64_t count)
{
	/* More than what a sum of doubles may lack, and less than what anybody writes: 0.2625 is half up, too. */
	return count > 0 ? (int64_t)(strengths / (double)count * 1000 + 0.5 + 1e-9) : 700;
}

int64_t
model_score(const struct model_parts *parts, const struct model_boldness *boldness)
{
	const int64_t sum = MODEL_WEIGHT_HISTORICAL * parts->historical + MODEL_WEIGHT_COHORT * parts->cohort +
						MODEL_WEIGHT_SYMPTOMS * parts->symptoms;
	const int64_t score = (sum * boldness->factor + 5000) / 10000;

	return score < 1000 ? score : 1000;
}

int64_t
model_prediction_confidence(const struct model_parts *parts, int64_t patients)
{
	const int64_t known = patients < 10 ? patients : 10;
	const int64_t apart = llabs(parts->historical - parts->cohort);

	return (5000 * known + 50000 - 15 * apart + 50) / 100; /* hundredths of thousandths, rounded */
}

int64_t
model_mean(int64_t sum, int64_t n)
{
	return (2 * sum + n) / (2 * n);
}

const char *
model_evidence(const struct model_parts *parts)
{
	if (parts->historical >= parts->cohort && parts->historical >= parts->symptoms)
		return "historical";
	return parts->cohort >= parts->symptoms ? "cohort" : "symptoms";
}

int64_t
model_improvement(const struct model_effect *effect)
{
	return effect->cases > 0 ? model_average(effect->improvement_sum, effect->cases) : 300;
}

bool
model_reaches(int64_t score, int64_t target)
{
	return 10 * score >= 8 * target;
}

const struct model_words *
model_reasoning(int64_t score)
{
	static const struct model_words very_well = {
		"Expected to help very well: what is known of it clearly speaks for it",
		"انتظار می‌رود بسیار مؤثر باشد: شواهد آشکارا به سود آن است",
	};
	static const struct model_words well = {
		"Expected to help: more that is known of it speaks for it than against it",
		"انتظار می‌رود مؤثر باشد: بیشتر شواهد به سود آن است",
	};
	static const struct model_words maybe = {
		"May help: what is known of it is little, or speaks for it and against it",
		"شاید مؤثر باشد: شواهد اندک است یا یکدست نیست",
	};
	static const struct model_words hardly = {
		"Not expected to help: most that is known of it speaks against it",
		"بعید است مؤثر باشد: بیشتر شواهد به سود آن نیست",
	};

	return score >= 800 ? &very_well : score >= 600 ? &well : score >= 400 ? &maybe : &hardly;
}
