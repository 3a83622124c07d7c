/* Latencies: counts by value with three significant digits, from 1 us to 1 h, in 184 KiB however many there are. After
 * G. Tene's HdrHistogram: values below 2048 have a slot each, and each doubling above them 1024 slots.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_SLOTS = 22 * 1024 + 1024 };
#define HISTOGRAM_MAX UINT64_C(3600000000) /* more counts as this */

struct histogram {
	uint64_t count, min, max, sum; /* exact */
	uint64_t slots[HISTOGRAM_SLOTS];
};

/* All zeros is an empty one. */
void histogram_add(struct histogram *histogram, uint64_t us);
/* The same of two times in ns. NULL: nothing is measured. */
void histogram_add_since(struct histogram *histogram, uint64_t from, uint64_t to);
/* The value that so large a share (0 to 1) of what was added does not exceed; 0 when nothing was. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);
/* How many are at most `us`, to the digits it has. */
uint64_t histogram_count_to(const struct histogram *histogram, uint64_t us);

#endif
