/* What the tests of keys and tokens share: a folder of its own, files, openssl(1), tokens by hand. */
#ifndef TOKEN_KIT_H
#define TOKEN_KIT_H

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "token/auth.h"

static char kit_folder[] = "/tmp/diagws-test-XXXXXX";

static inline void kit_run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Runs a shell command in the folder. */
static inline void
kit_run(const char *format, ...)
{
	char command[1024];
	char line[1200];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	(void)snprintf(line, sizeof(line), "cd %s && { %s; } >>output 2>&1", kit_folder, command);
	if (system(line) != 0)
		fail_msg("failed: %s", command);
}

static inline int
kit_open(void **state)
{
	(void)state;
	return mkdtemp(kit_folder) != NULL ? 0 : -1;
}

static inline int
kit_close(void **state)
{
	char line[100];

	(void)state;
	(void)snprintf(line, sizeof(line), "rm -r %s", kit_folder);
	return system(line);
}

/* "FOLDER/name", in one of four buffers that take turns. */
static inline const char *
kit_path(const char *name)
{
	static char paths[4][400];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", kit_folder, name);
	return path;
}

static inline void
kit_write(const char *name, const char *text, size_t n, mode_t mode)
{
	const char *path = kit_path(name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(n, fwrite(text, 1, n, file));
	assert_int_equal(0, fclose(file));
	assert_int_equal(0, chmod(path, mode));
}

static inline struct dw_auth *
kit_auth(const char *directory, const char *issuer, const char *audience, uint64_t leeway_s)
{
	static char path[400];
	struct dw_auth_config config = { path, issuer, audience, leeway_s };
	struct dw_fault fault = { 0 };
	struct dw_auth *auth = NULL;

	(void)snprintf(path, sizeof(path), "%s", kit_path(directory));
	if (dw_auth_new(&auth, &config, &fault) != DW_OK)
		fail_msg("%s", fault.message);
	return auth;
}

static inline void
kit_base64url(struct dw_buf *out, const void *bytes, size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const unsigned char *p = bytes;

	for (size_t i = 0; i < n; i += 3) {
		unsigned three = (unsigned)p[i] << 16 | (i + 1 < n ? p[i + 1] : 0U) << 8 | (i + 2 < n ? p[i + 2] : 0U);

		for (unsigned k = 0; k < 4 && i + k <= n; k++)
			dw_buf_addc(out, digits[three >> (18 - 6 * k) & 63U]);
	}
}

/* A token signed with HMAC-SHA-256 whatever its header says; `secret` NULL: with an empty signature. */
static inline void
kit_token(struct dw_buf *out, const char *header, const char *payload, size_t payload_size, const char *secret)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned size = 0;

	dw_buf_reset(out);
	kit_base64url(out, header, strlen(header));
	dw_buf_addc(out, '.');
	kit_base64url(out, payload, payload_size);
	if (secret != NULL)
		assert_non_null(
			HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)out->data, out->len, mac, &size));
	dw_buf_addc(out, '.');
	kit_base64url(out, mac, size);
}

#endif
