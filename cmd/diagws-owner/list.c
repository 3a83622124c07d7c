/* diagws-owner list: the registry as a table, TSV or JSON. Its own file because it is the one verb that changes
 * nothing. The hub gives it page by page; they are printed as one list when the last has come.
 *
 * Failure modes: names out of their grammar (nothing is asked), no answer, an stdout that cannot be written.
 */
#include <stdio.h>
#include <unistd.h>

#include "cli/rows.h"
#include "owner.h"

struct listing {
	struct dw_buf columns, cells; /* of the pages that came */
	bool waits;                   /* for the next one */
	bool more;                    /* there is one, behind this entry */
	char room[DW_ROOM_MAX + 1], user[DW_USER_MAX + 1];
	int err;
};

static int
take_page(struct listing *listing, const struct dw_table *table)
{
	dw_buf_reset(&listing->columns);
	dw_buf_add(&listing->columns, table->columns.p, table->columns.n);
	dw_buf_add(&listing->cells, table->cells.p, table->cells.n);
	listing->more = table->more;
	(void)dw_str_copy(table->room, listing->room, sizeof(listing->room));
	(void)dw_str_copy(table->user, listing->user, sizeof(listing->user));
	if (table->more && (table->room.n == 0 || table->user.n == 0))
		return DW_E_PROTOCOL;
	return dw_buf_ok(&listing->columns) && dw_buf_ok(&listing->cells) ? DW_OK : DW_E_NOMEM;
}

static void
take_answer(void *user, int err, const struct dw_wire *message)
{
	struct listing *listing = user;

	listing->waits = false;
	if (err == DW_OK)
		err = message->kind == DW_TABLE ? take_page(listing, &message->table) : DW_E_PROTOCOL;
	listing->err = err;
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
ask_page(struct dw_client *client, const char *room, const char *user, struct listing *listing)
{
	const struct dw_wire request = { .kind = DW_OWN,
		.own = { .verb = DW_STR("list"),
			.room = dw_str(room),
			.user = dw_str(user),
			.after_room = dw_str(listing->room),
			.after_user = dw_str(listing->user) } };
	int err;

	listing->waits = true;
	err = dw_client_ask(client, &request, take_answer, listing);
	while (err == DW_OK && listing->waits)
		(void)dw_client_poll(client, OWNER_WAIT_MS);
	return err == DW_OK ? listing->err : err;
}

static int
ask(const char *room, const char *user, struct dw_rows **rows)
{
	struct listing listing = { .more = true };
	struct dw_client *client = NULL;
	struct dw_fault fault = { 0 };
	int err = open_client(&client);

	if (err != DW_OK)
		return err;
	while (err == DW_OK && listing.more)
		err = ask_page(client, room, user, &listing);
	if (err == DW_OK)
		err = dw_rows_new(rows, &(struct dw_table) { .columns = { listing.columns.data, listing.columns.len },
									.cells = { listing.cells.data, listing.cells.len } });
	if (err != DW_OK) {
		dw_client_explain(client, err, &fault);
		dw_fault_print(stderr, owner_command.name, err, &fault, NULL);
	}
	dw_client_destroy(&client);
	dw_buf_clear(&listing.columns);
	dw_buf_clear(&listing.cells);
	return err;
}

int
list_owners(const struct options *options, const char *room)
{
	struct dw_rows *rows = NULL;
	struct dw_fault fault = { 0 };
	int err = room != NULL ? dw_room_check(dw_str(room), "", &fault) : DW_OK;

	if (err == DW_OK && options->user != NULL)
		err = dw_user_check(dw_str(options->user), "", &fault);
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
	dw_rows_destroy(&rows);
	return err;
}
