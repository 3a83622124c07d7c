/* Files of a web page: see files.h. What a browser asks for is compared with a table, so no path of a client ever
 * reaches the file system.
 *
 * Failure modes: what is in the folder and may not be: told at the start, by name.
 */
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/paths.h"
#include "http/request.h"

enum { PATH_MAX_SIZE = 128, TAG_SIZE = 2 + 32 + 1, FIELDS = 6, TAG = 2 };

struct file {
	char path[PATH_MAX_SIZE]; /* of the URL */
	char tag[TAG_SIZE];
	char *bytes;
	size_t n;
	struct dw_http_field fields[FIELDS];
};

struct dw_http_files {
	const char *policy, *option;
	size_t count, size;
	struct file files[DW_HTTP_FILES_MAX];
	struct dw_http_route routes[DW_HTTP_FILES_MAX + 2]; /* "/", and the table's end */
};

static const char *
type_of(const char *name)
{
	static const char *const types[][2] = { { ".html", "text/html; charset=utf-8" },
		{ ".css", "text/css; charset=utf-8" }, { ".js", "text/javascript; charset=utf-8" },
		{ ".json", "application/json" }, { ".webmanifest", "application/manifest+json" }, { ".svg", "image/svg+xml" },
		{ ".png", "image/png" }, { ".ico", "image/x-icon" }, { ".woff2", "font/woff2" },
		{ ".txt", "text/plain; charset=utf-8" } };
	const char *ending = strrchr(name, '.');

	for (size_t i = 0; ending != NULL && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(ending, types[i][0]) == 0)
			return types[i][1];
	return NULL;
}

/* Whether one of the tags that the browser has is this file's. */
static bool
has_it(const struct dw_http_request *request, const struct file *file)
{
	struct dw_str list = dw_str(dw_http_header(request, "If-None-Match")), tag;

	while (dw_http_head_next(&list, &tag)) {
		if (tag.n > 2 && memcmp(tag.p, "W/", 2) == 0)
			(void)dw_str_take(&tag, 2);
		if (dw_str_is(tag, "*") || dw_str_is(tag, file->tag))
			return true;
	}
	return false;
}

static void
take(struct dw_http_request *request)
{
	const struct file *file = request->route->arg;

	request->fields = file->fields;
	request->lasting = dw_bytes(file->bytes, file->n); /* of a 304, like a HEAD's, only the length is said */
	dw_http_answer(request, has_it(request, file) ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK);
}

static void
make_tag(struct file *file)
{
	const struct dw_str bytes = { file->bytes, file->n };
	uint8_t digest[32];
	char *out = file->tag;

	dw_sha256(&bytes, 1, digest);
	*out++ = '"';
	for (size_t i = 0; i < (TAG_SIZE - 3) / 2; i++, out += 2)
		(void)snprintf(out, 3, "%02x", digest[i]);
	*out = '"';
}

static void
add_route(struct dw_http_files *files, const char *path, const struct file *file)
{
	struct dw_http_route *route = files->routes;

	while (route->path != NULL)
		route++;
	*route = (struct dw_http_route) { .path = path, .take = take, .arg = file };
}

static int
read_bytes(struct dw_http_files *files, struct file *file, const char *at, struct dw_fault *fault)
{
	const size_t left = DW_HTTP_ALL_FILES_MAX - files->size;
	int err = dw_read_file(at, left < DW_HTTP_FILE_MAX ? left : DW_HTTP_FILE_MAX, &file->bytes, &file->n, fault);

	if (err == DW_E_TOO_BIG)
		return dw_fault_set(
			fault, DW_E_CONFIG, files->option, "files of 1 MiB at most, and 8 MiB in all", "'%s' is too large", at);
	if (err == DW_OK)
		files->size += file->n;
	return err;
}

/* at: in the file system; path: in the URL. */
static int
add_file(struct dw_http_files *files, const char *at, const char *path, struct dw_fault *fault)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/";
	struct file *file = &files->files[files->count];
	const char *type = type_of(path);
	int err;

	if (type == NULL)
		return dw_fault_set(fault, DW_E_CONFIG, files->option,
			"names that end with .html .css .js .json .webmanifest .svg .png .ico .woff2 or .txt",
			"'%s' is of a kind that is not known", at);
	if (path[strspn(path, letters)] != '\0' || !dw_str_copy(dw_str(path), file->path, sizeof(file->path)))
		return dw_fault_set(fault, DW_E_CONFIG, files->option, "names of at most 100 of A-Z a-z 0-9 . _ -",
			"'%s' has a name that is not served", at);
	if (files->count == DW_HTTP_FILES_MAX)
		return dw_fault_set(
			fault, DW_E_CONFIG, files->option, "64 files at most", "there are too many: '%s' is one more", at);
	err = read_bytes(files, file, at, fault);
	if (err != DW_OK)
		return err;
	files->count++;
	make_tag(file);
	memcpy(file->fields,
		(struct dw_http_field[FIELDS]) { { "Content-Type", type },
			{ "Cache-Control", "no-cache" }, [TAG] = { "ETag", file->tag }, { "Referrer-Policy", "no-referrer" },
			{ "Content-Security-Policy", files->policy } },
		sizeof(file->fields));
	add_route(files, file->path, file);
	if (strcmp(file->path, "/index.html") == 0)
		add_route(files, "/", file);
	return DW_OK;
}

static int
fail_folder(const struct dw_http_files *files, const char *at, struct dw_fault *fault)
{
	return dw_fault_set(
		fault, DW_E_CONFIG, files->option, "a folder that can be read", "cannot read '%s': %s", at, strerror(errno));
}

static int add_folder(struct dw_http_files *files, const char *folder, const char *prefix, struct dw_fault *fault);

static int
add_entry(struct dw_http_files *files, const char *folder, const char *prefix, const char *name, struct dw_fault *fault)
{
	char at[DW_PATH_SIZE], path[DW_PATH_SIZE];
	struct stat entry;

	(void)snprintf(at, sizeof(at), "%s/%s", folder, name);
	(void)snprintf(path, sizeof(path), "%s%s", prefix, name);
	if (stat(at, &entry) != 0)
		return fail_folder(files, at, fault);
	if (S_ISREG(entry.st_mode))
		return add_file(files, at, path, fault);
	if (S_ISDIR(entry.st_mode) && strcmp(path, "/icons") == 0)
		return add_folder(files, at, "/icons/", fault);
	return DW_OK;
}

static int
add_folder(struct dw_http_files *files, const char *folder, const char *prefix, struct dw_fault *fault)
{
	DIR *entries = opendir(folder);
	const struct dirent *entry;
	int err = DW_OK;

	if (entries == NULL)
		return fail_folder(files, folder, fault);
	while (err == DW_OK && (entry = readdir(entries)) != NULL)
		if (entry->d_name[0] != '.')
			err = add_entry(files, folder, prefix, entry->d_name, fault);
	(void)closedir(entries);
	return err;
}

int
dw_http_files_new(
	struct dw_http_files **out, const char *folder, const char *option, const char *csp, struct dw_fault *fault)
{
	struct dw_http_files *files = calloc(1, sizeof(*files));
	bool page = false;
	int err;

	if (files == NULL)
		return DW_E_NOMEM;
	files->policy = csp;
	files->option = option;
	err = add_folder(files, folder, "/", fault);
	for (size_t i = 0; i < files->count; i++)
		page |= strcmp(files->files[i].path, "/index.html") == 0;
	if (err == DW_OK && !page)
		err = dw_fault_set(fault, DW_E_CONFIG, option, "a folder with a web page", "'%s' has no index.html", folder);
	if (err != DW_OK)
		dw_http_files_destroy(&files);
	else
		*out = files;
	return err;
}

void
dw_http_files_destroy(struct dw_http_files **files_p)
{
	struct dw_http_files *files = *files_p;

	if (files == NULL)
		return;
	*files_p = NULL;
	for (size_t i = 0; i < files->count; i++)
		free(files->files[i].bytes);
	free(files);
}

const struct dw_http_route *
dw_http_files_routes(const struct dw_http_files *files)
{
	return files != NULL ? files->routes : NULL;
}
