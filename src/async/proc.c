/* SPDX-License-Identifier: MIT */
/*
 * proc.c - one worker process, as the application sees it
 *
 * What a worker may say depends on what it was told:
 *
 *	state         may come                     then
 *	no job        nothing
 *	a job         ASK, size >= LARGE           GRANT: a room, or a refusal
 *	              ANSWER, size < LARGE         no job
 *	a room        ANSWER, size < LARGE         no job: it has failed after all
 *	              ANSWER, the room's size      sealed, mapped; no job
 *
 * and each frame names the worker's start and the job.  Everything else is a
 * breach: the socket is closed, and the worker killed.
 *
 * The end is known from the server, which tells it after the worker and its whole
 * group are gone: so whatever the worker sent is in the socket by then, and is read
 * first.  If the server is gone, nobody knows how the worker ended; that it has is
 * what its pidfd says.
 */
#include "async/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "async/proc_control.h"
#include "async/proc_payload.h"
#include "async/proc_worker.h"
#include "deque/alloc.h"
#include "deque/check.h"

enum {
	ANSWERED = 1,
	ASKS_MAX = 64, /* more is not an attempt to find a size that is taken */
	SOCKET_ROOM = 4 * WEFT__FRAME_LARGE,
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/*
 * Starting
 */

void weft__proc_init(struct weft__proc *p, struct weft__server *s, int fd, int err_fd)
{
	memset(p, 0, offsetof(struct weft__proc, tail));
	weft__tail_init(&p->tail);
	weft__list_init(&p->link);
	p->server = s;
	p->state = WEFT__PROC_STARTING;
	p->id = ++s->count;
	p->fd = fd;
	p->err_fd = err_fd;
	p->pidfd = p->grant = -1;
}

/* ours, theirs: the two ends of the socket, and of the pipe. */
static int make_ends(int ours[2], int theirs[2])
{
	int room = SOCKET_ROOM;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return -errno;
	ours[0] = ends[0];
	theirs[0] = ends[1];
	setsockopt(ours[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	setsockopt(theirs[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	if (pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	ours[1] = ends[0];
	theirs[1] = ends[1];
	if (fcntl(ours[0], F_SETFL, O_NONBLOCK) != 0 || fcntl(ours[1], F_SETFL, O_NONBLOCK) != 0)
		return -errno;
	return 0;
}

static int order(struct weft__proc *p, const struct weft__proc_limits *limits, const int theirs[2])
{
	struct weft__control message = {
		.kind = WEFT__CONTROL_START,
		.worker = p->id,
		.depth = weft__proc_worker_depth() + 1,
		.cpu = limits ? limits->cpu : 0,
		.memory = limits ? limits->memory : 0,
	};

	return weft__control_send(p->server->fd, &message, theirs, 2);
}

int weft__proc_start(struct weft__proc *p, struct weft__server *s,
		     const struct weft__proc_limits *limits)
{
	int ours[2] = { -1, -1 }, theirs[2] = { -1, -1 };

	if (s->fd < 0)
		return -EPIPE;
	if (s->owner != getpid())
		return -ESHUTDOWN;
	int rc = make_ends(ours, theirs);
	weft__proc_init(p, s, ours[0], ours[1]);
	rc = rc ? rc : order(p, limits, theirs);
	close_fd(&theirs[0]);
	close_fd(&theirs[1]);
	if (rc != 0) {
		close_fd(&p->fd);
		close_fd(&p->err_fd);
		return rc;
	}
	weft__list_push_back(&s->procs, &p->link);
	return 0;
}

/*
 * What the server tells
 */

void weft__proc_started(struct weft__proc *p, pid_t pid, int pidfd)
{
	p->state = WEFT__PROC_ALIVE;
	p->pid = pid;
	p->pidfd = pidfd;
}

void weft__proc_exited(struct weft__proc *p, const struct weft__exit *how)
{
	bool broken = p->exit.broken;

	p->state = WEFT__PROC_DEAD;
	p->exit = *how;
	p->exit.broken = broken;
	weft__list_remove(&p->link);
}

/* The worker dies of its server's death by itself; what its jobs have started does
 * not. */
void weft__proc_lost(struct weft__proc *p)
{
	p->is_lost = true;
	weft__list_remove(&p->link);
	if (p->pidfd >= 0)
		weft__pidfd_signal(p->pidfd, SIGKILL);
}

/*
 * Jobs
 */

int weft__proc_send(struct weft__proc *p, const struct weft__proc_job *job)
{
	bool large = job->size >= WEFT__FRAME_LARGE;
	struct weft__frame frame = {
		.magic = WEFT__FRAME_MAGIC,
		.version = WEFT__FRAME_VERSION,
		.kind = WEFT__FRAME_JOB,
		.job = job->id,
		.worker = p->id,
		.ref = job->fn->size,
		.size = job->size,
	};

	weft__assert(p->job == 0 && job->id != 0);
	if (p->fd < 0 || p->state == WEFT__PROC_DEAD || p->is_lost)
		return -EPIPE;
	if (job->size > WEFT__FRAME_SIZE_MAX)
		return -EMSGSIZE;
	int rc =
		weft__frame_send(p->fd, &frame, job->fn->bytes, job->data, large ? job->memfd : -1);
	if (rc != 0)
		return rc;
	p->job = job->id;
	p->answer_max = job->answer_max;
	p->asks = 0;
	return 0;
}

/*
 * What the worker says
 */

/* A worker that does not take the grant at once is not one of ours: there is
 * nothing else on its way to it. */
static int grant(struct weft__proc *p, const struct weft__frame *ask)
{
	struct weft__frame frame = *ask;
	bool fits = ask->size <= p->answer_max;
	int fd = fits ? weft__payload_room((size_t)ask->size) : -EMSGSIZE;

	frame.kind = WEFT__FRAME_GRANT;
	frame.rc = fd < 0 ? fd : 0;
	int rc = weft__frame_send(p->fd, &frame, NULL, NULL, fd);
	if (rc == 0) {
		p->grant = fd < 0 ? -1 : fd;
		p->granted = ask->size;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	return rc == -EPIPE ? 0 : -EPROTO; /* a death is seen in its own time */
}

static void take_small(struct weft__answer *answer, const char *data)
{
	void *copy = weft__alloc((size_t)answer->size);

	if (!copy) {
		answer->rc = -ENOMEM;
		answer->size = 0;
		return;
	}
	memcpy(copy, data, (size_t)answer->size);
	answer->data = copy;
}

static int take_large(struct weft__proc *p, struct weft__answer *answer)
{
	if (p->grant < 0 || answer->size != p->granted || weft__payload_seal(p->grant) != 0)
		return -EPROTO;

	int rc = weft__payload_map(p->grant, (size_t)answer->size, &answer->data);
	answer->mapped = rc == 0;
	if (rc != 0) {
		answer->rc = rc;
		answer->size = 0;
	}
	return 0;
}

static int take_answer(struct weft__proc *p, const struct weft__frame *frame,
		       struct weft__answer *answer)
{
	int rc = 0;

	*answer = (struct weft__answer){ .job = frame->job, .rc = frame->rc, .size = frame->size };
	if (frame->rc != 0 && frame->size != 0)
		return -EPROTO;
	if (frame->size >= WEFT__FRAME_LARGE) {
		rc = take_large(p, answer);
	} else if (frame->size > p->answer_max) {
		answer->rc = -EMSGSIZE;
		answer->size = 0;
	} else if (frame->size > 0) {
		take_small(answer, p->server->message + sizeof(*frame));
	}
	if (rc != 0)
		return rc;
	close_fd(&p->grant);
	p->job = 0;
	return ANSWERED;
}

static int take_frame(struct weft__proc *p, const struct weft__frame *frame,
		      struct weft__answer *answer)
{
	if (p->job == 0 || frame->job != p->job || frame->worker != p->id)
		return -EPROTO;
	if (frame->kind == WEFT__FRAME_ANSWER)
		return take_answer(p, frame, answer);
	if (frame->kind == WEFT__FRAME_ASK && frame->size >= WEFT__FRAME_LARGE && p->grant < 0 &&
	    p->asks++ < ASKS_MAX)
		return grant(p, frame);
	return -EPROTO;
}

/* ANSWERED, 0 when there may be more, -EAGAIN, -EPIPE at the end, -EPROTO.  There
 * is no room for control messages: the kernel drops descriptors that come along.
 * ECONNRESET says, once, that the worker's end was closed by all who had it with
 * something in it that nobody had read: the job, unless that has led to a question. */
static int receive(struct weft__proc *p, struct weft__answer *answer)
{
	struct weft__frame frame;
	ssize_t got = recv(p->fd, p->server->message, sizeof(p->server->message),
			   MSG_DONTWAIT | MSG_TRUNC);

	if (got < 0 && errno == ECONNRESET)
		p->unread |= p->job != 0 && p->asks == 0;
	if (got < 0 && (errno == EINTR || errno == ECONNRESET))
		return 0;
	if (got <= 0)
		return got == 0 || errno != EAGAIN ? -EPIPE : -EAGAIN;
	if (weft__frame_check(&frame, p->server->message, (size_t)got) != 0)
		return -EPROTO;
	return take_frame(p, &frame, answer);
}

/* A worker without a socket is no use, whoever closed it. */
static void hang_up(struct weft__proc *p, bool broken)
{
	p->exit.broken |= broken;
	close_fd(&p->fd);
	weft__proc_kill(p, SIGKILL);
}

static bool has_ended(struct weft__proc *p)
{
	if (p->state == WEFT__PROC_DEAD)
		return true;
	if (!p->is_lost || (p->pidfd >= 0 && !weft__pidfd_is_dead(p->pidfd, 0)))
		return false;
	p->state = WEFT__PROC_DEAD;
	p->exit.pid = p->pid;
	p->exit.signal = SIGKILL;
	p->exit.is_guessed = true;
	return true;
}

enum weft__proc_event weft__proc_next(struct weft__proc *p, struct weft__answer *answer)
{
	/* Asked for before the socket is read, so that what is read is all. */
	bool ended = has_ended(p);

	while (p->fd >= 0) {
		int rc = receive(p, answer);
		if (rc == ANSWERED)
			return WEFT__PROC_ANSWER;
		if (rc == -EAGAIN)
			break;
		if (rc != 0)
			hang_up(p, rc == -EPROTO);
	}
	if (!ended)
		return WEFT__PROC_NOTHING;
	close_fd(&p->fd);
	weft__proc_hear(p);
	return WEFT__PROC_ENDED;
}

void weft__proc_hear(struct weft__proc *p)
{
	if (p->err_fd >= 0 && !weft__tail_drain(&p->tail, p->err_fd))
		close_fd(&p->err_fd);
}

/*
 * The end
 */

int weft__proc_kill(struct weft__proc *p, int signal)
{
	struct weft__control message = { .kind = WEFT__CONTROL_KILL,
					 .worker = p->id,
					 .value = signal };

	if (p->state == WEFT__PROC_DEAD)
		return 0;
	int rc = p->is_lost ? -EPIPE : weft__control_send(p->server->fd, &message, NULL, 0);
	if (rc != 0 && p->pidfd >= 0)
		rc = weft__pidfd_signal(p->pidfd, signal);
	return rc == -ESRCH || rc == -EPIPE ? 0 : rc;
}

void weft__proc_fini(struct weft__proc *p)
{
	if (!p->is_lost)
		weft__proc_kill(p, SIGKILL);
	weft__list_remove(&p->link);
	close_fd(&p->fd);
	close_fd(&p->pidfd);
	close_fd(&p->err_fd);
	close_fd(&p->grant);
}

void weft__answer_fini(struct weft__answer *answer)
{
	if (answer->mapped)
		weft__payload_unmap(answer->data, (size_t)answer->size);
	else
		weft__free((void *)(uintptr_t)answer->data, (size_t)answer->size);
	answer->data = NULL;
}
