/* The connection to the hub. It alone knows when the hub is there; what the hub's messages mean is for who made it
 * (struct uplink_events).
 *
 * Happy path: HELLO → WELCOME → every request goes out (those of one turn of the loop as one frame); answers find their
 * asker by corr, all else goes to `said`. A tick each TICK_MS greets, pings, and tells of what ended.
 *
 * Failure modes: WHO (the hub does not know us), a send that does not go through, an answer that does not come, and
 * whatever cannot be right end in uplink_greet; what arrives before its WELCOME is not looked at. A hub that is silent
 * for long may be behind a dead line: the connection is made anew. REFUSED for another version is final.
 */
#include "uplink.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "base/clock.h"
#include "cli/logging.h"
#include "client/pending.h"
#include "hub/departed.h"
#include "wire/bus.h"

enum {
	TICK_MS = 100,
	PING_MS = 200,    /* so soon a new hub is found */
	SILENT_MS = 2000, /* not heard so long: not ready */
	DEAD_MS = 5000,   /* and so long: the connection is made anew */
	GREETINGS = 4,    /* a HELLO without an answer is repeated after PING_MS, and twice as long each of so many times */
	PUMP_US = 2000,   /* frames are taken for so long in one turn of the loop */
	YIELD_US = 500,   /* see on_turn */
	UNANSWERED_BYTES = 64 * 1024 * 1024,
};

/* Sessions number their READs themselves: ours have the highest bit set. */
static const uint64_t FIRST_MADE = (UINT64_C(1) << 63) / DW_PENDING_MAX;

struct uplink {
	struct edge *edge;
	const struct uplink_events *events;
	struct dw_bus *bus;
	uv_poll_t poll;
	uv_timer_t tick;
	uv_idle_t more; /* runs while frames, or readers to be offered something, are left over from a turn */
	uv_prepare_t turn;
	unsigned open;       /* of these four */
	uint64_t yielded_at; /* dw_mono_us */
	char name[128];
	uint64_t peer, incarnation;
	char epoch[DW_EPOCH_MAX + 1];
	bool up;
	unsigned greetings; /* HELLOs since the last WELCOME that went out */
	uint64_t greeted_at, heard_at, pinged_at;
	uint64_t answered; /* when the newest PING was sent that the hub has answered, */
	bool writable;     /* and what it said of its storage */
	struct dw_pendings asked;
	bool asks; /* what was asked may be sent: `welcomed` is over */
	struct departed departed;
	struct dw_buf out;
	struct dw_str rest; /* of a frame of several messages: what was not taken yet */
	int fatal;
};

static bool
send_asked(struct uplink *uplink)
{
	return !uplink->asks || dw_pendings_send(&uplink->asked, uplink->bus);
}

static bool
transmit(struct uplink *uplink, const struct dw_wire *message)
{
	dw_buf_reset(&uplink->out);
	dw_wire_pack(&uplink->out, message);
	return dw_buf_ok(&uplink->out) && send_asked(uplink) &&
		   dw_bus_send(uplink->bus, uplink->out.data, uplink->out.len) == DW_OK;
}

/* The hub forgets what it knew of us, we tell it all again after its WELCOME. */
void
uplink_greet(struct uplink *uplink)
{
	const struct dw_wire hello = { .kind = DW_HELLO,
		.hello = { .version = dw_protocol_version(),
			.kind = DW_PEER_EDGE,
			.peer = uplink->peer,
			.incarnation = ++uplink->incarnation,
			.name = dw_str(uplink->name) } };

	if (uplink->up)
		dw_log_warn("hub lost", "incarnation=%llu", (unsigned long long)uplink->incarnation);
	uplink->up = uplink->asks = false;
	uplink->greeted_at = dw_mono_ms();
	uplink->events->lost(uplink->edge);
	if (transmit(uplink, &hello) && uplink->greetings < GREETINGS)
		uplink->greetings++;
}

/* A busy hub must have the time to answer one HELLO before it is outdated by the next. */
static uint64_t
greet_wait(const struct uplink *uplink)
{
	return uplink->greetings == 0 ? TICK_MS : (uint64_t)PING_MS << (uplink->greetings - 1);
}

bool
uplink_send(struct uplink *uplink, const struct dw_wire *message)
{
	if (!uplink->up)
		return false;
	if (transmit(uplink, message)) {
		/* Sending may have used up the descriptor's edge for what came meanwhile. */
		uplink_turn(uplink);
		return true;
	}
	uplink_greet(uplink);
	return false;
}

bool
uplink_ready(const struct uplink *uplink)
{
	return uplink->up && dw_mono_ms() < uplink->heard_at + SILENT_MS;
}

const char *
uplink_unready(const struct uplink *uplink)
{
	if (!uplink_ready(uplink) || dw_mono_ms() >= uplink->answered + SILENT_MS)
		return "the hub does not answer";
	return uplink->writable ? NULL : "the storage is full";
}

const char *
uplink_epoch(const struct uplink *uplink)
{
	return uplink->epoch;
}

int
uplink_fatal(const struct uplink *uplink)
{
	return uplink->fatal;
}

void
uplink_depart(struct uplink *uplink, const struct dw_leave *leave)
{
	departed_add(&uplink->departed, leave);
}

static void
tell_departed(struct uplink *uplink)
{
	const struct dw_leave *leave;

	/* After a send that fails all are told again. */
	for (size_t i = 0; i < DEPARTED_AT_ONCE && (leave = departed_next(&uplink->departed)) != NULL; i++)
		if (!uplink_send(uplink, &(struct dw_wire) { .kind = DW_LEAVE, .leave = *leave }))
			return;
}

void
uplink_doubt(struct uplink *uplink, uint64_t asked_at)
{
	if (uplink->up && uplink->answered > asked_at) {
		dw_log_warn("the hub has not answered", NULL);
		uplink_greet(uplink);
	}
}

int
uplink_ask(struct uplink *uplink, const struct dw_wire *request, uplink_done *done, void *user, uint64_t *corr)
{
	const struct dw_pending *pending;

	if (dw_pendings_full(&uplink->asked))
		return DW_E_BUSY;
	pending = dw_pendings_add(&uplink->asked, request, done, user);
	if (pending == NULL)
		return DW_E_NOMEM;
	*corr = pending->corr;
	uplink_turn(uplink);
	return DW_OK;
}

void
uplink_cancel(struct uplink *uplink, uint64_t corr)
{
	dw_pendings_cancel(&uplink->asked, corr);
}

static void
take_welcome(struct uplink *uplink, const struct dw_welcome *welcome)
{
	const bool other = uplink->epoch[0] != '\0' && !dw_str_is(welcome->epoch, uplink->epoch);

	if (welcome->incarnation != uplink->incarnation)
		return;
	(void)dw_str_copy(welcome->epoch, uplink->epoch, sizeof(uplink->epoch));
	uplink->up = true;
	uplink->greetings = 0;
	uplink->answered = uplink->pinged_at = 0;
	dw_log_info("hub welcomed us", "epoch=%s head=%llu", uplink->epoch, (unsigned long long)welcome->head);
	if (other)
		departed_clear(&uplink->departed);
	departed_again(&uplink->departed);
	tell_departed(uplink);
	uplink->events->welcomed(uplink->edge, other);
	dw_pendings_unsend(&uplink->asked);
	uplink->asks = uplink->up;
	if (!send_asked(uplink))
		uplink_greet(uplink);
}

static void
take_refused(struct uplink *uplink, const struct dw_refused *refused)
{
	if (refused->code == (uint64_t)-DW_E_VERSION || refused->code == (uint64_t)-DW_E_PERMISSION) {
		dw_log_error("the hub refuses us", "code=%llu reason=%.*s", (unsigned long long)refused->code,
			(int)refused->text.n, refused->text.p);
		uplink->fatal = -(int)refused->code;
		uv_stop(uplink->tick.loop);
		return;
	}
	dw_log_error("the hub refused a message", "code=%llu", (unsigned long long)refused->code);
}

static void
take(struct uplink *uplink, const struct dw_wire *message)
{
	uplink->heard_at = dw_mono_ms();
	if (!uplink->up && message->kind != DW_WHO && message->kind != DW_WELCOME && message->kind != DW_REFUSED)
		return;
	switch (message->kind) {
	case DW_WHO:
		if (uplink->up || uplink->heard_at >= uplink->greeted_at + PING_MS)
			uplink_greet(uplink);
		break;
	case DW_WELCOME:
		take_welcome(uplink, &message->welcome);
		break;
	case DW_REFUSED:
		take_refused(uplink, &message->refused);
		break;
	case DW_RECORDS:
		if (dw_pendings_answer(&uplink->asked, message))
			break;
		/* fall through */
	case DW_MESSAGES:
	case DW_JOINED:
	case DW_CLOSE:
		if (!uplink->events->said(uplink->edge, message))
			uplink_greet(uplink);
		break;
	case DW_STORED:
	case DW_TABLE:
	case DW_OWNED:
	case DW_DELIVERED:
		(void)dw_pendings_answer(&uplink->asked, message);
		break;
	case DW_PONG:
		uplink->answered = message->pong.token;
		uplink->writable = message->pong.writable;
		departed_known(&uplink->departed, uplink->answered);
		break;
	case DW_SHUTDOWN:
		dw_log_info("the hub goes away", NULL);
		break;
	default:
		break;
	}
}

/* The descriptor is edge-triggered: the loop sleeps only when nothing is left. */
static void
pump(struct uplink *uplink)
{
	const uint64_t end = dw_mono_us() + PUMP_US;
	struct dw_fault fault;
	struct dw_wire message;
	int err;

	while (dw_mono_us() < end) {
		if (uplink->rest.n == 0 && dw_bus_recv(uplink->bus, &uplink->rest) != DW_OK)
			break;
		err = dw_wire_next(&uplink->rest, &message, &fault);
		if (err == DW_OK)
			take(uplink, &message);
		else
			dw_log_warn("cannot take what the hub sent", "reason=%s", fault.message);
		if (err == DW_E_NOMEM)
			uplink_greet(uplink);
	}
	if (!send_asked(uplink))
		uplink_greet(uplink);
	if (uplink->events->turn(uplink->edge) || uplink->rest.n > 0 || dw_bus_readable(uplink->bus))
		uplink_turn(uplink);
	else
		(void)uv_idle_stop(&uplink->more);
}

static void
pump_again(uv_idle_t *idle)
{
	pump(idle->data);
}

void
uplink_turn(struct uplink *uplink)
{
	(void)uv_idle_start(&uplink->more, pump_again);
}

static void
on_readable(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	pump(poll->data);
}

/* What the hub sends comes by a thread of libzmq. Where it shares a processor with a loop that always has something to
 * do, the system lets it wait for milliseconds, unless it is let by. */
static void
on_turn(uv_prepare_t *turn)
{
	struct uplink *uplink = turn->data;
	const uint64_t now = dw_mono_us();

	if (now < uplink->yielded_at + YIELD_US)
		return;
	uplink->yielded_at = now;
	(void)sched_yield();
}

/* A line that lost its other end in silence would stay as it is for many minutes. */
static void
look_for_death(struct uplink *uplink, uint64_t now)
{
	if (now < uplink->heard_at + DEAD_MS)
		return;
	uplink->heard_at = now; /* the next time as long after this one */
	dw_bus_reconnect(uplink->bus);
	uplink->greetings = 0;
	if (uplink->up)
		uplink_greet(uplink);
}

static void
on_tick(uv_timer_t *timer)
{
	struct uplink *uplink = timer->data;
	uint64_t now = dw_mono_ms();

	if (!uplink->up) {
		if (now >= uplink->greeted_at + greet_wait(uplink) && uplink->fatal == 0)
			uplink_greet(uplink);
	} else {
		uplink->events->tick(uplink->edge);
		tell_departed(uplink);
		if (now >= uplink->pinged_at + PING_MS) {
			uplink->pinged_at = now;
			(void)uplink_send(uplink, &(struct dw_wire) { .kind = DW_PING, .ping = { .token = now } });
		}
	}
	look_for_death(uplink, now);
	dw_pendings_expire(&uplink->asked, now, UINT64_MAX);
	pump(uplink);
}

static int
open_handles(struct uplink *uplink, uv_loop_t *loop)
{
	if (uv_poll_init(loop, &uplink->poll, dw_bus_fd(uplink->bus)) != 0)
		return DW_E_NOMEM;
	(void)uv_timer_init(loop, &uplink->tick);
	(void)uv_idle_init(loop, &uplink->more);
	(void)uv_prepare_init(loop, &uplink->turn);
	uplink->open = 4;
	uplink->poll.data = uplink->tick.data = uplink->more.data = uplink->turn.data = uplink;
	(void)uv_prepare_start(&uplink->turn, on_turn);
	(void)uv_poll_start(&uplink->poll, UV_READABLE, on_readable);
	(void)uv_timer_start(&uplink->tick, on_tick, 0, TICK_MS);
	return DW_OK;
}

int
uplink_new(struct uplink **out, const struct uplink_config *config, const struct uplink_events *events,
	struct edge *edge, struct dw_fault *fault)
{
	struct uplink *uplink = calloc(1, sizeof(*uplink));
	int err;

	if (uplink == NULL)
		return DW_E_NOMEM;
	uplink->edge = edge;
	uplink->events = events;
	uplink->asked = (struct dw_pendings) { .window = DW_PENDING_MAX,
		.bytes_max = UNANSWERED_BYTES,
		.counts_waiting = true,
		.timeout_ms = UPLINK_ANSWER_MS,
		.grace_ms = UPLINK_ANSWER_MS,
		.made = FIRST_MADE };
	uplink->peer = dw_random();
	uplink->heard_at = dw_mono_ms();
	(void)snprintf(uplink->name, sizeof(uplink->name), "%s", config->name);
	err = dw_pendings_init(&uplink->asked);
	if (err == DW_OK)
		err = dw_bus_connect(&uplink->bus, config->uri, NULL, fault);
	if (err == DW_OK)
		err = open_handles(uplink, config->loop);
	if (err != DW_OK) {
		dw_bus_destroy(&uplink->bus);
		dw_pendings_clear(&uplink->asked);
		free(uplink);
		return err;
	}
	*out = uplink;
	return DW_OK;
}

static void
close_handle(uv_handle_t *handle)
{
	struct uplink *uplink = handle->data;

	if (--uplink->open == 0)
		free(uplink);
}

void
uplink_destroy(struct uplink **uplink_p)
{
	struct uplink *uplink = *uplink_p;
	struct dw_bus *bus;

	if (uplink == NULL)
		return;
	*uplink_p = NULL;
	dw_pendings_end_all(&uplink->asked, DW_E_CLOSING);
	if (uplink->up)
		(void)transmit(uplink, &(struct dw_wire) { .kind = DW_BYE });
	dw_buf_clear(&uplink->out);
	dw_pendings_clear(&uplink->asked);
	departed_clear(&uplink->departed);
	bus = uplink->bus;
	uv_close((uv_handle_t *)&uplink->poll, close_handle);
	uv_close((uv_handle_t *)&uplink->tick, close_handle);
	uv_close((uv_handle_t *)&uplink->more, close_handle);
	uv_close((uv_handle_t *)&uplink->turn, close_handle);
	dw_bus_destroy(&bus);
}
