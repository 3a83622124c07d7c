/* diagws-token: makes tokens, and says what is wrong with one.
 *
 * This file has the options and finds the verb; each verb is a file of its own. Keys and tokens come from
 * files or standard input, never from the command line, where ps would show them.
 *
 * Exit status: 0; 64 wrong usage; 65 a wish that no token can hold; 66 a file that cannot be read; 74 when
 * the output cannot be written; 77 a token that is not accepted; 78 keys that are not as they should be.
 */
#include <stdio.h>
#include <string.h>

#include "command.h"

#define TTL_MAX_MS (INT64_C(3650) * 24 * 3600 * 1000)

static struct options options = { .ttl_ms = 3600 * 1000 };

static const struct dw_opt mint_options[] = {
	{ .kind = DW_OPT_HEADING, .help = "To mint a token" },
	{ .kind = DW_OPT_TEXT,
		.name = "key-file",
		.arg = "FILE",
		.help = "the key that signs: KID.hs256, KID.rs256.pem, ...",
		.target = &options.key_file },
	{ .kind = DW_OPT_TEXT, .name = "sub", .arg = "USER", .help = "the user it is for", .target = &options.user },
	{ .kind = DW_OPT_DURATION,
		.name = "ttl",
		.arg = "DUR",
		.help = "the time until it expires",
		.initial = "1h",
		.target = &options.ttl_ms,
		.min = 1000,
		.max = TTL_MAX_MS },
	{ .kind = DW_OPT_TEXT,
		.name = "scope",
		.arg = "WORDS",
		.help = "what else it allows: words of publish, stat, admin",
		.target = &options.scope },
	{ .kind = DW_OPT_LIST,
		.name = "diagnosis",
		.arg = "ID",
		.help = "a diagnosis it lets watch; may be repeated",
		.target = &options.diagnoses },
	{ .kind = DW_OPT_TEXT,
		.name = "kid",
		.arg = "KID",
		.help = "the key id it names",
		.initial = "from the file's name",
		.target = &options.kid },
	{ 0 },
};

static const struct dw_opt check_options[] = {
	{ .kind = DW_OPT_HEADING, .help = "To check a token" },
	{ .kind = DW_OPT_TEXT,
		.name = "keys",
		.arg = "DIR",
		.help = "the keys to check it against",
		.env = "DIAGWS_KEYS",
		.target = &options.keys },
	{ .kind = DW_OPT_DURATION,
		.name = "leeway",
		.arg = "DUR",
		.help = "how far clocks may differ, up to 30s",
		.env = "DIAGWS_LEEWAY",
		.initial = "0s",
		.target = &options.leeway_ms,
		.min = 0,
		.max = 30000 },
	{ .kind = DW_OPT_FLAG, .name = "json", .help = "print the claims as a JSON object", .target = &options.json },
	{ 0 },
};

static const struct dw_opt both_options[] = {
	{ .kind = DW_OPT_HEADING, .help = "For both" },
	{ .kind = DW_OPT_TEXT,
		.name = "issuer",
		.arg = "TEXT",
		.help = "iss: to write, or to demand",
		.env = "DIAGWS_ISSUER",
		.target = &options.issuer },
	{ .kind = DW_OPT_TEXT,
		.name = "audience",
		.arg = "TEXT",
		.help = "aud: to write, or to demand",
		.env = "DIAGWS_AUDIENCE",
		.target = &options.audience },
	{ 0 },
};

static const struct dw_opt *const groups[] = { mint_options, check_options, both_options, dw_opt_common, NULL };

const struct dw_command token_command = {
	.name = "diagws-token",
	.summary = "make a token, or say what is wrong with one",
	.usage = "mint --key-file FILE --sub USER [--ttl DUR] [--scope WORDS] [--diagnosis ID]... [--kid KID]\n"
			 "check --keys DIR [--leeway DUR] [--json] [FILE|-]",
	.words = "mint check",
	.examples = "diagws-token mint --key-file clinic.hs256 --sub 55 --ttl 8h >token\n"
				"diagws-token check --keys /etc/diagws/keys token",
	.groups = groups,
};

static const struct {
	const char *name;
	int (*run)(const struct options *options, int count, char **operands);
} verbs[] = { { "mint", token_mint }, { "check", token_check } };

int
token_fail(int err, const struct dw_fault *fault)
{
	dw_fault_print(stderr, token_command.name, err, fault, NULL);
	return dw_err_exit(err);
}

int
token_print(const struct dw_buf *text)
{
	struct dw_fault fault = { 0 };

	if (!dw_buf_ok(text))
		return token_fail(DW_E_NOMEM, NULL);
	if (fwrite(text->data, 1, text->len, stdout) == text->len && fflush(stdout) == 0)
		return 0;
	(void)dw_fault_set(&fault, DW_E_IO, NULL, NULL, "cannot write to standard output");
	return token_fail(DW_E_IO, &fault);
}

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
			return verbs[i].run(&options, argc - first - 1, argv + first + 1);
	}
	return dw_err_exit(dw_opt_misuse(&token_command, "unknown verb '%.40s'", argv[first]));
}
