/* Keys: each file of a directory is one, and its name says whose and for what.
 *
 * KID.hs256 (hs384, hs512) holds a secret; KID.rs256.pem (rs384, rs512) and KID.es256.pem (es384, es512) a public key,
 * or a private one where tokens are made. The name fixes the algorithm: nothing a token says can change it. Files whose
 * name begins with a dot are passed over. A key never changes once it was read: any number of threads may check with
 * it.
 */
#ifndef DIAGWS_KEYS_H
#define DIAGWS_KEYS_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

enum { DW_KID_MAX = 64, DW_SECRET_MIN = 32, DW_KEY_FILE_MAX = 64 * 1024, DW_KEYS_MAX = 256 };

struct dw_algorithm {
	const char *name;   /* "HS256", as a token's header spells it */
	const char *ending; /* of the file's name */
	const char *hash;   /* as OpenSSL calls it, */
	const char *type;   /* and the kind of key; NULL: a secret */
	const char *curve;  /* of EC; else NULL */
	size_t size;        /* of a signature in bytes; of RSA at least */
};

struct dw_key {
	char kid[DW_KID_MAX + 1]; /* [A-Za-z0-9_.-]{1,64}, as a device */
	const struct dw_algorithm *algorithm;
	char *bytes; /* the secret, or PEM */
	size_t size; /* never 0 */
	EVP_MD *hash;
	EVP_PKEY *public_half; /* NULL: a secret, or a key to sign with */
};

struct dw_keys {
	unsigned uses; /* 1 when it was read; counted on one thread only */
	size_t count;
	struct dw_key key[];
};

/* Reads one file: `to_sign` wants a private key where the other keys are public, and leaves it to the signature to show
 * what kind of key it is. *key is the caller's: dw_key_clear. DW_E_NOINPUT; DW_E_CONFIG: the name's form, a secret that
 * others can read or that is too short, a file that others can write, PEM of another kind or size than the name says, a
 * private key where a public one belongs; DW_E_NOMEM. */
int dw_key_read(struct dw_key *key, const char *path, bool to_sign, struct dw_fault *fault);

/* Reads the public keys and secrets of a directory, at least one, no two with the same kid. Fails like dw_key_read. */
int dw_keys_read(struct dw_keys **out, const char *directory, struct dw_fault *fault);
void dw_keys_release(struct dw_keys **keys_p); /* one use less: without any they are freed */
const struct dw_key *dw_keys_find(const struct dw_keys *keys, const char *kid); /* NULL: none of that name */

/* Makes a secret or public key that was read ready for checks. DW_E_CONFIG: it does not fit its algorithm; DW_E_NOMEM.
 */
int dw_key_open(struct dw_key *key);
void dw_key_clear(struct dw_key *key); /* overwrites and frees */
/* Whether the signature (decoded, as RFC 7518 has it) is this key's under the text. DW_OK, DW_E_TOKEN, DW_E_NOMEM. */
int dw_key_check(const struct dw_key *key, struct dw_str text, struct dw_str signature);

#endif
