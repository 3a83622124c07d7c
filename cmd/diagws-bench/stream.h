/* A TCP connection in the loop, and the head of an HTTP/1.1 answer: what a client's connection and a POST's share. */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include <netinet/in.h>
#include <stdbool.h>

#include "base/buf.h"
#include "loop.h"
#include "plan.h"

struct stream {
	struct source source; /* the first member, and that of its owner; set by who opens it */
	struct loop *loop;
	int fd;            /* -1: closed */
	bool blocked;      /* EPOLLOUT is watched for */
	struct dw_buf out; /* what the kernel has not taken yet */
};

/* from: the own address; NULL: the system's choice. false: see errno; to be closed also then. */
bool stream_open(struct stream *stream, struct loop *loop, const struct target *target, const struct sockaddr_in *from);
void stream_close(struct stream *stream);
/* Sends what is in `out` as far as the kernel takes it; EPOLLOUT comes when it takes more. false: see errno. */
bool stream_flush(struct stream *stream);
/* The value of a header, whose name has its colon, up to a "\r"; NULL: there is none before `end`, which is where the
 * empty line begins. */
const char *head_value(const char *head, const char *end, const char *name);

#endif
