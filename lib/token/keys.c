/* Key files, read and judged once, at start and at reload: all that is wrong with one is told, for keys are the
 * administrator's, and before the first token comes.
 *
 * A key that was read fits its algorithm and is not empty; one to sign with has no passphrase, for libjwt would ask for
 * it on the terminal. Secrets are overwritten before they are freed and never part of a message.
 */
#include "token/keys.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/paths.h"
#include "message/msg.h"

enum { RSA_BYTES_MIN = 2048 / 8 };

static const struct dw_algorithm algorithms[] = {
	{ "HS256", ".hs256", "SHA256", NULL, NULL, 32 },
	{ "HS384", ".hs384", "SHA384", NULL, NULL, 48 },
	{ "HS512", ".hs512", "SHA512", NULL, NULL, 64 },
	{ "RS256", ".rs256.pem", "SHA256", "RSA", NULL, RSA_BYTES_MIN },
	{ "RS384", ".rs384.pem", "SHA384", "RSA", NULL, RSA_BYTES_MIN },
	{ "RS512", ".rs512.pem", "SHA512", "RSA", NULL, RSA_BYTES_MIN },
	{ "ES256", ".es256.pem", "SHA256", "EC", "prime256v1", 64 },
	{ "ES384", ".es384.pem", "SHA384", "EC", "secp384r1", 96 },
	{ "ES512", ".es512.pem", "SHA512", "EC", "secp521r1", 132 },
};

static const char endings[] = "KID.hs256, KID.rs256.pem or KID.es256.pem (or 384, 512), KID of [A-Za-z0-9_.-]{1,64}";

static int
refuse(struct dw_fault *fault, const char *path, const char *expected, const char *what)
{
	char quoted[DW_QUOTE_SIZE];
	const char *name = basename(path);
	const char *shown = dw_id_ok(dw_str(name)) ? name : dw_quote(dw_str(name), quoted);

	return dw_fault_set(fault, DW_E_CONFIG, name, expected, "key file '%s' %s", shown, what);
}

/* What the file's name says; NULL when it has not the form. */
static const struct dw_algorithm *
read_name(const char *path, char kid[DW_KID_MAX + 1])
{
	const struct dw_str name = dw_str(basename(path));

	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
		size_t ending = strlen(algorithms[i].ending);
		struct dw_str stem;

		if (name.n <= ending || memcmp(name.p + name.n - ending, algorithms[i].ending, ending) != 0)
			continue;
		stem = (struct dw_str) { name.p, name.n - ending };
		return dw_device_ok(stem) && dw_str_copy(stem, kid, DW_KID_MAX + 1) ? &algorithms[i] : NULL;
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

static bool
holds(const struct dw_key *key, const char *text)
{
	return memmem(key->bytes, key->size, text, strlen(text)) != NULL;
}

static int
check_pem(const struct dw_key *key, bool to_sign, const char *path, struct dw_fault *fault)
{
	static const char expected[] = "a private key in PEM without a passphrase";
	const bool is_private = holds(key, "PRIVATE KEY-----");

	if (!is_private && to_sign)
		return refuse(fault, path, expected, "holds no private key");
	if (is_private && !to_sign)
		return refuse(fault, path,
			"its public half (openssl pkey -pubout); the private key belongs where tokens are made",
			"holds a private key");
	if (is_private && holds(key, "ENCRYPTED"))
		return refuse(fault, path, expected, "is protected by a passphrase");
	if (!is_private && (!holds(key, "-----BEGIN PUBLIC KEY-----") || !holds(key, "-----END PUBLIC KEY-----")))
		return refuse(fault, path, "a public key in PEM (-----BEGIN PUBLIC KEY-----)", "holds no public key");
	return DW_OK;
}

static int
check_secret(struct dw_key *key, const char *path, struct dw_fault *fault)
{
	if (key->size > 0 && key->bytes[key->size - 1] == '\n')
		key->size--;
	if (key->size < DW_SECRET_MIN)
		return refuse(
			fault, path, "at least 32 bytes, for example from: openssl rand -base64 48", "holds too short a secret");
	return DW_OK;
}

int
dw_key_read(struct dw_key *key, const char *path, bool to_sign, struct dw_fault *fault)
{
	struct dw_key new = { 0 };
	bool secret;
	int err;

	new.algorithm = read_name(path, new.kid);
	if (new.algorithm == NULL)
		return refuse(fault, path, endings, "is not named after a key id and an algorithm");
	secret = new.algorithm->type == NULL;
	err = check_file(path, to_sign || secret, fault);
	if (err == DW_OK)
		err = dw_read_file(path, DW_KEY_FILE_MAX, &new.bytes, &new.size, fault);
	if (err == DW_E_TOO_BIG)
		err = refuse(fault, path, "at most 64 KiB", "is too big");
	if (err != DW_OK)
		return err;
	err = secret ? check_secret(&new, path, fault) : check_pem(&new, to_sign, path, fault);
	if (err == DW_OK && !to_sign) {
		err = dw_key_open(&new);
		if (err == DW_E_CONFIG)
			err = refuse(fault, path,
				"RSA of at least 2048 bits for rs; P-256 for es256, P-384 for es384, P-521 for es512",
				"holds a key that does not fit the algorithm in its name");
	}
	if (err == DW_OK)
		*key = new;
	else
		dw_key_clear(&new);
	return err;
}

static int
add_file(struct dw_keys *keys, const char *directory, const char *name, struct dw_fault *fault)
{
	char path[DW_PATH_SIZE];
	struct dw_key *key;
	int err;

	assert(keys != NULL);
	key = &keys->key[keys->count];
	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	err = dw_key_read(key, path, false, fault);
	if (err != DW_OK)
		return err;
	if (dw_keys_find(keys, key->kid) != NULL)
		err = refuse(fault, path, "one algorithm for each key id", "has the key id of another file");
	keys->count++;
	return err;
}

static int
is_shown(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int
dw_keys_read(struct dw_keys **out, const char *directory, struct dw_fault *fault)
{
	struct dw_keys *new = NULL;
	struct dirent **names = NULL;
	int count = scandir(directory, &names, is_shown, alphasort);
	int err = DW_OK;

	if (count < 0)
		return dw_fault_set(fault, DW_E_NOINPUT, "keys", "a directory of key files",
			"cannot read key directory '%s': %s", directory, strerror(errno));
	if (count == 0)
		err = dw_fault_set(fault, DW_E_CONFIG, "keys", endings, "no key in '%s'", directory);
	else if (count > DW_KEYS_MAX)
		err = dw_fault_set(fault, DW_E_CONFIG, directory, "at most 256 keys", "too many key files in '%s'", directory);
	else if ((new = calloc(1, sizeof(*new) + (size_t)count * sizeof(new->key[0]))) == NULL)
		err = DW_E_NOMEM;
	else
		new->uses = 1;
	for (int i = 0; i < count; i++) {
		if (err == DW_OK)
			err = add_file(new, directory, names[i]->d_name, fault);
		free(names[i]);
	}
	free(names);
	if (err == DW_OK)
		*out = new;
	else
		dw_keys_release(&new);
	return err;
}

void
dw_keys_release(struct dw_keys **keys_p)
{
	struct dw_keys *keys = *keys_p;

	*keys_p = NULL;
	if (keys == NULL || --keys->uses > 0)
		return;
	for (size_t i = 0; i < keys->count; i++)
		dw_key_clear(&keys->key[i]);
	free(keys);
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
