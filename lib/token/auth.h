/* Tokens: JWT (RFC 7519) checked against a directory of keys, each pinned to one algorithm.
 *
 * Key files: KID.hs256 (and hs384, hs512): the secret, at least 32 bytes, one trailing newline is not
 * part of it; KID.rs256.pem (rs384, rs512), KID.es256.pem (es384, es512): a public key. `none`, and an
 * algorithm other than the key's, are refused. A token without `kid` may use the only key. Verified
 * tokens are remembered by hash, in a bounded cache.
 */
#ifndef DIAGWS_AUTH_H
#define DIAGWS_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "message/msg.h"

enum { DW_TOKEN_MAX = 4096, DW_DIAGNOSES_MAX = 1024 };

enum dw_scope { DW_SCOPE_PUBLISH = 1, DW_SCOPE_STAT = 2, DW_SCOPE_ADMIN = 4 };

struct dw_claims {
	char user[DW_USER_MAX + 1];     /* sub */
	char device[DW_DEVICE_MAX + 1]; /* sid, else jti where it fits the grammar of a device, else the first 32
									   hexadecimal digits of the token's SHA-256 */
	uint64_t expires;               /* exp, s since 1970 */
	unsigned scope;                 /* enum dw_scope */
	struct dw_buf diagnoses;        /* the claim's ids, each followed by a NUL; empty: no claim */
};
void dw_claims_clear(struct dw_claims *claims);                          /* to all zero, as it begins */
bool dw_claims_name(const struct dw_claims *claims, struct dw_str room); /* does `diagnoses` name the room? */

/* The texts are borrowed for as long as the dw_auth lives. */
struct dw_auth_config {
	const char *keys;     /* directory */
	const char *issuer;   /* demanded when not NULL */
	const char *audience; /* demanded when not NULL */
	uint64_t leeway_s;    /* ≤ 30 */
};

struct dw_auth;

/* Reads the keys. DW_E_CONFIG names the file and what is wrong with it (too short a secret, a private key, an
 * unknown ending, no key at all); DW_E_NOINPUT. */
int dw_auth_new(struct dw_auth **out, const struct dw_auth_config *config, struct dw_fault *fault);
void dw_auth_destroy(struct dw_auth **auth_p);
/* Reads the keys again and empties the cache; on failure the old ones stay in use. */
int dw_auth_reload(struct dw_auth *auth, struct dw_fault *fault);
/* Checks a token at `now_s`. DW_E_TOKEN_MISSING (empty), DW_E_TOKEN, DW_E_TOKEN_EXPIRED; DW_E_NOMEM. fault says exactly
 * what is wrong ("expired 4 min ago", "aud is 'x', want 'y'"): for diagws-token check and the debug log, never for a
 * stranger. *claims is the caller's, all zero or with what is to be replaced. */
int dw_auth_check(
	struct dw_auth *auth, struct dw_str token, uint64_t now_s, struct dw_claims *claims, struct dw_fault *fault);

/* The same in three steps, for a loop that is not to wait for a public key's signature. dw_auth_begin judges at once
 * what is known already and what a secret signed. Else it is DW_E_AGAIN: *later goes to dw_auth_verify, on any thread,
 * and then to dw_auth_end, on the first one, which says what dw_auth_check would have said (without dw_auth_verify:
 * that the signature is wrong). A token is judged by the keys that were there when it came. All must have ended before
 * dw_auth_destroy. */
struct dw_check;
int dw_auth_begin(struct dw_auth *auth, struct dw_str token, uint64_t now_s, struct dw_claims *claims,
	struct dw_check **later, struct dw_fault *fault);
void dw_auth_verify(struct dw_check *check);
int dw_auth_end(
	struct dw_auth *auth, struct dw_check **check_p, uint64_t now_s, struct dw_claims *claims, struct dw_fault *fault);

struct dw_mint {
	const char *key_file; /* KID.hs256, or a private key in PEM named KID.rs256.pem / KID.es256.pem … */
	const char *kid;      /* NULL: from the file's name */
	const char *user;
	uint64_t issued_s, expires_s;
	const char *scope;             /* may be NULL */
	const char *issuer, *audience; /* may be NULL */
	const char *const *diagnoses;
	size_t diagnoses_count;
};
/* Makes a token, without a newline. DW_E_NOINPUT, DW_E_CONFIG (key), DW_E_FIELD. */
int dw_auth_mint(const struct dw_mint *mint, struct dw_buf *out, struct dw_fault *fault);

#endif
