/* WebSocket upgrades: see upgrade.h. The gate comes upon them, and the HTTP side: a proxy may send one on a connection
 * that it has used before.
 */
#include "upgrade.h"

#include <string.h>

#include "http/origin.h"
#include "message/msg.h"

enum { KEY_SIZE = 24 };

static const char prefix[] = "/ws/";

static struct dw_str
last_part(const struct dw_http_head *head)
{
	const size_t n = sizeof(prefix) - 1;

	if (head->path.n < n || memcmp(head->path.p, prefix, n) != 0 ||
		memchr(head->path.p + n, '/', head->path.n - n) != NULL)
		return (struct dw_str) { NULL, 0 };
	return (struct dw_str) { head->path.p + n, head->path.n - n };
}

/* 16 bytes in base64: 22 digits and two '='. */
static bool
key_ok(struct dw_str key)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char text[KEY_SIZE + 1];

	return dw_str_copy(key, text, sizeof(text)) && strspn(text, digits) == KEY_SIZE - 2 &&
		   strcmp(text + KEY_SIZE - 2, "==") == 0;
}

/* `diagws`, maybe a token behind it. */
static bool
read_subprotocols(const struct dw_http_head *head, struct dw_str *token)
{
	struct dw_str list = head->subprotocols, element;

	*token = (struct dw_str) { NULL, 0 };
	if (!head->has_subprotocols)
		return true;
	if (!dw_http_head_next(&list, &element) || !dw_str_is(element, "diagws"))
		return false;
	return !dw_http_head_next(&list, token) || !dw_http_head_next(&list, &element);
}

static enum dw_http_fault
check_upgrade(const struct dw_http_head *head, const struct dw_opt_list *origins)
{
	struct dw_str token;

	if (head->old || !head->upgrades || head->chunked || head->length > 0)
		return DW_HEAD_UPGRADE;
	if (head->websocket_version != 13)
		return DW_HEAD_UPGRADE_VERSION;
	if (!key_ok(head->key))
		return DW_HEAD_UPGRADE;
	if (!read_subprotocols(head, &token))
		return DW_HEAD_SUBPROTOCOL;
	return !head->has_origin || dw_http_origin_allowed(origins, head->origin, head->host) ? DW_HEAD_OK : DW_HEAD_ORIGIN;
}

bool
upgrade_asked(const struct dw_http_head *head, const struct dw_opt_list *origins, enum dw_http_fault *fault)
{
	if (!head->websocket || !dw_str_is(head->method, "GET") || last_part(head).p == NULL)
		return false;
	*fault = check_upgrade(head, origins);
	return true;
}

struct dw_str
upgrade_token(const struct dw_http_head *head)
{
	struct dw_str token = dw_http_bearer(head->authorization);

	if (token.p == NULL)
		(void)read_subprotocols(head, &token);
	return token;
}

void
upgrade_write(const struct dw_http_head *head, struct dw_buf *out)
{
	/* libwebsockets decodes the path; ours is taken as it is sent, and an id has nothing to decode. */
	const struct dw_str room = dw_room_ok(last_part(head)) ? last_part(head) : DW_STR("!");

	dw_buf_addf(out,
		"GET %s%.*s HTTP/1.1\r\nHost: -\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Key: %.*s\r\n%s\r\n",
		prefix, (int)room.n, room.p, (int)head->key.n, head->key.p,
		head->has_subprotocols ? "Sec-WebSocket-Protocol: diagws\r\n" : "");
}
