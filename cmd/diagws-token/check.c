/* diagws-token check: prints the claims of a token that an edge would accept, or what is wrong with it.
 *
 * Its own file because it is the one place where the exact fault of a token is shown: to the
 * administrator who holds the keys. The same code judges as in the edge, with the same settings.
 */
#include "command.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/paths.h"
#include "message/msg.h"
#include "token/auth.h"
#include "token/token.h"

enum { INPUT_MAX = 64 * 1024 };

static const uint64_t YEAR_10000 = UINT64_C(253402300800); /* RFC 3339 has no date from there on */

/* The words of `scope` that are known, separated by spaces. */
static void
add_scope(struct dw_buf *out, unsigned scope)
{
	for (unsigned bit = 1; dw_scope_word(bit) != NULL; bit <<= 1) {
		if ((scope & bit) == 0)
			continue;
		if ((scope & (bit - 1)) != 0)
			dw_buf_addc(out, ' ');
		dw_buf_adds(out, dw_scope_word(bit));
	}
}

static const char *
next_diagnosis(const struct dw_claims *claims, const char *at)
{
	at = at == NULL ? claims->diagnoses.data : at + strlen(at) + 1;
	return at != NULL && at < claims->diagnoses.data + claims->diagnoses.len ? at : NULL;
}

static void
add_lines(struct dw_buf *out, const struct dw_claims *claims)
{
	char date[DW_TIME_SIZE];
	const char *id = NULL;

	dw_buf_addf(
		out, "sub\t%s\ndevice\t%s\nexp\t%llu\n", claims->user, claims->device, (unsigned long long)claims->expires);
	if (claims->expires < YEAR_10000) {
		dw_time_text(claims->expires * 1000, date);
		dw_buf_addf(out, "expires\t%s\n", date);
	}
	if (claims->scope != 0) {
		dw_buf_adds(out, "scope\t");
		add_scope(out, claims->scope);
		dw_buf_addc(out, '\n');
	}
	while ((id = next_diagnosis(claims, id)) != NULL)
		dw_buf_addf(out, "diagnosis\t%s\n", id);
}

static void
add_json(struct dw_buf *out, const struct dw_claims *claims)
{
	char date[DW_TIME_SIZE];
	const char *id = NULL;

	dw_buf_adds(out, "{\"sub\":");
	dw_buf_add_json_string(out, dw_str(claims->user));
	dw_buf_addf(out, ",\"device\":\"%s\",\"exp\":%llu", claims->device, (unsigned long long)claims->expires);
	if (claims->expires < YEAR_10000) {
		dw_time_text(claims->expires * 1000, date);
		dw_buf_addf(out, ",\"expires\":\"%s\"", date);
	}
	dw_buf_adds(out, ",\"scope\":\"");
	add_scope(out, claims->scope);
	dw_buf_adds(out, "\",\"diagnoses\":[");
	while ((id = next_diagnosis(claims, id)) != NULL) {
		if (id != claims->diagnoses.data)
			dw_buf_addc(out, ',');
		dw_id_to_json(out, dw_str(id));
	}
	dw_buf_adds(out, "]}\n");
}

static int
check_usage(const struct options *options, int count, char **operands)
{
	const char *stray = options->key_file != NULL      ? "key-file"
						: options->user != NULL        ? "sub"
						: options->scope != NULL       ? "scope"
						: options->kid != NULL         ? "kid"
						: options->diagnoses.count > 0 ? "diagnosis"
													   : NULL;

	if (stray != NULL)
		return dw_opt_misuse(&token_command, "option '--%s' is for mint", stray);
	if (count > 1)
		return dw_opt_misuse(&token_command, "'%.40s' is one operand too many: check takes one file", operands[1]);
	if (options->keys == NULL)
		return dw_opt_misuse(&token_command, "option '--keys' is missing");
	if (count == 0 && isatty(STDIN_FILENO))
		return dw_opt_misuse(&token_command, "the token is to come from standard input, which is a terminal");
	return DW_OK;
}

static int
judge(const struct options *options, const char *path, struct dw_claims *claims, struct dw_fault *fault)
{
	struct dw_auth_config config = {
		.keys = options->keys,
		.issuer = options->issuer,
		.audience = options->audience,
		.leeway_s = (uint64_t)options->leeway_ms / 1000,
	};
	struct dw_auth *auth = NULL;
	char *text = NULL;
	size_t n = 0;
	int err = dw_auth_new(&auth, &config, fault);

	if (err != DW_OK)
		return err;
	err = dw_read_file(path, INPUT_MAX, &text, &n, fault);
	if (err != DW_OK)
		goto out;
	while (n > 0 && strchr(" \t\r\n", text[n - 1]) != NULL && text[n - 1] != '\0')
		n--;
	err = dw_auth_check(auth, (struct dw_str) { text, n }, dw_now_ms() / 1000, claims, fault);
	explicit_bzero(text, n);
out:
	free(text);
	dw_auth_destroy(&auth);
	return err;
}

int
token_check(const struct options *options, int count, char **operands)
{
	struct dw_claims claims;
	struct dw_buf out = { 0 };
	struct dw_fault fault = { 0 };
	int err = check_usage(options, count, operands);
	int status;

	if (err != DW_OK)
		return dw_err_exit(err);
	dw_claims_init(&claims);
	err = judge(options, count > 0 ? operands[0] : "-", &claims, &fault);
	if (err != DW_OK) {
		status = token_fail(err, &fault);
	} else if (dw_common.quiet) {
		status = 0;
	} else {
		(options->json ? add_json : add_lines)(&out, &claims);
		status = token_print(&out);
	}
	dw_buf_clear(&out);
	dw_claims_clear(&claims);
	return status;
}
