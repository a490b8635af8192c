# SPDX-License-Identifier: MIT
# What goes wrong: records, inputs, signals.
load support

@test "a record that fails ends the run, with file, record number and byte" {
	job_picky
	printf 'one\ntwo\nbad one\nfour\n' >in
	map picky.c in
	exited 1 "weft: in: record 3 (byte 8): what is 'bad one'?"
	put $'one\ntwo'
}

@test "all before the record that failed is put out, nothing after, on any number of workers" {
	job_picky
	seq 1 500000 >in
	sed -i '123456s/.*/bad/; 123460s/.*/bad/; 400000s/.*/bad/' in
	for workers in 1 2 8; do
		"$WEFT" map -q -j $workers picky.c in >out 2>err && false
		[ "$(cat err)" = "weft: in: record 123456 (byte 753080): what is 'bad'?" ]
		head -123455 in | cmp - out
	done
}

@test "--on-error skip: all others are put out, each failure has its message, in order" {
	job_picky
	perl -e 'print $_ % 1000 ? "$_\n" : "bad $_\n" for 1 .. 100000' >in
	for workers in 1 2 8; do
		code=0
		"$WEFT" map -q -j $workers --on-error skip picky.c in >out 2>err || code=$?
		[ "$code" -eq 1 ]
		grep -v bad in | cmp - out
		perl -ne 'printf "weft: in: record %d (byte %d): what is \x27%s\x27?\n", $., $at, s/\n//r
			if /bad/; $at += length' in | cmp - err
	done
}

@test "--on-error skip: failures are counted in the summary" {
	job_picky
	printf 'one\nbad\nbad\n' >in
	run --separate-stderr "$WEFT" map --on-error skip picky.c in
	exited 1
	said '^weft: 3 records (2 failed), '
	run --separate-stderr "$WEFT" map --json --on-error skip picky.c in
	said '"records": 3, "failed": 2, '
}

@test "millions of failures are all told, in order, in bounded memory" {
	cat >never.c <<-'END'
		#include <weft/job.h>
		int map(struct weft_job *job, const char *record, size_t length)
		{
			return weft_fail(job, "no, and this is the whole long reason why it is no");
		}
	END
	yes '' | head -1000000 >in
	for order in --record=lines --unordered; do
		"$WEFT" map -j 4 --json --on-error skip $order never.c in 2>err && false
		tail -1 err >summary
		memory 400000000
		head -n -1 err | perl -ne '/record (\d+) \(byte (\d+)\)/ && $1 == $. && $2 == $. - 1
			or die "line $.: $_"; END { die if $. != 1000000 }'
	done
}

@test "the output of a record that fails is taken back" {
	cat >late.c <<-'END'
		#include <weft/job.h>

		int map(struct weft_job *job, const char *record, size_t length)
		{
			for (size_t i = 0; i < length; i++)
				weft_emitf(job, "%100d\n", record[i]);
			return length == 3 ? 7 : 0;
		}
	END
	printf 'a\nbbb\nc\n' >in
	map --on-error skip late.c in
	exited 1 "weft: in: record 2 (byte 2): the job returned 7"
	[ "${#lines[@]}" -eq 2 ]
	[[ ${lines[0]} = *97 && ${lines[1]} = *99 ]]
}

@test "a reduction that is stopped puts out no result" {
	job_sum
	sed -i 's/(void)length;/if (length == 0) return weft_fail(job, "empty");/' sum.c
	printf '1\n\n2\n' >in
	map sum.c in
	exited 1 "weft: in: record 2 (byte 2): empty"
	put ""
	map --on-error skip sum.c in
	exited 1 "weft: in: record 2 (byte 2): empty"
	put 0x1.8p+1
}

@test "inputs that cannot be read are all named, before anything is done" {
	job_copy
	echo one >good
	mkdir folder
	map -o out copy.c good missing folder missing2
	exited 4 $'weft: missing: No such file or directory\nweft: folder: Is a directory\nweft: missing2: No such file or directory'
	put ""
	[ ! -e out ]
}

@test "an input without permission" {
	job_copy
	echo one >secret
	chmod 000 secret
	if [ "$(id -u)" = 0 ]; then
		# Root may read all; somebody else may not.
		chmod 711 . .. && chmod 755 "$BATS_RUN_TMPDIR"
		include=$("$WEFT" info --json | sed -n 's/.*"include": "\(.*\)",/\1/p')
		${CC:-cc} -shared -fPIC -I"$include" -o copy.so copy.c
		setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$WEFT" -a -r copy.so ||
			skip "nobody cannot run the command from here"
		run --separate-stderr setpriv --reuid 65534 --regid 65534 --clear-groups \
			"$WEFT" map -q copy.so secret
	else
		map copy.c secret
	fi
	exited 4 "weft: secret: Permission denied"
}

@test "standard input that is closed" {
	job_copy
	run --separate-stderr sh -c '"$WEFT" map -q copy.c - <&-'
	exited 4 "weft: -: Bad file descriptor"
	run --separate-stderr sh -c '"$WEFT" map -q copy.c <&-'
	exited 4 "weft: -: Bad file descriptor"
}

@test "a file does not take the number of a closed standard descriptor" {
	job_copy
	echo one >in
	echo two >in2
	run --separate-stderr sh -c '"$WEFT" map -q copy.c in in2 <&-'
	exited 0 ""
	put $'one\ntwo'
}

@test "a file that shrinks while it is read: a message, and all whole records before" {
	cat >shrink.c <<-'END'
		#include <unistd.h>
		#include <weft/job.h>

		int map(struct weft_job *job, const char *record, size_t length)
		{
			(void)length;
			if (weft_offset(job) == 0 && truncate(weft_input(job), 1500000) < 0)
				return -1;
			return weft_emitf(job, "%s\n", record);
		}
	END
	seq 1 1000000 >in
	cp in copy
	# The first block is read when the first record is mapped, the rest is not.
	map -j 1 shrink.c in
	exited 4 "weft: in: shrank while it was read, from 6888896 to 1500000 bytes"
	head -c 1500000 copy | sed '$d' >expected
	put "$(cat expected)"
}

@test "an input that vanishes before its turn" {
	cat >remove.c <<-'END'
		#include <string.h>
		#include <unistd.h>
		#include <weft/job.h>

		int map(struct weft_job *job, const char *record, size_t length)
		{
			(void)length;
			if (!strcmp(record, "1"))
				unlink("second");
			return weft_emitf(job, "%s\n", record);
		}
	END
	seq 1 3 >first
	seq 4 6 >second
	map -j 1 remove.c first second
	exited 4 "weft: second: No such file or directory"
	put $'1\n2\n3'
}

# started PID OUT TEXT: waits until the run has put out TEXT
started() {
	until grep -q "$3" "$2"; do
		kill -0 "$1"
	done
}

@test "SIGINT: what is done is put out, and the code is 130" {
	job_brackets
	mkfifo never
	exec 7<>never
	seq 1 1000 >&7
	for signal in INT TERM HUP; do
		# A shell starts its background jobs with SIGINT ignored; env puts it back.
		env --default-signal=INT "$WEFT" map brackets.c never >out 2>err &
		weft=$!
		[ $signal = INT ] && last=1000 || last=more
		started $weft out "<$last>"
		kill -$signal $weft
		code=0
		wait $weft || code=$?
		[ "$code" -eq $((128 + $(kill -l $signal))) ]
		grep -q '^weft: ' err
		[ $signal = INT ] && seq 1 1000 | sed 's/.*/<&>/' | cmp - out
		echo more >&7
	done
	exec 7>&-
}

@test "SIGINT: a record in work is finished, and those after it are not begun" {
	cat >wait.c <<-'END'
		#include <string.h>
		#include <unistd.h>
		#include <weft/job.h>

		int map(struct weft_job *job, const char *record, size_t length)
		{
			char byte;

			(void)length;
			if (!strcmp(record, "wait")) {
				/* The signal is on its way once the pipe ends. */
				write(7, "x", 1);
				if (read(8, &byte, 1) != 0)
					return -1;
			}
			return weft_emitf(job, "%s\n", record);
		}
	END
	mkfifo begun go
	exec 7<>begun
	seq 1 5 >in
	echo wait >>in
	seq 6 400000 >>in
	map wait.c /dev/null # compiled
	exec 9<>go
	env --default-signal=INT "$WEFT" map -q -j 1 wait.c in >out 2>err 8<go 9>&- &
	weft=$!
	head -c 1 <&7 >byte
	kill -INT $weft
	# Signals are taken by a thread of their own: it has when it is not pending.
	while grep -q 'ShdPnd:.*[2367abef]$' /proc/$weft/status; do :; done
	exec 9>&-
	code=0
	wait $weft || code=$?
	exec 7>&-
	[ "$code" -eq 130 ]
	head -6 in | cmp - out
}

@test "a second SIGINT ends a record that does not end" {
	cat >forever.c <<-'END'
		#include <unistd.h>
		#include <weft/job.h>

		int map(struct weft_job *job, const char *record, size_t length)
		{
			(void)job, (void)record, (void)length;
			write(7, "x", 1);
			for (;;)
				pause();
		}
	END
	mkfifo begun
	exec 7<>begun
	echo one >in
	env --default-signal=INT "$WEFT" map -q -o out forever.c in 2>err &
	weft=$!
	head -c 1 <&7 >byte
	kill -INT $weft
	while grep -q 'ShdPnd:.*[2367abef]$' /proc/$weft/status; do :; done
	kill -INT $weft
	code=0
	wait $weft || code=$?
	exec 7>&-
	[ "$code" -eq 130 ]
	[ "$(ls)" = $'begun\nbyte\nerr\nforever.c\nin' ]
}

@test "SIGINT with -o: the file is not touched" {
	job_brackets
	mkfifo never
	echo old >out
	exec 7<>never
	echo one >&7
	env --default-signal=INT "$WEFT" map -q -o out brackets.c never 2>err &
	weft=$!
	until [ -n "$(find "/proc/$weft/fd" -lname '*never' 2>/dev/null)" ]; do
		kill -0 $weft
	done
	kill -INT $weft
	code=0
	wait $weft || code=$?
	exec 7>&-
	[ "$code" -eq 130 ]
	[ "$(cat out)" = old ]
	[ "$(ls)" = $'brackets.c\nerr\nnever\nout' ]
}
