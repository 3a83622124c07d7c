/* How well a recommendation may work for a diagnosis: the formulas of the service that diagws replaces, a rule of thumb
 * and no medicine. Shares and scores are whole thousandths, each rounded half up at once: what is shown is what is
 * reckoned with and decided by.
 */
#ifndef MODEL_SCORE_H
#define MODEL_SCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/effectiveness.h"

#define MODEL_VERSION "1.0" /* of these formulas; every prediction says it */

enum {
	MODEL_COHORT_MAX = 20, /* patients who are alike, the newest */
	MODEL_DURATION_DAYS = 28,
	/* hundredths */
	MODEL_WEIGHT_HISTORICAL = 40,
	MODEL_WEIGHT_COHORT = 35,
	MODEL_WEIGHT_SYMPTOMS = 25,
};

/* What a score is made of. */
struct model_parts {
	int64_t historical; /* the recommendation's effectiveness */
	int64_t cohort;     /* the share of feedback on its herb by patients who are alike that has a rating of 3 or more */
	int64_t symptoms;   /* the herb's mean strength against the diagnosis's symptoms */
};

/* Each from what is known, and what stands for it where nothing is: 0.5, 0.5, 0.7. */
int64_t model_historical(const struct model_effect *effect);
int64_t model_cohort(int64_t good, int64_t cases);
int64_t model_symptoms(double strengths, int64_t count); /* the sum of `count` strengths from 0 to 1 */

/* How bold: a score is multiplied by so many hundredths. */
struct model_boldness {
	const char *name;
	int64_t factor;
};
enum { MODEL_CONSERVATIVE, MODEL_BALANCED, MODEL_AGGRESSIVE, MODEL_BOLDNESS_COUNT };
extern const struct model_boldness model_boldness[MODEL_BOLDNESS_COUNT];

/* (0.40 * historical + 0.35 * cohort + 0.25 * symptoms) * factor, at most 1. */
int64_t model_score(const struct model_parts *parts, const struct model_boldness *boldness);
/* 0.5 * min(1, patients / 10) + 0.5 * (1 - 0.3 * |historical - cohort|), for a cohort of so many patients. */
int64_t model_prediction_confidence(const struct model_parts *parts, int64_t patients);
/* The mean of n > 0 thousandths. */
int64_t model_mean(int64_t sum, int64_t n);
/* The largest part: "historical", "cohort" or "symptoms"; of equal ones the one that is named first. */
const char *model_evidence(const struct model_parts *parts);
/* Mean improvement (1 to 5) in hundredths; 3.00 where nothing is known. */
int64_t model_improvement(const struct model_effect *effect);
/* Whether a score is good enough for a target: at least 0.8 of it. */
bool model_reaches(int64_t score, int64_t target);

/* What a score means in words: from 0.8, 0.6 and 0.4 on, and below. */
struct model_words {
	const char *english, *persian;
};
const struct model_words *model_reasoning(int64_t score);

#endif
