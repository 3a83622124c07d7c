/* Time, randomness, and the bus: frames lie in queues until who they are for takes them.
 *
 * Replaces at link time: dw_now_ms, dw_mono_ms, dw_mono_us, dw_random and dw_random_id (wrapped), lib/wire/bus.c, the
 * calls that wait for a disk, and the libuv calls of cmd/diagws-edge/hub/uplink.c. Failure modes: none; memory ends the
 * process.
 */
#include "sim.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <utlist.h>
#include <uv.h>

#include "base/clock.h"
#include "wire/bus.h"
#include "wire/router.h"

uint64_t sim_wall, sim_mono;
static uint64_t state;

void
sim_seed(uint64_t seed)
{
	state = seed;
}

/* splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators". */
static uint64_t
next_random(void)
{
	uint64_t z = (state += 0x9E3779B97F4A7C15U);

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
	return z ^ (z >> 31);
}

uint64_t __wrap_dw_now_ms(void);
uint64_t __wrap_dw_mono_ms(void);
uint64_t __wrap_dw_mono_us(void);
uint64_t __wrap_dw_random(void);
void __wrap_dw_random_id(char out[DW_HEX_ID_SIZE]);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t length);
ssize_t __real_pread(int fd, void *out, size_t n, off_t at);
ssize_t __wrap_pread(int fd, void *out, size_t n, off_t at);

uint64_t
__wrap_dw_now_ms(void)
{
	return sim_wall;
}

uint64_t
__wrap_dw_mono_ms(void)
{
	return sim_mono;
}

uint64_t
__wrap_dw_mono_us(void)
{
	return sim_mono * 1000;
}

uint64_t
__wrap_dw_random(void)
{
	return next_random();
}

void
__wrap_dw_random_id(char out[DW_HEX_ID_SIZE])
{
	const uint64_t a = next_random(), b = next_random();

	(void)snprintf(out, DW_HEX_ID_SIZE, "%016llx%016llx", (unsigned long long)a, (unsigned long long)b);
}

/* Processes die here, machines do not. */
int
__wrap_fsync(int fd)
{
	(void)fd;
	return 0;
}

int
__wrap_fdatasync(int fd)
{
	(void)fd;
	return 0;
}

int
__wrap_fallocate(int fd, int mode, off_t offset, off_t length)
{
	const off_t size = lseek(fd, 0, SEEK_END);

	(void)mode;
	return size >= offset + length ? 0 : ftruncate(fd, offset + length);
}

/* A journal is looked through block by block, and with __wrap_fallocate most of it is one hole: what lies in that need
 * not be read. It is only believed while one and the same file is read forward. */
ssize_t
__wrap_pread(int fd, void *out, size_t n, off_t at)
{
	static int last = -1;
	static off_t from, to;

	if (fd == last && at > from && at + (off_t)n <= to) {
		from = at;
		memset(out, 0, n);
		return (ssize_t)n;
	}
	last = fd;
	from = at;
	to = lseek(fd, at, SEEK_DATA);
	if (to < 0)
		to = lseek(fd, 0, SEEK_END);
	return __real_pread(fd, out, n, at);
}

/* ---- lines */

struct frame {
	struct frame *prev, *next;
	int line;
	uint32_t peer;
	size_t n;
	char bytes[];
};

static struct line {
	bool up;
	uint32_t peer; /* the number that the hub knows it by */
	struct frame *heard;
} lines[LINES];
static struct frame *said; /* to the hub, by whoever */
static uint32_t gone[LINES];
static size_t gone_count;
static uint32_t last_peer;

static struct frame *
new_frame(int line, const void *bytes, size_t n)
{
	struct frame *frame = malloc(sizeof(*frame) + n);

	if (frame == NULL)
		abort();
	frame->line = line;
	frame->peer = lines[line].peer;
	frame->n = n;
	memcpy(frame->bytes, bytes, n);
	return frame;
}

void
line_up(int line)
{
	lines[line].up = true;
	lines[line].peer = ++last_peer;
}

void
line_cut(int line)
{
	struct frame *frame, *next;

	if (lines[line].up && lines[line].peer % 2 == 0 && gone_count < LINES)
		gone[gone_count++] = lines[line].peer;
	lines[line].up = false;
	DL_FOREACH_SAFE(said, frame, next)
	{
		if (frame->line != line)
			continue;
		DL_DELETE(said, frame);
		free(frame);
	}
}

void
line_forget(int line)
{
	struct frame *frame, *next;

	DL_FOREACH_SAFE(lines[line].heard, frame, next)
	{
		free(frame);
	}
	lines[line].heard = NULL;
}

bool
lines_busy(void)
{
	return said != NULL;
}

bool
line_busy(int line)
{
	return lines[line].heard != NULL;
}

uint32_t
line_peer(int line)
{
	return lines[line].peer;
}

void
line_say(int line, const void *bytes, size_t n)
{
	struct frame *frame = new_frame(line, bytes, n);

	DL_APPEND(said, frame);
}

void
line_inject(int line, const void *bytes, size_t n)
{
	struct frame *frame = new_frame(line, bytes, n);

	DL_APPEND(lines[line].heard, frame);
}

static bool
take(struct frame **queue, struct dw_buf *out, uint32_t *peer)
{
	struct frame *frame = *queue;

	if (frame == NULL)
		return false;
	DL_DELETE(*queue, frame);
	dw_buf_reset(out);
	dw_buf_add(out, frame->bytes, frame->n);
	*peer = frame->peer;
	free(frame);
	return true;
}

bool
line_hear(int line, struct dw_buf *frame)
{
	uint32_t peer;

	return take(&lines[line].heard, frame, &peer);
}

/* ---- lib/wire/bus.c */

struct dw_bus {
	int line;
	struct dw_buf frame;
};

static int attached;

int
dw_bus_connect(struct dw_bus **out, const char *uri, const struct dw_bus *beside, struct dw_fault *fault)
{
	(void)uri;
	(void)beside;
	(void)fault;
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		abort();
	(*out)->line = attached;
	return DW_OK;
}

/* What was on its way is lost. */
void
dw_bus_reconnect(struct dw_bus *bus)
{
	const bool up = lines[bus->line].up;

	line_cut(bus->line);
	line_forget(bus->line);
	if (up)
		line_up(bus->line);
}

void
dw_bus_destroy(struct dw_bus **bus_p)
{
	if (*bus_p == NULL)
		return;
	dw_buf_clear(&(*bus_p)->frame);
	free(*bus_p);
	*bus_p = NULL;
}

int
dw_bus_fd(const struct dw_bus *bus)
{
	(void)bus;
	return -1;
}

bool
dw_bus_readable(struct dw_bus *bus)
{
	return lines[bus->line].heard != NULL;
}

int
dw_bus_recv(struct dw_bus *bus, struct dw_str *frame)
{
	uint32_t peer;

	if (!take(&lines[bus->line].heard, &bus->frame, &peer))
		return DW_E_AGAIN;
	*frame = (struct dw_str) { bus->frame.data, bus->frame.len };
	return DW_OK;
}

int
dw_bus_send(struct dw_bus *bus, const void *bytes, size_t n)
{
	if (!lines[bus->line].up)
		return DW_E_AGAIN;
	line_say(bus->line, bytes, n);
	return DW_OK;
}

bool
dw_bus_wait(struct dw_bus *bus, int64_t timeout_ms)
{
	(void)timeout_ms;
	return dw_bus_readable(bus);
}

/* ---- lib/wire/router.c: one frame after another */

struct dw_router {
	struct dw_buf frame;
	bool lent;
};

int
dw_router_bind(
	struct dw_router **out, const struct dw_bind *binds, size_t count, size_t connections, struct dw_fault *fault)
{
	(void)binds;
	(void)count;
	(void)connections;
	(void)fault;
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		abort();
	return DW_OK;
}

void
dw_router_destroy(struct dw_router **router_p)
{
	if (*router_p == NULL)
		return;
	dw_buf_clear(&(*router_p)->frame);
	free(*router_p);
	*router_p = NULL;
}

int
dw_router_turn(struct dw_router *router)
{
	(void)router;
	return DW_OK;
}

int
dw_router_recv(struct dw_router *router, uint32_t *peer, struct dw_str *frame)
{
	if (router->lent || !take(&said, &router->frame, peer))
		return DW_E_AGAIN;
	*frame = (struct dw_str) { router->frame.data, router->frame.len };
	router->lent = true;
	return DW_OK;
}

void
dw_router_done(struct dw_router *router, uint32_t peer)
{
	(void)peer;
	router->lent = false;
}

int
dw_router_send(struct dw_router *router, uint32_t peer, const void *bytes, size_t n)
{
	(void)router;
	for (int line = 0; line < LINES; line++) {
		if (!lines[line].up || lines[line].peer != peer)
			continue;
		line_inject(line, bytes, n);
		return DW_OK;
	}
	return DW_E_UNKNOWN;
}

size_t
dw_router_unsent(const struct dw_router *router, uint32_t peer)
{
	(void)router;
	(void)peer;
	return 0;
}

bool
dw_router_drained(struct dw_router *router, uint32_t *peer)
{
	(void)router;
	(void)peer;
	return false;
}

/* A connection that was cut: the hub learns of every second one. */
bool
dw_router_gone(struct dw_router *router, uint32_t *peer, const char **why)
{
	(void)router;
	if (gone_count == 0)
		return false;
	*peer = gone[--gone_count];
	*why = NULL;
	return true;
}

void
dw_router_close(struct dw_router *router, uint32_t peer)
{
	(void)router;
	(void)peer;
}

void
dw_router_known(struct dw_router *router, uint32_t peer, bool known)
{
	(void)router;
	(void)peer;
	(void)known;
}

unsigned
dw_router_roles(const struct dw_router *router, uint32_t peer)
{
	(void)router;
	(void)peer;
	return UINT_MAX;
}

uid_t
dw_router_uid(const struct dw_router *router, uint32_t peer)
{
	(void)router;
	(void)peer;
	return 0;
}

/* ---- libuv: a timer, a poll and an idle handle of each edge's link to its hub */

static struct {
	uv_timer_t *timer;
	uv_timer_cb on_timer;
	uv_poll_t *poll;
	uv_poll_cb on_poll;
	bool idle;
} handles[SIM_EDGES];

void
sim_attach(int line)
{
	attached = line;
}

void
sim_detach(int line)
{
	memset(&handles[line], 0, sizeof(handles[line]));
}

void
sim_tick(int line)
{
	if (handles[line].on_timer != NULL)
		handles[line].on_timer(handles[line].timer);
}

bool
sim_pump(int line)
{
	if (handles[line].on_poll == NULL || (!handles[line].idle && lines[line].heard == NULL))
		return false;
	handles[line].on_poll(handles[line].poll, 0, UV_READABLE);
	return true;
}

int
uv_poll_init(uv_loop_t *loop, uv_poll_t *handle, int fd)
{
	(void)loop;
	(void)fd;
	handles[attached].poll = handle;
	return 0;
}

int
uv_poll_start(uv_poll_t *handle, int events, uv_poll_cb cb)
{
	(void)handle;
	(void)events;
	handles[attached].on_poll = cb;
	return 0;
}

int
uv_timer_init(uv_loop_t *loop, uv_timer_t *handle)
{
	(void)loop;
	handles[attached].timer = handle;
	return 0;
}

int
uv_timer_start(uv_timer_t *handle, uv_timer_cb cb, uint64_t timeout, uint64_t repeat)
{
	(void)handle;
	(void)timeout;
	(void)repeat;
	handles[attached].on_timer = cb;
	return 0;
}

/* There is no other thread. */
int
uv_prepare_init(uv_loop_t *loop, uv_prepare_t *prepare)
{
	(void)loop;
	(void)prepare;
	return 0;
}

int
uv_prepare_start(uv_prepare_t *prepare, uv_prepare_cb cb)
{
	(void)prepare;
	(void)cb;
	return 0;
}

int
uv_idle_init(uv_loop_t *loop, uv_idle_t *idle)
{
	(void)loop;
	idle->loop = (uv_loop_t *)&handles[attached];
	return 0;
}

static bool *
idle_of(const uv_idle_t *idle)
{
	for (int i = 0; i < SIM_EDGES; i++)
		if (idle->loop == (uv_loop_t *)&handles[i])
			return &handles[i].idle;
	abort();
}

int
uv_idle_start(uv_idle_t *idle, uv_idle_cb cb)
{
	(void)cb; /* it pumps, as on_poll does */
	*idle_of(idle) = true;
	return 0;
}

int
uv_idle_stop(uv_idle_t *idle)
{
	*idle_of(idle) = false;
	return 0;
}

void
uv_close(uv_handle_t *handle, uv_close_cb cb)
{
	if (cb != NULL)
		cb(handle);
}

void
uv_stop(uv_loop_t *loop)
{
	(void)loop;
}
