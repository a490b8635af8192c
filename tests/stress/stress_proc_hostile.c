/* SPDX-License-Identifier: MIT */
/*
 * stress_proc_hostile.c - frames of a worker that means harm, a million in three runs
 *
 * One process plays both sides of a worker's socket.  What it sends is made of
 * right frames that were damaged, of right frames at the wrong time, of noise, and
 * of descriptors that nobody has asked for.  A small model knows what may be
 * believed: an answer to the job that is out, given once.  Everything else ends the
 * worker; nothing opens a descriptor or reads past what was sent.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <weft/remote.h>

#include "support/proc.h"
#include "support/stress.h"

enum { FRAMES = 350000, ANSWER_MAX = 1 << 20 };

static struct weft__server server; /* never opened: nobody to kill anybody */
static struct weft__proc proc;
static struct weft__ref fn = { .size = 8 };
static struct weft__rng rng;
static int worker = -1; /* its end of the socket */
static int room = -1;	/* what was granted */
static uint64_t room_size;
static uint64_t jobs, sent, answers, breaches;
static char message[WEFT__FRAME_MAX + 4096];

static unsigned below(unsigned n)
{
	return (unsigned)(weft__rng_next(&rng) % n);
}

static void drop_room(void)
{
	if (room >= 0)
		close(room);
	room = -1;
	room_size = 0;
}

static void begin(void)
{
	int ends[2];

	STRESS_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) ==
		     0);
	weft__proc_init(&proc, &server, ends[0], -1);
	worker = ends[1];
}

static void end(void)
{
	weft__proc_fini(&proc);
	close(worker);
	drop_room();
}

/* Takes what the application sent: a job, or a grant with its descriptor. */
static void listen_to_it(void)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	static char heard[WEFT__FRAME_MAX];
	struct iovec part = { heard, sizeof(heard) };
	struct msghdr header = { .msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control) };
	struct weft__frame frame;

	for (;;) {
		header.msg_controllen = sizeof(control);
		ssize_t got = recvmsg(worker, &header, MSG_CMSG_CLOEXEC);
		if (got <= 0)
			return;
		STRESS_CHECK(weft__frame_check(&frame, heard, (size_t)got) == 0);
		struct cmsghdr *fds = CMSG_FIRSTHDR(&header);
		if (!fds)
			continue;
		drop_room();
		memcpy(&room, CMSG_DATA(fds), sizeof(room));
		room_size = frame.size;
	}
}

static void give_job(void)
{
	struct weft__proc_job job = { .id = ++jobs,
				      .fn = &fn,
				      .data = "argument",
				      .size = below(9),
				      .memfd = -1,
				      .answer_max = ANSWER_MAX };

	drop_room();
	STRESS_CHECK(weft__proc_send(&proc, &job) == 0);
}

static uint64_t some_size(void)
{
	switch (below(8)) {
	case 0:
		return weft__rng_next(&rng);
	case 1:
		return WEFT__FRAME_LARGE - 1 + below(3);
	case 2:
		return ANSWER_MAX - 1 + below(3);
	case 3:
	case 4:
		return room_size;
	default:
		return below(200);
	}
}

/* A frame that is often right. */
static size_t compose(void)
{
	struct weft__frame frame = {
		.magic = WEFT__FRAME_MAGIC,
		.version = WEFT__FRAME_VERSION,
		.kind = below(3) ? WEFT__FRAME_ANSWER : WEFT__FRAME_ASK,
		.job = below(30) ? proc.job : jobs - below(3),
		.worker = below(100) ? proc.id : below(1000),
		.rc = below(4) ? 0 : (int)below(1000) - 500,
		.size = some_size(),
	};

	if (below(20) == 0)
		frame.kind = (uint16_t)below(8);
	size_t length = sizeof(frame) + weft__frame_inline(&frame);
	memcpy(message, &frame, sizeof(frame));
	if (below(4) == 0)
		message[below(sizeof(frame))] ^= (char)(1 << below(8));
	if (below(20) == 0)
		length += below(64);
	return length;
}

static size_t noise(void)
{
	size_t length = below(4) ? below(128) : below(sizeof(message));

	for (size_t i = 0; i < length && i < 512; i++)
		message[i] = (char)below(256);
	return length;
}

static void say(size_t length)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(3 * sizeof(int))] = { 0 };
	struct iovec part = { message, length };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
	int fds[3] = { 0, 0, room >= 0 ? room : 0 };
	size_t count = below(10) ? 0 : 1 + below(3);

	if (count > 0) {
		header.msg_control = control;
		header.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(rights), fds, count * sizeof(int));
	}
	sent += sendmsg(worker, &header, MSG_NOSIGNAL) >= 0;
}

/* What can be done to a room by somebody who has it.  It may be sealed already, by
 * an answer that did not wait for it. */
static void tamper(void)
{
	if (room < 0)
		return;
	STRESS_CHECK(ftruncate(room, 0) != 0);
	if (below(2) && pwrite(room, "x", 1, (off_t)below((unsigned)room_size)) != 1)
		STRESS_CHECK(errno == EPERM);
}

static void look(uint64_t out)
{
	struct weft__answer answer;

	while (weft__proc_next(&proc, &answer) == WEFT__PROC_ANSWER) {
		STRESS_CHECK(answer.job == out && out != 0);
		STRESS_CHECK(answer.size <= ANSWER_MAX && (answer.size > 0) == !!answer.data);
		unsigned sum = 0;
		for (size_t i = 0; i < answer.size; i += 509)
			sum += ((const unsigned char *)answer.data)[i];
		STRESS_CHECK(sum <= 255 * answer.size);
		weft__answer_fini(&answer);
		drop_room();
		answers++;
		out = 0;
	}
}

int main(int argc, char **argv)
{
	stress_begin(argc, argv);
	weft__rng_init(&rng, stress_seed);
	weft__server_init(&server);
	int fds = proc_fd_count();

	begin();
	while (sent < (uint64_t)FRAMES * (uint64_t)stress_scale) {
		if (proc.job == 0 && below(20))
			give_job();
		listen_to_it();
		tamper();
		void *held = MAP_FAILED;
		if (room >= 0 && below(8) == 0)
			held = mmap(NULL, 1, PROT_WRITE, MAP_SHARED, room, 0);
		for (unsigned n = 1 + below(3); n > 0; n--)
			say(below(10) ? compose() : noise());
		look(proc.job);
		if (held != MAP_FAILED)
			munmap(held, 1);
		if (proc.fd < 0) {
			breaches += proc.exit.broken;
			end();
			begin();
		}
	}
	end();
	STRESS_CHECK(proc_fd_count() == fds);
	printf("%" PRIu64 " frames, %" PRIu64 " jobs, %" PRIu64 " answers, %" PRIu64 " breaches\n",
	       sent, jobs, answers, breaches);
	return 0;
}
