/* Its own file so that no subcommand knows how it is shown. Failure modes: memory, and an stdout that cannot be
 * written, both told at the end.
 */
#include "report.h"

#include <stdio.h>

#include "run.h"

enum { BAR_WIDTH = 50 };

void
report_init(struct report *report, const char *command, bool json)
{
	*report = (struct report) { .json = json };
	if (json)
		dw_buf_addf(&report->text, "{\"command\":\"%s\"", command);
}

void
report_number(struct report *report, const char *name, uint64_t value)
{
	dw_buf_addf(&report->text, report->json ? ",\"%s\":%llu" : "%-18s %llu\n", name, (unsigned long long)value);
}

void
report_real(struct report *report, const char *name, double value, int decimals)
{
	dw_buf_addf(&report->text, report->json ? ",\"%s\":%.*f" : "%-18s %.*f\n", name, decimals, value);
}

void
report_crowd(struct report *report, const struct run *run)
{
	report_number(report, "clients", run->plan.clients);
	report_number(report, "rooms", run->plan.rooms);
}

struct quantile {
	const char *name;
	double share;
};

static const struct quantile quantiles[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p99_9", 0.999 } };

static void
add_us(struct report *report, const char *name, uint64_t us)
{
	dw_buf_addf(&report->text, report->json ? ",\"%s\":%llu" : "  %-16s %llu us\n", name, (unsigned long long)us);
}

/* A row for each 1, 2 and 5 of a decade that has any. */
static void
add_bars(struct report *report, const struct histogram *histogram)
{
	static const uint64_t steps[] = { 1, 2, 5 };
	uint64_t below = 0;

	dw_buf_adds(&report->below, "\nlatency, us, up to\n");
	for (uint64_t decade = 1; below < histogram->count; decade *= 10) {
		for (int i = 0; i < 3 && below < histogram->count; i++) {
			const uint64_t limit = decade * steps[i], all = histogram_count_to(histogram, limit), here = all - below;
			const int bar = (int)((here * BAR_WIDTH + histogram->count / 2) / histogram->count);

			below = all;
			if (all > 0)
				dw_buf_addf(&report->below, "%11llu %6.2f%%%.*s\n", (unsigned long long)limit,
					100.0 * (double)here / (double)histogram->count, bar > 0 ? bar + 1 : 0,
					" ##################################################");
		}
	}
}

void
report_latency(struct report *report, const struct run *run)
{
	const struct histogram *latency = &run->latency;
	const uint64_t count = latency->count;

	if (report->json)
		dw_buf_addf(&report->text, ",\"latency_us\":{\"count\":%llu", (unsigned long long)count);
	else
		dw_buf_adds(&report->text, "latency\n");
	add_us(report, "min", latency->min);
	for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++)
		add_us(report, quantiles[i].name, histogram_quantile(latency, quantiles[i].share));
	add_us(report, "max", latency->max);
	add_us(report, "mean", count > 0 ? (latency->sum + count / 2) / count : 0);
	if (report->json)
		dw_buf_addc(&report->text, '}');
	else if (count > 0)
		add_bars(report, latency);
}

void
report_order(struct report *report, const struct run *run)
{
	report_number(report, "lost", run_lost(run));
	report_number(report, "repeated", run->crowd.repeated);
	report_number(report, "disordered", run->crowd.disordered);
	report_number(report, "errors", run->crowd.errors);
}

static void
add_kb(struct dw_buf *out, const char *name, uint64_t before, uint64_t after)
{
	dw_buf_addf(out, ",\"%s_kb_before\":%llu,\"%s_kb_after\":%llu", name, (unsigned long long)before, name,
		(unsigned long long)after);
}

static void
add_process(struct report *report, const struct process *process, const char *unit, uint64_t units, uint32_t clients)
{
	const struct usage *before = &process->before, *after = &process->after;
	const double cpu_s = ((double)after->cpu_ns - (double)before->cpu_ns) / 1e9;
	const double cpu_us = units > 0 ? cpu_s * 1e6 / (double)units : 0;
	const double bytes = ((double)after->private_kb - (double)before->private_kb) * 1024 / (clients > 0 ? clients : 1);
	struct dw_buf *out = report->json ? &report->text : &report->below;

	if (!report->json) {
		dw_buf_addf(out, "%-16s %10.3f %10.3f /%-8s %12llu %12llu", process->name, cpu_s, cpu_us, unit,
			(unsigned long long)after->private_kb, (unsigned long long)after->pss_kb);
		dw_buf_addf(out, clients > 0 ? " %12.0f\n" : "\n", bytes);
		return;
	}
	dw_buf_adds(out, "{\"name\":");
	dw_buf_add_json_string(out, dw_str(process->name));
	dw_buf_addf(out, ",\"pid\":%d,\"cpu_s\":%.6f,\"cpu_us_per_%s\":%.3f", (int)process->pid, cpu_s, unit, cpu_us);
	add_kb(out, "private", before->private_kb, after->private_kb);
	add_kb(out, "pss", before->pss_kb, after->pss_kb);
	add_kb(out, "rss", before->rss_kb, after->rss_kb);
	if (clients > 0)
		dw_buf_addf(out, ",\"private_bytes_per_client\":%.0f", bytes);
	dw_buf_addc(out, '}');
}

void
report_processes(struct report *report, const struct run *run, const char *unit, uint64_t units)
{
	const uint32_t clients = run->plan.clients;

	if (report->json)
		dw_buf_adds(&report->text, ",\"processes\":[");
	else if (run->processes.count > 0)
		dw_buf_addf(&report->below, "\n%-16s %10s %10s %-9s %12s %12s%s\n", "process", "cpu s", "cpu us", "",
			"private KiB", "pss KiB", clients > 0 ? " bytes/client" : "");
	for (size_t i = 0; i < run->processes.count; i++) {
		if (report->json && i > 0)
			dw_buf_addc(&report->text, ',');
		add_process(report, &run->processes.all[i], unit, units, clients);
	}
	if (report->json)
		dw_buf_addc(&report->text, ']');
}

void
report_deliveries(struct report *report, const struct run *run)
{
	const uint64_t deliveries = run->crowd.deliveries;
	const double seconds = deliveries > 0 ? (double)(run->crowd.last_at - run->begun_at) / 1e9 : 0;

	report_number(report, "deliveries", deliveries);
	report_real(report, "seconds", seconds, 3);
	report_real(report, "deliveries_per_s", seconds > 0 ? (double)deliveries / seconds : 0, 0);
	report_latency(report, run);
	report_order(report, run);
	report_processes(report, run, "delivery", deliveries);
}

int
report_end(struct report *report)
{
	int err = DW_OK;

	if (report->json)
		dw_buf_adds(&report->text, "}\n");
	if (!dw_buf_ok(&report->text) || (report->below.data != NULL && !dw_buf_ok(&report->below)))
		err = DW_E_NOMEM;
	else if (fwrite(report->text.data, 1, report->text.len, stdout) != report->text.len ||
			 (report->below.len > 0 && fwrite(report->below.data, 1, report->below.len, stdout) != report->below.len) ||
			 fflush(stdout) != 0)
		err = DW_E_IO;
	dw_buf_clear(&report->text);
	dw_buf_clear(&report->below);
	return err;
}
