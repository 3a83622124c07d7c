/* libs: libjwt jansson libcrypto */
/* A token that was seen before: what each of a storm's returning clients costs. */
#include <jansson.h>
#include <sys/stat.h>

#include "hot.h"
#include "token/auth.h"

enum { NOW = 1700000000 };

static struct dw_auth *auth;
static struct dw_buf token;

static void
check(void)
{
	struct dw_claims claims = { 0 };
	struct dw_fault fault;

	MUST(dw_auth_check(auth, (struct dw_str) { token.data, token.len }, NOW, &claims, &fault) == DW_OK);
	dw_claims_clear(&claims);
}

int
main(void)
{
	char dir[] = "/tmp/diagws-hot-XXXXXX", path[64], command[64];
	const char *const diagnoses[] = { "123" };
	const struct dw_mint mint = { .key_file = path,
		.user = "user-1",
		.issued_s = NOW,
		.expires_s = NOW + 3600,
		.diagnoses = diagnoses,
		.diagnoses_count = 1 };
	const struct dw_auth_config config = { .keys = dir };
	struct dw_fault fault = { 0 };
	FILE *key;

	json_object_seed(1);
	MUST(mkdtemp(dir) != NULL);
	(void)snprintf(path, sizeof(path), "%s/bench.hs256", dir);
	key = fopen(path, "w");
	MUST(key != NULL && fchmod(fileno(key), 0600) == 0);
	MUST(fputs("0123456789abcdef0123456789abcdef", key) >= 0 && fclose(key) == 0);
	MUST(dw_auth_new(&auth, &config, &fault) == DW_OK && dw_auth_mint(&mint, &token, &fault) == DW_OK);
	hot("token-seen-before", 10, 1000, check);
	dw_auth_destroy(&auth);
	dw_buf_clear(&token);
	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	MUST(system(command) == 0);
	return 0;
}
