/* Its own file because when clients are started is above how one is connected (client.c) and what is counted (count.c).
 * Failure modes: a limit of open files that cannot be raised, no memory.
 */
#include "crowd.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { FILES_BESIDE = 256, STARTS_IN_A_TURN = 64 };

static int
raise_limit(uint32_t clients, struct dw_fault *fault)
{
	const rlim_t wanted = (rlim_t)clients + FILES_BESIDE;
	struct rlimit limit, more;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
		return DW_OK;
	more = (struct rlimit) { wanted, limit.rlim_max > wanted ? limit.rlim_max : wanted };
	if (setrlimit(RLIMIT_NOFILE, &more) == 0)
		return DW_OK;
	return dw_fault_set(fault, DW_E_CONFIG, NULL, "a hard limit (ulimit -Hn) of as many",
		"%u connections need %llu open files, and only %llu are allowed", clients, (unsigned long long)wanted,
		(unsigned long long)limit.rlim_max);
}

int
crowd_init(struct crowd *crowd, const struct plan *plan, struct loop *loop, struct dw_fault *fault)
{
	const struct options *options = plan->options;

	*crowd = (struct crowd) {
		.plan = plan,
		.loop = loop,
		.count = plan->clients,
		.no_confirm = options->no_confirm,
		.ready_text = options->ready,
		.ready_n = strlen(options->ready),
		.begun_at = now_ns(),
		.count_from = UINT64_MAX,
		.sent = { "\"sent", 5, 0 },
		.number = { "\"number", 7, 0 },
		.seq = { "\"seq", 4, 0 },
	};
	crowd->clients = calloc((size_t)plan->clients + 1, sizeof(*crowd->clients));
	crowd->rooms = calloc(plan->rooms, sizeof(*crowd->rooms));
	if (crowd->clients == NULL || crowd->rooms == NULL)
		return DW_E_NOMEM;
	for (uint32_t i = 0; i < plan->clients; i++) {
		crowd->clients[i].stream.fd = -1;
		crowd->clients[i].index = i;
		crowd->clients[i].room = plan_room_of(plan, i);
		crowd->clients[i].crowd = crowd;
	}
	return raise_limit(plan->clients + (uint32_t)options->senders, fault);
}

void
crowd_clear(struct crowd *crowd)
{
	for (uint32_t i = 0; crowd->clients != NULL && i < crowd->count && crowd->clients[i].crowd != NULL; i++)
		client_cut(&crowd->clients[i]);
	free(crowd->clients);
	free(crowd->rooms);
	*crowd = (struct crowd) { 0 };
}

uint64_t
crowd_connect(struct crowd *crowd, uint64_t now, uint64_t rate, uint32_t concurrency)
{
	for (uint32_t i = 0; crowd->started < crowd->count; i++) {
		const uint64_t due = rate > 0 ? crowd->start_at + crowd->started * UINT64_C(1000000000) / rate : now;

		if (crowd->unfinished >= concurrency)
			return LOOP_IDLE;
		if (due > now)
			return due;
		/* What has come meanwhile is not to wait for all of them. */
		if (i == STARTS_IN_A_TURN)
			return now;
		crowd->started++;
		client_open(&crowd->clients[crowd->started - 1], due, UINT64_MAX);
	}
	return LOOP_IDLE;
}
