/* Sending the messages: through the hub's socket, or by HTTP POST over connections that are kept.
 *
 * A lane sends its jobs in the order they were added, at most a window of them unanswered; several lanes are
 * independent. Nothing here waits.
 */
#ifndef BENCH_PUBLISHER_H
#define BENCH_PUBLISHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "histogram.h"
#include "loop.h"
#include "plan.h"

struct job {
	uint64_t number, due; /* due: ns; the message says so */
	uint32_t room;
};

enum { LANES_MAX = 64 }; /* over HTTP, of a subcommand that chooses */

struct lane;
struct dw_client;
struct dw_wire;

struct publisher {
	const struct plan *plan;
	struct loop *loop;
	struct lane *lanes;
	size_t count, window;
	uint64_t acknowledged, rejected;
	uint64_t count_from;     /* ns: what was due before is not counted in these */
	struct histogram *times; /* from due to the answer; NULL: not wanted */
	int err;                 /* of the first that was not stored */
	struct dw_fault fault;
};

struct asked {
	struct asked *next;
	struct lane *lane;
	uint64_t due;
};

struct lane {
	struct source source; /* the first member */
	struct publisher *publisher;
	struct job *jobs; /* a ring */
	size_t first, waiting, room;
	size_t unanswered;
	/* the hub */
	struct dw_client *hub;
	struct asked *asked, *free;
	uint64_t polled_at;
	/* HTTP */
	int fd;
	bool connected;
	uint64_t due;
	struct dw_buf out, in;
	size_t sent;
};

/* DW_E_NOMEM and what dw_client_new fails with. To be cleared also then. */
int publisher_init(struct publisher *publisher, const struct plan *plan, struct loop *loop, size_t lanes, size_t window,
	struct dw_fault *fault);
void publisher_clear(struct publisher *publisher);
/* false: no memory (which ends the loop). */
bool publisher_add(struct publisher *publisher, size_t lane, const struct job *job);
/* Sends what can be sent. To be called in every turn. */
void publisher_turn(struct publisher *publisher, uint64_t now);
/* Jobs that are not answered yet. */
uint64_t publisher_pending(const struct publisher *publisher);
/* How many more jobs the lane could send at once. */
size_t publisher_room(const struct publisher *publisher, size_t lane);

/* lane.c: for hub.c and post.c, which send. */
void lane_answered(struct lane *lane, uint64_t due, int err, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
int hub_open(struct lane *lane, struct dw_fault *fault);
void hub_close(struct lane *lane);
void hub_send(struct lane *lane, const struct job *job);
void hub_poll(struct lane *lane, uint64_t now);
void post_close(struct lane *lane);
void post_send(struct lane *lane, const struct job *job);

#endif
