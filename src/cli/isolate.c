/* SPDX-License-Identifier: MIT */
/* isolate.c - the command's side of map() in worker processes */
#include "isolate.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <weft/error.h>
#include <weft/process.h>
#include <weft/task.h>

#include "say.h"

/* Of a lane. */
struct seat {
	struct weft__run *run;
	unsigned desk;
};

struct weft__isolation {
	struct weft_process_pool *pool;
	unsigned count;
	int fd; /* of the desks */
	size_t room;
	struct weft__desk *desks;
	char *rooms;
	struct seat *seats;
};

bool weft__isolate_allows(const struct weft__code *code, const char *job)
{
	if (code->state_size == 0)
		return true;
	weft__say("%s: has a state, which cannot leave its process: not with --isolate", job);
	return false;
}

/*
 * Batches
 */

/* What was sent, and what came of it. */
struct trial {
	char *at, *limit;
	int rc; /* of weft_to_process */
	struct weft_proc_status st;
};

/* The record of [begin, end), which is not empty, that holds the byte at `at`; the last
 * one when that lies behind. */
static char *record_at(const struct weft__record_format *format, char *begin, char *end, char *at)
{
	uint64_t count;

	for (;;) {
		char *next = weft__record_skip(format, begin, end, 1, &count);
		if (count == 0 || next >= end || at < next)
			return begin;
		begin = next;
	}
}

/* Lays the batch on the desk; `b` is what is said about it. */
static bool make_batch(struct weft__buffer *b, const struct weft__lane *lane, const struct trial *t)
{
	const struct weft__isolation *all = lane->run->isolation;
	const struct weft__slice *slice = &lane->part->slice;
	struct weft__isolated_batch head = {
		.desk = lane->desk,
		.offset = slice->offset + (uint64_t)(t->at - slice->begin),
		.size = (size_t)(t->limit - t->at),
	};

	if (head.size > all->room)
		return false;
	memcpy(all->rooms + lane->desk * all->room, t->at, head.size);
	atomic_store(&all->desks[lane->desk].overdue, false);
	all->desks[lane->desk].lane.job.offset = 0;
	return weft__buffer_add(b, &head, sizeof head) &&
	       weft__buffer_add(b, slice->name, strlen(slice->name) + 1);
}

/* A desk keeps what an ordinary part needs. */
static void clear_desk(const struct weft__lane *lane, size_t used)
{
	const struct weft__isolation *all = lane->run->isolation;

	if (used > WEFT__BLOCK_SIZE)
		madvise(all->rooms + lane->desk * all->room, all->room, MADV_REMOVE);
}

static void note_used(struct weft__options *o, const char *used)
{
	for (size_t i = 0; i < o->setting_count; i++) {
		if (used[i])
			atomic_store_explicit(&o->settings[i].used, true, memory_order_relaxed);
	}
}

/* The output is gone, or there is no memory for it. */
static void cannot_emit(struct weft__lane *lane)
{
	lane->part->cut = true;
	if (lane->gone)
		return;
	weft__part_note_file(lane->part, "no memory for the output");
	weft__lane_cut(lane, WEFT__EXIT_SYSTEM);
}

/* What the lane would hold had it mapped the batch itself.  A worker, whose memory the
 * job has access to, may say anything; false when it makes no sense. */
static bool take(struct weft__lane *lane, const struct weft_buf *answer)
{
	struct weft__options *o = lane->run->options;
	struct weft__isolated_answer head;
	const char *at = answer->data;
	size_t size = answer->size - sizeof head - o->setting_count;

	if (answer->size < sizeof head + o->setting_count)
		return false;
	memcpy(&head, at, sizeof head);
	if (head.out > size || head.notes != size - head.out || head.failed > head.records)
		return false;
	note_used(o, at + sizeof head);
	at += sizeof head + o->setting_count;
	if (!weft__part_take_notes(lane->part, lane->part->records, at + head.out, head.notes))
		return false;
	if (head.out > 0 && weft_emit(&lane->job, at, head.out) != 0)
		cannot_emit(lane);
	lane->part->records += head.records;
	lane->part->failed += head.failed;
	if (head.cut)
		weft__lane_cut(lane, head.code == WEFT__EXIT_SYSTEM ? WEFT__EXIT_SYSTEM
								    : WEFT__EXIT_RECORDS);
	weft__lane_flush_notes(lane);
	return true;
}

/*
 * Ends
 */

/* The last line that it wrote to its standard error, if any. */
static const char *last_line(struct weft_proc_status *st)
{
	char *text = st->stderr_tail;

	while (st->stderr_size > 0 && text[st->stderr_size - 1] == '\n')
		text[--st->stderr_size] = '\0';
	char *line = memrchr(text, '\n', st->stderr_size);
	return line ? line + 1 : text;
}

static int explain_end(const struct weft__lane *lane, const struct weft_proc_status *st, char *why,
		       size_t size)
{
	const char *name = sigabbrev_np(st->signo);

	if (atomic_load(&lane->run->isolation->desks[lane->desk].overdue))
		return snprintf(why, size, "took longer than %g s (--record-timeout)",
				(double)lane->run->options->record_timeout * 1e-9);
	if (st->signo)
		return snprintf(why, size, "killed by signal %d (SIG%s)", st->signo,
				name ? name : "?");
	return snprintf(why, size, "exited with status %d", st->exit_code);
}

static void explain(const struct weft__lane *lane, struct trial *t, char *why, size_t size)
{
	const char *line = last_line(&t->st);

	if (t->rc == -EMSGSIZE) {
		snprintf(why, size, "puts out more than can be handed over");
	} else if (t->rc != WEFT_ECRASHED) {
		snprintf(why, size, "worker process: %s", strerror(-t->rc));
	} else {
		int n = explain_end(lane, &t->st, why, size);
		if (*line)
			snprintf(why + n, size - (size_t)n, ": %s", line);
	}
}

/* Of records?  Others are of the machine. */
static bool is_of_records(int rc)
{
	return rc == WEFT_ECRASHED || rc == -EMSGSIZE || rc == WEFT_ENOMEM || rc == -EPROTO;
}

static void no_workers(struct weft__lane *lane, int rc)
{
	bool broken = rc == WEFT_EBROKEN;
	char why[128];

	snprintf(why, sizeof why, "worker processes: %s",
		 broken ? "the job does not start there" : strerror(-rc));
	weft__part_note_file(lane->part, why);
	weft__lane_cut(lane, broken ? WEFT__EXIT_JOB : WEFT__EXIT_SYSTEM);
}

/*
 * A part
 */

static void send(struct weft__lane *lane, struct trial *t)
{
	struct weft__buffer batch = { 0 };
	struct weft_buf answer = { 0 };

	t->st = (struct weft_proc_status){ 0 };
	t->rc = WEFT_ENOMEM;
	if (make_batch(&batch, lane, t))
		t->rc = weft_to_process(weft__isolated_map, batch.data, batch.used, &answer,
					.pool = lane->run->isolation->pool, .status = &t->st);
	if (t->rc == 0 && !take(lane, &answer))
		t->rc = -EPROTO;
	weft_buf_free(&answer);
	weft__buffer_fini(&batch);
	clear_desk(lane, (size_t)(t->limit - t->at));
}

/* Where in [begin, end) the worker was, if it says so. */
static char *whereabouts(const struct weft__lane *lane, char *begin, const char *end)
{
	const struct weft__slice *slice = &lane->part->slice;
	const struct weft__desk *desk = &lane->run->isolation->desks[lane->desk];
	uint64_t base = slice->offset + (uint64_t)(begin - slice->begin);
	uint64_t at = __atomic_load_n(&desk->lane.job.offset, __ATOMIC_RELAXED) - base;

	return at < (uint64_t)(end - begin) ? begin + at : begin;
}

/* Empty lines before a stanza belong to what is cut, and not to the record: it begins
 * at or behind t->at, and before `end`. */
static void blame(struct weft__lane *lane, struct trial *t, const char *end)
{
	const struct weft__slice *slice = &lane->part->slice;
	char why[1024];

	lane->job.offset = slice->offset + (uint64_t)(whereabouts(lane, t->at, end) - slice->begin);
	lane->mark = lane->job.out;
	explain(lane, t, why, sizeof why);
	weft__lane_record_failed(lane, why);
}

/* The batch did not go through: the next one is shorter, or without the record that is
 * to blame. */
static void narrow(struct weft__lane *lane, struct trial *t)
{
	const struct weft__record_format *format = &lane->run->options->record;
	bool crashed = t->rc == WEFT_ECRASHED;
	char *middle = t->at + (t->limit - t->at) / 2;
	char *here = crashed ? whereabouts(lane, t->at, t->limit) : middle;
	char *bad = record_at(format, t->at, t->limit, here);
	uint64_t one;
	char *second = weft__record_skip(format, t->at, t->limit, 1, &one);

	if (bad > t->at) {
		t->limit = bad;
	} else if (!crashed && second < t->limit) {
		t->limit = second;
	} else {
		blame(lane, t, second);
		t->at = second;
		t->limit = lane->part->slice.end;
	}
}

static bool is_wanted(const struct weft__lane *lane)
{
	return !lane->part->cut &&
	       atomic_load_explicit(&lane->run->last, memory_order_relaxed) >= lane->part->number;
}

void weft__isolate_map(struct weft__lane *lane)
{
	char *end = lane->part->slice.end;
	struct trial t = { .at = lane->part->slice.begin, .limit = end };

	while (t.at < end && is_wanted(lane)) {
		send(lane, &t);
		if (t.rc == 0) {
			t.at = t.limit;
			t.limit = end;
		} else if (is_of_records(t.rc)) {
			narrow(lane, &t);
		} else {
			no_workers(lane, t.rc);
		}
	}
	if (t.at < end)
		lane->part->cut = true;
}

/*
 * The run
 */

static bool make_start(struct weft__buffer *b, const struct weft__run *run, int fd)
{
	const struct weft__options *o = run->options;
	struct weft__isolated_start head = {
		.pid = getpid(),
		.fd = fd,
		.desks = run->isolation->count,
		.room = run->isolation->room,
		.skip_failed = o->skip_failed,
		.record = o->record,
		.max_record = o->max_record,
		.timeout = o->record_timeout,
		.settings = o->setting_count,
	};
	bool fine = weft__buffer_add(b, &head, sizeof head) &&
		    weft__buffer_format(b, "%s%c%s%c", run->built.path, 0, o->job, 0);

	if (o->record.separator)
		fine = fine && weft__buffer_add(b, o->record.separator, o->record.length);
	for (size_t i = 0; i < o->setting_count; i++)
		fine = fine && weft__buffer_format(b, "%s%c%s%c", o->settings[i].key, 0,
						   o->settings[i].value, 0);
	return fine;
}

static int open_pool(struct weft__run *run)
{
	struct weft__isolation *all = run->isolation;
	struct weft__buffer start = { 0 };
	int rc = WEFT_ENOMEM;

	if (make_start(&start, run, all->fd))
		rc = weft_process_pool_create(&all->pool, .workers = run->options->workers,
					      .name = "weft/map", .init = weft__isolated_begin,
					      .init_data = start.data, .init_size = start.used,
					      .memory = run->options->memory);
	weft__buffer_fini(&start);
	return rc;
}

static size_t whole_pages(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (size + page - 1) / page * page;
}

size_t weft__desk_tops(unsigned desks)
{
	return whole_pages(desks * sizeof(struct weft__desk));
}

/* A part is at most a block, or one record and what ends it. */
static size_t room_for(const struct weft__options *o)
{
	size_t most = o->max_record + o->record.length + 1;

	return whole_pages(most > WEFT__BLOCK_SIZE ? most : WEFT__BLOCK_SIZE);
}

static int open_desks(struct weft__isolation *all)
{
	size_t tops = weft__desk_tops(all->count), size = tops + all->count * all->room;

	all->seats = calloc(all->count, sizeof *all->seats);
	all->fd = memfd_create("weft-map", MFD_CLOEXEC);
	if (!all->seats || all->fd < 0 || ftruncate(all->fd, (off_t)size) != 0)
		return all->seats ? -errno : WEFT_ENOMEM;
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, all->fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	all->desks = at;
	all->rooms = (char *)at + tops;
	return 0;
}

static void close_all(struct weft__isolation *all)
{
	if (all->pool)
		weft_process_pool_close(all->pool, WEFT_ECANCELED);
	if (all->desks)
		munmap(all->desks, weft__desk_tops(all->count) + all->count * all->room);
	if (all->fd >= 0)
		close(all->fd);
	free(all->seats);
}

static int sit(void *arg)
{
	const struct seat *seat = arg;

	return weft__lane_run_alone(seat->run, seat->desk);
}

static int run_seats(struct weft__isolation *all, struct weft__run *run)
{
	struct weft_group g;
	int rc = weft_group_open(&g);

	if (rc != 0)
		return rc;
	for (unsigned i = 0; i < all->count && rc == 0; i++) {
		all->seats[i].run = run;
		all->seats[i].desk = i;
		rc = weft_spawn(&g, sit, &all->seats[i]);
	}
	return weft_group_close(&g, rc);
}

int weft__isolate_run(struct weft__run *run)
{
	struct weft__isolation all = {
		.count = 2 * run->options->workers,
		.room = room_for(run->options),
		.fd = -1,
	};

	run->isolation = &all;
	int rc = open_desks(&all);
	rc = rc ? rc : open_pool(run);
	rc = rc ? rc : run_seats(&all, run);
	close_all(&all);
	run->isolation = NULL;
	return rc;
}
