/* SPDX-License-Identifier: MIT */
/* summary.c - what a run was */
#include "summary.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "say.h"

static long long memory_peak(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_SELF, &usage) ? 0 : usage.ru_maxrss * 1024LL;
}

static void print_json(const struct weft__run *run, const struct weft__summary *s)
{
	char line[512];
	int n = snprintf(
		line, sizeof line,
		"{\"records\": %llu, \"failed\": %llu, \"bytes_in\": %llu, "
		"\"bytes_out\": %llu, \"seconds\": %.6f, \"bytes_per_second\": %.0f, "
		"\"workers\": %u, \"cpu_use\": %.3f, \"memory_peak\": %lld, \"exit\": %d}\n",
		(unsigned long long)run->records, (unsigned long long)run->failed,
		(unsigned long long)run->input.got, (unsigned long long)run->output.written,
		s->seconds, s->seconds > 0 ? (double)run->input.got / s->seconds : 0,
		run->options->workers, s->cpu, memory_peak(), s->code);

	weft__say_raw(line, (size_t)n);
}

static void print_text(const struct weft__run *run, const struct weft__summary *s)
{
	char records[32], failed[64] = "", count[32], bytes[32], rate[32];

	if (run->failed)
		snprintf(failed, sizeof failed, " (%s failed)",
			 weft__say_count(count, run->failed));
	weft__say("%s record%s%s, %s in %.3g s, %s/s, %u worker%s, CPU %.0f %%",
		  weft__say_count(records, run->records), run->records == 1 ? "" : "s", failed,
		  weft__say_bytes(bytes, (double)run->input.got), s->seconds,
		  weft__say_bytes(rate, s->seconds > 0 ? (double)run->input.got / s->seconds : 0),
		  run->options->workers, run->options->workers == 1 ? "" : "s", 100 * s->cpu);
}

void weft__summary_print(const struct weft__run *run, const struct weft__summary *summary)
{
	if (run->options->json)
		print_json(run, summary);
	else if (!run->options->quiet)
		print_text(run, summary);
}
