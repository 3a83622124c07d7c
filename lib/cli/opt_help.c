/* Printing what a command's tables say: --help for people, --list-words for completion.
 *
 * Lines break at spaces so that they stay within 80 columns; examples are printed as they are, for pasting. A write
 * error of stdout is the caller's at exit. Invariant: an option's name starts its line, for completion and tests.
 */
#include "cli/opt.h"

#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include "base/utf8.h"

enum { WIDTH = 80, HELP_COLUMN = 30, USAGE_MAX = 64 };

size_t
dw_text_width(const char *text, size_t n)
{
	size_t wide = 0, size;

	for (size_t i = 0; i < n; i += size) {
		mbstate_t state = { 0 };
		wchar_t character;
		int columns = 1;

		size = mbrtowc(&character, text + i, n - i, &state);
		if (size >= 1 && size <= n)
			columns = wcwidth(character);
		else
			size = dw_utf8_character(text + i, n - i);
		size += size == 0;
		wide += columns >= 0 ? (size_t)columns : 1;
	}
	return wide;
}

/* The length of the first piece of text that no line break may cut: a word, or all within brackets. In a
 * synopsis an option keeps its argument too. */
static size_t
piece(const char *text, bool synopsis)
{
	size_t n = 0;
	int depth = 0;

	for (; text[n] != '\0' && text[n] != '\n'; n++) {
		depth += synopsis ? (text[n] == '[') - (text[n] == ']') : 0;
		if (text[n] == ' ' && depth == 0 && !(synopsis && text[0] == '-' && text[n + 1] >= 'A' && text[n + 1] <= 'Z'))
			break;
	}
	return n;
}

/* One line of text, from column `at` on; what does not fit goes to lines that start at `indent`. */
static void
print_wrapped(const char *text, size_t at, size_t indent, bool synopsis)
{
	bool first = true;

	while (*text != '\0' && *text != '\n') {
		size_t n = piece(text, synopsis), wide = dw_text_width(text, n);

		if (!first && at + 1 + wide > WIDTH) {
			printf("\n%*s", (int)indent, "");
			at = indent;
		} else if (!first) {
			putchar(' ');
			at++;
		}
		printf("%.*s", (int)n, text);
		at += wide;
		first = false;
		text += n;
		text += strspn(text, " ");
	}
	putchar('\n');
}

static void
print_defaults(const struct dw_opt *opt)
{
	const char *initial = opt->initial, *env = opt->env;
	bool both = initial != NULL && env != NULL;
	size_t wide = HELP_COLUMN + sizeof("[default , env ]") - 1;

	if (initial == NULL && env == NULL)
		return;
	wide += (initial != NULL ? dw_text_width(initial, strlen(initial)) : 0) + (env != NULL ? strlen(env) : 0);
	printf("%*s[", HELP_COLUMN, "");
	if (initial != NULL)
		printf("default %s", initial);
	if (both && wide > WIDTH)
		printf(",\n%*s", HELP_COLUMN + 1, "");
	else if (both)
		printf(", ");
	if (env != NULL)
		printf("env %s", env);
	printf("]\n");
}

static void
print_option(const struct dw_opt *opt)
{
	char left[96], letter[8] = "    ";
	int n;

	if (opt->letter != 0)
		(void)snprintf(letter, sizeof(letter), "-%c, ", opt->letter);
	n = snprintf(left, sizeof(left), "  %s--%s%s%s", letter, opt->name, opt->arg != NULL ? " " : "",
		opt->arg != NULL ? opt->arg : "");
	if (n >= HELP_COLUMN)
		printf("%s\n%*s", left, HELP_COLUMN, "");
	else
		printf("%-*s", HELP_COLUMN, left);
	print_wrapped(opt->help, HELP_COLUMN, HELP_COLUMN, false);
	if (opt->choices != NULL)
		printf("%*sone of %s\n", HELP_COLUMN, "", opt->choices);
	print_defaults(opt);
}

static void
print_usage(const struct dw_command *command)
{
	char head[USAGE_MAX];
	const char *start = "usage:";

	for (const char *line = command->usage; line != NULL; line = strchr(line, '\n')) {
		int n = snprintf(head, sizeof(head), "%-6s %s ", start, command->name);

		line += *line == '\n';
		printf("%s", head);
		print_wrapped(line, (size_t)n, (size_t)n, true);
		start = "";
	}
}

static void
print_examples(const char *lines)
{
	printf("\nExamples\n");
	for (; lines != NULL; lines = strchr(lines, '\n')) {
		lines += *lines == '\n';
		printf("  %.*s\n", (int)strcspn(lines, "\n"), lines);
	}
}

void
dw_opt_print_help(const struct dw_command *command)
{
	print_usage(command);
	putchar('\n');
	print_wrapped(command->summary, 0, 0, false);
	printf("\nOptions\n");
	for (const struct dw_opt *const *group = command->groups; *group != NULL; group++) {
		for (const struct dw_opt *opt = *group; !dw_opt_is_end(opt); opt++) {
			if (opt->kind == DW_OPT_HEADING)
				printf("\n%s\n", opt->help);
			else
				print_option(opt);
		}
	}
	if (command->examples != NULL)
		print_examples(command->examples);
}

void
dw_opt_print_words(const struct dw_command *command)
{
	const char *at = command->words;

	for (const struct dw_opt *const *group = command->groups; *group != NULL; group++)
		for (const struct dw_opt *opt = *group; !dw_opt_is_end(opt); opt++)
			if (opt->name != NULL)
				printf("--%s\n", opt->name);
	while (at != NULL && *(at += strspn(at, " ")) != '\0') {
		size_t n = strcspn(at, " ");

		printf("%.*s\n", (int)n, at);
		at += n;
	}
}
