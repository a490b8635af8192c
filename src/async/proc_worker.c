/* SPDX-License-Identifier: MIT */
/*
 * proc_worker.c - the worker process
 *
 * What it is, from the moment of the fork:
 *
 *	descriptors   0 /dev/null, 1 the application's, 2 the pipe to the
 *		      application, 3 the socket; no others
 *	signals       all at their default, none blocked
 *	group	      its own, so that one kill() reaches what its jobs started
 *	limits	      memory by RLIMIT_DATA, time by RLIMIT_CPU
 *
 * RLIMIT_DATA and not RLIMIT_AS: it counts what is private and writable, which is
 * what a job eats; address space also counts the mapped payloads, and the stacks
 * of fibers, which are reserved and never touched.
 *
 * It ends when its server does (PR_SET_PDEATHSIG: the server has one thread, so
 * the thread that is the parent is the process), when the socket ends, and when
 * anything is wrong with what comes through it.
 *
 * A large answer is put together in memory that the worker keeps, and written into
 * the memfd, rather than made in a mapping of it: that fills pages without zeroing
 * them and without faults.  Measured in a virtual machine, where faults are dear,
 * us for one answer: 64 KiB 16 against 235, 1 MiB 200 against 3073, 16 MiB 10343
 * against 55486.  Answers of MAP_MIN and more are mapped nevertheless, for what
 * they would take twice is memory.
 *
 * Standard output is flushed before a job is answered: what the job printed is
 * there when its caller goes on, and is not lost when the worker is killed later.
 */
#include "async/proc_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <weft/error.h>
#include <weft/remote.h>

#include "async/proc_frame.h"
#include "async/proc_payload.h"
#include "async/proc_ref.h"
#include "async/stub/entry.h"
#include "deque/alloc.h"

enum {
	SOCKET = 3,
	HIGH_FD = 16,
	ALIGN = 16 - sizeof(struct weft__frame) % 16,
	SPARE_MAX = 4 << 20,
	MAP_MIN = 16 << 20,
};

/* An answer in the making: `size` bytes at `data`, in memory of `room` bytes or,
 * when granted, in a memfd of exactly that size. */
struct weft_reply {
	struct weft__frame *frame; /* of the job */
	char *data;
	size_t size, room;
	bool fixed;   /* weft_reply_room has said how large */
	bool granted; /* the room is mapped */
};

static unsigned depth;
static char *message; /* the job, as it came; its payload is aligned for any type */
static char *grant;   /* what comes while it runs */

unsigned weft__proc_worker_depth(void)
{
	return depth;
}

/*
 * Becoming one
 */

/* The server has reset what they do. */
static void unblock_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The hard limit lies above: of CPU time it would kill, and not say why (SIGXCPU). */
static void limit(__rlimit_resource_t which, uint64_t value)
{
	struct rlimit now;

	if (value == 0 || getrlimit(which, &now) != 0)
		return;
	if (value + 1 < now.rlim_max)
		now.rlim_max = value + 1;
	now.rlim_cur = value < now.rlim_max ? value : now.rlim_max;
	if (setrlimit(which, &now) != 0)
		_exit(126);
}

/* The socket goes first to where nothing is in its way. */
static void arrange_fds(int socket, int err)
{
	int high_socket = fcntl(socket, F_DUPFD_CLOEXEC, HIGH_FD);
	int high_err = fcntl(err, F_DUPFD_CLOEXEC, HIGH_FD);

	if (high_socket < 0 || high_err < 0 || dup2(high_err, STDERR_FILENO) < 0 ||
	    dup3(high_socket, SOCKET, O_CLOEXEC) < 0)
		_exit(126);
	if (syscall(SYS_close_range, SOCKET + 1, ~0u, 0) == 0)
		return;
	long most = sysconf(_SC_OPEN_MAX); /* before Linux 5.9 */
	for (int fd = SOCKET + 1; fd < most; fd++)
		close(fd);
}

/* The worker says this by itself, before it is able to run a job: so the application
 * can reach what jobs have started even when the server is killed.  A pidfd can be
 * missed.  Nobody but us has a use for the control socket; it is closed next. */
static void tell_started(uint32_t worker)
{
	struct weft__control news = { .kind = WEFT__CONTROL_STARTED,
				      .worker = worker,
				      .pid = getpid() };
	struct pollfd room = { WEFT__ENTRY_CONTROL, POLLOUT, 0 };
	int pidfd = (int)syscall(SYS_pidfd_open, news.pid, 0);
	int rc;

	do
		rc = weft__control_send(WEFT__ENTRY_CONTROL, &news, &pidfd, pidfd >= 0);
	while (rc == -EAGAIN && poll(&room, 1, -1) >= 0);
	if (rc != 0)
		rc = weft__control_send(WEFT__ENTRY_CONTROL, &news, NULL, 0);
	if (rc != 0)
		_exit(126);
}

static void become(const struct weft__control *start, pid_t server, int socket, int err)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != server)
		_exit(126);
	setpgid(0, 0);
	tell_started(start->worker);
	unblock_signals();
	arrange_fds(socket, err);
	limit(RLIMIT_DATA, start->memory);
	limit(RLIMIT_CPU, start->cpu);
	prctl(PR_SET_NAME, "weft-worker");
	depth = start->depth;
}

/*
 * The socket
 */

/* The descriptor that came along, or -1. */
static int take_fd(struct msghdr *header)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(header);
	int fd = -1;

	if (control && control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(control), sizeof(fd));
	return fd;
}

/* Sleeps until there is a frame.  The worker ends here when the socket does. */
static void receive(struct weft__frame *frame, char *into, int *fd)
{
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(int))];
	struct iovec part = { into, WEFT__FRAME_MAX };
	struct msghdr header = { .msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = room,
				 .msg_controllen = sizeof(room) };
	ssize_t got;

	do
		got = recvmsg(SOCKET, &header, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		_exit(0);
	*fd = take_fd(&header);
	if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
	    weft__frame_check(frame, into, (size_t)got) != 0)
		_exit(126);
}

static void send_frame(const struct weft__frame *frame, const void *payload)
{
	if (weft__frame_send(SOCKET, frame, NULL, payload, -1) != 0)
		_exit(126);
}

/* Asks for room for `size` bytes.  A descriptor, or a negative code. */
static int ask(const struct weft__frame *job, size_t size)
{
	struct weft__frame frame = *job;
	int fd;

	frame.kind = WEFT__FRAME_ASK;
	frame.ref = 0;
	frame.size = size;
	send_frame(&frame, NULL);
	receive(&frame, grant, &fd);
	if (frame.kind != WEFT__FRAME_GRANT || frame.job != job->job)
		_exit(126);
	return frame.rc != 0 ? frame.rc : fd >= 0 ? fd : -EPROTO;
}

/*
 * Replies
 */

/* Memory that is kept from job to job: page faults cost more than copies. */
static char *spare;
static size_t spare_room;

static void drop(struct weft_reply *reply)
{
	if (reply->granted) {
		weft__payload_unmap(reply->data, reply->size);
	} else if (reply->room > spare_room && reply->room <= SPARE_MAX) {
		weft__free(spare, spare_room);
		spare = reply->data;
		spare_room = reply->room;
	} else {
		weft__free(reply->data, reply->room);
	}
	reply->data = NULL;
	reply->size = reply->room = 0;
	reply->granted = false;
}

static bool take_spare(struct weft_reply *reply, size_t room)
{
	if (reply->room > 0 || room > spare_room)
		return false;
	reply->data = spare;
	reply->room = spare_room;
	spare = NULL;
	spare_room = 0;
	return true;
}

static int grow(struct weft_reply *reply, size_t room)
{
	char *data;

	if (room <= reply->room || take_spare(reply, room))
		return 0;
	room = room < 2 * reply->room ? 2 * reply->room : room;
	data = weft__alloc(room);
	if (!data)
		return WEFT_ENOMEM;
	if (reply->size > 0)
		memcpy(data, reply->data, reply->size);
	weft__free(reply->data, reply->room);
	reply->data = data;
	reply->room = room;
	return 0;
}

int weft_reply_put(struct weft_reply *reply, const void *data, size_t size)
{
	if (reply->fixed)
		return WEFT_EINVAL;
	if (size > WEFT__FRAME_SIZE_MAX - reply->size)
		return WEFT_ENOMEM;
	if (size == 0)
		return 0;
	int rc = grow(reply, reply->size + size);
	if (rc != 0)
		return rc;
	memcpy(reply->data + reply->size, data, size);
	reply->size += size;
	return 0;
}

static bool map_room(struct weft_reply *reply, size_t size)
{
	void *data;
	int fd = ask(reply->frame, size);

	if (fd < 0)
		return false;
	int rc = weft__payload_map_room(fd, size, &data);
	close(fd);
	if (rc != 0)
		return false;
	reply->data = data;
	reply->granted = true;
	return true;
}

void *weft_reply_room(struct weft_reply *reply, size_t size)
{
	if (reply->fixed || size > WEFT__FRAME_SIZE_MAX)
		return NULL;
	drop(reply);
	bool got = size < MAP_MIN ? grow(reply, size ? size : 1) == 0 : map_room(reply, size);
	if (!got)
		return NULL;
	reply->fixed = true;
	reply->size = size;
	return reply->data;
}

/* A large answer that was put together here goes over by one copy. */
static int hand_over(struct weft_reply *reply)
{
	int fd = ask(reply->frame, reply->size);
	if (fd < 0)
		return fd;

	int rc = weft__payload_fill(fd, reply->data, reply->size);
	close(fd);
	return rc;
}

static void answer(struct weft_reply *reply, int rc)
{
	struct weft__frame frame = *reply->frame;

	if (rc == 0 && reply->size >= WEFT__FRAME_LARGE && !reply->granted)
		rc = hand_over(reply);
	frame.kind = WEFT__FRAME_ANSWER;
	frame.ref = 0;
	frame.rc = rc;
	frame.size = rc == 0 ? reply->size : 0;
	if (reply->granted) /* the application seals it, which a mapping prevents */
		drop(reply);
	fflush(NULL);
	send_frame(&frame, reply->data);
	drop(reply);
}

/*
 * Jobs
 */

static int call(const struct weft__frame *frame, const void *in, struct weft_reply *reply)
{
	weft_remote_fn *fn;
	int rc = weft__ref_resolve(message + sizeof(*frame) + weft__frame_inline(frame), frame->ref,
				   &fn);

	return rc != 0 ? rc : fn(in, (size_t)frame->size, reply);
}

static void run(struct weft__frame *frame, int fd)
{
	struct weft_reply reply = { .frame = frame };
	const void *in = message + sizeof(*frame);
	bool large = frame->size >= WEFT__FRAME_LARGE;
	int rc = 0;

	if (large)
		rc = weft__payload_map(fd, (size_t)frame->size, &in);
	if (fd >= 0)
		close(fd);
	if (rc == 0) {
		rc = call(frame, in, &reply);
		if (large)
			weft__payload_unmap(in, (size_t)frame->size);
	}
	answer(&reply, rc);
}

_Noreturn void weft__proc_worker_main(const struct weft__control *start, pid_t server, int socket,
				      int err)
{
	struct weft__frame frame;
	int fd;

	become(start, server, socket, err);
	message = weft__alloc(ALIGN + WEFT__FRAME_MAX);
	grant = weft__alloc(WEFT__FRAME_MAX);
	if (!message || !grant)
		_exit(126);
	message += ALIGN;
	for (;;) {
		receive(&frame, message, &fd);
		if (frame.kind != WEFT__FRAME_JOB)
			_exit(126);
		run(&frame, fd);
	}
}
