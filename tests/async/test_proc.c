/* SPDX-License-Identifier: MIT */
/*
 * test_proc.c - what async/proc.h promises about jobs and their payloads, one
 * promise a test
 *
 * What a worker is: test_proc_worker.c.  What it may not say: test_proc_hostile.c.
 * Who may die when: stress_proc.c
 */
#include "support/proc_suite.h"

TestSuite(proc, .init = setup, .fini = teardown, .timeout = 60);

/*
 * Jobs
 */

static int job_fail(const void *in, size_t size, struct weft_reply *reply)
{
	(void)reply, (void)size;
	return take_int(in);
}

Test(proc, jobs_run_elsewhere_and_one_worker_runs_many)
{
	struct weft__proc *p = begin();
	int pid = run_int(p, job_pid, 0);

	cr_expect(ne(int, pid, getpid()));
	cr_expect(eq(int, run_int(p, job_pid, 0), pid));
	cr_expect(eq(int, run_int(begin(), job_pid, 0), run_int(&proc[1], job_pid, 0)));
	cr_expect(ne(int, run_int(&proc[1], job_pid, 0), pid));
	cr_expect(eq(int, p->pid, pid));
}

Test(proc, the_code_of_a_function_comes_back_and_the_worker_goes_on)
{
	struct weft__proc *p = begin();
	int codes[] = { -ENOENT, 5, 0 };

	for (int i = 0; i < 3; i++)
		cr_expect(eq(int, run(p, job_fail, &codes[i], sizeof(int)), codes[i]));
	cr_expect(gt(int, run_int(p, job_pid, 0), 0));
}

Test(proc, an_empty_argument_and_an_empty_answer_are_well)
{
	cr_expect(eq(int, run(begin(), job_echo, NULL, 0), 0));
	cr_expect(eq(sz, answer.size, 0));
	cr_expect(eq(ptr, (void *)answer.data, NULL));
}

Test(proc, a_function_that_cannot_be_found_fails_the_job_alone)
{
	struct weft__proc *p = begin();
	struct weft__ref ref;
	struct weft__proc_job job = { .id = 99, .fn = &ref, .memfd = -1 };

	cr_assert(eq(int, weft__ref_make(&ref, job_pid), 0));
	ref.bytes[ref.size - 1] ^= 1;
	cr_assert(eq(int, weft__proc_send(p, &job), 0));
	cr_assert(eq(int, proc_wait(&server, p, &answer), WEFT__PROC_ANSWER));
	cr_expect(eq(int, answer.rc, -ENOENT));
	cr_expect(eq(u64, answer.job, 99));
	cr_expect(gt(int, run_int(p, job_pid, 0), 0));
}

/*
 * Payloads
 */

Test(proc, payloads_of_all_sizes_arrive)
{
	struct weft__proc *p = begin();

	for (size_t size = 0; size < 70; size++)
		expect_echo(p, size);
	for (size_t around = 512; around < 1 << 18; around *= 2) {
		for (size_t size = around - 2; size < around + 3; size++)
			expect_echo(p, size);
	}
}

Test(proc, a_hundred_megabytes_go_there_and_back)
{
	expect_echo(begin(), (size_t)100 << 20);
}

static int job_room(const void *in, size_t size, struct weft_reply *reply)
{
	int wanted = take_int(in);
	unsigned char *room;

	(void)size;
	weft_reply_put(reply, "dropped", 7);
	room = weft_reply_room(reply, (size_t)wanted);
	if (!room || weft_reply_room(reply, 5) || weft_reply_put(reply, "x", 1) == 0)
		return -ENOMEM;
	for (int i = 0; i < wanted; i++)
		room[i] = (unsigned char)(i % 251);
	return 0;
}

Test(proc, an_answer_can_be_made_in_place)
{
	struct weft__proc *p = begin();
	int sizes[] = { 0, 1, 5000, WEFT__FRAME_LARGE - 1, WEFT__FRAME_LARGE, 1 << 20, 20 << 20 };

	for (int i = 0; i < 7; i++) {
		cr_assert(eq(int, run(p, job_room, &sizes[i], sizeof(int)), 0));
		cr_assert(eq(sz, answer.size, (size_t)sizes[i]));
		const unsigned char *byte = answer.data;
		for (int at = 0; at < sizes[i]; at++)
			cr_assert(byte[at] == at % 251);
		weft__answer_fini(&answer);
	}
}

static int job_gives_up_its_room(const void *in, size_t size, struct weft_reply *reply)
{
	(void)in, (void)size;
	return weft_reply_room(reply, 32 << 20) ? -EIO : -ENOMEM;
}

Test(proc, room_that_is_not_used_after_all_is_no_breach)
{
	struct weft__proc *p = begin();

	cr_expect(eq(int, run(p, job_gives_up_its_room, "", 0), -EIO));
	cr_expect(eq(int, p->grant, -1));
	expect_echo(p, 1 << 20);
}

static int job_room_and_child(const void *in, size_t size, struct weft_reply *reply)
{
	void *room = weft_reply_room(reply, (size_t)take_int(in));

	(void)size;
	if (room && fork() == 0) {
		sleep(1000);
		_exit(0);
	}
	return room ? 0 : -ENOMEM;
}

Test(proc, a_child_that_a_job_leaves_does_not_hold_the_answer)
{
	struct weft__proc *p = begin();

	cr_expect(eq(int, run(p, job_room_and_child, &(int){ 32 << 20 }, sizeof(int)), 0));
	weft__answer_fini(&answer);
	cr_expect(not(p->exit.broken));
}

Test(proc, an_answer_that_is_too_large_is_refused_and_the_worker_goes_on)
{
	struct weft__proc *p = begin();
	struct weft__ref ref;
	struct weft__proc_job job = { .fn = &ref, .data = &(int){ 0 }, .size = 4, .memfd = -1 };
	int sizes[] = { 101, WEFT__FRAME_LARGE, 32 << 20 };

	cr_assert(eq(int, weft__ref_make(&ref, job_room), 0));
	for (int i = 0; i < 3; i++) {
		job.id++;
		job.data = &sizes[i];
		job.answer_max = 100;
		cr_assert(eq(int, weft__proc_send(p, &job), 0));
		cr_assert(eq(int, proc_wait(&server, p, &answer), WEFT__PROC_ANSWER));
		cr_expect(eq(int, answer.rc, i < 2 ? -EMSGSIZE : -ENOMEM));
		cr_expect(eq(sz, answer.size, 0));
	}
	cr_expect(gt(int, run_int(p, job_pid, 0), 0));
}

static int job_aligned(const void *in, size_t size, struct weft_reply *reply)
{
	(void)size;
	return give_int(reply, (int)((uintptr_t)in % 16));
}

Test(proc, an_argument_is_aligned_for_any_type)
{
	struct weft__proc *p = begin();

	cr_expect(eq(int, run_int(p, job_aligned, 0), 0));
}
