/* SPDX-License-Identifier: MIT */
/*
 * info.c - `weft info`: the machine as weft sees it, and what weft is made of
 *
 * CPUs, quota, caches and stacks come from weft_machine(); the rest is what the
 * command alone cares about.
 */
#include <argp.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <weft/error.h>
#include <weft/info.h>
#include <weft/job.h>
#include <weft/version.h>

#include "build.h"
#include "cli.h"
#include "compiler.h"
#include "file.h"
#include "say.h"

#define OPTION_JSON 256

/* jemalloc's, when the process has it. */
extern int mallctl(const char *name, void *old, size_t *old_size, void *new, size_t new_size)
	__attribute__((weak));

struct info {
	struct weft_machine machine;
	char allocator[64];
	char huge_pages[64]; /* what the kernel does about transparent ones */
	char map_count[32];  /* how many mappings a process may have */
	char architecture[65];
	char *include, *cache, *compiler;
};

/* The first line of a file, or "unknown". */
static void read_line(const char *path, char *line, size_t size)
{
	int fd = weft__file_open(path, O_RDONLY, 0);
	ssize_t n = fd >= 0 ? weft__file_read(fd, line, size - 1) : -1;

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		n = snprintf(line, size, "unknown");
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
}

/* "always [madvise] never": what is in brackets. */
static void choose_bracketed(char *line)
{
	char *open = strchr(line, '['), *close = open ? strchr(open, ']') : NULL;

	if (!close)
		return;
	*close = '\0';
	memmove(line, open + 1, (size_t)(close - open));
}

static void name_allocator(struct info *info)
{
	const char *version = NULL;
	size_t size = sizeof version;

	if (mallctl && mallctl("version", (void *)&version, &size, NULL, 0) == 0)
		snprintf(info->allocator, sizeof info->allocator, "%s %.*s",
			 info->machine.allocator, (int)strcspn(version, "-"), version);
	else
		snprintf(info->allocator, sizeof info->allocator, "%s", info->machine.allocator);
}

static void find_compiler(struct info *info)
{
	struct weft__compiler compiler;

	if (info->include && weft__compiler_find(&compiler, info->include)) {
		info->compiler = strdup(compiler.path);
		weft__compiler_fini(&compiler);
	}
}

static int collect(struct info *info)
{
	struct utsname name;

	*info = (struct info){ .machine.size = sizeof info->machine };
	int rc = weft_machine(&info->machine);
	if (rc < 0)
		return rc;
	name_allocator(info);
	read_line("/sys/kernel/mm/transparent_hugepage/enabled", info->huge_pages,
		  sizeof info->huge_pages);
	choose_bracketed(info->huge_pages);
	read_line("/proc/sys/vm/max_map_count", info->map_count, sizeof info->map_count);
	if (uname(&name) == 0)
		snprintf(info->architecture, sizeof info->architecture, "%s", name.machine);
	info->include = weft__build_include();
	info->cache = weft__build_cache();
	find_compiler(info);
	return 0;
}

static void fini(struct info *info)
{
	free(info->include);
	free(info->cache);
	free(info->compiler);
}

static const char *or_none(const char *text)
{
	return text && *text ? text : "none";
}

static void print_size(const char *name, size_t bytes)
{
	if (bytes >= 1 << 20 && bytes % (1 << 20) == 0)
		printf("%s %zu MiB", name, bytes >> 20);
	else if (bytes >= 1 << 10)
		printf("%s %zu KiB", name, bytes >> 10);
	else
		printf("%s %zu B", name, bytes);
}

static void print_caches(const struct weft_machine *m)
{
	const size_t sizes[] = { m->l1d, m->l2, m->l3, m->cache_line };
	static const char *const names[] = { "L1d", ", L2", ", L3", ", line" };

	printf("caches      ");
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		print_size(names[i], sizes[i]);
	printf("\n");
}

static void print_text(const struct info *info)
{
	const struct weft_machine *m = &info->machine;

	printf("weft        %s, jobs of version %d\n", weft_version(), WEFT_JOB_ABI);
	printf("CPU         %s, %s\n", or_none(m->cpu_model), info->architecture);
	printf("CPUs        %u online, %u allowed\n", m->cpus_online, m->cpus_allowed);
	if (m->quota > 0)
		printf("quota       %.2f CPUs, by %s\n", m->quota, m->quota_file);
	else
		printf("quota       none\n");
	printf("workers     %u, by %s\n", m->workers, m->workers_from);
	print_caches(m);
	print_size("pages      ", m->page_size);
	printf(", transparent huge ones: %s\n", info->huge_pages);
	print_size("stacks     ", m->stack_size);
	printf(" (%s), guarded by %s\n", m->stack_from,
	       m->guard_pages ? "MADV_GUARD_INSTALL" : "mprotect");
	printf("mappings    at most %s a process\n", info->map_count);
	printf("kernel      Linux %s\n", m->kernel);
	printf("C library   glibc %s\n", gnu_get_libc_version());
	printf("allocator   %s\n", info->allocator);
	printf("compiler    %s\n", or_none(info->compiler));
	printf("weft/job.h  %s\n", or_none(info->include));
	printf("job cache   %s\n", or_none(info->cache));
}

/* A string, quoted; null when there is none. */
static void json_text(const char *key, const char *text)
{
	printf("  \"%s\": ", key);
	if (!text) {
		printf("null,\n");
		return;
	}
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		if ((unsigned char)*text < ' ')
			printf("\\u%04x", *text);
		else
			putchar(*text);
	}
	printf("\",\n");
}

static void json_number(const char *key, size_t number)
{
	printf("  \"%s\": %zu,\n", key, number);
}

static void print_json(const struct info *info)
{
	const struct weft_machine *m = &info->machine;

	printf("{\n");
	json_text("version", weft_version());
	json_number("job_abi", WEFT_JOB_ABI);
	json_text("cpu_model", m->cpu_model);
	json_text("architecture", info->architecture);
	json_number("cpus_online", m->cpus_online);
	json_number("cpus_allowed", m->cpus_allowed);
	printf("  \"quota\": %.3f,\n", m->quota);
	json_text("quota_file", m->quota_file);
	json_number("workers", m->workers);
	json_text("workers_from", m->workers_from);
	json_number("l1d", m->l1d);
	json_number("l2", m->l2);
	json_number("l3", m->l3);
	json_number("cache_line", m->cache_line);
	json_number("page_size", m->page_size);
	json_text("transparent_huge_pages", info->huge_pages);
	json_number("stack_size", m->stack_size);
	json_text("stack_from", m->stack_from);
	json_text("stack_guard", m->guard_pages ? "MADV_GUARD_INSTALL" : "mprotect");
	json_text("max_map_count", info->map_count);
	json_text("kernel", m->kernel);
	json_text("libc", gnu_get_libc_version());
	json_text("allocator", info->allocator);
	json_text("compiler", info->compiler);
	json_text("include", info->include);
	printf("  \"cache\": ");
	if (info->cache)
		printf("\"%s\"\n}\n", info->cache);
	else
		printf("null\n}\n");
}

static const struct argp_option list[] = {
	{ "json", OPTION_JSON, NULL, 0, "Print it as JSON", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	if (key != OPTION_JSON)
		return ARGP_ERR_UNKNOWN;
	*(bool *)state->input = true;
	return 0;
}

static const struct argp argp = {
	.options = list,
	.parser = parse,
	.doc = "Shows the machine as weft sees it: CPUs and what limits them, caches, stacks, "
	       "kernel, allocator, and what compiles jobs.",
};

int weft__info_main(int argc, char **argv)
{
	struct info info;
	bool json = false;

	argp_parse(&argp, argc, argv, 0, NULL, &json);
	int rc = collect(&info);
	if (rc < 0) {
		weft__say("%s", weft_strerror(rc));
		return WEFT__EXIT_SYSTEM;
	}
	if (json)
		print_json(&info);
	else
		print_text(&info);
	fini(&info);
	return WEFT__EXIT_OK;
}

void weft__info_help(void)
{
	char name[] = "weft info", help[] = "--help";

	weft__info_main(2, (char *[]){ name, help, NULL });
}
