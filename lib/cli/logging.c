/* Diagnostics: one event a line on stderr, in the form that its reader wants.
 *
 * Each value is rendered alone and escaped, so that nothing that a stranger made us say begins a line, adds a value or
 * reaches a terminal as anything but letters. What a kind (its message) leaves out, after BURST lines at once and one
 * each EVERY_MS, is told with its next line, or when the process ends.
 *
 * Failure modes: a value over VALUE_MAX bytes is cut; without memory the bare message goes out; a full pipe loses the
 * line, never the process. Kinds past KINDS_MAX share the last one's allowance; no program has so many.
 * For one thread.
 */
#include "cli/logging.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/utf8.h"

enum { VALUE_MAX = 1024, SPEC_MAX = 16, KINDS_MAX = 64, BURST = 10, EVERY_MS = 1000 };

enum style { STYLE_COLOR, STYLE_JOURNAL, STYLE_LOGFMT, STYLE_JSON };

static const char *program_name = "diagws";
static enum dw_log_level most = DW_LOG_INFO;
static enum style style = STYLE_LOGFMT;

static const struct {
	const char *name, *color;
	int priority; /* syslog(3) */
} levels[] = { { "error", "\033[31m", 3 }, { "warn", "\033[33m", 4 }, { "info", "\033[32m", 6 },
	{ "debug", "\033[2m", 7 } };

/* A bucket of BURST lines that gets one back each EVERY_MS; when it will be full again says how many are in it. */
struct kind {
	const char *message;
	enum dw_log_level level;
	uint64_t full_at;  /* dw_mono_ms */
	uint64_t left_out; /* lines, since the last that went out */
};

static struct kind kinds[KINDS_MAX];

const struct dw_opt dw_opt_daemon[] = {
	{ DW_OPT_HEADING, .help = "Diagnostics" },
	{ DW_OPT_CHOICE, 0, "log-format", "FORMAT", "how to write what happens", .env = "DIAGWS_LOG_FORMAT",
		.initial = "auto", .choices = "auto|logfmt|json", .target = &dw_common.log_format },
	{ 0 },
};

/* The character that a text begins with, and its bytes. One that is no UTF-8 stands for its first byte. */
static size_t
take_character(const uint8_t *p, size_t n, uint32_t *character)
{
	const size_t size = dw_utf8_character(p, n);

	*character = size > 1 ? p[0] & 0x3fU >> (size - 1) : p[0];
	for (size_t i = 1; i < size; i++)
		*character = *character << 6 | (p[i] & 0x3fU);
	return size > 0 ? size : 1;
}

/* What is no plain ASCII would steer a terminal, or look like something else there. */
static bool
is_plain(uint8_t byte)
{
	return byte >= ' ' && byte <= '~';
}

/* In quotes, as JSON wants it: a reader of logfmt takes that, too. */
static void
add_quoted(struct dw_buf *line, struct dw_str value)
{
	const uint8_t *p = (const uint8_t *)value.p;
	uint32_t character;

	dw_buf_addc(line, '"');
	for (size_t i = 0; i < value.n;) {
		if (is_plain(p[i])) {
			if (p[i] == '"' || p[i] == '\\')
				dw_buf_addc(line, '\\');
			dw_buf_addc(line, (char)p[i++]);
			continue;
		}
		i += take_character(p + i, value.n - i, &character);
		if (character > 0xffff) {
			dw_buf_addf(line, "\\u%04x", (unsigned)(0xd800 + ((character - 0x10000) >> 10)));
			character = 0xdc00 + ((character - 0x10000) & 0x3ff);
		}
		dw_buf_addf(line, "\\u%04x", (unsigned)character);
	}
	dw_buf_addc(line, '"');
}

static void
add_value(struct dw_buf *line, struct dw_str value)
{
	bool plain = value.n > 0 && style != STYLE_JSON;

	for (size_t i = 0; i < value.n && plain; i++)
		plain = is_plain((uint8_t)value.p[i]) && strchr(" \"=\\", value.p[i]) == NULL;
	if (plain)
		dw_buf_add(line, value.p, value.n);
	else
		add_quoted(line, value);
}

static void
add_pair(struct dw_buf *line, struct dw_str key, struct dw_str value)
{
	if (style == STYLE_JSON) {
		dw_buf_addc(line, ',');
		add_quoted(line, key);
		dw_buf_addc(line, ':');
	} else {
		dw_buf_addc(line, ' ');
		dw_buf_add(line, key.p, key.n);
		dw_buf_addc(line, '=');
	}
	add_value(line, value);
}

/* The next value, by its conversion: those that dw_log() has. Each alone, for no character is safe as a mark between
 * values that may hold any. */
static void
render_value(const char *spec, char *out, va_list *args)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	/* NOLINTBEGIN(bugprone-branch-clone): each takes an argument of another type */
	if (strcmp(spec, "%.*s") == 0) {
		const int n = va_arg(*args, int);

		(void)snprintf(out, VALUE_MAX, spec, n, va_arg(*args, const char *));
	} else if (strcmp(spec, "%s") == 0) {
		(void)snprintf(out, VALUE_MAX, spec, va_arg(*args, const char *));
	} else if (strstr(spec, "ll") != NULL) {
		(void)snprintf(out, VALUE_MAX, spec, va_arg(*args, unsigned long long));
	} else if (strchr(spec, 'z') != NULL) {
		(void)snprintf(out, VALUE_MAX, spec, va_arg(*args, size_t));
	} else {
		(void)snprintf(out, VALUE_MAX, spec, va_arg(*args, unsigned));
	}
	/* NOLINTEND(bugprone-branch-clone) */
#pragma GCC diagnostic pop
}

static void
add_values(struct dw_buf *line, const char *values, va_list *args)
{
	char spec[SPEC_MAX], value[VALUE_MAX];

	while (values != NULL && *values != '\0') {
		const size_t key = strcspn(values, "="), all = strcspn(values, " ");

		assert(key < all && all - key <= sizeof(spec));
		memcpy(spec, values + key + 1, all - key - 1);
		spec[all - key - 1] = '\0';
		render_value(spec, value, args);
		add_pair(line, (struct dw_str) { values, key }, dw_str(value));
		values += all + (values[all] == ' ');
	}
}

static void
add_head(struct dw_buf *line, enum dw_log_level level, const char *message)
{
	const char *name = levels[level].name;
	char now[DW_TIME_SIZE];

	dw_time_text(dw_now_ms(), now);
	if (style == STYLE_COLOR) {
		dw_buf_addf(line, "%s%-5s\033[0m %s:", levels[level].color, name, message);
		return;
	}
	if (style == STYLE_JOURNAL)
		dw_buf_addf(line, "<%d>level=%s msg=", levels[level].priority, name);
	else if (style == STYLE_LOGFMT)
		dw_buf_addf(line, "time=%s level=%s program=%s msg=", now, name, program_name);
	else
		dw_buf_addf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"msg\":", now, name, program_name);
	add_value(line, dw_str(message));
}

static struct kind *
find_kind(const char *message)
{
	struct kind *kind = kinds;

	while (kind < &kinds[KINDS_MAX - 1] && kind->message != NULL && strcmp(kind->message, message) != 0)
		kind++;
	return kind;
}

/* Whether the kind may say one more now. */
static bool
may_say(struct kind *kind)
{
	const uint64_t now = dw_mono_ms();
	const uint64_t full_at = kind->full_at > now ? kind->full_at : now;

	if (full_at - now > (BURST - 1) * EVERY_MS)
		return false;
	kind->full_at = full_at + EVERY_MS;
	return true;
}

/* values: NULL, or as dw_log() is given them, with args. */
static void
write_line(enum dw_log_level level, const char *message, const char *values, va_list *args, uint64_t left_out)
{
	struct dw_buf line = { 0 };
	char bare[256]; /* without memory */
	char count[32];
	ssize_t written;

	add_head(&line, level, message);
	add_values(&line, values, args);
	if (left_out > 0) {
		(void)snprintf(count, sizeof(count), "%llu", (unsigned long long)left_out);
		add_pair(&line, DW_STR("left_out"), dw_str(count));
	}
	dw_buf_adds(&line, style == STYLE_JSON ? "}\n" : "\n");
	(void)snprintf(bare, sizeof(bare), "%s\n", message);
	if (dw_buf_ok(&line))
		written = write(STDERR_FILENO, line.data, line.len);
	else
		written = write(STDERR_FILENO, bare, strlen(bare));
	(void)written;
	dw_buf_clear(&line);
}

void
dw_log(enum dw_log_level level, const char *message, const char *values, ...)
{
	struct kind *kind;
	va_list args;

	if (level > most)
		return;
	kind = find_kind(message);
	kind->message = message;
	kind->level = level;
	if (!may_say(kind)) {
		kind->left_out++;
		return;
	}
	va_start(args, values);
	write_line(level, message, values, &args, kind->left_out);
	va_end(args);
	kind->left_out = 0;
}

static void
tell_left_out(void)
{
	for (struct kind *kind = kinds; kind < kinds + KINDS_MAX; kind++) {
		if (kind->left_out > 0)
			write_line(kind->level, kind->message, NULL, NULL, kind->left_out);
		kind->left_out = 0;
	}
}

void
dw_log_setup(const char *program, enum dw_log_level level)
{
	(void)atexit(tell_left_out);
	program_name = program;
	most = level;
	if (strcmp(dw_common.log_format, "json") == 0)
		style = STYLE_JSON;
	else if (strcmp(dw_common.log_format, "logfmt") == 0)
		style = STYLE_LOGFMT;
	else if (getenv("JOURNAL_STREAM") != NULL && !isatty(STDERR_FILENO))
		style = STYLE_JOURNAL;
	else
		style = dw_use_color(STDERR_FILENO) ? STYLE_COLOR : STYLE_LOGFMT;
}

void
dw_log_begin(const char *program)
{
	dw_log_setup(program, dw_common.verbose ? DW_LOG_DEBUG : dw_common.quiet ? DW_LOG_WARN : DW_LOG_INFO);
}
