/* SPDX-License-Identifier: MIT */
/*
 * cgroup.c - the CPU quota, of cgroup version 1 and version 2
 *
 * Three sources together say where to look:
 *
 *   /proc/self/mountinfo   where each hierarchy is mounted, and which part of
 *                          it (a container often sees only its own subtree)
 *   /proc/self/cgroup      the path of this process in each hierarchy
 *   the group's directory  cpu.max, or cpu.cfs_quota_us and cpu.cfs_period_us
 *
 * A quota binds everything below it, so the one that counts is the lowest from
 * the process's own group up to the mount point.  What lies above that is out of
 * sight.  Whatever cannot be read sets no limit: a machine without cgroups is no
 * error.  See cgroups(7) and proc(5).
 */
#include "runtime/cgroup.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longer paths are out of sight: stacks may be small. */
enum { PATH_ROOM = 1024, FILE_ROOM = 2 * PATH_ROOM + 32 };

/* The lowest quota so far and where it came from. */
struct search {
	const char *root;
	double lowest;
	char *file;
	size_t size;
};

/* One hierarchy in which a CPU quota may be set. */
struct mount {
	char top[PATH_ROOM];   /* the part of the hierarchy that is mounted ... */
	char point[PATH_ROOM]; /* ... and where */
	bool v2;
};

static FILE *open_below(const char *root, const char *path)
{
	char full[FILE_ROOM + PATH_ROOM];

	if (snprintf(full, sizeof(full), "%s%s", root, path) >= (int)sizeof(full))
		return NULL;
	return fopen(full, "re");
}

/* True when the comma-separated list names `word`. */
static bool lists(const char *list, const char *word)
{
	size_t length = strlen(word);

	for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
		if (strncmp(p, word, length) == 0 && (p[length] == ',' || p[length] == '\0'))
			return true;
	}
	return false;
}

/* mountinfo writes blanks, tabs, newlines and backslashes as \ooo. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		unsigned code;
		if (*from == '\\' && sscanf(from, "\\%3o", &code) == 1) {
			*to = (char)code;
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* "36 35 0:29 /top /point rw,noatime shared:1 - cgroup cgroup rw,cpu,cpuacct".
 * False when the line is about something else. */
static bool parse_mount(const char *line, struct mount *mount)
{
	const char *tail = strstr(line, " - ");
	char type[16];
	char options[1024];

	if (!tail || sscanf(tail, " - %15s %*s %1023s", type, options) != 2)
		return false;
	mount->v2 = strcmp(type, "cgroup2") == 0;
	if (!mount->v2 && !(strcmp(type, "cgroup") == 0 && lists(options, "cpu")))
		return false;
	if (sscanf(line, "%*s %*s %*s %1023s %1023s", mount->top, mount->point) != 2)
		return false;

	unescape(mount->top);
	unescape(mount->point);
	return true;
}

/* "4:cpu,cpuacct:/path" or, for version 2, "0::/path".  The path, cut out of
 * the line, or NULL when the line is about another hierarchy. */
static char *parse_group(char *line, bool v2)
{
	char *controllers = strchr(line, ':');
	char *path = controllers ? strchr(controllers + 1, ':') : NULL;

	if (!path)
		return NULL;
	*path++ = '\0';
	controllers++;
	path[strcspn(path, "\n")] = '\0';
	return (v2 ? *controllers == '\0' : lists(controllers, "cpu")) ? path : NULL;
}

/* The process's path in the hierarchy of `mount`. */
static bool find_group(const char *root, const struct mount *mount, char *path, size_t size)
{
	FILE *groups = open_below(root, "/proc/self/cgroup");
	char *line = NULL;
	size_t room = 0;
	bool found = false;

	if (!groups)
		return false;
	while (!found && getline(&line, &room, groups) > 0) {
		const char *group = parse_group(line, mount->v2);
		found = group && snprintf(path, size, "%s", group) < (int)size;
	}
	free(line);
	fclose(groups);
	return found;
}

/* CPUs' worth of time in a file that holds "quota period", "max period" or a
 * quota alone (then the period is in `period_file`).  0: no limit. */
static double read_quota(const char *root, const char *file, const char *period_file)
{
	FILE *in = open_below(root, file);
	double quota = 0;
	double period = 0;

	if (!in)
		return 0;
	int found = fscanf(in, "%lf %lf", &quota, &period);
	fclose(in);

	if (found == 1 && period_file) {
		in = open_below(root, period_file);
		if (!in)
			return 0;
		found += fscanf(in, "%lf", &period);
		fclose(in);
	}
	return found == 2 && quota > 0 && period > 0 ? quota / period : 0;
}

static void look_into(struct search *search, const char *group, bool v2)
{
	char file[FILE_ROOM];
	char period[FILE_ROOM];

	snprintf(file, sizeof(file), "%s/%s", group, v2 ? "cpu.max" : "cpu.cfs_quota_us");
	snprintf(period, sizeof(period), "%s/cpu.cfs_period_us", group);

	double quota = read_quota(search->root, file, v2 ? NULL : period);
	if (quota == 0 || (search->lowest > 0 && quota >= search->lowest))
		return;
	search->lowest = quota;
	snprintf(search->file, search->size, "%s", file);
}

/* The path below the mount point: what is left of `path` without `top`.  A
 * process that was moved out of the mounted part has no group in sight (its path
 * starts with "/.."): then only the mount point itself tells something. */
static const char *below(const char *top, const char *path)
{
	size_t length = strcmp(top, "/") == 0 ? 0 : strlen(top);

	if (strncmp(path, top, length) != 0 || strncmp(path, "/..", 3) == 0)
		return "";
	path += length;
	return *path == '/' && path[1] != '\0' ? path : "";
}

static void search_upwards(struct search *search, const struct mount *mount, const char *path)
{
	char group[2 * PATH_ROOM];
	size_t top = strlen(mount->point);

	snprintf(group, sizeof(group), "%s%s", mount->point, below(mount->top, path));
	for (;;) {
		look_into(search, group, mount->v2);
		char *slash = strrchr(group, '/');
		if (!slash || (size_t)(slash - group) < top)
			return;
		*slash = '\0';
	}
}

double weft__cgroup_quota(const char *root, char *file, size_t size)
{
	struct search search = { .root = root, .file = file, .size = size };
	FILE *mounts = open_below(root, "/proc/self/mountinfo");
	struct mount mount;
	char path[PATH_ROOM];
	char *line = NULL;
	size_t room = 0;

	*file = '\0';
	if (!mounts)
		return 0;
	while (getline(&line, &room, mounts) > 0) {
		if (parse_mount(line, &mount) && find_group(root, &mount, path, sizeof(path)))
			search_upwards(&search, &mount, path);
	}
	free(line);
	fclose(mounts);
	return search.lowest;
}
