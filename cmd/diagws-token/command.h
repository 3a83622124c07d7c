/* What the verbs of diagws-token share: the options, and how a verb ends. */
#ifndef DIAGWS_TOKEN_COMMAND_H
#define DIAGWS_TOKEN_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "cli/opt.h"

struct options {
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
};

extern const struct dw_command token_command;
extern struct options token_options;

/* A verb gets its operands and returns the exit status. */
int token_mint(const struct options *options, int count, char **operands);
int token_check(const struct options *options, int count, char **operands);

/* Tells a failure on stderr; returns its exit status. */
int token_fail(int err, const struct dw_fault *fault);
/* Writes text to standard output to the end; returns the exit status. */
int token_print(const struct dw_buf *text);

#endif
