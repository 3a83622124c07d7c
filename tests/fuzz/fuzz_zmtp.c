/* ZMTP at the accepting end: in whatever pieces the bytes come, the same messages are taken and the same is answered;
 * each lies in what was taken, within its bound; and written with their heads they are taken once more. The first byte:
 * whether a sound greeting and READY come first; the second: the pieces' size. */
#include "fuzz.h"
#include "wire/wire.h"
#include "wire/zmtp.h"

#define READY "\4\34\5READY\13Socket-Type\0\0\0\6DEALER"

/* What became of some bytes: messages, each with its length before it, and how it ended. */
struct outcome {
	struct dw_buf messages, said;
	int err;
	bool open;
};

static void
note(struct outcome *outcome, struct dw_str frame, int err)
{
	dw_buf_add(&outcome->messages, &frame.n, sizeof(frame.n));
	if (err == DW_OK)
		dw_buf_add(&outcome->messages, frame.p, frame.n);
}

/* One turn: all that is there. */
static int
take_all(struct dw_zmtp *zmtp, struct dw_str *bytes, size_t *need, struct outcome *outcome)
{
	int err;

	do {
		const struct dw_str before = *bytes;
		struct dw_str frame = { 0 };

		err = dw_zmtp_next(zmtp, bytes, &frame, need, &outcome->said);
		REQUIRE(bytes->n <= before.n && bytes->p == before.p + (before.n - bytes->n));
		REQUIRE(err == DW_OK || err == DW_E_AGAIN || err == DW_E_TOO_BIG || err == DW_E_PROTOCOL);
		if (err == DW_OK)
			REQUIRE(frame.n <= DW_WIRE_FRAME_MAX && frame.p >= before.p && frame.p + frame.n <= bytes->p);
		if (err == DW_E_TOO_BIG)
			REQUIRE(frame.n > DW_WIRE_FRAME_MAX);
		if (err == DW_E_AGAIN)
			REQUIRE(*need > bytes->n && *need <= DW_WIRE_FRAME_MAX + DW_ZMTP_HEAD_MAX);
		if (err == DW_OK || err == DW_E_TOO_BIG)
			note(outcome, frame, err);
	} while (err == DW_OK || err == DW_E_TOO_BIG);
	return err;
}

/* As they come in pieces; what is not taken yet lies before the next one, in memory of exactly its size. */
static void
run(struct dw_str all, size_t piece, struct outcome *outcome)
{
	struct dw_zmtp zmtp = { 0 };
	struct dw_buf kept = { 0 };
	size_t need = 1;

	*outcome = (struct outcome) { .err = DW_E_AGAIN };
	for (size_t at = 0; at < all.n && outcome->err == DW_E_AGAIN; at += piece) {
		const size_t n = piece < all.n - at ? piece : all.n - at;
		struct dw_str bytes;
		char *exact;

		dw_buf_add(&kept, all.p + at, n);
		exact = malloc(kept.len);
		REQUIRE(exact != NULL);
		memcpy(exact, kept.data, kept.len);
		bytes = (struct dw_str) { exact, kept.len };
		outcome->err = take_all(&zmtp, &bytes, &need, outcome);
		dw_buf_reset(&kept);
		dw_buf_add(&kept, bytes.p, bytes.n);
		free(exact);
	}
	outcome->open = dw_zmtp_open(&zmtp);
	REQUIRE(dw_buf_ok(&kept) && dw_buf_ok(&outcome->messages) && dw_buf_ok(&outcome->said));
	dw_buf_clear(&kept);
}

static void
clear(struct outcome *outcome)
{
	dw_buf_clear(&outcome->messages);
	dw_buf_clear(&outcome->said);
}

static void
begin(struct dw_buf *out)
{
	dw_zmtp_greet(out);
	dw_buf_add(out, READY, sizeof(READY) - 1);
}

/* The messages that were taken whole, as a peer of ours would send them. */
static void
check_again(const struct outcome *outcome)
{
	struct dw_buf bytes = { 0 }, whole = { 0 };
	struct outcome again;
	uint8_t head[DW_ZMTP_HEAD_MAX];
	size_t n;

	begin(&bytes);
	for (size_t at = 0; at < outcome->messages.len; at += sizeof(n) + (n <= DW_WIRE_FRAME_MAX ? n : 0)) {
		memcpy(&n, outcome->messages.data + at, sizeof(n));
		if (n > DW_WIRE_FRAME_MAX)
			continue;
		dw_buf_add(&bytes, head, dw_zmtp_head(n, head));
		dw_buf_add(&bytes, outcome->messages.data + at + sizeof(n), n);
		dw_buf_add(&whole, outcome->messages.data + at, sizeof(n) + n);
	}
	run(fuzz_bytes(&bytes), bytes.len, &again);
	REQUIRE(again.err == DW_E_AGAIN && again.open);
	REQUIRE(fuzz_same(fuzz_bytes(&again.messages), fuzz_bytes(&whole)));
	clear(&again);
	dw_buf_clear(&bytes);
	dw_buf_clear(&whole);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const bool sound = (fuzz_byte(&data, &size) & 1) != 0;
	const size_t piece = (size_t)fuzz_byte(&data, &size) + 1;
	struct outcome whole, pieces;
	struct dw_buf all = { 0 };

	if (sound)
		begin(&all);
	dw_buf_add(&all, data, size);
	run(fuzz_bytes(&all), all.len + 1, &whole);
	run(fuzz_bytes(&all), piece, &pieces);
	REQUIRE(whole.err == pieces.err && whole.open == pieces.open && (whole.open || whole.messages.len == 0));
	REQUIRE(fuzz_same(fuzz_bytes(&whole.messages), fuzz_bytes(&pieces.messages)));
	REQUIRE(fuzz_same(fuzz_bytes(&whole.said), fuzz_bytes(&pieces.said)));
	check_again(&whole);
	clear(&whole);
	clear(&pieces);
	dw_buf_clear(&all);
	return 0;
}
