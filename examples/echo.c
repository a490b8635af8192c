/* SPDX-License-Identifier: MIT */
/* echo.c - all connect, then all talk: both ends of each connection in one process */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <weft/weft.h>

static unsigned clients = 100; /* or the first argument; each takes two descriptors */
static struct weft_barrier all;

static int echo(void *arg)
{
	int fd = (int)(intptr_t)arg, word;
	while (weft_read_full(fd, &word, sizeof word) == sizeof word)
		weft_write_full(fd, &word, sizeof word);
	return weft_close(fd);
}

static int client(void *arg)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), back = -1;
	int rc = weft_connect(fd, arg, sizeof(struct sockaddr_in));
	rc = rc ? rc : weft_barrier_wait(&all, NULL);
	for (int word = 0; word < 10 && rc == 0; word++) {
		weft_write_full(fd, &word, sizeof word);
		rc = weft_read_full(fd, &back, sizeof back) > 0 && back == word ? 0 : WEFT_EIO;
	}
	return weft_close(fd), rc;
}

static int serve(void *arg)
{
	struct sockaddr_in address = { AF_INET, 0, { htonl(INADDR_LOOPBACK) }, { 0 } };
	int listener = *(int *)arg;
	bind(listener, (struct sockaddr *)&address, sizeof address);
	listen(listener, 100); /* on a port that the kernel chooses */
	getsockname(listener, (struct sockaddr *)&address, &(socklen_t){ sizeof address });
	struct weft_group g;
	int rc = weft_group_open(&g, .timeout = WEFT_SEC(60));
	for (unsigned i = 0; i < clients && rc == 0; i++) {
		weft_spawn(&g, client, &address);
		int fd = weft_accept(listener, NULL, NULL);
		rc = fd < 0 ? fd : weft_spawn(&g, echo, (void *)(intptr_t)fd);
	}
	return weft_group_close(&g, rc);
}

int main(int argc, char **argv)
{
	clients = argc > 1 ? (unsigned)atoi(argv[1]) : clients;
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 2 * clients + 20, 2 * clients + 20 });
	weft_barrier_init(&all, clients);
	int rc = weft_run_sync(serve, &(int){ socket(AF_INET, SOCK_STREAM, 0) });
	printf("%u connections at once, 10 words on each: %s\n", clients, weft_strerror(rc));
	return rc != 0;
}
