/* diagws-owner list: the registry as a table, TSV or JSON. Its own file because it is the one verb that changes
 * nothing. Failure modes: names out of their grammar (nothing is asked), no answer, an stdout that cannot be written.
 */
#include <stdio.h>
#include <unistd.h>

#include "diagws/rows.h"
#include "owner.h"

struct answer {
	bool came;
	int err;
	struct dw_rows *rows;
};

static void
take_answer(void *user, int err, const struct dw_wire *message)
{
	struct answer *answer = user;

	answer->came = true;
	if (err == DW_OK)
		err = message->kind == DW_TABLE ? dw_rows_new(&answer->rows, &message->table) : DW_E_PROTOCOL;
	answer->err = err;
}

static size_t
count_characters(const struct dw_buf *text)
{
	size_t count = 0;

	for (size_t i = 0; i < text->len; i++)
		count += ((unsigned char)text->data[i] & 0xC0U) != 0x80U;
	return count;
}

/* Puts a cell into text and says how wide it is. */
static size_t
show(struct dw_buf *text, const struct dw_rows *rows, size_t row, size_t column)
{
	const struct dw_cell name = { .type = DW_CELL_TEXT, .text = rows->names[column] };

	dw_buf_reset(text);
	dw_rows_cell_text(text, row == 0 ? &name : &rows->cells[row - 1][column]);
	return count_characters(text);
}

/* Columns as wide as their widest text; row 0 is the header. */
static int
print_aligned(const struct dw_rows *rows, bool color)
{
	struct dw_buf text;
	size_t widths[3] = { 0 };
	const size_t columns = rows->columns < 3 ? rows->columns : 3;
	int err;

	dw_buf_init(&text);
	for (size_t i = 0; i <= rows->rows; i++) {
		for (size_t j = 0; j < columns; j++) {
			const size_t width = show(&text, rows, i, j);

			widths[j] = width > widths[j] ? width : widths[j];
		}
	}
	for (size_t i = 0; i <= rows->rows; i++) {
		for (size_t j = 0; j < columns; j++) {
			const size_t width = show(&text, rows, i, j);
			const bool last = j + 1 == columns, tint = color && i == 0;

			(void)printf("%s%.*s%s%*s", tint ? "\033[36m" : "", (int)text.len, text.len > 0 ? text.data : "",
				tint ? "\033[0m" : "", last ? 0 : (int)(widths[j] - width) + 2, "");
		}
		(void)putchar('\n');
	}
	err = dw_buf_ok(&text) ? DW_OK : DW_E_NOMEM;
	dw_buf_clear(&text);
	return err;
}

static int
print_rows(const struct dw_rows *rows)
{
	const enum dw_rows_format format = dw_rows_format(dw_common.format, dw_common.json, isatty(STDOUT_FILENO) != 0);
	struct dw_buf text;
	int err = DW_OK;

	if (format == DW_ROWS_TABLE)
		return print_aligned(rows, dw_use_color(STDOUT_FILENO));
	dw_buf_init(&text);
	dw_rows_print(&text, rows, rows->rows, format, false);
	if (!dw_buf_ok(&text))
		err = DW_E_NOMEM;
	else if (text.len > 0 && fwrite(text.data, 1, text.len, stdout) != text.len)
		err = DW_E_IO;
	dw_buf_clear(&text);
	return err;
}

static int
ask(const char *room, const char *user, struct dw_rows **rows)
{
	struct dw_wire request = { .kind = DW_OWN };
	struct dw_client *client = NULL;
	struct dw_fault fault = { 0 };
	struct answer answer = { 0 };
	int err = open_client(&client);

	if (err != DW_OK)
		return err;
	request.own.verb = dw_str("list");
	request.own.room = dw_str(room);
	request.own.user = dw_str(user);
	err = dw_client_ask(client, &request, take_answer, &answer);
	while (err == DW_OK && !answer.came)
		(void)dw_client_poll(client, OWNER_WAIT_MS);
	err = err == DW_OK ? answer.err : err;
	if (err == DW_OK) {
		*rows = answer.rows;
	} else {
		dw_client_explain(client, err, &fault);
		dw_fault_print(stderr, owner_command.name, err, &fault, NULL);
	}
	dw_client_destroy(&client);
	return err;
}

int
list_owners(const struct options *options, const char *room)
{
	struct dw_rows *rows = NULL;
	struct dw_fault fault = { 0 };
	int err = room != NULL ? check_room(dw_str(room), &fault) : DW_OK;

	if (err == DW_OK && options->user != NULL)
		err = check_user(dw_str(options->user), &fault);
	if (err != DW_OK) {
		dw_fault_print(stderr, owner_command.name, err, &fault, NULL);
		return err;
	}
	err = ask(room, options->user, &rows);
	if (err != DW_OK)
		return err;
	err = print_rows(rows);
	if (err == DW_OK && (fflush(stdout) != 0 || ferror(stdout)))
		err = DW_E_IO;
	if (err != DW_OK)
		dw_fault_print(stderr, owner_command.name, err, NULL, NULL);
	else if (rows->more && !dw_common.quiet)
		fprintf(stderr, "%s: the hub has more rows than these %zu\n", owner_command.name, rows->rows);
	dw_rows_destroy(&rows);
	return err;
}
