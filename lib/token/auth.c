/* Tokens judged and made: trust is decided here and nowhere else.
 *
 * A check: size → cache by hash → form (token.c) → key by exact kid (keys.c) → the algorithm is the key's → signature
 * (signature.c) → claims and times (token.c) → cache. libjwt only signs: it accepts any token with an empty key, and
 * prints claims anew, which loses what members came twice and how numbers were written.
 *
 * A stranger's token can only fail with DW_E_TOKEN*; anything else is a lack of memory. Keys are replaced all at once,
 * and only by keys that were read without a fault; a check that began with the old ones ends with them. Between
 * dw_auth_begin and dw_auth_end a check reads what does not change, and writes only itself.
 */
#include "token/auth.h"

#include <assert.h>
#include <jwt.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "message/msg.h"
#include "token/cache.h"
#include "token/keys.h"
#include "token/token.h"

enum { LEEWAY_MAX_S = 30, CACHE_ENTRIES = 65536, CACHE_BYTES = 32 * 1024 * 1024 };

struct dw_auth {
	struct dw_auth_config config;
	struct dw_keys *keys;
	struct dw_token_cache cache;
};

/* A token that is being judged: all that this takes, so that any thread may do it. */
struct dw_check {
	const struct dw_auth_config *config;
	struct dw_keys *keys;
	const struct dw_key *key; /* the one of them that may have signed it */
	struct dw_token token;
	uint8_t hash[DW_TOKEN_HASH];
	int err;
	struct dw_fault fault;
	struct dw_claims claims;
	uint64_t not_before;
	size_t size;
	char text[];
};

int
dw_auth_new(struct dw_auth **out, const struct dw_auth_config *config, struct dw_fault *fault)
{
	struct dw_auth *auth = calloc(1, sizeof(*auth));
	int err = auth != NULL ? dw_keys_read(&auth->keys, config->keys, fault) : DW_E_NOMEM;

	if (err != DW_OK) {
		free(auth);
		return err;
	}
	assert(config->leeway_s <= LEEWAY_MAX_S);
	auth->config = *config;
	auth->cache = (struct dw_token_cache) { .max_entries = CACHE_ENTRIES, .max_bytes = CACHE_BYTES };
	*out = auth;
	return DW_OK;
}

void
dw_auth_destroy(struct dw_auth **auth_p)
{
	struct dw_auth *auth = *auth_p;

	if (auth == NULL)
		return;
	dw_token_cache_clear(&auth->cache);
	dw_keys_release(&auth->keys);
	free(auth);
	*auth_p = NULL;
}

int
dw_auth_reload(struct dw_auth *auth, struct dw_fault *fault)
{
	struct dw_keys *keys = NULL;
	int err = dw_keys_read(&keys, auth->config.keys, fault);

	if (err != DW_OK)
		return err;
	dw_keys_release(&auth->keys);
	auth->keys = keys;
	dw_token_cache_clear(&auth->cache);
	return DW_OK;
}

/* The one key that may have made this token. */
static int
choose_key(const struct dw_keys *keys, const struct dw_token *token, const struct dw_key **out, struct dw_fault *fault)
{
	const struct dw_key *key = token->kid[0] != '\0' ? dw_keys_find(keys, token->kid) : &keys->key[0];
	char quoted[DW_QUOTE_SIZE];

	if (token->kid[0] == '\0' && keys->count != 1)
		return dw_fault_set(
			fault, DW_E_TOKEN, "kid", "a kid, for there are several keys", "the header's kid is missing");
	if (key == NULL)
		return dw_fault_set(fault, DW_E_TOKEN, "kid", NULL, "no key is named '%s'", token->kid);
	if (strcmp(token->algorithm, key->algorithm->name) != 0)
		return dw_fault_set(fault, DW_E_TOKEN, "alg", NULL, "alg is '%s', want '%s' for key '%s'",
			dw_quote(dw_str(token->algorithm), quoted), key->algorithm->name, key->kid);
	*out = key;
	return DW_OK;
}

void
dw_auth_verify(struct dw_check *check)
{
	char *device = check->claims.device;

	check->err = dw_key_check(check->key, check->token.signed_part, check->token.signature);
	if (check->err == DW_E_TOKEN)
		(void)dw_fault_set(
			&check->fault, check->err, NULL, NULL, "the signature is not one of key '%s'", check->key->kid);
	if (check->err == DW_OK)
		check->err = dw_claims_read(&check->claims, &check->not_before, &check->token, check->text,
			check->config->issuer, check->config->audience, &check->fault);
	if (check->err == DW_OK && device[0] == '\0') {
		for (size_t i = 0; i < DW_TOKEN_HASH / 2; i++)
			(void)snprintf(device + 2 * i, 3, "%02x", check->hash[i]);
	}
}

/* A token that the cache does not know, up to its signature. */
static struct dw_check *
new_check(const struct dw_auth *auth, struct dw_str text, const uint8_t hash[DW_TOKEN_HASH])
{
	struct dw_check *check = calloc(1, sizeof(*check) + text.n);

	if (check == NULL)
		return NULL;
	memcpy(check->text, text.p, text.n);
	memcpy(check->hash, hash, DW_TOKEN_HASH);
	check->size = text.n;
	check->config = &auth->config;
	check->keys = auth->keys;
	check->keys->uses++;
	check->err = dw_token_read(&check->token, check->text, text.n, &check->fault);
	if (check->err == DW_OK)
		check->err = choose_key(check->keys, &check->token, &check->key, &check->fault);
	return check;
}

int
dw_auth_begin(struct dw_auth *auth, struct dw_str token, uint64_t now_s, struct dw_claims *claims,
	struct dw_check **later, struct dw_fault *fault)
{
	struct dw_claims known = { 0 };
	struct dw_check *check;
	uint8_t hash[DW_TOKEN_HASH];
	uint64_t not_before = 0;
	int err;

	if (token.n == 0)
		return dw_fault_set(fault, DW_E_TOKEN_MISSING, NULL, "a token", "there is no token");
	if (token.n > DW_TOKEN_MAX)
		return dw_fault_set(fault, DW_E_TOKEN, NULL, "at most 4096 bytes", "the token is too long, %zu bytes", token.n);
	dw_sha256(&token, 1, hash);
	if (dw_token_cache_find(&auth->cache, hash, &known, &not_before)) {
		err = dw_claims_check_times(&known, not_before, now_s, auth->config.leeway_s, fault);
		dw_claims_clear(err == DW_OK ? claims : &known);
		if (err == DW_OK)
			*claims = known;
		return err;
	}
	check = new_check(auth, token, hash);
	if (check == NULL)
		return DW_E_NOMEM;
	if (check->err == DW_OK && check->key->public_half != NULL) {
		check->err = DW_E_TOKEN; /* until it is verified */
		*later = check;
		return DW_E_AGAIN;
	}
	if (check->err == DW_OK)
		dw_auth_verify(check);
	return dw_auth_end(auth, &check, now_s, claims, fault);
}

int
dw_auth_end(
	struct dw_auth *auth, struct dw_check **check_p, uint64_t now_s, struct dw_claims *claims, struct dw_fault *fault)
{
	struct dw_check *check = *check_p;
	int err = check->err;

	if (err == DW_OK)
		err = dw_claims_check_times(&check->claims, check->not_before, now_s, auth->config.leeway_s, &check->fault);
	if (err == DW_OK) {
		if (check->keys == auth->keys) /* what old ones verified is good for this once */
			dw_token_cache_add(&auth->cache, check->hash, &check->claims, check->not_before);
		dw_claims_clear(claims);
		*claims = check->claims;
	} else {
		dw_claims_clear(&check->claims);
		if (fault != NULL)
			*fault = check->fault;
	}
	dw_keys_release(&check->keys);
	explicit_bzero(check->text, check->size);
	free(check);
	*check_p = NULL;
	return err;
}

int
dw_auth_check(
	struct dw_auth *auth, struct dw_str token, uint64_t now_s, struct dw_claims *claims, struct dw_fault *fault)
{
	struct dw_check *later = NULL;
	int err = dw_auth_begin(auth, token, now_s, claims, &later, fault);

	if (later == NULL)
		return err;
	dw_auth_verify(later);
	return dw_auth_end(auth, &later, now_s, claims, fault);
}

static int
check_wishes(const struct dw_mint *mint, struct dw_fault *fault)
{
	char quoted[DW_QUOTE_SIZE];
	struct dw_str unknown;

	if (mint->user == NULL || !dw_user_ok(dw_str(mint->user)))
		return dw_fault_set(fault, DW_E_FIELD, "sub", "1 to 128 bytes of UTF-8 without control characters",
			"sub: '%s' is not a user id", dw_quote(dw_str(mint->user), quoted));
	if (mint->kid != NULL && !dw_device_ok(dw_str(mint->kid)))
		return dw_fault_set(fault, DW_E_FIELD, "kid", "[A-Za-z0-9_.-]{1,64}", "kid: '%s' is not a key id",
			dw_quote(dw_str(mint->kid), quoted));
	if (mint->diagnoses_count > DW_DIAGNOSES_MAX)
		return dw_fault_set(fault, DW_E_FIELD, "diagnosis", "at most 1024", "too many diagnoses");
	for (size_t i = 0; i < mint->diagnoses_count; i++) {
		if (!dw_room_ok(dw_str(mint->diagnoses[i])))
			return dw_fault_set(fault, DW_E_FIELD, "diagnosis", "[A-Za-z0-9_-]{1,64}",
				"diagnosis: '%s' is not a diagnosis id", dw_quote(dw_str(mint->diagnoses[i]), quoted));
	}
	(void)dw_scope_bits(mint->scope != NULL ? mint->scope : "", &unknown);
	if (unknown.n > 0)
		return dw_fault_set(fault, DW_E_FIELD, "scope", "words of publish, stat, admin", "scope: '%s' is unknown",
			dw_quote(unknown, quoted));
	return DW_OK;
}

static void
add_text(struct dw_buf *b, const char *name, const char *text)
{
	if (text == NULL)
		return;
	dw_buf_addf(b, ",\"%s\":", name);
	dw_buf_add_json_string(b, dw_str(text));
}

static void
write_claims(struct dw_buf *b, const struct dw_mint *mint)
{
	dw_buf_addf(
		b, "{\"iat\":%llu,\"exp\":%llu", (unsigned long long)mint->issued_s, (unsigned long long)mint->expires_s);
	add_text(b, "sub", mint->user);
	add_text(b, "scope", mint->scope);
	add_text(b, "iss", mint->issuer);
	add_text(b, "aud", mint->audience);
	for (size_t i = 0; i < mint->diagnoses_count; i++) {
		dw_buf_adds(b, i == 0 ? ",\"diagnoses\":[" : ",");
		dw_id_to_json(b, dw_str(mint->diagnoses[i]));
	}
	dw_buf_adds(b, mint->diagnoses_count > 0 ? "]}" : "}");
}

/* *text is malloc'ed. */
static int
sign(const struct dw_key *key, const char *kid, const char *claims, char **text, struct dw_fault *fault)
{
	jwt_t *jwt = NULL;
	size_t size;
	int err = DW_OK;

	if (jwt_new(&jwt) != 0 || jwt_add_header(jwt, "kid", kid) != 0 ||
		jwt_set_alg(jwt, jwt_str_alg(key->algorithm->name), (const unsigned char *)key->bytes, (int)key->size) != 0)
		err = DW_E_NOMEM;
	else if (jwt_add_grants_json(jwt, claims) != 0)
		err = dw_fault_set(fault, DW_E_FIELD, NULL, "valid UTF-8", "issuer or audience is not valid UTF-8");
	else if ((*text = jwt_encode_str(jwt)) == NULL)
		err = dw_fault_set(fault, DW_E_CONFIG, NULL, "a key for the algorithm in the file's name",
			"the key cannot sign with %s", key->algorithm->name);
	jwt_free(jwt);
	if (*text == NULL)
		return err;
	/* libjwt signs ES256 with any curve and RS256 with any size; the signature's length tells. */
	size = strlen(strrchr(*text, '.') + 1) * 3 / 4;
	if (size < key->algorithm->size || (key->algorithm->curve != NULL && size > key->algorithm->size))
		err = dw_fault_set(fault, DW_E_CONFIG, NULL, "RSA of at least 2048 bits; P-256, P-384, P-521",
			"the key has not the size or curve of %s", key->algorithm->name);
	return err;
}

int
dw_auth_mint(const struct dw_mint *mint, struct dw_buf *out, struct dw_fault *fault)
{
	struct dw_key key = { 0 };
	struct dw_buf claims = { 0 };
	char *text = NULL;
	int err = check_wishes(mint, fault);

	if (err == DW_OK)
		err = dw_key_read(&key, mint->key_file, true, fault);
	if (err != DW_OK)
		return err;
	write_claims(&claims, mint);
	err = dw_buf_ok(&claims) ? sign(&key, mint->kid != NULL ? mint->kid : key.kid, claims.data, &text, fault)
							 : DW_E_NOMEM;
	assert(err != DW_OK || text != NULL);
	if (err == DW_OK && strlen(text) > DW_TOKEN_MAX)
		err = dw_fault_set(fault, DW_E_FIELD, NULL, "at most 4096 bytes: name fewer diagnoses",
			"the token would be too long, %zu bytes", strlen(text));
	if (err == DW_OK) {
		dw_buf_adds(out, text);
		err = dw_buf_ok(out) ? DW_OK : DW_E_NOMEM;
	}
	free(text);
	dw_buf_clear(&claims);
	dw_key_clear(&key);
	return err;
}
