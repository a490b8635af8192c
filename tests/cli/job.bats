# SPDX-License-Identifier: MIT
# The job: compiled, cached, loaded, its arguments, its functions.
load support

# A compiler that leaves a line in cc.log each time, and then does its work.
logging_compiler() {
	cat >cc.sh <<-END
		#!/bin/sh
		echo "\$@" >>"$PWD/cc.log"
		exec ${CC:-cc} "\$@"
	END
	chmod +x cc.sh
	export CC=$PWD/cc.sh
	export XDG_CACHE_HOME=$PWD/cache
	: >cc.log
}

times_compiled() {
	wc -l <cc.log
}

@test "a C file is compiled and run" {
	job_brackets
	echo one >in
	map brackets.c in
	exited 0 ""
	put "<one>"
}

@test "a ready shared object is run, without a compiler" {
	job_brackets
	include=$("$WEFT" info --json | sed -n 's/.*"include": "\(.*\)",/\1/p')
	${CC:-cc} -O1 -shared -fPIC -I"$include" -o brackets.so brackets.c
	echo one >in
	CC=false map brackets.so in
	exited 0 ""
	put "<one>"
}

@test "a job may be C++" {
	if [ -z "$CXX" ]; then
		skip "there is no C++ compiler"
	fi
	cat >sizes.cc <<-'END'
		#include <string>
		#include <weft/job.h>

		struct sizes {
			size_t total;
		};
		WEFT_STATE(struct sizes);

		int map(struct weft_job *job, const char *record, size_t length)
		{
			static_cast<sizes *>(weft_state(job))->total += std::string(record, length).size();
			return 0;
		}

		int merge(struct weft_job *, sizes *total, sizes *part)
		{
			total->total += part->total;
			return 0;
		}

		int finish(struct weft_job *job, sizes *total)
		{
			return weft_emitf(job, "%zu\n", total->total);
		}
	END
	include=$("$WEFT" info --json | sed -n 's/.*"include": "\(.*\)",/\1/p')
	"$CXX" -std=c++17 -O1 -Wall -Wextra -Werror -shared -fPIC -I"$include" -o sizes.so sizes.cc
	printf 'one\nthree\n' >in
	map sizes.so in
	exited 0 ""
	put 8
}

@test "a job is compiled once" {
	logging_compiler
	job_brackets
	echo one >in
	map brackets.c in
	map brackets.c in
	put "<one>"
	[ "$(times_compiled)" -eq 1 ]
}

@test "a job is compiled again when it, a file that it includes, or a flag changes" {
	logging_compiler
	echo '#define WORD "a"' >word.h
	cat >say.c <<-'END'
		#include <weft/job.h>
		#include "word.h"

		int map(struct weft_job *job, const char *record, size_t length)
		{
			(void)record, (void)length;
			return weft_emits(job, WORD "\n");
		}
	END
	echo one >in
	map say.c in
	put a
	echo '#define WORD "b"' >word.h
	map say.c in
	put b
	sed -i 's/WORD "/WORD "!/' say.c
	map say.c in
	put 'b!'
	CFLAGS=-O0 map say.c in
	[ "$(times_compiled)" -eq 4 ]
	# What it was before is still there.
	echo '#define WORD "a"' >word.h
	sed -i 's/WORD "!/WORD "/' say.c
	map say.c in
	put a
	[ "$(times_compiled)" -eq 4 ]
}

@test "runs that compile the same job at once do not disturb each other" {
	job_brackets
	export XDG_CACHE_HOME=$PWD/cache
	echo one >in
	for i in 1 2 3 4 5 6 7 8; do
		"$WEFT" map -q brackets.c in >"out$i" 2>&1 &
	done
	wait
	for i in 1 2 3 4 5 6 7 8; do
		[ "$(cat "out$i")" = "<one>" ]
	done
	# One list, one object, nothing half done.
	[ "$(find cache -type f | wc -l)" -eq 2 ]
}

@test "the cache is for its owner alone" {
	job_brackets
	export XDG_CACHE_HOME=$PWD/cache
	map brackets.c /dev/null
	[ "$(stat -c %a cache/weft)" = 700 ]
}

@test "a cache that others can write to is not used" {
	job_brackets
	mkdir -p cache/weft
	chmod 777 cache/weft
	echo one >in
	XDG_CACHE_HOME=$PWD/cache map brackets.c in
	exited 0 ""
	put "<one>"
	[ -z "$(ls cache/weft)" ]
}

@test "without a place for a cache the job runs, and nothing stays behind" {
	job_brackets
	mkdir tmp
	echo one >in
	unset XDG_CACHE_HOME
	HOME='' TMPDIR=$PWD/tmp map brackets.c in
	exited 0 ""
	put "<one>"
	[ -z "$(ls tmp)" ]
}

@test "what has not been used for a month leaves the cache" {
	export XDG_CACHE_HOME=$PWD/cache
	job_brackets
	job_copy
	map brackets.c /dev/null
	touch -d '40 days ago' cache/weft/*
	map copy.c /dev/null
	[ "$(find cache -type f | wc -l)" -eq 2 ]
	[ -z "$(find cache -type f -mtime +30)" ]
}

@test "an object that was damaged in the cache is compiled anew" {
	export XDG_CACHE_HOME=$PWD/cache
	job_brackets
	map brackets.c /dev/null
	for object in cache/weft/*.so; do
		: >"$object"
	done
	map brackets.c /dev/null
	exited 3
	echo one >in
	map brackets.c in
	exited 0 ""
	put "<one>"
}

@test "a job that does not compile: exit 3, and the compiler's own words" {
	cat >broken.c <<-'END'
		#include <weft/job.h>
		int map(struct weft_job *job, const char *record, size_t length)
		{
			return oops;
		}
	END
	echo one >in
	map broken.c in
	exited 3
	put ""
	said "^broken.c:4:.*error:.*oops"
	include=$("$WEFT" info --json | sed -n 's/.*"include": "\(.*\)",/\1/p')
	${CC:-cc} -O3 -Wall -fPIC -shared -I"$include" -o broken.so broken.c 2>theirs || true
	[ "$stderr" = "$(cat theirs)" ]
}

@test "warnings are shown, and no more than warnings" {
	cat >unused.c <<-'END'
		#include <weft/job.h>
		int map(struct weft_job *job, const char *record, size_t length)
		{
			int unused;
			return 0;
		}
	END
	export XDG_CACHE_HOME=$PWD/cache
	map unused.c /dev/null
	exited 0
	said "^unused.c:4:.*warning"
}

@test "a job without map" {
	echo '#include <weft/job.h>' >empty.c
	map empty.c /dev/null
	exited 3 "weft: empty.c: has no function map"
}

@test "a job that does not include weft/job.h" {
	echo 'int map(void) { return 0; }' >alien.c
	map alien.c /dev/null
	exited 3 "weft: alien.c: does not include <weft/job.h>"
}

@test "a job made for another weft/job.h" {
	echo 'int map(void) { return 0; } const unsigned weft_job_abi = 99;' >old.c
	map old.c /dev/null
	exited 3
	said "^weft: old.c: was compiled for version 99 of <weft/job.h>, this is 1$"
}

@test "a state without merge, and without finish" {
	cat >half.c <<-'END'
		#include <weft/job.h>
		struct state { int n; };
		WEFT_STATE(struct state);
		int map(struct weft_job *job, const char *record, size_t length)
		{
			return 0;
		}
	END
	map half.c /dev/null
	exited 3 "weft: half.c: has no function merge, which WEFT_STATE needs"
	echo 'int merge(struct weft_job *j, struct state *t, struct state *p) { return 0; }' >>half.c
	map half.c /dev/null
	exited 3 "weft: half.c: has no function finish, which WEFT_STATE needs"
}

@test "a job that needs a symbol that nobody has" {
	job_brackets
	sed -i 's/weft_emits(job, "<")/nobody_has_this()/; 1i int nobody_has_this(void);' brackets.c
	map brackets.c /dev/null
	exited 3
	said "^weft: brackets.c: .*nobody_has_this"
}

@test "a job that is not there, or is a folder" {
	map missing.c /dev/null
	exited 3 "weft: missing.c: No such file or directory"
	mkdir folder
	map folder /dev/null
	exited 3 "weft: folder: Is a directory"
}

@test "no compiler" {
	job_brackets
	CC=no-such-compiler map brackets.c /dev/null
	exited 3
	said "^weft: no-such-compiler: no such program: a job in C needs a compiler"
}

@test "CC, CFLAGS and LDLIBS are respected" {
	logging_compiler
	job_brackets
	CC="$CC -DONE" CFLAGS="-DTWO -DTHREE" LDLIBS=-lpthread map brackets.c /dev/null
	exited 0 ""
	grep -q -e '^-DONE .*-DTWO -DTHREE .*brackets.c -lpthread' cc.log
}

@test "a helper of the job may have the name of a function of the C library" {
	cat >helper.c <<-'END'
		#include <weft/job.h>

		double gamma(double x);
		double gamma(double x)
		{
			return x;
		}

		int map(struct weft_job *job, const char *record, size_t length)
		{
			(void)record;
			return weft_emitf(job, "%g\n", gamma((double)length));
		}
	END
	echo five5 >in
	map helper.c in
	put 5
}

@test "--set reaches the job; the last one counts" {
	cat >args.c <<-'END'
		#include <weft/job.h>

		int map(struct weft_job *job, const char *record, size_t length)
		{
			(void)length;
			const char *value = weft_arg(job, record);
			return weft_emitf(job, "%s: %s\n", record, value ? value : "none");
		}
	END
	printf 'a\nb\nc\nd\n' >in
	map --set a=1 --set b=x=y -s c --set a=2 args.c in
	exited 0
	put $'a: 2\nb: x=y\nc: \nd: none'
}

@test "--set of something that the job never asks for is pointed out" {
	job_brackets
	map --set colour=red brackets.c /dev/null
	exited 0 "weft: --set colour: the job never asked for it"
}

@test "start runs once, before the first record, and may emit" {
	cat >header.c <<-'END'
		#include <weft/job.h>

		static int runs;

		int start(struct weft_job *job)
		{
			runs++;
			return weft_emits(job, "header\n");
		}

		int map(struct weft_job *job, const char *record, size_t length)
		{
			(void)length;
			return weft_emitf(job, "%s %d\n", record, runs);
		}

		int finish(struct weft_job *job, void *none)
		{
			return weft_emitf(job, "footer %d\n", none != NULL);
		}
	END
	printf 'a\nb\n' >in
	map header.c in
	exited 0 ""
	put $'header\na 1\nb 1\nfooter 0'
	map --unordered --limit 1 header.c in
	put $'header\na 1\nfooter 0'
	map header.c /dev/null
	put $'header\nfooter 0'
}

@test "a start that fails ends the run before any record" {
	job_picky
	echo 'int start(struct weft_job *job) { return weft_fail(job, "no %s", "way"); }' >>picky.c
	echo one >in
	map picky.c in
	exited 3 "weft: picky.c: start: no way"
	put ""
}

@test "an init, merge or finish that fails ends the run with code 1" {
	for step in init merge finish; do
		job_sum
		echo 1 >in
		case $step in
		init)
			cat >>sum.c <<-'END'
				int init(struct weft_job *job, struct sum *sum)
				{
					(void)sum;
					return weft_fail(job, "no way");
				}
			END
			;;
		merge) sed -i '/total->value += part/s/.*/return weft_fail(job, "no way");/' sum.c ;;
		finish) sed -i '/return weft_emitf/s/.*/return weft_fail(job, "no way");/' sum.c ;;
		esac
		map sum.c in
		exited 1 "weft: sum.c: $step: no way"
		put ""
	done
}

@test "merge may not emit" {
	job_sum
	sed -i 's/total->value += part->value/return weft_emits(job, "x")/' sum.c
	echo 1 >in
	map sum.c in
	exited 1 "weft: sum.c: merge: only map, start and finish may emit"
}

@test "init makes the state that the records of a part find" {
	job_sum
	cat >>sum.c <<-'END'
		int init(struct weft_job *job, struct sum *sum)
		{
			(void)job;
			sum->value = 100;
			return 0;
		}
	END
	# One state for the total, one for each of the two parts of one record.
	printf '1\n2\n' >in
	map sum.c in
	put 0x1.2fp+8 # 303
}

@test "parts are merged in the order of the input" {
	job_chain
	seq 1 300000 >in
	for workers in 1 2 8; do
		"$WEFT" map -q -j $workers chain.c in | cmp - in
	done
}

@test "a reduction has the same bits on any number of workers, from files and pipes" {
	job_sum
	perl -e 'srand 3; printf "%.17g\n", rand() * 10 ** int(rand 30) for 1 .. 200000' >in
	map -j 1 sum.c in
	expected=$output
	for workers in 2 3 8; do
		map -j $workers sum.c in
		put "$expected"
		map -j $workers sum.c <(cat in)
		put "$expected"
		# A pipe that brings a little at a time cuts nothing short.
		map -j $workers sum.c <(perl -pe 'BEGIN { $| = 1 }' in)
		put "$expected"
	done
}

@test "weft_input and weft_offset tell where a record is from" {
	cat >where.c <<-'END'
		#include <weft/job.h>

		int map(struct weft_job *job, const char *record, size_t length)
		{
			(void)length;
			return weft_emitf(job, "%s:%llu:%s\n", weft_input(job),
					  (unsigned long long)weft_offset(job), record);
		}
	END
	printf 'one\ntwo\n' >a
	map where.c a - a <<<three
	put $'a:0:one\na:4:two\n-:0:three\na:0:one\na:4:two'
}

@test "a job may fork inside of a record" {
	cat >forks.c <<-'END'
		#include <weft/fork.h>
		#include <weft/job.h>

		static int sum_range(void *acc, struct weft_range *r, void *arg)
		{
			(void)arg;
			for (size_t i = r->begin; i < r->end; i++)
				*(size_t *)acc += i;
			return 0;
		}

		static void zero(void *acc, void *arg)
		{
			(void)arg;
			*(size_t *)acc = 0;
		}

		static void add(void *acc, const void *right, void *arg)
		{
			(void)arg;
			*(size_t *)acc += *(const size_t *)right;
		}

		int map(struct weft_job *job, const char *record, size_t length)
		{
			struct weft_reducer sum = { sizeof(size_t), zero, sum_range, add };
			size_t total;

			(void)record;
			if (weft_reduce(0, length * 100000, &sum, &total, NULL) < 0)
				return weft_fail(job, "reduce");
			return weft_emitf(job, "%zu\n", total);
		}
	END
	printf '%s\n' a bb ccc dddd >in
	for workers in 1 2 8; do
		map -j $workers forks.c in
		exited 0 ""
		put $'4999950000\n19999900000\n44999850000\n79999800000'
	done
}

@test "the state of a part behind the one that ends the run is freed" {
	# A leak is AddressSanitizer's to see.
	cat >behind.c <<-'END'
		#include <sched.h>
		#include <stdatomic.h>
		#include <weft/job.h>

		struct count {
			long records;
		};
		WEFT_STATE(struct count);

		static atomic_bool behind;

		int map(struct weft_job *job, const char *record, size_t length)
		{
			(void)length;
			if (record[0] == 'b') {
				atomic_store(&behind, 1);
				return 0;
			}
			while (!atomic_load(&behind))
				sched_yield();
			return weft_fail(job, "fails after the part behind it was mapped");
		}

		int merge(struct weft_job *job, struct count *total, struct count *part)
		{
			(void)job;
			total->records += part->records;
			return 0;
		}

		int finish(struct weft_job *job, struct count *total)
		{
			(void)job;
			(void)total;
			return 0;
		}
	END
	echo a >a
	echo b >b
	map -j 2 behind.c a b
	exited 1 "weft: a: record 1 (byte 0): fails after the part behind it was mapped"
}
