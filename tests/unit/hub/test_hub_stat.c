/* hub */
/* libs: msgpack jansson libcrypto */
/* wraps: dw_now_ms dw_mono_ms dw_mono_us */
/* STAT: what the hub tells about itself, and to a question that it does not know. */
#include "../../lib/hub_talk.h"

static const struct dw_table *
table_of(const char *view, const char *room, const char *sort, uint64_t limit)
{
	kit_stat(ADMIN, 6, view, room, sort, limit);
	return &told(ADMIN, DW_TABLE)->table;
}

/* What stands in this column of the row; -1: a text, or nothing. */
static int64_t
cell_of(const struct dw_table *table, size_t row, const char *column)
{
	struct dw_str rest = table->cells;
	struct dw_cell cell = { 0 };
	char names[1024];
	size_t columns = 0, at = SIZE_MAX;

	assert_true(dw_str_copy(table->columns, names, sizeof(names)));
	for (char *left = names, *name; (name = strsep(&left, "\t")) != NULL; columns++)
		if (strcmp(name, column) == 0)
			at = columns;
	assert_int_not_equal(SIZE_MAX, at);
	for (size_t i = 0; i <= row * columns + at; i++)
		assert_int_equal(DW_OK, dw_cell_next(&rest, &cell));
	return cell.type == DW_CELL_NUMBER ? cell.number : -1;
}

static void
test_summary(void **state)
{
	const struct dw_table *table;

	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	publish_many(2);
	forget_said();
	confirms(EDGE, 1, 1, 1, 0);
	(void)publishes_as((struct dw_publish) { .corr = 1, .type = DW_STR("wrong") });
	pass(7 * SECOND);
	table = table_of("summary", "", "", 10);
	assert_int_equal(6, table->corr);
	assert_int_equal(0, table->code);
	assert_int_equal(7, cell_of(table, 0, "uptime_s"));
	assert_int_equal(2, cell_of(table, 0, "head"));
	assert_int_equal(1, cell_of(table, 0, "rooms_resident"));
	assert_int_equal(1, cell_of(table, 0, "connections"));
	assert_int_equal(2, cell_of(table, 0, "edges"));
	assert_int_equal(2, cell_of(table, 0, "clients"));
	assert_int_equal(3, cell_of(table, 0, "messages_received"));
	assert_int_equal(2, cell_of(table, 0, "messages_stored"));
	assert_int_equal(1, cell_of(table, 0, "messages_rejected"));
	assert_int_equal(1, cell_of(table, 0, "queued"));
	assert_int_equal(2, cell_of(table, 0, "sent"));
	assert_int_equal(1, cell_of(table, 0, "delivered"));
	assert_int_equal(0, cell_of(table, 0, "waiting"));
	forget_said();
}

static void
test_a_room(void **state)
{
	const struct dw_table *table;

	(void)state;
	publish_many(2);
	restart_hub();
	table = table_of("room", "1", "", 10);
	assert_int_equal(0, cell_of(table, 0, "connections"));
	assert_int_equal(2, cell_of(table, 0, "retained"));
	assert_int_equal(2, cell_of(table, 0, "n"));
	assert_int_equal(1, hub.resident_count);
	assert_int_equal(-DW_E_UNKNOWN, table_of("room", "2", "", 10)->code);
	assert_null(room_find(&hub, DW_STR("2")));
}

/* The first rows by a column: also where more are there than are asked for. */
static void
test_sorted(void **state)
{
	const struct dw_table *table;

	(void)state;
	for (uint64_t i = 0; i < 3; i++)
		for (uint64_t n = 0; n <= i; n++)
			(void)publishes_as((struct dw_publish) { .corr = 1, .room = dw_str(i == 0 ? "a" : i == 1 ? "b" : "c") });
	table = table_of("rooms", "", "retained", 2);
	assert_true(table->more);
	assert_int_equal(3, cell_of(table, 0, "retained"));
	assert_int_equal(2, cell_of(table, 1, "retained"));
	/* Of one row there is nothing to sort, but the column must be there. */
	assert_int_equal(6, cell_of(table_of("summary", "", "head", 1), 0, "head"));
}

static void
test_what_it_does_not_know(void **state)
{
	const struct dw_table *table;

	(void)state;
	assert_int_equal(-DW_E_UNSUPPORTED, table_of("weather", "", "", 10)->code);
	table = table_of("queues", "", "colour", 10);
	assert_int_equal(-DW_E_FIELD, table->code);
	assert_text("diagnosis_id\tqueued\toldest_queued_s\tdevices_away", table->columns);
	assert_int_equal(0, table->cells.n);
	assert_int_equal(-DW_E_FIELD, table_of("devices", "a b", "", 10)->code);
	assert_int_equal(-DW_E_FIELD, table_of("room", "", "", 10)->code);
}

static void
test_busy(void **state)
{
	(void)state;
	peer_find(&hub, ADMIN)->pending += HUB_PENDING_MAX;
	kit_stat(ADMIN, 6, "room", "1", "", 10);
	peer_find(&hub, ADMIN)->pending -= HUB_PENDING_MAX;
	assert_int_equal(-DW_E_BUSY, told(ADMIN, DW_TABLE)->table.code);
	assert_null(hub.rooms);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TALK(test_summary),
		TALK(test_a_room),
		TALK(test_sorted),
		TALK(test_what_it_does_not_know),
		TALK(test_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
