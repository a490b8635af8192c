/* SPDX-License-Identifier: MIT */
/*
 * test_proc_hostile.c - what a worker may not say, one breach a test
 *
 * The test plays the worker.  Chance does the rest, in stress_proc_hostile.c.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "support/assert.h"
#include "support/proc.h"

enum { JOB = 7, LARGE = WEFT__FRAME_LARGE, ANSWER_MAX = 1 << 20 };

static struct weft__server server; /* not opened: there is nobody to kill */
static struct weft__proc proc;
static struct weft__answer answer;
static struct weft__ref fn = { .size = 8 };
static struct weft__frame frame;
static int worker;
static int room = -1;

static void send_job(uint64_t id)
{
	struct weft__proc_job job = { .id = id, .fn = &fn, .memfd = -1, .answer_max = ANSWER_MAX };

	cr_assert(eq(int, weft__proc_send(&proc, &job), 0));
}

static void setup(void)
{
	int ends[2];

	weft__server_init(&server);
	cr_assert(eq(int, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0));
	weft__proc_init(&proc, &server, ends[0], -1);
	worker = ends[1];
	send_job(JOB);
	frame = (struct weft__frame){ .magic = WEFT__FRAME_MAGIC,
				      .version = WEFT__FRAME_VERSION,
				      .kind = WEFT__FRAME_ANSWER,
				      .job = JOB,
				      .worker = proc.id };
}

TestSuite(proc_hostile, .init = setup, .timeout = 20);

static void say(const char *payload)
{
	cr_assert(eq(int, weft__frame_send(worker, &frame, NULL, payload, -1), 0));
}

static enum weft__proc_event next(void)
{
	return weft__proc_next(&proc, &answer);
}

static void expect_breach(void)
{
	cr_expect(eq(int, next(), WEFT__PROC_NOTHING));
	cr_expect(proc.exit.broken);
	cr_expect(eq(int, proc.fd, -1));
}

/* Asks for room and takes it. */
static void get_room(uint64_t size)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	char heard[sizeof(frame)];
	struct iovec part = { heard, sizeof(heard) };
	struct msghdr header = { .msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control) };

	recv(worker, heard, sizeof(heard), 0); /* the job */
	frame.kind = WEFT__FRAME_ASK;
	frame.size = size;
	say(NULL);
	cr_assert(eq(int, next(), WEFT__PROC_NOTHING));
	cr_assert(eq(sz, (size_t)recvmsg(worker, &header, 0), sizeof(frame)));
	memcpy(&room, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof(room));
	frame.kind = WEFT__FRAME_ANSWER;
}

Test(proc_hostile, the_right_answer_is_no_breach)
{
	frame.size = 5;
	say("right");
	cr_expect(eq(int, next(), WEFT__PROC_ANSWER));
	cr_expect(eq(int, memcmp(answer.data, "right", 5), 0));
	cr_expect(eq(u64, answer.job, JOB));
	weft__answer_fini(&answer);
}

Test(proc_hostile, a_second_answer)
{
	say(NULL);
	say(NULL);
	cr_expect(eq(int, next(), WEFT__PROC_ANSWER));
	expect_breach();
}

Test(proc_hostile, an_answer_to_another_job)
{
	frame.job++;
	say(NULL);
	expect_breach();
}

Test(proc_hostile, an_answer_to_the_job_before)
{
	say(NULL);
	cr_expect(eq(int, next(), WEFT__PROC_ANSWER));
	send_job(JOB + 1);
	say(NULL);
	expect_breach();
}

Test(proc_hostile, an_answer_in_the_name_of_another_worker)
{
	frame.worker++;
	say(NULL);
	expect_breach();
}

Test(proc_hostile, an_order_to_the_application)
{
	frame.kind = WEFT__FRAME_GRANT;
	say(NULL);
	expect_breach();
}

Test(proc_hostile, a_failure_with_an_answer)
{
	frame.rc = -EIO;
	frame.size = 5;
	say("right");
	expect_breach();
}

Test(proc_hostile, a_large_answer_without_room)
{
	frame.size = LARGE;
	say(NULL);
	expect_breach();
}

Test(proc_hostile, a_large_answer_of_another_size_than_its_room)
{
	get_room(LARGE);
	frame.size = LARGE + 1;
	say(NULL);
	expect_breach();
}

Test(proc_hostile, room_that_the_worker_can_still_write)
{
	get_room(LARGE);
	cr_assert(ne(ptr, mmap(NULL, LARGE, PROT_WRITE, MAP_SHARED, room, 0), MAP_FAILED));
	say(NULL);
	expect_breach();
}

Test(proc_hostile, room_cannot_be_made_shorter_or_changed_afterwards)
{
	get_room(LARGE);
	cr_expect(lt(int, ftruncate(room, 0), 0));
	say(NULL);
	cr_expect(eq(int, next(), WEFT__PROC_ANSWER));
	cr_expect(lt(int, (int)pwrite(room, "x", 1, 0), 0));
	cr_expect(eq(int, ((const char *)answer.data)[LARGE - 1], 0));
	weft__answer_fini(&answer);
}

Test(proc_hostile, room_for_little)
{
	frame.kind = WEFT__FRAME_ASK;
	frame.size = LARGE - 1;
	say(NULL);
	expect_breach();
}

Test(proc_hostile, room_twice)
{
	get_room(LARGE);
	frame.kind = WEFT__FRAME_ASK;
	say(NULL);
	expect_breach();
}

Test(proc_hostile, asking_for_ever)
{
	frame.kind = WEFT__FRAME_ASK;
	frame.size = ANSWER_MAX + 1;
	for (int i = 0; i < 100 && proc.fd >= 0; i++) {
		weft__frame_send(worker, &frame, NULL, NULL, -1);
		next();
	}
	cr_expect(proc.exit.broken);
}

Test(proc_hostile, half_a_frame)
{
	cr_assert(eq(int, (int)send(worker, &frame, sizeof(frame) - 1, 0), (int)sizeof(frame) - 1));
	expect_breach();
}

Test(proc_hostile, more_than_any_frame)
{
	static char much[WEFT__FRAME_MAX + 1];

	memcpy(much, &frame, sizeof(frame));
	cr_assert(eq(int, (int)send(worker, much, sizeof(much), 0), (int)sizeof(much)));
	expect_breach();
}

Test(proc_hostile, an_empty_message_is_the_end)
{
	cr_assert(eq(int, (int)send(worker, "", 0, 0), 0));
	cr_expect(eq(int, next(), WEFT__PROC_NOTHING));
	cr_expect(eq(int, proc.fd, -1));
	cr_expect(not(proc.exit.broken));
}

Test(proc_hostile, descriptors_that_come_along_are_not_received)
{
	int before = proc_fd_count();

	cr_assert(eq(int, weft__frame_send(worker, &frame, NULL, NULL, 0), 0));
	cr_expect(eq(int, next(), WEFT__PROC_ANSWER));
	cr_expect(eq(int, proc_fd_count(), before));
}
