/* links: cmd/diagws-clinic/model/effectiveness.c cmd/diagws-clinic/model/rating.c */
/* Effectiveness and ratings: a set of records worked by hand, the worked examples of the formulas, and every limit at
 * the limit and one past it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/effectiveness.h"
#include "model/rating.h"

static const int64_t NOW = 1800000000;
enum { D = MODEL_DAY };

/* 25 patients; S: a success, r: of the last 30 days, e: earlier, -: does not count. */
static const struct {
	int64_t age, rating, improvement;
} hand[] = {
	{ 0, 5, 5 },          /* S r */
	{ 1 * D, 4, 4 },      /* S r */
	{ 3 * D, 5, 4 },      /* S r */
	{ 5 * D, 3, 3 },      /* S r: both exactly 3 */
	{ 8 * D, 4, 5 },      /* S r */
	{ 10 * D, 2, 4 },     /*   r: the rating is too low */
	{ 12 * D, 5, 3 },     /* S r */
	{ 15 * D, 4, 2 },     /*   r: the improvement is too low */
	{ 20 * D, 5, 5 },     /* S r */
	{ 25 * D, 4, 4 },     /* S r */
	{ 30 * D, 3, 4 },     /* S r: exactly 30 days */
	{ 30 * D + 1, 3, 2 }, /*   e: a second more */
	{ 33 * D, 2, 2 },     /*   e */
	{ 40 * D, 4, 3 },     /* S e */
	{ 45 * D, 3, 3 },     /* S e */
	{ 50 * D, 1, 1 },     /*   e */
	{ 55 * D, 5, 4 },     /* S e */
	{ 60 * D, 2, 3 },     /*   e */
	{ 70 * D, 4, 4 },     /* S e */
	{ 75 * D, 3, 1 },     /*   e */
	{ 80 * D, 4, 3 },     /* S e */
	{ 90 * D, 3, 3 },     /* S e: exactly 90 days */
	{ 90 * D + 1, 5, 5 }, /* -: a second more */
	{ 120 * D, 1, 1 },    /* - */
	{ -1, 5, 5 },         /* -: in a second */
};

static void
test_worked_by_hand(void **state)
{
	struct model_effect effect = { 0 };
	struct model_ratings ratings = { 0 };
	int64_t confidence;

	(void)state;
	for (size_t i = 0; i < sizeof(hand) / sizeof(hand[0]); i++) {
		model_effect_add(&effect, NOW, NOW - hand[i].age, hand[i].rating, hand[i].improvement);
		model_ratings_add(&ratings, NOW, NOW - hand[i].age, hand[i].rating);
	}
	/* Counted: 22. Recent: 11, with 9 successes (all but 2/4 and 4/2). Earlier: 11, with 6. */
	assert_int_equal(effect.cases, 22);
	assert_int_equal(effect.successes, 15);
	assert_int_equal(effect.recent, 11);
	assert_int_equal(effect.recent_successes, 9);
	assert_int_equal(model_effectiveness(&effect), 682);       /* 15 / 22 = 0.68181… */
	assert_int_equal(model_confidence(effect.cases), 610);     /* 0.5 + 22 / 100 * 0.5 */
	assert_string_equal(model_trend(&effect), "improving");    /* 9/11 - 6/11 = 0.27… > 0.1 */
	assert_string_equal(model_performance(&effect), "medium"); /* 0.4 <= 0.682 < 0.7 */
	/* Ratings: 5+4+5+3+4+2+5+4+5+4+3 = 44 and 3+2+4+3+1+5+2+4+3+4+3 = 34; 78 / 22 = 3.5454… */
	assert_int_equal(effect.rating_sum, 78);
	assert_int_equal(model_average(effect.rating_sum, effect.cases), 355);
	/* Improvement: 5+4+4+3+5+4+3+2+5+4+4 = 43 and 2+2+3+3+1+4+3+4+1+3+3 = 29; 72 / 22 = 3.2727… */
	assert_int_equal(effect.improvement_sum, 72);
	assert_int_equal(model_average(effect.improvement_sum, effect.cases), 327);
	/* Means 44/11 = 4 and 34/11 = 3.0909…: 0.9090… apart, / 5 = 0.1818… */
	assert_int_equal(ratings.recent, 11);
	assert_int_equal(ratings.recent_sum, 44);
	assert_int_equal(ratings.earlier, 11);
	assert_int_equal(ratings.earlier_sum, 34);
	assert_string_equal(model_rating_trend(&ratings, &confidence), "improving");
	assert_int_equal(confidence, 182);
}

/* Adds so many records of an age, the first of them successes. */
static void
add(struct model_effect *effect, int64_t age, int successes, int cases)
{
	for (int i = 0; i < cases; i++)
		model_effect_add(effect, NOW, NOW - age, i < successes ? 5 : 1, 5);
}

static void
check_effect(int successes, int cases, int64_t effectiveness, int64_t confidence, const char *performance)
{
	struct model_effect effect = { 0 };

	add(&effect, D, successes, cases);
	assert_int_equal(model_effectiveness(&effect), effectiveness);
	assert_int_equal(model_confidence(effect.cases), confidence);
	assert_string_equal(model_performance(&effect), performance);
	assert_string_equal(model_trend(&effect), "stable");
}

static void
test_effectiveness(void **state)
{
	(void)state;
	check_effect(85, 100, 850, 1000, "high");
	check_effect(14, 20, 700, 600, "high"); /* exactly 0.7 */
	check_effect(25, 50, 500, 750, "medium");
	check_effect(1, 2, 500, 510, "medium");
	check_effect(1, 1, 1000, 505, "high");
	check_effect(0, 1, 0, 505, "low");
	check_effect(2, 5, 400, 525, "medium"); /* exactly 0.4 */
	check_effect(39, 100, 390, 1000, "low");
	check_effect(139, 200, 695, 1000, "medium");
	check_effect(1399, 2000, 700, 1000, "high"); /* 0.6995, half up */
	check_effect(1, 16, 63, 580, "low");         /* 0.0625, half up */
	check_effect(1, 3, 333, 515, "low");
	check_effect(2, 3, 667, 515, "medium");
	assert_int_equal(model_confidence(99), 995);
	assert_int_equal(model_confidence(101), 1000);
	assert_int_equal(model_average(25, 8), 313); /* 3.125, half up */
	assert_int_equal(model_average(9, 2), 450);
	assert_int_equal(model_average(10, 3), 333);
}

static void
check_trend(int recent_successes, int recent, int successes, int earlier, const char *trend)
{
	struct model_effect effect = { 0 };

	add(&effect, 30 * D, recent_successes, recent);
	add(&effect, 30 * D + 1, successes, earlier);
	assert_string_equal(model_trend(&effect), trend);
}

static void
test_trend(void **state)
{
	(void)state;
	check_trend(0, 0, 0, 0, "stable");
	check_trend(1, 1, 0, 0, "stable");
	check_trend(9, 9, 0, 0, "stable"); /* nothing earlier */
	check_trend(0, 0, 9, 9, "stable"); /* nothing recent */
	check_trend(1, 1, 0, 1, "improving");
	check_trend(0, 1, 1, 1, "declining");
	check_trend(6, 10, 5, 10, "stable"); /* exactly 0.1, which as doubles is a little less or more */
	check_trend(5, 10, 6, 10, "stable");
	check_trend(8, 10, 7, 10, "stable");
	check_trend(3, 10, 4, 10, "stable");
	check_trend(3, 5, 1, 2, "stable");
	check_trend(61, 100, 50, 100, "improving");
	check_trend(50, 100, 61, 100, "declining");
	check_trend(7, 10, 599, 1000, "improving");
	check_trend(7, 10, 600, 1000, "stable");
	check_trend(600, 1000, 7, 10, "stable");
	check_trend(599, 1000, 7, 10, "declining");
}

static void
test_windows(void **state)
{
	struct model_effect effect = { 0 };

	(void)state;
	add(&effect, 90 * D + 1, 1, 1);
	assert_int_equal(effect.cases, 0);
	assert_int_equal(effect.due, 0);
	add(&effect, -7, 1, 1); /* it will count in 7 s */
	assert_int_equal(effect.cases, 0);
	assert_int_equal(effect.due, NOW + 7);

	effect = (struct model_effect) { 0 };
	add(&effect, 90 * D, 1, 1);
	assert_int_equal(effect.cases, 1);
	assert_int_equal(effect.recent, 0);
	assert_int_equal(effect.due, NOW + 1);

	effect = (struct model_effect) { 0 };
	add(&effect, 30 * D + 1, 1, 1);
	assert_int_equal(effect.recent, 0);
	assert_int_equal(effect.due, NOW + 60 * D); /* then it is 90 days and a second old */
	add(&effect, 30 * D, 1, 1);
	assert_int_equal(effect.recent, 1);
	assert_int_equal(effect.due, NOW + 1);

	effect = (struct model_effect) { 0 };
	add(&effect, 0, 1, 1);
	assert_int_equal(effect.due, NOW + 30 * D + 1);
	add(&effect, 89 * D, 1, 1);
	assert_int_equal(effect.due, NOW + D + 1);
	add(&effect, 1 * D, 1, 1);
	assert_int_equal(effect.due, NOW + D + 1);
}

static void
check_ratings(int64_t recent, int64_t recent_sum, int64_t earlier, int64_t earlier_sum, const char *trend, int64_t sure)
{
	const struct model_ratings ratings = { recent, recent_sum, earlier, earlier_sum };
	int64_t confidence = -1;

	assert_string_equal(model_rating_trend(&ratings, &confidence), trend);
	assert_int_equal(confidence, sure);
}

static void
test_ratings(void **state)
{
	struct model_ratings ratings = { 0 };

	(void)state;
	check_ratings(0, 0, 0, 0, "new", 500);
	check_ratings(2, 10, 9, 9, "new", 500);
	check_ratings(3, 15, 0, 0, "new", 500);
	check_ratings(3, 15, 1, 1, "improving", 800);     /* (5 - 1) / 5 */
	check_ratings(3, 12, 2, 7, "stable", 700);        /* 4 - 3.5: exactly 0.5 */
	check_ratings(4, 14, 3, 12, "stable", 700);       /* 3.5 - 4 */
	check_ratings(3, 12, 100, 349, "improving", 102); /* 4 - 3.49 = 0.51 */
	check_ratings(100, 349, 3, 12, "declining", 102);
	check_ratings(3, 6, 2, 9, "declining", 500); /* 2 - 4.5 */
	check_ratings(3, 12, 3, 12, "stable", 700);
	check_ratings(16, 77, 1, 4, "improving", 163); /* 0.8125 / 5 = 0.1625, half up */

	model_ratings_add(&ratings, NOW, NOW + 1, 5);
	model_ratings_add(&ratings, NOW, NOW - 90 * D - 1, 5);
	assert_int_equal(ratings.recent + ratings.earlier, 0);
	model_ratings_add(&ratings, NOW, NOW, 5);
	model_ratings_add(&ratings, NOW, NOW - 30 * D, 4);
	model_ratings_add(&ratings, NOW, NOW - 30 * D - 1, 2);
	model_ratings_add(&ratings, NOW, NOW - 90 * D, 1);
	assert_int_equal(ratings.recent, 2);
	assert_int_equal(ratings.recent_sum, 9);
	assert_int_equal(ratings.earlier, 2);
	assert_int_equal(ratings.earlier_sum, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_worked_by_hand),
		cmocka_unit_test(test_effectiveness),
		cmocka_unit_test(test_trend),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_ratings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
