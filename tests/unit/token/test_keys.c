/* links: lib/token/keys.c lib/token/signature.c lib/message/msg.c lib/json/json_plain.c lib/json/json.c */
/* links: lib/base/buf.c lib/base/err.c lib/base/paths.c lib/base/utf8.c */
/* libs: jansson libcrypto */
/* Key files: what each name means, and every way in which one is refused at the start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "token/keys.h"
#include "token_kit.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define S(literal) (literal), sizeof(literal) - 1

static int
open_folder(void **state)
{
	if (kit_open(state) != 0)
		return -1;
	kit_run("openssl genrsa -out rsa.key 2048");
	kit_run("openssl pkey -in rsa.key -pubout -out rsa.pub");
	kit_run("openssl genrsa -out short.key 1920 && openssl pkey -in short.key -pubout -out short.pub");
	kit_run("openssl pkey -in rsa.key -aes128 -passout pass:secret -out locked.rs256.pem");
	kit_run("openssl ecparam -genkey -noout -name prime256v1 -out p256.key");
	kit_run("openssl pkey -in p256.key -pubout -out p256.pub");
	kit_run("openssl ec -in p256.key -aes128 -passout pass:secret -out locked.key");
	kit_run("openssl ecparam -genkey -noout -name secp256k1 | openssl pkey -pubout -out k1.pub");
	kit_run("openssl ecparam -genkey -noout -name secp384r1 | openssl pkey -pubout -out p384.pub");
	kit_run("openssl ecparam -genkey -noout -name secp521r1 | openssl pkey -pubout -out p521.pub");
	kit_run("openssl req -new -x509 -key rsa.key -subj /CN=test -out rsa.crt");
	return 0;
}

static void
fresh_directory(void)
{
	kit_run("rm -rf keys && mkdir keys");
}

static void
assert_refused(int err, const char *part)
{
	struct dw_keys *keys = NULL;
	struct dw_fault fault = { 0 };
	int got = dw_keys_read(&keys, kit_path("keys"), &fault);

	if (got != err || strstr(fault.message, part) == NULL)
		fail_msg("want %d with '%s', got %d with '%s'", err, part, got, fault.message);
	assert_null(keys);
	assert_null(strstr(fault.message, "9abcdef"));
}

static void
test_good_directory(void **state)
{
	static const struct {
		const char *kid, *algorithm;
	} want[] = { { "a.b-c_D", "HS256" }, { "h3", "HS384" }, { "h5", "HS512" }, { "r2", "RS256" }, { "r3", "RS384" },
		{ "r5", "RS512" }, { "e2", "ES256" }, { "e3", "ES384" }, { "e5", "ES512" } };
	struct dw_keys *keys = NULL;
	struct dw_fault fault = { 0 };

	(void)state;
	fresh_directory();
	kit_write("keys/a.b-c_D.hs256", S(SECRET "\n"), 0600);
	kit_write("keys/h3.hs384", S(SECRET "\n\n"), 0640);
	kit_write("keys/h5.hs512", S(SECRET "\0" SECRET), 0400);
	kit_run("cd keys; for n in 2:256 3:384 5:512; do cp ../rsa.pub r${n%%:*}.rs${n##*:}.pem; done");
	kit_run("cp p256.pub keys/e2.es256.pem; cp p384.pub keys/e3.es384.pem; cp p521.pub keys/e5.es512.pem");
	kit_run("touch keys/.hidden; mkdir keys/..data");
	if (dw_keys_read(&keys, kit_path("keys"), &fault) != DW_OK)
		fail_msg("%s", fault.message);
	assert_int_equal(9, keys->count);
	for (size_t i = 0; i < 9; i++) {
		const struct dw_key *key = dw_keys_find(keys, want[i].kid);

		assert_non_null(key);
		assert_string_equal(want[i].algorithm, key->algorithm->name);
	}
	assert_int_equal(32, dw_keys_find(keys, "a.b-c_D")->size);
	assert_int_equal(33, dw_keys_find(keys, "h3")->size);
	assert_int_equal(65, dw_keys_find(keys, "h5")->size);
	assert_null(dw_keys_find(keys, "a.b-c_d"));
	assert_null(dw_keys_find(keys, ""));
	dw_keys_release(&keys);
}

static void
test_refused_files(void **state)
{
	static const struct {
		const char *name, *text;
		mode_t mode;
		const char *part;
	} bad[] = {
		{ "k.hs256", "0123456789abcdef0123456789abcde\n", 0600, "key file 'k.hs256' holds too short a secret" },
		{ "k.hs256", "", 0600, "holds too short a secret" },
		{ "k.hs256", "\n", 0600, "holds too short a secret" },
		{ "k.hs256", SECRET, 0604, "can be read by anyone" },
		{ "k.hs512", SECRET, 0644, "can be read by anyone" },
		{ "k.hs256", SECRET, 0602, "can be written by anyone" },
		{ "k.rs256.pem", "x", 0646, "can be written by anyone" },
		{ "k.rs256.pem", "", 0644, "holds no public key" },
		{ "k.es256.pem", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", 0644, "does not fit" },
		{ "k.rs256.pem", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n", 0644, "does not fit" },
		{ "k.rs256.pem", "-----BEGIN PUBLIC KEY-----", 0644, "holds no public key" },
		{ "k.txt", SECRET, 0600, "key file 'k.txt' is not named after" },
		{ "k.none", SECRET, 0600, "is not named after" },
		{ "k.ps256.pem", SECRET, 0600, "is not named after" },
		{ "k.HS256", SECRET, 0600, "is not named after" },
		{ "hs256", SECRET, 0600, "is not named after" },
		{ "k 1.hs256", SECRET, 0600, "is not named after" },
		{ "k\n1.hs256", SECRET, 0600, "key file 'k?1.hs256' is not named after" },
		{ "k1234567890123456789012345678901234567890123456789012345678901234.hs256", SECRET, 0600,
			"is not named after" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char name[100];

		fresh_directory();
		kit_write("keys/.keep", S(""), 0600);
		(void)snprintf(name, sizeof(name), "keys/%s", bad[i].name);
		kit_write(name, bad[i].text, strlen(bad[i].text), bad[i].mode);
		assert_refused(DW_E_CONFIG, bad[i].part);
	}
}

static void
test_refused_pem(void **state)
{
	static const struct {
		const char *from, *to, *part;
	} bad[] = {
		{ "rsa.key", "k.rs256.pem", "holds a private key" },
		{ "p256.key", "k.es256.pem", "holds a private key" },
		{ "locked.rs256.pem", "k.rs256.pem", "holds a private key" },
		{ "rsa.crt", "k.rs256.pem", "holds no public key" },
		{ "rsa.pub", "k.es256.pem", "does not fit the algorithm" },
		{ "p256.pub", "k.rs256.pem", "does not fit the algorithm" },
		{ "p384.pub", "k.es256.pem", "does not fit the algorithm" },
		{ "k1.pub", "k.es256.pem", "does not fit the algorithm" },
		{ "p256.pub", "k.es512.pem", "does not fit the algorithm" },
		{ "short.pub", "k.rs256.pem", "does not fit the algorithm" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fresh_directory();
		kit_run("cp %s keys/%s", bad[i].from, bad[i].to);
		assert_refused(DW_E_CONFIG, bad[i].part);
	}
}

static void
test_refused_directories(void **state)
{
	(void)state;
	fresh_directory();
	assert_refused(DW_E_CONFIG, "no key in");
	kit_write("keys/k.hs256", S(SECRET), 0600);
	kit_run("cp rsa.pub keys/k.rs256.pem");
	assert_refused(DW_E_CONFIG, "has the key id of another file");
	fresh_directory();
	kit_run("mkdir keys/k.hs256");
	assert_refused(DW_E_CONFIG, "is not a regular file");
	fresh_directory();
	kit_run("mkfifo keys/k.hs256");
	assert_refused(DW_E_CONFIG, "is not a regular file");
	fresh_directory();
	kit_run("ln -s nowhere keys/k.hs256");
	assert_refused(DW_E_NOINPUT, "cannot read key file");
	fresh_directory();
	kit_run("head -c 65537 /dev/zero >keys/k.hs256; chmod 600 keys/k.hs256");
	assert_refused(DW_E_CONFIG, "is too big");
	fresh_directory();
	kit_run("cd keys; umask 077; for i in $(seq 257); do echo " SECRET " >$i.hs256; done");
	assert_refused(DW_E_CONFIG, "too many key files");
	kit_run("rm -r keys");
	assert_refused(DW_E_NOINPUT, "cannot read key directory");
}

static void
test_keys_to_sign(void **state)
{
	static const struct {
		const char *from, *to, *part;
	} bad[] = {
		{ "rsa.pub", "s.rs256.pem", "holds no private key" },
		{ "rsa.crt", "s.rs256.pem", "holds no private key" },
		{ "locked.rs256.pem", "s.rs256.pem", "is protected by a passphrase" },
		{ "locked.key", "s.es256.pem", "is protected by a passphrase" },
		{ "rsa.key", "s.key", "is not named after" },
	};
	struct dw_key key = { 0 };
	struct dw_fault fault = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		kit_run("cp %s %s; chmod 600 %s", bad[i].from, bad[i].to, bad[i].to);
		assert_int_equal(DW_E_CONFIG, dw_key_read(&key, kit_path(bad[i].to), true, &fault));
		assert_non_null(strstr(fault.message, bad[i].part));
	}
	kit_run("cp rsa.key s.rs256.pem; chmod 644 s.rs256.pem");
	assert_int_equal(DW_E_CONFIG, dw_key_read(&key, kit_path("s.rs256.pem"), true, &fault));
	assert_non_null(strstr(fault.message, "can be read by anyone"));
	assert_null(key.bytes);
	kit_run("chmod 600 s.rs256.pem");
	assert_int_equal(DW_OK, dw_key_read(&key, kit_path("s.rs256.pem"), true, &fault));
	assert_string_equal("s", key.kid);
	assert_string_equal("RS256", key.algorithm->name);
	dw_key_clear(&key);
	assert_int_equal(DW_E_NOINPUT, dw_key_read(&key, kit_path("missing.hs256"), true, &fault));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_directory),
		cmocka_unit_test(test_refused_files),
		cmocka_unit_test(test_refused_pem),
		cmocka_unit_test(test_refused_directories),
		cmocka_unit_test(test_keys_to_sign),
	};

	return cmocka_run_group_tests(tests, open_folder, kit_close);
}
