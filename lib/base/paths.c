/* Default places, directories and small files (paths.h). */
#include "base/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char system_dir[] = "/run/diagws";
static const char system_socket[] = "/run/diagws/hub.sock";
static const char system_state[] = "/var/lib/diagws";

/* /tmp/diagws-UID: a directory of ours that nobody else may enter. What a stranger put there instead
 * is not used: the path then names nothing that can exist. */
static void
private_socket(char out[DW_PATH_SIZE])
{
	char dir[64];
	struct stat about;

	(void)snprintf(dir, sizeof(dir), "/tmp/diagws-%u", (unsigned)geteuid());
	(void)mkdir(dir, 0700);
	if (lstat(dir, &about) == 0 && S_ISDIR(about.st_mode) && about.st_uid == geteuid() && (about.st_mode & 0077) == 0)
		(void)snprintf(out, DW_PATH_SIZE, "ipc://%s/hub.sock", dir);
	else
		(void)snprintf(out, DW_PATH_SIZE, "ipc:///nonexistent/diagws/hub.sock");
}

void
dw_default_endpoint(bool to_bind, char out[DW_PATH_SIZE])
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (access(to_bind ? system_dir : system_socket, W_OK) == 0)
		(void)snprintf(out, DW_PATH_SIZE, "ipc://%s", system_socket);
	else if (runtime != NULL && runtime[0] == '/')
		(void)snprintf(out, DW_PATH_SIZE, "ipc://%s/diagws/hub.sock", runtime);
	else
		private_socket(out);
}

void
dw_default_state_dir(char out[DW_PATH_SIZE])
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (access(system_state, W_OK) == 0)
		(void)snprintf(out, DW_PATH_SIZE, "%s", system_state);
	else if (state != NULL && state[0] == '/')
		(void)snprintf(out, DW_PATH_SIZE, "%s/diagws", state);
	else
		(void)snprintf(out, DW_PATH_SIZE, "%s/.local/state/diagws", home != NULL ? home : "");
}

static int
make_dir(const char *path, unsigned mode, struct dw_fault *fault)
{
	struct stat about;

	if (mkdir(path, (mode_t)mode) == 0) {
		(void)chmod(path, (mode_t)mode);
		return DW_OK;
	}
	if (errno == EEXIST && stat(path, &about) == 0 && S_ISDIR(about.st_mode))
		return DW_OK;
	return dw_fault_set(fault, errno == EACCES || errno == EPERM ? DW_E_PERMISSION : DW_E_CREATE, NULL, NULL,
		"cannot make the directory '%s': %s", path, errno == EEXIST ? "a file is in the way" : strerror(errno));
}

int
dw_make_dirs(const char *path, unsigned mode, struct dw_fault *fault)
{
	char part[DW_PATH_SIZE];
	int err = DW_OK;

	if (!(strlen(path) > 0 && strlen(path) < sizeof(part)))
		return dw_fault_set(fault, DW_E_CREATE, NULL, NULL, "a path of %zu bytes", strlen(path));
	for (size_t i = 1; err == DW_OK && path[i] != '\0'; i++) {
		if (path[i] != '/')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (access(part, F_OK) != 0)
			err = make_dir(part, 0755, fault);
	}
	return err == DW_OK ? make_dir(path, mode, fault) : err;
}

int
dw_read_file(const char *path, size_t limit, char **text, size_t *n, struct dw_fault *fault)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char *bytes = malloc(limit + 2);
	const size_t got = file != NULL && bytes != NULL ? fread(bytes, 1, limit + 1, file) : 0;
	int err = DW_OK;

	if (file == NULL || ferror(file)) {
		err = dw_fault_set(fault, DW_E_NOINPUT, NULL, NULL, "cannot read '%s': %s", path, strerror(errno));
	} else if (bytes == NULL) {
		err = DW_E_NOMEM;
	} else if (got > limit) {
		err = dw_fault_set(fault, DW_E_TOO_BIG, NULL, NULL, "'%s' has more than %zu bytes", path, limit);
	} else {
		bytes[got] = '\0';
		*text = bytes;
		*n = got;
		bytes = NULL;
	}
	free(bytes);
	if (file != NULL && file != stdin)
		(void)fclose(file);
	return err;
}
