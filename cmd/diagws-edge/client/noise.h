/* What a client sends that says nothing: PINGs, empty fragments, PONGs in a flood.
 *
 * libwebsockets answers or drops these and tells nobody, and each read of a few bytes of them costs as much as a
 * message. So what is read of a client is weighed against what we are told of it. CLIENT_NOISE bytes more may come at
 * once, and then CLIENT_NOISE_RATE; beyond that nothing is read from it for SLOWED_MS. It is not closed: to come again
 * would cost more. A client by TLS is not weighed, for what it sends is not read by recv.
 */
#ifndef NOISE_H
#define NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;

/* What is read of it is weighed from now on; and not any more. */
void noise_begin(struct conn *conn);
void noise_end(const struct conn *conn);
/* n bytes of a frame say something; whole: it ends with them. */
void noise_said(struct conn *conn, size_t n, bool whole);
/* Whether it may send one more of those that it may send `most` of at once, and then CLIENT_RATE in a second. *all_at:
 * when it may send all of them again. */
bool noise_may(uint64_t *all_at, uint64_t now, uint64_t most);
/* It has said too much. What else it says is dropped, and it is closed SLOWED_MS later: who comes again and again does
 * so no more often than that. */
void noise_abuse(struct conn *conn);
/* When it is to be read from again, at most `due`; and that, or its end, when it is time. */
uint64_t noise_due(const struct conn *conn, uint64_t due);
void noise_fire(struct conn *conn, uint64_t now);

#endif
