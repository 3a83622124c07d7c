/* What was measured, said as one JSON object, or as a table and a histogram for a person. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

struct run;

/* Writes to stdout what this subcommand measures. DW_E_IO. */
int report_write(const struct run *run, const char *name, unsigned verb);

#endif
