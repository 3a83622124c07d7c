/* hub */
/* libs: msgpack jansson libcrypto */
/* wraps: dw_now_ms dw_mono_ms dw_mono_us */
/* An edge gets as much as it has credit for: no more, and all of it in the end. */
#include "../../lib/hub_talk.h"

static void
credit(uint64_t received)
{
	kit_say(EDGE, &(struct dw_wire) { .kind = DW_CREDIT, .credit = { received } });
}

/* It has been sent all that it may be, one by one. */
static void
use_up(void)
{
	for (int i = 0; i < HUB_WINDOW; i++) {
		(void)publishes();
		(void)told(EDGE, DW_MESSAGES);
	}
}

static void
test_no_credit(void **state)
{
	const struct dw_messages *messages;

	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	(void)joins(OTHER_EDGE, 2, "bob", "phone");
	use_up();
	publish_many(3);
	told_nothing(EDGE);
	forget_said();
	assert_int_equal(3, peer_find(&hub, EDGE)->late);
	credit(HUB_WINDOW / 2);
	messages = &told(EDGE, DW_MESSAGES)->messages;
	assert_string_equal("1025 1026 1027", seqs_of(messages->records));
	assert_position(1024, 1024, 0, messages->prev);
	assert_int_equal(DW_GAP_NONE, messages->reason);
	assert_int_equal(0, peer_find(&hub, EDGE)->late);
}

/* What it is not sent in time it is told as a gap. */
static void
test_too_late(void **state)
{
	const struct dw_messages *messages;

	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	use_up();
	publish_many(LIMIT + 2);
	told_nothing(EDGE);
	credit(1);
	messages = &told(EDGE, DW_MESSAGES)->messages;
	assert_string_equal("1027 1028 1029 1030 1031", seqs_of(messages->records));
	assert_position(1024, 1024, 0, messages->prev);
	assert_int_equal(DW_GAP_LIMIT, messages->reason);
}

/* More than it was sent is nothing that it can have taken: that gives no credit. */
static void
test_more_than_was_sent(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	use_up();
	credit(HUB_WINDOW + 1);
	(void)publishes();
	told_nothing(EDGE);
	credit(HUB_WINDOW);
	(void)told(EDGE, DW_MESSAGES);
	assert_int_equal(HUB_WINDOW, peer_find(&hub, EDGE)->credited);
	/* What it said before is not taken back. */
	credit(1);
	assert_int_equal(HUB_WINDOW, peer_find(&hub, EDGE)->credited);
}

/* Many messages in one commit: none is dropped before an edge with credit has it. */
static void
test_they_make_way(void **state)
{
	uint64_t next = 1;

	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	for (uint64_t i = 1; i <= 3 * LIMIT; i++)
		publish_as(SENDER, (struct dw_publish) { .corr = i });
	for (uint64_t i = 1; i <= 3 * LIMIT; i++)
		assert_int_equal(i, told(SENDER, DW_STORED)->stored.seq);
	while (next <= 3 * LIMIT) {
		const struct dw_messages *messages = &told(EDGE, DW_MESSAGES)->messages;
		struct dw_str records = messages->records;
		struct dw_record record;

		assert_int_equal(DW_GAP_NONE, messages->reason);
		assert_int_equal(next - 1, dw_seq(messages->prev));
		while (dw_record_next(&records, &record) == DW_OK)
			assert_int_equal(next++, record.seq);
	}
}

/* Bytes count too; and are given back with what was taken. */
static void
test_bytes(void **state)
{
	static char data[DW_DATA_MAX];
	uint64_t sent = 0;

	(void)state;
	(void)snprintf(data, sizeof(data), "{\"a\":\"%0*d\"}", (int)sizeof(data) - 16, 7);
	(void)joins(EDGE, 1, "ann", "phone");
	while (peer_find(&hub, EDGE)->uncredited < HUB_WINDOW_BYTES) {
		assert_int_equal(0, publishes_as((struct dw_publish) { .corr = 1, .data = dw_str(data) })->code);
		(void)told(EDGE, DW_MESSAGES);
		assert_in_range(++sent, 1, HUB_WINDOW_BYTES / DW_DATA_MAX + 2);
	}
	(void)publishes();
	told_nothing(EDGE);
	credit(sent);
	(void)told(EDGE, DW_MESSAGES);
	assert_in_range(peer_find(&hub, EDGE)->uncredited, 1, 1024);
}

/* One that does not read gets nothing until it has taken what was sent; the others go on. */
static void
test_it_does_not_read(void **state)
{
	(void)state;
	(void)joins(EDGE, 1, "ann", "phone");
	(void)joins(OTHER_EDGE, 2, "bob", "phone");
	kit_deaf = OTHER_EDGE;
	publish_as(EDGE, (struct dw_publish) { .corr = 1 });
	assert_int_equal(0, told(EDGE, DW_STORED)->stored.code);
	(void)told(EDGE, DW_MESSAGES);
	told_nothing(OTHER_EDGE);
	kit_deaf = UINT32_MAX;
	kit_drained = OTHER_EDGE;
	(void)kit_turn(); /* it is to be served */
	assert_string_equal("1", seqs_of(told(OTHER_EDGE, DW_MESSAGES)->messages.records));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TALK(test_no_credit),
		TALK(test_too_late),
		TALK(test_more_than_was_sent),
		TALK(test_they_make_way),
		TALK(test_bytes),
		TALK(test_it_does_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
