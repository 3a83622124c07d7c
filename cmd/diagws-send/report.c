/* What diagws-send tells: what became of each message, receipts and JSON on stdout, failures on stderr, a line at the
 * end and how far a batch is on a terminal, and the exit status.
 *
 * Failure mode: stdout that cannot be written any more (a reader that left): remembered, told once, exit 74.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "send.h"

enum { HINT_SIZE = 384 };

void
report_init(struct report *report, const struct options *options)
{
	const enum dw_rows_format format = dw_rows_format(dw_common.format, dw_common.json, true);

	*report = (struct report) { .options = options };
	report->json = format == DW_ROWS_JSON || format == DW_ROWS_NDJSON;
	report->receipts = !report->json && (options->receipts || format == DW_ROWS_TSV);
}

void
report_begin_progress(struct report *report, int fd)
{
	const bool is_mixed = (report->json || report->receipts) && isatty(STDOUT_FILENO);

	if (!is_mixed)
		dw_progress_begin(&report->progress, 0, fd);
}

void
report_tell_progress(struct report *report, uint64_t done)
{
	dw_progress_tell(&report->progress, done, report->rejected);
}

void
report_hide_progress(struct report *report)
{
	dw_progress_hide(&report->progress);
}

/* ---- what became of messages ---- */

/* count: devices that have it, NULL: not known. A direct message has no n. */
static void
print_json(const struct message *message, const uint64_t *count)
{
	const struct dw_stored *stored = &message->receipt;
	struct dw_buf line = { 0 };

	dw_buf_adds(&line, "{\"diagnosis_id\":");
	dw_id_to_json(&line, dw_str(message->room));
	dw_buf_adds(&line, ",\"seq\":");
	dw_buf_addu(&line, stored->seq);
	dw_buf_adds(&line, ",\"n\":");
	if (stored->n > 0)
		dw_buf_addu(&line, stored->n);
	else
		dw_buf_adds(&line, "null");
	dw_buf_adds(&line, ",\"id\":");
	dw_buf_add_json_string(&line, dw_str(message->id));
	dw_buf_adds(&line, stored->duplicate ? ",\"duplicate\":true" : ",\"duplicate\":false");
	dw_buf_adds(&line, ",\"clients_notified\":");
	dw_buf_addu(&line, stored->notified);
	dw_buf_adds(&line, ",\"devices_queued\":");
	dw_buf_addu(&line, stored->queued);
	dw_buf_adds(&line, ",\"delivered\":");
	if (count != NULL)
		dw_buf_addu(&line, *count);
	else
		dw_buf_adds(&line, "null");
	dw_buf_adds(&line, "}\n");
	if (dw_buf_ok(&line))
		(void)fwrite(line.data, 1, line.len, stdout);
	dw_buf_clear(&line);
}

static void
print_cell(bool known, uint64_t number)
{
	if (known)
		(void)printf("\t%llu", (unsigned long long)number);
	else
		(void)putchar('\t');
}

/* Line, diagnosis, seq, n, id, outcome, devices; what is not known is empty. */
static void
print_receipt(const struct message *message, int err, const uint64_t *count)
{
	(void)printf("%llu\t%s", (unsigned long long)message->line, message->room);
	print_cell(message->stored, message->receipt.seq);
	print_cell(message->stored && message->receipt.n > 0, message->receipt.n);
	(void)printf("\t%s\t%s", message->id,
		err != DW_OK                 ? dw_err_code(err)
		: message->receipt.duplicate ? "duplicate"
									 : "stored");
	print_cell(count != NULL, count != NULL ? *count : 0);
	(void)putchar('\n');
}

/* err: DW_OK, or why it is not known that enough devices have it. */
static void
tell_stored(struct report *report, const struct message *message, int err, const uint64_t *count)
{
	if (message->receipt.duplicate)
		report->duplicates++;
	else
		report->stored++;
	report->clients += message->receipt.notified;
	report->queued += message->receipt.queued;
	if (report->json)
		print_json(message, count);
	else if (report->receipts)
		print_receipt(message, err, count);
}

/* How to go on after this error, into hint; NULL when there is nothing to say. */
static const char *
advise(const struct report *report, const struct message *message, int err, char hint[HINT_SIZE])
{
	const char *then = message->stored ? "it is waited for again" : "it is stored once";

	if (dw_err_exit(err) == 75 && message->id[0] != '\0') {
		if (!report->options->lines)
			(void)snprintf(hint, HINT_SIZE, "id %s: run again with -i %s, and %s", message->id, message->id, then);
		else
			(void)snprintf(hint, HINT_SIZE, "id %s: send the line again with %s, and %s", message->id,
				message->made ? "this \"id\"" : "the same id", then);
		return hint;
	}
	if (err == DW_E_ID_REUSED)
		return "another message had this id: give this one its own";
	if (dw_err_exit(err) != 65)
		return NULL;
	return report->options->lines ? "correct the line and send it again; the others are not held up by it"
								  : "option -n checks without sending";
}

void
report_failed(struct report *report, const struct message *message, int err, const struct dw_fault *fault)
{
	const uint64_t line = report->options->lines ? message->line : 0;
	char hint[HINT_SIZE];

	if (report->receipts && !message->stored)
		print_receipt(message, err, NULL);
	if (err == DW_E_UNDELIVERED)
		report->undelivered++;
	else if (dw_err_exit(err) == 75)
		report->failed++;
	else
		report->rejected++;
	if (report->first == DW_OK)
		report->first = err;
	report_hide_progress(report);
	dw_command_tell(SEND_NAME, report->source, line, err, fault, advise(report, message, err, hint));
}

/* What the client or the answer says of an error. */
static void
explain(const struct report *report, const struct message *message, const struct dw_client *client, int err,
	const struct dw_wire *answer, struct dw_fault *fault)
{
	const struct dw_publish *asked = &report->options->publish;
	struct dw_fault cause;

	if (err == DW_E_UNDELIVERED && answer != NULL) {
		(void)dw_fault_set(fault, err, NULL, NULL, "stored, but %llu of %llu devices have confirmed it within %llu%s",
			(unsigned long long)answer->delivered.count, (unsigned long long)asked->wait,
			(unsigned long long)(asked->wait_ms % 1000 == 0 ? asked->wait_ms / 1000 : asked->wait_ms),
			asked->wait_ms % 1000 == 0 ? "s" : "ms");
		return;
	}
	if (answer == NULL)
		dw_client_explain(client, err, fault);
	else if (answer->kind == DW_STORED && answer->stored.text.n > 0)
		(void)dw_fault_set(fault, err, NULL, NULL, "%.*s", (int)answer->stored.text.n, answer->stored.text.p);
	cause = *fault;
	if (message->stored)
		(void)dw_fault_set(fault, err, NULL, NULL, "stored, but not known who has it: %s",
			cause.message[0] != '\0' ? cause.message : dw_err_text(err));
}

bool
report_answer(struct report *report, struct message *message, const struct dw_client *client, int err,
	const struct dw_wire *answer)
{
	const uint64_t *count = answer != NULL && answer->kind == DW_DELIVERED ? &answer->delivered.count : NULL;
	struct dw_fault fault = { 0 };

	if (err == DW_OK && answer != NULL && answer->kind == DW_STORED) {
		message->stored = true;
		message->receipt = answer->stored;
		message->receipt.text = (struct dw_str) { NULL, 0 };
		if (report->options->publish.wait > 0)
			return false;
	}
	if (message->stored)
		tell_stored(report, message, err, count);
	if (err == DW_OK)
		return true;
	explain(report, message, client, err, answer, &fault);
	if (answer == NULL && err != DW_E_HUB_AWAY && err != DW_E_TIMEOUT) /* no later message will fare better */
		report_fatal(report, err, &fault);
	else
		report_failed(report, message, err, &fault);
	return true;
}

void
report_fatal(struct report *report, int err, const struct dw_fault *fault)
{
	if (report->fatal != DW_OK)
		return;
	report->fatal = err;
	report_hide_progress(report);
	dw_command_tell(SEND_NAME, err == DW_E_NOINPUT ? report->source : NULL, 0, err, fault, NULL);
}

void
report_flush(struct report *report)
{
	if (report->output_broken || (fflush(stdout) == 0 && !ferror(stdout)))
		return;
	report->output_broken = true;
	report_hide_progress(report);
	fprintf(stderr, "%s: cannot write the results to standard output [DW%d]\n", SEND_NAME, -DW_E_IO);
}

/* "stored 3, duplicates 1, rejected 2, clients 3, queued 1": what is 0 is left out, but for stored. */
static void
print_summary(const struct report *report)
{
	const struct {
		const char *name;
		uint64_t count;
		bool always;
	} parts[] = {
		{ "checked", report->checked, false },
		{ "stored", report->stored, report->checked == 0 },
		{ "duplicates", report->duplicates, false },
		{ "rejected", report->rejected, false },
		{ "failed", report->failed, false },
		{ "not delivered", report->undelivered, false },
		{ "clients", report->clients, report->stored > 0 },
		{ "queued", report->queued, report->stored > 0 },
	};
	const char *between = "";

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i].count == 0 && !parts[i].always)
			continue;
		fprintf(stderr, "%s%s %llu", between, parts[i].name, (unsigned long long)parts[i].count);
		between = ", ";
	}
	fputc('\n', stderr);
}

static int
exit_status(const struct report *report)
{
	if (dw_interrupted())
		return DW_EXIT_INTERRUPTED;
	if (report->output_broken)
		return dw_err_exit(DW_E_IO);
	if (report->fatal != DW_OK)
		return dw_err_exit(report->fatal);
	if (!report->options->lines)
		return dw_err_exit(report->first);
	if (report->failed > 0 || report->undelivered > 0)
		return dw_err_exit(DW_E_HUB_AWAY);
	return report->rejected > 0 ? dw_err_exit(DW_E_FIELD) : 0;
}

int
report_end(struct report *report)
{
	report_flush(report);
	report_hide_progress(report);
	if (!dw_common.quiet && isatty(STDERR_FILENO) && report->fatal == DW_OK &&
		(report->options->lines || report->first == DW_OK))
		print_summary(report);
	return exit_status(report);
}
