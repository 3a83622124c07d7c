/* What the command line and the environment say.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "cli/opt.h"
#include "edge.h"

extern const struct dw_command edge_command;

/* What was parsed, when it goes together. DW_E_CONFIG. */
int options_check(struct edge_config *out, struct dw_fault *fault);

#endif
