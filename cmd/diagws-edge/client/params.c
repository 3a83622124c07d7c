/* Arguments and token of an upgrade: see params.h.
 */
#include "params.h"

#include <libwebsockets.h>
#include <string.h>

#include "door/server.h"
#include "door/target.h"
#include "door/upgrade.h"
#include "edge.h"

static const char bearer[] = "Bearer ";

/* From what we have read, or, where libwebsockets has: it keeps each argument as one fragment, decoded: "name=value".
 */
static const char *
find_argument(struct lws *wsi, const char *name, char *buffer, size_t size)
{
	const struct head *head = server_head(wsi);
	const size_t length = strlen(name);
	int n;

	if (head != NULL)
		return target_argument(head, name, buffer, size);
	for (int i = 0; (n = lws_hdr_copy_fragment(wsi, buffer, (int)size, WSI_TOKEN_HTTP_URI_ARGS, i)) >= 0; i++)
		if ((size_t)n > length && strncmp(buffer, name, length) == 0 && buffer[length] == '=')
			return buffer + length + 1;
	return NULL;
}

bool
params_get(struct lws *wsi, const char *name, char *out, size_t size)
{
	char buffer[LIMIT_URL + 1];
	const char *value = find_argument(wsi, name, buffer, sizeof(buffer));

	if (value == NULL)
		return false;
	if (!dw_str_copy(dw_str(value), out, size))
		(void)dw_str_copy(DW_STR("\n"), out, size);
	return true;
}

/* The token's text in buffer, or NULL. */
static const char *
find_token(struct lws *wsi, char *buffer, size_t size)
{
	const struct head *head = server_head(wsi);
	const struct dw_str token = head != NULL ? upgrade_token(head) : (struct dw_str) { NULL, 0 };
	const int n = head == NULL ? lws_hdr_copy(wsi, buffer, (int)size, WSI_TOKEN_HTTP_AUTHORIZATION) : 0;

	if (token.n > 0 && dw_str_copy(token, buffer, size))
		return buffer;
	if (n > (int)strlen(bearer) && strncasecmp(buffer, bearer, strlen(bearer)) == 0)
		return buffer + strlen(bearer);
	return find_argument(wsi, "token", buffer, size);
}

int
params_authorize(struct edge *edge, struct lws *wsi, const struct address *address, struct dw_claims *claims,
	struct check **slot, check_done *done, void *user)
{
	char buffer[LIMIT_HEADERS + 1];
	const struct dw_str token = dw_str(find_token(wsi, buffer, sizeof(buffer)));
	int err = check_begin(edge, address, token, claims, slot, done, user);

	if (token.n > 0)
		explicit_bzero(buffer, (size_t)(token.p - buffer) + token.n);
	return err;
}
