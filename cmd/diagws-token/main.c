/* diagws-token: makes tokens, and says what is wrong with one.
 *
 * Keys and tokens come from files or standard input, never from the command line, where ps would show them. Nothing is
 * printed unless the whole token could be made, or was accepted. An edge with the same settings would accept what is
 * accepted here, but only here is the exact fault of a token told: to the administrator who holds the keys.
 *
 * Exit status: 0; 64 wrong usage; 65 a wish that no token can hold; 66 a file that cannot be read; 74 when
 * the output cannot be written; 77 a token that is not accepted; 78 keys that are not as they should be.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/paths.h"
#include "cli/opt.h"
#include "message/msg.h"
#include "token/auth.h"
#include "token/token.h"

enum { INPUT_MAX = 64 * 1024 };

static const uint64_t YEAR_10000 = UINT64_C(253402300800); /* RFC 3339 has no date from there on */

#define TTL_MAX_MS (INT64_C(3650) * 24 * 3600 * 1000)

static struct {
	/* mint */
	const char *key_file, *user, *scope, *kid;
	struct dw_opt_list diagnoses;
	int64_t ttl_ms;
	/* check */
	const char *keys;
	int64_t leeway_ms;
	bool json;
	/* both */
	const char *issuer, *audience;
} options = { .ttl_ms = 3600 * 1000 };

static const struct dw_opt mint_options[] = {
	{ DW_OPT_HEADING, .help = "To mint a token" },
	{ DW_OPT_TEXT, 0, "key-file", "FILE", "the key that signs: KID.hs256, KID.rs256.pem, ...",
		.target = &options.key_file },
	{ DW_OPT_TEXT, 0, "sub", "USER", "the user it is for", .target = &options.user },
	{ DW_OPT_DURATION, 0, "ttl", "DUR", "the time until it expires", .initial = "1h", .target = &options.ttl_ms,
		.min = 1000, .max = TTL_MAX_MS },
	{ DW_OPT_TEXT, 0, "scope", "WORDS", "what else it allows: words of publish, stat, admin",
		.target = &options.scope },
	{ DW_OPT_LIST, 0, "diagnosis", "ID", "a diagnosis it lets watch; may be repeated", .target = &options.diagnoses },
	{ DW_OPT_TEXT, 0, "kid", "KID", "the key id it names", .initial = "from the file's name", .target = &options.kid },
	{ 0 },
};

static const struct dw_opt check_options[] = {
	{ DW_OPT_HEADING, .help = "To check a token" },
	{ DW_OPT_TEXT, 0, "keys", "DIR", "the keys to check it against", .env = "DIAGWS_KEYS", .target = &options.keys },
	{ DW_OPT_DURATION, 0, "leeway", "DUR", "how far clocks may differ, up to 30s", .env = "DIAGWS_LEEWAY",
		.initial = "0s", .target = &options.leeway_ms, .max = 30000 },
	{ DW_OPT_FLAG, 0, "json", NULL, "print the claims as a JSON object", .target = &options.json },
	{ 0 },
};

static const struct dw_opt both_options[] = {
	{ DW_OPT_HEADING, .help = "For both" },
	{ DW_OPT_TEXT, 0, "issuer", "TEXT", "iss: to write, or to demand", .env = "DIAGWS_ISSUER",
		.target = &options.issuer },
	{ DW_OPT_TEXT, 0, "audience", "TEXT", "aud: to write, or to demand", .env = "DIAGWS_AUDIENCE",
		.target = &options.audience },
	{ 0 },
};

static const struct dw_command command = {
	.name = "diagws-token",
	.summary = "make a token, or say what is wrong with one",
	.usage = "mint --key-file FILE --sub USER [--ttl DUR] [--scope WORDS] [--diagnosis ID]... [--kid KID]\n"
			 "check --keys DIR [--leeway DUR] [--json] [FILE|-]",
	.words = "mint check",
	.examples = "diagws-token mint --key-file clinic.hs256 --sub 55 --ttl 8h >token\n"
				"diagws-token check --keys /etc/diagws/keys token",
	.groups = (const struct dw_opt *const[]) { mint_options, check_options, both_options, dw_opt_common, NULL },
};

static int
check_mint_usage(int count, char **operands)
{
	if (count > 0)
		return dw_opt_misuse(&command, "mint takes no operand, and '%.40s' is one", operands[0]);
	if (options.json)
		return dw_opt_misuse(&command, "option '--json' is for check");
	if (options.key_file == NULL)
		return dw_opt_misuse(&command, "option '--key-file' is missing");
	if (options.user == NULL)
		return dw_opt_misuse(&command, "option '--sub' is missing");
	return DW_OK;
}

static int
mint(struct dw_buf *out, struct dw_fault *fault)
{
	const uint64_t now_s = dw_now_ms() / 1000;
	const struct dw_mint wish = {
		.key_file = options.key_file,
		.kid = options.kid,
		.user = options.user,
		.issued_s = now_s,
		.expires_s = now_s + ((uint64_t)options.ttl_ms + 999) / 1000,
		.scope = options.scope,
		.issuer = options.issuer,
		.audience = options.audience,
		.diagnoses = options.diagnoses.item,
		.diagnoses_count = options.diagnoses.count,
	};
	const int err = dw_auth_mint(&wish, out, fault);

	dw_buf_addc(out, '\n');
	return err;
}

static int
check_check_usage(int count, char **operands)
{
	const char *stray = options.key_file != NULL      ? "key-file"
						: options.user != NULL        ? "sub"
						: options.scope != NULL       ? "scope"
						: options.kid != NULL         ? "kid"
						: options.diagnoses.count > 0 ? "diagnosis"
													  : NULL;

	if (stray != NULL)
		return dw_opt_misuse(&command, "option '--%s' is for mint", stray);
	if (count > 1)
		return dw_opt_misuse(&command, "'%.40s' is one operand too many: check takes one file", operands[1]);
	if (options.keys == NULL)
		return dw_opt_misuse(&command, "option '--keys' is missing");
	if (count == 0 && isatty(STDIN_FILENO))
		return dw_opt_misuse(&command, "the token is to come from standard input, which is a terminal");
	return DW_OK;
}

/* The words of `scope` that are known, separated by spaces. */
static void
add_scope(struct dw_buf *out, unsigned scope)
{
	const char *before = "";

	for (size_t i = 0; i < DW_SCOPES; i++) {
		if ((scope & dw_scope_words[i].bit) == 0)
			continue;
		dw_buf_addf(out, "%s%s", before, dw_scope_words[i].word);
		before = " ";
	}
}

static void
add_lines(struct dw_buf *out, const struct dw_claims *claims, const char *date)
{
	const struct dw_buf *ids = &claims->diagnoses;

	dw_buf_addf(
		out, "sub\t%s\ndevice\t%s\nexp\t%llu\n", claims->user, claims->device, (unsigned long long)claims->expires);
	if (date[0] != '\0')
		dw_buf_addf(out, "expires\t%s\n", date);
	if (claims->scope != 0) {
		dw_buf_adds(out, "scope\t");
		add_scope(out, claims->scope);
		dw_buf_addc(out, '\n');
	}
	for (size_t at = 0; at < ids->len; at += strlen(ids->data + at) + 1)
		dw_buf_addf(out, "diagnosis\t%s\n", ids->data + at);
}

static void
add_json(struct dw_buf *out, const struct dw_claims *claims, const char *date)
{
	const struct dw_buf *ids = &claims->diagnoses;

	dw_buf_adds(out, "{\"sub\":");
	dw_buf_add_json_string(out, dw_str(claims->user));
	dw_buf_addf(out, ",\"device\":\"%s\",\"exp\":%llu", claims->device, (unsigned long long)claims->expires);
	if (date[0] != '\0')
		dw_buf_addf(out, ",\"expires\":\"%s\"", date);
	dw_buf_adds(out, ",\"scope\":\"");
	add_scope(out, claims->scope);
	dw_buf_adds(out, "\",\"diagnoses\":[");
	for (size_t at = 0; at < ids->len; at += strlen(ids->data + at) + 1) {
		if (at > 0)
			dw_buf_addc(out, ',');
		dw_id_to_json(out, dw_str(ids->data + at));
	}
	dw_buf_adds(out, "]}\n");
}

static int
judge(const char *path, struct dw_claims *claims, struct dw_fault *fault)
{
	const struct dw_auth_config config = {
		.keys = options.keys,
		.issuer = options.issuer,
		.audience = options.audience,
		.leeway_s = (uint64_t)options.leeway_ms / 1000,
	};
	struct dw_auth *auth = NULL;
	char *text = NULL;
	size_t n = 0;
	int err = dw_auth_new(&auth, &config, fault);

	if (err == DW_OK)
		err = dw_read_file(path, INPUT_MAX, &text, &n, fault);
	if (err == DW_OK) {
		while (n > 0 && strchr(" \t\r\n", text[n - 1]) != NULL && text[n - 1] != '\0')
			n--;
		err = dw_auth_check(auth, (struct dw_str) { text, n }, dw_now_ms() / 1000, claims, fault);
		explicit_bzero(text, n);
	}
	free(text);
	dw_auth_destroy(&auth);
	return err;
}

static int
check(const char *path, struct dw_buf *out, struct dw_fault *fault)
{
	struct dw_claims claims = { 0 };
	char date[DW_TIME_SIZE] = "";
	int err;

	err = judge(path, &claims, fault);
	if (err == DW_OK && claims.expires < YEAR_10000)
		dw_time_text(claims.expires * 1000, date);
	if (err == DW_OK)
		(options.json ? add_json : add_lines)(out, &claims, date);
	dw_claims_clear(&claims);
	return err;
}

static int
print(const struct dw_buf *text, struct dw_fault *fault)
{
	if (!dw_buf_ok(text))
		return DW_E_NOMEM;
	if (fwrite(text->data, 1, text->len, stdout) == text->len && fflush(stdout) == 0)
		return DW_OK;
	return dw_fault_set(fault, DW_E_IO, NULL, NULL, "cannot write to standard output");
}

static int
run(int count, char **operands)
{
	const bool mints = count > 0 && strcmp(operands[0], "mint") == 0;
	struct dw_buf out = { 0 };
	struct dw_fault fault = { 0 };
	int err;

	if (count == 0)
		return dw_opt_misuse(&command, "a verb is missing: mint or check");
	if (!mints && strcmp(operands[0], "check") != 0)
		return dw_opt_misuse(&command, "unknown verb '%.40s'", operands[0]);
	err = mints ? check_mint_usage(count - 1, operands + 1) : check_check_usage(count - 1, operands + 1);
	if (err != DW_OK)
		return err;
	err = mints ? mint(&out, &fault) : check(count > 1 ? operands[1] : "-", &out, &fault);
	if (err == DW_OK && (mints || !dw_common.quiet))
		err = print(&out, &fault);
	if (err != DW_OK)
		dw_fault_print(stderr, command.name, err, &fault, NULL);
	dw_buf_clear(&out);
	return err;
}

int
main(int argc, char **argv)
{
	int first = argc;
	const int err = dw_opt_parse(&command, argc, argv, &first);

	if (err == DW_OPT_DONE)
		return 0;
	return dw_err_exit(err != DW_OK ? err : run(argc - first, argv + first));
}
