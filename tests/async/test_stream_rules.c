/* SPDX-License-Identifier: MIT */
/*
 * test_stream_rules.c - the rules of streams, over sources and stages that run tasks; and
 * every source under every stage, closed early
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "deque/alloc.h"
#include "support/proc.h"
#include "support/virtual.h"

#include <weft/stream_check.h>

TestSuite(stream_rules, .timeout = 110);

/* --- sources: all of them end ------------------------------------------------- */

enum { ITEMS = 12 };

static char root[] = "/tmp/weft-rules-XXXXXX";

/* Two of a kind are open at a time, at most. */
static struct weft_channel *channels[2];
static unsigned turn;

static int counts_up(void *item, void *arg)
{
	uint64_t *n = arg;

	if (*n == ITEMS)
		return 0;
	*(uint64_t *)item = (*n)++;
	return 1;
}

static struct weft_stream *from_array(void)
{
	static const int64_t items[ITEMS] = { 1, 2, 3 };
	return weft_from_array(items, ITEMS, sizeof *items);
}
static struct weft_stream *from_function(void)
{
	static uint64_t counts[2];
	uint64_t *n = &counts[turn++ % 2];
	*n = 0;
	return weft_from_function(counts_up, n, sizeof *n);
}
static struct weft_stream *from_range(void)
{
	return weft_from_range(0, ITEMS, 1);
}
static struct weft_stream *from_nothing(void)
{
	return weft_from_nothing(sizeof(int64_t));
}
static struct weft_stream *from_error(void)
{
	return weft_from_error(WEFT_EIO, sizeof(int64_t));
}
static struct weft_stream *from_channel(void)
{
	struct weft_channel **c = &channels[turn++ % 2];

	weft_channel_destroy(*c);
	if (weft_channel_create(c, sizeof(int64_t), ITEMS) != 0)
		return NULL;
	for (int64_t i = 0; i < ITEMS; i++)
		weft_channel_try_send(*c, &i);
	weft_channel_close(*c);
	return weft_from_channel(*c, sizeof(int64_t));
}
static struct weft_stream *from_interval(void)
{
	return weft_take(weft_interval(WEFT_MS(1), WEFT_LATE_BURST), ITEMS);
}
static void close_channels(void)
{
	for (int i = 0; i < 2; i++) {
		weft_channel_destroy(channels[i]);
		channels[i] = NULL;
	}
}
static int text(void)
{
	int fd = memfd_create("text", MFD_CLOEXEC);

	for (int i = 0; i < ITEMS; i++)
		if (write(fd, "line\n", 5) != 5)
			return -1;
	lseek(fd, 0, SEEK_SET);
	return fd;
}
static struct weft_stream *from_lines(void)
{
	return weft_from_lines(text(), 0, true);
}
static struct weft_stream *from_blocks(void)
{
	return weft_from_blocks(text(), 5, true);
}
static struct weft_stream *from_walk(void)
{
	return weft_walk(root);
}
static struct weft_stream *from_program(void)
{
	static char *argv[] = { "seq", "12", NULL };
	return weft_exec_lines(0, NULL, .argv = argv);
}
static struct weft_stream *from_failing_program(void)
{
	static char *argv[] = { "sh", "-c", "echo a; exit 1", NULL };
	return weft_exec_blocks(5, NULL, .argv = argv);
}
static struct weft_stream *make_range(void *arg)
{
	(void)arg;
	return from_range();
}
static struct weft_stream *from_retry(void)
{
	return weft_retry_stream(make_range, NULL, sizeof(int64_t), .attempts = 3);
}

static const struct {
	const char *name;
	struct weft_stream *(*make)(void);
} sources[] = {
	{ "array", from_array },       { "function", from_function },
	{ "range", from_range },       { "nothing", from_nothing },
	{ "error", from_error },       { "channel", from_channel },
	{ "interval", from_interval }, { "lines", from_lines },
	{ "blocks", from_blocks },     { "walk", from_walk },
	{ "program", from_program },   { "failing program", from_failing_program },
	{ "retry", from_retry },
};

/* --- stages, for items of any size --------------------------------------------- */

static bool all_of_them(const void *item, void *arg)
{
	(void)item;
	(void)arg;
	return true;
}
static struct weft_stream *filter(struct weft_stream *s, void *arg)
{
	return weft_filter(s, all_of_them, arg);
}
static struct weft_stream *take(struct weft_stream *s, void *arg)
{
	(void)arg;
	return weft_take(s, 5);
}
static struct weft_stream *take_while(struct weft_stream *s, void *arg)
{
	return weft_take_while(s, all_of_them, arg);
}
static struct weft_stream *skip(struct weft_stream *s, void *arg)
{
	(void)arg;
	return weft_skip(s, 2);
}
static struct weft_stream *enumerate(struct weft_stream *s, void *arg)
{
	(void)arg;
	return weft_enumerate(s);
}
static struct weft_stream *distinct(struct weft_stream *s, void *arg)
{
	(void)arg;
	return weft_distinct(s);
}
static struct weft_stream *chain(struct weft_stream *s, void *arg)
{
	(void)arg;
	return weft_chain(&s, 1);
}
static struct weft_stream *interleave(struct weft_stream *s, void *arg)
{
	struct weft_stream *both[] = { s, weft_from_nothing(weft_stream_item_size(s)) };
	(void)arg;
	return weft_interleave(both, 2);
}
static struct weft_stream *zip(struct weft_stream *s, void *arg)
{
	(void)arg;
	return weft_zip(s, weft_from_range(0, 1000, 1));
}

static struct weft_stream *buffer(struct weft_stream *s, void *arg)
{
	return weft_buffer(s, *(size_t *)arg);
}
static struct weft_stream *prefetch(struct weft_stream *s, void *arg)
{
	return weft_prefetch(s, *(size_t *)arg);
}
static struct weft_stream *conflate(struct weft_stream *s, void *arg)
{
	(void)arg;
	return weft_conflate(s);
}
static struct weft_stream *merge(struct weft_stream *s, void *arg)
{
	(void)arg;
	return weft_merge(&s, 1);
}
static struct weft_stream *merge_two(struct weft_stream *s, void *arg)
{
	size_t size = weft_stream_item_size(s);
	struct weft_stream *both[] = { s, weft_from_nothing(size ? size : 8) };
	(void)arg;
	return weft_merge(both, 2);
}
static int same(const void *in, void *out, void *arg)
{
	memcpy(out, in, *(size_t *)arg);
	return 1;
}
static size_t item_size;
static struct weft_stream *apply_all(struct weft_stream *s, size_t limit, bool unordered)
{
	item_size = s ? weft_stream_item_size(s) : 8;
	return weft_apply(s, same, &item_size, item_size, .limit = limit, .unordered = unordered);
}
static struct weft_stream *apply(struct weft_stream *s, void *arg)
{
	return apply_all(s, *(size_t *)arg, false);
}
static struct weft_stream *apply_unordered(struct weft_stream *s, void *arg)
{
	return apply_all(s, *(size_t *)arg, true);
}

/* A stream of one item, which lies in it. */
struct single {
	bool given;
	char item[WEFT_STAGE_ITEM];
};
static int single_next(void *state, void *item)
{
	struct single *one = state;
	int rc = one->given ? 0 : weft_checkpoint();

	if (one->given || rc != 0)
		return rc;
	one->given = true;
	memcpy(item, one->item, item_size);
	return 1;
}
static struct weft_stream *one_of(const void *item, void *arg)
{
	static const struct weft_stream_ops ops = { .next = single_next, .name = "single" };
	void *state;
	struct weft_stream *s =
		weft_stream_create(&ops, item_size, sizeof(struct single), &state, NULL, 0);

	(void)arg;
	if (s)
		memcpy(((struct single *)state)->item, item, item_size);
	return s;
}
static struct weft_stream *flat_map(struct weft_stream *s, void *arg)
{
	item_size = s ? weft_stream_item_size(s) : 8;
	return weft_flat_map(s, one_of, NULL, item_size, .limit = *(size_t *)arg);
}

/* Chunks are pointers; this is what is in them. */
static int fold(const void *in, void *out, void *arg)
{
	const struct weft_chunk *chunk = in;
	uint64_t sum = 0, head;

	for (size_t i = 0; i < chunk->n; i++) {
		memcpy(&head, (char *)chunk->items + i * *(size_t *)arg, sizeof head);
		sum = sum * 31 + head;
	}
	memcpy(out, &sum, sizeof sum);
	return 1;
}
static struct weft_stream *folded(struct weft_stream *chunks)
{
	return weft_apply(chunks, fold, &item_size, sizeof(uint64_t));
}
static struct weft_stream *batch(struct weft_stream *s, void *arg)
{
	item_size = s ? weft_stream_item_size(s) : 8;
	return folded(weft_batch(s, 5, *(int64_t *)arg));
}
static struct weft_stream *window(struct weft_stream *s, void *arg)
{
	item_size = s ? weft_stream_item_size(s) : 8;
	return folded(weft_window(s, 4, *(size_t *)arg));
}
static struct weft_stream *window_time(struct weft_stream *s, void *arg)
{
	item_size = s ? weft_stream_item_size(s) : 8;
	return folded(weft_window_time(s, *(int64_t *)arg, *(int64_t *)arg, 10));
}
static struct weft_stream *throttle(struct weft_stream *s, void *arg)
{
	return weft_throttle(s, .rate = 1000, .burst = *(size_t *)arg);
}
static struct weft_stream *timeout_each(struct weft_stream *s, void *arg)
{
	return weft_timeout_each(s, *(int64_t *)arg);
}
static struct weft_stream *debounce(struct weft_stream *s, void *arg)
{
	return weft_debounce(s, *(int64_t *)arg);
}
static struct weft_stream *sample(struct weft_stream *s, void *arg)
{
	return weft_sample(s, *(int64_t *)arg);
}
static struct weft_stream *share(struct weft_stream *s, void *arg)
{
	struct weft_stream *reader = NULL;
	(void)arg;
	return weft_share(s, &reader, 1) == 0 ? reader : NULL;
}
static size_t first_reader(const void *item, void *arg)
{
	(void)item;
	(void)arg;
	return 0;
}
static struct weft_stream *partition(struct weft_stream *s, void *arg)
{
	struct weft_stream *reader = NULL;
	(void)arg;
	return weft_partition(s, first_reader, NULL, &reader, 1) == 0 ? reader : NULL;
}

static size_t zero, three = 3, six = 6;
static int64_t ms = 1000000, no_time, hour = 3600 * INT64_C(1000000000);

static const struct weft_stage stages[] = {
	{ .name = "buffer", .make = buffer, .arg = &three, .passes = true, .tasks = true },
	{ .name = "buffer of 0", .make = buffer, .arg = &zero, .passes = true, .tasks = true },
	{ .name = "prefetch", .make = prefetch, .arg = &three, .passes = true, .tasks = true },
	{ .name = "conflate", .make = conflate, .passes = true, .tasks = true, .varies = true },
	{ .name = "merge", .make = merge, .passes = true, .tasks = true },
	{ .name = "merge of two", .make = merge_two, .passes = true, .tasks = true },
	{ .name = "apply", .make = apply, .arg = &three, .tasks = true },
	{ .name = "unordered",
	  .make = apply_unordered,
	  .arg = &three,
	  .tasks = true,
	  .varies = true },
	{ .name = "flat_map", .make = flat_map, .arg = &three, .tasks = true, .varies = true },
	{ .name = "batch", .make = batch, .arg = &no_time },
	{ .name = "batch with time", .make = batch, .arg = &hour },
	{ .name = "window", .make = window, .arg = &three },
	{ .name = "window with gaps", .make = window, .arg = &six },
	{ .name = "window_time", .make = window_time, .arg = &ms, .tasks = true, .varies = true },
	{ .name = "throttle", .make = throttle, .arg = &three, .passes = true },
	{ .name = "timeout_each", .make = timeout_each, .arg = &hour, .passes = true },
	{ .name = "debounce", .make = debounce, .arg = &ms, .passes = true, .varies = true },
	{ .name = "sample", .make = sample, .arg = &ms, .passes = true, .varies = true },
	{ .name = "share", .make = share, .passes = true },
	{ .name = "partition", .make = partition, .passes = true },
};

/* Those that only compute have their own table of rules, in test_stream.c. */
static const struct weft_stage pure[] = {
	{ .name = "filter", .make = filter },
	{ .name = "take", .make = take },
	{ .name = "take_while", .make = take_while },
	{ .name = "skip", .make = skip },
	{ .name = "enumerate", .make = enumerate },
	{ .name = "distinct", .make = distinct },
	{ .name = "chain", .make = chain },
	{ .name = "interleave", .make = interleave },
	{ .name = "zip", .make = zip },
};

/* --- the rules --------------------------------------------------------------------- */

static void setup(void)
{
	char path[64];

	if (!mkdtemp(root))
		return;
	for (int i = 0; i < ITEMS; i++) {
		snprintf(path, sizeof path, "%s/%d", root, i);
		if (i % 3 == 0)
			mkdir(path, 0700);
		else
			close(open(path, O_CREAT | O_WRONLY, 0600));
	}
}

static void teardown(void)
{
	char path[64];

	for (int i = 0; i < ITEMS; i++) {
		snprintf(path, sizeof path, "%s/%d", root, i);
		remove(path);
	}
	rmdir(root);
	close_channels();
}

static int check_stages(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < COUNT_OF(stages) && broken_count == 0; i++) {
		const char *rule = weft_stream_check(&stages[i]);
		if (rule)
			tell((int)i, rule);
	}
	return 0;
}

VirtualTest(stream_rules, every_stage_keeps_them)
{
	cr_assert(eq(int, go(check_stages, NULL), 0));
}

static struct weft_stream *source_at(struct weft_stream *none, void *arg)
{
	(void)none;
	return sources[*(size_t *)arg].make();
}

static int check_sources(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < COUNT_OF(sources) && broken_count == 0; i++) {
		const struct weft_stage stage = { .name = sources[i].name,
						  .make = source_at,
						  .arg = &i,
						  .tasks = true,
						  .varies = true,
						  .source = true };
		const char *rule = weft_stream_check(&stage);
		if (rule)
			tell((int)i, rule);
	}
	return 0;
}

Test(stream_rules, every_source_keeps_them, .init = setup, .fini = teardown)
{
	int before = proc_fd_count();

	go_workers = 2;
	cr_assert(eq(int, go(check_sources, NULL), 0));
	cr_assert(eq(int, proc_fd_count(), before));
}

static int fail_each_allocation(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < COUNT_OF(stages); i++) {
		bool failed = true;
		for (uint64_t n = 1; failed; n++) {
			struct weft_probe probe = { .n = 3 };
			struct weft_stream *source = weft_probe_open(&probe);
			weft__alloc_fail_at(n);
			struct weft_stream *s = stages[i].make(source, stages[i].arg);
			weft__alloc_fail_at(0);
			failed = s == NULL;
			weft_stream_destroy(s);
			if (probe.closed != 1 || probe.freed != 1)
				tell((int)i, stages[i].name);
		}
	}
	return 0;
}

Test(stream_rules, ST_3_a_source_is_owned_also_when_a_stage_cannot_be_made)
{
	int64_t live = weft__alloc_live();

	cr_assert(eq(int, go(fail_each_allocation, NULL), 0));
	cr_assert(eq(i64, weft__alloc_live(), live));
}

/* --- every source under every stage, closed early ------------------------------------- */

/* Between both: counts what becomes of the source. */
struct counted {
	struct weft_stream *source;
};
static uint32_t opens, closes, frees;

static int counted_next(void *state, void *item)
{
	return weft_next(((struct counted *)state)->source, item);
}
static void counted_close(void *state)
{
	(void)state;
	add_seqcst(&closes, 1);
}
static void counted_free(void *state)
{
	(void)state;
	add_seqcst(&frees, 1);
}
static struct weft_stream *counted(struct weft_stream *source)
{
	static const struct weft_stream_ops ops = { counted_next, counted_close, counted_free,
						    "counted" };
	void *state;
	struct weft_stream *s = weft_stream_create(&ops, weft_stream_item_size(source),
						   sizeof(struct counted), &state, &source, 1);

	((struct counted *)state)->source = source;
	opens++;
	return s;
}

static void close_early(size_t source, const struct weft_stage *stage, int most)
{
	_Alignas(max_align_t) char item[WEFT_STAGE_ITEM];
	struct weft_stream *s = stage->make(counted(sources[source].make()), stage->arg);
	int rc = 1;

	for (int i = 0; i < most && rc > 0; i++)
		rc = weft_next(s, item);
	if (most % 2)
		weft_stream_close(s);
	weft_stream_destroy(s);
	if (opens != closes || opens != frees || rc == WEFT_ECANCELED)
		tell(most, stage->name);
}

static int close_each_early(void *arg)
{
	static const int most[] = { 0, 1, 4, 1000 };
	size_t source = *(size_t *)arg;

	for (size_t k = 0; k < COUNT_OF(most); k++) {
		for (size_t i = 0; i < COUNT_OF(stages); i++)
			close_early(source, &stages[i], most[k]);
		for (size_t i = 0; i < COUNT_OF(pure); i++)
			close_early(source, &pure[i], most[k]);
	}
	return 0;
}

Test(stream_rules, closed_early_nothing_is_left_open, .init = setup, .fini = teardown)
{
	int fds = proc_fd_count();

	go_workers = 2;
	for (size_t i = 0; i < COUNT_OF(sources); i++) {
		int64_t live = weft__alloc_live();
		cr_assert(eq(int, go(close_each_early, &i), 0), "%s", sources[i].name);
		close_channels();
		cr_assert(eq(i64, weft__alloc_live(), live), "%s", sources[i].name);
		cr_assert(eq(int, proc_fd_count(), fds), "%s", sources[i].name);
	}
}
