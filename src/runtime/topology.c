/* SPDX-License-Identifier: MIT */
/*
 * topology.c - how many workers to start, how large their stacks, and why
 *
 * A worker more than there is CPU time for is worse than one too few: a thread
 * that the kernel has throttled in the middle of a steal holds up the others.
 * So the count is what the affinity mask leaves, cut by the quota of the
 * cgroups and rounded up: a quota of 1.5 CPUs is worth two workers, since with
 * one the half could never be used.
 *
 * Who sits near whom in the cache hierarchy is not looked at: workers are not
 * bound to CPUs, so none has neighbours that stay.
 */
#include "runtime/topology.h"

#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/cgroup.h"

/* What WEFT_NUM_THREADS and WEFT_STACK_SIZE can be worth. */
enum reading {
	READ_NUMBER,  /* so many */
	READ_PERCENT, /* so many percent of what was found */
	READ_DEFAULT, /* not set, or "auto" */
	READ_BAD,
};

static unsigned cpus_online(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	return n > 0 ? (unsigned)n : 1;
}

/* A cpu_set_t ends at 1024 CPUs.  The kernel refuses a mask that is shorter
 * than its own, so try longer ones until one fits.  0: cannot be told. */
static unsigned cpus_allowed(void)
{
	for (size_t cpus = 1024; cpus <= 1 << 20; cpus *= 2) {
		cpu_set_t *set = CPU_ALLOC(cpus);
		size_t size = CPU_ALLOC_SIZE(cpus);

		if (!set)
			return 0;
		bool fits = sched_getaffinity(0, size, set) == 0;
		unsigned n = fits ? (unsigned)CPU_COUNT_S(size, set) : 0;
		CPU_FREE(set);
		if (fits)
			return n;
	}
	return 0;
}

static unsigned clamp(double n)
{
	return n < 1 ? 1 : n > WEFT__WORKERS_MAX ? WEFT__WORKERS_MAX : (unsigned)n;
}

static unsigned round_up(double n)
{
	unsigned whole = clamp(n);
	return whole < n ? clamp(whole + 1.0) : whole;
}

/* The digits that `text` starts with.  False when there are none or too many. */
static bool read_digits(const char *text, uint64_t *number, const char **rest)
{
	uint64_t n = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (n > UINT64_MAX / 10 - 1)
			return false;
		n = n * 10 + (uint64_t)(*p - '0');
	}
	*number = n;
	*rest = p;
	return p > text;
}

/* N, N% or auto; N from 1 on. */
static enum reading read_threads(const char *text, uint64_t *number)
{
	const char *rest;

	if (!text || *text == '\0' || strcmp(text, "auto") == 0)
		return READ_DEFAULT;
	if (!read_digits(text, number, &rest) || *number == 0)
		return READ_BAD;
	if (strcmp(rest, "%") == 0)
		return *number <= 100 * WEFT__WORKERS_MAX ? READ_PERCENT : READ_BAD;
	return *rest == '\0' && *number <= WEFT__WORKERS_MAX ? READ_NUMBER : READ_BAD;
}

/* By how many bits a suffix shifts; -1 for what is none. */
static int suffix_bits(const char *suffix)
{
	if (*suffix == '\0')
		return 0;
	if (suffix[1] != '\0')
		return -1;
	switch (*suffix) {
	case 'K':
	case 'k':
		return 10;
	case 'M':
	case 'm':
		return 20;
	case 'G':
	case 'g':
		return 30;
	default:
		return -1;
	}
}

/* Bytes, or with a suffix K, M or G times 1024, 1024^2, 1024^3. */
static enum reading read_stack(const char *text, uint64_t *number)
{
	const char *rest;

	if (!text || *text == '\0')
		return READ_DEFAULT;
	if (!read_digits(text, number, &rest) || *number > WEFT__STACK_MAX || suffix_bits(rest) < 0)
		return READ_BAD;
	*number <<= suffix_bits(rest);
	return *number >= WEFT__STACK_MIN && *number <= WEFT__STACK_MAX ? READ_NUMBER : READ_BAD;
}

__attribute__((format(printf, 2, 3))) static void warn(FILE *out, const char *format, ...)
{
	va_list args;

	if (!out)
		return;
	va_start(args, format);
	vfprintf(out, format, args);
	va_end(args);
}

static void detect_cpus(struct weft__topology *t, const struct weft__topology_env *env)
{
	t->online = cpus_online();
	t->allowed = env->allowed ? env->allowed : cpus_allowed();
	if (t->allowed == 0)
		t->allowed = t->online;
	t->quota = weft__cgroup_quota(env->root, t->quota_file, sizeof(t->quota_file));
}

/* What the machine is good for. */
static const char *count_workers(struct weft__topology *t)
{
	bool cut = t->quota > 0 && round_up(t->quota) < t->allowed;

	t->workers = cut ? round_up(t->quota) : clamp(t->allowed);
	return cut ? "quota" : "affinity";
}

static void detect_workers(struct weft__topology *t, const struct weft__topology_env *env)
{
	uint64_t number = 0;
	enum reading reading = read_threads(env->threads, &number);

	detect_cpus(t, env);
	snprintf(t->workers_from, sizeof(t->workers_from), "%s", count_workers(t));

	if (reading == READ_BAD)
		warn(env->warnings,
		     "weft: WEFT_NUM_THREADS=%s is not N (1 to %d), N%% or auto: using %u\n",
		     env->threads, WEFT__WORKERS_MAX, t->workers);
	if (reading != READ_NUMBER && reading != READ_PERCENT)
		return;

	double share = reading == READ_PERCENT ? t->workers / 100.0 : 1;
	t->workers = round_up((double)number * share);
	snprintf(t->workers_from, sizeof(t->workers_from), "WEFT_NUM_THREADS=%s", env->threads);
}

static void detect_stack(struct weft__topology *t, const struct weft__topology_env *env)
{
	uint64_t number = 0;
	enum reading reading = read_stack(env->stack, &number);

	t->stack_size = WEFT__STACK_DEFAULT;
	snprintf(t->stack_from, sizeof(t->stack_from), "default");

	if (reading == READ_BAD)
		warn(env->warnings,
		     "weft: WEFT_STACK_SIZE=%s is not bytes (16K to 1G, suffix K, M or G): using "
		     "%zu\n",
		     env->stack, t->stack_size);
	if (reading != READ_NUMBER)
		return;
	t->stack_size = (size_t)number;
	snprintf(t->stack_from, sizeof(t->stack_from), "WEFT_STACK_SIZE=%s", env->stack);
}

/* This process.  A bad value is reported once, to whoever looks first. */
static struct weft__topology_env own_env(bool *warned)
{
	return (struct weft__topology_env){
		.root = "",
		.threads = getenv("WEFT_NUM_THREADS"),
		.stack = getenv("WEFT_STACK_SIZE"),
		.warnings = __atomic_exchange_n(warned, true, __ATOMIC_RELAXED) ? NULL : stderr,
	};
}

static void own_workers(struct weft__topology *t)
{
	static bool warned;
	struct weft__topology_env env = own_env(&warned);

	detect_workers(t, &env);
}

static void own_stack(struct weft__topology *t)
{
	static bool warned;
	struct weft__topology_env env = own_env(&warned);

	detect_stack(t, &env);
}

void weft__topology_detect(struct weft__topology *t, const struct weft__topology_env *env)
{
	if (env) {
		detect_workers(t, env);
		detect_stack(t, env);
	} else {
		own_workers(t);
		own_stack(t);
	}
}

unsigned weft__topology_workers(const struct weft__topology_env *env)
{
	struct weft__topology t;

	if (env)
		detect_workers(&t, env);
	else
		own_workers(&t);
	return t.workers;
}

size_t weft__topology_stack_size(const struct weft__topology_env *env)
{
	struct weft__topology t;

	if (env)
		detect_stack(&t, env);
	else
		own_stack(&t);
	return t.stack_size;
}
