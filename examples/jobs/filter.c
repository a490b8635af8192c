/* SPDX-License-Identifier: MIT */
/*
 * filter.c - the records that hold a text, or match a pattern
 *
 *	weft map --set text=error filter.c *.log
 *	weft map --set pattern='time=[0-9]{4,}' filter.c *.log
 *	weft map --record blank-line --set pattern='^Section: games' --set separator='\n\n' ...
 *
 *   text       a string that the record holds
 *   pattern    an extended regular expression, ^ and $ at the ends of lines
 *   invert     the records that do not
 *   separator  what follows each record in the output: \n if not set
 */
#define _GNU_SOURCE
#include <regex.h>
#include <stdbool.h>
#include <string.h>

#include <weft/job.h>

static const char *text, *pattern;
static size_t text_length;
static bool invert;
static char separator[16] = "\n";
static size_t separator_length = 1;

/* regexec() takes a lock in the pattern, so each thread has one of its own. */
static _Thread_local regex_t compiled;
static _Thread_local bool is_compiled;

static int compile(struct weft_job *job)
{
	char why[256];

	if (is_compiled)
		return 0;
	int rc = regcomp(&compiled, pattern, REG_EXTENDED | REG_NEWLINE | REG_NOSUB);
	if (rc == 0) {
		is_compiled = true;
		return 0;
	}
	regerror(rc, &compiled, why, sizeof why);
	return weft_fail(job, "pattern=%s: %s", pattern, why);
}

static int read_separator(struct weft_job *job, const char *from)
{
	size_t n = 0;

	for (; *from && n < sizeof separator; from++) {
		bool escape = from[0] == '\\' && (from[1] == 'n' || from[1] == '0');
		separator[n++] = escape ? (from[1] == 'n' ? '\n' : '\0') : *from;
		from += escape;
	}
	separator_length = n;
	return *from ? weft_fail(job, "the separator is too long") : 0;
}

int start(struct weft_job *job)
{
	const char *from = weft_arg(job, "separator");

	text = weft_arg(job, "text");
	pattern = weft_arg(job, "pattern");
	invert = weft_arg(job, "invert") != NULL;
	if (!text == !pattern)
		return weft_fail(job, "--set either text=STRING or pattern=REGEX");
	if (from && read_separator(job, from))
		return -1;
	text_length = text ? strlen(text) : 0;
	return pattern ? compile(job) : 0;
}

int map(struct weft_job *job, const char *record, size_t length)
{
	bool found;

	if (text) {
		found = memmem(record, length, text, text_length) != NULL;
	} else {
		if (compile(job))
			return -1;
		regmatch_t whole = { .rm_so = 0, .rm_eo = (regoff_t)length };
		found = regexec(&compiled, record, 1, &whole, REG_STARTEND) == 0;
	}
	if (found == invert)
		return 0;
	weft_emit(job, record, length);
	return weft_emit(job, separator, separator_length);
}
