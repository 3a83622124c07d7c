/* The connection to the hub. Its own file because it alone knows when the hub is there.
 *
 * Happy path: HELLO → WELCOME → every session joins, every request goes out (those of one turn of the loop as one
 * frame); MESSAGES become frames
 * (rooms.c), answers find their asker by corr. A tick each TICK_MS greets, pings, and tells confirmed
 * positions together, one CONFIRM for all sessions of a room that stand at one position.
 *
 * Failure modes: WHO (the hub does not know us) and whatever cannot be right end in `greet`: a HELLO
 * with a fresh incarnation; what arrives before its own WELCOME is not looked at. A send that does
 * not go through means the same, and so does an answer that does not come. A hub that is silent for long may be
 * behind a line that is dead: the connection is made anew. REFUSED for another version is final.
 */
#include "uplink.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>
#include <uv.h>

#include "hub/asks.h"
#include "base/clock.h"
#include "cli/logging.h"
#include "client/confirm.h"
#include "client/conn.h"
#include "hub/departed.h"
#include "edge.h"
#include "room/fanout.h"
#include "room/rooms.h"
#include "client/unsaid.h"
#include "wire/bus.h"

enum {
	TICK_MS = 100,
	PING_MS = 200,    /* so soon a new hub is found */
	SILENT_MS = 2000, /* not heard so long: not ready */
	DEAD_MS = 5000,   /* and so long: the connection is made anew */
	GREETINGS = 4,    /* a HELLO without an answer is repeated after PING_MS, and twice as long each of so many times */
	PUMP_US = 2000,   /* frames are taken for so long in one turn of the loop */
	YIELD_US = 500,   /* see on_turn */
};

struct uplink {
	struct edge *edge;
	struct dw_bus *bus;
	uv_poll_t *poll;
	uv_timer_t *tick;
	uv_idle_t *more; /* runs while frames, or readers to be offered something, are left over from a turn */
	uv_prepare_t *turn;
	uint64_t yielded_at; /* dw_mono_us */
	char name[128];
	uint64_t peer, incarnation;
	char epoch[DW_EPOCH_MAX + 1];
	uint64_t hub;
	bool up;
	unsigned greetings; /* HELLOs since the last WELCOME that went out */
	uint64_t greeted_at, heard_at, pinged_at;
	uint64_t connected_at;
	uint64_t answered; /* when the newest PING was sent that the hub has answered, */
	bool writable;     /* and what it said of its storage */
	struct asks asks;
	struct unsaid unsaid;
	struct departed departed;
	struct dw_buf out;
	struct dw_buf asked; /* requests that are still to be sent */
	struct dw_str rest;  /* of a frame of several messages: what was not taken yet */
	int fatal;
};

static void pump(struct uplink *uplink);

/* Also when they are lost, they are to be sent again only after the next WELCOME. */
static bool
send_asked(struct uplink *uplink)
{
	struct dw_buf *asked = &uplink->asked;
	const bool sent =
		dw_buf_ok(asked) && (asked->len == 0 || dw_bus_send(uplink->bus, asked->data, asked->len) == DW_OK);

	dw_buf_reset(asked);
	return sent;
}

static bool
transmit(struct uplink *uplink, const struct dw_wire *message)
{
	dw_buf_reset(&uplink->out);
	dw_wire_pack(&uplink->out, message);
	return dw_buf_ok(&uplink->out) && send_asked(uplink) &&
		   dw_bus_send(uplink->bus, uplink->out.data, uplink->out.len) == DW_OK;
}

/* Starts over: the hub forgets what it knew of us, we tell it all again after its WELCOME. */
static void
greet(struct uplink *uplink)
{
	const struct dw_wire hello = { .kind = DW_HELLO,
		.hello = { .version = dw_protocol_version(),
			.kind = DW_PEER_EDGE,
			.peer = uplink->peer,
			.incarnation = ++uplink->incarnation,
			.name = dw_str(uplink->name) } };

	if (uplink->up)
		dw_log_warn("hub lost", "incarnation=%llu", (unsigned long long)uplink->incarnation);
	uplink->up = false;
	uplink->greeted_at = dw_mono_ms();
	dw_buf_reset(&uplink->asked);
	rooms_drop_held(uplink->edge);
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
	greet(uplink);
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
uplink_confirmed(struct uplink *uplink, struct watch *watch, bool sure)
{
	unsaid_add(&uplink->unsaid, watch, sure);
}

void
uplink_forget(struct uplink *uplink, struct watch *watch)
{
	unsaid_remove(&uplink->unsaid, watch);
}

bool
uplink_join(struct uplink *uplink, struct dw_join *join)
{
	const struct room *room = room_find(uplink->edge, join->room);

	join->corr = ++uplink->edge->joins;
	if (room != NULL && room->streaming) {
		join->flags |= DW_JOIN_HAVE;
		join->have = room->head;
	}
	if ((join->flags & DW_JOIN_RETURN) != 0)
		join->epoch = dw_str(uplink->epoch);
	return uplink_send(uplink, &(struct dw_wire) { .kind = DW_JOIN, .join = *join });
}

void
uplink_leave(struct uplink *uplink, struct watch *watch)
{
	const struct conn *conn = watch->conn;
	const bool sure = conn->sure || dw_position_same(confirm_acked(watch), watch->confirmed);
	struct dw_leave leave = { .session = conn->session,
		.room = dw_str(watch->room->id),
		.at = watch->confirmed,
		.sure = sure,
		.begun = { watch->numbered.begun, watch->direct.begun } };

	if (!sure)
		unsaid_tell_ack(watch, uplink);
	(void)uplink_send(uplink, &(struct dw_wire) { .kind = DW_LEAVE, .leave = leave });
	if (conn->derived || watch->request != NULL)
		return;
	leave.user = dw_str(conn->user->name);
	leave.device = dw_str(conn->device);
	if (!sure && dw_seq(confirm_acked(watch)) > 0) {
		struct dw_leave acked = leave;

		acked.at = confirm_acked(watch);
		acked.sure = true;
		departed_add(&uplink->departed, &acked);
	}
	departed_add(&uplink->departed, &leave);
}

static void
tell_departed(struct uplink *uplink)
{
	const struct dw_leave *leave;

	for (size_t i = 0; i < DEPARTED_AT_ONCE && (leave = departed_next(&uplink->departed)) != NULL; i++) {
		if (!uplink_send(uplink, &(struct dw_wire) { .kind = DW_LEAVE, .leave = *leave }))
			return;
		departed_told(&uplink->departed);
	}
}

void
uplink_doubt(struct uplink *uplink, uint64_t asked_at)
{
	if (uplink->up && uplink->answered > asked_at) {
		dw_log_warn("the hub has not answered", NULL);
		greet(uplink);
	}
}

int
uplink_ask(
	struct uplink *uplink, struct dw_wire *request, uint64_t timeout_ms, uplink_done *done, void *user, uint64_t *corr)
{
	struct dw_str frame;
	int err = asks_add(&uplink->asks, request, timeout_ms, done, user, corr, &frame);

	if (err == DW_OK && uplink->up) {
		if (uplink->asked.len + frame.n > DW_WIRE_TOGETHER && !send_asked(uplink))
			greet(uplink);
		else
			dw_buf_add(&uplink->asked, frame.p, frame.n);
	}
	uplink_turn(uplink);
	return err;
}

void
uplink_cancel(struct uplink *uplink, uint64_t corr)
{
	asks_cancel(&uplink->asks, corr);
}

void
uplink_give_up(struct uplink *uplink, uint64_t corr)
{
	asks_give_up(&uplink->asks, corr, DW_E_CLOSING);
}

/* A store of another name: what clients hold of the old one means nothing here. */
static void
change_epoch(struct uplink *uplink)
{
	struct conn *conn;
	size_t place = 0;

	dw_log_warn("the hub has another store", NULL);
	while ((conn = sessions_each(&uplink->edge->sessions, &place)) != NULL) {
		watch_lose_all(conn);
		if (conn->connected)
			conn_close(conn, 1012, "service restart");
	}
	rooms_end_streams(uplink->edge);
	departed_clear(&uplink->departed);
}

static void
take_welcome(struct uplink *uplink, const struct dw_welcome *welcome)
{
	bool new_store = uplink->epoch[0] != '\0' && !dw_str_is(welcome->epoch, uplink->epoch);
	struct conn *conn;
	size_t place = 0;

	if (welcome->incarnation != uplink->incarnation)
		return;
	(void)dw_str_copy(welcome->epoch, uplink->epoch, sizeof(uplink->epoch));
	uplink->hub = welcome->hub;
	uplink->up = true;
	uplink->greetings = 0;
	uplink->answered = uplink->pinged_at = 0;
	dw_log_info("hub welcomed us", "epoch=%s head=%llu", uplink->epoch, (unsigned long long)welcome->head);
	if (new_store)
		change_epoch(uplink);
	departed_again(&uplink->departed);
	tell_departed(uplink);
	while ((conn = sessions_each(&uplink->edge->sessions, &place)) != NULL)
		watch_ask_all(conn);
	if (!asks_again(&uplink->asks, uplink->bus))
		greet(uplink);
}

static void
take_refused(struct uplink *uplink, const struct dw_refused *refused)
{
	if (refused->code == (uint64_t)-DW_E_VERSION || refused->code == (uint64_t)-DW_E_PERMISSION) {
		dw_log_error("the hub refuses us", "code=%llu reason=%.*s", (unsigned long long)refused->code,
			(int)refused->text.n, refused->text.p);
		uplink->fatal = -(int)refused->code;
		uv_stop(uplink->tick->loop);
		return;
	}
	dw_log_error("the hub refused a message", "code=%llu", (unsigned long long)refused->code);
}

void
uplink_credit(struct uplink *uplink)
{
	struct intake *intake = &uplink->edge->rooms.intake;

	if (intake_credit(intake))
		(void)uplink_send(
			uplink, &(struct dw_wire) { .kind = DW_CREDIT, .credit = { .received = intake->credited.messages } });
}

void
uplink_distrust(struct uplink *uplink, const struct room *room)
{
	dw_log_warn("a stream of the hub has a hole", "room=%s", room->id);
	greet(uplink);
}

static void
take_messages(struct uplink *uplink, const struct dw_messages *messages)
{
	struct room *room = room_find(uplink->edge, messages->room);

	intake_take(&uplink->edge->rooms.intake, messages->records.n);
	/* A room that was left meanwhile: the hub learns of it in order, so this is no fault. */
	if (room != NULL && room->streaming && !room_take(room, messages))
		uplink_distrust(uplink, room);
	else
		uplink_credit(uplink);
}

static struct watch *
find_watch(struct uplink *uplink, uint64_t session, struct dw_str room)
{
	struct conn *conn = sessions_find(&uplink->edge->sessions, session);

	return conn != NULL ? watch_find(conn, room_find(uplink->edge, room)) : NULL;
}

static void
take_joined(struct uplink *uplink, const struct dw_joined *joined)
{
	struct room *room = room_find(uplink->edge, joined->room);
	struct watch *watch = find_watch(uplink, joined->session, joined->room);

	/* So it is also when that client has gone. */
	if (joined->code == 0 && room != NULL && room->streaming && !room_stream_at(room, joined->sent)) {
		greet(uplink);
		return;
	}
	if (watch != NULL)
		watch_joined(watch, joined);
}

static void
take_close(struct uplink *uplink, const struct dw_close *order)
{
	struct watch *watch = find_watch(uplink, order->session, order->room);
	char reason[32] = "";

	if (watch == NULL || order->stay != watch->stay)
		return;
	(void)dw_str_copy(order->reason, reason, sizeof(reason));
	watch_closed(watch, (unsigned)order->code, reason);
}

static void
take(struct uplink *uplink, const struct dw_wire *message)
{
	struct watch *watch;

	uplink->heard_at = dw_mono_ms();
	if (message->kind == DW_WHO) {
		if (uplink->up || uplink->heard_at >= uplink->greeted_at + PING_MS)
			greet(uplink);
		return;
	}
	if (message->kind == DW_WELCOME) {
		take_welcome(uplink, &message->welcome);
		return;
	}
	if (message->kind == DW_REFUSED) {
		take_refused(uplink, &message->refused);
		return;
	}
	if (!uplink->up)
		return;
	switch (message->kind) {
	case DW_MESSAGES:
		take_messages(uplink, &message->messages);
		break;
	case DW_JOINED:
		take_joined(uplink, &message->joined);
		break;
	case DW_RECORDS:
		if (asks_answer(&uplink->asks, message))
			break;
		watch = find_watch(uplink, message->records.corr, message->records.room);
		if (watch != NULL)
			watch_fed(watch, &message->records);
		break;
	case DW_CLOSE:
		take_close(uplink, &message->close);
		break;
	case DW_STORED:
	case DW_TABLE:
	case DW_OWNED:
	case DW_DELIVERED:
		(void)asks_answer(&uplink->asks, message);
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

static void
pump_again(uv_idle_t *idle)
{
	pump(idle->data);
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
			greet(uplink);
	}
	if (!send_asked(uplink))
		greet(uplink);
	if (fanout_run(uplink->edge) || uplink->rest.n > 0 || dw_bus_readable(uplink->bus))
		(void)uv_idle_start(uplink->more, pump_again);
	else
		(void)uv_idle_stop(uplink->more);
}

void
uplink_turn(struct uplink *uplink)
{
	(void)uv_idle_start(uplink->more, pump_again);
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
	if (now < uplink->heard_at + DEAD_MS || now < uplink->connected_at + DEAD_MS)
		return;
	uplink->connected_at = now;
	dw_bus_reconnect(uplink->bus);
	uplink->greetings = 0;
	if (uplink->up)
		greet(uplink);
}

static void
on_tick(uv_timer_t *timer)
{
	struct uplink *uplink = timer->data;
	uint64_t now = dw_mono_ms();

	if (!uplink->up) {
		if (now >= uplink->greeted_at + greet_wait(uplink) && uplink->fatal == 0)
			greet(uplink);
	} else {
		unsaid_tell(&uplink->unsaid, uplink);
		tell_departed(uplink);
		if (now >= uplink->pinged_at + PING_MS) {
			uplink->pinged_at = now;
			(void)uplink_send(uplink, &(struct dw_wire) { .kind = DW_PING, .ping = { .token = now } });
		}
	}
	look_for_death(uplink, now);
	pump(uplink);
}

static int
open_handles(struct uplink *uplink, uv_loop_t *loop)
{
	uplink->poll = calloc(1, sizeof(*uplink->poll));
	uplink->tick = calloc(1, sizeof(*uplink->tick));
	uplink->more = calloc(1, sizeof(*uplink->more));
	uplink->turn = calloc(1, sizeof(*uplink->turn));
	if (uplink->poll == NULL || uplink->tick == NULL || uplink->more == NULL || uplink->turn == NULL ||
		uv_poll_init(loop, uplink->poll, dw_bus_fd(uplink->bus)) != 0) {
		free(uplink->poll);
		free(uplink->tick);
		free(uplink->more);
		free(uplink->turn);
		uplink->poll = NULL;
		return DW_E_NOMEM;
	}
	(void)uv_timer_init(loop, uplink->tick);
	(void)uv_idle_init(loop, uplink->more);
	(void)uv_prepare_init(loop, uplink->turn);
	uplink->poll->data = uplink->tick->data = uplink->more->data = uplink->turn->data = uplink;
	(void)uv_prepare_start(uplink->turn, on_turn);
	(void)uv_poll_start(uplink->poll, UV_READABLE, on_readable);
	(void)uv_timer_start(uplink->tick, on_tick, 0, TICK_MS);
	return DW_OK;
}

int
uplink_new(struct uplink **out, struct edge *edge, const char *uri, const char *name, struct uv_loop_s *loop,
	struct dw_fault *fault)
{
	struct uplink *uplink = calloc(1, sizeof(*uplink));
	int err;

	if (uplink == NULL)
		return DW_E_NOMEM;
	uplink->edge = edge;
	uplink->asks.wheel = &edge->wheel;
	uplink->peer = dw_random();
	uplink->connected_at = dw_mono_ms();
	(void)snprintf(uplink->name, sizeof(uplink->name), "%s", name);
	err = dw_bus_connect(&uplink->bus, uri, NULL, fault);
	if (err == DW_OK)
		err = open_handles(uplink, loop);
	if (err != DW_OK) {
		dw_bus_destroy(&uplink->bus);
		free(uplink);
		return err;
	}
	*out = uplink;
	return DW_OK;
}

static void
free_handle(uv_handle_t *handle)
{
	free(handle);
}

void
uplink_destroy(struct uplink **uplink_p)
{
	struct uplink *uplink = *uplink_p;

	if (uplink == NULL)
		return;
	*uplink_p = NULL;
	asks_end(&uplink->asks, DW_E_CLOSING);
	if (uplink->up)
		(void)transmit(uplink, &(struct dw_wire) { .kind = DW_BYE });
	uv_close((uv_handle_t *)uplink->poll, free_handle);
	uv_close((uv_handle_t *)uplink->tick, free_handle);
	uv_close((uv_handle_t *)uplink->more, free_handle);
	uv_close((uv_handle_t *)uplink->turn, free_handle);
	dw_buf_clear(&uplink->out);
	dw_buf_clear(&uplink->asked);
	departed_clear(&uplink->departed);
	dw_bus_destroy(&uplink->bus);
	free(uplink);
}
