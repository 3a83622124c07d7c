/* HTTP/1.1 POSTs over a connection that is kept, one at a time. */
#ifndef BENCH_POST_H
#define BENCH_POST_H

#include "stream.h"

/* The answer: DW_OK, or why it is none that says the message is stored. */
typedef void post_done(void *user, int err, const char *text);

struct post {
	struct stream stream; /* the first member */
	const struct target *target;
	struct dw_buf in;
	post_done *done;
	void *user; /* NULL: nothing is unanswered */
};

void post_close(struct post *post);
/* Sends what is in stream.out. */
void post_send(struct post *post, struct loop *loop, void *user);

#endif
