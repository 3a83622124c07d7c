/* What the subcommands share: the order that options and operands make, a call and what comes of it.
 *
 * Failure modes: operands that are wrong (64; an id that is none: 65); what the call refuses; a hub that is away, which
 * is no failure, for the record is kept and its push waits.
 */
#include "verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/command.h"
#include "message/msg.h"
#include "push/pump.h"
#include "show.h"
#include "sql/db.h"
#include "when.h"

enum { BODY_MAX = 64 * 1024 };

int
verb_fail(int err, const struct dw_fault *fault)
{
	dw_fault_print(stderr, clinic_command.name, err, fault, NULL);
	return dw_err_exit(err);
}

bool
verb_order(struct order *order)
{
	const char *const target = clinic_options.target;
	char *end = NULL;

	*order = (struct order) { .now = (int64_t)(dw_now_ms() / 1000),
		.limit = clinic_options.limit,
		.min_samples = clinic_options.min_samples,
		.optimization = dw_str(clinic_options.optimization),
		.dry = clinic_options.dry };
	if (clinic_options.now != NULL && !when_parse(clinic_options.now, &order->now)) {
		(void)dw_opt_misuse(&clinic_command,
			"option '--now': '%s' is not a time such as 2026-12-01T14:00:00Z, or seconds since 1970",
			clinic_options.now);
		return false;
	}
	if (target != NULL)
		order->target = strtod(target, &end);
	if (target != NULL && (end == target || *end != '\0' || !(order->target > 0 && order->target <= 1))) {
		(void)dw_opt_misuse(&clinic_command, "option '--target': '%s' is not a number above 0 and up to 1", target);
		return false;
	}
	return true;
}

int
verb_open(struct db **db)
{
	struct dw_fault fault = { 0 };
	const int err = db_open(db, clinic_options.db, &fault);

	return err == DW_OK ? 0 : verb_fail(err, &fault);
}

/* ---- pushing ---- */

int
verb_push(struct db *db, struct dw_fault *fault)
{
	struct pump *pump = NULL;
	bool idle = false;
	int err = pump_new(&pump, db, dw_common.endpoint, dw_common.timeout_ms);

	while (err == DW_OK) {
		err = pump_run(pump, &idle, fault);
		if (err != DW_OK || idle)
			break;
		(void)dw_interrupt_wait(-1, pump_fd(pump), DW_COMMAND_WAIT_MS);
		if (dw_interrupted())
			err = DW_E_AGAIN;
	}
	if (pump != NULL && pump_refused(pump) > 0)
		fprintf(stderr, "%s: refused for good: %llu of the pushes; '%s outbox' says why\n", clinic_command.name,
			(unsigned long long)pump_refused(pump), clinic_command.name);
	pump_destroy(&pump);
	return err;
}

/* The record is kept: that its push waits is no failure. */
static int
push_after(struct db *db)
{
	struct dw_fault fault = { 0 };
	int64_t waiting = 0;
	int err;

	(void)dw_interrupt_fd();
	err = verb_push(db, &fault);
	if (err == DW_OK)
		return 0;
	if (err == DW_E_AGAIN)
		return DW_EXIT_INTERRUPTED;
	(void)db_number(db, &waiting, NULL, NULL, sql_outbox_count, "");
	if (!dw_common.quiet)
		fprintf(stderr, "%s: kept; %lld %s for the hub: %s\n", clinic_command.name, (long long)waiting,
			waiting == 1 ? "push waits" : "pushes wait", fault.message[0] != '\0' ? fault.message : dw_err_text(err));
	return 0;
}

/* ---- a call ---- */

/* The last thing that was put into the outbox, whether it is still there or not. */
static int64_t
last_push(struct db *db)
{
	int64_t last = 0;

	(void)db_number(db, &last, NULL, NULL, sql_outbox_last, "");
	return last;
}

int
verb_call(clinic_call *call, const struct order *order, bool silent)
{
	const bool shows = !silent || dw_common.json || dw_common.format != NULL || isatty(STDOUT_FILENO);
	struct db *db = NULL;
	struct dw_buf answer = { 0 };
	struct dw_fault fault = { 0 };
	int64_t before;
	int err, status = verb_open(&db);

	if (status != 0)
		return status;
	before = last_push(db);
	err = call(db, order, &answer, &fault);
	if (err == DW_OK && shows)
		err = show_answer(dw_bytes(answer.data, answer.len));
	if (err != DW_OK)
		status = verb_fail(err, &fault);
	if (last_push(db) != before) {
		const int pushed = push_after(db);

		status = status != 0 ? status : pushed;
	}
	dw_buf_clear(&answer);
	db_close(&db);
	return status;
}

/* ---- operands ---- */

static int
read_all(int fd, struct dw_buf *text, struct dw_fault *fault)
{
	for (;;) {
		char *to = dw_buf_room(text, BODY_MAX);
		ssize_t got;

		if (to == NULL)
			return DW_E_NOMEM;
		got = read(fd, to, BODY_MAX);
		if (got == 0)
			return DW_OK;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return dw_fault_set(fault, DW_E_NOINPUT, NULL, NULL, "cannot read: %s", strerror(errno));
		dw_buf_grow(text, (size_t)got);
		if (text->len > BODY_MAX)
			return dw_fault_set(fault, DW_E_TOO_BIG, NULL, "at most 64 KiB", "more than 64 KiB of input");
	}
}

/* JSON as it stands, @FILE, or NULL or "-": standard input. */
static int
read_body(const char *operand, struct dw_buf *text)
{
	const bool is_input = operand == NULL || strcmp(operand, "-") == 0 || strcmp(operand, "@-") == 0;
	struct dw_fault fault = { 0 };
	int fd = STDIN_FILENO, err = DW_OK;

	if (!is_input && operand[0] != '@') {
		dw_buf_adds(text, operand);
		return dw_buf_ok(text) ? 0 : verb_fail(DW_E_NOMEM, NULL);
	}
	if (is_input && isatty(STDIN_FILENO))
		return dw_err_exit(
			dw_opt_misuse(&clinic_command, "the JSON is to come from standard input, which is a terminal"));
	if (!is_input)
		fd = open(operand + 1, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err = dw_fault_set(&fault, DW_E_NOINPUT, NULL, NULL, "%s: %s", operand + 1, strerror(errno));
	else
		err = read_all(fd, text, &fault);
	if (!is_input && fd >= 0)
		(void)close(fd);
	return err == DW_OK ? 0 : verb_fail(err, &fault);
}

static int
take_number(const char *text, const char *what, int64_t *out)
{
	char quoted[DW_QUOTE_SIZE];
	struct dw_fault fault = { 0 };
	int64_t value;

	if (dw_parse_number(text, &value) && value > 0) {
		*out = value;
		return 0;
	}
	return verb_fail(dw_fault_set(&fault, DW_E_FIELD, NULL, "a whole number above 0", "'%s' is not the id of a %s",
						 dw_quote(dw_str(text), quoted), what),
		&fault);
}

static int
take_operand(struct order *order, enum verb_operand kind, const char *text)
{
	struct dw_fault fault = { 0 };

	switch (kind) {
	case RECOMMENDATION_OPERAND:
		return take_number(text, "recommendation", &order->recommendation);
	case PATIENT_OPERAND:
		return take_number(text, "patient", &order->patient);
	case FEEDBACK_OPERAND:
		return take_number(text, "feedback", &order->feedback);
	case NAME_OPERAND:
		order->name = dw_str(text);
		return 0;
	default:
		order->diagnosis = dw_str(text);
		if (dw_room_check(order->diagnosis, "", &fault) != DW_OK)
			return verb_fail(DW_E_FIELD, &fault);
		return 0;
	}
}

int
verb_act(const struct verb_action *action, int count, char **operands)
{
	static const char *const missing[] = { [DIAGNOSIS_OPERAND] = "the diagnosis's id",
		[RECOMMENDATION_OPERAND] = "the recommendation's id",
		[PATIENT_OPERAND] = "the patient's id",
		[FEEDBACK_OPERAND] = "the feedback's id",
		[NAME_OPERAND] = "the name" };
	const bool takes = action->operand != NO_OPERAND;
	const int most = (takes ? 1 : 0) + (action->has_body ? 1 : 0);
	struct order order;
	struct dw_buf body = { 0 };
	int status = 0;

	if (takes && action->operand != PERHAPS_DIAGNOSIS && count < 1)
		return dw_err_exit(dw_opt_misuse(&clinic_command, "'%s' needs %s", action->name, missing[action->operand]));
	if (count > most)
		return dw_err_exit(dw_opt_misuse(&clinic_command, "'%s' is one operand too many%s", operands[most],
			action->has_body ? "; is the JSON quoted?" : ""));
	if (!verb_order(&order))
		return dw_err_exit(DW_E_USAGE);
	if (takes && count > 0)
		status = take_operand(&order, action->operand, operands[0]);
	if (status == 0 && action->has_body)
		status = read_body(count == most ? operands[most - 1] : NULL, &body);
	order.body = dw_bytes(body.data, body.len);
	if (status == 0)
		status = verb_call(action->call, &order, action->has_body);
	dw_buf_clear(&body);
	return status;
}

int
verb_choose(const char *verb, const struct verb_action *actions, size_t n, int count, char **operands)
{
	struct dw_buf names = { 0 };

	for (size_t i = 0; i < n && count > 0; i++)
		if (strcmp(operands[0], actions[i].name) == 0)
			return verb_act(&actions[i], count - 1, operands + 1);
	for (size_t i = 0; i < n; i++)
		dw_buf_addf(&names, "%s%s", i == 0 ? "" : " ", actions[i].name);
	if (count > 0)
		(void)dw_opt_misuse(
			&clinic_command, "%s: '%s' is not one of: %s", verb, operands[0], dw_buf_ok(&names) ? names.data : "");
	else
		(void)dw_opt_misuse(
			&clinic_command, "%s: one of these is missing: %s", verb, dw_buf_ok(&names) ? names.data : "");
	dw_buf_clear(&names);
	return dw_err_exit(DW_E_USAGE);
}
