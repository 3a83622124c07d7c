/* edge */
/* libs: msgpack jansson libcrypto libjwt */
/* An upgrade by TLS, whose head libwebsockets has read: what is no good is answered in HTTP before it is one; and where
 * its token may stand.
 */
#include <libwebsockets.h>

#include "../../lib/edge_kit.h"

static struct lws *
ask(void)
{
	by_tls = true;
	headers[WSI_TOKEN_UPGRADE] = "websocket";
	headers[WSI_TOKEN_GET_URI] = "/ws/123";
	headers[WSI_TOKEN_HEAD_URI] = NULL;
	headers[WSI_TOKEN_HOST] = "example.org";
	headers[WSI_TOKEN_ORIGIN] = headers[WSI_TOKEN_PROTOCOL] = headers[WSI_TOKEN_HTTP_CONTENT_LENGTH] = NULL;
	headers[WSI_TOKEN_KEY] = "dGhlIHNhbXBsZSBub25jZQ==";
	headers[WSI_TOKEN_VERSION] = "13";
	dw_buf_reset(&answered);
	return (struct lws *)(void *)client_at(0);
}

static void
assert_answered(struct lws *wsi, const char *status, const char *code)
{
	assert_int_equal(ws_confirm(&edge, wsi), -1);
	assert_true(answered.len > 0);
	assert_non_null(strstr(answered.data, status));
	assert_non_null(strstr(answered.data, code));
}

static void
a_good_one_is_taken(void)
{
	struct lws *wsi = ask();

	assert_int_equal(ws_confirm(&edge, wsi), 0);
	headers[WSI_TOKEN_PROTOCOL] = "diagws";
	assert_int_equal(ws_confirm(&edge, wsi), 0);
	assert_int_equal(answered.len, 0);
	/* Not by TLS the gate has looked at it. */
	headers[WSI_TOKEN_KEY] = NULL;
	by_tls = false;
	assert_int_equal(ws_confirm(&edge, wsi), 0);
}

static void
one_that_is_no_good_is_answered_in_http(void)
{
	struct lws *wsi = ask();

	headers[WSI_TOKEN_KEY] = "short";
	assert_answered(wsi, "HTTP/1.1 400", "bad_upgrade");
	(void)ask();
	headers[WSI_TOKEN_VERSION] = "8";
	assert_answered(wsi, "HTTP/1.1 426", "Sec-WebSocket-Version: 13\r\n");
	(void)ask();
	headers[WSI_TOKEN_UPGRADE] = "h2c";
	assert_answered(wsi, "HTTP/1.1 400", "bad_upgrade");
	(void)ask();
	headers[WSI_TOKEN_GET_URI] = "/elsewhere";
	assert_answered(wsi, "HTTP/1.1 404", "not_found");
	(void)ask();
	headers[WSI_TOKEN_HTTP_CONTENT_LENGTH] = "5";
	assert_answered(wsi, "HTTP/1.1 400", "bad_upgrade");
	(void)ask();
	edge.config.origins = (struct dw_opt_list) { .item = { "https://good.example" }, .count = 1 };
	headers[WSI_TOKEN_ORIGIN] = "https://evil.example";
	assert_answered(wsi, "HTTP/1.1 403", "origin");
	headers[WSI_TOKEN_ORIGIN] = "https://good.example";
	assert_int_equal(ws_confirm(&edge, wsi), 0);
	(void)ask();
	headers[WSI_TOKEN_PROTOCOL] = "diagws, token";
	assert_answered(wsi, "HTTP/1.1 400", "auth=message");
}

static void
what_is_no_upgrade_is_sent_elsewhere(void)
{
	assert_int_equal(ws_refuse_http(ask()), -1);
	assert_non_null(strstr(answered.data, "HTTP/1.1 426"));
	assert_non_null(strstr(answered.data, "for HTTP there is another address"));
}

static void
a_token_stands_in_the_header_or_in_the_url(void)
{
	headers[WSI_TOKEN_HTTP_AUTHORIZATION] = "bearer t";
	(void)arrive("123", "", "ann");
	assert_text(asked(DW_JOIN).join.user, "ann");
	headers[WSI_TOKEN_HTTP_AUTHORIZATION] = "Basic t";
	(void)arrive("123", "device=d&token=t", "bob");
	assert_text(asked(DW_JOIN).join.user, "bob");
	headers[WSI_TOKEN_HTTP_AUTHORIZATION] = "Basic t";
	assert_closes(arrive("123", "tokens=t", "eve"), 1008, "token required");
	assert_asked_nothing();
}

/* Strangers, who show no good token, are counted; one more than may be is refused whatever it is about to show. */
static void
an_address_has_so_many_strangers(void)
{
	struct client *ann, *bob;

	edge.config.bounds.address_connections = 1;
	dw_http_limits_clear(&edge.limits);
	assert_int_equal(dw_http_limits_init(&edge.limits, &edge.config.bounds), DW_OK);
	address = (struct dw_http_address) { .family = DW_HTTP_ADDRESS_V4, .bytes = { 192, 0, 2, 1 } };
	ann = arrive("123", "auth=message", "ann");
	assert_int_equal(ann->conn->state, CONN_AWAITING);
	bob = arrive("123", "auth=message", "bob");
	assert_closes(bob, 1008, "rate limit");
	says(ann, "{\"type\":\"auth\",\"token\":\"t\"}");
	(void)asked(DW_JOIN);
	bob = arrive("123", "auth=message", "bob");
	assert_int_equal(bob->conn->state, CONN_AWAITING);
}

int
main(void)
{
	const struct plain_test tests[] = {
		TEST(a_good_one_is_taken),
		TEST(one_that_is_no_good_is_answered_in_http),
		TEST(what_is_no_upgrade_is_sent_elsewhere),
		TEST(a_token_stands_in_the_header_or_in_the_url),
		TEST(an_address_has_so_many_strangers),
	};

	return run_on_edges(tests, sizeof(tests) / sizeof(tests[0]));
}
