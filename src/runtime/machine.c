/* SPDX-License-Identifier: MIT */
/*
 * machine.c - weft/info.h, weft/version.h, and what WEFT_DISPLAY_ENV=1 prints
 *
 * Caches and the name of the CPU are for people who compare numbers; nothing in
 * weft depends on them.
 */
#include <weft/error.h>
#include <weft/info.h>
#include <weft/version.h>

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "deque/sanitizer.h"
#include "runtime/stackmap.h"
#include "runtime/topology.h"

#if WEFT__SANITIZED
static const char *allocator(void)
{
	return "libc";
}
#else
/* jemalloc's own name for malloc: there when the process has jemalloc. */
extern void *mallocx(size_t size, int flags) __attribute__((weak));

static const char *allocator(void)
{
	return mallocx ? "jemalloc" : "libc";
}
#endif

/* The first line of a file, without its newline.  False when there is none. */
static bool read_line(const char *path, char *line, int size)
{
	FILE *in = fopen(path, "re");

	if (!in)
		return false;
	bool read = fgets(line, size, in) != NULL;
	fclose(in);
	if (read)
		line[strcspn(line, "\n")] = '\0';
	return read;
}

/* One cache of the first CPU: size goes to the level it serves. */
static bool read_cache(struct weft_machine *m, int index)
{
	static const char format[] = "/sys/devices/system/cpu/cpu0/cache/index%d/%s";
	char path[96];
	char line[32];
	size_t kib = 0;
	int level = 0;

	snprintf(path, sizeof(path), format, index, "level");
	if (!read_line(path, line, sizeof(line)) || sscanf(line, "%d", &level) != 1)
		return false;
	snprintf(path, sizeof(path), format, index, "type");
	if (!read_line(path, line, sizeof(line)) || strcmp(line, "Instruction") == 0)
		return true;
	snprintf(path, sizeof(path), format, index, "size");
	if (!read_line(path, line, sizeof(line)) || sscanf(line, "%zuK", &kib) != 1)
		return true;

	size_t *sizes[] = { NULL, &m->l1d, &m->l2, &m->l3 };
	if (level >= 1 && level <= 3)
		*sizes[level] = kib << 10;
	snprintf(path, sizeof(path), format, index, "coherency_line_size");
	if (read_line(path, line, sizeof(line)))
		sscanf(line, "%zu", &m->cache_line);
	return true;
}

static void read_caches(struct weft_machine *m)
{
	for (int index = 0; read_cache(m, index); index++)
		;
}

static void read_cpu_model(struct weft_machine *m)
{
	FILE *in = fopen("/proc/cpuinfo", "re");
	char line[256];

	if (!in)
		return;
	while (fgets(line, sizeof(line), in)) {
		if (sscanf(line, "model name : %63[^\n]", m->cpu_model) == 1)
			break;
	}
	fclose(in);
}

static void describe_topology(struct weft_machine *m)
{
	struct weft__topology t;

	weft__topology_detect(&t, NULL);
	m->cpus_online = t.online;
	m->cpus_allowed = t.allowed;
	m->quota = t.quota;
	m->workers = t.workers;
	m->stack_size = t.stack_size;
	memcpy(m->quota_file, t.quota_file, sizeof(m->quota_file));
	memcpy(m->workers_from, t.workers_from, sizeof(m->workers_from));
	memcpy(m->stack_from, t.stack_from, sizeof(m->stack_from));
}

int weft_machine(struct weft_machine *machine)
{
	struct weft_machine m = { .size = machine->size };
	struct utsname kernel;

	if (machine->size < offsetof(struct weft_machine, kernel))
		return WEFT_EINVAL;

	describe_topology(&m);
	m.page_size = (size_t)sysconf(_SC_PAGESIZE);
	m.guard_pages = weft__stackmap_light_guards();
	m.allocator = allocator();
	read_caches(&m);
	read_cpu_model(&m);
	if (uname(&kernel) == 0)
		snprintf(m.kernel, sizeof(m.kernel), "%.63s", kernel.release);

	memcpy(machine, &m, machine->size < sizeof(m) ? machine->size : sizeof(m));
	return 0;
}

void weft__topology_display(FILE *out)
{
	struct weft_machine m = { .size = sizeof(m) };

	weft_machine(&m);
	fprintf(out, "weft: version %s, allocator %s\n", WEFT_VERSION, m.allocator);
	fprintf(out, "weft: %u CPUs online, %u in the affinity mask\n", m.cpus_online,
		m.cpus_allowed);
	if (m.quota > 0)
		fprintf(out, "weft: quota of %.2f CPUs, from %s\n", m.quota, m.quota_file);
	else
		fprintf(out, "weft: no CPU quota\n");
	fprintf(out, "weft: %u workers unless configured, from %s\n", m.workers, m.workers_from);
	fprintf(out, "weft: stacks of %zu bytes unless configured, from %s, guarded by %s\n",
		m.stack_size, m.stack_from, m.guard_pages ? "MADV_GUARD_INSTALL" : "mprotect");
}
