# SPDX-License-Identifier: MIT
# The output: its order, its file, its bounds, its ends.
load support

# Record N puts out N lines of 100 bytes.
job_many() {
	cat >many.c <<-'END'
		#include <stdlib.h>
		#include <weft/job.h>

		int map(struct weft_job *job, const char *record, size_t length)
		{
			(void)length;
			for (long i = atol(record); i > 0; i--)
				if (weft_emitf(job, "%s %0*ld\n", record, 98 - (int)length, i))
					return -1;
			return 0;
		}
	END
}

# What job_many puts out for the records in a file.
many() {
	perl -ne 'chomp; $n = $_; printf "%s %0*d\n", $n, 98 - length $n, $_ for reverse 1 .. $n' "$@"
}

@test "output comes in the order of the input, however uneven the records" {
	job_many
	perl -e 'print 10 ** int(4 * (($_ * 7919 % 101) / 101)), "\n" for 1 .. 3000' >in
	many in >expected
	for workers in 1 2 8; do
		"$WEFT" map -q -j $workers many.c in | cmp - expected
	done
}

@test "a large file comes out as it went in" {
	job_copy
	seq 1 3000000 >in
	for workers in 1 2 8; do
		"$WEFT" map -q -j $workers copy.c in | cmp - in
	done
}

@test "a pipe comes out as it went in" {
	job_copy
	seq 1 3000000 >in
	# shellcheck disable=SC2002 # a pipe is the point
	cat in | "$WEFT" map -q copy.c | cmp - in
	"$WEFT" map -q copy.c - <in | cmp - in
}

@test "--unordered: the same records, each in one piece" {
	job_many
	perl -e 'print 10 ** ($_ % 4), "\n" for 1 .. 2000' >in
	many in | sort >expected
	"$WEFT" map -q -j 8 --unordered many.c in >out
	sort out | cmp - expected
	# All lines of a record follow each other, counting down to 1.
	perl -ne '($n, $i) = split; die "line $.: $i in place of $want" if $want && $i != $want;
		$want ||= $n; die "line $." if $i != $want; $want = $i - 1' out
}

@test "--unordered: records larger than any buffer stay in one piece" {
	job_many
	printf '%s\n' 150000 3 120000 5 130000 7 >in
	"$WEFT" map -q -j 4 --unordered many.c in >out
	many in | sort | cmp - <(sort out)
	perl -ne '($n, $i) = split; $want ||= $n; die "line $." if $i != $want; $want = $i - 1' out
}

@test "--unordered: a reduction is merged in order all the same" {
	job_chain
	seq 1 100000 >in
	"$WEFT" map -q -j 8 --unordered chain.c in | cmp - in
}

@test "a live pipe: what has come is put out before more comes" {
	job_brackets
	mkfifo to from
	"$WEFT" map -q brackets.c to >from &
	exec 8<from 7>to
	for word in one two three; do
		echo "$word" >&7
		read -r line <&8
		[ "$line" = "<$word>" ]
	done
	# Half a record waits for its other half.
	printf 'fo' >&7
	printf 'ur\n' >&7
	exec 7>&-
	read -r line <&8
	[ "$line" = "<four>" ]
	wait $!
}

@test "memory is bounded, however much a record puts out" {
	job_many
	printf '%s\n' 3000000 1 2000000 1 >in
	"$WEFT" map --json -j 4 many.c in 2>summary | many_sum >out
	grep -q '"bytes_out": 500000200,' summary
	memory 250000000
}

# Reads all there is to read.
many_sum() {
	cksum
}

@test "memory is bounded, however large the input" {
	job_copy
	"$WEFT" map --json -j 4 copy.c <(yes 0123456789 | head -c 594000000) 2>summary | cksum >out
	grep -q '"bytes_in": 594000000,' summary
	memory 250000000
}

@test "memory is bounded, however slow the reader of the output" {
	job_copy
	mkfifo pipe
	"$WEFT" map --json -j 4 copy.c <(yes 0123456789 | head -c 396000000) >pipe 2>summary &
	weft=$!
	exec 7<pipe
	# The reader sleeps until all has come to a stop: nobody runs, nothing grows.
	last=
	while now=$(cat /proc/$weft/stat | cut -d' ' -f14,15) && [ "$now" != "$last" ]; do
		last=$now
		read -r -t 1 _ <> <(:) || true
	done
	grep VmHWM /proc/$weft/status
	cat <&7 | wc -c | grep -q '^396000000$'
	wait $weft
	memory 250000000
}

@test "a closed pipe ends the run quietly" {
	job_copy
	yes | head -2000000 >in
	set +o pipefail
	"$WEFT" map copy.c in 2>err | head -1 >out
	code=${PIPESTATUS[0]}
	[ "$(cat out)" = y ]
	[ ! -s err ]
	[ "$code" -eq 141 ]
}

@test "a closed pipe ends a run that puts nothing out" {
	cat >silent.c <<-'END'
		#include <weft/job.h>
		int map(struct weft_job *job, const char *record, size_t length)
		{
			return 0;
		}
	END
	mkfifo never pipe
	# The input stays open and brings nothing; what ends the run is the reader.
	exec 7<>never 8<>pipe
	"$WEFT" map silent.c never >pipe 2>err 8>&- &
	weft=$!
	exec 8>&-
	code=0
	wait $weft || code=$?
	exec 7>&-
	[ "$code" -eq 141 ]
	[ ! -s err ]
}

@test "a full disk: a message and code 5" {
	job_copy
	seq 1 100000 >in
	run --separate-stderr sh -c '"$WEFT" map -q copy.c in >/dev/full'
	exited 5 "weft: standard output: No space left on device"
	map copy.c -o /dev/full in
	exited 5 "weft: /dev/full: No space left on device"
}

@test "a closed standard output: a message and code 5" {
	job_copy
	seq 1 100000 >in
	run --separate-stderr sh -c '"$WEFT" map -q copy.c in >&-'
	exited 5 "weft: standard output: Bad file descriptor"
}

@test "-o FILE" {
	job_copy
	seq 1 1000 >in
	map -o out copy.c in
	exited 0 ""
	put ""
	cmp in out
	[ "$(ls)" = $'copy.c\nin\nout' ]
}

@test "-o FILE: a run that fails leaves what was there, and nothing else" {
	job_picky
	seq 1 100000 >in
	echo bad >>in
	map -o out picky.c in
	exited 1
	[ ! -e out ]
	echo old >out
	map -o out picky.c in
	exited 1
	[ "$(cat out)" = old ]
	[ "$(ls)" = $'in\nout\npicky.c' ]
}

@test "-o FILE: --on-error skip is no failure of the run" {
	job_picky
	printf 'one\nbad\ntwo\n' >in
	map -o out --on-error skip picky.c in
	exited 1
	[ "$(cat out)" = $'one\ntwo' ]
}

@test "-o FILE: the mode is that of the file replaced, or of the umask" {
	job_copy
	echo one >in
	echo old >out
	chmod 640 out
	map -o out copy.c in
	[ "$(stat -c %a out)" = 640 ]
	(umask 027 && "$WEFT" map -q -o new copy.c in)
	[ "$(stat -c %a new)" = 640 ]
}

@test "-o FILE: a link stays a link" {
	job_copy
	echo one >in
	mkdir folder
	echo old >folder/target
	ln -s folder/target link
	map -o link copy.c in
	exited 0 ""
	[ -L link ]
	[ "$(cat folder/target)" = one ]
}

@test "-o FILE: what is no regular file is written to, not replaced" {
	job_copy
	echo one >in
	map -o /dev/null copy.c in
	exited 0 ""
	[ -c /dev/null ]
	mkfifo pipe
	cat pipe >got &
	map -o pipe copy.c in
	wait $!
	[ -p pipe ]
	[ "$(cat got)" = one ]
}

@test "-o FILE may be an input" {
	job_brackets
	printf 'one\ntwo\n' >in
	map -o in brackets.c in
	exited 0 ""
	[ "$(cat in)" = $'<one>\n<two>' ]
}

@test "-o FILE in a folder that is not there, and a folder as FILE" {
	job_copy
	echo one >in
	map -o missing/out copy.c in
	exited 5 "weft: missing/out: No such file or directory"
	map -o . copy.c in
	exited 5 "weft: .: Is a directory"
}

@test "-o FILE: killed on the spot, nothing half done has a name" {
	job_brackets
	mkfifo never
	exec 7<>never
	echo one >&7
	"$WEFT" map -q -o out brackets.c never &
	weft=$!
	# It reads: so it has opened its output.
	until [ -n "$(find "/proc/$weft/fd" -lname '*never' 2>/dev/null)" ]; do :; done
	kill -KILL $weft
	wait $weft || true
	exec 7>&-
	[ "$(ls)" = $'brackets.c\nnever' ]
}

@test "output that is also an input is refused" {
	job_copy
	seq 1 10 >in
	run --separate-stderr sh -c '"$WEFT" map -q copy.c in >>in'
	exited 4 "weft: standard output is one of the inputs"
	[ "$(wc -l <in)" -eq 10 ]
}
