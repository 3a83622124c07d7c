/* What the drivers of hot paths share: a path is run some times to settle (caches, buffers, lazy binding), then `count`
 * times while callgrind counts. The count goes into a dump of the path's name; bench-check divides.
 * Nothing here may depend on chance: hot paths must cost the same instructions on every run.
 */
#ifndef HOT_H
#define HOT_H

#include <stdio.h>
#include <stdlib.h>
#include <valgrind/callgrind.h>

/* A failed call in a driver would be counted as a fast one. */
#define MUST(condition)                                                           \
	do {                                                                          \
		if (!(condition)) {                                                       \
			(void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                              \
		}                                                                         \
	} while (0)

static inline void
hot(const char *name, unsigned settle, unsigned count, void (*path)(void))
{
	char title[80];

	for (unsigned i = 0; i < settle; i++)
		path();
	CALLGRIND_ZERO_STATS;
	CALLGRIND_TOGGLE_COLLECT;
	for (unsigned i = 0; i < count; i++)
		path();
	CALLGRIND_TOGGLE_COLLECT;
	(void)snprintf(title, sizeof(title), "%s %u", name, count);
	CALLGRIND_DUMP_STATS_AT(title);
}

/* `data` of a message of 200 bytes, as the load tool makes it. */
#define HOT_DATA                                                                                                \
	"{\"recommendation_id\":789,\"new_effectiveness\":0.85,\"confidence\":0.92,\"sample_size\":150,\"note\":\"" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}"

#endif
