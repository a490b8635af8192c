/* SPDX-License-Identifier: MIT */
/*
 * echo.c - a server and its clients, tasks of one process, over loopback
 */
#include <netinet/in.h>
#include <stdio.h>

#include <weft/weft.h>

enum { CLIENTS = 100, WORDS = 10 };
static struct sockaddr_in address;

static int echo(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buffer[64];
	ssize_t n;
	while ((n = weft_read(fd, buffer, sizeof buffer)) > 0)
		weft_write_full(fd, buffer, (size_t)n);
	weft_close(fd);
	return (int)n;
}

static int client(void *arg)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), back = -1;
	int rc = weft_connect(fd, arg, sizeof address);
	for (int word = 0; word < WORDS && rc == 0; word++) {
		weft_write_full(fd, &word, sizeof word);
		rc = weft_read_full(fd, &back, sizeof back) > 0 && back == word ? 0 : WEFT_EIO;
	}
	weft_close(fd);
	return rc;
}

static int serve(void *arg)
{
	struct weft_group g;
	int rc = weft_group_open(&g, .timeout = WEFT_SEC(30));

	for (int i = 0; i < CLIENTS && rc == 0; i++) {
		weft_spawn(&g, client, &address);
		int fd = weft_accept(*(int *)arg, NULL, NULL);
		rc = fd < 0 ? fd : weft_spawn(&g, echo, (void *)(intptr_t)fd);
	}
	return weft_group_close(&g, rc);
}

int main(void)
{
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	listen(listener, CLIENTS); /* on a port that the kernel chooses */
	getsockname(listener, (struct sockaddr *)&address, &(socklen_t){ sizeof address });

	int rc = weft_run_sync(serve, &listener);
	printf("%d clients, %d words each: %s\n", CLIENTS, WORDS, weft_strerror(rc));
	return rc;
}
