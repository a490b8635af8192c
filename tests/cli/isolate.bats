# SPDX-License-Identifier: MIT
# --isolate: what a record does to its process is that record's failure.
load support

# Does what the record says, after it has put it out.
job_deeds() {
	cat >deeds.c <<-'END'
		#include <signal.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>
		#include <unistd.h>

		#include <weft/job.h>

		int map(struct weft_job *job, const char *record, size_t length)
		{
			weft_emit(job, record, length);
			weft_emits(job, "\n");
			if (!strncmp(record, "abort", 5)) {
				fprintf(stderr, "what comes first\nlast words of %s\n", record);
				abort();
			}
			if (!strncmp(record, "segv", 4))
				raise(SIGSEGV);
			if (!strncmp(record, "kill", 4))
				raise(SIGKILL);
			if (!strncmp(record, "exit", 4))
				_exit(3);
			if (!strncmp(record, "hang", 4))
				for (;;)
					pause();
			if (!strncmp(record, "eat", 3))
				for (int i = 0; i < 1000; i++)
					if (!malloc(1 << 20))
						return weft_fail(job, "no more memory");
			return strncmp(record, "bad", 3) ? 0 : weft_fail(job, "what is '%s'?", record);
		}
	END
}

@test "each failure has its message, and nothing but that record is missing" {
	job_deeds
	printf 'one\nkill\nthree\nabort 4\nbad\nexit\nseven\nbad too\nnine\n' >in
	for workers in 1 2 8; do
		map -j $workers --isolate --on-error skip deeds.c in
		exited 1 "weft: in: record 2 (byte 4): killed by signal 9 (SIGKILL)
weft: in: record 4 (byte 15): killed by signal 6 (SIGABRT): last words of abort 4
weft: in: record 5 (byte 23): what is 'bad'?
weft: in: record 6 (byte 27): exited with status 3
weft: in: record 8 (byte 38): what is 'bad too'?"
		put $'one\nthree\nseven\nnine'
	done
}

@test "a segmentation fault" {
	[ -z "$WEFT_SANITIZE" ] || skip "the sanitizer makes an exit of it"
	job_deeds
	printf 'one\nsegv\nthree\n' >in
	map --isolate --on-error skip deeds.c in
	exited 1 "weft: in: record 2 (byte 4): killed by signal 11 (SIGSEGV)"
	put $'one\nthree'
}

@test "by default a crash ends the run: all before is put out, nothing after" {
	job_deeds
	seq 1 200000 >in
	sed -i '123456s/.*/kill/; 123460s/.*/kill/; 180000s/.*/kill/' in
	for workers in 1 2 8; do
		"$WEFT" map -q -j $workers --isolate deeds.c in >out 2>err && false
		[ "$(cat err)" = "weft: in: record 123456 (byte 753080): killed by signal 9 (SIGKILL)" ]
		head -123455 in | cmp - out
	done
}

@test "output and messages are those of a run without it" {
	job_picky
	perl -e 'print $_ % 1000 ? "$_\n" : "bad $_\n" for 1 .. 300000' >in
	"$WEFT" map --json --on-error skip picky.c in >plain 2>plain.err && false
	for workers in 1 2 8; do
		code=0
		"$WEFT" map --json -j $workers --isolate --on-error skip picky.c in >out 2>err || code=$?
		[ "$code" -eq 1 ]
		cmp plain out
		cmp <(head -n -1 plain.err) <(head -n -1 err)
		tail -1 err | grep -q '"records": 300000, "failed": 300, '
	done
	"$WEFT" map -q --unordered --isolate --on-error skip picky.c in 2>err | sort | cmp - <(sort plain)
}

@test "many crashes among many records" {
	job_deeds
	perl -e 'print $_ % 2500 ? "$_\n" : "kill $_\n" for 1 .. 100000' >in
	"$WEFT" map -q --isolate --on-error skip deeds.c in >out 2>err && false
	grep -v kill in | cmp - out
	perl -ne 'printf "weft: in: record %d (byte %d): killed by signal 9 (SIGKILL)\n", $., $at
		if /kill/; $at += length' in | cmp - err
}

@test "every record crashes" {
	job_deeds
	yes kill | head -50 >in
	map --isolate --on-error skip deeds.c in
	exited 1
	put ""
	[ "$(grep -c 'killed by signal 9' <<<"$stderr")" -eq 50 ]
}

@test "--record-timeout" {
	job_deeds
	printf 'one\nhang\nthree\n' >in
	map --record-timeout 0.5 --on-error skip deeds.c in
	exited 1 "weft: in: record 2 (byte 4): took longer than 0.5 s (--record-timeout)"
	put $'one\nthree'
}

@test "--record-timeout is of a record, not of a batch" {
	cat >nap.c <<-'END'
		#include <unistd.h>

		#include <weft/job.h>

		int map(struct weft_job *job, const char *record, size_t length)
		{
			usleep(100000);
			return weft_emit(job, record, length);
		}
	END
	seq 1 9 | tr -d '\n' >in
	map --record fixed:1 --record-timeout 0.8 nap.c in
	exited 0 ""
	put 123456789
}

@test "--memory" {
	[ -z "$WEFT_SANITIZE" ] || skip "sanitizers need memory of their own"
	job_deeds
	printf 'one\neat\nthree\n' >in
	map --memory 100M --on-error skip deeds.c in
	exited 1 "weft: in: record 2 (byte 4): no more memory"
	put $'one\nthree'
}

@test "records of all kinds, cut where they should be" {
	job_brackets
	printf 'aXXbXXXXcXXX\n\n\n\nd\n\n\n' >in
	for kind in lines nul blank-line fixed:3 XX; do
		"$WEFT" map -q --record $kind --on-error skip brackets.c in >plain 2>plain.err || true
		"$WEFT" map -q --isolate --record $kind --on-error skip brackets.c in >out 2>err || true
		cmp plain out
		cmp plain.err err
	done
	map --isolate --max-record 3 --on-error skip brackets.c <<<$'abc\nabcd\nab'
	exited 1 "weft: -: record 2 (byte 4): longer than 3 bytes (--max-record)"
	put $'<abc>\n<ab>'
}

@test "crashes in stanzas and in the middle of several files" {
	job_deeds
	printf 'one\n\n\nkill\nit\n\nthree' >a
	printf '\nkill\n\n\ntwo\n' >b
	map --isolate --record blank-line --on-error skip deeds.c a b
	exited 1
	said '^weft: a: record 2 (byte 6): killed by signal 9 (SIGKILL)$'
	said '^weft: b: record 1 (byte 1): killed by signal 9 (SIGKILL)$'
	put $'one\nthree\ntwo'
}

@test "start() and arguments are there in each process" {
	cat >arg.c <<-'END'
		#include <weft/job.h>

		static const char *hello;

		int start(struct weft_job *job)
		{
			hello = weft_arg(job, "hello");
			return weft_emits(job, "begin\n");
		}

		int map(struct weft_job *job, const char *record, size_t length)
		{
			(void)length;
			return weft_emitf(job, "%s %s %s %s %d\n", hello, weft_arg(job, "who"), record,
					  weft_input(job), (int)weft_offset(job));
		}

		int finish(struct weft_job *job, void *total)
		{
			return total ? -1 : weft_emits(job, "end\n");
		}
	END
	printf '1\n2\n' >in
	map --isolate --set hello=hi --set who=you --set more=x arg.c in
	exited 0 "weft: --set more: the job never asked for it"
	put $'begin\nhi you 1 in 0\nhi you 2 in 2\nend'
}

@test "a start() that fails there only" {
	cat >once.c <<-'END'
		#include <fcntl.h>

		#include <weft/job.h>

		int start(struct weft_job *job)
		{
			(void)job;
			return open("started", O_CREAT | O_EXCL, 0600) < 0;
		}

		int map(struct weft_job *job, const char *record, size_t length)
		{
			return weft_emit(job, record, length);
		}
	END
	map --isolate once.c <<<one
	exited 3
	said '^weft: -: worker processes: the job does not start there$'
}

@test "a job with a state is refused" {
	job_chain
	map --isolate chain.c <<<one
	exited 3 "weft: chain.c: has a state, which cannot leave its process: not with --isolate"
}

@test "a compiled job without a cache" {
	job_copy
	unset XDG_CACHE_HOME
	mkdir tmp
	HOME=/nowhere TMPDIR=$PWD/tmp map --isolate copy.c <<<one
	exited 0 ""
	put one
	[ -z "$(ls tmp)" ]
}

@test "usage" {
	for bad in --record-timeout=x --record-timeout=0 --record-timeout=-1 --memory=x; do
		map $bad copy.c
		exited 2
	done
}

@test "a record may put out much" {
	cat >much.c <<-'END'
		#include <string.h>

		#include <weft/job.h>

		int map(struct weft_job *job, const char *record, size_t length)
		{
			static char chunk[1 << 20];

			(void)record, (void)length;
			memset(chunk, 'x', sizeof chunk);
			for (int i = 0; i < 40; i++)
				weft_emit(job, chunk, sizeof chunk);
			return 0;
		}
	END
	[ "$(printf '1\n2\n' | "$WEFT" map -q --isolate much.c | wc -c)" -eq $((80 << 20)) ]
}

@test "no process stays when the command is killed" {
	job_deeds
	printf 'hang here\n' >in
	"$WEFT" map -q --isolate deeds.c in &
	pid=$!
	worker=
	for _ in $(seq 100); do
		worker=$(grep -ls "^weft-worker" /proc/[0-9]*/comm | while read -r comm; do
			[ "$(readlink "${comm%comm}cwd")" = "$PWD" ] && basename "${comm%/comm}"
		done) || true
		[ -z "$worker" ] || break
		sleep 0.1
	done
	[ -n "$worker" ]
	kill -9 $pid
	for _ in $(seq 100); do
		kill -0 $worker 2>/dev/null || return 0
		sleep 0.1
	done
	false
}
