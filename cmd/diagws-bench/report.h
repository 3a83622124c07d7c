/* What was measured, said as one JSON object, or as a table and a histogram for a person. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdint.h>

#include "base/buf.h"

struct run;

struct report {
	bool json;
	struct dw_buf text;
	struct dw_buf below; /* histogram and processes, which stand under the table */
};

void report_init(struct report *report, const char *command, bool json);
void report_number(struct report *report, const char *name, uint64_t value);
void report_real(struct report *report, const char *name, double value, int decimals);
/* clients, rooms */
void report_crowd(struct report *report, const struct run *run);
void report_latency(struct report *report, const struct run *run);
/* lost, repeated, disordered, errors */
void report_order(struct report *report, const struct run *run);
/* unit: what a process's CPU time is divided by; so many there were. */
void report_processes(struct report *report, const struct run *run, const char *unit, uint64_t units);
/* deliveries, time, latency, order and processes: fanout and latency */
void report_deliveries(struct report *report, const struct run *run);
/* Writes it to stdout. DW_E_IO, DW_E_NOMEM. */
int report_end(struct report *report);

#endif
