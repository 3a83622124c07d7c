/* Options are data: one table per command gives parsing, --help and the completion words. A value comes from the flag,
 * else from the option's environment variable, else from what the target held before (the built-in).
 *
 * Durations: a number and ms, s, m, h or d ("250ms", "5s", "7d"; a bare number is seconds).
 * Sizes: a number and K, M or G (binary); a bare number is bytes.
 */
#ifndef DIAGWS_OPT_H
#define DIAGWS_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum dw_opt_kind {
	DW_OPT_FLAG,     /* target: bool */
	DW_OPT_TEXT,     /* target: const char *; borrowed from argv or the environment */
	DW_OPT_LIST,     /* target: struct dw_opt_list; may be repeated; the variable splits at white space */
	DW_OPT_NUMBER,   /* target: int64_t, within min..max */
	DW_OPT_DURATION, /* target: int64_t milliseconds, within min..max */
	DW_OPT_SIZE,     /* target: int64_t bytes, within min..max */
	DW_OPT_CHOICE,   /* target: const char *; one of the words in `choices`, separated by '|' */
	DW_OPT_HEADING   /* no option: a heading in --help; only `help` is used */
};

enum { DW_OPT_LIST_MAX = 64 };

struct dw_opt_list {
	const char *item[DW_OPT_LIST_MAX];
	size_t count;
	bool from_flag; /* private: a flag replaces what the environment gave */
};

struct dw_opt {
	enum dw_opt_kind kind;
	char letter;         /* 0: none */
	const char *name;    /* long name without dashes */
	const char *arg;     /* word for the argument in --help; NULL for flags */
	const char *help;    /* one line, lower case, without a full stop */
	const char *env;     /* environment variable, or NULL */
	const char *initial; /* built-in value as shown in --help, or NULL */
	const char *choices; /* for DW_OPT_CHOICE */
	void *target;
	int64_t min, max; /* both 0: any non-negative number */
};

struct dw_command {
	const char *name;     /* "diagws-send" */
	const char *summary;  /* one line */
	const char *usage;    /* lines after the name, separated by '\n', without the name */
	const char *words;    /* what may stand as first operand (sub-commands), separated by spaces; or NULL */
	const char *examples; /* lines, or NULL */
	const struct dw_opt *const *groups; /* tables, each ended by an option without a name and help; NULL ends */
	bool takes_initials; /* numbers, durations, sizes and choices are what `initial` shows, unless given */
};

enum { DW_OPT_DONE = 1 }; /* --help or --version was asked and has been printed: exit 0 */

/* Parses argv; the operands, among which options may stand, end up at argv[*first..argc-1] in order. Prints --help,
 * --version ("NAME (diagws) 0.1.0"), and for completion --list-words, on stdout; what is wrong on stderr.
 * Returns DW_OK, DW_OPT_DONE or DW_E_USAGE. Targets may have been changed when it fails. */
int dw_opt_parse(const struct dw_command *command, int argc, char **argv, int *first);

/* "diagws-send: MESSAGE [DW1002]" and a hint to --help, on stderr; returns DW_E_USAGE. */
int dw_opt_misuse(const struct dw_command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same grammar as the options use; false when text is no duration or size, or overflows. */
bool dw_parse_duration(const char *text, int64_t *ms);
bool dw_parse_size(const char *text, int64_t *bytes);
bool dw_parse_number(const char *text, int64_t *value); /* decimal digits with an optional '-' */

/* What all commands have. Commands that talk to the hub add dw_opt_hub, those that print tables
 * dw_opt_table, daemons dw_opt_daemon (logging.h). */
struct dw_common {
	bool verbose, quiet;
	const char *endpoint; /* NULL: dw_default_endpoint */
	int64_t timeout_ms;   /* 5000 */
	const char *format;   /* NULL: table on a terminal, else tsv */
	bool json;
	const char *color;      /* "auto" */
	const char *log_format; /* "auto" */
};

extern struct dw_common dw_common;
extern const struct dw_opt dw_opt_common[]; /* -h -V -v -q */
extern const struct dw_opt dw_opt_hub[];    /* -e --endpoint, --timeout */
extern const struct dw_opt dw_opt_table[];  /* --format, --json, --color */

/* Whether to colour what goes to this descriptor: --color, NO_COLOR, TERM=dumb, isatty. */
bool dw_use_color(int fd);

/* The columns that a terminal gives a text, by the locale (dw_command_begin): none to a combining mark or a joiner, two
 * to most of East Asia. Without a locale of UTF-8, one to each character. */
size_t dw_text_width(const char *text, size_t n);

/* For opt.c and opt_help.c alone. */
static inline bool
dw_opt_is_end(const struct dw_opt *opt)
{
	return opt->name == NULL && opt->help == NULL;
}
void dw_opt_print_help(const struct dw_command *command);
void dw_opt_print_words(const struct dw_command *command);

#endif
