/* diagws-token mint: prints one token and a newline.
 *
 * Its own file because it needs a key that signs, which `check` must never be given. Nothing is
 * printed unless the whole token could be made.
 */
#include "command.h"

#include "base/clock.h"
#include "token/auth.h"

static int
check_usage(const struct options *options, int count, char **operands)
{
	if (count > 0)
		return dw_opt_misuse(&token_command, "mint takes no operand, and '%.40s' is one", operands[0]);
	if (options->json)
		return dw_opt_misuse(&token_command, "option '--json' is for check");
	if (options->key_file == NULL)
		return dw_opt_misuse(&token_command, "option '--key-file' is missing");
	if (options->user == NULL)
		return dw_opt_misuse(&token_command, "option '--sub' is missing");
	return DW_OK;
}

int
token_mint(const struct options *options, int count, char **operands)
{
	uint64_t now_s = dw_now_ms() / 1000;
	struct dw_mint mint = {
		.key_file = options->key_file,
		.kid = options->kid,
		.user = options->user,
		.issued_s = now_s,
		.expires_s = now_s + ((uint64_t)options->ttl_ms + 999) / 1000,
		.scope = options->scope,
		.issuer = options->issuer,
		.audience = options->audience,
		.diagnoses = options->diagnoses.item,
		.diagnoses_count = options->diagnoses.count,
	};
	struct dw_buf token = { 0 };
	struct dw_fault fault = { 0 };
	int err = check_usage(options, count, operands);
	int status;

	if (err != DW_OK)
		return dw_err_exit(err);
	err = dw_auth_mint(&mint, &token, &fault);
	dw_buf_addc(&token, '\n');
	status = err == DW_OK ? token_print(&token) : token_fail(err, &fault);
	dw_buf_clear(&token);
	return status;
}
