/* SPDX-License-Identifier: MIT */
/*
 * map.c - `weft map` against the same functions in a serial loop (P22)
 *
 * The job is examples/jobs/word_count.c, with and without its table of words.
 * The serial side is what anybody would write around it: read(2) a megabyte,
 * find the lines with memchr, call map(), one state, finish() at the end.  Every
 * side is a process of its own, so starting and ending count for all of them, and
 * the CPU time of this process, which the table shows, is next to nothing.
 *
 * Besides: the same job in worker processes, --isolate.
 *
 * The text is real: what lies under /usr/share/doc and the like, repeated until
 * it is long enough, in a file in the page cache.
 */
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The job itself: map(), start(), merge(), finish() and their state. */
#include "../examples/jobs/word_count.c"

#include "bench.h"

#define BLOCK ((size_t)1 << 20)

extern char **environ;

static char weft[PATH_MAX], jobs[PATH_MAX], self[PATH_MAX];

/*
 * The serial side: this program again, with --serial FILE [TOP].
 */

static const char *serial_top;

static int serial_emit(struct weft_job *job, const void *data, size_t length)
{
	(void)job;
	return fwrite(data, 1, length, stdout) == length ? 0 : -1;
}

static int serial_emit_format(struct weft_job *job, const char *format, va_list values)
{
	(void)job;
	return vprintf(format, values) < 0;
}

static int serial_fail(struct weft_job *job, const char *format, va_list values)
{
	(void)job;
	vfprintf(stderr, format, values);
	return -1;
}

static const char *serial_arg(struct weft_job *job, const char *key)
{
	(void)job;
	return strcmp(key, "top") ? NULL : serial_top;
}

/* The lines of buffer[0..n); what is left of the last one moves to the front. */
static size_t map_lines(struct weft_job *job, char *buffer, size_t n)
{
	char *at = buffer, *end = buffer + n, *stop;

	while ((stop = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		*stop = '\0';
		map(job, at, (size_t)(stop - at));
		at = stop + 1;
	}
	memmove(buffer, at, (size_t)(end - at));
	return (size_t)(end - at);
}

static int serial(const char *path, const char *how_many)
{
	static const struct weft_job_calls calls = { serial_emit, serial_emit_format, serial_fail,
						     serial_arg };
	struct counts counts = { 0 };
	struct weft_job job = { .calls = &calls, .state = &counts };
	char *buffer = malloc(2 * BLOCK);
	int fd = open(path, O_RDONLY);
	size_t left = 0;
	ssize_t n;

	serial_top = how_many;
	if (fd < 0 || !buffer || start(&job))
		return 1;
	/* No line of this text is longer than a block. */
	while ((n = read(fd, buffer + left, BLOCK)) > 0)
		left = map_lines(&job, buffer, left + (size_t)n);
	if (left)
		map(&job, buffer, left);
	return n < 0 || finish(&job, &counts);
}

/*
 * The sides, as child processes.
 */

struct command {
	char *words[12];
};

static bool spawn_and_wait(char *const *words)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int status = -1;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	int rc = posix_spawnp(&pid, words[0], &actions, NULL, words, environ);
	posix_spawn_file_actions_destroy(&actions);
	return rc == 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0;
}

static void run_command(void *arg)
{
	struct command *command = arg;

	bench_check(spawn_and_wait(command->words), command->words[0]);
}

/*
 * The text.
 */

static int text_fd;
static size_t text_size, text_most;

/* Text is what has no NUL in its first block; adds one such file. */
static int add_file(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
	static char buffer[1 << 20];
	int fd = type == FTW_F && status->st_size > 0 && status->st_size < (off_t)sizeof buffer
			 ? open(path, O_RDONLY)
			 : -1;
	ssize_t n = fd < 0 ? 0 : read(fd, buffer, sizeof buffer);

	(void)ftw;
	if (n > 0 && !memchr(buffer, '\0', (size_t)n) && buffer[n - 1] == '\n')
		text_size += (size_t)write(text_fd, buffer, (size_t)n);
	if (fd >= 0)
		close(fd);
	return text_size >= text_most;
}

static void make_text(const char *path, size_t size)
{
	static const char *const folders[] = { "/usr/share/doc",   "/usr/share/common-licenses",
					       "/usr/share/perl",  "/usr/share/perl5",
					       "/usr/lib/python3", "/usr/include" };

	text_most = size;
	text_fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	bench_check(text_fd >= 0, path);
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
		nftw(folders[i], add_file, 32, FTW_PHYS);
	bench_check(text_size > 0, "no text on this machine");
	for (size_t whole = text_size; text_size < size;) {
		off_t from = 0;
		size_t want = size - text_size < whole ? size - text_size : whole;
		while ((size_t)from < want) {
			ssize_t n = copy_file_range(text_fd, &from, text_fd, NULL,
						    want - (size_t)from, 0);
			bench_check(n > 0, "copying the text");
			text_size += (size_t)n;
		}
	}
	bench_check(ftruncate(text_fd, (off_t)size) == 0, path);
	text_size = size;
	close(text_fd);
}

/*
 * The rows.
 */

static char top_20[] = "top=20";

static void word_count(char *text, const char *what, char *set_top, bool with_parallel)
{
	char job[PATH_MAX + 16];
	snprintf(job, sizeof job, "%s/word_count.c", jobs);
	char *set = set_top ? (char[]){ "--set" } : NULL;
	struct command alone = { { self, (char[]){ "--serial" }, text,
				   set_top ? set_top + 4 : NULL } };
	struct command one = { { weft, (char[]){ "map" }, (char[]){ "-qj1" }, job, text, set,
				 set_top } };
	struct command all = { { weft, (char[]){ "map" }, (char[]){ "-q" }, job, text, set,
				 set_top } };
	struct command parallel = { { (char[]){ "parallel" }, (char[]){ "--pipepart" },
				      (char[]){ "--block" }, (char[]){ "16M" }, (char[]){ "-a" },
				      text, (char[]){ "wc -lw" } } };
	struct bench_row row = { .what = what, .items = (double)text_size / 1e6 };

	bench_check(spawn_and_wait(all.words), "weft map"); /* compiled, and in the cache */
	bench_plain(&row, "serial", run_command, &alone);
	bench_plain(&row, "weft map 1", run_command, &one);
	bench_plain(&row, "weft map N", run_command, &all);
	if (with_parallel &&
	    spawn_and_wait((char *[]){ (char[]){ "parallel" }, (char[]){ "--version" }, NULL }))
		bench_plain(&row, "GNU parallel", run_command, &parallel);
	bench_bar(&row, "P22", "serial", "weft map N", BENCH_AT_LEAST, 1.85);
	bench_run(&row);
}

/* In worker processes, with a job of some weight: 8 multiplications a byte. */
static void isolated(char *text)
{
	char job[PATH_MAX + 2];
	static const char source[] =
		"#include <weft/job.h>\n"
		"int map(struct weft_job *job, const char *record, size_t length)\n"
		"{ unsigned long h = 0; for (int k = 0; k < 8; k++) for (size_t i = 0; i < "
		"length;)\n"
		"h = (h ^ (unsigned char)record[i++]) * 1099511628211ul;\n"
		"return h == 1 ? weft_emits(job, \"!\") : 0; }\n";

	snprintf(job, sizeof job, "%s.c", text);
	FILE *out = fopen(job, "w");
	bench_check(out && fputs(source, out) >= 0 && fclose(out) == 0, job);
	struct command plain = { { weft, (char[]){ "map" }, (char[]){ "-q" }, job, text } };
	struct command apart = { { weft, (char[]){ "map" }, (char[]){ "-q" },
				   (char[]){ "--isolate" }, job, text } };
	struct bench_row row = { .what = "map: in worker processes (MB)",
				 .items = (double)text_size / 1e6 };

	bench_check(spawn_and_wait(apart.words), "weft map --isolate");
	bench_plain(&row, "weft map N", run_command, &plain);
	bench_plain(&row, "--isolate", run_command, &apart);
	bench_bar(&row, "isolate", "weft map N", "--isolate", BENCH_AT_LEAST, 0.8);
	bench_run(&row);
	unlink(job);
}

/* A job that looks at no byte: what is left is reading and splitting. */
static void splitting(char *text)
{
	char job[PATH_MAX + 2], kind[] = "--record";
	static const char source[] =
		"#include <weft/job.h>\n"
		"int map(struct weft_job *job, const char *record, size_t length)\n"
		"{ (void)job, (void)record, (void)length; return 0; }\n";
	static const char *const kinds[] = { "lines", "blank-line", "fixed:64", "the", ". " };

	snprintf(job, sizeof job, "%s.c", text);
	FILE *out = fopen(job, "w");
	bench_check(out && fputs(source, out) >= 0 && fclose(out) == 0, job);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		char what[64], word[16];
		snprintf(word, sizeof word, "%s", kinds[i]);
		snprintf(what, sizeof what, "splitting, one core, %s", word);
		struct command one = { { weft, (char[]){ "map" }, (char[]){ "-qj1" },
					 (char[]){ "--on-error=skip" }, kind, word, job, text } };
		double best = 1e9;
		spawn_and_wait(one.words);
		for (int round = 0; round < (bench_quick() ? 1 : 5); round++) {
			double begin = bench_now();
			spawn_and_wait(one.words);
			double took = bench_now() - begin;
			best = took < best ? took : best;
		}
		bench_value("P22", what, (double)text_size / best * 1e-9, "GB/s", BENCH_AT_LEAST,
			    1);
	}
	unlink(job);
}

int main(int argc, char **argv)
{
	if (argc >= 3 && !strcmp(argv[1], "--serial"))
		return serial(argv[2], argc > 3 ? argv[3] : NULL);
	bench_begin(argc, argv);

	char source[] = __FILE__, text[PATH_MAX];
	const char *tmp = getenv("TMPDIR");
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	bench_check(n > 0, "/proc/self/exe");
	snprintf(text, sizeof text, "%s", self);
	snprintf(weft, sizeof weft, "%s/weft", dirname(dirname(text)));
	snprintf(jobs, sizeof jobs, "%s/examples/jobs", dirname(dirname(source)));
	snprintf(text, sizeof text, "%s/weft-bench-%ld", tmp ? tmp : "/tmp", (long)getpid());

	make_text(text, (size_t)(bench_quick() ? 8 : 512) << 20);
	word_count(text, "map: lines, words, bytes (MB)", NULL, true);
	word_count(text, "map: and the 20 top words (MB)", top_20, false);
	isolated(text);
	splitting(text);
	unlink(text);
	return bench_end();
}
