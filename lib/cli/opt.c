/* Options from one table: parsing (getopt_long underneath) and the environment. Printing is in opt_help.c.
 *
 * Happy path: the environment's values are set first, then argv's, so that flags win. Failure modes: a
 * value that is not allowed, told with where it came from, what was given and what is allowed.
 */
#include "cli/opt.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LONG_BASE = 256, OPTIONS_MAX = 96 };

struct dw_common dw_common = { .timeout_ms = 5000, .color = "auto", .log_format = "auto" };

static bool show_help, show_version, show_words;

const struct dw_opt dw_opt_common[] = {
	{ DW_OPT_HEADING, .help = "General" },
	{ DW_OPT_FLAG, 'v', "verbose", NULL, "say more", .target = &dw_common.verbose },
	{ DW_OPT_FLAG, 'q', "quiet", NULL, "say only what went wrong", .target = &dw_common.quiet },
	{ DW_OPT_FLAG, 'h', "help", NULL, "print this and exit", .target = &show_help },
	{ DW_OPT_FLAG, 'V', "version", NULL, "print the version and exit", .target = &show_version },
	{ 0 },
};
const struct dw_opt dw_opt_hub[] = {
	{ DW_OPT_HEADING, .help = "The hub" },
	{ DW_OPT_TEXT, 'e', "endpoint", "URI", "the hub's socket", .env = "DIAGWS_HUB", .target = &dw_common.endpoint },
	{ DW_OPT_DURATION, 0, "timeout", "DUR", "wait so long for an answer", .env = "DIAGWS_TIMEOUT", .initial = "5s",
		.target = &dw_common.timeout_ms, .min = 1, .max = 3600000 },
	{ 0 },
};
const struct dw_opt dw_opt_table[] = {
	{ DW_OPT_HEADING, .help = "Output" },
	{ DW_OPT_CHOICE, 0, "format", "FORMAT", "a table on a terminal, else tsv", .env = "DIAGWS_FORMAT",
		.choices = "table|tsv|json|ndjson", .target = &dw_common.format },
	{ DW_OPT_FLAG, 0, "json", NULL, "short for --format json", .target = &dw_common.json },
	{ DW_OPT_CHOICE, 0, "color", "WHEN", "colour what goes to a terminal", .env = "DIAGWS_COLOR", .initial = "auto",
		.choices = "auto|always|never", .target = &dw_common.color },
	{ 0 },
};
static const struct dw_opt words_option = { DW_OPT_FLAG, 0, "list-words", NULL, NULL, .target = &show_words };

struct unit {
	const char *name;
	int64_t factor;
};

static bool
parse_with_unit(const char *text, const struct unit *units, int64_t plain, int64_t *out)
{
	int64_t factor = plain;
	long long number;
	char *unit;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	number = strtoll(text, &unit, 10);
	if (*unit != '\0') {
		while (units->name != NULL && strcmp(units->name, unit) != 0)
			units++;
		factor = units->factor;
	}
	if (errno != 0 || factor == 0 || number > INT64_MAX / factor)
		return false;
	*out = number * factor;
	return true;
}

bool
dw_parse_number(const char *text, int64_t *value)
{
	static const struct unit none = { NULL, 0 };
	const bool negative = text[0] == '-';

	if (!parse_with_unit(text + negative, &none, 1, value))
		return false;
	*value = negative ? -*value : *value;
	return true;
}

bool
dw_parse_duration(const char *text, int64_t *ms)
{
	static const struct unit units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 },
		{ "d", 86400000 }, { NULL, 0 } };

	return parse_with_unit(text, units, 1000, ms);
}

bool
dw_parse_size(const char *text, int64_t *bytes)
{
	static const struct unit units[] = { { "K", 1 << 10 }, { "M", 1 << 20 }, { "G", 1 << 30 }, { NULL, 0 } };

	return parse_with_unit(text, units, 1, bytes);
}

/* Tells it, with a hint to --help. */
static int
refuse_usage(const struct dw_command *command, const struct dw_fault *fault)
{
	char hint[96];

	(void)snprintf(hint, sizeof(hint), "try '%s --help'", command->name);
	dw_fault_print(stderr, command->name, DW_E_USAGE, fault, hint);
	return DW_E_USAGE;
}

int
dw_opt_misuse(const struct dw_command *command, const char *format, ...)
{
	struct dw_fault fault = { 0 };
	va_list args;

	va_start(args, format);
	(void)vsnprintf(fault.message, sizeof(fault.message), format, args);
	va_end(args);
	return refuse_usage(command, &fault);
}

/* Where a value came from: a flag, or a variable of the environment. */
struct source {
	const struct dw_command *command;
	const struct dw_opt *opt;
	bool from_env;
};

static int
refuse(const struct source *source, const char *value, const char *wrong, const char *expected)
{
	struct dw_fault fault = { 0 };
	char given[64];

	(void)snprintf(given, sizeof(given), "%.40s%s", value, strlen(value) > 40 ? "..." : "");
	(void)dw_fault_set(&fault, DW_E_USAGE, NULL, expected, "%s '%s%s': '%s' is %s",
		source->from_env ? "variable" : "option", source->from_env ? "" : "--",
		source->from_env ? source->opt->env : source->opt->name, given, wrong);
	return refuse_usage(source->command, &fault);
}

static bool
is_choice(const char *choices, const char *value)
{
	size_t n = strlen(value);

	for (const char *at = choices; at != NULL; at = strchr(at, '|')) {
		at += *at == '|';
		if (strcspn(at, "|") == n && strncmp(at, value, n) == 0)
			return true;
	}
	return false;
}

static const struct {
	bool (*parse)(const char *text, int64_t *value);
	const char *wrong, *expected, *unit;
} numeric[] = {
	[DW_OPT_NUMBER] = { dw_parse_number, "not a number", "a whole number", "" },
	[DW_OPT_DURATION] = { dw_parse_duration, "not a duration", "a duration like 250ms, 5s, 10m, 24h or 7d", " ms" },
	[DW_OPT_SIZE] = { dw_parse_size, "not a size", "a size like 4096, 64K, 256M or 16G", "" },
};

static int
set_numeric(const struct source *source, const char *value)
{
	const struct dw_opt *opt = source->opt;
	const char *expected = numeric[opt->kind].expected;
	const int64_t max = opt->min == 0 && opt->max == 0 ? INT64_MAX : opt->max;
	char range[128];
	int64_t number;

	if (!numeric[opt->kind].parse(value, &number))
		return refuse(source, value, numeric[opt->kind].wrong, expected);
	if (number >= opt->min && number <= max) {
		*(int64_t *)opt->target = number;
		return DW_OK;
	}
	(void)snprintf(range, sizeof(range), "%s, from %" PRId64 " to %" PRId64 "%s", expected, opt->min, max,
		numeric[opt->kind].unit);
	return refuse(source, value, "out of range", max == INT64_MAX ? expected : range);
}

static int
add_item(const struct source *source, const char *value)
{
	struct dw_opt_list *list = source->opt->target;

	if (!list->from_flag && !source->from_env) {
		list->count = 0;
		list->from_flag = true;
	}
	if (list->count == DW_OPT_LIST_MAX)
		return refuse(source, value, "one too many", "at most 64 of them");
	list->item[list->count++] = value;
	return DW_OK;
}

/* The variable's words; they live as long as the process. */
static int
add_words(const struct source *source, const char *value)
{
	static char pool[8192];
	static size_t used;
	struct dw_opt_list *list = source->opt->target;
	size_t n = strlen(value) + 1;
	char *at = pool + used;
	int err = DW_OK;

	if (n > sizeof(pool) - used)
		return refuse(source, value, "too long", "at most 8192 bytes in all lists");
	memcpy(at, value, n);
	used += n;
	list->count = 0;
	for (char *rest, *word = strtok_r(at, " \t\n", &rest); word != NULL && err == DW_OK;
		 word = strtok_r(NULL, " \t\n", &rest))
		err = add_item(source, word);
	return err;
}

static int
set_value(const struct source *source, const char *value)
{
	const struct dw_opt *opt = source->opt;

	switch (opt->kind) {
	case DW_OPT_FLAG:
		*(bool *)opt->target = true;
		return DW_OK;
	case DW_OPT_TEXT:
		*(const char **)opt->target = value;
		return DW_OK;
	case DW_OPT_LIST:
		return source->from_env ? add_words(source, value) : add_item(source, value);
	case DW_OPT_CHOICE:
		if (!is_choice(opt->choices, value))
			return refuse(source, value, "not allowed", opt->choices);
		*(const char **)opt->target = value;
		return DW_OK;
	default: /* a heading is never given */
		return set_numeric(source, value);
	}
}

struct tables {
	const struct dw_opt *opts[OPTIONS_MAX];
	struct option longs[OPTIONS_MAX + 1];
	char letters[3 * OPTIONS_MAX];
	int count;
};

static void
add_option(struct tables *tables, const struct dw_opt *opt)
{
	bool has_arg = opt->kind != DW_OPT_FLAG;
	size_t n = strlen(tables->letters);

	if (opt->name == NULL || tables->count == OPTIONS_MAX)
		return;
	tables->opts[tables->count] = opt;
	tables->longs[tables->count] =
		(struct option) { opt->name, has_arg ? required_argument : no_argument, NULL, LONG_BASE + tables->count };
	tables->count++;
	if (opt->letter != 0)
		(void)snprintf(tables->letters + n, sizeof(tables->letters) - n, "%c%s", opt->letter, has_arg ? ":" : "");
}

static const struct dw_opt *
find_option(const struct tables *tables, int got)
{
	if (got >= LONG_BASE)
		return tables->opts[got - LONG_BASE];
	for (int i = 0; i < tables->count; i++)
		if (tables->opts[i]->letter == got)
			return tables->opts[i];
	return NULL;
}

static int
read_environment(const struct dw_command *command, const struct tables *tables, bool asks)
{
	int err = DW_OK;

	for (int i = 0; i < tables->count && err == DW_OK; i++) {
		const struct source source = { command, tables->opts[i], true };
		const char *value = source.opt->env != NULL && !asks ? getenv(source.opt->env) : NULL;

		if ((value == NULL || value[0] == '\0') && command->takes_initials && source.opt->kind >= DW_OPT_NUMBER)
			value = source.opt->initial;
		if (value != NULL && value[0] != '\0')
			err = set_value(&source, value);
	}
	return err;
}

static int
read_arguments(const struct dw_command *command, const struct tables *tables, int argc, char **argv)
{
	int err = DW_OK, got;

	opterr = 0;
	optind = 0;
	while (err == DW_OK && (got = getopt_long(argc, argv, tables->letters, tables->longs, NULL)) != -1) {
		const struct source source = { command, find_option(tables, got), false };

		if (source.opt != NULL)
			err = set_value(&source, optarg != NULL ? optarg : "");
		else if (got == ':')
			err = dw_opt_misuse(command, "option '%s' needs a value", argv[optind - 1]);
		else if (optopt >= LONG_BASE)
			err = dw_opt_misuse(command, "option '--%s' takes no value", tables->opts[optopt - LONG_BASE]->name);
		else if (optopt != 0)
			err = dw_opt_misuse(command, "unknown option '-%c'", optopt);
		else
			err = dw_opt_misuse(command, "unknown or ambiguous option '%s'", argv[optind - 1]);
	}
	return err;
}

/* --help works whatever the environment holds: that is not looked at then. */
static bool
asks_only(int argc, char **argv)
{
	static const char *const asks[] = { "-h", "--help", "-V", "--version", "--list-words" };

	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		for (size_t k = 0; k < sizeof(asks) / sizeof(asks[0]); k++)
			if (strcmp(argv[i], asks[k]) == 0)
				return true;
	return false;
}

int
dw_opt_parse(const struct dw_command *command, int argc, char **argv, int *first)
{
	struct tables tables = { .letters = ":" };
	int err;

	for (const struct dw_opt *const *group = command->groups; *group != NULL; group++)
		for (const struct dw_opt *opt = *group; !dw_opt_is_end(opt); opt++)
			add_option(&tables, opt);
	add_option(&tables, &words_option);
	err = read_environment(command, &tables, asks_only(argc, argv));
	if (err == DW_OK)
		err = read_arguments(command, &tables, argc, argv);
	if (show_help)
		dw_opt_print_help(command);
	else if (show_version)
		printf("%s (diagws) %s\n", command->name, DW_VERSION);
	else if (show_words)
		dw_opt_print_words(command);
	else if (err == DW_OK)
		*first = optind;
	return show_help || show_version || show_words ? DW_OPT_DONE : err;
}

bool
dw_use_color(int fd)
{
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");

	if (dw_common.color != NULL && strcmp(dw_common.color, "always") == 0)
		return true;
	if (dw_common.color != NULL && strcmp(dw_common.color, "never") == 0)
		return false;
	return (no_color == NULL || no_color[0] == '\0') && term != NULL && strcmp(term, "dumb") != 0 && isatty(fd);
}
