/* An edge that sends back what a client sends, for conformance suites: the edge's own objects, linked with -Wl,--wrap,
 * so that no line of it differs.
 *
 * What is not the product's: binary is taken, no room is joined (so no `connect`), no limit on a message is kept, and a
 * whole message is answered by its own bytes instead of by command.c (and so outside its budget).
 */
#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/conn.h"
#include "door/server.h"
#include "edge.h"
#include "room/frame.h"

enum { FDS = 65536, NO_FD = 0, BINARY_FINAL = 0x82 };

static bool binary[FDS];
static int now_fd; /* whose message is read; NO_FD, which never is binary: none */

int __real_ws_receive(struct lws *wsi, struct conn *conn, const void *bytes, size_t n);
int __wrap_ws_receive(struct lws *wsi, struct conn *conn, const void *bytes, size_t n);
int __real_lws_frame_is_binary(struct lws *wsi);
int __wrap_lws_frame_is_binary(struct lws *wsi);
size_t __real_lws_remaining_packet_payload(struct lws *wsi);
size_t __wrap_lws_remaining_packet_payload(struct lws *wsi);
bool __real_dw_utf8_take(struct dw_utf8 *utf8, const void *bytes, size_t n);
bool __wrap_dw_utf8_take(struct dw_utf8 *utf8, const void *bytes, size_t n);
int __real_ws_peer_closes(struct conn *conn, const void *payload, size_t n);
int __wrap_ws_peer_closes(struct conn *conn, const void *payload, size_t n);
void __wrap_conn_text(struct conn *conn, const struct incoming *rx);
struct subscription *__wrap_sub_open(
	struct conn *conn, const char *room, bool claimed, const struct sub_request *request);

/* Its total is what the limits are about: there never is one. */
int
__wrap_ws_receive(struct lws *wsi, struct conn *conn, const void *bytes, size_t n)
{
	now_fd = lws_get_socket_fd(wsi);
	if (lws_is_first_fragment(wsi))
		binary[now_fd] = __real_lws_frame_is_binary(wsi) != 0;
	if (conn->rx != NULL)
		conn->rx->total = 0;
	return __real_ws_receive(wsi, conn, bytes, n);
}

/* Its reason is text. */
int
__wrap_ws_peer_closes(struct conn *conn, const void *payload, size_t n)
{
	now_fd = NO_FD;
	return __real_ws_peer_closes(conn, payload, n);
}

int
__wrap_lws_frame_is_binary(struct lws *wsi)
{
	(void)wsi;
	return 0;
}

size_t
__wrap_lws_remaining_packet_payload(struct lws *wsi)
{
	return __real_lws_remaining_packet_payload(wsi) > 0;
}

bool
__wrap_dw_utf8_take(struct dw_utf8 *utf8, const void *bytes, size_t n)
{
	return binary[now_fd] || __real_dw_utf8_take(utf8, bytes, n);
}

void
__wrap_conn_text(struct conn *conn, const struct incoming *rx)
{
	struct dw_buf frame = { 0 };

	conn->heard_at = dw_mono_ms();
	frame_text(&frame, (struct dw_str) { rx->text.data != NULL ? rx->text.data : "", rx->text.len });
	if (!dw_buf_ok(&frame))
		abort();
	if (binary[now_fd])
		frame.data[0] = (char)BINARY_FINAL;
	conn->waiting = 0;
	if (conn->state == CONN_OPEN)
		(void)conn_write(conn, (struct dw_str) { frame.data, frame.len });
	dw_buf_clear(&frame);
}

struct subscription *
__wrap_sub_open(struct conn *conn, const char *room, bool claimed, const struct sub_request *request)
{
	(void)room;
	(void)claimed;
	(void)request;
	conn->connected = true; /* and what waits for `connect` goes on */
	server_flush(conn->fd);
	return &conn->first;
}
