/* SPDX-License-Identifier: MIT */
/*
 * test_runtime.c - runtimes of one's own: creating, running, destroying
 *
 * What the default runtime adds to this is in test_default.c.
 */
#include "runtime/runtime.h"

#include <weft/weft.h>

#include <criterion/criterion.h>
#include <dirent.h>
#include <dlfcn.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "deque/alloc.h"
#include "support/assert.h"
#include "support/tasks.h"

TestSuite(runtime, .timeout = 60);

static int give(void *arg)
{
	return *(int *)arg;
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* --- creating ---------------------------------------------------------- */

Test(runtime, create_refuses_settings_out_of_range)
{
	struct weft_runtime *untouched = (struct weft_runtime *)&untouched;
	struct weft_runtime *rt = untouched;
	struct weft_config old = { .size = sizeof old - 1 };

	cr_expect(eq(int, weft_runtime_create(&rt, .workers = 4097), WEFT_EINVAL));
	cr_expect(eq(int, weft_runtime_create(&rt, .stack_size = 1), WEFT_EINVAL));
	cr_expect(eq(int, weft_runtime_create(&rt, .stack_size = (16 << 10) - 1), WEFT_EINVAL));
	cr_expect(eq(int, weft_runtime_create(&rt, .stack_size = (1 << 30) + 1), WEFT_EINVAL));
	cr_expect(eq(int, weft_runtime_create_opt(&rt, &old), WEFT_EINVAL));
	cr_expect(eq(int, weft_runtime_create(NULL, .workers = 1), WEFT_EINVAL));
	cr_expect(eq(ptr, rt, untouched));
}

static int count_workers(void *arg)
{
	*(unsigned *)arg = weft_worker_count();
	return 0;
}

Test(runtime, create_without_memory_leaves_nothing_behind)
{
	int64_t live = weft__alloc_live();
	int rc = WEFT_ENOMEM;

	for (uint64_t i = 1; rc == WEFT_ENOMEM; i++) {
		struct weft_runtime *rt;
		weft__alloc_fail_at(i);
		rc = weft_runtime_create(&rt, .workers = 3);
		weft__alloc_fail_at(0);
		if (rc == 0)
			weft_runtime_destroy(rt);
		cr_assert(eq(i64, weft__alloc_live(), live), "allocation %" PRIu64, i);
	}
	cr_assert(eq(int, rc, 0));
}

Test(runtime, create_starts_as_many_workers_as_asked_for)
{
	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		unsigned seen = 0;
		cr_assert(eq(int, run_on(worker_counts[i], count_workers, &seen), 0));
		cr_expect(eq(uint, seen, worker_counts[i]));
	}
}

Test(runtime, create_without_settings_takes_those_of_the_environment)
{
	struct weft_runtime *rt;
	unsigned seen = 0;

	setenv("WEFT_NUM_THREADS", "5", 1);
	cr_assert(eq(int, weft_runtime_create_opt(&rt, NULL), 0));
	cr_expect(eq(int, weft_runtime_run(rt, count_workers, &seen), 0));
	cr_expect(eq(uint, seen, 5));
	weft_runtime_destroy(rt);
}

/* Touches so much of the stack, page by page. */
static int go_deep(void *arg)
{
	size_t left = *(size_t *)arg;
	volatile char page[2048];

	page[0] = 1;
	if (left <= sizeof page)
		return 0;
	left -= sizeof page;
	return go_deep(&left) + page[0] - 1;
}

Test(runtime, tasks_have_the_stack_that_was_asked_for)
{
	struct weft_runtime *rt;
	size_t depth = 12 << 20;

	cr_assert(eq(int, weft_runtime_create(&rt, .workers = 1, .stack_size = 64 << 20), 0));
	cr_expect(eq(int, weft_runtime_run(rt, go_deep, &depth), 0));
	weft_runtime_destroy(rt);
}

/* --- running ----------------------------------------------------------- */

Test(runtime, run_returns_what_the_task_returned)
{
	int codes[] = { 0, WEFT_ECANCELED, -5000, 7 };

	for (size_t i = 0; i < COUNT_OF(codes); i++)
		cr_expect(eq(int, run_on(2, give, &codes[i]), codes[i]));
}

Test(runtime, run_refuses_no_runtime_and_no_function)
{
	struct weft_runtime *rt;

	cr_assert(eq(int, weft_runtime_create(&rt, .workers = 1), 0));
	cr_expect(eq(int, weft_runtime_run(rt, NULL, NULL), WEFT_EINVAL));
	cr_expect(eq(int, weft_runtime_run(NULL, nothing, NULL), WEFT_EINVAL));
	weft_runtime_destroy(rt);
}

struct place {
	struct weft_runtime *rt, *other;
	const struct weft__fiber *fiber;
	pid_t thread;
	int index;
	bool same;
};

static int note_place(void *arg)
{
	struct place *p = arg;

	p->fiber = weft__worker_self()->current;
	p->thread = gettid();
	p->index = weft_worker_index();
	return WEFT_EAGAIN;
}

static int run_inside(void *arg)
{
	struct place *p = arg;
	struct place inner = { .rt = p->rt };

	note_place(p);
	int rc = weft_runtime_run(p->rt, note_place, &inner);
	int rc_sync = weft_run_sync(note_place, &inner);
	p->same = rc == WEFT_EAGAIN && rc_sync == WEFT_EAGAIN && inner.fiber == p->fiber &&
		  inner.thread == p->thread;
	return 0;
}

Test(runtime, run_from_inside_calls_at_once_on_that_task)
{
	for (size_t i = 0; i < COUNT_OF(worker_counts); i++) {
		struct place p = { 0 };
		cr_assert(eq(int, weft_runtime_create(&p.rt, .workers = worker_counts[i]), 0));
		cr_assert(eq(int, weft_runtime_run(p.rt, run_inside, &p), 0));
		cr_expect(p.same);
		weft_runtime_destroy(p.rt);
	}
}

/* On p->rt: runs on p->other, and is held there. */
static int run_across(void *arg)
{
	struct place *p = arg;
	struct place there = { 0 };
	pid_t here = gettid();

	int rc = weft_runtime_run(p->other, note_place, &there);
	p->same = rc == WEFT_EAGAIN && gettid() == here && there.thread != here;
	return 0;
}

Test(runtime, a_task_can_run_on_another_runtime_and_holds_its_worker)
{
	struct place p = { 0 };

	cr_assert(eq(int, weft_runtime_create(&p.rt, .workers = 1), 0));
	cr_assert(eq(int, weft_runtime_create(&p.other, .workers = 2), 0));
	cr_assert(eq(int, weft_runtime_run(p.rt, run_across, &p), 0));
	cr_expect(p.same);
	weft_runtime_destroy(p.other);
	weft_runtime_destroy(p.rt);
}

static uint32_t reached[2];

/* Ends only when the task of the other runtime runs too. */
static int meet(void *arg)
{
	unsigned self = *(unsigned *)arg;

	store_release(&reached[self], 1);
	until(&reached[1 - self], 1);
	return 0;
}

Test(runtime, several_runtimes_run_at_the_same_time)
{
	struct weft_runtime *rt[2];
	struct runner runner[2];
	unsigned self[2] = { 0, 1 };

	for (int i = 0; i < 2; i++) {
		cr_assert(eq(int, weft_runtime_create(&rt[i], .workers = 1), 0));
		runner_start(&runner[i], rt[i], meet, &self[i]);
	}
	for (int i = 0; i < 2; i++) {
		cr_expect(eq(int, runner_join(&runner[i]), 0));
		weft_runtime_destroy(rt[i]);
	}
}

/* --- workers ----------------------------------------------------------- */

static bool has_name(const char *tid, const char *name)
{
	char path[sizeof "/proc/self/task//comm" + 256], comm[32] = "";

	snprintf(path, sizeof path, "/proc/self/task/%s/comm", tid);
	FILE *in = fopen(path, "re");
	if (in && fgets(comm, sizeof comm, in))
		comm[strcspn(comm, "\n")] = '\0';
	if (in)
		fclose(in);
	return strcmp(comm, name) == 0;
}

/* Threads of this process with that name. */
static int threads_named(const char *name)
{
	DIR *dir = opendir("/proc/self/task");
	int n = 0;

	for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
		n += has_name(entry->d_name, name);
	closedir(dir);
	return n;
}

static int name_threads(void *arg)
{
	int *named = arg;

	for (int i = 0; i < 4; i++) {
		char name[] = { 'w', 'e', 'f', 't', '/', (char)('0' + i), '\0' };
		named[i] = threads_named(name);
	}
	return 0;
}

Test(runtime, threads_are_named_after_their_worker)
{
	int named[4];

	name_threads(named);
	for (int i = 0; i < 4; i++)
		cr_expect(eq(int, named[i], 0), "before the start");
	cr_assert(eq(int, run_on(3, name_threads, named), 0));
	for (int i = 0; i < 3; i++)
		cr_expect(eq(int, named[i], 1), "weft/%d", i);
	cr_expect(eq(int, named[3], 0));
}

static int note_index(void *arg)
{
	*(int *)arg = weft_worker_index();
	return 0;
}

static int note_both_indices(void *arg)
{
	int *index = arg;
	return apart(note_index, &index[0], note_index, &index[1]);
}

Test(runtime, worker_index_tells_workers_apart)
{
	int index[2] = { -2, -2 };

	cr_expect(eq(int, weft_worker_index(), -1));
	cr_assert(eq(int, run_on(2, note_both_indices, index), 0));
	cr_expect(eq(int, index[0] + index[1], 1));
	cr_expect(ne(int, index[0], index[1]));
	cr_expect(eq(int, weft_worker_index(), -1));
}

/* Blocked in this thread, but for SIGURG, by which a stuck task is asked where it is: 1,
 * and 2 when one that belongs to faults is. */
static int note_mask(void *arg)
{
	static const int of_faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	sigset_t mask;
	int *seen = arg;

	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	*seen = 1;
	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGKILL && sig != SIGSTOP && (sig < 32 || sig >= SIGRTMIN))
			*seen &= sigismember(&mask, sig) ||
				 (sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE ||
				  sig == SIGILL || sig == SIGABRT || sig == SIGURG);
	for (size_t i = 0; i < COUNT_OF(of_faults); i++)
		if (sigismember(&mask, of_faults[i]))
			*seen = 2;
	return 0;
}

static int note_both_masks(void *arg)
{
	int *seen = arg;
	return apart(note_mask, &seen[0], note_mask, &seen[1]);
}

Test(runtime, signals_stay_with_the_threads_of_the_application)
{
	int seen[2] = { 0 };
	sigset_t before, after;

	pthread_sigmask(SIG_BLOCK, NULL, &before);
	cr_assert(eq(int, run_on(2, note_both_masks, seen), 0));
	pthread_sigmask(SIG_BLOCK, NULL, &after);
	cr_expect(eq(int, seen[0], 1));
	cr_expect(eq(int, seen[1], 1));
	for (int sig = 1; sig < NSIG; sig++)
		cr_expect(eq(int, sigismember(&before, sig), sigismember(&after, sig)),
			  "signal %d of the thread that created the runtime", sig);
}

/* --- destroying -------------------------------------------------------- */

struct slow {
	struct weft_runtime *rt;
	uint32_t begun, release, ended;
};

static int slow_task(void *arg)
{
	struct slow *s = arg;

	store_release(&s->begun, 1);
	until(&s->release, 1);
	store_release(&s->ended, 1);
	return 0;
}

/* Lets the task go once destroy is waiting for it. */
static void *release_late(void *arg)
{
	struct slow *s = arg;

	while (!(load_acquire(&s->rt->gate.inside) & WEFT__GATE_CLOSED))
		sched_yield();
	store_release(&s->release, 1);
	return NULL;
}

Test(runtime, destroy_waits_for_the_tasks_under_way)
{
	struct slow s = { 0 };
	struct runner runner;
	pthread_t releaser;

	cr_assert(eq(int, weft_runtime_create(&s.rt, .workers = 2), 0));
	runner_start(&runner, s.rt, slow_task, &s);
	until(&s.begun, 1);
	pthread_create(&releaser, NULL, release_late, &s);
	weft_runtime_destroy(s.rt);
	cr_expect(eq(u32, load_acquire(&s.ended), 1));
	cr_expect(eq(int, runner_join(&runner), 0));
	pthread_join(releaser, NULL);
}

Test(runtime, destroy_gives_back_all_memory)
{
	int64_t before = weft__alloc_live();
	int code = 0;

	for (size_t i = 0; i < COUNT_OF(worker_counts); i++)
		cr_assert(eq(int, run_on(worker_counts[i], give, &code), 0));
	cr_expect(eq(i64, weft__alloc_live(), before));
}

Test(runtime, destroy_of_nothing_does_nothing)
{
	weft_runtime_destroy(NULL);
}

/* --- when there is not enough ------------------------------------------ */

/* Threads that may still be created: -1 is as many as one likes. */
static int threads_left = -1;

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	if (threads_left == 0)
		return EAGAIN;
	if (threads_left > 0)
		threads_left--;
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
	return real(thread, attr, fn, arg);
}

Test(runtime, create_without_threads_is_enomem_and_leaves_nothing)
{
	int64_t before = weft__alloc_live();
	struct weft_runtime *rt;

	threads_left = 0;
	cr_expect(eq(int, weft_runtime_create(&rt, .workers = 3), WEFT_ENOMEM));
	cr_expect(eq(i64, weft__alloc_live(), before));
}

Test(runtime, create_goes_on_with_the_threads_that_it_can_get)
{
	struct weft_runtime *rt;
	unsigned seen = 0;
	int index[2] = { -2, -2 };

	threads_left = 2;
	cr_assert(eq(int, weft_runtime_create(&rt, .workers = 8), 0));
	cr_expect(eq(int, weft_runtime_run(rt, count_workers, &seen), 0));
	cr_expect(eq(uint, seen, 2));
	cr_expect(eq(int, weft_runtime_run(rt, note_both_indices, index), 0));
	cr_expect(eq(int, index[0] + index[1], 1));
	weft_runtime_destroy(rt);
}
