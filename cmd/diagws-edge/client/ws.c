/* The upgrade of a client, and its frames.
 *
 * A refused client is accepted and then closed with 1008, so that a browser can read why: ws_filter
 * only notes what speaks against it. A request that is no good upgrade never gets so far: it is answered in HTTP, by
 * the HTTP side, or here where it comes by TLS. All sizes are checked before anything is kept.
 */
#include "conn.h"

#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>

#include "client/subscription.h"
#include "http/answer.h"
#include "http/head.h"
#include "http/http.h"
#include "door/server.h"
#include "door/upgrade.h"
#include "edge.h"

enum { UPGRADE_REQUIRED = 426, LIMIT_CLIENT_FRAME = 64 * 1024 };

static const char prefix[] = "/ws/";

/* On a TLS listener, where libwebsockets reads the head itself. */
static int
refuse(struct lws *wsi, enum dw_http_fault fault, const char *message)
{
	const struct dw_http_refusal *refusal = dw_http_refusal(fault);
	struct dw_buf json = { 0 }, out = { 0 };

	dw_http_write_error(&json, refusal->code, message != NULL ? message : refusal->message, NULL);
	(void)dw_buf_room(&out, LWS_PRE);
	dw_buf_grow(&out, LWS_PRE);
	dw_http_write_answer(&out, refusal->status, dw_bytes(json.data, json.len),
		refusal->status == UPGRADE_REQUIRED ? "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" : "",
		lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) == 0);
	if (dw_buf_ok(&out) && dw_buf_ok(&json))
		(void)lws_write(wsi, (unsigned char *)out.data + LWS_PRE, out.len - LWS_PRE, LWS_WRITE_HTTP_FINAL);
	dw_buf_clear(&out);
	dw_buf_clear(&json);
	return -1;
}

int
ws_refuse_http(struct lws *wsi)
{
	return refuse(wsi, DW_HEAD_UPGRADE_VERSION, "here are WebSockets alone: for HTTP there is another address");
}

static struct dw_str
copy_header(struct lws *wsi, enum lws_token_indexes token, char *out, size_t size)
{
	const int n = lws_hdr_copy(wsi, out, (int)size, token);

	return (struct dw_str) { out, n > 0 ? (size_t)n : 0 };
}

int
ws_confirm(struct edge *edge, struct lws *wsi)
{
	char upgrade[32], path[DW_HTTP_URL_MAX + 1], host[512], origin[512], key[64], version[8],
		protocols[DW_HTTP_URL_MAX];
	struct dw_http_head head = { .method = DW_STR("GET"), .upgrades = true };
	enum dw_http_fault fault;

	if (lws_is_ssl(wsi) == 0) /* the gate has seen to it */
		return 0;
	head.websocket = strcasecmp(copy_header(wsi, WSI_TOKEN_UPGRADE, upgrade, sizeof(upgrade)).p, "websocket") == 0;
	head.path = head.target = copy_header(wsi, WSI_TOKEN_GET_URI, path, sizeof(path));
	head.host = copy_header(wsi, WSI_TOKEN_HOST, host, sizeof(host));
	head.origin = copy_header(wsi, WSI_TOKEN_ORIGIN, origin, sizeof(origin));
	head.has_origin = lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN) > 0;
	head.chunked = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0 ||
				   lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0;
	head.key = copy_header(wsi, WSI_TOKEN_KEY, key, sizeof(key));
	head.websocket_version = dw_str_is(copy_header(wsi, WSI_TOKEN_VERSION, version, sizeof(version)), "13") ? 13 : 0;
	head.subprotocols = copy_header(wsi, WSI_TOKEN_PROTOCOL, protocols, sizeof(protocols));
	head.has_subprotocols = lws_hdr_total_length(wsi, WSI_TOKEN_PROTOCOL) > 0;
	if (!upgrade_asked(&head, &edge->config.origins, &fault))
		fault = head.websocket ? DW_HEAD_NOWHERE : DW_HEAD_UPGRADE;
	if (fault == DW_HEAD_OK && head.has_subprotocols && !dw_str_is(head.subprotocols, "diagws"))
		return refuse(
			wsi, DW_HEAD_SUBPROTOCOL, "the subprotocol has no room for a token here: send it with auth=message");
	return fault == DW_HEAD_OK ? 0 : refuse(wsi, fault, NULL);
}

/* From what we have read, or, where libwebsockets has: it keeps each argument as one fragment, decoded: "name=value".
 */
static const char *
find_argument(struct lws *wsi, const char *name, char *buffer, size_t size)
{
	const struct dw_http_head *head = server_head(wsi);
	const size_t length = strlen(name);
	int n;

	if (head != NULL)
		return dw_http_target_argument(head, name, buffer, size);
	for (int i = 0; (n = lws_hdr_copy_fragment(wsi, buffer, (int)size, WSI_TOKEN_HTTP_URI_ARGS, i)) >= 0; i++)
		if ((size_t)n > length && strncmp(buffer, name, length) == 0 && buffer[length] == '=')
			return buffer + length + 1;
	return NULL;
}

/* The first argument of this name. false: not there. In place of one that does not fit in size, out is "\n", which no
 * argument may be: so it is refused, and never mistaken for a shorter one. */
static bool
get_argument(struct lws *wsi, const char *name, char *out, size_t size)
{
	char buffer[DW_HTTP_URL_MAX + 1];
	const char *value = find_argument(wsi, name, buffer, sizeof(buffer));

	if (value == NULL)
		return false;
	if (!dw_str_copy(dw_str(value), out, size))
		(void)dw_str_copy(DW_STR("\n"), out, size);
	return true;
}

/* The token's text in buffer, of `Authorization: Bearer` or ?token=, or NULL. */
static const char *
find_token(struct lws *wsi, char *buffer, size_t size)
{
	static const char bearer[] = "Bearer ";
	const struct dw_http_head *head = server_head(wsi);
	const struct dw_str token = head != NULL ? upgrade_token(head) : (struct dw_str) { NULL, 0 };
	const int n = head == NULL ? lws_hdr_copy(wsi, buffer, (int)size, WSI_TOKEN_HTTP_AUTHORIZATION) : 0;

	if (token.n > 0 && dw_str_copy(token, buffer, size))
		return buffer;
	if (n > (int)strlen(bearer) && strncasecmp(buffer, bearer, strlen(bearer)) == 0)
		return buffer + strlen(bearer);
	return find_argument(wsi, "token", buffer, size);
}

/* The token is checked now or later: see dw_http_check_begin. */
static int
begin_check(struct edge *edge, struct lws *wsi, struct conn_request *request)
{
	char buffer[DW_HTTP_HEADERS_MAX + 1];
	const struct dw_str token = dw_str(find_token(wsi, buffer, sizeof(buffer)));
	int err = dw_http_check_begin(
		&edge->checks, &request->address, token, &request->claims, &request->check, auth_checked, request);

	if (token.n > 0)
		explicit_bzero(buffer, (size_t)(token.p - buffer) + token.n);
	return err;
}

/* An argument that is one of two words, or is not there. false: it is neither. */
static bool
choose(struct lws *wsi, const char *name, const char *yes, const char *no, bool *chosen)
{
	char value[32];

	if (!get_argument(wsi, name, value, sizeof(value)))
		return true;
	*chosen = strcmp(value, yes) == 0;
	return *chosen || strcmp(value, no) == 0;
}

/* Returns the first thing that is wrong with the arguments; NULL: nothing is. */
static const char *
read_arguments(struct lws *wsi, struct conn_request *request)
{
	struct sub_request *from = &request->from;
	char value[32];
	int64_t after = 0;

	if (!choose(wsi, "auth", "message", "message", &request->awaits))
		return "auth: message";
	if (!choose(wsi, "ack", "client", "auto", &request->sure))
		return "ack: auto or client";
	if (!choose(wsi, "heartbeat", "1", "0", &request->heartbeat))
		return "heartbeat: 0 or 1";
	if (get_argument(wsi, "epoch", from->epoch, sizeof(from->epoch)) && !dw_device_ok(dw_str(from->epoch)))
		return "epoch: what a `connect` gave";
	if (get_argument(wsi, "device", request->device, sizeof(request->device)) && !dw_device_ok(dw_str(request->device)))
		return "device: 1 to 64 of A-Z a-z 0-9 _ . -";
	if (!get_argument(wsi, "after", value, sizeof(value)))
		return NULL;
	from->after_new = strcmp(value, "new") == 0;
	from->has_after = !from->after_new;
	if (from->has_after && (!dw_parse_number(value, &after) || after < 0))
		return "after: a seq or 'new'";
	from->after = (uint64_t)after;
	return NULL;
}

/* It has shown no good token: err says why, and becomes why it may not stay. */
static int
admit_stranger(struct edge *edge, struct conn_request *request, int err)
{
	int refused = dw_http_limits_enter(&edge->limits, &request->address, &request->site);

	if (refused == DW_OK)
		return err;
	request->awaits = false;
	return refused;
}

static void
read_request(struct edge *edge, struct lws *wsi, struct conn_request *request)
{
	char path[DW_HTTP_URL_MAX + 1];
	struct dw_str room = { NULL, 0 };
	int err = DW_E_AGAIN;

	if (lws_hdr_copy(wsi, path, sizeof(path), WSI_TOKEN_GET_URI) > (int)strlen(prefix))
		room = dw_str(path + strlen(prefix));
	if (dw_room_ok(room))
		(void)dw_str_copy(room, request->room, sizeof(request->room));
	request->wrong = read_arguments(wsi, request);
	server_address(wsi, &request->address);
	if (!request->awaits)
		err = begin_check(edge, wsi, request);
	if (err != DW_OK && request->check == NULL)
		err = admit_stranger(edge, request, err);
	request->err = err;
}

int
ws_pong(struct conn *conn, const void *payload, size_t n)
{
	if (confirm_pong(conn, payload, n))
		noise_said(conn, n, true);
	return 0;
}

int
ws_filter(struct edge *edge, struct lws *wsi, struct conn **conn)
{
	struct conn_request *request = calloc(1, sizeof(*request));

	if (request == NULL)
		return -1;
	read_request(edge, wsi, request);
	*conn = conn_new(edge, wsi, request, timers_fire);
	if (*conn != NULL)
		noise_begin(*conn);
	return *conn != NULL ? 0 : -1;
}

/* libwebsockets sends no Close behind a frame that is half sent, and none before the kernel has room for much more:
 * there it is ours, and the client's is waited for. */
int
ws_end(struct lws *wsi, struct conn *conn)
{
	const struct dw_str reason = dw_str(conn->close_reason);

	if (conn->told)
		return 0;
	if (conn->close_code != 1006 && (conn->stalled_at > 0 || server_stalled(wsi))) {
		conn_tell_close(conn, conn->close_code, reason);
		return 0;
	}
	/* Past a limit it takes no place in which its Close could be waited for. */
	if (conn->request != NULL && conn->request->err == DW_E_RATE) {
		conn->ended = true;
		conn_tell_close(conn, conn->close_code, reason);
		return -1;
	}
	conn->handed = true;
	server_flush(conn->fd);
	if (conn->close_code >= 1000 && conn->close_code != 1006)
		lws_close_reason(wsi, (enum lws_close_status)conn->close_code, (unsigned char *)(uintptr_t)reason.p, reason.n);
	return -1;
}

/* The code and reason of a Close that answers this one. libwebsockets has made 1002 of a code below 3000 that it does
 * not know, also of 1012 to 1014, and of those nothing else is left to be seen. */
static unsigned
judge_close(const uint8_t *payload, size_t n, struct dw_str *reason)
{
	const unsigned code = n >= 2 ? (unsigned)payload[0] << 8 | payload[1] : 0;
	struct dw_utf8 utf8 = { 0 };

	if (n == 0)
		return 0;
	if (n == 1 || code < 1000 || code >= 5000)
		return 1002;
	if (!dw_utf8_take(&utf8, payload + 2, n - 2) || utf8.left > 0)
		return 1007;
	*reason = (struct dw_str) { (const char *)payload + 2, n - 2 };
	return code;
}

/* Answered here, and not by libwebsockets in its own time: it would go on with what follows. */
int
ws_peer_closes(struct conn *conn, const void *payload, size_t n)
{
	struct dw_str reason = { "", 0 };
	const unsigned code = judge_close(payload, n, &reason);

	conn->ended = true;
	if (!conn->told)
		conn_tell_close(conn, code, reason);
	return -1;
}

/* Not for a Close of ours or the client's, but for a frame that breaks the protocol: libwebsockets would read on in
 * what is no frame, and sends no Close for a long control frame, or behind a frame that is half sent. There it does not
 * let the client's own Close be seen either, and where it encrypts it sends nothing at all any more. */
void
ws_dropped(struct lws *wsi, struct conn *conn)
{
	if (conn->ended || conn->handed || conn->close_code == 1006 || server_ended(wsi))
		return;
	if (!conn->told && conn->state == CONN_CLOSING)
		conn_tell_close(conn, conn->close_code, dw_str(conn->close_reason));
	else if (!conn->told && server_stalled(wsi))
		conn_tell_close(conn, 1000, dw_str(""));
	else if (!conn->told)
		conn_tell_close(conn, 1002, dw_str("protocol error"));
	server_finish(wsi);
}

/* Not by a failure of the callback: libwebsockets would then send no reason. */
static int
end_soon(struct conn *conn, unsigned code, const char *reason)
{
	conn_close(conn, code, reason);
	return 0;
}

/* Whether a frame was masked nobody is told: libwebsockets (4.1) takes those that are not (RFC 6455, 5.1, wants them
 * refused). */
int
ws_receive(struct lws *wsi, struct conn *conn, const void *bytes, size_t n)
{
	noise_said(conn, n, lws_remaining_packet_payload(wsi) == 0);
	/* What was under way when we closed is read and dropped: left unread it would reset the connection, and the client
	 * would never learn the reason. libwebsockets ends this after a few seconds. */
	if (conn->state == CONN_CLOSING)
		return 0;
	if (lws_is_first_fragment(wsi) && lws_frame_is_binary(wsi))
		return end_soon(conn, 1003, "text frames only");
	if (conn->rx == NULL)
		conn->rx = calloc(1, sizeof(*conn->rx));
	if (conn->rx == NULL)
		return end_soon(conn, 1013, "try again later");
	if (conn->rx->total + n + lws_remaining_packet_payload(wsi) > LIMIT_CLIENT_FRAME)
		return end_soon(conn, 1009, "too big");
	if (!dw_utf8_take(&conn->rx->utf8, bytes, n))
		return end_soon(conn, 1007, "bad utf8");
	conn->rx->total += n;
	if (conn->rx->total <= LIMIT_CLIENT_MESSAGE)
		dw_buf_add(&conn->rx->text, bytes, n);
	if (lws_remaining_packet_payload(wsi) > 0 || !lws_is_final_fragment(wsi))
		return 0;
	if (conn->rx->utf8.left > 0)
		return end_soon(conn, 1007, "bad utf8");
	if (!dw_buf_ok(&conn->rx->text))
		return end_soon(conn, 1013, "try again later");
	/* `connect` is the first that a client hears, so what it says before that waits, and so does what is behind. */
	if (conn->state == CONN_OPEN && !conn->connected) {
		conn->early = true;
		server_hold(wsi, true);
		return 0;
	}
	conn_text(conn, conn->rx);
	conn_drop_incoming(conn);
	return 0;
}

void
ws_closed(const struct conn *conn, int fd)
{
	dw_http_linger(conn->edge->http, fd, conn->ended);
}
