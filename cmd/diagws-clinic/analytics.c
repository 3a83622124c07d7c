/* diagws-clinic analytics: what is known of recommendations, diagnoses, conditions and herbs; and `run`, which computes
 * what may have changed, for cron.
 *
 * run goes in groups, each of them one commit of at most GROUP recommendations or GROUP_MS, so that feedback that comes
 * meanwhile waits for a moment only; between them it pushes. Failure modes: a file that cannot be written (what was
 * committed stays, and the next run goes on); a hub that is away (75: the pushes wait for the next run); ^C (130).
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "push/pump.h"
#include "show.h"
#include "sql/db.h"
#include "verbs.h"

enum { GROUP = 200, GROUP_MS = 100 };

struct run {
	struct db *db;
	int64_t now;
	int64_t last; /* of all: the last one computed */
	int64_t ids[GROUP];
	size_t count;
	uint64_t total, computed, changed;
};

/* The next ones to compute. */
static int
find_next(struct run *run, struct dw_fault *fault)
{
	sqlite3_stmt *row;
	bool more = true;
	int err = clinic_options.all ? db_query(run->db, &row, fault, sql_run_all, "ii", run->last, (int64_t)GROUP)
								 : db_query(run->db, &row, fault, sql_run_due, "ii", run->now, (int64_t)GROUP);

	run->count = 0;
	while (err == DW_OK && more) {
		err = db_next(run->db, row, &more, fault);
		if (err == DW_OK && more)
			run->ids[run->count++] = sqlite3_column_int64(row, 0);
	}
	return err;
}

static int
compute_group(struct run *run, struct dw_fault *fault)
{
	const uint64_t until = dw_mono_ms() + GROUP_MS;
	uint64_t computed = 0, changed = 0;
	int err = db_begin(run->db, fault);

	if (err == DW_OK)
		err = find_next(run, fault);
	for (size_t i = 0; err == DW_OK && i < run->count && (i == 0 || dw_mono_ms() < until); i++) {
		bool is_new = false;

		err = compute_recommendation(run->db, run->ids[i], run->now, &is_new, fault);
		run->last = run->ids[i];
		computed++;
		changed += is_new;
	}
	if (err == DW_OK)
		err = db_commit(run->db, fault);
	if (err != DW_OK) {
		db_rollback(run->db);
		return err;
	}
	run->computed += computed;
	run->changed += changed;
	return DW_OK;
}

/* Computes all that is due now. What becomes due meanwhile is for the next run. */
static int
compute_all(struct run *run, struct dw_fault *fault)
{
	struct dw_progress progress;
	struct pump *pump = NULL;
	bool idle, pushes = true;
	int64_t total = 0;
	int err = clinic_options.all ? db_number(run->db, &total, NULL, fault, sql_run_all_count, "")
								 : db_number(run->db, &total, NULL, fault, sql_run_due_count, "i", run->now);

	if (err == DW_OK)
		err = pump_new(&pump, run->db, dw_common.endpoint, dw_common.timeout_ms);
	run->total = (uint64_t)total;
	dw_progress_begin(&progress, run->total, -1);
	while (err == DW_OK && run->computed < run->total && !dw_interrupted()) {
		err = compute_group(run, fault);
		if (err == DW_OK && run->count == 0)
			break; /* somebody else was faster */
		dw_progress_tell(&progress, run->computed, 0);
		db_give_way();
		pushes = pushes && err == DW_OK && pump_run(pump, &idle, NULL) == DW_OK; /* verb_push says what is wrong */
	}
	dw_progress_hide(&progress);
	pump_destroy(&pump);
	return err;
}

static int
tell_run(const struct run *run)
{
	struct dw_buf answer = { 0 };
	int err = DW_OK;

	if (!dw_common.json && dw_common.format == NULL && !isatty(STDOUT_FILENO))
		return DW_OK;
	dw_buf_addf(&answer, "{\"success\":true,\"computed\":%llu,\"changed\":%llu}", (unsigned long long)run->computed,
		(unsigned long long)run->changed);
	err = dw_buf_ok(&answer) ? show_answer(dw_bytes(answer.data, answer.len)) : DW_E_NOMEM;
	dw_buf_clear(&answer);
	return err;
}

static int
run_analytics(int count, char **operands)
{
	struct dw_fault fault = { 0 };
	struct order order;
	struct run run = { 0 };
	int err, pushed = DW_OK, status;

	if (count > 0)
		return dw_err_exit(dw_opt_misuse(&clinic_command, "'%s' is one operand too many", operands[0]));
	if (!verb_order(&order))
		return dw_err_exit(DW_E_USAGE);
	status = verb_open(&run.db);
	if (status != 0)
		return status;
	run.now = order.now;
	(void)dw_interrupt_fd();
	err = compute_all(&run, &fault);
	if (err == DW_OK)
		err = tell_run(&run);
	if (err != DW_OK)
		status = verb_fail(err, &fault);
	fault = (struct dw_fault) { 0 };
	if (!dw_interrupted())
		pushed = verb_push(run.db, &fault);
	if (pushed != DW_OK && pushed != DW_E_AGAIN)
		pushed = verb_fail(pushed, &fault);
	db_close(&run.db);
	return dw_interrupted() ? DW_EXIT_INTERRUPTED : status != 0 ? status : pushed;
}

int
verb_analytics(int count, char **operands)
{
	static const struct verb_action actions[] = {
		{ "status", analytics_status, NO_OPERAND, false },
		{ "recommendation", analytics_recommendation, RECOMMENDATION_OPERAND, false },
		{ "diagnosis", analytics_diagnosis, DIAGNOSIS_OPERAND, false },
		{ "condition", analytics_condition, NAME_OPERAND, false },
		{ "herb", analytics_herb, NAME_OPERAND, false },
		{ "trending", analytics_trending, NO_OPERAND, false },
		{ "worst", analytics_worst, NO_OPERAND, false },
	};

	if (count > 0 && strcmp(operands[0], "run") == 0)
		return run_analytics(count - 1, operands + 1);
	return verb_choose("analytics", actions, sizeof(actions) / sizeof(actions[0]), count, operands);
}
