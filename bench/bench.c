/* SPDX-License-Identifier: MIT */
/*
 * bench.c - the rounds, the table, the verdicts
 *
 * Runtimes that spin after their last task (OpenMP does, up to 200 ms) would
 * burn the CPU under the side that runs next, so each run waits until this
 * process is quiet.  A verdict is given only when the bar lies outside of the
 * uncertainty of the median: 1.4826 MAD is the spread, the median of n rounds
 * is uncertain by about 1.25 spread / sqrt(n), and two of these on each side are
 * "too close".
 */
#include "bench.h"

#include <dlfcn.h>
#include <libgen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <weft/info.h>
#include <weft/runtime.h>
#include <weft/version.h>

#ifdef __clang__
#define COMPILER "clang "
#else
#define COMPILER "gcc "
#endif
#ifndef BENCH_FLAGS
#define BENCH_FLAGS ""
#endif

enum {
	RUNTIMES_MAX = 8,
	ROUNDS_DEFAULT = 7,
	QUIET_LOOKS_MAX = 40, /* of 10 ms */
};

struct pool_entry {
	unsigned workers;
	struct weft_runtime *runtime;
};

static struct {
	bool quick, json, banner;
	unsigned rounds;
	char directory[512];
	char name[64];
	char columns[512]; /* the header printed last */
	struct pool_entry pool[RUNTIMES_MAX];
	bool comma; /* the JSON list of rows has begun */
} bench = { .banner = true, .rounds = ROUNDS_DEFAULT };

static double seconds(struct timespec t)
{
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double bench_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return seconds(t);
}

double bench_cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return seconds(t);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* The median of `values`, which stay as they are, and 1.4826 MAD. */
static double centre(const double *values, unsigned n, double *spread)
{
	double work[BENCH_ROUNDS_MAX];

	memcpy(work, values, n * sizeof(*values));
	double median = bench_median(work, n);
	for (unsigned i = 0; i < n; i++)
		work[i] = fabs(values[i] - median);
	*spread = 1.4826 * bench_median(work, n);
	return median;
}

static void fail(const char *why, const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", bench.name, why, what);
	exit(1);
}

void bench_check(bool right, const char *what)
{
	if (!right)
		fail("wrong result", what);
}

bool bench_quick(void)
{
	return bench.quick;
}

unsigned bench_threads(void)
{
	struct weft_machine machine = { .size = sizeof(machine) };

	weft_machine(&machine);
	return machine.workers;
}

static void print_banner(void)
{
	struct weft_machine m = { .size = sizeof(m) };
	double load[3] = { 0 };

	weft_machine(&m);
	getloadavg(load, 3);
	printf("machine   %s, %u CPUs (%u usable), Linux %s\n", m.cpu_model, m.cpus_online,
	       m.workers, m.kernel);
	printf("compiler  " COMPILER "%s, %s\n", __VERSION__, BENCH_FLAGS);
	printf("weft      %s, allocator %s\n", weft_version(), m.allocator);
	printf("load      %.2f %.2f %.2f\n", load[0], load[1], load[2]);
	printf("method    median of %u rounds, sides in turn; cpu = CPU time of all threads\n",
	       bench.rounds);
}

static void usage(void)
{
	fprintf(stderr, "usage: %s [--quick] [--json] [--rounds 1..%d] [--no-banner]\n", bench.name,
		BENCH_ROUNDS_MAX);
	exit(2);
}

static void read_rounds(const char *text)
{
	char *end;
	unsigned long n = text ? strtoul(text, &end, 10) : 0;

	if (n < 1 || n > BENCH_ROUNDS_MAX || *end)
		usage();
	bench.rounds = (unsigned)n;
}

void bench_begin(int argc, char **argv)
{
	char path[512] = { 0 };

	if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0)
		path[0] = '\0';
	snprintf(bench.name, sizeof(bench.name), "%.63s", basename(path));
	snprintf(bench.directory, sizeof(bench.directory), "%s", dirname(path));

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--quick") == 0)
			bench.quick = true;
		else if (strcmp(argv[i], "--json") == 0)
			bench.json = true;
		else if (strcmp(argv[i], "--no-banner") == 0)
			bench.banner = false;
		else if (strcmp(argv[i], "--rounds") == 0)
			read_rounds(argv[++i]);
		else
			usage();
	}
	if (bench.quick)
		bench.rounds = 1;
	if (bench.json)
		printf("{\"bench\":\"%s\",\"rows\":[", bench.name);
	else if (bench.banner)
		print_banner();
}

/* --- sides --- */

static struct bench_side *add_side(struct bench_row *row, const char *name, void *arg,
				   unsigned threads)
{
	if (row->side_count == BENCH_SIDES_MAX)
		fail("too many sides", row->what);

	struct bench_side *side = &row->sides[row->side_count++];
	*side = (struct bench_side){ .name = name,
				     .arg = arg,
				     .threads = threads ? threads : bench_threads() };
	return side;
}

void bench_plain(struct bench_row *row, const char *name, bench_fn *fn, void *arg)
{
	add_side(row, name, arg, 1)->plain = fn;
}

void bench_weft(struct bench_row *row, const char *name, unsigned workers, bench_task_fn *fn,
		void *arg)
{
	add_side(row, name, arg, workers)->task = fn;
}

bool bench_peer(struct bench_row *row, const char *name, const char *module, const char *symbol,
		unsigned threads, void *arg)
{
	char path[1024];
	char full[64];

	snprintf(path, sizeof(path), "%s/%s.so", bench.directory, module);
	snprintf(full, sizeof(full), "peer_%s", symbol);
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	void *found = library ? dlsym(library, full) : NULL;
	if (!library && access(path, F_OK) == 0)
		fail("cannot load", dlerror());
	if (!found)
		return false;
	add_side(row, name, arg, threads)->peer = (bench_peer_fn *)found;
	return true;
}

void bench_peers(struct bench_row *row, const char *symbol, void *arg)
{
	static const char *const names[] = { "tbb", "gomp", "libomp", "cpp" };
	char module[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(module, sizeof(module), "%s_%s", bench.name, names[i]);
		bench_peer(row, names[i], module, symbol, 0, arg);
	}
}

static const struct bench_side *find_side(const struct bench_row *row, const char *name)
{
	for (unsigned i = 0; i < row->side_count; i++) {
		if (strcmp(row->sides[i].name, name) == 0)
			return &row->sides[i];
	}
	return NULL;
}

static void add_bar(struct bench_row *row, struct bench_bar bar)
{
	if (!find_side(row, bar.side) || (bar.over && !find_side(row, bar.over)))
		return;
	if (row->bar_count == BENCH_BARS_MAX)
		fail("too many bars", row->what);
	row->bars[row->bar_count++] = bar;
}

void bench_bar(struct bench_row *row, const char *id, const char *side, const char *over,
	       enum bench_op op, double limit)
{
	add_bar(row, (struct bench_bar){ id, side, over, op, false, limit });
}

void bench_bar_cpu(struct bench_row *row, const char *id, const char *side, const char *over,
		   enum bench_op op, double limit)
{
	add_bar(row, (struct bench_bar){ id, side, over, op, true, limit });
}

/* --- rounds --- */

/* Runtimes stay from row to row: an idle one costs nothing. */
static struct weft_runtime *runtime_of(unsigned workers)
{
	struct weft_config config = { .size = sizeof(config), .workers = workers };
	struct pool_entry *entry = bench.pool;

	while (entry->runtime && entry->workers != workers)
		entry++;
	if (entry->runtime)
		return entry->runtime;
	if (entry == &bench.pool[RUNTIMES_MAX - 1])
		fail("too many runtimes", "raise RUNTIMES_MAX");
	if (weft_runtime_create_opt(&entry->runtime, &config) != 0)
		fail("cannot start", "a runtime");
	entry->workers = workers;
	return entry->runtime;
}

/* Waits until no thread of this process uses the CPU. */
static void wait_until_quiet(void)
{
	for (int looks = 0; looks < QUIET_LOOKS_MAX; looks++) {
		double before = bench_cpu();
		nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000 * 1000 }, NULL);
		if (bench_cpu() - before < 0.5e-3)
			return;
	}
}

static void run_side(const struct bench_row *row, struct bench_side *side, unsigned round)
{
	struct weft_runtime *runtime = side->task ? runtime_of(side->threads) : NULL;
	int rc = 0;

	if (row->before)
		row->before(row->before_arg);
	wait_until_quiet();

	double wall = bench_now();
	double cpu = bench_cpu();
	if (side->task)
		rc = weft_runtime_run(runtime, side->task, side->arg);
	else if (side->peer)
		side->peer(side->arg, side->threads);
	else
		side->plain(side->arg);
	side->wall[round] = bench_now() - wall - (row->paused ? *row->paused : 0);
	side->cpu[round] = bench_cpu() - cpu;
	bench_check(rc >= 0, row->what);
}

/* Round r begins with side r, so that each side has each place in the order. */
static void run_round(struct bench_row *row, unsigned round)
{
	for (unsigned i = 0; i < row->side_count; i++)
		run_side(row, &row->sides[(i + round) % row->side_count], round);
}

/* --- verdicts --- */

struct verdict {
	double value; /* a ratio, or nanoseconds an item */
	double spread;
	bool met, close;
};

static void judge(const struct bench_row *row, const struct bench_bar *bar, struct verdict *v)
{
	const struct bench_side *side = find_side(row, bar->side);
	const struct bench_side *over = bar->over ? find_side(row, bar->over) : NULL;
	double ratios[BENCH_ROUNDS_MAX];

	for (unsigned i = 0; i < bench.rounds; i++) {
		double time = bar->cpu ? side->cpu[i] : side->wall[i];
		if (over)
			ratios[i] = time / (bar->cpu ? over->cpu[i] : over->wall[i]);
		else
			ratios[i] = time * 1e9 / (row->items > 0 ? row->items : 1);
	}
	v->value = centre(ratios, bench.rounds, &v->spread);
	v->met = bar->op == BENCH_AT_MOST ? v->value <= bar->limit : v->value >= bar->limit;
	v->close = fabs(v->value - bar->limit) < 2.5 * v->spread / sqrt(bench.rounds);
}

/* --- the table --- */

static const char *format_time(char *text, size_t size, double s)
{
	static const struct {
		double unit;
		const char *name;
	} units[] = { { 1, "s" }, { 1e-3, "ms" }, { 1e-6, "us" }, { 0, "ns" } };
	size_t u = 0;

	while (s < units[u].unit)
		u++;
	double value = s / (units[u].unit > 0 ? units[u].unit : 1e-9);
	snprintf(text, size, "%.*f %s",
		 value < 9.995	 ? 2
		 : value < 99.95 ? 1
				 : 0,
		 value, units[u].name);
	return text;
}

static void print_header(const struct bench_row *row)
{
	char columns[sizeof(bench.columns)];
	int used = snprintf(columns, sizeof(columns), "%-28s %6s", "what", "");

	for (unsigned i = 0; i < row->side_count; i++)
		used += snprintf(columns + used, sizeof(columns) - (size_t)used, " %11.11s",
				 row->sides[i].name);
	if (strcmp(columns, bench.columns) == 0)
		return;
	strcpy(bench.columns, columns);
	printf("\n%s\n", columns);
}

static void print_times(const struct bench_row *row)
{
	static const char *const lines[] = { "wall", "spread", "cpu" };
	char text[32];

	for (int line = 0; line < 3; line++) {
		printf("%-28s %6s", line == 0 ? row->what : "", lines[line]);
		for (unsigned i = 0; i < row->side_count; i++) {
			const struct bench_side *side = &row->sides[i];
			double spread;
			double items = row->items > 0 ? row->items : 1;
			double median =
				centre(line == 2 ? side->cpu : side->wall, bench.rounds, &spread);
			if (line == 1)
				printf(" %9.1f %%", 100 * spread / median);
			else
				printf(" %11s", format_time(text, sizeof(text), median / items));
		}
		printf("\n");
	}
}

static const char *verdict_text(bool met, bool close)
{
	if (bench.quick)
		return "not judged (quick)";
	if (close)
		return met ? "met, but the spread is too wide to be sure"
			   : "MISSED, but the spread is too wide to be sure";
	return met ? "met" : "MISSED";
}

static void print_bar(const struct bench_row *row, const struct bench_bar *bar)
{
	char what[96];
	struct verdict v;

	judge(row, bar, &v);
	snprintf(what, sizeof(what), "%s%s%s%s", bar->side, bar->over ? " / " : "",
		 bar->over ? bar->over : ", ns", bar->cpu ? ", cpu" : "");
	printf("  %-4s %-28s %8.3f  +- %.1f %%   bar %s %g   %s\n", bar->id, what, v.value,
	       100 * v.spread / v.value, bar->op == BENCH_AT_MOST ? "<=" : ">=", bar->limit,
	       verdict_text(v.met, v.close));
}

/* --- JSON: names are ours, so nothing needs to be escaped --- */

static void json_begin_row(const char *what)
{
	printf("%s\n{\"what\":\"%s\"", bench.comma ? "," : "", what);
	bench.comma = true;
}

static void json_numbers(const char *name, const double *values)
{
	printf(",\"%s\":[", name);
	for (unsigned i = 0; i < bench.rounds; i++)
		printf("%s%.9g", i ? "," : "", values[i]);
	printf("]");
}

static void json_bar(const char *id, double value, enum bench_op op, double limit, bool met)
{
	printf("{\"id\":\"%s\",\"value\":%.9g,\"op\":\"%s\",\"limit\":%g,\"met\":%s}", id, value,
	       op == BENCH_AT_MOST ? "<=" : ">=", limit, met ? "true" : "false");
}

static void json_row(const struct bench_row *row)
{
	struct verdict v;

	json_begin_row(row->what);
	printf(",\"items\":%.0f,\"sides\":[", row->items);
	for (unsigned i = 0; i < row->side_count; i++) {
		const struct bench_side *side = &row->sides[i];
		printf("%s\n {\"name\":\"%s\",\"threads\":%u", i ? "," : "", side->name,
		       side->threads);
		json_numbers("wall", side->wall);
		json_numbers("cpu", side->cpu);
		printf("}");
	}
	printf("],\"bars\":[");
	for (unsigned i = 0; i < row->bar_count; i++) {
		judge(row, &row->bars[i], &v);
		printf("%s\n ", i ? "," : "");
		json_bar(row->bars[i].id, v.value, row->bars[i].op, row->bars[i].limit, v.met);
	}
	printf("]}");
}

/* --- what a benchmark calls --- */

void bench_run(struct bench_row *row)
{
	if (!bench.quick)
		run_round(row, 0); /* warms up; the first round overwrites it */
	for (unsigned round = 0; round < bench.rounds; round++)
		run_round(row, round);

	if (bench.json) {
		json_row(row);
	} else {
		print_header(row);
		print_times(row);
		for (unsigned i = 0; i < row->bar_count; i++)
			print_bar(row, &row->bars[i]);
	}
	fflush(stdout);
}

void bench_value(const char *id, const char *what, double value, const char *unit, enum bench_op op,
		 double limit)
{
	bool met = op == BENCH_AT_MOST ? value <= limit : value >= limit;

	if (bench.json) {
		json_begin_row(what);
		printf(",\"unit\":\"%s\",\"bars\":[", unit);
		json_bar(id, value, op, limit, met);
		printf("]}");
	} else {
		printf("  %-4s %-28s %8.3f %-8s   bar %s %g   %s\n", id, what, value, unit,
		       op == BENCH_AT_MOST ? "<=" : ">=", limit, verdict_text(met, false));
	}
	fflush(stdout);
}

int bench_end(void)
{
	for (struct pool_entry *entry = bench.pool; entry->runtime; entry++)
		weft_runtime_destroy(entry->runtime);
	if (bench.json)
		printf("]}\n");
	return 0;
}
