/* diagws-clinic predict, optimize, evolution, accuracy, profile, stats: what is to be expected, and what came of it. */
#include "verbs.h"

int
verb_predict(int count, char **operands)
{
	static const struct verb_action action = { "predict", predict_diagnosis, DIAGNOSIS_OPERAND, false };

	return verb_act(&action, count, operands);
}

int
verb_optimize(int count, char **operands)
{
	static const struct verb_action action = { "optimize", predict_optimize, DIAGNOSIS_OPERAND, false };

	return verb_act(&action, count, operands);
}

int
verb_evolution(int count, char **operands)
{
	static const struct verb_action action = { "evolution", predict_evolution, DIAGNOSIS_OPERAND, false };

	return verb_act(&action, count, operands);
}

int
verb_accuracy(int count, char **operands)
{
	static const struct verb_action action = { "accuracy", predict_accuracy, DIAGNOSIS_OPERAND, false };

	return verb_act(&action, count, operands);
}

int
verb_profile(int count, char **operands)
{
	static const struct verb_action action = { "profile", predict_profile, PATIENT_OPERAND, false };

	return verb_act(&action, count, operands);
}

int
verb_stats(int count, char **operands)
{
	static const struct verb_action action = { "stats", predict_stats, RECOMMENDATION_OPERAND, false };

	return verb_act(&action, count, operands);
}
