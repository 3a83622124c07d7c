/* See owners.h. The registry's owner is asked with what an edge asks, OWN `check`, on a connection as commands have it
 * (lib/client): its descriptor is polled by the loop, and its times are looked at with each tick.
 */
#include "http/owners.h"

#include <stdlib.h>
#include <uv.h>

#include "client/client.h"

enum { WINDOW = 2048, LOOK_MS = 1000 };

struct owners {
	struct dw_client *client;
	uv_poll_t poll;
	uint64_t look_at;
	bool looking; /* whether the hub is there */
	bool ready;
};

struct question {
	owners_done *done;
	void *to;
};

int
owners_new(struct owners **out, const char *endpoint, int64_t timeout_ms, struct dw_fault *fault)
{
	const struct dw_client_config config = {
		.endpoint = endpoint, .name = "diagws-clinic", .timeout_ms = timeout_ms, .window = WINDOW, .gathers = true
	};
	struct owners *owners = calloc(1, sizeof(*owners));
	int err;

	if (owners == NULL)
		return DW_E_NOMEM;
	err = dw_client_new(&owners->client, &config, fault);
	if (err == DW_OK)
		*out = owners;
	else
		free(owners);
	return err;
}

static void
on_readable(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	owners_turn(poll->data);
}

int
owners_watch(struct owners *owners, struct uv_loop_s *loop)
{
	if (uv_poll_init(loop, &owners->poll, dw_client_fd(owners->client)) != 0)
		return DW_E_NOMEM;
	owners->poll.data = owners;
	return uv_poll_start(&owners->poll, UV_READABLE, on_readable) == 0 ? DW_OK : DW_E_NOMEM;
}

void
owners_destroy(struct owners **owners_p)
{
	struct owners *owners = *owners_p;

	if (owners == NULL)
		return;
	*owners_p = NULL;
	dw_client_destroy(&owners->client);
	free(owners);
}

static void
on_answer(void *user, int err, const struct dw_wire *answer)
{
	struct question *question = user;
	const struct question asked = *question;

	(void)answer;
	free(question);
	asked.done(asked.to, err);
}

int
owners_ask(
	struct owners *owners, struct dw_str diagnosis, struct dw_str user, bool claimed, owners_done *done, void *to)
{
	const struct dw_wire check = { .kind = DW_OWN,
		.own = { .verb = DW_STR("check"), .room = diagnosis, .user = user, .claimed = claimed } };
	struct question *question;
	int err;

	if (!dw_client_has_room(owners->client))
		return DW_E_BUSY;
	question = malloc(sizeof(*question));
	if (question == NULL)
		return DW_E_NOMEM;
	*question = (struct question) { done, to };
	err = dw_client_ask(owners->client, &check, on_answer, question);
	if (err != DW_OK)
		free(question);
	return err;
}

void
owners_turn(struct owners *owners)
{
	(void)dw_client_poll(owners->client, 0);
}

static void
on_look(void *user, int err, const struct dw_wire *answer)
{
	struct owners *owners = user;

	(void)answer;
	owners->looking = false;
	owners->ready = err == DW_OK;
}

void
owners_tick(struct owners *owners, uint64_t now_ms)
{
	const struct dw_wire look = { .kind = DW_STAT, .stat = { .view = DW_STR("summary"), .limit = 1 } };

	if (!owners->looking && now_ms >= owners->look_at && dw_client_has_room(owners->client)) {
		owners->look_at = now_ms + LOOK_MS;
		owners->looking = dw_client_ask(owners->client, &look, on_look, owners) == DW_OK;
		owners->ready &= owners->looking;
	}
	owners_turn(owners);
}

bool
owners_ready(const struct owners *owners)
{
	return owners->ready;
}
