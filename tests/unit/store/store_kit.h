/* What the tests of stores share: a directory, and what an engine in it is opened with where a test does not say
 * otherwise. */
#ifndef STORE_KIT_H
#define STORE_KIT_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/engine.h"

enum { KIT_DIR = 64 };

static inline struct dw_engine_config
kit_open_dir(char dir[KIT_DIR])
{
	(void)snprintf(dir, KIT_DIR, "/tmp/diagws-store-XXXXXX");
	assert_non_null(mkdtemp(dir));
	return (struct dw_engine_config) { .dir = dir,
		.queue_limit = 100,
		.queue_ttl_ms = 7 * 86400000ULL,
		.id_window_ms = 86400000,
		.id_window_count = 1000000,
		.store_limit = 1ULL << 30,
		.ownership = DW_OWNERSHIP_CLAIMS };
}

static inline void
kit_close_dir(const char *dir)
{
	char command[96];

	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(0, system(command));
}

#endif
