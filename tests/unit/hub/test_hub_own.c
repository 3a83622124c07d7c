/* hub */
/* libs: msgpack jansson libcrypto */
/* wraps: dw_now_ms dw_mono_ms dw_mono_us */
/* The registry of who may watch what: changes, what they do to those who are there, looks and lists. */
#include "../../lib/hub_talk.h"

static const struct dw_owned *
changes(const char *verb, const char *user, bool dry)
{
	own_as(ADMIN, (struct dw_own) { .corr = 6, .verb = dw_str(verb), .user = dw_str(user), .dry = dry });
	return &told(ADMIN, DW_OWNED)->owned;
}

static void
test_changes(void **state)
{
	const struct dw_owned *owned = changes("grant", "ann", true);

	(void)state;
	assert_int_equal(6, owned->corr);
	assert_int_equal(0, owned->code);
	assert_true(owned->changed);
	assert_true(changes("grant", "ann", false)->changed); /* for the other one was dry */
	assert_false(changes("grant", "ann", false)->changed);
	assert_true(changes("deny", "ann", false)->changed);
	assert_true(changes("revoke", "ann", false)->changed);
	assert_false(changes("revoke", "ann", false)->changed);
}

/* Sessions that may no longer be there are closed, at whatever edge, and only those. */
static void
test_they_are_shut_out(void **state)
{
	struct dw_wire join = { .kind = DW_JOIN,
		.join = { .session = 1, .room = DW_STR("1"), .user = DW_STR("ann"), .device = DW_STR("phone") } };

	(void)state;
	owns("grant", "ann");
	kit_say(EDGE, &join);
	join.join.session = 2;
	join.join.device = DW_STR("pad");
	kit_say(OTHER_EDGE, &join);
	(void)told(EDGE, DW_JOINED);
	(void)told(OTHER_EDGE, DW_JOINED);
	(void)joins(OTHER_EDGE, 3, "bob", "phone");
	(void)publishes();
	confirms(EDGE, 1, 1, 1, 0);
	forget_said();
	assert_true(changes("revoke", "ann", true)->changed);
	told_nothing(EDGE);
	assert_true(changes("revoke", "ann", false)->changed);
	for (uint32_t edge = EDGE; edge <= OTHER_EDGE; edge++) {
		const struct dw_close *close = &told(edge, DW_CLOSE)->close;

		assert_int_equal(edge, close->session);
		assert_int_equal(1008, close->code);
		assert_text("1", close->room);
		assert_text("access denied", close->reason);
	}
	assert_int_equal(1, hub.rooms_shared.sessions);
	assert_int_equal(0, peer_find(&hub, EDGE)->reader_count);
	assert_position(1, 1, 0, stored_cursor("ann", "phone").at);
	(void)publishes();
	told_nothing(EDGE);
	(void)told(OTHER_EDGE, DW_MESSAGES);
}

/* By their token they may stay; a denial beats that. */
static void
test_a_denial(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	owns("grant", "ann");
	owns("deny", "ann");
	assert_int_equal(1008, told(EDGE, DW_CLOSE)->close.code);
	assert_int_equal(0, hub.rooms_shared.sessions);
}

/* A change that was not stored is told, and shuts nobody out. */
static void
test_a_change_fails(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	kit_fails = DW_E_STORAGE_FULL;
	assert_int_equal(-DW_E_STORAGE_FULL, changes("deny", "ann", false)->code);
	told_nothing(EDGE);
	own_as(ADMIN, (struct dw_own) { .corr = 7, .verb = DW_STR("list") });
	assert_int_equal(-DW_E_STORAGE_FULL, told(ADMIN, DW_TABLE)->table.code);
	own_as(EDGE, (struct dw_own) { .corr = 8, .verb = DW_STR("check"), .user = DW_STR("ann"), .claimed = true });
	assert_int_equal(-DW_E_STORAGE_FULL, told(EDGE, DW_OWNED)->owned.code);
	kit_fails = DW_OK;
	assert_int_equal(1, hub.rooms_shared.sessions);
}

static uint64_t
checks(const char *user, bool claimed)
{
	own_as(EDGE, (struct dw_own) { .corr = 5, .verb = DW_STR("check"), .user = dw_str(user), .claimed = claimed });
	return told(EDGE, DW_OWNED)->owned.code;
}

static void
test_check(void **state)
{
	(void)state;
	assert_int_equal(-DW_E_DENIED, checks("ann", false));
	assert_int_equal(0, checks("ann", true));
	owns("grant", "ann");
	assert_int_equal(0, checks("ann", false));
	owns("deny", "ann");
	assert_int_equal(-DW_E_DENIED, checks("ann", true));
}

/* Of the cells of a table, in their order. */
static const char *
cells_of(const struct dw_table *table)
{
	static char text[512];
	struct dw_str rest = table->cells;
	struct dw_cell cell;
	size_t n = 0;

	text[0] = '\0';
	while (dw_cell_next(&rest, &cell) == DW_OK)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%.*s ", (int)cell.text.n, cell.text.p);
	return text;
}

static const struct dw_table *
lists(const char *room, const char *user)
{
	kit_say(ADMIN, &(struct dw_wire) { .kind = DW_OWN,
					   .own = { .corr = 4, .verb = DW_STR("list"), .room = dw_str(room), .user = dw_str(user) } });
	return &told(ADMIN, DW_TABLE)->table;
}

static void
test_list(void **state)
{
	const struct dw_table *table;

	(void)state;
	owns("grant", "bob");
	owns("deny", "ann");
	own_as(ADMIN, (struct dw_own) { .verb = DW_STR("grant"), .room = DW_STR("2"), .user = DW_STR("ann") });
	(void)told(ADMIN, DW_OWNED);
	table = lists("", "");
	assert_int_equal(4, table->corr);
	assert_int_equal(0, table->code);
	assert_text("diagnosis_id\tuser_id\tstate", table->columns);
	assert_string_equal("1 ann denied 1 bob granted 2 ann granted ", cells_of(table));
	assert_false(table->more);
	assert_string_equal("1 ann denied 1 bob granted ", cells_of(lists("1", "")));
	assert_string_equal("1 ann denied 2 ann granted ", cells_of(lists("", "ann")));
	assert_string_equal("", cells_of(lists("3", "")));
	own_as(ADMIN, (struct dw_own) { .verb = DW_STR("list"), .after_room = DW_STR("1"), .after_user = DW_STR("ann") });
	assert_string_equal("1 bob granted ", cells_of(&told(ADMIN, DW_TABLE)->table));
}

/* A long one goes on where it ended, which may be an entry that is none of it. */
static void
test_a_long_list(void **state)
{
	char user[16];
	struct dw_table table;

	(void)state;
	for (unsigned i = 0; i < 1001; i++) {
		(void)snprintf(user, sizeof(user), "u%04u", i);
		own_as(ADMIN, (struct dw_own) { .verb = DW_STR("grant"), .user = dw_str(user) });
	}
	forget_said();
	table = *lists("1", "");
	assert_true(table.more);
	assert_text("1", table.room);
	assert_text("u0999", table.user);
	own_as(ADMIN, (struct dw_own) { .verb = DW_STR("list"), .after_room = table.room, .after_user = table.user });
	table = told(ADMIN, DW_TABLE)->table;
	assert_string_equal("1 u1000 granted ", cells_of(&table));
	assert_false(table.more);
}

static void
test_wrong_fields(void **state)
{
	static const struct {
		struct dw_own own;
		int err;
	} wrong[] = {
		{ { .verb = { "lend", 4 }, .user = { "ann", 3 } }, DW_E_UNSUPPORTED },
		{ { .verb = { "grant", 5 } }, DW_E_FIELD },
		{ { .verb = { "grant", 5 }, .room = { "a b", 3 }, .user = { "ann", 3 } }, DW_E_FIELD },
		{ { .verb = { "check", 5 } }, DW_E_FIELD },
		{ { .verb = { "list", 4 }, .room = { "a b", 3 } }, DW_E_FIELD },
		{ { .verb = { "list", 4 }, .user = { "\n", 1 } }, DW_E_FIELD },
		{ { .verb = { "list", 4 }, .after_room = { "2", 1 }, .after_user = { "ann", 3 } }, DW_E_FIELD },
		{ { .verb = { "list", 4 }, .after_room = { "1", 1 } }, DW_E_FIELD },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const bool lists_it = dw_str_is(wrong[i].own.verb, "list");
		const struct dw_wire *answer;

		own_as(ADMIN, wrong[i].own);
		answer = told_at_once(ADMIN, lists_it ? DW_TABLE : DW_OWNED);
		assert_int_equal(-wrong[i].err, lists_it ? answer->table.code : answer->owned.code);
	}
	peer_find(&hub, ADMIN)->pending += HUB_PENDING_MAX;
	own_as(ADMIN, (struct dw_own) { .verb = DW_STR("grant"), .user = DW_STR("ann") });
	peer_find(&hub, ADMIN)->pending -= HUB_PENDING_MAX;
	assert_int_equal(-DW_E_BUSY, told_at_once(ADMIN, DW_OWNED)->owned.code);
}

/* A sender changes nothing, and an edge only looks one right up. */
static void
test_who_may(void **state)
{
	const struct dw_own own = { .verb = DW_STR("grant"), .user = DW_STR("ann") };

	(void)state;
	kit_roles = ROLE_SENDER;
	kit_hello(FIRST_FREE, DW_PEER_CLIENT);
	kit_roles = ROLE_EDGE;
	kit_hello(FIRST_FREE + 1, DW_PEER_EDGE);
	forget_said();
	own_as(FIRST_FREE, own);
	own_as(FIRST_FREE + 1, own);
	assert_int_equal(-DW_E_PERMISSION, told(FIRST_FREE, DW_OWNED)->owned.code);
	assert_int_equal(-DW_E_PERMISSION, told(FIRST_FREE + 1, DW_OWNED)->owned.code);
	assert_string_equal("", cells_of(lists("", "")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TALK(test_changes),
		TALK(test_they_are_shut_out),
		TALK(test_a_denial),
		TALK(test_a_change_fails),
		TALK(test_check),
		TALK(test_list),
		TALK(test_a_long_list),
		TALK(test_wrong_fields),
		TALK(test_who_may),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
