/* What a token says, apart from whether it may be believed: its form, its claims and its times.
 *
 *   header.payload.signature, each base64url without padding (RFC 7515, compact serialization)
 *
 * Nothing here checks a signature: that is dw_auth_check, in auth.h, which uses these in order.
 */
#ifndef DIAGWS_TOKEN_H
#define DIAGWS_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "token/auth.h"
#include "token/keys.h"

/* Slices of its text. */
struct dw_token {
	char algorithm[16];
	char kid[DW_KID_MAX + 1];  /* "": none */
	struct dw_str signed_part; /* as it came */
	struct dw_str payload;     /* likewise */
	struct dw_str signature;   /* decoded */
};

/* Takes the token apart, strictly: three parts, no padding, no stray bits, a header without duplicate members. The text
 * is at most DW_TOKEN_MAX long, and its last part is decoded in place. DW_E_TOKEN: malformed, unsigned, `alg` none, a
 * kid outside the grammar, `crit`; DW_E_NOMEM. */
int dw_token_read(struct dw_token *token, char *text, size_t n, struct dw_fault *fault);

/* Reads the claims of a verified token, of whose text nothing is left then but the payload, decoded. `device` stays ""
 * when neither sid nor jti serves. *claims (all zero before) and *not_before (0: no nbf) are half filled on
 * failure. DW_E_TOKEN, DW_E_NOMEM. */
int dw_claims_read(struct dw_claims *claims, uint64_t *not_before, const struct dw_token *token, char *text,
	const char *issuer, const char *audience, struct dw_fault *fault);

/* DW_E_TOKEN_EXPIRED from expires + leeway on, DW_E_TOKEN before not_before - leeway. */
int dw_claims_check_times(
	const struct dw_claims *claims, uint64_t not_before, uint64_t now_s, uint64_t leeway_s, struct dw_fault *fault);

enum { DW_SCOPES = 3 };
extern const struct dw_scope_word {
	unsigned bit;
	const char *word;
} dw_scope_words[DW_SCOPES];
/* The bits of the words of `scope`, and one of them that has none (n 0: all have). */
unsigned dw_scope_bits(const char *words, struct dw_str *unknown);

#endif
