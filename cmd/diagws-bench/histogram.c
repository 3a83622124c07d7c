/* See histogram.h. What is out of range counts as the nearest value within. */
#include "histogram.h"

#include <stddef.h>

static unsigned
slot_of(uint64_t us)
{
	const unsigned bits = 64 - (unsigned)__builtin_clzll(us | 1);
	const unsigned shift = bits > 11 ? bits - 11 : 0;

	return shift * 1024 + (unsigned)(us >> shift);
}

/* The largest value of a slot. */
static uint64_t
top_of(unsigned slot)
{
	const unsigned shift = slot < 2048 ? 0 : slot / 1024 - 1;

	return (((uint64_t)slot - (uint64_t)shift * 1024 + 1) << shift) - 1;
}

void
histogram_add(struct histogram *histogram, uint64_t us)
{
	us = us < 1 ? 1 : us > HISTOGRAM_MAX ? HISTOGRAM_MAX : us;
	if (histogram->count == 0 || us < histogram->min)
		histogram->min = us;
	if (us > histogram->max)
		histogram->max = us;
	histogram->count++;
	histogram->sum += us;
	histogram->slots[slot_of(us)]++;
}

void
histogram_add_since(struct histogram *histogram, uint64_t from, uint64_t to)
{
	if (histogram != NULL)
		histogram_add(histogram, (to - from + 500) / 1000);
}

uint64_t
histogram_quantile(const struct histogram *histogram, double share)
{
	const double wanted = share * (double)histogram->count;
	uint64_t before = 0;

	for (unsigned slot = 0; slot < HISTOGRAM_SLOTS; slot++) {
		before += histogram->slots[slot];
		if (before > 0 && (double)before >= wanted)
			return top_of(slot) < histogram->max ? top_of(slot) : histogram->max;
	}
	return histogram->max;
}

uint64_t
histogram_count_to(const struct histogram *histogram, uint64_t us)
{
	const unsigned last = slot_of(us > HISTOGRAM_MAX ? HISTOGRAM_MAX : us);
	uint64_t count = 0;

	for (unsigned slot = 0; slot <= last; slot++)
		count += histogram->slots[slot];
	return count;
}
