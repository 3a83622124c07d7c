/* Where a reader of a room stands. Only the calls below make one (`make lint` sees to it that nobody else names the
 * members), so that its three numbers belong together.
 *
 * A room has one log of the messages to everyone, numbered by n, and one for each user of the direct messages to that
 * user, numbered by `own`; seq orders all of them. A position says of each log how far the reader is done with it
 * (got, told as a gap, or never owed), and after which seq it reads on:
 *   a message is settled if its seq, or its n (of a direct one: its own), is not above the position's.
 * So n and own may be ahead of seq (what lay there is no more), never behind. Of a stream, which is for all users of a
 * room, own is 0 and n is exactly the room's at that seq.
 */
#ifndef DIAGWS_POSITION_H
#define DIAGWS_POSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dw_position {
	uint64_t seq_, n_, own_; /* private */
};

/* A message's numbers. */
struct dw_number {
	uint64_t seq, n; /* n of a direct one: the room's when it was stored */
	uint64_t own;    /* of a direct one; 0: it is to everyone */
};

static inline uint64_t
dw_seq(struct dw_position at)
{
	return at.seq_;
}

static inline uint64_t
dw_n(struct dw_position at)
{
	return at.n_;
}

static inline uint64_t
dw_own(struct dw_position at)
{
	return at.own_;
}

/* Nothing was ever read. */
static inline struct dw_position
dw_position_start(void)
{
	return (struct dw_position) { 0, 0, 0 };
}

/* As the engine says, which has all three from one look; or as somebody said who had it so (wire, store, a PONG);
 * or a seq alone, with 0 and 0. */
static inline struct dw_position
dw_position_said(uint64_t seq, uint64_t n, uint64_t own)
{
	return (struct dw_position) { seq, n, own };
}

/* Of a stream: right before, and right behind, this message. */
static inline struct dw_position
dw_position_before(struct dw_number number)
{
	return (struct dw_position) { number.seq - 1, number.own == 0 ? number.n - 1 : number.n, 0 };
}

static inline struct dw_position
dw_position_behind(struct dw_number number)
{
	return (struct dw_position) { number.seq, number.n, 0 };
}

static inline bool
dw_position_same(struct dw_position a, struct dw_position b)
{
	return a.seq_ == b.seq_ && a.n_ == b.n_ && a.own_ == b.own_;
}

static inline uint64_t
dw_greater(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline uint64_t
dw_less(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The greater, and the lesser, of each of the three. */
static inline struct dw_position
dw_position_further(struct dw_position a, struct dw_position b)
{
	return (struct dw_position) { dw_greater(a.seq_, b.seq_), dw_greater(a.n_, b.n_), dw_greater(a.own_, b.own_) };
}

static inline struct dw_position
dw_position_nearer(struct dw_position a, struct dw_position b)
{
	return (struct dw_position) { dw_less(a.seq_, b.seq_), dw_less(a.n_, b.n_), dw_less(a.own_, b.own_) };
}

/* The reader has got this message; mine: it is direct, and to this reader. */
static inline struct dw_position
dw_position_pass(struct dw_position at, struct dw_number number, bool mine)
{
	return dw_position_further(at, (struct dw_position) { number.seq, number.n, mine ? number.own : 0 });
}

/* The reader knows that those to everyone up to n, or its own up to own, are gone; 0: none of them. */
static inline struct dw_position
dw_position_skip(struct dw_position at, uint64_t n, uint64_t own)
{
	return dw_position_further(at, (struct dw_position) { 0, n, own });
}

#endif
