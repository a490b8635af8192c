/* SPDX-License-Identifier: MIT */
/* watch.c - waits for signals, draws the progress line, sees the reader go */
#include "watch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "say.h"

#define PERIOD_MS 200

double weft__watch_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* COLUMNS, or what the terminal says, or 80. */
static int columns(void)
{
	const char *variable = getenv("COLUMNS");
	struct winsize size;

	if (variable && atoi(variable) > 0)
		return atoi(variable);
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return 80;
}

static void format_eta(char *text, size_t size, double seconds)
{
	unsigned long s = (unsigned long)(seconds + 0.5);

	if (s >= 3600)
		snprintf(text, size, ", ETA %lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
	else
		snprintf(text, size, ", ETA %lu:%02lu", s / 60, s % 60);
}

/* 123 MB of 1.2 GB, 10 %, 456 MB/s, ETA 0:02 */
static void draw(const struct weft__watch *watch)
{
	struct weft__run *run = watch->run;
	double done = (double)atomic_load(&run->bytes_done), size = (double)run->input.size;
	double rate = done / (weft__watch_now() - watch->began);
	char records[32], bytes[32], of[64] = "", speed[32], eta[32] = "", line[256], total[32];

	if (size > 0)
		snprintf(of, sizeof of, " of %s, %.0f %%", weft__say_bytes(total, size),
			 100 * (done < size ? done / size : 1));
	if (size > 0 && rate > 0)
		format_eta(eta, sizeof eta, done < size ? (size - done) / rate : 0);
	int n = snprintf(line, sizeof line, "%s%s, %s/s%s, %s records",
			 weft__say_bytes(bytes, done), of, weft__say_bytes(speed, rate), eta,
			 weft__say_count(records, atomic_load(&run->records_done)));
	int width = columns() - 1;
	if (n > width)
		line[width > 0 ? width : 0] = '\0';
	weft__say_progress(line);
}

static void take_signal(struct weft__watch *watch)
{
	struct signalfd_siginfo info;

	if (read(watch->signal_fd, &info, sizeof info) != sizeof info)
		return;
	if (atomic_load(&watch->signal) != 0) {
		/* A file without a name vanishes; one with a name must not stay. */
		if (watch->run->output.aside)
			unlink(watch->run->output.aside);
		_exit(WEFT__EXIT_SIGNAL + (int)info.ssi_signo);
	}
	atomic_store(&watch->signal, (int)info.ssi_signo);
	weft__run_cut(watch->run, 0);
}

/* Nobody reads the pipe any more.  Seen here, a job that emits little does not
 * run on to its next output, or to the end. */
static void reader_has_gone(struct weft__watch *watch)
{
	weft__run_fail(watch->run, WEFT__EXIT_PIPE);
	weft__run_cut(watch->run, 0);
	weft__order_end(&watch->run->order);
}

static void *watch_thread(void *arg)
{
	struct weft__watch *watch = arg;
	struct pollfd p[] = {
		{ .fd = watch->stop_fd, .events = POLLIN },
		{ .fd = watch->signal_fd, .events = POLLIN },
		{ .fd = watch->run->output.fd, .events = 0 },
	};

	while (p[0].revents == 0) {
		int n = poll(p, 3, watch->progress ? PERIOD_MS : -1);
		if (n < 0 && errno != EINTR)
			break;
		if (n > 0 && p[1].revents)
			take_signal(watch);
		if (n > 0 && p[2].revents & POLLERR) {
			reader_has_gone(watch);
			p[2].fd = -1;
		} else if (n > 0 && p[2].revents) {
			p[2].fd = -1; /* no pipe: of no interest */
		}
		if (watch->progress && p[0].revents == 0)
			draw(watch);
	}
	return NULL;
}

/* Signals that the caller has us ignore, as nohup does, stay ignored. */
static void wanted_signals(sigset_t *set)
{
	static const int all[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action;

	sigemptyset(set);
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (sigaction(all[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			sigaddset(set, all[i]);
}

bool weft__watch_start(struct weft__watch *watch, struct weft__run *run, bool progress)
{
	sigset_t set;

	wanted_signals(&set);
	*watch = (struct weft__watch){
		.run = run,
		.progress = progress,
		.began = weft__watch_now(),
		.signal_fd = signalfd(-1, &set, SFD_CLOEXEC),
		.stop_fd = eventfd(0, EFD_CLOEXEC),
	};
	pthread_sigmask(SIG_BLOCK, &set, &watch->before);
	int rc = watch->signal_fd < 0 || watch->stop_fd < 0 ? errno : 0;
	if (rc == 0)
		rc = pthread_create(&watch->thread, NULL, watch_thread, watch);
	if (rc != 0)
		weft__say("cannot watch for signals: %s", strerror(rc));
	return rc == 0;
}

void weft__watch_stop(struct weft__watch *watch)
{
	uint64_t one = 1;

	if (write(watch->stop_fd, &one, sizeof one) == sizeof one)
		pthread_join(watch->thread, NULL);
	if (watch->progress)
		weft__say_progress("");
	close(watch->stop_fd);
	close(watch->signal_fd);
	pthread_sigmask(SIG_SETMASK, &watch->before, NULL);
}
