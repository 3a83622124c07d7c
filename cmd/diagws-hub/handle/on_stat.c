/* STAT: what the hub knows about itself, as a table. Answered from memory, so that it never waits for the
 * disk; only `devices`, `messages`, and `room` for one that is not in memory, load that room first. What may have many
 * rows is put together a slice a turn (scan.c), and sorted here, for an answer may hold only the first of them.
 */
#include "handle/handlers.h"

#include <string.h>

#include "message/msg.h"
#include "peers/outbox.h"
#include "peers/peers.h"
#include "rooms/load.h"
#include "rooms/rooms.h"
#include "store/stage.h"
#include "tables/scan.h"

struct view {
	const char *name, *columns;
	void (*fill)(struct hub *hub, struct table *table, const struct dw_room *room); /* NULL: it is long, */
	scan_step *step;                                                                /* and taken in slices */
	bool of_room;                                                                   /* a room must be named */
};

#define ROOM_COLUMNS \
	"diagnosis_id\tconnections\tdevices\tqueued\tretained\tn\thead\toldest_queued_s\toldest\tsent\tdelivered"

static const struct view views[] = {
	{ "summary",
		"version\tuptime_s\tepoch\thead\trooms\trooms_resident\tconnections\tedges\tclients\tmessages_received\t"
		"messages_stored\tmessages_rejected\tduplicates\tqueued\tretained\tdropped_limit\tdropped_expired\tcommits\t"
		"commit_ms_p50\tcommit_ms_p99\tcommit_ms_max\tstore_bytes\tstaged_bytes\tsent\tdelivered\twaiting\tstore_"
		"writable",
		stat_summary, NULL, false },
	{ "rooms", ROOM_COLUMNS, NULL, scan_rooms, false },
	{ "room", ROOM_COLUMNS, stat_room, NULL, true },
	{ "devices", "user_id\tdevice\tconnected\tconfirmed_seq\tbehind\tseen_s", NULL, scan_devices, true },
	{ "messages", "seq\tn\tid\ttype\tbytes\tage_s\tsent\tdelivered\tdirect", NULL, scan_messages, true },
	{ "edges", "name\tincarnation\tconnections\trooms\tcredit\tbehind\tconnected_s", NULL, scan_edges, false },
	{ "queues", "diagnosis_id\tqueued\toldest_queued_s\tdevices_away", NULL, scan_queues, false },
	{ "users", "user_id\tconnections", NULL, scan_users, false },
};

static const struct view *
find_view(struct dw_str name)
{
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
		if (dw_str_is(name, views[i].name))
			return &views[i];
	return NULL;
}

/* Its index in the names, which tabs separate; -1: there is none. */
static int
find_column(const char *names, struct dw_str name)
{
	for (int i = 0;; i++) {
		const size_t n = strcspn(names, "\t");

		if (n == name.n && memcmp(names, name.p, n) == 0)
			return i;
		if (names[n] == '\0')
			return -1;
		names += n + 1;
	}
}

/* The column has been looked at. */
static int
send_view(struct hub *hub, struct peer *peer, const struct dw_stat *stat, const struct view *view, struct dw_room *room)
{
	const int sort = stat->sort.n > 0 ? find_column(view->columns, stat->sort) : -1;
	struct table table;

	if (view->fill == NULL)
		return scan_begin(hub, peer, stat, view->step, view->columns, sort, room);
	table_init(&table, stat->limit, sort, stat->reverse);
	view->fill(hub, &table, room);
	table_send(hub, peer->number, stat->corr, view->columns, &table);
	return DW_OK;
}

/* A room that is not resident is loaded first. */
static int
send_room_view(struct hub *hub, struct peer *peer, struct request *request, const struct view *view)
{
	const struct dw_stat *stat = &request->message.stat;
	struct dw_room *room;
	int err = DW_OK;

	if (!dw_room_ok(stat->room))
		return DW_E_FIELD;
	room = room_get(hub, stat->room);
	if (room == NULL)
		return DW_E_NOMEM;
	if (!dw_room_resident(room))
		err = stage_full(hub, peer, HUB_SMALL) ? DW_E_BUSY : room_wait(hub, room, peer, request->frame);
	else if (room->n == 0 && room->session_count == 0)
		err = DW_E_UNKNOWN;
	else
		err = send_view(hub, peer, stat, view, room);
	room_done(hub, room);
	return err;
}

void
on_stat(struct hub *hub, struct peer *peer, struct request *request)
{
	const struct dw_stat *stat = &request->message.stat;
	const struct view *view = find_view(stat->view);
	int err = DW_OK;

	if (view == NULL)
		err = DW_E_UNSUPPORTED;
	else if (stat->sort.n > 0 && find_column(view->columns, stat->sort) < 0)
		outbox_add(hub, peer->number, /* the asker learns which columns there are */
			&(struct dw_wire) {
				DW_TABLE, .table = { stat->corr, (uint64_t)-DW_E_FIELD, .columns = dw_str(view->columns) } });
	else if (view->of_room)
		err = send_room_view(hub, peer, request, view);
	else
		err = send_view(hub, peer, stat, view, NULL);
	/* It is not through with that. */
	if (err == DW_E_BUSY && peer->scan != NULL && !request->again)
		peer->held = true;
	else if (err != DW_OK)
		answer_failure(hub, peer->number, &request->message, err, NULL);
}
