/* diagws-send's messages: one, whose data is the whole input, or with -l one from each line.
 *
 * Of lines, up to a window are unanswered, and neither reading nor answers hold up the other. A turn: send the complete
 * lines for which the window has room, take the answers that are there, and only when neither is left wait for input
 * (if there is room) and for the hub. A hub that commits many at once stores no more than a window for each commit: so
 * the window grows while answers are prompt.
 *
 * Failure modes: what is wrong is told and not sent. After the first message that the hub did not take for now (away,
 * full, busy) no more lines are read: what comes behind would fare no better, and whoever runs it again knows from
 * which line; each has an id, so that it can be repeated safely. SIGINT: nothing more is read, what is under way is
 * waited for. A message that too few devices have confirmed in time stops nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/lines.h"
#include "cli/command.h"
#include "send.h"

enum {
	INPUT_MAX = 256 * 1024, /* bytes of a line, or of one message's text before white space is dropped */
	BLOCK = 32 * 1024,
	WINDOW_FIRST = 256, /* of a window that grows */
	WINDOW_MOST = 4096,
	LOOK_EVERY = 64, /* lines between two looks for answers */
	PROMPT_MS = 100, /* so soon is an answer prompt, or within a fiftieth of the timeout */
};

/* A message under way. */
struct item {
	struct item *next; /* while it is free */
	struct message message;
};

/* What this run is made of. */
static struct {
	const struct options *options;
	struct dw_lines *lines;   /* NULL: one message */
	struct dw_client *client; /* NULL: only check */
	struct report report;
	struct dw_request request;
	struct item *items, *free; /* free: of those that were in use before */
	size_t used;               /* of the items, ever */
	size_t window, under_way;  /* messages */
	uint64_t name;             /* of this run, in the ids it makes */
	uint64_t line;             /* the last one taken */
	uint64_t timed;            /* a line under way whose answer is timed; 0: none */
	uint64_t timed_since;      /* ms */
	uint64_t prompt_ms;
	bool prompt; /* the last such answer was */
	bool stop;   /* nothing more is to be read */
} batch;

/* What ended a turn's taking of lines. */
enum turn { WINDOW_FULL, TIME_TO_LOOK, NEEDS_INPUT, ENDED };

static bool
has_room(void)
{
	return batch.under_way < batch.window && dw_client_has_room(batch.client);
}

static char *
put_hex(char *to, uint64_t value)
{
	for (int shift = 60; shift >= 0; shift -= 4)
		*to++ = "0123456789abcdef"[value >> shift & 15];
	return to;
}

static uint64_t
mix_word(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return sum ^ sum >> 32;
}

/* A line's content in 64 bits, quickly: each step is one to one, and mixes high bits into low ones. It only has to tell
 * what stands in one place of one input from what stood there before: against anyone but chance it is no protection. */
static uint64_t
mix(struct dw_str line)
{
	uint64_t sum = line.n, word;
	size_t at = 0;

	for (; line.n - at >= sizeof(word); at += sizeof(word)) {
		memcpy(&word, line.p + at, sizeof(word));
		sum = mix_word(sum, word);
	}
	word = 0;
	memcpy(&word, line.p + at, line.n - at);
	return mix_word(sum, word);
}

static void
take_answer(void *at, int err, const struct dw_wire *answer)
{
	struct item *item = at;

	if (!report_answer(&batch.report, &item->message, batch.client, err, answer))
		return;
	batch.stop = batch.stop || batch.report.fatal != DW_OK || batch.report.failed > 0;
	item->next = batch.free;
	batch.free = item;
	batch.under_way--;
	if (item->message.line != batch.timed)
		return;
	batch.prompt = err == DW_OK && dw_mono_ms() - batch.timed_since <= batch.prompt_ms;
	batch.timed = 0;
}

/* The run, the place and the content: the same line sent twice by this run is the same message. */
static void
make_id(struct dw_str line, char id[DW_ID_MAX + 1])
{
	char *at = put_hex(id, batch.name);

	*at++ = '-';
	at = dw_put_decimal(at, batch.line);
	*at++ = '-';
	at = put_hex(at, mix(line));
	*at = '\0';
}

static void
send_request(struct dw_str line)
{
	const struct dw_request *request = &batch.request;
	struct item *item = batch.free;
	struct message *message;
	struct dw_wire publish = { .kind = DW_PUBLISH, .publish = batch.options->publish };
	int err;

	if (batch.client == NULL) {
		batch.report.checked++;
		return;
	}
	if (item != NULL)
		batch.free = item->next;
	else
		item = &batch.items[batch.used++];
	message = &item->message;
	*message = (struct message) { .line = batch.line, .made = request->id[0] == '\0' };
	(void)dw_str_copy(dw_str(request->room), message->room, sizeof(message->room));
	if (message->made)
		make_id(line, message->id);
	else
		(void)dw_str_copy(dw_str(request->id), message->id, sizeof(message->id));
	publish.publish.room = dw_str(message->room);
	publish.publish.type = dw_str(request->type);
	publish.publish.id = dw_str(message->id);
	publish.publish.data = dw_bytes(request->data.data, request->data.len);
	publish.publish.except = request->except;
	if (request->to[0] != '\0')
		publish.publish.to = dw_str(request->to);
	if (request->ttl_ms > 0)
		publish.publish.ttl_ms = request->ttl_ms;
	batch.under_way++;
	if (batch.timed == 0) {
		batch.timed = batch.line;
		batch.timed_since = dw_mono_ms();
	}
	err = dw_client_ask(batch.client, &publish, take_answer, item);
	if (err != DW_OK)
		take_answer(item, err, NULL);
}

static void
reject(int err, const struct dw_fault *fault)
{
	struct message message = { .line = batch.line };

	(void)dw_str_copy(dw_str(batch.request.room), message.room, sizeof(message.room));
	report_failed(&batch.report, &message, err, fault);
}

/* err: DW_OK, or the line is too long. */
static void
take_line(struct dw_str line, int err)
{
	struct dw_request *request = &batch.request;
	struct dw_fault fault = { 0 };

	if (err != DW_OK) {
		request->room[0] = '\0';
		(void)dw_fault_set(&fault, err, NULL, "at most 256 KiB", "the line is too long");
	} else if (dw_line_is_blank(line)) {
		return;
	} else {
		err = dw_request_general(request, batch.options->room, batch.options->type, line.p, line.n, &fault);
	}
	if (err != DW_OK)
		reject(err, &fault);
	else
		send_request(line);
}

static enum turn
take_lines(void)
{
	const uint64_t first = batch.line;

	while (!batch.stop) {
		struct dw_str line = { 0 };
		int err;

		if (batch.client != NULL && !has_room())
			return WINDOW_FULL;
		if (batch.line - first >= LOOK_EVERY)
			return TIME_TO_LOOK;
		err = dw_lines_next(batch.lines, &line, &batch.line);
		if (err == DW_E_AGAIN)
			return dw_lines_ended(batch.lines) ? ENDED : NEEDS_INPUT;
		take_line(line, err);
	}
	return ENDED;
}

/* The window is full: have answers made room? It doubles when the last answer that was timed came promptly. However
 * many senders do so, they have no more under way together than the hub stores in PROMPT_MS, far below what it refuses.
 */
static bool
made_room(void)
{
	if (!has_room())
		return false;
	if (batch.options->window == 0 && batch.prompt && batch.window < WINDOW_MOST)
		batch.window *= 2;
	batch.prompt = false;
	return true;
}

static void
tell_progress(void)
{
	report_tell_progress(&batch.report, batch.line - batch.under_way);
}

static void
await_answers(void)
{
	while (batch.client != NULL && dw_client_poll(batch.client, DW_COMMAND_WAIT_MS) > 0) {
		(void)dw_interrupted();
		tell_progress();
		report_flush(&batch.report);
	}
}

static void
run(void)
{
	report_begin_progress(&batch.report, batch.lines->fd);
	for (;;) {
		const enum turn turn = take_lines();
		struct dw_fault fault = { 0 };
		int left = 0, err;

		if (batch.client != NULL)
			left = dw_client_poll(batch.client, 0);
		tell_progress();
		if (dw_interrupted() || turn == ENDED || left < 0 || batch.stop)
			break;
		if (turn == TIME_TO_LOOK || (turn == WINDOW_FULL && made_room()))
			continue;
		report_flush(&batch.report);
		if (batch.report.output_broken)
			break;
		err = dw_command_wait(batch.lines, turn == NEEDS_INPUT, batch.client, left > 0, &fault);
		if (err != DW_OK)
			report_fatal(&batch.report, err, &fault);
	}
	await_answers();
	report_hide_progress(&batch.report);
}

/* Said when input was left alone, so that the rest can be sent by a later run. */
static void
tell_rest(void)
{
	if (batch.report.failed == 0 && !batch.report.output_broken)
		return;
	if (!dw_lines_ended(batch.lines))
		fprintf(stderr, "%s: %s: stopped after line %llu; what follows was not sent\n", SEND_NAME, batch.lines->name,
			(unsigned long long)batch.line);
}

static int
set_up(struct dw_fault *fault)
{
	const size_t fixed = batch.lines != NULL ? (size_t)batch.options->window : 1;
	const size_t most = fixed > 0 ? fixed : WINDOW_MOST;

	batch.items = calloc(most, sizeof(*batch.items));
	if (batch.items == NULL)
		return DW_E_NOMEM;
	batch.window = fixed > 0 ? fixed : WINDOW_FIRST;
	batch.name = dw_random();
	batch.prompt_ms = (uint64_t)dw_common.timeout_ms / 50 < PROMPT_MS ? (uint64_t)dw_common.timeout_ms / 50 : PROMPT_MS;
	return batch.options->dry ? DW_OK : dw_command_connect(&batch.client, SEND_NAME, most, true, fault);
}

static int
finish(void)
{
	dw_client_destroy(&batch.client);
	dw_request_clear(&batch.request);
	dw_lines_destroy(&batch.lines);
	free(batch.items);
	return report_end(&batch.report);
}

int
send_lines(const struct options *options, const char *path)
{
	struct dw_fault fault = { 0 };
	int err;

	batch.options = options;
	report_init(&batch.report, options);
	err = dw_lines_open(&batch.lines, path, INPUT_MAX, &fault);
	if (err == DW_OK) {
		batch.report.source = batch.lines->name;
		err = set_up(&fault);
	}
	if (err == DW_OK) {
		run();
		tell_rest();
	} else {
		report_fatal(&batch.report, err, &fault);
	}
	return finish();
}

/* ---- one message ---- */

/* Reads all of fd, at most INPUT_MAX bytes; an interrupt ends it early. */
static int
read_all(int fd, struct dw_buf *text, struct dw_fault *fault)
{
	for (;;) {
		char *to = dw_buf_room(text, BLOCK);
		ssize_t got;

		if (to == NULL)
			return DW_E_NOMEM;
		while (!dw_interrupt_wait(fd, -1, -1) && !dw_interrupted())
			continue;
		if (dw_interrupted())
			return DW_OK;
		got = read(fd, to, BLOCK);
		if (got == 0)
			return DW_OK;
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got < 0)
			return dw_fault_set(fault, DW_E_NOINPUT, NULL, NULL, "cannot read: %s", strerror(errno));
		dw_buf_grow(text, (size_t)got);
		if (text->len > INPUT_MAX)
			return dw_fault_set(
				fault, DW_E_TOO_BIG, NULL, "at most 64 KiB of data", "more than %d KiB of input", INPUT_MAX / 1024);
	}
}

/* path: NULL is standard input. */
static int
read_input(const char *path, struct dw_buf *text, struct dw_fault *fault)
{
	const int fd = path == NULL ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return dw_fault_set(fault, DW_E_NOINPUT, NULL, NULL, "cannot open: %s", strerror(errno));
	err = read_all(fd, text, fault);
	if (path != NULL)
		(void)close(fd);
	if (err == DW_OK && !dw_interrupted() && (text->len == 0 || strspn(text->data, " \t\r\n") == text->len))
		err = dw_fault_set(fault, DW_E_JSON, NULL, "a JSON object", "the input is empty");
	return err;
}

static int
take_names(struct dw_request *request, const char *id, const char *room, const char *type, struct dw_fault *fault)
{
	int err = dw_type_expand(dw_str(type), request->type, fault);

	if (err == DW_OK)
		err = dw_room_check(dw_str(room), "", fault);
	if (err != DW_OK)
		return err;
	(void)dw_str_copy(dw_str(room), request->room, sizeof(request->room));
	if (id == NULL)
		dw_random_id(request->id);
	else if (!dw_id_ok(dw_str(id)) || !dw_str_copy(dw_str(id), request->id, sizeof(request->id)))
		err = dw_fault_set(
			fault, DW_E_FIELD, "id", "1 to 128 of A-Z a-z 0-9 _ . : -", "option '--id': the value is not an id");
	return err;
}

int
send_single(const struct options *options, const char *type, const char *room, const char *data)
{
	struct dw_request *request = &batch.request;
	struct dw_str input = dw_str(data);
	struct dw_fault fault = { 0 };
	struct dw_buf text = { 0 };
	int err;

	batch.options = options;
	batch.line = 1;
	report_init(&batch.report, options);
	err = take_names(request, options->id, room, type, &fault);
	if (err == DW_OK && (data == NULL || data[0] == '@')) {
		batch.report.source = data == NULL ? "stdin" : data + 1;
		err = read_input(data == NULL ? NULL : data + 1, &text, &fault);
		input = dw_bytes(text.data, text.len);
	}
	if (err == DW_OK && !dw_interrupted())
		err = dw_data_check(dw_str(request->type), input.p, input.n, &request->data, &fault);
	if (err != DW_OK) {
		reject(err, &fault);
	} else if (!dw_interrupted()) {
		batch.report.source = NULL;
		err = set_up(&fault);
		if (err != DW_OK)
			report_fatal(&batch.report, err, &fault);
		else
			send_request(input);
		await_answers();
	}
	dw_buf_clear(&text);
	return finish();
}
