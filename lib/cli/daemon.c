/* What hub and edge share of starting up: how they say what happens. Its own file because the other
 * commands log nothing.
 */
#include "cli/daemon.h"

#include <string.h>

#include "cli/logging.h"

const struct dw_opt dw_opt_daemon[] = {
	{ DW_OPT_HEADING, .help = "Diagnostics" },
	{ DW_OPT_CHOICE, 0, "log-format", "FORMAT", "how to write what happens", .env = "DIAGWS_LOG_FORMAT",
		.initial = "auto", .choices = "auto|logfmt|json", .target = &dw_common.log_format },
	{ 0 },
};

void
dw_daemon_log(const char *program)
{
	enum dw_log_level level = dw_common.verbose > 0 ? DW_LOG_DEBUG : dw_common.quiet ? DW_LOG_WARN : DW_LOG_INFO;
	enum dw_log_format format = DW_LOG_AUTO;

	if (strcmp(dw_common.log_format, "json") == 0)
		format = DW_LOG_JSON;
	else if (strcmp(dw_common.log_format, "logfmt") == 0)
		format = DW_LOG_LOGFMT;
	dw_log_setup(program, level, format);
}
