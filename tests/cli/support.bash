# SPDX-License-Identifier: MIT
# What the tests of the command share.  WEFT is the command; CC compiles jobs.
bats_require_minimum_version 1.5.0

: "${WEFT:?the command to test}"

# Each test runs in an empty folder; compiled jobs are shared by a file.
setup() {
	mkdir "$BATS_TEST_TMPDIR/here"
	cd "$BATS_TEST_TMPDIR/here" || return 1
	export XDG_CACHE_HOME=$BATS_FILE_TMPDIR/cache
	unset WEFT_NUM_THREADS CFLAGS LDLIBS
}

# map ARGUMENT...: weft map without its summary, standard error apart
map() {
	run --separate-stderr "$WEFT" map -q "$@"
}

# exited CODE [MESSAGE]: how the last map() ended; MESSAGE is all that it said
exited() {
	if [ "$status" -ne "$1" ]; then
		echo "exit code $status, not $1; stderr: $stderr"
		return 1
	fi
	if [ "${2-$stderr}" != "$stderr" ]; then
		printf 'stderr is: %s\nand not:   %s\n' "$stderr" "$2"
		return 1
	fi
}

# said PATTERN: standard error has a line that matches
said() {
	grep -q -e "$1" <<<"$stderr" || {
		echo "no '$1' in: $stderr"
		return 1
	}
}

# put TEXT: the last map() wrote exactly this, newlines at the end apart
put() {
	if [ "$output" != "$1" ]; then
		printf 'stdout is: %s\nand not:   %s\n' "$output" "$1"
		return 1
	fi
}

# memory LIMIT: the run whose --json is in the file `summary` held at most so many
# bytes.  Sanitizers need memory of their own.
memory() {
	local peak
	peak=$(sed -n 's/.*"memory_peak": \([0-9]*\),.*/\1/p' summary)
	echo "memory: $peak bytes at most"
	[ "$peak" -gt 0 ]
	[ -n "$WEFT_SANITIZE" ] || [ "$peak" -lt "$1" ]
}

# Puts every record out as <record>, with NULs as they are.
job_brackets() {
	cat >brackets.c <<-'END'
		#include <weft/job.h>

		int map(struct weft_job *job, const char *record, size_t length)
		{
			weft_emits(job, "<");
			weft_emit(job, record, length);
			return weft_emits(job, ">\n");
		}
	END
}

# Puts every record out with a newline: `cat` for lines.
job_copy() {
	cat >copy.c <<-'END'
		#include <weft/job.h>

		int map(struct weft_job *job, const char *record, size_t length)
		{
			weft_emit(job, record, length);
			return weft_emits(job, "\n");
		}
	END
}

# Fails at records that begin with "bad", copies the others.
job_picky() {
	cat >picky.c <<-'END'
		#include <string.h>

		#include <weft/job.h>

		int map(struct weft_job *job, const char *record, size_t length)
		{
			weft_emit(job, record, length);
			weft_emits(job, "\n");
			return strncmp(record, "bad", 3) ? 0 : weft_fail(job, "what is '%s'?", record);
		}
	END
}

# Strings the records together: what comes out tells the order of merging.
job_chain() {
	cat >chain.c <<-'END'
		#include <stdlib.h>
		#include <string.h>

		#include <weft/job.h>

		struct chain {
			char *text;
			size_t length;
		};
		WEFT_STATE(struct chain);

		static void append(struct chain *c, const char *text, size_t length)
		{
			c->text = realloc(c->text, c->length + length + 1);
			memcpy(c->text + c->length, text, length);
			c->length += length;
		}

		int map(struct weft_job *job, const char *record, size_t length)
		{
			append(weft_state(job), record, length);
			append(weft_state(job), "\n", 1);
			return 0;
		}

		int merge(struct weft_job *job, struct chain *total, struct chain *part)
		{
			(void)job;
			append(total, part->text, part->length);
			free(part->text);
			return 0;
		}

		int finish(struct weft_job *job, struct chain *total)
		{
			return weft_emit(job, total->text, total->length);
		}
	END
}

# Adds up floating-point numbers, whose sum depends on the order.
job_sum() {
	cat >sum.c <<-'END'
		#include <stdlib.h>

		#include <weft/job.h>

		struct sum {
			double value;
		};
		WEFT_STATE(struct sum);

		int map(struct weft_job *job, const char *record, size_t length)
		{
			(void)length;
			((struct sum *)weft_state(job))->value += strtod(record, NULL);
			return 0;
		}

		int merge(struct weft_job *job, struct sum *total, struct sum *part)
		{
			(void)job;
			total->value += part->value;
			return 0;
		}

		int finish(struct weft_job *job, struct sum *total)
		{
			return weft_emitf(job, "%a\n", total->value);
		}
	END
}
