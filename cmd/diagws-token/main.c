/* diagws-token: makes tokens, and says what is wrong with one.
 *
 * This file finds the verb; each verb is a file of its own, and so are the options. Keys and tokens come from files or
 * standard input, never from the command line, where ps would show them.
 *
 * Exit status: 0; 64 wrong usage; 65 a wish that no token can hold; 66 a file that cannot be read; 74 when
 * the output cannot be written; 77 a token that is not accepted; 78 keys that are not as they should be.
 */
#include <string.h>

#include "command.h"

static const struct {
	const char *name;
	int (*run)(const struct options *options, int count, char **operands);
} verbs[] = { { "mint", token_mint }, { "check", token_check } };

int
main(int argc, char **argv)
{
	int first = argc;
	int err = dw_opt_parse(&token_command, argc, argv, &first);

	if (err == DW_OPT_DONE)
		return 0;
	if (err != DW_OK)
		return dw_err_exit(err);
	if (first == argc)
		return dw_err_exit(dw_opt_misuse(&token_command, "a verb is missing: mint or check"));
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(argv[first], verbs[i].name) == 0)
			return verbs[i].run(&token_options, argc - first - 1, argv + first + 1);
	}
	return dw_err_exit(dw_opt_misuse(&token_command, "unknown verb '%.40s'", argv[first]));
}
