/* ZMTP at the accepting end (zmtp.h).
 *
 * Why not libzmq, as everywhere else: its ROUTER queues by count of messages, not by bytes, reads from all or from
 * none, cannot close a connection, and aborts when descriptors are used up. One process with the socket could take 2 GB
 * of the hub with 3,000 small questions. With what is here the hub reads from whom it wants, as much as it wants.
 *
 *   greeting  FF, 8 bytes, 7F, major, minor, mechanism (20 bytes), as-server, 31 bytes
 *   frame     flags, size (1 byte, or 8 with LONG), bytes
 *   command   a frame whose bytes are: length of its name, name, data
 *
 * Nothing is allocated by what a peer says of its size.
 */
#include "wire/zmtp.h"

#include <string.h>
#include <strings.h>

#include "wire/wire.h"

enum state { GREETING, READY, OPEN };
enum flags { MORE = 1, LONG = 2, COMMAND = 4 };
enum { SIGNATURE = 10, MAJOR = 10, MECHANISM = 12, MECHANISM_SIZE = 20 };

void
dw_zmtp_greet(struct dw_buf *out)
{
	static const char greeting[DW_ZMTP_GREETING] = { '\xff', 0, 0, 0, 0, 0, 0, 0, 1, '\x7f', 3, 1, 'N', 'U', 'L', 'L' };

	dw_buf_add(out, greeting, sizeof(greeting));
}

size_t
dw_zmtp_head(size_t size, uint8_t head[DW_ZMTP_HEAD_MAX])
{
	uint64_t rest = size;

	head[0] = size > UINT8_MAX ? LONG : 0;
	head[1] = (uint8_t)size;
	if (size <= UINT8_MAX)
		return 2;
	for (size_t i = 8; i > 0; i--, rest >>= 8)
		head[i] = (uint8_t)rest;
	return DW_ZMTP_HEAD_MAX;
}

bool
dw_zmtp_open(const struct dw_zmtp *zmtp)
{
	return zmtp->state == OPEN;
}

static void
add_command(struct dw_buf *out, struct dw_str name, struct dw_str data)
{
	dw_buf_addc(out, COMMAND);
	dw_buf_addc(out, (char)(1 + name.n + data.n));
	dw_buf_addc(out, (char)name.n);
	dw_buf_add(out, name.p, name.n);
	dw_buf_add(out, data.p, data.n);
}

/* To somebody whom the ERROR will still reach. */
static int
refuse(struct dw_buf *out, const char *why)
{
	struct dw_buf data = { 0 };

	dw_buf_addc(&data, (char)strlen(why));
	dw_buf_adds(&data, why);
	add_command(out, DW_STR("ERROR"), (struct dw_str) { data.data, data.len });
	dw_buf_clear(&data);
	return DW_E_PROTOCOL;
}

/* A greeting may be cut off as soon as it cannot become one of ZMTP 3. */
static int
take_greeting(struct dw_zmtp *zmtp, struct dw_str *bytes, size_t *need)
{
	static const char null[MECHANISM_SIZE] = "NULL";
	const char *p = bytes->p;

	if ((bytes->n > 0 && (uint8_t)p[0] != 0xff) || (bytes->n >= SIGNATURE && p[SIGNATURE - 1] != 0x7f) ||
		(bytes->n > MAJOR && (uint8_t)p[MAJOR] < 3))
		return DW_E_PROTOCOL;
	*need = DW_ZMTP_GREETING;
	if (bytes->n < DW_ZMTP_GREETING)
		return DW_E_AGAIN;
	if (memcmp(p + MECHANISM, null, MECHANISM_SIZE) != 0)
		return DW_E_PROTOCOL;
	(void)dw_str_take(bytes, DW_ZMTP_GREETING);
	zmtp->state = READY;
	return DW_OK;
}

/* The next run that is preceded by its length in so many bytes. False: there is none. */
static bool
take_run(struct dw_str *rest, size_t header, struct dw_str *run)
{
	size_t n;

	if (rest->n < header)
		return false;
	n = (size_t)dw_big_endian(rest->p, header);
	if (n > rest->n - header)
		return false;
	(void)dw_str_take(rest, header);
	*run = dw_str_take(rest, n);
	return true;
}

static bool
is_name(struct dw_str name, const char *text)
{
	return name.n == strlen(text) && strncasecmp(name.p, text, name.n) == 0;
}

static int
take_ready(struct dw_zmtp *zmtp, struct dw_str properties, struct dw_buf *out)
{
	struct dw_str name, value;
	bool dealer = false;

	while (properties.n > 0) {
		if (!take_run(&properties, 1, &name) || !take_run(&properties, 4, &value))
			return refuse(out, "malformed READY");
		if (is_name(name, "Socket-Type"))
			dealer = dw_str_is(value, "DEALER");
	}
	if (!dealer)
		return refuse(out, "a DEALER is expected here");
	add_command(out, DW_STR("READY"), DW_STR("\x0bSocket-Type\0\0\0\6ROUTER\10Identity\0\0\0\0"));
	zmtp->state = OPEN;
	return DW_OK;
}

static int
take_command(struct dw_zmtp *zmtp, struct dw_str body, struct dw_buf *out)
{
	enum { TTL = 2, CONTEXT_MAX = 16 };
	struct dw_str name;

	if (!take_run(&body, 1, &name))
		return refuse(out, "malformed command");
	if (zmtp->state == READY)
		return is_name(name, "READY") ? take_ready(zmtp, body, out) : refuse(out, "READY is expected first");
	if (is_name(name, "PING") && body.n >= TTL && body.n <= TTL + CONTEXT_MAX)
		add_command(out, DW_STR("PONG"), (struct dw_str) { body.p + TTL, body.n - TTL });
	return DW_OK;
}

struct head {
	uint8_t flags;
	size_t header;
	uint64_t size;
};

/* False: it is not all there; *need says how much it is. */
static bool
read_head(struct dw_str bytes, struct head *head, size_t *need)
{
	*need = 2;
	if (bytes.n < *need)
		return false;
	head->flags = (uint8_t)bytes.p[0];
	head->header = (head->flags & LONG) != 0 ? DW_ZMTP_HEAD_MAX : 2;
	*need = head->header;
	if (bytes.n < *need)
		return false;
	head->size = dw_big_endian(bytes.p + 1, head->header - 1);
	return true;
}

/* True: all of it has been passed over. */
static bool
pass_over(struct dw_zmtp *zmtp, struct dw_str *bytes)
{
	const size_t n = zmtp->passed < bytes->n ? (size_t)zmtp->passed : bytes->n;

	(void)dw_str_take(bytes, n);
	zmtp->passed -= n;
	return zmtp->passed == 0;
}

/* Passes over a frame that is too long, or one of several that are one message. */
static int
begin_passing(struct dw_zmtp *zmtp, struct dw_str *bytes, const struct head *head, struct dw_str *frame)
{
	const bool more = (head->flags & MORE) != 0, alone = !zmtp->parts && !more;

	zmtp->parts = more;
	zmtp->passed = head->size;
	(void)dw_str_take(bytes, head->header);
	*frame = (struct dw_str) { NULL, (size_t)head->size };
	return alone ? DW_E_TOO_BIG : DW_OK;
}

static bool
is_odd(const struct dw_zmtp *zmtp, const struct head *head)
{
	if ((head->flags & ~(MORE | LONG | COMMAND)) != 0)
		return true;
	if ((head->flags & COMMAND) != 0)
		return (head->flags & MORE) != 0 || head->size > DW_ZMTP_COMMAND_MAX;
	return zmtp->state != OPEN || head->size > INT64_MAX;
}

int
dw_zmtp_next(struct dw_zmtp *zmtp, struct dw_str *bytes, struct dw_str *frame, size_t *need, struct dw_buf *out)
{
	int err = zmtp->state == GREETING ? take_greeting(zmtp, bytes, need) : DW_OK;

	while (err == DW_OK) {
		struct head head;

		*need = 1;
		if (!pass_over(zmtp, bytes) || !read_head(*bytes, &head, need))
			return DW_E_AGAIN;
		if (is_odd(zmtp, &head))
			return DW_E_PROTOCOL;
		if ((head.flags & COMMAND) == 0 && (zmtp->parts || (head.flags & MORE) != 0 || head.size > DW_WIRE_FRAME_MAX)) {
			err = begin_passing(zmtp, bytes, &head, frame);
			continue;
		}
		*need = head.header + (size_t)head.size;
		if (bytes->n < *need)
			return DW_E_AGAIN;
		(void)dw_str_take(bytes, head.header);
		*frame = dw_str_take(bytes, (size_t)head.size);
		if ((head.flags & COMMAND) == 0)
			return DW_OK;
		err = take_command(zmtp, *frame, out);
	}
	return err;
}
