/* A store in memory, for tests: what the engine of LMDB promises, but that it is gone with the process. */
#ifndef TESTS_ENGINE_MEM_H
#define TESTS_ENGINE_MEM_H

#include "store/engine.h"

extern const struct dw_engine_ops dw_engine_memory;

#endif
