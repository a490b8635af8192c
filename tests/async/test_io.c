/* SPDX-License-Identifier: MIT */
/*
 * test_io.c - reading, writing, connecting and signals, one promise a test
 *
 * All run on one worker: a call that waits in the kernel hangs the test.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "support/assert.h"
#include "support/descriptors.h"

TestSuite(io, .timeout = 60);

enum { MANY = 1 << 20 };

struct scene {
	int in, out; /* what is written to out comes from in */
	ssize_t got[4];
	char text[64];
	char *bytes; /* MANY */
};

static void open_sockets(struct scene *x, int flags)
{
	int ends[2];

	cr_assert(eq(int, socketpair(AF_UNIX, SOCK_STREAM | flags, 0, ends), 0));
	*x = (struct scene){ .in = ends[0], .out = ends[1] };
}

static void open_pipe(struct scene *x, int flags)
{
	int ends[2];

	cr_assert(eq(int, pipe2(ends, flags), 0));
	*x = (struct scene){ .in = ends[0], .out = ends[1] };
}

/* In blocking mode; RWF_NOWAIT is not for these. */
static void open_fifo(struct scene *x)
{
	char name[] = "/tmp/weft-fifo-XXXXXX";

	*x = (struct scene){ 0 };
	cr_assert(ne(ptr, mkdtemp(name), NULL));
	char path[64];
	snprintf(path, sizeof path, "%s/fifo", name);
	cr_assert(eq(int, mkfifo(path, 0600), 0));
	x->in = open(path, O_RDONLY | O_NONBLOCK);
	x->out = open(path, O_WRONLY);
	fcntl(x->in, F_SETFL, 0);
	unlink(path);
	rmdir(name);
	cr_assert(ge(int, x->in, 0));
	cr_assert(ge(int, x->out, 0));
}

static void close_scene(struct scene *x)
{
	close(x->in);
	close(x->out);
}

/* --- nothing holds the worker ------------------------------------------ */

static int read_text(void *arg)
{
	struct scene *x = arg;

	x->got[0] = weft_read(x->in, x->text, sizeof x->text);
	return 0;
}

static int write_text(void *arg)
{
	struct scene *x = arg;

	until_waiting(1);
	x->got[1] = weft_write(x->out, "hello", 5);
	return 0;
}

static void read_waits_for_write(struct scene *x)
{
	cr_expect(eq(int, together(1, read_text, write_text, x), 0));
	cr_expect(eq(long, x->got[0], 5));
	cr_expect(eq(long, x->got[1], 5));
	cr_expect(eq(str, x->text, "hello"));
	close_scene(x);
}

Test(io, a_read_of_a_socket_waits_for_the_write)
{
	struct scene x;

	open_sockets(&x, SOCK_NONBLOCK);
	read_waits_for_write(&x);
	open_sockets(&x, 0);
	read_waits_for_write(&x);
}

Test(io, a_read_of_a_pipe_waits_for_the_write)
{
	struct scene x;

	open_pipe(&x, O_NONBLOCK);
	read_waits_for_write(&x);
	open_pipe(&x, 0);
	read_waits_for_write(&x);
}

Test(io, a_read_of_a_fifo_in_blocking_mode_waits_for_the_write)
{
	struct scene x;

	open_fifo(&x);
	read_waits_for_write(&x);
}

static int read_many(void *arg)
{
	struct scene *x = arg;

	x->got[0] = weft_read_full(x->in, x->bytes, MANY);
	x->got[2] = weft_read_full(x->in, x->text, sizeof x->text);
	return 0;
}

static int write_many(void *arg)
{
	struct scene *x = arg;
	char *bytes = malloc(MANY);

	for (int i = 0; i < MANY; i++)
		bytes[i] = (char)(i * 1009 >> 8);
	x->got[1] = weft_write_full(x->out, bytes, MANY);
	weft_write_full(x->out, "end", 3);
	weft_close(x->out);
	free(bytes);
	return 0;
}

/* More than any buffer holds; both sides have to take turns. */
static void many_go_through(struct scene *x)
{
	x->bytes = malloc(MANY);
	cr_expect(eq(int, together(1, write_many, read_many, x), 0));
	cr_expect(eq(long, x->got[1], MANY));
	cr_expect(eq(long, x->got[0], MANY));
	cr_expect(eq(long, x->got[2], 3), "fewer at the end");
	long wrong = 0;
	for (int i = 0; i < MANY; i++)
		wrong += x->bytes[i] != (char)(i * 1009 >> 8);
	cr_expect(eq(long, wrong, 0));
	free(x->bytes);
	close(x->in);
}

Test(io, a_large_write_goes_through_a_socket)
{
	struct scene x;

	open_sockets(&x, SOCK_NONBLOCK);
	many_go_through(&x);
	open_sockets(&x, 0);
	many_go_through(&x);
}

Test(io, a_large_write_goes_through_a_pipe_or_fifo)
{
	struct scene x;

	open_pipe(&x, O_NONBLOCK);
	many_go_through(&x);
	open_pipe(&x, 0);
	many_go_through(&x);
	open_fifo(&x);
	many_go_through(&x);
}

Test(io, the_mode_of_the_descriptor_stays)
{
	struct scene x;

	open_pipe(&x, 0);
	cr_expect(eq(int, together(1, read_text, write_text, &x), 0));
	cr_expect(eq(int, fcntl(x.in, F_GETFL) & O_NONBLOCK, 0));
	cr_expect(eq(int, fcntl(x.out, F_GETFL) & O_NONBLOCK, 0));
	cr_expect(eq(int, weft_nonblocking(x.in), 0));
	cr_expect(eq(int, fcntl(x.in, F_GETFL) & O_NONBLOCK, O_NONBLOCK));
	cr_expect(eq(int, weft_nonblocking(-1), -EBADF));
	close_scene(&x);
}

/* --- other files ------------------------------------------------------- */

static int use_file(void *arg)
{
	struct scene *x = arg;

	x->got[0] = weft_write_full(x->in, "twelve bytes", 12);
	x->got[1] = lseek(x->in, 4, SEEK_SET);
	fsync(x->in); /* and out of the cache, where there is a disk behind it */
	posix_fadvise(x->in, 0, 0, POSIX_FADV_DONTNEED);
	x->got[2] = weft_read_full(x->in, x->text, sizeof x->text);
	x->got[3] = weft_read(x->in, x->text, sizeof x->text);
	return 0;
}

static void expect_file(struct scene *x, int rc)
{
	cr_expect(eq(int, rc, 0));
	cr_expect(eq(long, x->got[0], 12));
	cr_expect(eq(long, x->got[2], 8));
	cr_expect(eq(str, x->text, "ve bytes"));
	cr_expect(eq(long, x->got[3], 0), "the end");
	close(x->in);
}

Test(io, regular_files_are_read_and_written_at_their_place)
{
	struct scene x = { .in = open("/tmp", O_TMPFILE | O_RDWR, 0600) };

	cr_assert(ge(int, x.in, 0));
	expect_file(&x, run_on(1, use_file, &x));
}

Test(io, plain_threads_use_the_same_calls)
{
	struct scene x = { .in = open("/tmp", O_TMPFILE | O_RDWR, 0600) };

	cr_assert(ge(int, x.in, 0));
	expect_file(&x, use_file(&x));
}

static int count_event(void *arg)
{
	struct scene *x = arg;

	x->got[0] = weft_read(x->in, x->text, 8);
	return 0;
}

static int raise_event(void *arg)
{
	struct scene *x = arg;
	uint64_t three = 3;

	until_waiting(1);
	x->got[1] = weft_write(x->in, &three, sizeof three);
	return 0;
}

Test(io, an_eventfd_in_blocking_mode_is_waited_for)
{
	struct scene x = { .in = eventfd(0, 0) };

	cr_expect(eq(int, together(1, count_event, raise_event, &x), 0));
	cr_expect(eq(long, x.got[0], 8));
	cr_expect(eq(long, x.got[1], 8));
	cr_expect(eq(chr, x.text[0], 3));
	close(x.in);
}

static int pieces(void *arg)
{
	struct scene *x = arg;
	struct iovec out[] = { { "", 0 }, { "one ", 4 }, { "two", 3 } };
	struct iovec in[] = { { x->text + 32, 2 }, { x->text, 32 } };

	x->got[0] = weft_writev(x->out, out, 3);
	x->got[1] = weft_readv(x->in, in, 2);
	x->got[2] = weft_readv(x->in, in, 0);
	x->got[3] = weft_writev(x->out, NULL, 1);
	return 0;
}

Test(io, pieces_are_gathered_and_scattered)
{
	struct scene x;

	open_fifo(&x);
	cr_expect(eq(int, run_on(1, pieces, &x), 0));
	cr_expect(ge(long, x.got[0], 4));
	close_scene(&x);
	open_sockets(&x, 0);
	cr_expect(eq(int, run_on(1, pieces, &x), 0));
	cr_expect(eq(long, x.got[0], 7));
	cr_expect(eq(long, x.got[1], 7));
	cr_expect(eq(str, x.text, "e two"));
	cr_expect(eq(long, x.got[2], WEFT_EINVAL));
	cr_expect(eq(long, x.got[3], WEFT_EINVAL));
	close_scene(&x);
}

/* --- cancelling and closing -------------------------------------------- */

static int read_in_cancelled_scope(void *arg)
{
	struct scene *x = arg;
	struct weft_scope s;

	weft_scope_enter(&s, .name = "cancelled");
	weft_scope_cancel(&s);
	x->got[0] = weft_read(x->in, x->text, sizeof x->text);
	x->got[1] = weft_write(x->out, "b", 1);
	weft_scope_leave(&s, 0);
	x->got[2] = weft_read(x->in, x->text, sizeof x->text);
	return 0;
}

Test(io, CO3_a_cancelled_task_reads_and_writes_nothing)
{
	struct scene x;

	open_pipe(&x, 0);
	cr_assert(eq(long, write(x.out, "a", 1), 1));
	cr_expect(eq(int, run_on(1, read_in_cancelled_scope, &x), 0));
	cr_expect(eq(long, x.got[0], WEFT_ECANCELED));
	cr_expect(eq(long, x.got[1], WEFT_ECANCELED));
	cr_expect(eq(long, x.got[2], 1));
	cr_expect(eq(chr, x.text[0], 'a'));
	close_scene(&x);
}

static int read_five_twice(void *arg)
{
	struct scene *x = arg;

	x->got[0] = weft_read_full(x->in, x->text, 5);
	x->got[1] = weft_read_full(x->in, x->text + 8, 5);
	return 0;
}

static int cut_reader_short(void *arg)
{
	return cancel_when_waiting(read_five_twice, arg);
}

Test(io, CO4_a_full_read_that_was_cut_short_returns_what_it_has)
{
	struct scene x;

	open_sockets(&x, 0);
	cr_assert(eq(long, write(x.out, "abc", 3), 3));
	cr_expect(eq(int, run_on(1, cut_reader_short, &x), 0));
	cr_expect(eq(long, x.got[0], 3));
	cr_expect(eq(str, x.text, "abc"));
	cr_expect(eq(long, x.got[1], WEFT_ECANCELED));
	close_scene(&x);
}

static int close_in(void *arg)
{
	struct scene *x = arg;

	until_waiting(1);
	x->got[1] = weft_close(x->in);
	return 0;
}

Test(io, closing_ends_a_read)
{
	struct scene x;

	open_pipe(&x, 0);
	cr_expect(eq(int, together(1, read_text, close_in, &x), 0));
	cr_expect(eq(long, x.got[0], WEFT_ECLOSED));
	cr_expect(eq(long, x.got[1], 0));
	cr_expect(eq(int, weft_close(x.in), -EBADF));
	cr_expect(eq(int, weft_close(-1), -EBADF));
	close_scene(&x);
}

static int write_to_nobody(void *arg)
{
	struct scene *x = arg;

	x->got[0] = weft_write(x->out, "x", 1);
	x->got[1] = weft_read(999, x->text, 1);
	x->got[2] = weft_write(-1, x->text, 1);
	return 0;
}

Test(io, errors_are_returned_and_no_signal_comes)
{
	struct scene x;

	open_pipe(&x, 0);
	close(x.in);
	cr_expect(eq(int, run_on(1, write_to_nobody, &x), 0));
	cr_expect(eq(long, x.got[0], -EPIPE));
	cr_expect(eq(long, x.got[1], -EBADF));
	cr_expect(eq(long, x.got[2], -EBADF));
	close(x.out);

	open_sockets(&x, 0);
	close(x.in);
	cr_expect(eq(long, weft_send(x.out, "x", 1, 0), -EPIPE), "from a plain thread");
	close(x.out);
}

/* --- sockets ----------------------------------------------------------- */

static int peek(void *arg)
{
	struct scene *x = arg;

	x->got[0] = weft_recv(x->in, x->text, sizeof x->text, MSG_PEEK);
	x->got[1] = weft_recv(x->in, x->text, sizeof x->text, 0);
	return 0;
}

static int send_text(void *arg)
{
	struct scene *x = arg;

	until_waiting(1);
	x->got[2] = weft_send(x->out, "hello", 5, 0);
	return 0;
}

Test(io, recv_and_send_take_flags_and_do_not_hold_the_worker)
{
	struct scene x;

	open_sockets(&x, 0);
	cr_expect(eq(int, together(1, peek, send_text, &x), 0));
	cr_expect(eq(long, x.got[0], 5));
	cr_expect(eq(long, x.got[1], 5));
	cr_expect(eq(long, x.got[2], 5));
	close_scene(&x);
}

/* A listener on loopback, in blocking mode, and its address. */
static int listener(struct sockaddr_in *address, int backlog)
{
	socklen_t length = sizeof *address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*address = (struct sockaddr_in){ .sin_family = AF_INET };
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert(eq(int, bind(fd, (struct sockaddr *)address, length), 0));
	cr_assert(eq(int, listen(fd, backlog), 0));
	getsockname(fd, (struct sockaddr *)address, &length);
	return fd;
}

struct visit {
	struct sockaddr_in address, peer;
	int listener, accepted, rc, mode, fd;
};

static int serve(void *arg)
{
	struct visit *v = arg;
	socklen_t length = sizeof v->peer;

	v->accepted = weft_accept(v->listener, (struct sockaddr *)&v->peer, &length);
	return 0;
}

static int visit(void *arg)
{
	struct visit *v = arg;

	until_waiting(1);
	v->fd = socket(AF_INET, SOCK_STREAM, 0);
	v->rc = weft_connect(v->fd, (struct sockaddr *)&v->address, sizeof v->address);
	return 0;
}

Test(io, accept_waits_for_connect_and_says_who_it_is)
{
	struct visit v = { 0 };
	struct sockaddr_in mine;
	socklen_t length = sizeof mine;

	v.listener = listener(&v.address, 8);
	cr_expect(eq(int, together(1, serve, visit, &v), 0));
	cr_expect(eq(int, v.rc, 0));
	cr_assert(ge(int, v.accepted, 0));
	cr_expect(eq(int, fcntl(v.accepted, F_GETFD), FD_CLOEXEC));
	cr_expect(eq(int, fcntl(v.accepted, F_GETFL) & O_NONBLOCK, O_NONBLOCK));
	getsockname(v.fd, (struct sockaddr *)&mine, &length);
	cr_expect(eq(u16, v.peer.sin_port, mine.sin_port));
	close(v.accepted);
	close(v.fd);
	close(v.listener);
}

static int serve_in_cancelled_scope(void *arg)
{
	struct visit *v = arg;
	struct weft_scope s;

	weft_scope_enter(&s, .name = "cancelled");
	weft_scope_cancel(&s);
	v->rc = weft_accept(v->listener, NULL, NULL);
	weft_scope_leave(&s, 0);
	return 0;
}

Test(io, CO3_a_cancelled_task_does_not_make_a_listener_nonblocking)
{
	struct visit v = { 0 };

	v.listener = listener(&v.address, 8);
	cr_expect(eq(int, run_on(1, serve_in_cancelled_scope, &v), 0));
	cr_expect(eq(int, v.rc, WEFT_ECANCELED));
	cr_expect(eq(int, fcntl(v.listener, F_GETFL) & O_NONBLOCK, 0));
	close(v.listener);
}

static int serve_in_vain(void *arg)
{
	return cancel_when_waiting(serve, arg);
}

Test(io, a_cancelled_accept_leaves_the_next_connection_to_others)
{
	struct visit v = { 0 };

	v.listener = listener(&v.address, 8);
	cr_expect(eq(int, run_on(1, serve_in_vain, &v), 0));
	cr_expect(eq(int, v.accepted, WEFT_ECANCELED));
	cr_expect(eq(int, together(1, serve, visit, &v), 0));
	cr_expect(eq(int, v.rc, 0));
	cr_assert(ge(int, v.accepted, 0));
	close(v.accepted);
	close(v.fd);
	close(v.listener);
}

static int visit_nobody(void *arg)
{
	struct visit *v = arg;

	v->fd = socket(AF_INET, SOCK_STREAM, 0);
	v->rc = weft_connect(v->fd, (struct sockaddr *)&v->address, sizeof v->address);
	return 0;
}

static int visit_in_vain(void *arg)
{
	return cancel_when_waiting(visit_nobody, arg);
}

Test(io, connect_says_that_nobody_listens)
{
	struct visit v = { 0 };

	close(listener(&v.address, 8));
	cr_expect(eq(int, run_on(1, visit_nobody, &v), 0));
	cr_expect(eq(int, v.rc, -ECONNREFUSED));
	close(v.fd);
	v.fd = socket(AF_INET, SOCK_STREAM, 0);
	cr_expect(eq(int, weft_connect(v.fd, (struct sockaddr *)&v.address, sizeof v.address),
		     -ECONNREFUSED),
		  "from a plain thread");
	close(v.fd);
}

/* A listener without room answers nothing: the attempt hangs. */
Test(io, a_cancelled_connect_is_called_off)
{
	struct visit v = { 0 };
	struct sockaddr_in peer;
	socklen_t length = sizeof peer;
	int full[4];

	v.listener = listener(&v.address, 0);
	for (int i = 0; i < 4; i++) {
		full[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(full[i], (struct sockaddr *)&v.address, sizeof v.address);
	}
	cr_expect(eq(int, run_on(1, visit_in_vain, &v), 0));
	cr_expect(eq(int, v.rc, WEFT_ECANCELED));

	/* The socket is free again: it can connect elsewhere. */
	struct visit other = { 0 };
	other.listener = listener(&other.address, 8);
	cr_expect(eq(int, connect(v.fd, (struct sockaddr *)&other.address, sizeof other.address),
		     -1));
	cr_expect(eq(int, weft_wait_fd(v.fd, WEFT_WRITABLE), WEFT_WRITABLE));
	cr_expect(eq(int, getpeername(v.fd, (struct sockaddr *)&peer, &length), 0));
	cr_expect(eq(u16, peer.sin_port, other.address.sin_port));
	for (int i = 0; i < 4; i++)
		close(full[i]);
	close(v.fd);
	close(v.listener);
	close(other.listener);
}

/* --- signals ----------------------------------------------------------- */

struct signals {
	sigset_t set;
	struct signalfd_siginfo info;
	int got[2];
};

static int await_signal(void *arg)
{
	struct signals *x = arg;

	x->got[0] = weft_signal(&x->set, &x->info);
	return 0;
}

static int send_signal(void *arg)
{
	(void)arg;
	until_waiting(1);
	return kill(getpid(), SIGUSR1);
}

static void open_signals(struct signals *x)
{
	*x = (struct signals){ 0 };
	sigemptyset(&x->set);
	sigaddset(&x->set, SIGUSR1);
	sigaddset(&x->set, SIGUSR2);
	cr_assert(eq(int, weft_signal_block(&x->set), 0));
}

Test(io, a_task_waits_for_a_signal)
{
	struct signals x;

	open_signals(&x);
	cr_expect(eq(int, together(1, await_signal, send_signal, &x), 0));
	cr_expect(eq(int, x.got[0], SIGUSR1));
	cr_expect(eq(u32, x.info.ssi_pid, (uint32_t)getpid()));
	cr_expect(eq(int, weft_signal(NULL, NULL), WEFT_EINVAL));
	cr_expect(eq(int, weft_signal_block(NULL), WEFT_EINVAL));
}

static int await_with_deadline(void *arg)
{
	struct signals *x = arg;
	struct weft_scope s;

	weft_scope_enter(&s, .timeout = WEFT_MS(1));
	x->got[1] = weft_signal(&x->set, NULL);
	x->got[1] = weft_scope_leave(&s, x->got[1]);
	kill(getpid(), SIGUSR2);
	x->got[0] = weft_signal(&x->set, NULL);
	return 0;
}

Test(io, a_cancelled_wait_takes_no_signal)
{
	struct signals x;

	open_signals(&x);
	cr_expect(eq(int, run_on(1, await_with_deadline, &x), 0));
	cr_expect(eq(int, x.got[1], WEFT_ETIMEDOUT));
	cr_expect(eq(int, x.got[0], SIGUSR2));
	kill(getpid(), SIGUSR1);
	cr_expect(eq(int, weft_signal(&x.set, NULL), SIGUSR1), "a plain thread");
}

/* No descriptor can be opened: who does it first gets another error. */
static int signal_in_cancelled_scope(void *arg)
{
	struct signals *x = arg;
	struct weft_scope s;
	struct rlimit was, none;

	getrlimit(RLIMIT_NOFILE, &was);
	none = (struct rlimit){ 0, was.rlim_max };
	weft_scope_enter(&s, .name = "cancelled");
	weft_scope_cancel(&s);
	setrlimit(RLIMIT_NOFILE, &none);
	x->got[0] = weft_signal(&x->set, NULL);
	weft_scope_leave(&s, 0);
	x->got[1] = weft_signal(&x->set, NULL);
	setrlimit(RLIMIT_NOFILE, &was);
	return 0;
}

Test(io, CO3_a_cancelled_task_opens_no_descriptor_for_a_signal)
{
	struct signals x;

	open_signals(&x);
	cr_expect(eq(int, run_on(1, signal_in_cancelled_scope, &x), 0));
	cr_expect(eq(int, x.got[0], WEFT_ECANCELED));
	cr_expect(eq(int, x.got[1], -EMFILE));
}
