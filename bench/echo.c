/* SPDX-License-Identifier: MIT */
/*
 * echo.c - an echo server with many connections
 *
 * CONNECTIONS pairs of TCP sockets over loopback, 64 bytes to and fro.  The same driver
 * loads each server in turn: the main thread, with an epoll of its own, sends on one
 * connection after the other and keeps WINDOW of them busy, so that the server meets a
 * crowd of connections of which some are ready.
 *
 *   epoll    a loop over level-triggered epoll on one thread: what the system can do
 *   libuv    its loop, on one thread
 *   weft 1   a task for each connection that reads and writes, on one worker
 *   weft N   the same on all
 *
 * Times are for one round trip, the driver's half included; CPU time is that of all
 * threads, and what counts on a machine that does other things too.  Where descriptors
 * are rationed there are fewer connections.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weft/weft.h>

#include "bench.h"

#ifdef BENCH_LIBUV
#include <uv.h>
#endif

enum { CONNECTIONS = 10000, SIZE = 64, WINDOW = 256, EVENTS = 256, ROUNDS = 5 };

static struct {
	int count;
	int *server, *client; /* the ends of each connection */
	int trips;	      /* of a run */
	int over;	      /* an eventfd: the server shall end */
	int epoll;	      /* of the driver */
} echo;

/* --- the driver -------------------------------------------------------- */

static void send_on(int fd)
{
	static const char bytes[SIZE];

	bench_check(send(fd, bytes, SIZE, MSG_NOSIGNAL) == SIZE, "send");
}

static void receive_on(int fd)
{
	char bytes[SIZE];

	bench_check(recv(fd, bytes, SIZE, 0) == SIZE, "an answer in one piece");
}

static void drive(void)
{
	struct epoll_event events[EVENTS];
	int sent = 0, back = 0;

	while (sent < WINDOW && sent < echo.count && sent < echo.trips)
		send_on(echo.client[sent++]);
	while (back < echo.trips) {
		int n = epoll_wait(echo.epoll, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			receive_on(events[i].data.fd);
			back++;
			if (sent < echo.trips)
				send_on(echo.client[sent++ % echo.count]);
		}
	}
}

static int watch(const int *fds, int count)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	for (int i = 0; i < count; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.fd = fds[i] };
		bench_check(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event) == 0, "epoll_ctl");
	}
	return epoll;
}

/* A server runs on a thread of its own until `over` is readable. */
struct server {
	const char *name;
	void (*open)(void);
	void *(*run)(void *arg);
	void (*close)(void);
};

static void begin_over(void)
{
	uint64_t one = 1;

	bench_check(write(echo.over, &one, sizeof one) == sizeof one, "write");
}

static void end_over(void)
{
	uint64_t count;

	bench_check(read(echo.over, &count, sizeof count) == sizeof count, "read");
}

/* --- epoll ------------------------------------------------------------- */

static void answer(int fd)
{
	char bytes[SIZE];
	ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);

	if (n > 0)
		bench_check(send(fd, bytes, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) == n, "send");
}

static int server_epoll;

static void epoll_open(void)
{
	struct epoll_event over = { .events = EPOLLIN, .data.fd = echo.over };

	server_epoll = watch(echo.server, echo.count);
	bench_check(epoll_ctl(server_epoll, EPOLL_CTL_ADD, echo.over, &over) == 0, "epoll_ctl");
}

static void *epoll_run(void *arg)
{
	struct epoll_event events[EVENTS];
	bool over = false;

	while (!over) {
		int n = epoll_wait(server_epoll, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			over |= events[i].data.fd == echo.over;
			if (events[i].data.fd != echo.over)
				answer(events[i].data.fd);
		}
	}
	return arg;
}

static void epoll_close(void)
{
	close(server_epoll);
}

/* --- libuv ------------------------------------------------------------- */

#ifdef BENCH_LIBUV
static uv_loop_t loop;
static uv_poll_t *polls;

static void uv_ready(uv_poll_t *p, int status, int events)
{
	(void)status, (void)events;
	if (p == &polls[echo.count])
		uv_stop(&loop);
	else
		answer(echo.server[p - polls]);
}

static void libuv_open(void)
{
	polls = calloc((size_t)echo.count + 1, sizeof *polls);
	uv_loop_init(&loop);
	for (int i = 0; i <= echo.count; i++) {
		uv_poll_init(&loop, &polls[i], i < echo.count ? echo.server[i] : echo.over);
		uv_poll_start(&polls[i], UV_READABLE, uv_ready);
	}
}

static void *libuv_run(void *arg)
{
	uv_run(&loop, UV_RUN_DEFAULT);
	return arg;
}

static void libuv_close(void)
{
	for (int i = 0; i <= echo.count; i++)
		uv_close((uv_handle_t *)&polls[i], NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	free(polls);
}
#endif

/* --- weft -------------------------------------------------------------- */

static struct weft_runtime *rt;

static void weft_1_open(void)
{
	bench_check(weft_runtime_create(&rt, .workers = 1) == 0, "weft_runtime_create");
}

static void weft_n_open(void)
{
	bench_check(weft_runtime_create(&rt, .workers = 0) == 0, "weft_runtime_create");
}

static int serve_one(void *arg)
{
	const int *fd = arg;
	char bytes[SIZE];
	ssize_t n;

	while ((n = weft_recv(*fd, bytes, sizeof bytes, 0)) > 0)
		bench_check(weft_send(*fd, bytes, (size_t)n, 0) == n, "weft_send");
	return n == WEFT_ECANCELED ? 0 : (int)n;
}

static int serve_all(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g, .name = "connections");

	(void)arg;
	for (int i = 0; i < echo.count && rc == 0; i++)
		rc = weft_spawn(&g, serve_one, &echo.server[i]);
	if (rc == 0)
		rc = weft_wait_fd(echo.over, WEFT_READABLE) < 0;
	weft_group_cancel(&g);
	return weft_group_close(&g, rc);
}

static void *weft_run(void *arg)
{
	bench_check(weft_runtime_run(rt, serve_all, NULL) == 0, "serve_all");
	return arg;
}

static void weft_close_runtime(void)
{
	weft_runtime_destroy(rt);
}

/* --- measuring --------------------------------------------------------- */

static const struct server servers[] = {
	{ "epoll", epoll_open, epoll_run, epoll_close },
#ifdef BENCH_LIBUV
	{ "libuv", libuv_open, libuv_run, libuv_close },
#endif
	{ "weft 1", weft_1_open, weft_run, weft_close_runtime },
	{ "weft N", weft_n_open, weft_run, weft_close_runtime },
};

enum { SERVERS = sizeof servers / sizeof *servers };

/* The first trips, once over all connections, make them known to the server. */
static void measure(const struct server *server, double *wall, double *cpu)
{
	pthread_t thread;
	int trips = echo.trips;

	server->open();
	bench_check(pthread_create(&thread, NULL, server->run, NULL) == 0, "pthread_create");
	echo.trips = echo.count;
	drive();
	echo.trips = trips;
	*wall = bench_now();
	*cpu = bench_cpu();
	drive();
	*cpu = (bench_cpu() - *cpu) * 1e6 / trips;
	*wall = (bench_now() - *wall) * 1e6 / trips;
	begin_over();
	pthread_join(thread, NULL);
	end_over();
	server->close();
}

static void show(const char *name, double *wall, double *cpu, double against)
{
	static char names[3 * SERVERS][48];
	static unsigned used;
	char *text = names[used++];

	snprintf(text, sizeof names[0], "%s, %d connections", name, echo.count);
	bench_value("", text, 1e6 / bench_median(wall, ROUNDS), "round trips/s", BENCH_AT_LEAST, 1);
	text = names[used++];
	snprintf(text, sizeof names[0], "%s, CPU of one", name);
	bench_value("", text, bench_median(cpu, ROUNDS), "us", BENCH_AT_MOST, 1e6);
	text = names[used++];
	snprintf(text, sizeof names[0], "%s / epoll, CPU", name);
	bench_value("", text, bench_median(cpu, ROUNDS) / against, "", BENCH_AT_MOST, 2);
}

static void measure_all(void)
{
	double wall[SERVERS][ROUNDS], cpu[SERVERS][ROUNDS];

	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < SERVERS; i++)
			measure(&servers[i], &wall[i][round], &cpu[i][round]);
	double epoll = bench_median(cpu[0], ROUNDS);
	for (int i = 0; i < SERVERS; i++)
		show(servers[i].name, wall[i], cpu[i], epoll);
}

/* --- connections -------------------------------------------------------- */

/* As many connections as there are descriptors for. */
static int possible(int wanted)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	rlim_t room = limit.rlim_cur > 200 ? (limit.rlim_cur - 100) / 2 : 50;
	return room < (rlim_t)wanted ? (int)room : wanted;
}

static int listen_on_loopback(struct sockaddr_in *address)
{
	socklen_t length = sizeof *address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_in){ .sin_family = AF_INET };
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	bench_check(bind(fd, (struct sockaddr *)address, length) == 0, "bind");
	bench_check(listen(fd, 128) == 0, "listen");
	getsockname(fd, (struct sockaddr *)address, &length);
	return fd;
}

static void connect_all(void)
{
	struct sockaddr_in address;
	int one = 1, listener = listen_on_loopback(&address);

	for (int i = 0; i < echo.count; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		bench_check(connect(fd, (struct sockaddr *)&address, sizeof address) == 0,
			    "connect");
		echo.client[i] = fd;
		echo.server[i] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		bench_check(echo.server[i] >= 0, "accept");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		setsockopt(echo.server[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	}
	close(listener);
}

static void disconnect_all(void)
{
	struct linger at_once = { .l_onoff = 1 }; /* no 10,000 ports in TIME_WAIT */

	for (int i = 0; i < echo.count; i++) {
		setsockopt(echo.client[i], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
		close(echo.client[i]);
		close(echo.server[i]);
	}
}

int main(int argc, char **argv)
{
	bench_begin(argc, argv);
	echo.count = possible(bench_quick() ? 100 : CONNECTIONS);
	echo.trips = bench_quick() ? 1000 : 50000;
	echo.server = calloc((size_t)echo.count, sizeof(int));
	echo.client = calloc((size_t)echo.count, sizeof(int));
	echo.over = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	connect_all();
	echo.epoll = watch(echo.client, echo.count);
	measure_all();
	disconnect_all();
	free(echo.server);
	free(echo.client);
	return bench_end();
}
