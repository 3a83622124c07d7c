/* Errors: the list in err.h turned into texts, and the one way in which a person is told of one. */
#include "base/err.h"

#include <stdarg.h>
#include <string.h>

struct error {
	int err;
	int status;
	const char *code;
	const char *text;
};

static const struct error errors[] = { { DW_OK, 0, "ok", "ok" },
#define X(name, number, status, code, text) { name, status, code, text },
	DW_ERRORS(X)
#undef X
};

static const struct error *
find(int err)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (errors[i].err == err)
			return &errors[i];
	}
	return find(DW_E_INTERNAL);
}

const char *
dw_err_text(int err)
{
	return find(err)->text;
}

const char *
dw_err_code(int err)
{
	return find(err)->code;
}

int
dw_err_exit(int err)
{
	return find(err)->status;
}

/* Takes back the bytes of a UTF-8 character that the buffer's end cut in two. */
static void
trim_cut_character(char *text, size_t size, int wanted)
{
	size_t len;

	if (wanted < 0 || (size_t)wanted < size)
		return;
	len = strlen(text);
	while (len > 0 && ((unsigned char)text[len - 1] & 0xC0U) == 0x80U)
		len--;
	if (len > 0 && ((unsigned char)text[len - 1] & 0x80U) != 0)
		len--;
	text[len] = '\0';
}

int
dw_fault_set(struct dw_fault *fault, int err, const char *field, const char *expected, const char *format, ...)
{
	va_list args;

	if (fault == NULL)
		return err;
	trim_cut_character(fault->field, sizeof(fault->field),
		snprintf(fault->field, sizeof(fault->field), "%s", field != NULL ? field : ""));
	trim_cut_character(fault->expected, sizeof(fault->expected),
		snprintf(fault->expected, sizeof(fault->expected), "%s", expected != NULL ? expected : ""));
	va_start(args, format);
	trim_cut_character(
		fault->message, sizeof(fault->message), vsnprintf(fault->message, sizeof(fault->message), format, args));
	va_end(args);
	return err;
}

void
dw_fault_print(FILE *stream, const char *where, int err, const struct dw_fault *fault, const char *hint)
{
	const char *message = fault != NULL && fault->message[0] != '\0' ? fault->message : dw_err_text(err);

	fprintf(stream, "%s: %s [DW%04d]\n", where, message, -err);
	if (fault != NULL && fault->expected[0] != '\0')
		fprintf(stream, "  expected: %s\n", fault->expected);
	if (hint != NULL)
		fprintf(stream, "  hint: %s\n", hint);
}
