/* Diagnostics of the daemons, one line an event, on stderr.
 *
 * On a terminal: short and coloured. Under journald (JOURNAL_STREAM): "<N>" and logfmt. Else logfmt
 * with RFC 3339 time; `json` one JSON object a line. An event has a fixed message and named values:
 *   dw_log_info("hub ready", "bind=%s rooms=%zu", uri, rooms);
 * The values' format is `key=%x key=%x …`, or NULL, where %x is one of %s %.*s %d %u %zu %lld %llu. Values are quoted
 * as needed, and what is not plain ASCII is escaped as in JSON (one that is no UTF-8 byte by byte), so whatever a
 * stranger sent may be given. But never a payload, a token, a key or a URL's query: ids, sizes, seqs and outcomes only.
 *
 * The message is the event's kind: ten lines of a kind may come at once, and then one a second, told how many were left
 * out (`left_out`), at the latest when the process ends. So a loop may log without a limit of its own; an event that
 * ends the process is the first of its kind, and always goes out.
 */
#ifndef DIAGWS_LOGGING_H
#define DIAGWS_LOGGING_H

#include "cli/opt.h"

enum dw_log_level { DW_LOG_ERROR, DW_LOG_WARN, DW_LOG_INFO, DW_LOG_DEBUG };

extern const struct dw_opt dw_opt_daemon[]; /* --log-format */

/* After dw_opt_parse: -v says everything, -q only warnings and errors. `program` must outlive the process. */
void dw_log_begin(const char *program);
/* The same with a level that is not the options'. Until either is called: INFO, as logfmt, program "diagws". */
void dw_log_setup(const char *program, enum dw_log_level level);

void dw_log(enum dw_log_level level, const char *message, const char *values, ...)
	__attribute__((format(printf, 3, 4)));
#define dw_log_error(...) dw_log(DW_LOG_ERROR, __VA_ARGS__)
#define dw_log_warn(...) dw_log(DW_LOG_WARN, __VA_ARGS__)
#define dw_log_info(...) dw_log(DW_LOG_INFO, __VA_ARGS__)
#define dw_log_debug(...) dw_log(DW_LOG_DEBUG, __VA_ARGS__)

#endif
