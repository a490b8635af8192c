/* SPDX-License-Identifier: MIT */
/*
 * isolated.c - the side of a worker process: the same lane, without an order
 *
 * The lane lies in shared memory, so that the offset of the record at hand, which a
 * lane notes anyway, outlives the process.
 *
 * The time that a record takes is watched from a thread: a signal would cut short
 * what the job waits for.  It looks TICKS times in that time, which is exact enough,
 * and costs a record nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <weft/error.h>
#include <weft/remote.h>

#include "code.h"
#include "isolate.h"
#include "run.h"

enum { TICKS = 16, WATCH_STACK = 64 << 10 };

static struct weft__options options;
static struct weft__code code;
static struct weft__run run = { .options = &options, .code = &code, .stop_fd = -1, .apart = true };
static struct weft__desk *desks;
static const char *rooms; /* read only */
static size_t room;
static unsigned desk_count;
static char *scratch;
static struct weft__buffer records, out; /* kept from batch to batch */

/*
 * The watch
 */

static pthread_mutex_t seat = PTHREAD_MUTEX_INITIALIZER; /* of what follows */
static unsigned busy_at; /* the desk, counted from 1; 0: between two batches */
static unsigned batches;

static void leave(void)
{
	pthread_mutex_lock(&seat);
	busy_at = 0;
	pthread_mutex_unlock(&seat);
}

/* The lane is written as a whole before the watch may look at it. */
static void sit_down(struct weft__lane *lane, unsigned desk, struct weft__part *part)
{
	pthread_mutex_lock(&seat);
	weft__lane_init(lane, &run);
	lane->scratch = scratch;
	weft__lane_begin(lane, part, true);
	batches++;
	busy_at = desk + 1;
	pthread_mutex_unlock(&seat);
}

static void end_overdue(struct weft__desk *desk)
{
	atomic_store(&desk->overdue, true);
	kill(getpid(), SIGKILL);
}

/* What the watch saw last, and how many times in a row. */
struct sight {
	unsigned batch, ticks;
	uint64_t offset;
};

/* With the seat held, and the kill as well: a job that is done with its record leaves the
 * seat before the answer goes out, so it is this batch that ends here and not the next. */
static void look(struct sight *last)
{
	uint64_t offset =
		busy_at ? __atomic_load_n(&desks[busy_at - 1].lane.job.offset, __ATOMIC_RELAXED)
			: 0;
	bool same = busy_at && batches == last->batch && offset == last->offset;

	last->ticks = same ? last->ticks + 1 : 0;
	last->batch = batches;
	last->offset = offset;
	if (last->ticks > TICKS)
		end_overdue(&desks[busy_at - 1]);
}

static void *watch(void *arg)
{
	struct timespec tick = { .tv_sec = options.record_timeout / TICKS / 1000000000,
				 .tv_nsec = options.record_timeout / TICKS % 1000000000 };
	struct sight last = { 0 };

	for (;;) {
		nanosleep(&tick, NULL);
		pthread_mutex_lock(&seat);
		look(&last);
		pthread_mutex_unlock(&seat);
	}
	return arg;
}

static int start_watch(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;

	if (options.record_timeout == 0)
		return 0;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WATCH_STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int rc = -pthread_create(&thread, &attr, watch, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return rc;
}

/*
 * The beginning
 */

static const char *take_string(const char **at)
{
	const char *string = *at;

	*at += strlen(string) + 1;
	return strdup(string);
}

static int take_settings(const char **at, size_t count)
{
	options.settings = calloc(count + 1, sizeof *options.settings);
	if (!options.settings)
		return WEFT_ENOMEM;
	options.setting_count = count;
	for (size_t i = 0; i < count; i++) {
		options.settings[i].key = (char *)(uintptr_t)take_string(at);
		options.settings[i].value = take_string(at);
		if (!options.settings[i].key || !options.settings[i].value)
			return WEFT_ENOMEM;
	}
	return 0;
}

static int take_record(const char **at, const struct weft__record_format *record)
{
	options.record = *record;
	scratch = record->kind == WEFT__RECORD_FIXED ? malloc(record->length + 1) : NULL;
	if (!record->separator)
		return scratch || record->kind != WEFT__RECORD_FIXED ? 0 : WEFT_ENOMEM;
	options.record.separator = malloc(record->length);
	if (!options.record.separator)
		return WEFT_ENOMEM;
	memcpy(options.record.separator, *at, record->length);
	*at += record->length;
	return 0;
}

static int open_desks(const struct weft__isolated_start *start)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)start->pid, start->fd);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	desk_count = start->desks;
	room = start->room;
	size_t tops = weft__desk_tops(desk_count);
	void *top = mmap(NULL, tops, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	void *rest = mmap(NULL, desk_count * room, PROT_READ, MAP_SHARED, fd, (off_t)tops);
	int rc = top == MAP_FAILED || rest == MAP_FAILED ? -errno : 0;
	desks = top;
	rooms = rest;
	close(fd);
	return rc;
}

/* The command has called start() as well, and put out what it emitted. */
static int start_job(void)
{
	struct weft__part part = { .number = 1, .slice.name = "-" };
	struct weft__lane lane;

	if (!code.start)
		return 0;
	weft__lane_init(&lane, &run);
	weft__lane_begin(&lane, &part, true);
	int rc = code.start(&lane.job);
	weft__lane_end(&lane);
	weft__buffer_fini(&part.out);
	return rc == 0 ? 0 : WEFT_EINVAL;
}

int weft__isolated_begin(const void *in, size_t size, struct weft_reply *reply)
{
	struct weft__isolated_start start;
	const char *at = (const char *)in + sizeof start;

	(void)size, (void)reply;
	memcpy(&start, in, sizeof start);
	options.skip_failed = start.skip_failed;
	options.max_record = start.max_record;
	options.record_timeout = start.timeout;
	const char *path = take_string(&at), *name = take_string(&at);
	if (!path || !name || !weft__code_load(&code, path, name))
		return WEFT_EINVAL;
	int rc = take_record(&at, &start.record);
	rc = rc ? rc : take_settings(&at, start.settings);
	rc = rc ? rc : open_desks(&start);
	rc = rc ? rc : start_job();
	return rc ? rc : start_watch();
}
WEFT_REMOTE(weft__isolated_begin);

/*
 * A batch
 */

static int answer(struct weft_reply *reply, const struct weft__part *part)
{
	struct weft__isolated_answer head = {
		.records = part->records,
		.failed = part->failed,
		.code = part->code,
		.cut = part->cut,
		.out = part->out.used,
		.notes = part->notes.used,
	};
	int rc = weft_reply_put(reply, &head, sizeof head);

	for (size_t i = 0; i < options.setting_count && rc == 0; i++) {
		bool used = atomic_load(&options.settings[i].used);
		rc = weft_reply_put(reply, &used, 1);
	}
	rc = rc ? rc : weft_reply_put(reply, part->out.data, part->out.used);
	return rc ? rc : weft_reply_put(reply, part->notes.data, part->notes.used);
}

static void map_batch(unsigned desk, struct weft__part *part)
{
	struct weft__lane *lane = &desks[desk].lane;

	atomic_store(&run.last, UINT64_MAX);
	sit_down(lane, desk, part);
	weft__lane_map(lane);
	leave();
	weft__lane_end(lane);
}

int weft__isolated_map(const void *in, size_t size, struct weft_reply *reply)
{
	struct weft__isolated_batch batch;
	const char *name = (const char *)in + sizeof batch;

	(void)size;
	memcpy(&batch, in, sizeof batch);
	records.used = out.used = 0;
	if (!weft__buffer_reserve(&records, batch.size + 1))
		return WEFT_ENOMEM;
	memcpy(records.data, rooms + batch.desk * room, batch.size);

	struct weft__part part = { .number = 1, .out = out };
	part.slice.name = name;
	part.slice.begin = records.data;
	part.slice.end = records.data + batch.size;
	part.slice.offset = batch.offset;
	map_batch(batch.desk, &part);
	int rc = answer(reply, &part);
	out = part.out;
	weft__buffer_fini(&part.notes);
	return rc;
}
WEFT_REMOTE(weft__isolated_map);
