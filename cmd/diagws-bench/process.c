/* Its own file because only it reads /proc.
 *
 * CPU: the sum of task/TID/schedstat, which counts nanoseconds; where the kernel has none, utime and stime of stat,
 * which count ticks. Memory: smaps_rollup. Failure modes: a process that ended, or that is another user's: the run
 * ends, for its figures would be half a truth.
 */
#include "process.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 64, LINE_BYTES = 512, TICKS_FROM_STATE = 11 };

static int
refuse(struct dw_fault *fault, const struct process *process, const char *what)
{
	return dw_fault_set(fault, DW_E_NOINPUT, "process", NULL, "process '%s' (%d): cannot read its %s: %s",
		process->name, (int)process->pid, what, strerror(errno));
}

/* The first line of a file of /proc. */
static bool
read_line(const char *path, char line[LINE_BYTES])
{
	FILE *file = fopen(path, "re");
	bool got;

	if (file == NULL)
		return false;
	got = fgets(line, LINE_BYTES, file) != NULL;
	(void)fclose(file);
	return got;
}

static bool
read_ticks(pid_t pid, uint64_t *ns)
{
	char path[PATH_BYTES], line[LINE_BYTES], *at;
	uint64_t user, system;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (!read_line(path, line) || (at = strrchr(line, ')')) == NULL)
		return false;
	for (int i = 0; i < TICKS_FROM_STATE + 1 && at != NULL; i++)
		at = strchr(at + 1, ' ');
	if (at == NULL)
		return false;
	user = strtoull(at, &at, 10);
	system = strtoull(at, NULL, 10);
	*ns = (user + system) * (1000000000U / (uint64_t)sysconf(_SC_CLK_TCK));
	return true;
}

static bool
read_cpu(pid_t pid, uint64_t *ns)
{
	char path[PATH_BYTES + NAME_MAX], line[LINE_BYTES];
	struct dirent *entry;
	uint64_t sum = 0;
	bool any = false;
	DIR *tasks;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
		(void)snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)pid, entry->d_name);
		if (entry->d_name[0] == '.' || !read_line(path, line))
			continue;
		sum += strtoull(line, NULL, 10);
		any = true;
	}
	if (tasks != NULL)
		(void)closedir(tasks);
	if (any)
		*ns = sum;
	return any || read_ticks(pid, ns);
}

/* "Rss:    1234 kB" */
static bool
take_kb(const char *line, const char *name, uint64_t *kb)
{
	const size_t n = strlen(name);

	if (strncmp(line, name, n) != 0)
		return false;
	*kb += strtoull(line + n, NULL, 10);
	return true;
}

static bool
read_memory(pid_t pid, struct usage *usage)
{
	char path[PATH_BYTES], line[LINE_BYTES];
	bool any = false;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	usage->private_kb = usage->pss_kb = usage->rss_kb = 0;
	while (fgets(line, sizeof(line), file) != NULL) {
		any = take_kb(line, "Private_Clean:", &usage->private_kb) ||
			  take_kb(line, "Private_Dirty:", &usage->private_kb) || take_kb(line, "Pss:", &usage->pss_kb) ||
			  take_kb(line, "Rss:", &usage->rss_kb) || any;
	}
	(void)fclose(file);
	return any;
}

static int
read_usage(const struct process *process, struct usage *usage, struct dw_fault *fault)
{
	if (!read_cpu(process->pid, &usage->cpu_ns))
		return refuse(fault, process, "CPU time");
	return read_memory(process->pid, usage) ? DW_OK : refuse(fault, process, "memory");
}

int
processes_init(struct processes *processes, const struct dw_opt_list *wanted, struct dw_fault *fault)
{
	processes->all = calloc(wanted->count + 1, sizeof(*processes->all));
	if (processes->all == NULL)
		return DW_E_NOMEM;
	for (size_t i = 0; i < wanted->count; i++) {
		const char *text = wanted->item[i], *sign = strchr(text, '=');
		struct process *process = &processes->all[i];
		int64_t pid;

		if (sign == NULL || sign == text || (size_t)(sign - text) >= sizeof(process->name) ||
			!dw_parse_number(sign + 1, &pid) || pid < 1 || pid > INT32_MAX)
			return dw_fault_set(fault, DW_E_USAGE, "process", "NAME=PID, the name at most 31 bytes",
				"option '--process': '%.40s' is not NAME=PID", text);
		(void)snprintf(process->name, sizeof(process->name), "%.*s", (int)(sign - text), text);
		process->pid = (pid_t)pid;
		processes->count++;
	}
	return processes_begin(processes, fault);
}

void
processes_clear(struct processes *processes)
{
	free(processes->all);
	*processes = (struct processes) { 0 };
}

int
processes_begin(struct processes *processes, struct dw_fault *fault)
{
	int err = DW_OK;

	for (size_t i = 0; i < processes->count && err == DW_OK; i++) {
		err = read_usage(&processes->all[i], &processes->all[i].before, fault);
		processes->all[i].after = processes->all[i].before;
	}
	return err;
}

int
processes_end(struct processes *processes, struct dw_fault *fault)
{
	int err = DW_OK;

	for (size_t i = 0; i < processes->count && err == DW_OK; i++)
		err = read_usage(&processes->all[i], &processes->all[i].after, fault);
	return err;
}
