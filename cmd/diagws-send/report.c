/* What diagws-send tells: receipts and JSON on stdout, failures on stderr, a line at the end on a terminal, and
 * the exit status. Its own file because one message and many tell the same things.
 *
 * Failure mode: stdout that cannot be written any more (a reader that left): remembered, told once, exit 74.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "send.h"

enum { EXIT_INTERRUPTED = 130, WHERE_SIZE = 4200, HINT_SIZE = 256 };

void
report_init(struct report *report, const struct options *options, const char *source)
{
	const char *format = dw_common.format != NULL ? dw_common.format : "table";

	*report = (struct report) { .source = source, .lines = options->lines };
	report->json = dw_common.json || strcmp(format, "json") == 0 || strcmp(format, "ndjson") == 0;
	report->receipts = !report->json && (options->receipts || strcmp(format, "tsv") == 0);
}

static void
print_json(struct dw_str room, struct dw_str id, const struct dw_stored *stored)
{
	struct dw_buf line;

	dw_buf_init(&line);
	dw_buf_adds(&line, "{\"diagnosis_id\":");
	dw_id_to_json(&line, room);
	dw_buf_adds(&line, ",\"seq\":");
	dw_buf_addu(&line, stored->seq);
	dw_buf_adds(&line, ",\"n\":");
	dw_buf_addu(&line, stored->n);
	dw_buf_adds(&line, ",\"id\":");
	dw_buf_add_json_string(&line, id);
	dw_buf_adds(&line, stored->duplicate ? ",\"duplicate\":true" : ",\"duplicate\":false");
	dw_buf_adds(&line, ",\"clients_notified\":");
	dw_buf_addu(&line, stored->notified);
	dw_buf_adds(&line, ",\"devices_queued\":");
	dw_buf_addu(&line, stored->queued);
	dw_buf_adds(&line, ",\"delivered\":null}\n");
	if (dw_buf_ok(&line))
		(void)fwrite(line.data, 1, line.len, stdout);
	dw_buf_clear(&line);
}

void
report_stored(
	struct report *report, uint64_t line, struct dw_str room, struct dw_str id, const struct dw_stored *stored)
{
	if (stored->duplicate)
		report->duplicates++;
	else
		report->stored++;
	report->clients += stored->notified;
	report->queued += stored->queued;
	if (report->json)
		print_json(room, id, stored);
	else if (report->receipts)
		(void)printf("%llu\t%.*s\t%llu\t%llu\t%.*s\n", (unsigned long long)line, (int)room.n, room.p,
			(unsigned long long)stored->seq, (unsigned long long)stored->n, (int)id.n, id.p);
}

static void
name_place(const struct report *report, uint64_t line, char where[WHERE_SIZE])
{
	if (report->source == NULL)
		(void)snprintf(where, WHERE_SIZE, "%s", send_command.name);
	else if (report->lines && line > 0)
		(void)snprintf(where, WHERE_SIZE, "%s: %s:%llu", send_command.name, report->source, (unsigned long long)line);
	else
		(void)snprintf(where, WHERE_SIZE, "%s: %s", send_command.name, report->source);
}

/* How to go on after this error, into hint; NULL when there is nothing to say. */
static const char *
advise(const struct report *report, int err, const char *id, bool made, char hint[HINT_SIZE])
{
	if (dw_err_exit(err) == 75 && id != NULL) {
		if (!report->lines)
			(void)snprintf(hint, HINT_SIZE, "id %s: run again with -i %s, and it is stored once", id, id);
		else
			(void)snprintf(hint, HINT_SIZE, "id %s: send the line again with %s, and it is stored once", id,
				made ? "this \"id\"" : "the same id");
		return hint;
	}
	if (err == DW_E_ID_REUSED)
		return "another message had this id: give this one its own";
	if (dw_err_exit(err) != 65)
		return NULL;
	return report->lines ? "correct the line and send it again; the others are not held up by it"
						 : "option -n checks without sending";
}

void
report_failed(struct report *report, uint64_t line, int err, const struct dw_fault *fault, const char *id, bool made)
{
	char where[WHERE_SIZE], hint[HINT_SIZE];

	if (dw_err_exit(err) == 75)
		report->failed++;
	else
		report->rejected++;
	if (report->first == DW_OK)
		report->first = err;
	name_place(report, line, where);
	dw_fault_print(stderr, where, err, fault, advise(report, err, id, made, hint));
}

void
report_fatal(struct report *report, int err, const struct dw_fault *fault)
{
	char where[WHERE_SIZE];

	if (report->fatal != DW_OK)
		return;
	report->fatal = err;
	name_place(report, 0, where);
	dw_fault_print(stderr, err == DW_E_NOINPUT ? where : send_command.name, err, fault, NULL);
}

void
report_flush(struct report *report)
{
	if (report->output_broken || (fflush(stdout) == 0 && !ferror(stdout)))
		return;
	report->output_broken = true;
	fprintf(stderr, "%s: cannot write the results to standard output [DW%d]\n", send_command.name, -DW_E_IO);
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
	if (report->interrupted)
		return EXIT_INTERRUPTED;
	if (report->output_broken)
		return dw_err_exit(DW_E_IO);
	if (report->fatal != DW_OK)
		return dw_err_exit(report->fatal);
	if (!report->lines)
		return dw_err_exit(report->first);
	return report->failed > 0 ? dw_err_exit(DW_E_HUB_AWAY) : report->rejected > 0 ? dw_err_exit(DW_E_FIELD) : 0;
}

int
report_end(struct report *report)
{
	report_flush(report);
	if (!dw_common.quiet && isatty(STDERR_FILENO) && report->fatal == DW_OK &&
		(report->lines || report->first == DW_OK))
		print_summary(report);
	return exit_status(report);
}
