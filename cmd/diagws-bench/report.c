/* Its own file so that no subcommand knows how it is shown. Which figures each of them has is one table, in the order
 * in which they are said. Failure mode: an stdout that cannot be written.
 */
#include "run.h"

#include <stdio.h>

enum { BAR_WIDTH = 50, CROWDS = ALL & ~PUBLISH, DELIVERS = FANOUT | LATENCY };

struct row {
	const char *name; /* NULL: here come the times */
	unsigned verbs;   /* that have it */
	int decimals;
	double value;
};

/* What the time and the processes' CPU time are divided by. */
struct unit {
	const char *name;
	uint64_t count;
	double seconds; /* until all of them were done */
};

static struct unit
find_unit(const struct run *run, unsigned verb)
{
	const uint64_t deliveries = run->crowd.deliveries;
	const double seconds = (double)(run->ended_at - run->begun_at) / 1e9;

	switch (verb) {
	case PUBLISH:
		return (struct unit) { "message", run->publisher.acknowledged, seconds };
	case CONNECT:
		return (struct unit) { "client", run->latency.count, seconds };
	case STORM:
		return (struct unit) { "client", run->plan.clients, 0 };
	case MEMORY:
		return (struct unit) { "client", run->crowd.ready, 0 };
	default:
		return (struct unit) { "delivery", deliveries,
			deliveries > 0 ? (double)(run->crowd.last_at - run->begun_at) / 1e9 : 0 };
	}
}

/* A row for each 1, 2 and 5 of a decade that has any. */
static void
print_bars(const struct histogram *histogram)
{
	static const uint64_t steps[] = { 1, 2, 5 };
	uint64_t below = 0;

	printf("\nlatency, us, up to\n");
	for (uint64_t decade = 1; below < histogram->count; decade *= 10) {
		for (int i = 0; i < 3 && below < histogram->count; i++) {
			const uint64_t limit = decade * steps[i], all = histogram_count_to(histogram, limit), here = all - below;
			const int bar = (int)((here * BAR_WIDTH + histogram->count / 2) / histogram->count);

			below = all;
			if (all > 0)
				printf("%11llu %6.2f%%%.*s\n", (unsigned long long)limit,
					100.0 * (double)here / (double)histogram->count, bar > 0 ? bar + 1 : 0,
					" ##################################################");
		}
	}
}

static void
print_latency(const struct histogram *latency)
{
	const uint64_t count = latency->count;
	const struct {
		const char *name;
		uint64_t us;
	} rows[] = {
		{ "min", latency->min },
		{ "p50", histogram_quantile(latency, 0.5) },
		{ "p90", histogram_quantile(latency, 0.9) },
		{ "p99", histogram_quantile(latency, 0.99) },
		{ "p99_9", histogram_quantile(latency, 0.999) },
		{ "max", latency->max },
		{ "mean", count > 0 ? (latency->sum + count / 2) / count : 0 },
	};

	if (bench_options.json)
		printf(",\"latency_us\":{\"count\":%llu", (unsigned long long)count);
	else
		printf("latency\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		printf(bench_options.json ? ",\"%s\":%llu" : "  %-16s %llu us\n", rows[i].name, (unsigned long long)rows[i].us);
	if (bench_options.json)
		printf("}");
}

/* The load, and what became of it. */
static void
print_figures(const struct run *run, unsigned verb, const struct unit *unit)
{
	const double acknowledged = (double)run->publisher.acknowledged, done = (double)run->latency.count;
	const uint64_t to_each = run->publisher.acknowledged / run->plan.rooms;
	const double per_s = unit->seconds > 0 ? (double)unit->count / unit->seconds : 0;
	const struct row rows[] = {
		{ "clients", CROWDS, 0, run->plan.clients },
		{ "rooms", ALL, 0, run->plan.rooms },
		{ "messages", FANOUT, 0, (double)to_each },
		{ "messages", LATENCY, 0, acknowledged },
		{ "burst", FANOUT, 0, (double)bench_options.burst },
		{ "rate", LATENCY | CONNECT, 0, (double)bench_options.rate },
		{ "concurrency", CONNECT, 0, (double)bench_options.concurrency },
		{ "senders", PUBLISH, 0, (double)bench_options.senders },
		{ "window", PUBLISH, 0, (double)run->publisher.window },
		{ "missed", STORM, 0, (double)bench_options.missed },
		{ "size", DELIVERS | STORM | PUBLISH, 0, (double)bench_options.size },
		{ "connected", CONNECT, 0, done },
		{ "failed", CONNECT, 0, run->crowd.failed },
		{ "acknowledged", PUBLISH, 0, acknowledged },
		{ "rejected", PUBLISH, 0, (double)run->publisher.rejected },
		{ "deliveries", DELIVERS, 0, (double)run->crowd.deliveries },
		{ "seconds", DELIVERS | CONNECT | PUBLISH, 3, unit->seconds },
		{ "deliveries_per_s", DELIVERS, 0, per_s },
		{ "connects_per_s", CONNECT, 0, per_s },
		{ "messages_per_s", PUBLISH, 0, per_s },
		{ "caught_up", STORM, 0, done },
		{ "caught_up_s", STORM, 3, (double)run->latency.max / 1e6 },
		{ NULL, ALL & ~MEMORY, 0, 0 },
		{ "missed_total", STORM, 0, (double)bench_options.missed * run->plan.clients },
		{ "deliveries", STORM, 0, (double)run->crowd.deliveries },
		{ "lost", DELIVERS | STORM, 0, (double)run_lost(run) },
		{ "repeated", DELIVERS | STORM, 0, (double)run->crowd.repeated },
		{ "disordered", DELIVERS | STORM, 0, (double)run->crowd.disordered },
		{ "errors", CROWDS, 0, (double)run->crowd.errors },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if ((rows[i].verbs & verb) == 0)
			continue;
		if (rows[i].name == NULL)
			print_latency(&run->latency);
		else
			printf(bench_options.json ? ",\"%s\":%.*f" : "%-18s %.*f\n", rows[i].name, rows[i].decimals, rows[i].value);
	}
}

static void
print_process(const struct process *process, const struct unit *unit, uint32_t clients)
{
	static const char *const kinds[] = { "private", "pss", "rss" };
	const struct usage *before = &process->before, *after = &process->after;
	const double cpu_s = ((double)after->cpu_ns - (double)before->cpu_ns) / 1e9;
	const double cpu_us = unit->count > 0 ? cpu_s * 1e6 / (double)unit->count : 0;
	const double bytes =
		((double)after->kb[MEMORY_PRIVATE] - (double)before->kb[MEMORY_PRIVATE]) * 1024 / (clients > 0 ? clients : 1);
	struct dw_buf name = { 0 };

	if (!bench_options.json) {
		printf("%-16s %10.3f %10.3f /%-8s %12llu %12llu", process->name, cpu_s, cpu_us, unit->name,
			(unsigned long long)after->kb[MEMORY_PRIVATE], (unsigned long long)after->kb[MEMORY_PSS]);
		printf(clients > 0 ? " %12.0f\n" : "\n", bytes);
		return;
	}
	dw_buf_add_json_string(&name, dw_str(process->name));
	printf("{\"name\":%s,\"pid\":%d,\"cpu_s\":%.6f,\"cpu_us_per_%s\":%.3f", dw_buf_ok(&name) ? name.data : "null",
		(int)process->pid, cpu_s, unit->name, cpu_us);
	dw_buf_clear(&name);
	for (int i = 0; i < MEMORY_KINDS; i++)
		printf(",\"%s_kb_before\":%llu,\"%s_kb_after\":%llu", kinds[i], (unsigned long long)before->kb[i], kinds[i],
			(unsigned long long)after->kb[i]);
	if (clients > 0)
		printf(",\"private_bytes_per_client\":%.0f", bytes);
	printf("}");
}

static void
print_processes(const struct run *run, const struct unit *unit)
{
	const uint32_t clients = run->plan.clients;

	if (bench_options.json)
		printf(",\"processes\":[");
	else if (run->processes.count > 0)
		printf("\n%-16s %10s %10s %-9s %12s %12s%s\n", "process", "cpu s", "cpu us", "", "private KiB", "pss KiB",
			clients > 0 ? " bytes/client" : "");
	for (size_t i = 0; i < run->processes.count; i++) {
		if (bench_options.json && i > 0)
			printf(",");
		print_process(&run->processes.all[i], unit, clients);
	}
	if (bench_options.json)
		printf("]}\n");
}

int
report_write(const struct run *run, const char *name, unsigned verb)
{
	const struct unit unit = find_unit(run, verb);

	if (bench_options.json)
		printf("{\"command\":\"%s\"", name);
	print_figures(run, verb, &unit);
	if (!bench_options.json && run->latency.count > 0)
		print_bars(&run->latency);
	print_processes(run, &unit);
	return fflush(stdout) != 0 || ferror(stdout) ? DW_E_IO : DW_OK;
}
