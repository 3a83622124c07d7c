/* hub */
/* libs: msgpack jansson libcrypto */
/* wraps: dw_now_ms dw_mono_ms dw_mono_us */
/* Messages that are published: what their sender is told, and who gets them. */
#include "../../lib/hub_talk.h"

static void
test_to_everyone(void **state)
{
	const struct dw_stored *stored;
	const struct dw_messages *messages;
	struct dw_record record;
	struct dw_str records;

	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	(void)joins(EDGE, 2, "bob", "phone");
	(void)joins(OTHER_EDGE, 3, "cid", "phone");
	leave_as(OTHER_EDGE, (struct dw_leave) { .session = 3 });
	stored = publishes_as((struct dw_publish) { .corr = 42, .id = DW_STR("x"), .data = DW_STR("{\"a\":1}") });
	assert_int_equal(42, stored->corr);
	assert_int_equal(0, stored->code);
	assert_int_equal(1, stored->seq);
	assert_int_equal(1, stored->n);
	assert_false(stored->duplicate);
	assert_int_equal(2, stored->notified);
	assert_int_equal(1, stored->queued);
	messages = &told(EDGE, DW_MESSAGES)->messages;
	assert_text("1", messages->room);
	assert_int_equal(DW_GAP_NONE, messages->reason);
	records = messages->records;
	assert_int_equal(DW_OK, dw_record_next(&records, &record));
	assert_text("x", record.id);
	assert_text("a_update", record.type);
	assert_text("{\"a\":1}", record.data);
	assert_int_equal(0, record.to.n);
	assert_int_equal(dw_now_ms(), record.at);
	assert_int_equal(0, records.n);
}

/* Its edge is told for whom it is; only that user's devices count, and it has a number of its own. */
static void
test_to_one_user(void **state)
{
	const struct dw_stored *stored;
	struct dw_record record;
	struct dw_str records;

	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	(void)joins(EDGE, 2, "bob", "phone");
	(void)publishes();
	(void)told(EDGE, DW_MESSAGES);
	stored = publishes_as((struct dw_publish) { .corr = 1, .to = DW_STR("bob") });
	assert_int_equal(2, stored->seq);
	assert_int_equal(0, stored->n);
	assert_int_equal(1, stored->notified);
	assert_int_equal(0, stored->queued);
	records = told(EDGE, DW_MESSAGES)->messages.records;
	assert_int_equal(DW_OK, dw_record_next(&records, &record));
	assert_text("bob", record.to);
	assert_int_equal(1, record.own);
	assert_int_equal(1, record.n);
}

/* Nobody is in the room: it is loaded for that, and who comes later gets what is for all and what is for them. */
static void
test_to_one_who_is_away(void **state)
{
	const struct dw_stored *stored;

	(void)state;
	(void)publishes();
	stored = publishes_as((struct dw_publish) { .corr = 1, .to = DW_STR("bob") });
	assert_int_equal(0, stored->code);
	assert_int_equal(0, stored->notified);
	assert_int_equal(2, joins(EDGE, 1, "bob", "phone")->replaying);
	(void)told(EDGE, DW_MESSAGES);
	assert_int_equal(1, joins(OTHER_EDGE, 2, "ann", "phone")->replaying);
	(void)told(OTHER_EDGE, DW_MESSAGES);
}

/* Not for the session that it is from. */
static void
test_except(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	(void)joins(EDGE, 2, "ann", "pad");
	assert_int_equal(1, publishes_as((struct dw_publish) { .corr = 1, .except = 2 })->notified);
	(void)told(EDGE, DW_MESSAGES);
}

/* The same id again is the same message: stored once, shown once, whatever the sender left out of the answer. */
static void
test_the_same_again(void **state)
{
	const struct dw_publish publish = { .corr = 1, .id = DW_STR("x") };
	const struct dw_stored *stored;

	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	(void)publishes_as(publish);
	(void)told(EDGE, DW_MESSAGES);
	(void)publishes();
	(void)told(EDGE, DW_MESSAGES);
	stored = publishes_as(publish);
	assert_int_equal(0, stored->code);
	assert_true(stored->duplicate);
	assert_int_equal(1, stored->seq);
	assert_int_equal(1, stored->n);
	told_nothing(EDGE);
	assert_int_equal(1, hub.counters.duplicates);
	assert_int_equal(2, hub.counters.stored);
	/* With other contents it is refused. */
	stored = publishes_as((struct dw_publish) { .corr = 2, .id = DW_STR("x"), .data = DW_STR("{\"b\":2}") });
	assert_int_equal(-DW_E_ID_REUSED, stored->code);
	assert_text(dw_err_text(DW_E_ID_REUSED), stored->text);
	assert_int_equal(2, hub.info.head);
}

/* The time of a message is over: who comes then does not get it. */
static void
test_its_time_is_over(void **state)
{
	(void)state;
	(void)publishes_as((struct dw_publish) { .corr = 1, .ttl_ms = 10 * SECOND });
	assert_int_equal(1, joins(EDGE, 1, "ann", "phone")->replaying);
	(void)told(EDGE, DW_MESSAGES);
	pass(10 * SECOND);
	assert_int_equal(0, joins(EDGE, 2, "bob", "phone")->replaying);
	forget_said();
}

/* It says which field, and how it should be. */
static void
test_wrong_fields(void **state)
{
	static const struct {
		struct dw_publish publish;
		const char *text;
	} wrong[] = {
		{ { .room = { "a b", 3 } }, "field 'diagnosis_id' is not" },
		{ { .type = { "a", 1 } }, "field 'type' is not" },
		{ { .id = { "a b", 3 } }, "field 'id' is not" },
		{ { .user = { "\n", 1 } }, "field 'user' is not" },
		{ { .to = { "\n", 1 } }, "field 'user' is not" },
		{ { .ttl_ms = 31ULL * DAY }, "field 'ttl_s' is not" },
		{ { .wait = 1000001 }, "wait for at most 1000000 devices" },
		{ { .wait = 1, .wait_ms = HOUR + 1 }, "wait for at most" },
		{ { .data = { "{", 1 } }, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const struct dw_stored *stored;

		publish_as(SENDER, wrong[i].publish);
		stored = &told_at_once(SENDER, DW_STORED)->stored;
		assert_true(stored->code == (uint64_t)-DW_E_FIELD || stored->code == (uint64_t)-DW_E_JSON);
		assert_memory_equal(wrong[i].text, stored->text.p, strlen(wrong[i].text));
		assert_true(stored->text.n > 0);
	}
	assert_int_equal(sizeof(wrong) / sizeof(wrong[0]), hub.counters.rejected);
	assert_int_equal(0, hub.staged_bytes);
}

/* On behalf of a user: who may not publish there is refused, and may when the right is there. */
static void
test_for_a_user(void **state)
{
	const struct dw_publish publish = { .corr = 9, .user = DW_STR("ann") };

	(void)state;
	publish_as(EDGE, publish);
	assert_int_equal(-DW_E_DENIED, told(EDGE, DW_STORED)->stored.code);
	assert_int_equal(1, hub.counters.rejected);
	owns("grant", "ann");
	publish_as(EDGE, publish);
	assert_int_equal(0, told(EDGE, DW_STORED)->stored.code);
}

/* A direct message needs the room, which is not loaded for one who may not. */
static void
test_for_a_user_to_one(void **state)
{
	const struct dw_publish publish = { .corr = 9, .user = DW_STR("ann"), .to = DW_STR("bob") };

	(void)state;
	publish_as(EDGE, publish);
	assert_int_equal(-DW_E_DENIED, told(EDGE, DW_STORED)->stored.code);
	assert_null(room_find(&hub, DW_STR("1")));
	assert_int_equal(1, hub.counters.rejected);
	owns("grant", "ann");
	publish_as(EDGE, publish);
	assert_int_equal(0, told(EDGE, DW_STORED)->stored.code);
	assert_int_equal(0, peer_find(&hub, EDGE)->pending);
}

/* A sender that asks for more than is left is refused at once; others are not, and so is it not when that is stored. */
static void
test_a_flood(void **state)
{
	static char data[DW_DATA_MAX];
	size_t count = 0;

	(void)state;
	(void)snprintf(data, sizeof(data), "{\"a\":\"%0*d\"}", (int)sizeof(data) - 16, 7);
	while (next_word(SENDER) == NULL && ++count < 2000) {
		publish_as(SENDER, (struct dw_publish) { .corr = count, .data = dw_str(data) });
		outbox_flush(&hub);
	}
	assert_in_range(count, 500, 520);
	assert_int_equal(-DW_E_BUSY, told_at_once(SENDER, DW_STORED)->stored.code);
	publish_as(ADMIN, (struct dw_publish) { .corr = 5 });
	assert_null(next_word(ADMIN));
	assert_int_equal(0, told(ADMIN, DW_STORED)->stored.code);
	for (uint64_t corr = 1; corr < count; corr++) {
		const struct dw_stored *stored = &told(SENDER, DW_STORED)->stored;

		assert_int_equal(corr, stored->corr);
		assert_int_equal(0, stored->code);
	}
	assert_int_equal(0, hub.staged_bytes);
	(void)publishes();
}

/* The store is full: who asked is told, with a code that says that it may be tried again. */
static void
test_the_store_is_full(void **state)
{
	const struct dw_stored *stored;

	(void)state;
	kit_fails = DW_E_STORAGE_FULL;
	stored = publishes_as((struct dw_publish) { .corr = 3 });
	assert_int_equal(3, stored->corr);
	assert_int_equal(-DW_E_STORAGE_FULL, stored->code);
	assert_int_equal(0, stored->seq);
	assert_true(hub.store_full);
	assert_int_equal(0, hub.counters.stored);
	assert_int_equal(DW_OK, hub.fatal);
}

/* The storage cannot be trusted any more: what was staged behind fails too, and the hub ends. */
static void
test_the_store_fails(void **state)
{
	struct batch *batch;

	(void)state;
	publish_as(SENDER, (struct dw_publish) { .corr = 1 });
	kit_fails = DW_E_STORAGE;
	hub.expected = 0;
	turn_commit(&hub);
	batch = kit_done;
	kit_done = NULL;
	publish_as(SENDER, (struct dw_publish) { .corr = 2 });
	own_as(ADMIN, (struct dw_own) { .corr = 3, .verb = DW_STR("grant"), .user = DW_STR("ann") });
	turn_apply(&hub, batch);
	assert_int_equal(DW_E_STORAGE, hub.fatal);
	for (uint64_t corr = 1; corr <= 2; corr++) {
		const struct dw_stored *stored = &told_at_once(SENDER, DW_STORED)->stored;

		assert_int_equal(corr, stored->corr);
		assert_int_equal(-DW_E_STORAGE, stored->code);
	}
	assert_int_equal(-DW_E_STORAGE, told_at_once(ADMIN, DW_OWNED)->owned.code);
	assert_int_equal(0, hub.batch->count);
	hub.fatal = DW_OK;
}

/* What a hub that shuts down is asked it does not answer: the next one is asked again. */
static void
test_closing(void **state)
{
	(void)state;
	hub.closing = true;
	publish_as(SENDER, (struct dw_publish) { .corr = 1 });
	own_as(ADMIN, (struct dw_own) { .corr = 1, .verb = DW_STR("grant"), .user = DW_STR("ann") });
	told_nothing(SENDER);
	told_nothing(ADMIN);
	assert_int_equal(0, hub.info.head);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TALK(test_to_everyone),
		TALK(test_to_one_user),
		TALK(test_to_one_who_is_away),
		TALK(test_except),
		TALK(test_the_same_again),
		TALK(test_its_time_is_over),
		TALK(test_wrong_fields),
		TALK(test_for_a_user),
		TALK(test_for_a_user_to_one),
		TALK(test_a_flood),
		TALK(test_the_store_is_full),
		TALK(test_the_store_fails),
		TALK(test_closing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
