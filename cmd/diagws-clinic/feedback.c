/* diagws-clinic feedback: gives it, changes it, and what it says. */
#include "verbs.h"

int
verb_feedback(int count, char **operands)
{
	static const struct verb_action actions[] = {
		{ "submit", feedback_submit, NO_OPERAND, true },
		{ "update", feedback_update, FEEDBACK_OPERAND, true },
		{ "history", feedback_history, PERHAPS_DIAGNOSIS, false },
		{ "summary", feedback_summary, RECOMMENDATION_OPERAND, false },
		{ "trend", feedback_trend, RECOMMENDATION_OPERAND, false },
		{ "overview", feedback_overview, DIAGNOSIS_OPERAND, false },
		{ "most-effective", feedback_most_effective, NO_OPERAND, false },
		{ "side-effects", feedback_side_effects, NO_OPERAND, false },
	};

	return verb_choose("feedback", actions, sizeof(actions) / sizeof(actions[0]), count, operands);
}
