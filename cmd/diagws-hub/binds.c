/* --bind: where the hub listens, what may be done there, and who may come in.
 *
 *   URI[,role=ROLE[+ROLE]...][,group=GROUP][,mode=MODE]
 *
 * Its own file because this is the whole of who may do what at the hub: a role belongs to a socket, and the socket to a
 * group. Failure modes: an address that may not be listened on (78), a word that is none (64).
 */
#include "options.h"

#include <grp.h>
#include <stdlib.h>
#include <string.h>

#include "wire/endpoint.h"

enum { MODE_MAX = 0777 };

static const struct {
	const char *name;
	unsigned roles;
} names[] = { { "edge", ROLE_EDGE }, { "sender", ROLE_SENDER }, { "stat", ROLE_STAT }, { "admin", ROLE_ADMIN },
	{ "all", ROLE_ALL } };

static int
refuse(struct dw_fault *fault, const char *expected, const char *what, struct dw_str word)
{
	return dw_fault_set(
		fault, DW_E_CONFIG, "--bind", expected, "option '--bind': '%.*s' is no %s", (int)word.n, word.p, what);
}

/* The next word up to the separator; false: there is none. */
static bool
next_word(struct dw_str *rest, char separator, struct dw_str *word)
{
	const char *end;

	if (rest->p == NULL)
		return false;
	end = memchr(rest->p, separator, rest->n);
	*word = (struct dw_str) { rest->p, end != NULL ? (size_t)(end - rest->p) : rest->n };
	*rest = end != NULL ? (struct dw_str) { end + 1, rest->n - word->n - 1 } : (struct dw_str) { 0 };
	return true;
}

static int
read_roles(struct dw_str text, unsigned *roles, struct dw_fault *fault)
{
	struct dw_str word;

	*roles = 0;
	while (next_word(&text, '+', &word)) {
		size_t i = 0;

		while (i < sizeof(names) / sizeof(names[0]) && !dw_str_is(word, names[i].name))
			i++;
		if (i == sizeof(names) / sizeof(names[0]))
			return refuse(fault, "edge, sender, stat, admin or all; several with + between them", "role", word);
		*roles |= names[i].roles;
	}
	return DW_OK;
}

static int
read_mode(struct dw_str text, unsigned *mode, struct dw_fault *fault)
{
	char digits[5], *end = NULL;
	unsigned long value = 0;

	if (dw_str_copy(text, digits, sizeof(digits)) && text.n > 0 && strspn(digits, "01234567") == text.n)
		value = strtoul(digits, &end, 8);
	if (end == NULL || value > MODE_MAX)
		return refuse(fault, "octal digits, like 0660", "mode", text);
	*mode = (unsigned)value;
	return DW_OK;
}

static bool
starts(struct dw_str word, const char *prefix, struct dw_str *value)
{
	const size_t n = strlen(prefix);

	if (word.n < n || memcmp(word.p, prefix, n) != 0)
		return false;
	*value = (struct dw_str) { word.p + n, word.n - n };
	return true;
}

static int
read_setting(struct dw_str word, struct dw_bind *bind, struct dw_fault *fault)
{
	struct dw_str value;

	if (starts(word, "role=", &value))
		return read_roles(value, &bind->roles, fault);
	if (starts(word, "mode=", &value))
		return read_mode(value, &bind->mode, fault);
	if (!starts(word, "group=", &value))
		return refuse(fault, "role=ROLE, group=GROUP or mode=MODE behind the address", "setting", word);
	free((void *)(uintptr_t)bind->group);
	bind->group = strndup(value.p, value.n);
	if (bind->group == NULL)
		return DW_E_NOMEM;
	return getgrnam(bind->group) != NULL ? DW_OK : refuse(fault, "a group of this system", "group", value);
}

static int
check(const struct dw_bind *bind, bool with_file, struct dw_fault *fault)
{
	struct dw_endpoint endpoint;

	if (with_file && dw_endpoint_path(bind->uri) == NULL)
		return dw_fault_set(fault, DW_E_CONFIG, "--bind", "ipc:///path with them",
			"option '--bind': '%s' is no file: it has neither group nor mode", bind->uri);
	return dw_endpoint_read(bind->uri, &endpoint, fault);
}

int
bind_read(const char *text, struct dw_bind *bind, struct dw_fault *fault)
{
	struct dw_str rest = dw_str(text), word = DW_STR("");
	bool with_file = false;
	int err = DW_OK;

	*bind = (struct dw_bind) { .mode = 0660, .roles = ROLE_ALL };
	(void)next_word(&rest, ',', &word);
	bind->uri = strndup(word.p, word.n);
	if (bind->uri == NULL)
		return DW_E_NOMEM;
	while (err == DW_OK && next_word(&rest, ',', &word)) {
		err = read_setting(word, bind, fault);
		with_file = with_file || word.p[0] != 'r';
	}
	return err == DW_OK ? check(bind, with_file, fault) : err;
}
