/* SPDX-License-Identifier: MIT */
/*
 * proc.h - worker processes, driven by poll() instead of an event loop
 */
#ifndef WEFT_TESTS_PROC_H
#define WEFT_TESTS_PROC_H

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "async/proc.h"
#include "async/proc_payload.h"

static inline int64_t proc_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Sleeps until something happens to the server or one of n workers. */
static inline void proc_poll(struct weft__server *s, struct weft__proc *p, int n, int timeout_ms)
{
	struct pollfd *news = calloc((size_t)(1 + 3 * n), sizeof(*news));

	news[0] = (struct pollfd){ s->fd, POLLIN, 0 };
	for (int i = 0; i < n; i++) {
		news[1 + 3 * i] = (struct pollfd){ p[i].fd, POLLIN, 0 };
		news[2 + 3 * i] = (struct pollfd){ p[i].err_fd, POLLIN, 0 };
		news[3 + 3 * i] = (struct pollfd){ p[i].is_lost ? p[i].pidfd : -1, POLLIN, 0 };
	}
	poll(news, (nfds_t)(1 + 3 * n), timeout_ms);
	if (s->fd >= 0 && news[0].revents && weft__server_step(s) != 0)
		weft__server_close(s);
	for (int i = 0; i < n; i++) {
		if (news[2 + 3 * i].revents)
			weft__proc_hear(&p[i]);
	}
	free(news);
}

/* The next event of a worker; NOTHING when ten seconds have passed. */
static inline enum weft__proc_event proc_wait(struct weft__server *s, struct weft__proc *p,
					      struct weft__answer *answer)
{
	int64_t end = proc_now_ms() + 10000;
	enum weft__proc_event event;

	while ((event = weft__proc_next(p, answer)) == WEFT__PROC_NOTHING) {
		if (proc_now_ms() > end)
			break;
		proc_poll(s, p, 1, 1000);
	}
	return event;
}

/* Until the worker has a process id, or has ended. */
static inline bool proc_wait_alive(struct weft__server *s, struct weft__proc *p)
{
	int64_t end = proc_now_ms() + 10000;

	while (p->state == WEFT__PROC_STARTING && !p->is_lost && proc_now_ms() < end)
		proc_poll(s, p, 1, 1000);
	return p->state == WEFT__PROC_ALIVE;
}

/* Sends a job, with its payload in a memfd if it is large. */
static inline int proc_send(struct weft__proc *p, weft_remote_fn *fn, const void *data, size_t size)
{
	static uint64_t last;
	struct weft__ref ref;
	struct weft__proc_job job = { .id = ++last,
				      .fn = &ref,
				      .data = data,
				      .size = size,
				      .memfd = -1,
				      .answer_max = (uint64_t)1 << 30 };
	int rc = weft__ref_make(&ref, fn);

	if (rc != 0)
		return rc;
	if (size >= WEFT__FRAME_LARGE) {
		job.memfd = weft__payload_of(data, size);
		if (job.memfd < 0)
			return job.memfd;
	}
	rc = weft__proc_send(p, &job);
	if (job.memfd >= 0)
		close(job.memfd);
	return rc;
}

/* How many descriptors this process has open. */
static inline int proc_fd_count(void)
{
	DIR *fds = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(fds))
		count++;
	closedir(fds);
	return count - 3; /* ., .., and the directory itself */
}

/* A process that is there and no zombie. */
static inline bool proc_lives(pid_t pid)
{
	char path[64], state = 'X';

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *stat = fopen(path, "re");
	if (!stat)
		return false;
	if (fscanf(stat, "%*d (%*[^)]) %c", &state) != 1)
		state = 'X';
	fclose(stat);
	return state != 'X' && state != 'Z';
}

static inline bool proc_dies(pid_t pid, int timeout_ms)
{
	int64_t end = proc_now_ms() + timeout_ms;

	while (proc_lives(pid)) {
		if (proc_now_ms() > end)
			return false;
		usleep(1000);
	}
	return true;
}

#endif
