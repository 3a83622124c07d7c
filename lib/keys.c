/* Key files, read and judged once, at start and at reload.
 *
 * Its own file because keys are the administrator's and tokens are strangers': what is wrong here is
 * told in full, and all of it before the first token comes. OpenSSL is asked what a PEM file holds,
 * for libjwt cannot tell a wrong key from a wrong signature, signs ES256 with any curve, and would
 * ask for a passphrase on the terminal.
 *
 * A key that was read is fit for its algorithm and not empty (libjwt accepts any token with an empty
 * key). Secrets are overwritten before they are freed and never part of a message.
 */
#include "diagws/keys.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "diagws/msg.h"
#include "diagws/paths.h"

enum kind { KIND_SECRET, KIND_RSA, KIND_EC };

static const struct algorithm {
	const char *name;
	const char *ending; /* of the file's name */
	enum kind kind;
	const char *curve; /* as OpenSSL calls it */
} algorithms[] = {
	{ "HS256", ".hs256", KIND_SECRET, NULL },
	{ "HS384", ".hs384", KIND_SECRET, NULL },
	{ "HS512", ".hs512", KIND_SECRET, NULL },
	{ "RS256", ".rs256.pem", KIND_RSA, NULL },
	{ "RS384", ".rs384.pem", KIND_RSA, NULL },
	{ "RS512", ".rs512.pem", KIND_RSA, NULL },
	{ "ES256", ".es256.pem", KIND_EC, "prime256v1" },
	{ "ES384", ".es384.pem", KIND_EC, "secp384r1" },
	{ "ES512", ".es512.pem", KIND_EC, "secp521r1" },
};

static const char endings[] = "KID.hs256, KID.rs256.pem or KID.es256.pem (or 384, 512), KID of [A-Za-z0-9_.-]{1,64}";

static int
refuse(struct dw_fault *fault, const char *path, const char *expected, const char *what)
{
	char quoted[DW_QUOTE_SIZE];
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	const char *shown = dw_id_ok(dw_str(name)) ? name : dw_quote(dw_str(name), quoted);

	return dw_fault_set(fault, DW_E_CONFIG, name, expected, "key file '%s' %s", shown, what);
}

bool
dw_kid_ok(struct dw_str s)
{
	return dw_device_ok(s);
}

/* What the file's name says; NULL when it has not the form. */
static const struct algorithm *
read_name(const char *path, char kid[DW_KID_MAX + 1])
{
	const char *slash = strrchr(path, '/');
	struct dw_str name = dw_str(slash != NULL ? slash + 1 : path);

	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
		size_t ending = strlen(algorithms[i].ending);
		struct dw_str stem;

		if (name.n <= ending || memcmp(name.p + name.n - ending, algorithms[i].ending, ending) != 0)
			continue;
		stem = (struct dw_str) { name.p, name.n - ending };
		return dw_kid_ok(stem) && dw_str_copy(stem, kid, DW_KID_MAX + 1) ? &algorithms[i] : NULL;
	}
	return NULL;
}

static int
check_file(const char *path, bool secret, struct dw_fault *fault)
{
	struct stat status;

	if (stat(path, &status) != 0)
		return dw_fault_set(
			fault, DW_E_NOINPUT, path, "a key file", "cannot read key file '%s': %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return refuse(fault, path, "a regular file", "is not a regular file");
	if (secret && (status.st_mode & S_IROTH) != 0)
		return refuse(
			fault, path, "a secret that only its owner and group can read (chmod o-r)", "can be read by anyone");
	if ((status.st_mode & S_IWOTH) != 0)
		return refuse(
			fault, path, "a key that only its owner and group can write (chmod o-w)", "can be written by anyone");
	return DW_OK;
}

/* Instead of OpenSSL's question on the terminal. */
static int
no_passphrase(char *buffer, int size, int writing, void *user)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)user;
	return -1;
}

static bool
fits(const EVP_PKEY *pkey, const struct algorithm *algorithm)
{
	char curve[64];

	if (algorithm->kind == KIND_RSA)
		return EVP_PKEY_get_base_id(pkey) == EVP_PKEY_RSA && EVP_PKEY_get_bits(pkey) >= DW_RSA_BITS_MIN;
	return EVP_PKEY_get_base_id(pkey) == EVP_PKEY_EC &&
		   EVP_PKEY_get_group_name(pkey, curve, sizeof(curve), NULL) == 1 && strcmp(curve, algorithm->curve) == 0;
}

static int
check_pem(
	const struct dw_key *key, const struct algorithm *algorithm, const char *path, bool to_sign, struct dw_fault *fault)
{
	static const char private_mark[] = "PRIVATE KEY-----";
	BIO *bio = NULL;
	EVP_PKEY *pkey = NULL;
	int err = DW_OK;

	if (!to_sign && memmem(key->bytes, key->size, private_mark, sizeof(private_mark) - 1) != NULL)
		return refuse(fault, path,
			"its public half (openssl pkey -pubout); the private key belongs where tokens are made",
			"holds a private key");
	bio = BIO_new_mem_buf(key->bytes, (int)key->size);
	if (bio == NULL)
		return dw_fault_set(fault, DW_E_NOMEM, NULL, NULL, "out of memory");
	pkey = to_sign ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL)
				   : PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
	if (pkey == NULL)
		err = to_sign ? refuse(fault, path, "a private key in PEM without a passphrase", "holds no usable private key")
					  : refuse(fault, path, "a public key in PEM (-----BEGIN PUBLIC KEY-----)", "holds no public key");
	else if (!fits(pkey, algorithm))
		err = refuse(fault, path,
			algorithm->kind == KIND_RSA ? "an RSA key of at least 2048 bits"
										: "a key on P-256 for ES256, P-384 for ES384, P-521 for ES512",
			"holds a key that does not fit the algorithm in its name");
	EVP_PKEY_free(pkey);
	BIO_free(bio);
	dw_keys_forget_errors();
	return err;
}

int
dw_key_read(struct dw_key *key, const char *path, bool to_sign, struct dw_fault *fault)
{
	struct dw_key new = { 0 };
	const struct algorithm *algorithm = read_name(path, new.kid);
	int err;

	if (algorithm == NULL)
		return refuse(fault, path, endings, "is not named after a key id and an algorithm");
	new.algorithm = algorithm->name;
	err = check_file(path, to_sign || algorithm->kind == KIND_SECRET, fault);
	if (err == DW_OK)
		err = dw_read_file(path, DW_KEY_FILE_MAX, &new.bytes, &new.size, fault);
	if (err == DW_E_TOO_BIG)
		err = refuse(fault, path, "at most 64 KiB", "is too big");
	if (err != DW_OK)
		return err;
	if (algorithm->kind == KIND_SECRET) {
		if (new.size > 0 && new.bytes[new.size - 1] == '\n')
			new.size--;
		if (new.size < DW_SECRET_MIN)
			err = refuse(fault, path, "at least 32 bytes, for example from: openssl rand -base64 48",
				"holds too short a secret");
	} else {
		err = check_pem(&new, algorithm, path, to_sign, fault);
	}
	if (err == DW_OK)
		*key = new;
	else
		dw_key_clear(&new);
	return err;
}

void
dw_key_clear(struct dw_key *key)
{
	if (key->bytes != NULL)
		explicit_bzero(key->bytes, key->size);
	free(key->bytes);
	*key = (struct dw_key) { 0 };
}

static int
add_file(struct dw_keys *keys, const char *directory, const char *name, struct dw_fault *fault)
{
	struct dw_buf path = { 0 };
	struct dw_key key = { 0 };
	int err;

	if (keys->count == DW_KEYS_MAX)
		return dw_fault_set(fault, DW_E_CONFIG, directory, "at most 256 keys", "too many key files in '%s'", directory);
	dw_buf_addf(&path, "%s/%s", directory, name);
	if (!dw_buf_ok(&path)) {
		err = dw_fault_set(fault, DW_E_NOMEM, NULL, NULL, "out of memory");
		goto out;
	}
	err = dw_key_read(&key, path.data, false, fault);
	if (err != DW_OK)
		goto out;
	if (dw_keys_find(keys, key.kid) != NULL) {
		err = refuse(fault, path.data, "one algorithm for each key id", "has the key id of another file");
		dw_key_clear(&key);
		goto out;
	}
	keys->key[keys->count++] = key;
out:
	dw_buf_clear(&path);
	return err;
}

static int
is_shown(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int
dw_keys_read(struct dw_keys *keys, const char *directory, struct dw_fault *fault)
{
	struct dw_keys new = { 0 };
	struct dirent **names = NULL;
	int count = scandir(directory, &names, is_shown, alphasort);
	int err = DW_OK;

	if (count < 0)
		return dw_fault_set(fault, DW_E_NOINPUT, "keys", "a directory of key files",
			"cannot read key directory '%s': %s", directory, strerror(errno));
	if (count == 0)
		err = dw_fault_set(fault, DW_E_CONFIG, "keys", endings, "no key in '%s'", directory);
	new.key = calloc((size_t)count + 1, sizeof(*new.key));
	if (new.key == NULL)
		err = dw_fault_set(fault, DW_E_NOMEM, NULL, NULL, "out of memory");
	for (int i = 0; i < count; i++) {
		if (err == DW_OK)
			err = add_file(&new, directory, names[i]->d_name, fault);
		free(names[i]);
	}
	free(names);
	if (err == DW_OK)
		*keys = new;
	else
		dw_keys_clear(&new);
	return err;
}

void
dw_keys_clear(struct dw_keys *keys)
{
	for (size_t i = 0; i < keys->count; i++)
		dw_key_clear(&keys->key[i]);
	free(keys->key);
	*keys = (struct dw_keys) { 0 };
}

const struct dw_key *
dw_keys_find(const struct dw_keys *keys, const char *kid)
{
	for (size_t i = 0; i < keys->count; i++) {
		if (strcmp(keys->key[i].kid, kid) == 0)
			return &keys->key[i];
	}
	return NULL;
}

void
dw_keys_forget_errors(void)
{
	ERR_clear_error();
}
