/* How a verb of diagws-token ends: with its output, or with a failure that is told. Its own file because both verbs end
 * so, and the table of verbs (main.c) is above them.
 */
#include <stdio.h>

#include "command.h"

int
token_fail(int err, const struct dw_fault *fault)
{
	dw_fault_print(stderr, token_command.name, err, fault, NULL);
	return dw_err_exit(err);
}

int
token_print(const struct dw_buf *text)
{
	struct dw_fault fault = { 0 };

	if (!dw_buf_ok(text))
		return token_fail(DW_E_NOMEM, NULL);
	if (fwrite(text->data, 1, text->len, stdout) == text->len && fflush(stdout) == 0)
		return 0;
	(void)dw_fault_set(&fault, DW_E_IO, NULL, NULL, "cannot write to standard output");
	return token_fail(DW_E_IO, &fault);
}
