/* SPDX-License-Identifier: MIT */
/*
 * stress_proc.c - workers are killed at random moments, now and then their server,
 * and the application: every job is answered once, nothing is left behind
 *
 * The ledger is the application's alone: a job is out with one worker, and comes
 * back as an answer that is checked or as the end of that worker.  A job that a
 * dead worker refused was never out.
 */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <weft/remote.h>

#include "support/proc.h"
#include "support/stress.h"

enum { WORKERS = 8, LARGEST = 200000, ROUND_KILLS = 1000 };

static struct weft__server server;
static struct weft__proc proc[WORKERS];
static bool used[WORKERS];
static uint64_t out[WORKERS]; /* the job each has, 0: none */
static size_t out_size[WORKERS];
static struct weft__ref fn;
static uint64_t last_job, answered, crashed, kills, server_deaths;
static struct weft__rng rng;
static char bytes[LARGEST];

/* Answers with its argument, each byte one more.  Sometimes leaves a child. */
static int job(const void *in, size_t size, struct weft_reply *reply)
{
	unsigned char *room = weft_reply_room(reply, size);

	if (!room)
		return -ENOMEM;
	for (size_t i = 0; i < size; i++)
		room[i] = (unsigned char)(((const unsigned char *)in)[i] + 1);
	if (size % 16 == 1 && fork() == 0) {
		for (;;)
			pause();
	}
	return 0;
}
WEFT_REMOTE(job);

static unsigned below(unsigned n)
{
	return (unsigned)(weft__rng_next(&rng) % n);
}

static void start(unsigned i)
{
	STRESS_CHECK(weft__server_open(&server) == 0);
	int rc = weft__proc_start(&proc[i], &server, NULL);
	STRESS_CHECK(rc == 0 || rc == -EAGAIN || rc == -EPIPE);
	used[i] = rc == 0;
	out[i] = 0;
}

static void send(unsigned i)
{
	size_t size = below(20) ? below(1000) : below(LARGEST);
	struct weft__proc_job one = { .id = last_job + 1,
				      .fn = &fn,
				      .data = bytes,
				      .size = size,
				      .memfd = -1,
				      .answer_max = LARGEST };

	if (size >= WEFT__FRAME_LARGE) {
		one.memfd = weft__payload_of(bytes, size);
		STRESS_CHECK(one.memfd >= 0);
	}
	int rc = weft__proc_send(&proc[i], &one);
	if (one.memfd >= 0)
		close(one.memfd);
	STRESS_CHECK(rc == 0 || rc == -EPIPE);
	if (rc != 0)
		return;
	out[i] = ++last_job;
	out_size[i] = size;
}

static void take(unsigned i, struct weft__answer *answer)
{
	STRESS_CHECK(answer->rc == 0 && answer->job == out[i] && answer->size == out_size[i]);
	const unsigned char *byte = answer->data;
	for (size_t at = 0; at < answer->size; at += 1 + answer->size / 64)
		STRESS_CHECK(byte[at] == (unsigned char)(bytes[at] + 1));
	weft__answer_fini(answer);
	out[i] = 0;
	answered++;
}

static void expect_death(const struct weft__proc *p)
{
	const struct weft__exit *how = &p->exit;
	char text[WEFT__TAIL_SIZE + 1];

	if (!how->broken && how->error == 0 && how->signal == SIGKILL)
		return;
	weft__tail_text(&p->tail, text, sizeof(text));
	fprintf(stderr, "broken %d, error %d, signal %d, code %d: %s\n", how->broken, how->error,
		how->signal, how->code, text);
	STRESS_CHECK(!"a worker ended by itself");
}

static void look(unsigned i)
{
	struct weft__answer answer;
	enum weft__proc_event event;

	while ((event = weft__proc_next(&proc[i], &answer)) == WEFT__PROC_ANSWER)
		take(i, &answer);
	if (event == WEFT__PROC_ENDED) {
		expect_death(&proc[i]);
		crashed += out[i] != 0;
		weft__proc_fini(&proc[i]);
		used[i] = false;
	}
}

/* This application will be killed, and not its server too: of both, nobody is left who
 * knows what the jobs have started. */
static bool doomed;

static void kill_somebody(void)
{
	unsigned i = below(stress_threads);

	if (!used[i] || proc[i].state != WEFT__PROC_ALIVE)
		return;
	kills++;
	if (below(2))
		kill(proc[i].pid, SIGKILL); /* is not reaped before we have heard of it */
	else
		STRESS_CHECK(weft__proc_kill(&proc[i], SIGKILL) == 0);
	if (!doomed && below(100) == 0 && server.is_up) {
		kill(server.pid, SIGKILL);
		server_deaths++;
	}
}

static void work(uint64_t until)
{
	while (kills < until) {
		for (unsigned i = 0; i < stress_threads; i++) {
			if (!used[i])
				start(i);
			if (used[i] && !out[i])
				send(i);
		}
		if (below(3) == 0)
			kill_somebody();
		proc_poll(&server, proc, (int)stress_threads, (int)below(2));
		for (unsigned i = 0; i < stress_threads; i++) {
			if (used[i])
				look(i);
		}
	}
}

static void finish(void)
{
	pid_t last = server.pid;

	weft__server_fini(&server);
	for (unsigned i = 0; i < stress_threads; i++) {
		while (used[i])
			look(i);
	}
	STRESS_CHECK(!proc_lives(last));
	STRESS_CHECK(answered + crashed == last_job);
}

/*
 * The application is killed
 */

/* True when a process was started with `mark` in its environment. */
static bool is_marked(const char *pid, const char *mark)
{
	char path[300], env[65536];

	snprintf(path, sizeof(path), "/proc/%s/environ", pid);
	FILE *file = fopen(path, "re");
	size_t length = file ? fread(env, 1, sizeof(env), file) : 0;
	if (file)
		fclose(file);
	return memmem(env, length, mark, strlen(mark)) && proc_lives(atoi(pid));
}

static int count_marked(const char *mark)
{
	DIR *all = opendir("/proc");
	int count = 0;

	for (struct dirent *one = readdir(all); one; one = readdir(all))
		count += one->d_name[0] >= '1' && one->d_name[0] <= '9' &&
			 is_marked(one->d_name, mark);
	closedir(all);
	return count;
}

static void kill_an_application(int round)
{
	char mark[64];

	snprintf(mark, sizeof(mark), "WEFT_STRESS_MARK=%d-%d", (int)getpid(), round);
	pid_t pid = fork();
	if (pid == 0) {
		putenv(mark);
		doomed = true;
		weft__server_init(&server);
		work(UINT64_MAX);
	}
	usleep(below(60000));
	kill(pid, SIGKILL);
	STRESS_CHECK(waitpid(pid, NULL, 0) == pid);
	int64_t end = proc_now_ms() + 1000;
	while (count_marked(mark) > 0) {
		STRESS_CHECK(proc_now_ms() < end);
		usleep(5000);
	}
}

/* Orphans of servers that were killed are ours, who are a subreaper; they are
 * zombies within a second. */
static void expect_no_children(void)
{
	int64_t end = proc_now_ms() + 1000;

	for (;;) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			continue;
		if (errno == ECHILD)
			return;
		STRESS_CHECK(proc_now_ms() < end);
		usleep(1000);
	}
}

int main(int argc, char **argv)
{
	stress_begin(argc, argv);
	if (stress_threads > WORKERS)
		stress_threads = WORKERS;
	weft__rng_init(&rng, stress_seed);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 13);
	STRESS_CHECK(weft__ref_make(&fn, job) == 0);

	int fds = proc_fd_count();
	for (int round = 0; round < 10; round++)
		kill_an_application(round);
	STRESS_CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	weft__server_init(&server);
	for (long round = 1; round <= stress_scale; round++)
		work((uint64_t)round * ROUND_KILLS);
	finish();
	STRESS_CHECK(proc_fd_count() == fds);
	expect_no_children();
	printf("%" PRIu64 " jobs: %" PRIu64 " answered, %" PRIu64 " crashed; %" PRIu64
	       " kills, %" PRIu64 " of the server\n",
	       last_job, answered, crashed, kills, server_deaths);
	return 0;
}
