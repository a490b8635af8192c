/* SPDX-License-Identifier: MIT */
/*
 * map.c - `weft map`: everything around the run
 *
 * What can be refused is refused before any work is done and any output opened:
 * the command line, then the inputs, then the job.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weft/runtime.h>

#include "build.h"
#include "cli.h"
#include "isolate.h"
#include "run.h"
#include "say.h"
#include "summary.h"
#include "watch.h"

/* Parts in flight.  With a reduction each holds a state, of unknown size. */
#define PARTS_PLAIN	 1024
#define PARTS_A_REDUCING 4

/* Slices are 1/256 of what came before: a run on n cores ends with the cores
 * n/256 of it apart at worst.  On its way to a worker process a slice costs more. */
#define SHARE	       256
#define SHARE_ISOLATED 32

/* As a thread has, where a job may have been tried. */
#define STACK_SIZE ((size_t)8 << 20)

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

/* Other processes load it once more, during the run. */
static bool load_job(struct weft__run *run, struct weft__code *code)
{
	const struct weft__options *o = run->options;

	if (!weft__build(&run->built, o->job))
		return false;
	bool loaded = weft__code_load(code, run->built.path, o->job) &&
		      (!o->isolate || weft__isolate_allows(code, o->job));
	if (!loaded || !o->isolate)
		weft__built_fini(&run->built, loaded);
	return loaded;
}

/* A regular file that is read and appended to never ends. */
static bool feeds_itself(struct weft__run *run)
{
	struct stat status;

	if (run->options->output || fstat(STDOUT_FILENO, &status) || !S_ISREG(status.st_mode) ||
	    status.st_size == 0 || !weft__input_is(&run->input, &status))
		return false;
	weft__say("standard output is one of the inputs");
	return true;
}

/* Checks and opens all that the run needs; false once it has said what is
 * missing and set the code. */
static bool prepare(struct weft__run *run, struct weft__code *code)
{
	const struct weft__options *o = run->options;

	if (!weft__input_check(&run->input) || feeds_itself(run)) {
		weft__run_fail(run, WEFT__EXIT_INPUT);
		return false;
	}
	if (!load_job(run, code)) {
		weft__run_fail(run, WEFT__EXIT_JOB);
		return false;
	}
	run->input.config.live = code->state_size == 0;
	if (!weft__output_open(&run->output, o->output)) {
		weft__run_fail(run, WEFT__EXIT_OUTPUT);
		return false;
	}
	return true;
}

static bool init(struct weft__run *run, struct weft__options *o, const struct weft__code *code)
{
	*run = (struct weft__run){
		.options = o,
		.code = code,
		.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.output.fd = -1,
	};
	atomic_init(&run->last, UINT64_MAX);
	pthread_mutex_init(&run->reader, NULL);
	weft__input_init(&run->input,
			 &(struct weft__input_config){
				 .names = o->inputs,
				 .count = o->input_count,
				 .format = &o->record,
				 .skip = o->skip,
				 .limit = o->limit,
				 .max_record = o->max_record,
				 .share = o->isolate ? SHARE_ISOLATED : SHARE,
				 .stop_fd = run->stop_fd,
			 },
			 o->workers);
	if (run->stop_fd < 0)
		weft__say("eventfd: %s", strerror(errno));
	return run->stop_fd >= 0;
}

static void fini(struct weft__run *run)
{
	weft__output_abandon(&run->output);
	weft__input_fini(&run->input);
	pthread_mutex_destroy(&run->reader);
	close(run->stop_fd);
	weft__built_fini(&run->built, true);
}

static bool init_order(struct weft__run *run)
{
	uint64_t parts =
		run->code->state_size == 0 ? PARTS_PLAIN : PARTS_A_REDUCING * run->options->workers;
	bool fine =
		weft__order_init(&run->order, parts, run->options->workers, weft__run_deliver, run);

	run->order.unordered = run->options->unordered;
	if (!fine) {
		weft__say("out of memory");
		weft__run_fail(run, WEFT__EXIT_SYSTEM);
	}
	return fine;
}

static void commit(struct weft__run *run)
{
	if (atomic_load(&run->code_of_exit) > WEFT__EXIT_RECORDS || !atomic_load(&run->complete) ||
	    run->order.over)
		return;
	int rc = weft__output_commit(&run->output);
	if (rc == 0)
		return;
	weft__say("%s: %s", run->output.name, strerror(-rc));
	weft__run_fail(run, WEFT__EXIT_OUTPUT);
}

static void report_unused(const struct weft__options *o)
{
	for (size_t i = 0; i < o->setting_count; i++)
		if (!atomic_load(&o->settings[i].used))
			weft__say("--set %s: the job never asked for it", o->settings[i].key);
}

static void execute(struct weft__run *run)
{
	struct weft__options *o = run->options;
	struct weft__watch watch;
	bool progress = o->progress == WEFT__WHEN_ALWAYS ||
			(o->progress == WEFT__WHEN_TERMINAL && isatty(STDERR_FILENO));

	if (!weft__watch_start(&watch, run, progress)) {
		weft__run_fail(run, WEFT__EXIT_SYSTEM);
		return;
	}
	double cpu = cpu_seconds();
	weft__run_all(run);
	weft__watch_stop(&watch);
	int signal = atomic_load(&watch.signal);
	if (signal && !atomic_load(&run->complete))
		weft__run_fail(run, (enum weft__exit)(WEFT__EXIT_SIGNAL + signal));
	commit(run);
	if (atomic_load(&run->code_of_exit) == WEFT__EXIT_PIPE)
		return;
	report_unused(o);
	double seconds = weft__watch_now() - watch.began;
	weft__summary_print(run, &(struct weft__summary){
					 .seconds = seconds,
					 .cpu = (cpu_seconds() - cpu) / seconds,
					 .code = atomic_load(&run->code_of_exit),
				 });
}

int weft__map_main(int argc, char **argv)
{
	struct weft__options options;
	struct weft__code code;
	struct weft__run run;

	weft__options_parse(&options, argc, argv);
	weft_configure(.workers = options.isolate ? 2 * options.workers : options.workers,
		       .stack_size = getenv("WEFT_STACK_SIZE") ? 0 : STACK_SIZE);
	signal(SIGPIPE, SIG_IGN);
	if (!init(&run, &options, &code))
		return WEFT__EXIT_SYSTEM;
	if (prepare(&run, &code) && init_order(&run))
		execute(&run);
	weft__order_fini(&run.order);
	fini(&run);
	weft__options_fini(&options);
	return atomic_load(&run.code_of_exit);
}
