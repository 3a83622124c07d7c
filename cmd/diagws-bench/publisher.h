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

enum { LANES_MAX = 64 }; /* over HTTP, of a subcommand that chooses */

struct lane;

struct publisher {
	const struct plan *plan;
	struct loop *loop;
	struct lane *lanes;
	size_t count, window;
	bool strict;      /* a message that is not stored ends the loop */
	uint64_t pending; /* messages that are not answered yet */
	uint64_t acknowledged, rejected;
	uint64_t count_from;     /* ns: what was due before is not counted in these */
	struct histogram *times; /* from due to the answer; NULL: not wanted */
	int err;                 /* of the first that was not stored */
	struct dw_fault fault;
};

/* DW_E_NOMEM and what dw_client_new fails with. To be cleared also then. */
int publisher_init(struct publisher *publisher, const struct plan *plan, struct loop *loop, size_t lanes, size_t window,
	struct dw_fault *fault);
void publisher_clear(struct publisher *publisher);
/* A message is to be sent, which says that it was due (ns). No memory ends the loop. */
void publisher_add(struct publisher *publisher, size_t lane, uint32_t room, uint64_t number, uint64_t due);
/* Sends what can be sent. To be called in every turn. */
void publisher_turn(struct publisher *publisher, uint64_t now);
/* The lane could send another message at once. */
bool publisher_has_room(const struct publisher *publisher, size_t lane);

#endif
