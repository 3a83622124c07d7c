/* links: cmd/diagws-clinic/model/effectiveness.c cmd/diagws-clinic/model/score.c */
/* Predictions: the worked examples of the formulas, one more by hand, and every limit at the limit and beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/score.h"

static const struct model_boldness *const conservative = &model_boldness[MODEL_CONSERVATIVE];
static const struct model_boldness *const balanced = &model_boldness[MODEL_BALANCED];
static const struct model_boldness *const aggressive = &model_boldness[MODEL_AGGRESSIVE];

static void
test_worked(void **state)
{
	const struct model_parts known = { 800, 800, 700 };
	const struct model_parts hand = { 682, model_cohort(7, 9), model_symptoms(0.9 + 0.5 + 0.65, 3) };

	(void)state;
	/* 0.40 * 0.80 + 0.35 * 0.80 + 0.25 * 0.70 = 0.32 + 0.28 + 0.175 */
	assert_int_equal(model_score(&known, balanced), 775);
	assert_int_equal(model_score(&known, conservative), 659); /* 0.775 * 0.85 = 0.65875 */
	assert_int_equal(model_score(&known, aggressive), 891);   /* 0.775 * 1.15 = 0.89125 */
	assert_int_equal(model_prediction_confidence(&known, 15), 1000);

	assert_int_equal(hand.cohort, 778);   /* 7 / 9 = 0.7777… */
	assert_int_equal(hand.symptoms, 683); /* 2.05 / 3 = 0.68333… */
	/* 0.4 * 0.682 + 0.35 * 0.778 + 0.25 * 0.683 = 0.2728 + 0.2723 + 0.17075 = 0.71585 */
	assert_int_equal(model_score(&hand, balanced), 716);
	assert_int_equal(model_score(&hand, conservative), 608); /* 0.6084725: not 0.716 * 0.85 = 0.6086 */
	assert_int_equal(model_score(&hand, aggressive), 823);   /* 0.8232275 */
	/* 0.5 * 9/10 + 0.5 * (1 - 0.3 * 0.096) = 0.45 + 0.4856 */
	assert_int_equal(model_prediction_confidence(&hand, 9), 936);
	assert_string_equal(model_evidence(&hand), "cohort");
}

static void
test_nothing_known(void **state)
{
	const struct model_effect none = { 0 };
	const struct model_parts parts = { model_historical(&none), model_cohort(0, 0), model_symptoms(0, 0) };

	(void)state;
	assert_int_equal(parts.historical, 500);
	assert_int_equal(parts.cohort, 500);
	assert_int_equal(parts.symptoms, 700);
	assert_int_equal(model_score(&parts, balanced), 550); /* 0.2 + 0.175 + 0.175 */
	assert_int_equal(model_prediction_confidence(&parts, 0), 500);
	assert_int_equal(model_improvement(&none), 300);
}

static void
test_parts(void **state)
{
	const struct model_effect some = { .cases = 16, .successes = 1, .improvement_sum = 50 };

	(void)state;
	assert_int_equal(model_historical(&some), 63);   /* 0.0625, half up */
	assert_int_equal(model_improvement(&some), 313); /* 3.125 */
	assert_int_equal(model_cohort(0, 3), 0);
	assert_int_equal(model_cohort(3, 3), 1000);
	assert_int_equal(model_symptoms(0, 2), 0);
	assert_int_equal(model_symptoms(2, 2), 1000);
	assert_int_equal(model_symptoms(0.0625, 1), 63);
	assert_int_equal(model_symptoms(0.05 + 0.05 + 0.35 + 0.6, 4), 263); /* 0.2625, though the sum is just below */
	assert_int_equal(model_mean(1001, 2), 501);
	assert_int_equal(model_mean(1000, 3), 333);
}

static void
test_limits(void **state)
{
	const struct model_parts all = { 1000, 1000, 1000 }, none = { 0, 0, 0 };
	const struct model_parts capped = { 870, 870, 870 }, under = { 869, 869, 869 };
	const struct model_parts apart = { 1000, 0, 500 };

	(void)state;
	assert_int_equal(model_score(&all, aggressive), 1000);
	assert_int_equal(model_score(&all, balanced), 1000);
	assert_int_equal(model_score(&all, conservative), 850);
	assert_int_equal(model_score(&none, aggressive), 0);
	assert_int_equal(model_score(&capped, aggressive), 1000); /* 1.0005 */
	assert_int_equal(model_score(&under, aggressive), 999);   /* 0.99935 */
	assert_int_equal(model_prediction_confidence(&all, 9), 950);
	assert_int_equal(model_prediction_confidence(&all, 10), 1000);
	assert_int_equal(model_prediction_confidence(&all, 11), 1000);
	assert_int_equal(model_prediction_confidence(&apart, 10), 850); /* 0.5 + 0.5 * 0.7 */
	assert_int_equal(model_prediction_confidence(&apart, 0), 350);
	/* 0.8 * 0.75 = 0.6, which as doubles is more than 0.6 */
	assert_true(model_reaches(600, 750));
	assert_false(model_reaches(599, 750));
	assert_true(model_reaches(800, 1000));
	assert_false(model_reaches(799, 1000));
	assert_false(model_reaches(600, 751));
}

static void
test_evidence(void **state)
{
	(void)state;
	assert_string_equal(model_evidence(&(struct model_parts) { 500, 500, 500 }), "historical");
	assert_string_equal(model_evidence(&(struct model_parts) { 500, 501, 501 }), "cohort");
	assert_string_equal(model_evidence(&(struct model_parts) { 501, 500, 501 }), "historical");
	assert_string_equal(model_evidence(&(struct model_parts) { 500, 500, 700 }), "symptoms");
}

static void
test_reasoning(void **state)
{
	static const int64_t firsts[] = { 0, 400, 600, 800, 1001 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		const struct model_words *words = model_reasoning(firsts[i]);

		assert_ptr_equal(words, model_reasoning(firsts[i + 1] - 1));
		assert_ptr_not_equal(words, model_reasoning(firsts[i + 1] % 1001));
		assert_true(words->english[0] >= 'A' && words->english[0] <= 'Z');
		assert_memory_equal(words->persian, i == 0 ? "بعید" : i == 1 ? "شاید" : "انتظار", 8);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_worked),
		cmocka_unit_test(test_nothing_known),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_evidence),
		cmocka_unit_test(test_reasoning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
