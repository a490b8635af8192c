/* SPDX-License-Identifier: MIT */
/*
 * watch.h - a thread beside the run: signals, progress, a reader that has gone
 *
 * SIGINT, SIGTERM and SIGHUP end the run in good order: no more is read, records
 * in work are finished, and the output up to there is written.  The second one
 * ends the process on the spot.
 *
 *   threads    start and stop: the thread that starts the run, before any other
 *              exists, so that all of them leave the signals to this one.
 *   errors     start says what is wrong and returns false.
 */
#ifndef WEFT_CLI_WATCH_H
#define WEFT_CLI_WATCH_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "run.h"

struct weft__watch {
	struct weft__run *run;
	bool progress;	   /* to be shown */
	double began;	   /* seconds, of CLOCK_MONOTONIC */
	atomic_int signal; /* the one that ended the run, or 0 */
	int signal_fd, stop_fd;
	sigset_t before;
	pthread_t thread;
};

bool weft__watch_start(struct weft__watch *watch, struct weft__run *run, bool progress);
void weft__watch_stop(struct weft__watch *watch);

/* Seconds of CLOCK_MONOTONIC. */
double weft__watch_now(void);

#endif
