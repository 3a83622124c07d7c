/* CPU time by the process's clock, in nanoseconds; memory by smaps_rollup. A process that ended, or that is another
 * user's, ends the run: its figures would be half a truth.
 */
#include "run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"

enum { PATH_BYTES = 64, LINE_BYTES = 512 };

static bool
read_cpu(pid_t pid, uint64_t *ns)
{
	clockid_t clock;
	struct timespec time;

	errno = clock_getcpuclockid(pid, &clock);
	if (errno != 0 || clock_gettime(clock, &time) != 0)
		return false;
	*ns = (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
	return true;
}

/* "Rss:    1234 kB"; 0: the line is another's. */
static uint64_t
read_kb(const char *line, const char *name)
{
	const size_t n = strlen(name);

	return strncmp(line, name, n) == 0 ? strtoull(line + n, NULL, 10) : 0;
}

static bool
read_memory(pid_t pid, struct usage *usage)
{
	char path[PATH_BYTES], line[LINE_BYTES];
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	memset(usage->kb, 0, sizeof(usage->kb));
	while (fgets(line, sizeof(line), file) != NULL) {
		usage->kb[MEMORY_PRIVATE] += read_kb(line, "Private_Clean:") + read_kb(line, "Private_Dirty:");
		usage->kb[MEMORY_PSS] += read_kb(line, "Pss:");
		usage->kb[MEMORY_RSS] += read_kb(line, "Rss:");
	}
	(void)fclose(file);
	return usage->kb[MEMORY_RSS] > 0;
}

static int
read_usage(const struct process *process, struct usage *usage, struct dw_fault *fault)
{
	const bool timed = read_cpu(process->pid, &usage->cpu_ns);

	if (timed && read_memory(process->pid, usage))
		return DW_OK;
	return dw_fault_set(fault, DW_E_NOINPUT, "process", NULL, "process '%s' (%d): cannot read its %s: %s",
		process->name, (int)process->pid, timed ? "memory" : "CPU time", strerror(errno));
}

int
processes_init(struct process *processes, struct dw_fault *fault)
{
	for (size_t i = 0; i < bench_options.processes.count; i++) {
		const char *text = bench_options.processes.item[i], *sign = strchr(text, '=');
		struct process *process = &processes[i];
		int64_t pid;

		if (sign == NULL || sign == text ||
			!dw_str_copy(dw_bytes(text, (size_t)(sign - text)), process->name, sizeof(process->name)) ||
			!dw_parse_number(sign + 1, &pid) || pid < 1 || pid > INT32_MAX)
			return dw_fault_set(fault, DW_E_USAGE, "process", "NAME=PID, the name at most 31 bytes",
				"option '--process': '%.40s' is not NAME=PID", text);
		process->pid = (pid_t)pid;
	}
	return processes_read(processes, false, fault);
}

int
processes_read(struct process *processes, bool again, struct dw_fault *fault)
{
	int err = DW_OK;

	for (size_t i = 0; i < bench_options.processes.count && err == DW_OK; i++) {
		struct process *process = &processes[i];

		err = read_usage(process, &process->after, fault);
		if (!again)
			process->before = process->after;
	}
	return err;
}
