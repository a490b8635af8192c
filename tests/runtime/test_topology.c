/* SPDX-License-Identifier: MIT */
/*
 * test_topology.c - how many workers, how large a stack, and why
 *
 * Each test builds a small tree of /proc and /sys below a directory of its own.
 */
#include "runtime/topology.h"
#include "support/assert.h"

#include <weft/error.h>
#include <weft/info.h>

#include <criterion/criterion.h>
#include <ftw.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define V2_MOUNT "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"
#define V1_MOUNT \
	"33 25 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"

static char root[] = "/tmp/weft-topology-XXXXXX";
static char *said; /* what went to the warnings */
static size_t said_size;
static FILE *warnings;
static struct weft__topology_env env;
static struct weft__topology found;

static void setup(void)
{
	cr_assert(ne(ptr, mkdtemp(root), NULL));
	warnings = open_memstream(&said, &said_size);
	env = (struct weft__topology_env){ .root = root, .allowed = 8, .warnings = warnings };
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void teardown(void)
{
	fclose(warnings);
	free(said);
	nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(topology, .init = setup, .fini = teardown, .timeout = 10);

/* Writes a file below the root, and the directories that lead to it. */
static void put(const char *path, const char *text)
{
	char full[512];

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *slash = strchr(full + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(full, 0700);
		*slash = '/';
	}
	FILE *out = fopen(full, "w");
	cr_assert(ne(ptr, out, NULL), "%s", full);
	fputs(text, out);
	fclose(out);
}

static void detect(void)
{
	weft__topology_detect(&found, &env);
	fflush(warnings);
}

/* --- affinity ---------------------------------------------------------- */

Test(topology, without_cgroups_every_allowed_cpu_gets_a_worker)
{
	detect();

	cr_expect(eq(uint, found.workers, 8));
	cr_expect(eq(str, found.workers_from, "affinity"));
	cr_expect(eq(dbl, found.quota, 0.0));
	cr_expect(eq(str, found.quota_file, ""));
	cr_expect(eq(sz, said_size, 0));
}

Test(topology, machines_of_more_than_1024_cpus_are_counted_whole)
{
	env.allowed = 2304;
	cr_expect(eq(uint, weft__topology_workers(&env), 2304));
}

Test(topology, workers_end_at_the_largest_runtime)
{
	env.allowed = 10000;
	cr_expect(eq(uint, weft__topology_workers(&env), WEFT__WORKERS_MAX));
}

Test(topology, the_mask_of_the_calling_thread_counts)
{
	cpu_set_t all, one;
	size_t cpu = 0;

	cr_assert(eq(int, sched_getaffinity(0, sizeof(all), &all), 0));
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	cr_assert(eq(int, sched_setaffinity(0, sizeof(one), &one), 0));
	env.allowed = 0;

	detect();
	cr_expect(eq(uint, found.allowed, 1));
	cr_expect(eq(uint, found.workers, 1));
}

/* --- cgroup version 2 -------------------------------------------------- */

static void v2(const char *group)
{
	char line[128];

	put("/proc/self/mountinfo", "24 1 8:1 / / rw - ext4 /dev/vda1 rw\n" V2_MOUNT);
	snprintf(line, sizeof(line), "0::%s\n", group);
	put("/proc/self/cgroup", line);
}

Test(topology, v2_quota_cuts_the_workers)
{
	v2("/job");
	put("/sys/fs/cgroup/job/cpu.max", "200000 100000\n");

	detect();
	cr_expect(eq(dbl, found.quota, 2.0));
	cr_expect(eq(uint, found.workers, 2));
	cr_expect(eq(str, found.workers_from, "quota"));
	cr_expect(eq(str, found.quota_file, "/sys/fs/cgroup/job/cpu.max"));
}

Test(topology, v2_max_is_no_limit)
{
	v2("/job");
	put("/sys/fs/cgroup/job/cpu.max", "max 100000\n");

	detect();
	cr_expect(eq(dbl, found.quota, 0.0));
	cr_expect(eq(uint, found.workers, 8));
}

Test(topology, v2_the_lowest_of_all_ancestors_counts)
{
	v2("/a/b/c");
	put("/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
	put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
	put("/sys/fs/cgroup/a/b/c/cpu.max", "500000 100000\n");

	detect();
	cr_expect(eq(uint, found.workers, 3));
	cr_expect(eq(str, found.quota_file, "/sys/fs/cgroup/a/cpu.max"));
}

Test(topology, v2_a_container_reads_the_root_of_its_mount)
{
	v2("/");
	put("/sys/fs/cgroup/cpu.max", "400000 100000\n");

	cr_expect(eq(uint, weft__topology_workers(&env), 4));
}

Test(topology, v2_a_path_outside_of_the_mount_falls_back_to_its_root)
{
	v2("/../../other");
	put("/sys/other/cpu.max", "100000 100000\n");
	put("/sys/fs/cgroup/cpu.max", "400000 100000\n");

	cr_expect(eq(uint, weft__topology_workers(&env), 4));
}

Test(topology, fractions_are_rounded_up)
{
	v2("/job");
	put("/sys/fs/cgroup/job/cpu.max", "150000 100000\n");
	cr_expect(eq(uint, weft__topology_workers(&env), 2));

	put("/sys/fs/cgroup/job/cpu.max", "10000 100000\n");
	cr_expect(eq(uint, weft__topology_workers(&env), 1));
}

Test(topology, a_quota_above_the_mask_changes_nothing)
{
	v2("/job");
	put("/sys/fs/cgroup/job/cpu.max", "900000 100000\n");

	detect();
	cr_expect(eq(uint, found.workers, 8));
	cr_expect(eq(str, found.workers_from, "affinity"));
	cr_expect(eq(dbl, found.quota, 9.0));
}

Test(topology, garbage_in_the_quota_file_is_no_limit)
{
	v2("/job");
	put("/sys/fs/cgroup/job/cpu.max", "-5 0\n");

	detect();
	cr_expect(eq(dbl, found.quota, 0.0));
	cr_expect(eq(uint, found.workers, 8));
}

/* --- cgroup version 1, and both ---------------------------------------- */

static void v1(const char *group)
{
	char lines[192];

	put("/proc/self/mountinfo",
	    "32 25 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n" V1_MOUNT);
	snprintf(lines, sizeof(lines), "9:memory:/elsewhere\n4:cpu,cpuacct:%s\n", group);
	put("/proc/self/cgroup", lines);
}

Test(topology, v1_quota_over_period_cuts_the_workers)
{
	v1("/docker/4f2a");
	put("/sys/fs/cgroup/cpu,cpuacct/docker/4f2a/cpu.cfs_quota_us", "125000\n");
	put("/sys/fs/cgroup/cpu,cpuacct/docker/4f2a/cpu.cfs_period_us", "50000\n");

	detect();
	cr_expect(eq(dbl, found.quota, 2.5));
	cr_expect(eq(uint, found.workers, 3));
	cr_expect(eq(str, found.quota_file,
		     "/sys/fs/cgroup/cpu,cpuacct/docker/4f2a/cpu.cfs_quota_us"));
}

Test(topology, v1_minus_one_is_no_limit)
{
	v1("/job");
	put("/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "-1\n");
	put("/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");

	cr_expect(eq(uint, weft__topology_workers(&env), 8));
}

Test(topology, v1_the_lowest_of_all_ancestors_counts)
{
	v1("/a/b");
	put("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "600000\n");
	put("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n");
	put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "200000\n");
	put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");

	cr_expect(eq(uint, weft__topology_workers(&env), 2));
}

Test(topology, v1_only_the_mounted_part_of_the_path_is_walked)
{
	put("/proc/self/mountinfo", "33 25 0:28 /docker/4f2a /sys/fs/cgroup/cpu rw - cgroup cgroup "
				    "rw,cpu\n");
	put("/proc/self/cgroup", "4:cpu:/docker/4f2a/inner\n");
	put("/sys/fs/cgroup/cpu/inner/cpu.cfs_quota_us", "300000\n");
	put("/sys/fs/cgroup/cpu/inner/cpu.cfs_period_us", "100000\n");

	cr_expect(eq(uint, weft__topology_workers(&env), 3));
}

Test(topology, a_hierarchy_without_the_cpu_controller_is_not_read)
{
	put("/proc/self/mountinfo",
	    "32 25 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n");
	put("/proc/self/cgroup", "5:cpuset:/job\n");
	put("/sys/fs/cgroup/cpuset/job/cpu.cfs_quota_us", "100000\n");
	put("/sys/fs/cgroup/cpuset/job/cpu.cfs_period_us", "100000\n");

	cr_expect(eq(uint, weft__topology_workers(&env), 8));
}

Test(topology, with_both_versions_the_lower_quota_counts)
{
	put("/proc/self/mountinfo",
	    V1_MOUNT "31 25 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
	put("/proc/self/cgroup", "4:cpu,cpuacct:/job\n0::/job\n");
	put("/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "400000\n");
	put("/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
	put("/sys/fs/cgroup/unified/job/cpu.max", "200000 100000\n");

	cr_expect(eq(uint, weft__topology_workers(&env), 2));
}

Test(topology, mount_points_with_blanks_are_found)
{
	put("/proc/self/mountinfo", "30 24 0:26 / /my\\040groups rw - cgroup2 cgroup2 rw\n");
	put("/proc/self/cgroup", "0::/job\n");
	put("/my groups/job/cpu.max", "200000 100000\n");

	cr_expect(eq(uint, weft__topology_workers(&env), 2));
}

/* --- WEFT_NUM_THREADS -------------------------------------------------- */

static unsigned workers_with(const char *value)
{
	env.threads = value;
	detect();
	return found.workers;
}

Test(topology, a_number_of_threads_stands_above_mask_and_quota)
{
	v2("/job");
	put("/sys/fs/cgroup/job/cpu.max", "200000 100000\n");

	cr_expect(eq(uint, workers_with("5"), 5));
	cr_expect(eq(str, found.workers_from, "WEFT_NUM_THREADS=5"));
	cr_expect(eq(uint, workers_with("1"), 1));
	cr_expect(eq(uint, workers_with("4096"), 4096));
	cr_expect(eq(sz, said_size, 0));
}

Test(topology, a_percentage_is_of_what_was_found_and_rounded_up)
{
	cr_expect(eq(uint, workers_with("50%"), 4));
	cr_expect(eq(uint, workers_with("30%"), 3));
	cr_expect(eq(uint, workers_with("1%"), 1));
	cr_expect(eq(uint, workers_with("100%"), 8));
	cr_expect(eq(uint, workers_with("200%"), 16));
	cr_expect(eq(sz, said_size, 0));
}

Test(topology, auto_and_empty_mean_detection)
{
	cr_expect(eq(uint, workers_with("auto"), 8));
	cr_expect(eq(uint, workers_with(""), 8));
	cr_expect(eq(str, found.workers_from, "affinity"));
	cr_expect(eq(sz, said_size, 0));
}

Test(topology, bad_thread_counts_are_reported_and_ignored)
{
	static const char *const bad[] = { "0",	   "0%", "-1",	"+2",
					   "four", "2x", "2%%", " 2",
					   "4097", "%",	 "1.5", "99999999999999999999999" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		size_t before = said_size;
		cr_expect(eq(uint, workers_with(bad[i]), 8), "'%s'", bad[i]);
		cr_expect(gt(sz, said_size, before), "'%s'", bad[i]);
	}
}

Test(topology, the_warning_names_variable_value_and_what_is_used)
{
	workers_with("lots");
	cr_expect(eq(str, said,
		     "weft: WEFT_NUM_THREADS=lots is not N (1 to 4096), N% or auto: using 8\n"));
}

/* --- WEFT_STACK_SIZE --------------------------------------------------- */

static size_t stack_with(const char *value)
{
	env.stack = value;
	detect();
	return found.stack_size;
}

Test(topology, stacks_are_one_mebibyte_unless_told_otherwise)
{
	cr_expect(eq(sz, stack_with(NULL), (size_t)1 << 20));
	cr_expect(eq(str, found.stack_from, "default"));
	cr_expect(eq(sz, stack_with(""), (size_t)1 << 20));
}

Test(topology, stack_sizes_have_suffixes)
{
	cr_expect(eq(sz, stack_with("65536"), (size_t)65536));
	cr_expect(eq(sz, stack_with("64K"), (size_t)64 << 10));
	cr_expect(eq(sz, stack_with("64k"), (size_t)64 << 10));
	cr_expect(eq(sz, stack_with("8M"), (size_t)8 << 20));
	cr_expect(eq(sz, stack_with("1G"), (size_t)1 << 30));
	cr_expect(eq(str, found.stack_from, "WEFT_STACK_SIZE=1G"));
	cr_expect(eq(sz, said_size, 0));
}

Test(topology, bad_stack_sizes_are_reported_and_ignored)
{
	static const char *const bad[] = { "0",	  "15K", "2G",	  "1025M",
					   "1T",  "64 ", "64KB",  "K",
					   "-1M", "big", "16383", "18446744073709551615G" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		size_t before = said_size;
		cr_expect(eq(sz, stack_with(bad[i]), (size_t)1 << 20), "'%s'", bad[i]);
		cr_expect(gt(sz, said_size, before), "'%s'", bad[i]);
	}
}

/* --- this process ------------------------------------------------------ */

Test(topology, without_an_env_the_process_itself_is_asked)
{
	setenv("WEFT_NUM_THREADS", "3", 1);
	setenv("WEFT_STACK_SIZE", "128K", 1);

	cr_expect(eq(uint, weft__topology_workers(NULL), 3));
	cr_expect(eq(sz, weft__topology_stack_size(NULL), (size_t)128 << 10));
}

Test(topology, a_bad_value_is_reported_once)
{
	char line[256];
	FILE *log = tmpfile();

	setenv("WEFT_NUM_THREADS", "many", 1);
	fflush(stderr);
	cr_assert(ge(int, dup2(fileno(log), STDERR_FILENO), 0));
	weft__topology_workers(NULL);
	weft__topology_workers(NULL);
	fflush(stderr);

	rewind(log);
	cr_expect(ne(ptr, fgets(line, sizeof(line), log), NULL));
	cr_expect(ne(ptr, strstr(line, "WEFT_NUM_THREADS=many"), NULL));
	cr_expect(eq(ptr, fgets(line, sizeof(line), log), NULL));
	fclose(log);
}

Test(topology, the_machine_is_described_as_it_is_detected)
{
	struct weft_machine m = { .size = sizeof(m) };

	cr_assert(eq(int, weft_machine(&m), 0));
	cr_expect(eq(uint, m.workers, weft__topology_workers(NULL)));
	cr_expect(eq(sz, m.stack_size, weft__topology_stack_size(NULL)));
	cr_expect(eq(sz, m.page_size, (size_t)sysconf(_SC_PAGESIZE)));
	cr_expect(ge(uint, m.cpus_online, m.cpus_allowed));
	cr_expect(ne(str, m.kernel, ""));
}

Test(topology, a_struct_of_another_version_is_filled_as_far_as_it_goes)
{
	struct weft_machine m;

	memset(&m, 0x5a, sizeof(m));
	m.size = offsetof(struct weft_machine, kernel);
	cr_expect(eq(int, weft_machine(&m), 0));
	cr_expect(eq(int, m.kernel[0], 0x5a));

	m.size = sizeof(size_t);
	cr_expect(eq(int, weft_machine(&m), WEFT_EINVAL));
}

Test(topology, the_display_says_what_and_why)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	setenv("WEFT_NUM_THREADS", "7", 1);
	weft__topology_display(out);
	fclose(out);
	cr_expect(
		ne(ptr, strstr(text, "7 workers unless configured, from WEFT_NUM_THREADS=7"), NULL),
		"%s", text);
	cr_expect(ne(ptr, strstr(text, "1048576 bytes unless configured, from default"), NULL),
		  "%s", text);
	free(text);
}
