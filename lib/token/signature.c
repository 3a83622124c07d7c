/* Signatures (RFC 7518 sections 3.2 to 3.4): HS256, RS256, ES256 and their longer kin.
 *
 * libjwt reads the key's PEM anew at each check, which takes ten times as long as the check itself (0.25 ms, against
 * 0.02 for RS256 and 0.05 for ES256): here a key is read once, and only read from then on, so that any thread may check
 * with it. The algorithm is the key's, whatever a token says.
 */
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "token/keys.h"

/* What OpenSSL has noted is looked at and thrown away, so that the next call finds none of it. */
static int
failure(int err)
{
	if (ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE)
		err = DW_E_NOMEM;
	ERR_clear_error();
	return err;
}

static bool
fits(const EVP_PKEY *key, const struct dw_algorithm *algorithm)
{
	char curve[32];

	if (EVP_PKEY_is_a(key, algorithm->type) != 1)
		return false;
	if (algorithm->curve == NULL)
		return EVP_PKEY_get_bits(key) >= 8 * (int)algorithm->size;
	return EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL) == 1 && strcmp(curve, algorithm->curve) == 0;
}

int
dw_key_open(struct dw_key *key)
{
	static char passphrase[] = ""; /* a public key has none, and nobody is to be asked for it */
	BIO *bio = BIO_new_mem_buf(key->bytes, (int)key->size);

	key->hash = EVP_MD_fetch(NULL, key->algorithm->hash, NULL);
	if (bio != NULL && key->algorithm->type != NULL)
		key->public_half = PEM_read_bio_PUBKEY(bio, NULL, NULL, passphrase);
	BIO_free(bio);
	if (bio == NULL || key->hash == NULL)
		return failure(DW_E_NOMEM);
	if (key->algorithm->type != NULL && (key->public_half == NULL || !fits(key->public_half, key->algorithm)))
		return failure(DW_E_CONFIG);
	return DW_OK;
}

void
dw_key_clear(struct dw_key *key)
{
	if (key->bytes != NULL)
		explicit_bzero(key->bytes, key->size);
	free(key->bytes);
	EVP_PKEY_free(key->public_half);
	EVP_MD_free(key->hash);
	*key = (struct dw_key) { 0 };
}

static int
check_secret(const struct dw_key *key, struct dw_str text, struct dw_str signature)
{
	unsigned char mac[EVP_MAX_MD_SIZE];

	if (HMAC(key->hash, key->bytes, (int)key->size, (const unsigned char *)text.p, text.n, mac, NULL) == NULL)
		return failure(DW_E_NOMEM);
	return CRYPTO_memcmp(mac, signature.p, signature.n) == 0 ? DW_OK : DW_E_TOKEN;
}

static int
check_bytes(const struct dw_key *key, struct dw_str text, const unsigned char *signature, size_t n)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int err = DW_E_NOMEM;

	if (context != NULL && EVP_DigestVerifyInit(context, NULL, key->hash, NULL, key->public_half) == 1)
		err = EVP_DigestVerify(context, signature, n, (const unsigned char *)text.p, text.n) == 1 ? DW_OK : DW_E_TOKEN;
	EVP_MD_CTX_free(context);
	return err == DW_OK ? DW_OK : failure(err);
}

/* Two numbers of the same size, one behind the other, become what OpenSSL wants: the same in DER. */
static int
check_pair(const struct dw_key *key, struct dw_str text, const unsigned char *pair)
{
	const int half = (int)key->algorithm->size / 2;
	ECDSA_SIG *both = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(pair, half, NULL), *s = BN_bin2bn(pair + half, half, NULL);
	unsigned char *der = NULL;
	int n = 0, err;

	if (both != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(both, r, s) == 1) {
		r = s = NULL;
		n = i2d_ECDSA_SIG(both, &der);
	}
	err = n > 0 ? check_bytes(key, text, der, (size_t)n) : failure(DW_E_NOMEM);
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(both);
	OPENSSL_free(der);
	return err;
}

int
dw_key_check(const struct dw_key *key, struct dw_str text, struct dw_str signature)
{
	const struct dw_algorithm *algorithm = key->algorithm;
	const unsigned char *bytes = (const unsigned char *)signature.p;

	if (algorithm->type != NULL && algorithm->curve == NULL)
		return check_bytes(key, text, bytes, signature.n);
	if (signature.n != algorithm->size)
		return DW_E_TOKEN;
	return algorithm->type == NULL ? check_secret(key, text, signature) : check_pair(key, text, bytes);
}
