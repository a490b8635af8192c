/* SPDX-License-Identifier: MIT */
/*
 * test_proc_frame.c - what async/proc_frame.h promises, one promise a test
 */
#include "async/proc_frame.h"
#include "support/assert.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static struct weft__frame sent, got;
static char message[WEFT__FRAME_MAX + 1];

static void setup(void)
{
	sent = (struct weft__frame){ .magic = WEFT__FRAME_MAGIC,
				     .version = WEFT__FRAME_VERSION,
				     .kind = WEFT__FRAME_JOB,
				     .job = 7,
				     .worker = 3,
				     .ref = 5,
				     .size = 4 };
}

TestSuite(proc_frame, .init = setup, .timeout = 10);

static int check(size_t length)
{
	memcpy(message, &sent, sizeof(sent));
	return weft__frame_check(&got, message, length);
}

static size_t whole(void)
{
	return sizeof(sent) + sent.ref + weft__frame_inline(&sent);
}

Test(proc_frame, a_whole_frame_is_believed)
{
	cr_expect(eq(int, check(sizeof(sent) + 9), 0));
	cr_expect(eq(int, memcmp(&sent, &got, sizeof(got)), 0));
}

Test(proc_frame, the_length_must_be_exact)
{
	for (size_t length = 0; length <= sizeof(message); length++) {
		if (length != whole())
			cr_assert(eq(int, check(length), -EPROTO), "%zu", length);
	}
}

Test(proc_frame, a_large_payload_is_not_inside)
{
	sent.size = WEFT__FRAME_LARGE;
	cr_expect(eq(sz, weft__frame_inline(&sent), 0));
	cr_expect(eq(int, check(sizeof(sent) + 5), 0));
	sent.size--;
	cr_expect(eq(int, check(sizeof(sent) + 5), -EPROTO));
	cr_expect(eq(int, check(whole()), 0));
}

Test(proc_frame, an_impossible_size_is_refused)
{
	sent.size = WEFT__FRAME_SIZE_MAX;
	cr_expect(eq(int, check(whole()), 0));
	sent.size++;
	cr_expect(eq(int, check(whole()), -EPROTO));
	sent.size = UINT64_MAX;
	cr_expect(eq(int, check(whole()), -EPROTO));
}

Test(proc_frame, only_a_job_names_a_function)
{
	sent.ref = 0;
	cr_expect(eq(int, check(whole()), -EPROTO));
	sent.kind = WEFT__FRAME_ANSWER;
	cr_expect(eq(int, check(whole()), 0));
	sent.ref = 1;
	cr_expect(eq(int, check(whole()), -EPROTO));
}

Test(proc_frame, other_magics_versions_kinds_and_no_job_are_refused)
{
	struct weft__frame good = sent;

	sent.magic++;
	cr_expect(eq(int, check(whole()), -EPROTO));
	sent = good;
	sent.version++;
	cr_expect(eq(int, check(whole()), -EPROTO));
	sent = good;
	sent.kind = 0;
	cr_expect(eq(int, check(whole()), -EPROTO));
	sent.kind = WEFT__FRAME_ANSWER + 1;
	cr_expect(eq(int, check(whole()), -EPROTO));
	sent = good;
	sent.job = 0;
	cr_expect(eq(int, check(whole()), -EPROTO));
}

Test(proc_frame, what_is_sent_arrives_as_one_message)
{
	int fds[2];

	cr_assert(eq(int, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0));
	cr_expect(eq(int, weft__frame_send(fds[0], &sent, "refer", "load", -1), 0));
	ssize_t length = recv(fds[1], message, sizeof(message), 0);
	cr_expect(eq(int, weft__frame_check(&got, message, (size_t)length), 0));
	cr_expect(eq(int, memcmp(message + sizeof(got), "loadrefer", 9), 0));
}

Test(proc_frame, a_full_socket_takes_nothing_and_a_closed_one_is_told)
{
	int fds[2];
	int rc;

	cr_assert(eq(int, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0));
	while ((rc = weft__frame_send(fds[0], &sent, "refer", "load", -1)) == 0)
		continue;
	cr_expect(eq(int, rc, -EAGAIN));
	close(fds[1]);
	cr_expect(eq(int, weft__frame_send(fds[0], &sent, "refer", "load", -1), -EPIPE));
	cr_expect(eq(int, weft__frame_send(fds[0], &sent, "refer", "load", -1), -EPIPE));
}
