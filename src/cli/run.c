/* SPDX-License-Identifier: MIT */
/*
 * run.c - one run from its first step to its last
 */
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weft/runtime.h>

#include "isolate.h"
#include "lane.h"
#include "say.h"

/* Wakes the reader, should it be waiting for a pipe. */
static void stop_reading(struct weft__run *run)
{
	uint64_t one = 1;

	if (write(run->stop_fd, &one, sizeof one) < 0) {
		/* Full: it is readable already. */
	}
}

void weft__run_cut(struct weft__run *run, uint64_t number)
{
	uint64_t last = atomic_load(&run->last);

	while (number < last && !atomic_compare_exchange_weak(&run->last, &last, number))
		;
	stop_reading(run);
}

void weft__run_fail(struct weft__run *run, enum weft__exit code)
{
	int none = WEFT__EXIT_OK;

	atomic_compare_exchange_strong(&run->code_of_exit, &none, (int)code);
}

bool weft__run_write(struct weft__run *run, struct iovec *vector, int count)
{
	int rc = weft__output_write(&run->output, vector, count);

	if (rc == 0)
		return true;
	if (rc != -EPIPE)
		weft__say("%s: %s", run->output.name, strerror(-rc));
	weft__run_fail(run, rc == -EPIPE ? WEFT__EXIT_PIPE : WEFT__EXIT_OUTPUT);
	weft__run_cut(run, 0);
	weft__order_end(&run->order);
	return false;
}

/* A step of the job that is not about records. */
struct step {
	struct weft__lane lane;
	struct weft__part part;
};

static void step_begin(struct step *step, struct weft__run *run)
{
	step->part = (struct weft__part){ .number = run->order.head + 1, .slice.name = "-" };
	weft__lane_init(&step->lane, run);
	weft__lane_begin(&step->lane, &step->part, true);
}

/* Writes what it emitted, and says why it failed if it did. */
static bool step_end(struct step *step, const char *name, int rc, enum weft__exit code)
{
	struct weft__run *run = step->lane.run;

	weft__lane_end(&step->lane);
	struct iovec whole = { .iov_base = step->part.out.data, .iov_len = step->part.out.used };
	bool fine = rc == 0;
	if (fine && whole.iov_len > 0)
		fine = weft__run_write(run, &whole, 1);
	else if (!fine && !step->lane.gone)
		weft__say("%s: %s: %s", run->options->job, name, weft__lane_why(&step->lane, rc));
	weft__buffer_fini(&step->part.out);
	if (!fine)
		weft__run_fail(run, code);
	return fine;
}

static bool start_job(struct weft__run *run)
{
	struct step step;

	if (!run->code->start)
		return true;
	step_begin(&step, run);
	return step_end(&step, "start", run->code->start(&step.lane.job), WEFT__EXIT_JOB);
}

/* The state that all others are merged into. */
static bool make_total(struct weft__run *run)
{
	struct step step;

	if (run->code->state_size == 0)
		return true;
	run->total = weft__state_new(run->code);
	if (!run->total) {
		weft__say("out of memory");
		weft__run_fail(run, WEFT__EXIT_SYSTEM);
		return false;
	}
	if (!run->code->init)
		return true;
	step_begin(&step, run);
	weft__lane_begin(&step.lane, &step.part, false);
	return step_end(&step, "init", run->code->init(&step.lane.job, run->total),
			WEFT__EXIT_RECORDS);
}

static void finish_job(struct weft__run *run)
{
	struct step step;

	if (!run->code->finish || !atomic_load(&run->complete) || run->order.over)
		return;
	step_begin(&step, run);
	step_end(&step, "finish", run->code->finish(&step.lane.job, run->total),
		 WEFT__EXIT_RECORDS);
}

static int all(void *arg)
{
	struct weft__run *run = arg;

	if (!start_job(run) || !make_total(run))
		return 0;
	int rc = run->options->isolate ? weft__isolate_run(run) : weft__lane_run(run);
	if (rc == 0)
		finish_job(run);
	return rc;
}

void weft__run_all(struct weft__run *run)
{
	int rc = weft_run_sync(all, run);

	if (rc < 0) {
		weft__say("%s", strerror(-rc));
		weft__run_fail(run, WEFT__EXIT_SYSTEM);
	}
	if (run->failed > 0)
		weft__run_fail(run, WEFT__EXIT_RECORDS);
	free(run->total);
}
