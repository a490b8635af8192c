/* SPDX-License-Identifier: MIT */
/*
 * error.c - a piece that fails stops the rest, and the caller learns which it was
 */
#include <stdio.h>
#include <stdlib.h>

#include <weft/weft.h>

enum { N = 1000 };

struct field {
	char text[16];
	long value;
};

static int parse(void *item, void *arg)
{
	struct field *f = item;
	char *end;

	(void)arg;
	f->value = strtol(f->text, &end, 10);
	return *end == '\0' ? 0 : WEFT_EINVAL;
}

struct table {
	struct field fields[N];
	size_t failed;
};

static int parse_all(void *arg)
{
	struct table *t = arg;

	return weft_for_each(t->fields, N, sizeof *t->fields, parse, NULL, .failed = &t->failed);
}

int main(void)
{
	static struct table t;

	for (unsigned i = 0; i < N; i++)
		snprintf(t.fields[i].text, sizeof t.fields[i].text, "%u", i * i);
	snprintf(t.fields[617].text, sizeof t.fields[617].text, "12e4");

	int rc = weft_run_sync(parse_all, &t);
	if (rc != 0)
		printf("field %zu, \"%s\": %s\n", t.failed, t.fields[t.failed].text,
		       weft_strerror(rc));
	return rc != WEFT_EINVAL;
}
