/* The options of diagws-token, and how a verb ends: with its output, or with a failure that is told. Its own file
 * because the verbs, which main.c chooses from, name the command when they tell of its misuse.
 */
#include <stdio.h>

#include "command.h"

#define TTL_MAX_MS (INT64_C(3650) * 24 * 3600 * 1000)

struct options token_options = { .ttl_ms = 3600 * 1000 };

static const struct dw_opt mint_options[] = {
	{ DW_OPT_HEADING, .help = "To mint a token" },
	{ DW_OPT_TEXT, 0, "key-file", "FILE", "the key that signs: KID.hs256, KID.rs256.pem, ...",
		.target = &token_options.key_file },
	{ DW_OPT_TEXT, 0, "sub", "USER", "the user it is for", .target = &token_options.user },
	{ DW_OPT_DURATION, 0, "ttl", "DUR", "the time until it expires", .initial = "1h", .target = &token_options.ttl_ms,
		.min = 1000, .max = TTL_MAX_MS },
	{ DW_OPT_TEXT, 0, "scope", "WORDS", "what else it allows: words of publish, stat, admin",
		.target = &token_options.scope },
	{ DW_OPT_LIST, 0, "diagnosis", "ID", "a diagnosis it lets watch; may be repeated",
		.target = &token_options.diagnoses },
	{ DW_OPT_TEXT, 0, "kid", "KID", "the key id it names", .initial = "from the file's name",
		.target = &token_options.kid },
	{ 0 },
};

static const struct dw_opt check_options[] = {
	{ DW_OPT_HEADING, .help = "To check a token" },
	{ DW_OPT_TEXT, 0, "keys", "DIR", "the keys to check it against", .env = "DIAGWS_KEYS",
		.target = &token_options.keys },
	{ DW_OPT_DURATION, 0, "leeway", "DUR", "how far clocks may differ, up to 30s", .env = "DIAGWS_LEEWAY",
		.initial = "0s", .target = &token_options.leeway_ms, .max = 30000 },
	{ DW_OPT_FLAG, 0, "json", NULL, "print the claims as a JSON object", .target = &token_options.json },
	{ 0 },
};

static const struct dw_opt both_options[] = {
	{ DW_OPT_HEADING, .help = "For both" },
	{ DW_OPT_TEXT, 0, "issuer", "TEXT", "iss: to write, or to demand", .env = "DIAGWS_ISSUER",
		.target = &token_options.issuer },
	{ DW_OPT_TEXT, 0, "audience", "TEXT", "aud: to write, or to demand", .env = "DIAGWS_AUDIENCE",
		.target = &token_options.audience },
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
