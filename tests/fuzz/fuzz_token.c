/* libs: libjwt jansson libcrypto */
/* Tokens: none is believed that the one key did not sign, whatever its text, its header or its claims; what one says
 * that is believed keeps the rules. The first byte says which of the three is the fuzzer's. */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "token/auth.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define HEADER "{\"alg\":\"HS256\",\"kid\":\"main\"}"
#define CLAIMS "{\"sub\":\"alice\",\"exp\":1800000100}"

enum { NOW = 1800000000, LEEWAY = 10, MAC = 32 };

static struct dw_auth *auth;

/* The folder is of no use once it was read. */
static void
read_key(void)
{
	char folder[] = "/tmp/diagws-fuzz-XXXXXX", path[64];
	const struct dw_auth_config config = { folder, NULL, NULL, LEEWAY };
	FILE *file;

	REQUIRE(mkdtemp(folder) != NULL);
	(void)snprintf(path, sizeof(path), "%s/main.hs256", folder);
	(void)umask(077);
	file = fopen(path, "w");
	REQUIRE(file != NULL && fputs(SECRET, file) >= 0 && fclose(file) == 0);
	REQUIRE(dw_auth_new(&auth, &config, NULL) == DW_OK);
	REQUIRE(unlink(path) == 0 && rmdir(folder) == 0);
}

static void
add_base64url(struct dw_buf *out, const void *bytes, size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const uint8_t *p = bytes;

	for (size_t i = 0; i < n; i += 3) {
		const unsigned three = (unsigned)p[i] << 16 | (i + 1 < n ? p[i + 1] : 0U) << 8 | (i + 2 < n ? p[i + 2] : 0U);

		for (unsigned k = 0; k < 4 && i + k <= n; k++)
			dw_buf_addc(out, digits[three >> (18 - 6 * k) & 63U]);
	}
}

static void
add_signature(struct dw_buf *out)
{
	uint8_t mac[EVP_MAX_MD_SIZE];
	unsigned size = 0;

	REQUIRE(HMAC(EVP_sha256(), SECRET, sizeof(SECRET) - 1, (const uint8_t *)out->data, out->len, mac, &size) != NULL);
	dw_buf_addc(out, '.');
	add_base64url(out, mac, size);
}

static void
make(struct dw_buf *out, struct dw_str header, struct dw_str claims)
{
	add_base64url(out, header.p, header.n);
	dw_buf_addc(out, '.');
	add_base64url(out, claims.p, claims.n);
	add_signature(out);
}

static bool
is_signed(struct dw_str token)
{
	const char *dot = token.n > 0 ? memrchr(token.p, '.', token.n) : NULL;
	struct dw_buf right = { 0 };
	bool same;

	if (dot == NULL)
		return false;
	dw_buf_add(&right, token.p, (size_t)(dot - token.p));
	add_signature(&right);
	same = fuzz_same(fuzz_bytes(&right), token);
	dw_buf_clear(&right);
	return same;
}

static void
check_believed(const struct dw_claims *claims, uint64_t now_s)
{
	const char *room = claims->diagnoses.data;

	REQUIRE(dw_user_ok(dw_str(claims->user)) && dw_device_ok(dw_str(claims->device)));
	REQUIRE(claims->expires + LEEWAY > now_s && claims->scope < 2 * DW_SCOPE_ADMIN);
	for (size_t at = 0; at < claims->diagnoses.len; at += strlen(room + at) + 1)
		REQUIRE(dw_room_ok(dw_str(room + at)) && dw_claims_name(claims, dw_str(room + at)));
}

static int
check(struct dw_str token, struct dw_claims *claims)
{
	struct dw_fault fault = { 0 };
	int err;

	*claims = (struct dw_claims) { 0 };
	err = dw_auth_check(auth, token, NOW, claims, &fault);
	if (err == DW_OK) {
		REQUIRE(is_signed(token));
		check_believed(claims, NOW);
	} else {
		REQUIRE(fault.message[0] != '\0' && claims->user[0] == '\0' && claims->diagnoses.len == 0);
		REQUIRE(err == DW_E_TOKEN || err == DW_E_TOKEN_EXPIRED || (err == DW_E_TOKEN_MISSING && token.n == 0));
	}
	return err;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t how = fuzz_byte(&data, &size);
	const struct dw_str given = { (const char *)data, size };
	struct dw_claims first, again;
	struct dw_buf token = { 0 };
	int err;

	if (auth == NULL)
		read_key();
	if (how % 3 == 0)
		dw_buf_add(&token, given.p, given.n);
	else if (how % 3 == 1)
		make(&token, DW_STR(HEADER), given);
	else
		make(&token, given, DW_STR(CLAIMS));
	err = check(fuzz_bytes(&token), &first);
	REQUIRE(check(fuzz_bytes(&token), &again) == err); /* now out of the cache */
	REQUIRE(strcmp(first.user, again.user) == 0 && strcmp(first.device, again.device) == 0);
	dw_claims_clear(&first);
	if (err == DW_OK) {
		token.data[how % token.len] ^= 1;
		REQUIRE(check(fuzz_bytes(&token), &first) != DW_OK);
		dw_claims_clear(&first);
	}
	dw_claims_clear(&again);
	dw_buf_clear(&token);
	return 0;
}
