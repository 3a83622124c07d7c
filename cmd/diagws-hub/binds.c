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
refuse(struct dw_fault *fault, const char *expected, const char *what, const char *word)
{
	return dw_fault_set(fault, DW_E_CONFIG, "--bind", expected, "option '--bind': '%s' is no %s", word, what);
}

static int
read_roles(char *text, unsigned *roles, struct dw_fault *fault)
{
	const char *word;

	*roles = 0;
	while ((word = strsep(&text, "+")) != NULL) {
		size_t i = 0;

		while (i < sizeof(names) / sizeof(names[0]) && strcmp(word, names[i].name) != 0)
			i++;
		if (i == sizeof(names) / sizeof(names[0]))
			return refuse(fault, "edge, sender, stat, admin or all; several with + between them", "role", word);
		*roles |= names[i].roles;
	}
	return DW_OK;
}

static int
read_mode(const char *text, unsigned *mode, struct dw_fault *fault)
{
	const size_t digits = strspn(text, "01234567");

	if (digits == 0 || digits > 4 || text[digits] != '\0' || strtoul(text, NULL, 8) > MODE_MAX)
		return refuse(fault, "octal digits, like 0660", "mode", text);
	*mode = (unsigned)strtoul(text, NULL, 8);
	return DW_OK;
}

static int
read_setting(char *word, struct dw_bind *bind, struct dw_fault *fault)
{
	if (strncmp(word, "role=", 5) == 0)
		return read_roles(word + 5, &bind->roles, fault);
	if (strncmp(word, "mode=", 5) == 0)
		return read_mode(word + 5, &bind->mode, fault);
	if (strncmp(word, "group=", 6) != 0)
		return refuse(fault, "role=ROLE, group=GROUP or mode=MODE behind the address", "setting", word);
	bind->group = word + 6;
	return getgrnam(bind->group) != NULL ? DW_OK : refuse(fault, "a group of this system", "group", bind->group);
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
	char *rest = strdup(text), *word;
	bool with_file = false;
	int err = DW_OK;

	if (rest == NULL)
		return DW_E_NOMEM;
	*bind = (struct dw_bind) { .uri = strsep(&rest, ","), .mode = 0660, .roles = ROLE_ALL };
	while (err == DW_OK && (word = strsep(&rest, ",")) != NULL) {
		with_file = with_file || word[0] != 'r';
		err = read_setting(word, bind, fault);
	}
	return err == DW_OK ? check(bind, with_file, fault) : err;
}
