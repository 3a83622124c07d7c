/* diagws-bench storm: all clients are cut off, miss messages, and come back at once.
 *
 * Its own file because it is the only one with two lives of a client. Each has got a message before it is cut, so it
 * knows its position ("seq" of the message, or its "number" where the server gives none) and returns with it. A client
 * has caught up when it has the last message of its room; one that failed to come back is not waited for.
 */
#include "run.h"

enum { STARTS_IN_A_TURN = 64 };

struct storm {
	struct run *run;
	uint64_t number; /* the last one sent to each room */
	uint64_t start_at;
	uint32_t returned;
};

static uint64_t
publish_turn(void *user, uint64_t now)
{
	struct storm *storm = user;
	struct run *run = storm->run;

	if (run_refused(run))
		return LOOP_IDLE;
	publisher_turn(&run->publisher, now);
	return run->crowd.owed == 0 && publisher_pending(&run->publisher) == 0 ? LOOP_DONE : LOOP_IDLE;
}

static int
publish(struct storm *storm, uint64_t count)
{
	struct run *run = storm->run;

	while (count-- > 0) {
		storm->number++;
		for (uint32_t room = 0; room < run->plan.rooms; room++)
			run_message(run, room % run->publisher.count, room, storm->number, now_ns());
	}
	return run_loop(run, publish_turn, storm);
}

static uint64_t
return_turn(void *user, uint64_t now)
{
	struct storm *storm = user;
	struct crowd *crowd = &storm->run->crowd;

	for (int i = 0; storm->returned < crowd->count && i < STARTS_IN_A_TURN; i++) {
		struct client *client = &crowd->clients[storm->returned++];

		client_open(client, storm->start_at, client->seq);
	}
	run_progress(storm->run, now, "caught up", storm->run->latency.count, crowd->count);
	if (storm->returned < crowd->count)
		return now;
	return crowd->unfinished == 0 && crowd->owed == 0 ? LOOP_DONE : LOOP_IDLE;
}

int
storm_run(struct run *run)
{
	struct storm storm = { .run = run };
	uint64_t sent_at;
	int err = run_publisher(run, run->plan.rooms);

	run->crowd.wants_seq = true;
	for (uint32_t room = 0; room < run->plan.rooms; room++)
		run->crowd.rooms[room].floor = UINT64_MAX;
	if (err == DW_OK)
		err = run_connect(run);
	if (err == DW_OK)
		err = publish(&storm, 1);
	for (uint32_t i = 0; err == DW_OK && i < run->crowd.count; i++)
		client_cut(&run->crowd.clients[i]);
	sent_at = now_ns();
	if (err == DW_OK)
		err = publish(&storm, (uint64_t)run->options->missed);
	if (err != DW_OK)
		return err;
	run->crowd.caught = &run->latency;
	err = run_begin(run);
	storm.start_at = run->begun_at;
	run->crowd.count_from = sent_at;
	if (err == DW_OK)
		err = run_loop(run, return_turn, &storm);
	return run_end(run, err);
}
