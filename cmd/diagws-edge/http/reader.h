/* What libmicrohttpd reads of a client: each request's head is parsed strictly (door/head.h) and written anew in
 * canonical form, each body's framing is checked. So libmicrohttpd never sees what it would take too kindly, and
 * whatever is refused reaches http.c in its turn, as a request that says why. Pure: bytes in, bytes out.
 *
 * A canonical head has Host, what frames the body, and of the rest Expect, Connection, Authorization, Content-Type,
 * Origin and Access-Control-Request-Method. Two more are ours, and no client can send them: "Refused: N" asks for the
 * answer that enum head_fault N has, "Encoded: 1" tells of a Content-Encoding. In a path '%' is '!': it is matched as
 * sent, and no path that is known has either.
 */
#ifndef READER_H
#define READER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "door/head.h"

struct dw_opt_list;

enum { LIMIT_BODY = 256 * 1024 };

enum reader_state {
	READ_HEAD,  /* what is in `in` begins one */
	READ_BODY,  /* from here to READ_TRAILER the newest request's body is not whole */
	READ_CHUNK, /* its size is next */
	READ_CHUNK_DATA,
	READ_CHUNK_END,
	READ_TRAILER,
	READ_NOTHING /* something was refused that leaves no way to tell where the next request begins */
};

struct reader {
	const struct dw_opt_list *origins; /* of --origin */
	struct dw_buf in, out;
	size_t in_at, out_at, scanned;
	uint64_t left;               /* of the body or chunk */
	uint64_t total;              /* of the chunks */
	uint64_t requests, answered; /* heads that were given, and answers, which the user counts */
	enum reader_state state;
	enum head_fault fault; /* of the newest request's body, which was cut short for it */
	unsigned blank;        /* bytes of empty lines before the next head */
	bool last;             /* the newest request is: its client, or its version of HTTP, said so */
	bool upgrade;          /* a WebSocket is asked for: in has its head, nothing else; what is put takes it back */
};

/* What came. */
void reader_put(struct reader *reader, const void *bytes, size_t n);
/* Up to n bytes for libmicrohttpd. Fewer: more has to come first, or nothing more will be given (READ_NOTHING). */
size_t reader_get(struct reader *reader, char *out, size_t n);
void reader_clear(struct reader *reader);

#endif
