/* SPDX-License-Identifier: MIT */
/*
 * build.c - compiled jobs, kept under the name of what they were made of
 *
 *	$XDG_CACHE_HOME/weft/KEY.list     the files that the job includes
 *	$XDG_CACHE_HOME/weft/OBJECT.so    the job
 *
 * KEY is a hash of all that is known before compiling: the source, where it
 * lies, weft/job.h, the compiler, its flags.  OBJECT is a hash of KEY and of the
 * contents of the files in the list.  So a change anywhere finds no object, and
 * two runs that compile at once put the same object in place; each file is
 * written aside and renamed.  What has not been used for a month is removed when
 * something new is put in.
 */
#include "build.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "buffer.h"
#include "compiler.h"
#include "file.h"
#include "say.h"

#define SOURCE_MOST ((size_t)64 << 20)
#define KEPT	    ((time_t)30 * 24 * 3600)

/* 32 hexadecimal digits. */
struct key {
	char text[33];
};

struct build {
	const char *job;
	char *source; /* its path, links resolved */
	char *include;
	char *cache;
	struct weft__compiler compiler;
	struct key key;
};

static void hash_bytes(XXH3_state_t *hash, const void *data, size_t n)
{
	/* The length in front keeps two neighbours from passing for others. */
	XXH3_128bits_update(hash, &n, sizeof n);
	XXH3_128bits_update(hash, data, n);
}

static void hash_text(XXH3_state_t *hash, const char *text)
{
	hash_bytes(hash, text, strlen(text));
}

static int hash_file(XXH3_state_t *hash, const char *path)
{
	char *data;
	size_t length;
	int rc = weft__file_load(path, SOURCE_MOST, &data, &length);

	if (rc < 0)
		return rc;
	hash_bytes(hash, data, length);
	free(data);
	return 0;
}

static struct key finish_hash(XXH3_state_t *hash)
{
	XXH128_hash_t digest = XXH3_128bits_digest(hash);
	struct key key;

	snprintf(key.text, sizeof key.text, "%016llx%016llx", (unsigned long long)digest.high64,
		 (unsigned long long)digest.low64);
	return key;
}

/* A compiler is known by its program: a new version is another file. */
static void hash_compiler(XXH3_state_t *hash, const struct weft__compiler *c)
{
	struct stat status = { 0 };

	stat(c->path, &status);
	hash_text(hash, c->path);
	hash_bytes(hash, &status.st_size, sizeof status.st_size);
	hash_bytes(hash, &status.st_mtim, sizeof status.st_mtim);
	for (size_t i = 0; i < c->count; i++)
		hash_text(hash, c->words[i]);
	for (size_t i = 0; i < c->library_count; i++)
		hash_text(hash, c->libraries[i]);
}

static bool make_key(struct build *b)
{
	XXH3_state_t hash;
	char *header;

	if (asprintf(&header, "%s/weft/job.h", b->include) < 0)
		return false;
	XXH3_128bits_reset(&hash);
	int rc = hash_file(&hash, b->source);
	if (rc == 0) {
		hash_text(&hash, b->source);
		hash_compiler(&hash, &b->compiler);
		rc = hash_file(&hash, header);
	}
	if (rc < 0)
		weft__say("%s: %s", b->job, strerror(-rc));
	b->key = finish_hash(&hash);
	free(header);
	return rc == 0;
}

/* The name of the object: the key, and the files of a list, one a line.  False
 * when one of them is gone. */
static bool name_object(const struct build *b, char *list, struct key *object)
{
	XXH3_state_t hash;
	char *rest = list;

	XXH3_128bits_reset(&hash);
	hash_text(&hash, b->key.text);
	for (char *path; (path = strsep(&rest, "\n")) != NULL;)
		if (*path && hash_file(&hash, path) < 0)
			return false;
	*object = finish_hash(&hash);
	return true;
}

static char *path_of(const struct build *b, const char *name, const char *suffix)
{
	char *path;

	return asprintf(&path, "%s/%s%s", b->cache, name, suffix) < 0 ? NULL : path;
}

/* The object, if it was compiled before from the same files. */
static char *look_up(const struct build *b)
{
	char *list = path_of(b, b->key.text, ".list"), *text, *object = NULL;
	struct key name;
	size_t length;

	if (list && weft__file_load(list, SOURCE_MOST, &text, &length) == 0) {
		if (name_object(b, text, &name))
			object = path_of(b, name.text, ".so");
		free(text);
	}
	/* A fresh date says that it is used; without the file this fails. */
	if (object && utimensat(AT_FDCWD, object, NULL, 0)) {
		free(object);
		object = NULL;
	}
	if (object)
		utimensat(AT_FDCWD, list, NULL, 0);
	free(list);
	return object;
}

/* The next character of a file name in a make rule, and *rule behind it; '\0'
 * between two names and at the end. */
static char rule_character(const char **rule)
{
	const char *p = *rule;

	if (*p == '\\' && (p[1] == ' ' || p[1] == '#'))
		return *rule += 2, p[1];
	if (*p == '$' && p[1] == '$')
		return *rule += 2, '$';
	if (*p == '\\' && p[1] == '\n')
		return *rule += 2, '\0';
	if (*p == ' ' || *p == '\n')
		return ++*rule, '\0';
	if (*p != '\0')
		++*rule;
	return *p;
}

/* "job: a.c b\ c.h" to absolute paths, one a line. */
static bool read_rule(const char *rule, struct weft__buffer *list)
{
	char name[PATH_MAX], path[PATH_MAX];

	for (rule += strcspn(rule, ":"), rule += *rule == ':'; *rule;) {
		size_t n = 0;
		while (n < sizeof name - 1 && (name[n] = rule_character(&rule)) != '\0')
			n++;
		name[n] = '\0';
		if (n > 0 && (!realpath(name, path) || !weft__buffer_format(list, "%s\n", path)))
			return false;
	}
	return true;
}

/* Removes what was last used before `limit`. */
static void remove_before(const char *cache, time_t limit)
{
	DIR *folder = opendir(cache);
	struct stat status;

	for (struct dirent *entry; folder && (entry = readdir(folder)) != NULL;)
		if (fstatat(dirfd(folder), entry->d_name, &status, 0) == 0 &&
		    S_ISREG(status.st_mode) && status.st_mtime < limit)
			unlinkat(dirfd(folder), entry->d_name, 0);
	if (folder)
		closedir(folder);
}

static bool write_file(const char *path, const struct weft__buffer *text)
{
	int fd = weft__file_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	bool fine = fd >= 0 && weft__file_write(fd, text->data, text->used) == 0;

	if (fd >= 0)
		close(fd);
	return fine;
}

/* Puts what was compiled in its place.  The object comes first: a list without
 * an object is a miss, and so is an object without a list. */
static char *publish(const struct build *b, const char *object, const char *rule, const char *aside)
{
	struct weft__buffer list = { 0 };
	char *text = NULL, *final = NULL, *list_path = path_of(b, b->key.text, ".list");
	struct key name;
	size_t length;

	bool fine = list_path && weft__file_load(rule, SOURCE_MOST, &text, &length) == 0 &&
		    read_rule(text, &list) && weft__buffer_add(&list, "", 1) &&
		    (--list.used, write_file(aside, &list)) && name_object(b, list.data, &name);
	if (fine)
		final = path_of(b, name.text, ".so");
	if (final && (rename(object, final) || rename(aside, list_path))) {
		free(final);
		final = NULL;
	}
	remove_before(b->cache, time(NULL) - KEPT);
	free(list_path);
	free(text);
	weft__buffer_fini(&list);
	return final;
}

static char *compile_aside(const struct build *b, const char *object, const char *rule,
			   const char *aside)
{
	char *final = NULL;

	if (weft__compiler_run(&b->compiler, b->job, object, rule)) {
		final = publish(b, object, rule, aside);
		if (!final)
			weft__say("%s: cannot keep the compiled job: %s", b->cache,
				  strerror(errno));
	}
	unlink(object);
	unlink(rule);
	unlink(aside);
	return final;
}

/* Until the files aside are gone or in place, a signal has to wait; the compiler
 * gets it all the same. */
static char *compile(const struct build *b)
{
	char name[64];
	sigset_t set, before;

	snprintf(name, sizeof name, "%s.%ld", b->key.text, (long)getpid());
	char *object = path_of(b, name, ".o"), *rule = path_of(b, name, ".d");
	char *aside = path_of(b, name, ".l"), *final = NULL;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, &before);
	if (object && rule && aside)
		final = compile_aside(b, object, rule, aside);
	sigprocmask(SIG_SETMASK, &before, NULL);
	free(object);
	free(rule);
	free(aside);
	return final;
}

/* What others may write to is no place for code that we are going to run. */
static bool is_ours(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid() &&
	       (status.st_mode & 022) == 0 && access(path, W_OK | X_OK) == 0;
}

char *weft__build_cache(void)
{
	const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char *parent = NULL, *cache = NULL;

	/* A relative one is to be ignored, says the XDG specification. */
	if (base && base[0] == '/')
		parent = strdup(base);
	else if (home && home[0] == '/' && asprintf(&parent, "%s/.cache", home) < 0)
		parent = NULL;
	if (parent && asprintf(&cache, "%s/weft", parent) < 0)
		cache = NULL;
	if (cache) {
		mkdir(parent, 0700);
		mkdir(cache, 0700);
	}
	free(parent);
	if (cache && is_ours(cache))
		return cache;
	free(cache);
	return NULL;
}

/* A folder for this run alone. */
static char *private_cache(void)
{
	const char *base = getenv("TMPDIR");
	char *cache;

	if (asprintf(&cache, "%s/weft-XXXXXX", base && *base ? base : "/tmp") < 0)
		return NULL;
	if (mkdtemp(cache))
		return cache;
	weft__say("%s: %s", cache, strerror(errno));
	free(cache);
	return NULL;
}

/* True when `folder` holds weft/job.h. */
static bool has_header(const char *folder)
{
	char *header;

	if (asprintf(&header, "%s/weft/job.h", folder) < 0)
		return false;
	bool found = access(header, R_OK) == 0;
	free(header);
	return found;
}

/* Installed, ours lies beside the command; in the build tree, where it was
 * compiled from. */
char *weft__build_include(void)
{
	static const char *const known[] = { WEFT_INCLUDE_DIRS };
	char exe[PATH_MAX], folder[PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

	for (int up = 0; n > 0 && up < 2; up++) {
		exe[n] = '\0';
		char *slash = strrchr(exe, '/');
		n = slash ? slash - exe : 0;
		exe[n] = '\0';
	}
	snprintf(folder, sizeof folder, "%s/include", exe);
	if (n > 0 && has_header(folder))
		return strdup(folder);
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (has_header(known[i]))
			return strdup(known[i]);
	weft__say("weft/job.h is not where it was installed: %s", folder);
	return NULL;
}

static bool prepare(struct build *b)
{
	b->source = realpath(b->job, NULL);
	if (!b->source)
		weft__say("%s: %s", b->job, strerror(errno));
	else
		b->include = weft__build_include();
	return b->include && weft__compiler_find(&b->compiler, b->include) && make_key(b);
}

/* True when the file is a shared object, or anything else in ELF. */
static bool is_elf(const char *path)
{
	char magic[4];
	int fd = weft__file_open(path, O_RDONLY, 0);
	bool elf = fd >= 0 && weft__file_read(fd, magic, sizeof magic) == sizeof magic &&
		   !memcmp(magic, "\177ELF", sizeof magic);

	if (fd >= 0)
		close(fd);
	return elf;
}

static char *build(struct build *b, bool *temporary)
{
	char *path = NULL;

	if (!prepare(b))
		return NULL;
	b->cache = weft__build_cache();
	*temporary = !b->cache;
	if (*temporary)
		b->cache = private_cache();
	else
		path = look_up(b);
	if (b->cache && !path)
		path = compile(b);
	if (b->cache && !path && *temporary)
		rmdir(b->cache);
	return path;
}

bool weft__build(struct weft__built *built, const char *job)
{
	struct build b = { .job = job };

	*built = (struct weft__built){ 0 };
	built->path = is_elf(job) ? realpath(job, NULL) : build(&b, &built->temporary);
	built->compiled = b.cache != NULL;
	weft__compiler_fini(&b.compiler);
	free(b.source);
	free(b.include);
	free(b.cache);
	return built->path != NULL;
}

void weft__built_fini(struct weft__built *built, bool loaded)
{
	if (built->path && built->compiled && (built->temporary || !loaded))
		unlink(built->path);
	char *slash = built->path ? strrchr(built->path, '/') : NULL;
	if (built->temporary && slash) {
		*slash = '\0';
		remove_before(built->path, time(NULL) + KEPT);
		rmdir(built->path);
	}
	free(built->path);
	*built = (struct weft__built){ 0 };
}
