/* What libmicrohttpd reads of a client: each request's head is parsed strictly (http/head.h) and written anew in
 * canonical form, each body's framing is checked. So libmicrohttpd never sees what it would take too kindly, and
 * whatever is refused reaches life.c in its turn, as a request that says why. Pure: bytes in, bytes out.
 *
 * A canonical head has Host, what frames the body, and of the rest Expect, Connection, Authorization, Content-Type,
 * Origin, Access-Control-Request-Method and If-None-Match. Two more are ours, and no client can send them: "Refused: N"
 * asks for the answer that enum dw_http_fault N has, "Encoded: 1" tells of a Content-Encoding. In a path '%' is '#',
 * which no target has, so that libmicrohttpd decodes nothing: it is matched as sent, and no path that is known has
 * either; what stands for a name is decoded then (route.h).
 */
#ifndef DIAGWS_HTTP_READER_H
#define DIAGWS_HTTP_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "http/head.h"

enum { DW_HTTP_BODY_MAX = 256 * 1024 };

enum dw_http_reader_state {
	DW_HTTP_READ_HEAD,  /* what is in `in` begins one */
	DW_HTTP_READ_BODY,  /* from here to DW_HTTP_READ_TRAILER the newest request's body is not whole */
	DW_HTTP_READ_CHUNK, /* its size is next */
	DW_HTTP_READ_CHUNK_DATA,
	DW_HTTP_READ_CHUNK_END,
	DW_HTTP_READ_TRAILER,
	DW_HTTP_READ_NOTHING /* something was refused that leaves no way to tell where the next request begins */
};

struct dw_http_reader {
	dw_http_asks_upgrade *asks;        /* NULL: there is nothing to upgrade to */
	const struct dw_opt_list *origins; /* for it */
	struct dw_buf in, out;
	size_t in_at, out_at, scanned;
	uint64_t left;               /* of the body or chunk */
	uint64_t total;              /* of the chunks */
	uint64_t requests, answered; /* heads that were given, and answers, which the user counts */
	enum dw_http_reader_state state;
	enum dw_http_fault fault; /* of the newest request's body, which was cut short for it */
	unsigned blank;           /* bytes of empty lines before the next head */
	bool last;                /* the newest request is: its client, or its version of HTTP, said so */
	bool upgrade;             /* an upgrade is asked for: in has its head, nothing else; what is put takes it back */
};

/* What came. */
void dw_http_reader_put(struct dw_http_reader *reader, const void *bytes, size_t n);
/* Up to n bytes for libmicrohttpd. Fewer: more has to come first, or nothing more will be given (DW_HTTP_READ_NOTHING).
 */
size_t dw_http_reader_get(struct dw_http_reader *reader, char *out, size_t n);
void dw_http_reader_clear(struct dw_http_reader *reader);

#endif
