/* See csv.h. */
#include "csv.h"

static int
refuse(struct dw_fault *fault, const char *why)
{
	return dw_fault_set(fault, DW_E_FIELD, NULL, "cells separated by commas, in quotes where they hold one", "%s", why);
}

static int
end_cell(struct csv *csv, struct dw_fault *fault)
{
	dw_buf_addc(&csv->text, '\0');
	csv->state = CSV_BEGIN;
	if (csv->count + 1 == CSV_CELLS)
		return refuse(fault, "the record has too many cells");
	csv->starts[++csv->count] = csv->text.len;
	return DW_OK;
}

static int
take_character(struct csv *csv, char c, struct dw_fault *fault)
{
	if (csv->state == CSV_QUOTED && c == '"') {
		csv->state = CSV_CLOSED;
	} else if (csv->state == CSV_CLOSED && c == '"') {
		csv->state = CSV_QUOTED;
		dw_buf_addc(&csv->text, c);
	} else if (csv->state == CSV_QUOTED) {
		dw_buf_addc(&csv->text, c);
	} else if (c == ',') {
		return end_cell(csv, fault);
	} else if (csv->state == CSV_CLOSED) {
		return refuse(fault, "something stands behind a closing quote");
	} else if (c == '"' && csv->state == CSV_BEGIN) {
		csv->state = CSV_QUOTED;
	} else if (c == '"') {
		return refuse(fault, "a quote stands within a cell that does not begin with one");
	} else {
		csv->state = CSV_PLAIN;
		dw_buf_addc(&csv->text, c);
	}
	return DW_OK;
}

int
csv_take(struct csv *csv, struct dw_str line, size_t max, struct dw_fault *fault)
{
	int err = DW_OK;

	if (csv->state == CSV_QUOTED) {
		dw_buf_addc(&csv->text, '\n');
	} else {
		dw_buf_reset(&csv->text);
		csv->count = 0;
		csv->starts[0] = 0;
	}
	if (csv->text.len + line.n > max)
		err = dw_fault_set(fault, DW_E_TOO_BIG, NULL, NULL, "the record has more than %zu bytes", max);
	for (size_t i = 0; err == DW_OK && i < line.n; i++)
		err = take_character(csv, line.p[i], fault);
	if (err == DW_OK && csv->state == CSV_QUOTED)
		return DW_E_AGAIN;
	if (err == DW_OK)
		err = end_cell(csv, fault);
	if (err == DW_OK && !dw_buf_ok(&csv->text))
		err = DW_E_NOMEM;
	csv->state = CSV_BEGIN;
	for (size_t i = 0; err == DW_OK && i < csv->count; i++)
		csv->cells[i] = dw_bytes(csv->text.data + csv->starts[i], csv->starts[i + 1] - csv->starts[i] - 1);
	return err;
}

void
csv_clear(struct csv *csv)
{
	dw_buf_clear(&csv->text);
	*csv = (struct csv) { 0 };
}
