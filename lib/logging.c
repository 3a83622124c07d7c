/* Diagnostics: one event a line on stderr, in the form that its reader wants.
 *
 * The values' format is split at its spaces before it is filled in, so a value may hold spaces; it is
 * quoted then. Failure modes: a line over LINE_MAX_BYTES is cut; a full pipe loses the line, never the process.
 */
#include "diagws/logging.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "diagws/buf.h"
#include "diagws/clock.h"

enum { LINE_MAX_BYTES = 4096, FORMAT_MAX = 512 };

static const char separator = '\x1f';

enum style { STYLE_COLOR, STYLE_JOURNAL, STYLE_LOGFMT, STYLE_JSON };

static const char *program_name = "diagws";
static enum dw_log_level most = DW_LOG_INFO;
static enum style style = STYLE_LOGFMT;

static const struct {
	const char *name, *color;
	int priority; /* syslog(3) */
} levels[] = { { "error", "\033[31m", 3 }, { "warn", "\033[33m", 4 }, { "info", "\033[32m", 6 },
	{ "debug", "\033[2m", 7 } };

void
dw_log_setup(const char *program, enum dw_log_level level, enum dw_log_format format)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	bool color = (no_color == NULL || no_color[0] == '\0') && term != NULL && strcmp(term, "dumb") != 0;

	program_name = program;
	most = level;
	if (format == DW_LOG_JSON)
		style = STYLE_JSON;
	else if (format == DW_LOG_LOGFMT)
		style = STYLE_LOGFMT;
	else if (getenv("JOURNAL_STREAM") != NULL && !isatty(STDERR_FILENO))
		style = STYLE_JOURNAL;
	else
		style = isatty(STDERR_FILENO) && color ? STYLE_COLOR : STYLE_LOGFMT;
}

static void
add_value(struct dw_buf *line, struct dw_str value)
{
	bool plain = value.n > 0;

	for (size_t i = 0; i < value.n; i++)
		if ((unsigned char)value.p[i] <= ' ' || value.p[i] == '"' || value.p[i] == '=' || value.p[i] == '\\')
			plain = false;
	if (plain && style != STYLE_JSON)
		dw_buf_add(line, value.p, value.n);
	else
		dw_buf_add_json_string(line, value);
}

static void
add_pair(struct dw_buf *line, struct dw_str pair)
{
	const char *equals = pair.n > 0 ? memchr(pair.p, '=', pair.n) : NULL;
	size_t key = equals != NULL ? (size_t)(equals - pair.p) : pair.n;
	struct dw_str value = { pair.p + key + (equals != NULL), pair.n - key - (equals != NULL) };

	if (style == STYLE_JSON) {
		dw_buf_addc(line, ',');
		dw_buf_add_json_string(line, (struct dw_str) { pair.p, key });
		dw_buf_addc(line, ':');
	} else {
		dw_buf_addc(line, ' ');
		dw_buf_add(line, pair.p, key);
		dw_buf_addc(line, '=');
	}
	add_value(line, value);
}

static void
add_values(struct dw_buf *line, const char *values, va_list args)
{
	char format[FORMAT_MAX], text[LINE_MAX_BYTES];
	size_t from = 0, n;
	int wanted;

	(void)snprintf(format, sizeof(format), "%s", values);
	for (char *at = format; *at != '\0'; at++)
		if (*at == ' ')
			*at = separator;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	wanted = vsnprintf(text, sizeof(text), format, args);
#pragma GCC diagnostic pop
	if (wanted < 0)
		return;
	n = strlen(text);
	for (size_t i = 0; i <= n; i++) {
		if (text[i] != separator && text[i] != '\0')
			continue;
		add_pair(line, (struct dw_str) { text + from, i - from });
		from = i + 1;
	}
}

static void
add_head(struct dw_buf *line, enum dw_log_level level, const char *message)
{
	char now[DW_TIME_SIZE];

	dw_time_text(dw_now_ms(), now);
	switch (style) {
	case STYLE_COLOR:
		dw_buf_addf(line, "%s%-5s\033[0m %s:", levels[level].color, levels[level].name, message);
		break;
	case STYLE_JOURNAL:
		dw_buf_addf(line, "<%d>level=%s msg=", levels[level].priority, levels[level].name);
		add_value(line, dw_str(message));
		break;
	case STYLE_LOGFMT:
		dw_buf_addf(line, "time=%s level=%s program=%s msg=", now, levels[level].name, program_name);
		add_value(line, dw_str(message));
		break;
	case STYLE_JSON:
		dw_buf_addf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"msg\":", now, levels[level].name,
			program_name);
		add_value(line, dw_str(message));
		break;
	}
}

static void
write_event(enum dw_log_level level, const char *message, const char *values, va_list args)
{
	struct dw_buf line = { 0 };
	char bare[256]; /* without memory */
	ssize_t written;

	if (level > most)
		return;
	add_head(&line, level, message);
	if (values != NULL)
		add_values(&line, values, args);
	dw_buf_adds(&line, style == STYLE_JSON ? "}\n" : "\n");
	(void)snprintf(bare, sizeof(bare), "%s\n", message);
	if (dw_buf_ok(&line))
		written = write(STDERR_FILENO, line.data, line.len);
	else
		written = write(STDERR_FILENO, bare, strlen(bare));
	(void)written;
	dw_buf_clear(&line);
}

#define LOG_FUNCTION(name, level)                           \
	void name(const char *message, const char *values, ...) \
	{                                                       \
		va_list args;                                       \
		va_start(args, values);                             \
		write_event(level, message, values, args);          \
		va_end(args);                                       \
	}

LOG_FUNCTION(dw_log_error, DW_LOG_ERROR)
LOG_FUNCTION(dw_log_warn, DW_LOG_WARN)
LOG_FUNCTION(dw_log_info, DW_LOG_INFO)
LOG_FUNCTION(dw_log_debug, DW_LOG_DEBUG)
