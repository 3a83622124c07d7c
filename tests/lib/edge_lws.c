/* What libwebsockets says of a client, as a test has it: a request's headers, and what a piece of a message is. See
 * edge_kit.h.
 */
#include <libwebsockets.h>

#include "edge_kit.h"

struct piece piece;
const char *headers[HEADERS];
struct dw_buf answered;

void
lws_begin(void)
{
	memset(headers, 0, sizeof(headers));
}

int
lws_hdr_total_length(struct lws *wsi, enum lws_token_indexes which)
{
	(void)wsi;
	return headers[which] != NULL ? (int)strlen(headers[which]) : 0;
}

int
lws_hdr_copy(struct lws *wsi, char *out, int size, enum lws_token_indexes which)
{
	const int n = lws_hdr_total_length(wsi, which);

	out[0] = '\0';
	if (n >= size)
		return -1;
	if (n > 0)
		memcpy(out, headers[which], (size_t)n + 1);
	return n;
}

int
lws_hdr_copy_fragment(struct lws *wsi, char *out, int size, enum lws_token_indexes which, int i)
{
	const char *from = headers[which];
	size_t n;

	(void)wsi;
	while (from != NULL && i-- > 0)
		from = strchr(from, '&') != NULL ? strchr(from, '&') + 1 : NULL;
	n = from != NULL ? strcspn(from, "&") : 0;
	if (n == 0 || n >= (size_t)size)
		return -1;
	memcpy(out, from, n);
	out[n] = '\0';
	return (int)n;
}

int
lws_is_ssl(struct lws *wsi)
{
	(void)wsi;
	return by_tls;
}

int
lws_write(struct lws *wsi, unsigned char *bytes, size_t n, enum lws_write_protocol protocol)
{
	(void)wsi;
	(void)protocol;
	dw_buf_reset(&answered);
	dw_buf_add(&answered, bytes, n);
	dw_buf_addc(&answered, '\0');
	return (int)n;
}

int
lws_is_first_fragment(struct lws *wsi)
{
	(void)wsi;
	return piece.first;
}

int
lws_is_final_fragment(struct lws *wsi)
{
	(void)wsi;
	return piece.final;
}

int
lws_frame_is_binary(struct lws *wsi)
{
	(void)wsi;
	return piece.binary;
}

size_t
lws_remaining_packet_payload(struct lws *wsi)
{
	(void)wsi;
	return piece.left;
}

void
lws_close_reason(struct lws *wsi, enum lws_close_status code, unsigned char *reason, size_t n)
{
	struct client *client = client_get(wsi);

	client->close_code = code;
	(void)dw_str_copy(dw_bytes(reason, n), client->close_reason, sizeof(client->close_reason));
}
