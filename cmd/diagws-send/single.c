/* diagws-send of one message: reads its data, checks it, sends it and waits for the answer.
 *
 * Its own file because everything here is once: the whole input is one JSON object. Failure modes: no data, data that
 * is wrong (told with field and bounds, nothing sent), no answer in time (told with the id, so that it can be
 * repeated safely). SIGINT while reading ends at once; while waiting for the answer it waits on, at most
 * the timeout, and exits 130.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "send.h"

enum { BLOCK = 32 * 1024 };

struct single {
	struct report *report;
	const struct dw_client *client;
	struct message message;
	bool answered;
};

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

static void
take_answer(void *at, int err, const struct dw_wire *answer)
{
	struct single *single = at;

	single->answered = report_answer(single->report, &single->message, single->client, err, answer);
}

static void
send_it(struct single *single, const struct options *options, const char *type, const struct dw_buf *data)
{
	struct dw_client *client = NULL;
	struct dw_fault fault = { 0 };
	struct dw_wire message = { .kind = DW_PUBLISH, .publish = options->publish };
	int err = dw_command_connect(&client, SEND_NAME, 1, true, &fault);

	if (err != DW_OK) {
		report_fatal(single->report, err, &fault);
		return;
	}
	single->client = client;
	message.publish.room = dw_str(single->message.room);
	message.publish.type = dw_str(type);
	message.publish.id = dw_str(single->message.id);
	message.publish.data = dw_bytes(data->data, data->len);
	err = dw_client_ask(client, &message, take_answer, single);
	if (err != DW_OK)
		take_answer(single, err, NULL);
	while (err == DW_OK && !single->answered) {
		(void)dw_client_poll(client, DW_COMMAND_WAIT_MS);
		(void)dw_interrupted();
	}
	dw_client_destroy(&client);
}

/* id: NULL, one is made. */
static int
set_names(struct message *message, const char *id, const char *room, const char *type, char full_type[DW_TYPE_MAX + 1],
	struct dw_fault *fault)
{
	int err = dw_type_expand(dw_str(type), full_type, fault);

	if (err == DW_OK)
		err = dw_room_check(dw_str(room), "", fault);
	if (err != DW_OK)
		return err;
	(void)dw_str_copy(dw_str(room), message->room, sizeof(message->room));
	message->made = id == NULL;
	if (id == NULL)
		dw_random_id(message->id);
	else if (!dw_id_ok(dw_str(id)) || !dw_str_copy(dw_str(id), message->id, sizeof(message->id)))
		err = dw_fault_set(
			fault, DW_E_FIELD, "id", "1 to 128 of A-Z a-z 0-9 _ . : -", "option '--id': the value is not an id");
	return err;
}

int
send_single(const struct options *options, const char *type, const char *room, const char *data)
{
	char full_type[DW_TYPE_MAX + 1];
	struct dw_str input = dw_str(data);
	struct dw_fault fault = { 0 };
	struct dw_buf text = { 0 }, compact = { 0 };
	struct report report;
	struct single single = { .report = &report, .message = { .line = 1 } };
	int err;

	report_init(&report, options);
	err = set_names(&single.message, options->id, room, type, full_type, &fault);
	if (err == DW_OK && (data == NULL || data[0] == '@')) {
		report.source = data == NULL ? "stdin" : data + 1;
		err = read_input(data == NULL ? NULL : data + 1, &text, &fault);
		input = dw_bytes(text.data, text.len);
	}
	if (err == DW_OK && !dw_interrupted())
		err = dw_data_check(dw_str(full_type), input.p, input.n, &compact, &fault);
	if (err != DW_OK) {
		single.message.id[0] = '\0';
		report_failed(&report, &single.message, err, &fault);
	} else if (!dw_interrupted()) {
		report.source = NULL;
		report.checked = options->dry ? 1 : 0;
		if (!options->dry)
			send_it(&single, options, full_type, &compact);
	}
	dw_buf_clear(&text);
	dw_buf_clear(&compact);
	return report_end(&report);
}
