/* What a clinic is asked, by shell and by HTTP alike: an order, carried out by a call in one commit, answered in JSON.
 *
 * Who may ask is not looked at here: the shell has the file, and http/ checks tokens and owners before.
 */
#ifndef CLINIC_H
#define CLINIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct db;

enum {
	NAME_MAX_POINTS = 64,    /* code points of a condition, herb, symptom or mizaj */
	TEXT_MAX_POINTS = 500,   /* of side effects and of a comment */
	HISTORY_MAX = 200,       /* records */
	LIST_MAX = 50,           /* entries of trending, worst-performing and most-effective */
	BATCH_FEEDBACK_MAX = 50, /* in one request */
	BATCH_CALCULATE_MAX = 100,
	BATCH_PREDICT_MAX = 20,
	IDS_MAX = BATCH_CALCULATE_MAX,
	DAY = 24 * 3600,
};

/* All that any call may be asked; each looks at its own. All zero, but for `now`, is an order with nothing in it. Texts
 * are borrowed. */
struct order {
	int64_t now; /* seconds since 1970 */
	struct dw_str diagnosis;
	int64_t recommendation;     /* 0: none */
	int64_t feedback;           /* 0: none */
	int64_t patient;            /* 0: none */
	struct dw_str name;         /* of a condition or herb */
	int64_t limit;              /* 0: the call's own */
	int64_t min_samples;        /* 0: 5 */
	struct dw_str optimization; /* empty: balanced */
	double target;              /* 0: 0.75 */
	bool own;                   /* comments only of the recommendation's own diagnosis: its owner asks */
	struct dw_str body;         /* JSON, as it came */
	bool dry;                   /* what the call would change is checked, answered and undone */
};

/* Appends the answer: a JSON object that begins with "success":true. Only here a call begins and commits; what it
 * failed at is undone, and nothing is appended. DW_E_JSON, DW_E_FIELD (field, what was given, what is allowed),
 * DW_E_TOO_BIG, DW_E_UNKNOWN (there is no such diagnosis, recommendation, …), DW_E_NOMEM, and what sql/db.h says. */
typedef int clinic_call(struct db *db, const struct order *order, struct dw_buf *answer, struct dw_fault *fault);

/* work/feedback*.c. Bodies and answers are those of diagws-clinic(1). */
clinic_call feedback_submit;         /* body */
clinic_call feedback_submit_batch;   /* body: {"feedback":[…]} */
clinic_call feedback_update;         /* feedback, body */
clinic_call feedback_history;        /* diagnosis or none; limit */
clinic_call feedback_summary;        /* recommendation */
clinic_call feedback_trend;          /* recommendation */
clinic_call feedback_overview;       /* diagnosis */
clinic_call feedback_most_effective; /* limit, min_samples */
clinic_call feedback_side_effects;   /* limit */

/* work/analytics*.c */
clinic_call analytics_status;
clinic_call analytics_recommendation;  /* recommendation */
clinic_call analytics_diagnosis;       /* diagnosis */
clinic_call analytics_condition;       /* name */
clinic_call analytics_herb;            /* name */
clinic_call analytics_trending;        /* limit, min_samples */
clinic_call analytics_worst;           /* limit, min_samples */
clinic_call analytics_calculate;       /* recommendation: computes it now, and pushes */
clinic_call analytics_calculate_batch; /* body: {"recommendation_ids":[…]} */

/* work/predict*.c */
clinic_call predict_diagnosis; /* diagnosis, optimization */
clinic_call predict_optimize;  /* diagnosis, target, optimization */
clinic_call predict_evolution; /* diagnosis */
clinic_call predict_accuracy;  /* diagnosis */
clinic_call predict_profile;   /* patient */
clinic_call predict_stats;     /* recommendation */
clinic_call predict_version;
clinic_call predict_batch; /* body: {"diagnosis_ids":[…]}, optimization */

/* work/diagnoses.c: for who has to know whose something is. The answer is no JSON, but the ids of the diagnoses that a
 * recommendation, a record of feedback, a patient, or each of the body's recommendations belongs to, each once, with
 * a NUL behind it, at most IDS_MAX of them. DW_E_UNKNOWN: of one that there is not. */
clinic_call diagnoses_of; /* recommendation, feedback, patient or body: {"recommendation_ids":[…]} */

/* Parts of calls, within a transaction that somebody else has begun. */

/* Computes a recommendation's metrics anew; where they changed, they are kept and an effectiveness_update waits in the
 * outbox, and the ranking of its diagnosis is looked at (rank_diagnosis). *changed may be NULL. */
int compute_recommendation(struct db *db, int64_t recommendation, int64_t now, bool *changed, struct dw_fault *fault);
/* Ranks a diagnosis's recommendations anew; where those who watch were told another ranking, a recommendation_update
 * waits in the outbox. The first ranking of a diagnosis is only kept. */
int rank_diagnosis(struct db *db, struct dw_str diagnosis, int64_t now, struct dw_fault *fault);
/* What is to be pushed, with the record: `message` is "feedback.17.2", the record and its version; data is JSON. */
int outbox_add(struct db *db, struct dw_str diagnosis, const char *type, const char *message, const struct dw_buf *data,
	int64_t now, struct dw_fault *fault);

#endif
