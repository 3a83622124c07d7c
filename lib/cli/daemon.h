/* What the daemons share: their options for diagnostics, and setting these up. */
#ifndef DIAGWS_DAEMON_H
#define DIAGWS_DAEMON_H

#include "cli/opt.h"

extern const struct dw_opt dw_opt_daemon[]; /* --log-format */

/* After dw_opt_parse: -v says everything, -q only warnings and errors. `program` must outlive the process. */
void dw_daemon_log(const char *program);

#endif
