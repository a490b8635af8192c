# SPDX-License-Identifier: MIT
# The command line: help, summary, progress, workers, weft info.
load support

@test "weft --help, weft help and weft help COMMAND" {
	run --separate-stderr "$WEFT" --help
	exited 0 ""
	[[ $output = *"weft map "*"weft info "* ]]
	run --separate-stderr "$WEFT" help
	exited 0 ""
	run --separate-stderr "$WEFT" help map
	exited 0 ""
	[[ $output = "Usage: weft map [OPTION...] JOB [INPUT...]"* ]]
	run --separate-stderr "$WEFT" help info
	exited 0 ""
	run --separate-stderr "$WEFT" help nonsense
	exited 2 "weft: no such command: nonsense; try weft --help"
}

@test "help map names every option and every exit code" {
	run --separate-stderr "$WEFT" help map
	for option in record skip limit max-record set on-error output unordered workers progress \
		json quiet; do
		[[ $output = *"--$option"* ]]
	done
	for code in 0 1 2 3 4 5 6 130 141; do
		tr -s ' \n' ' ' <<<"$output" | grep -q "[ :;] *$code [a-z]"
	done
}

@test "the manual page names every option that help names" {
	"$WEFT" help map | grep -o -e '--[a-z-]*' | sort -u | grep -v -e '--help' -e '--usage' >options
	[ "$(wc -l <options)" -ge 12 ]
	while read -r option; do
		grep -q -w -e "$option" "$BATS_TEST_DIRNAME/../../doc/weft.1.scd"
	done <options
}

@test "weft map --help prints the same" {
	run --separate-stderr "$WEFT" help map
	expected=$output
	run --separate-stderr "$WEFT" map --help
	exited 0 ""
	put "$expected"
}

@test "weft --version" {
	run --separate-stderr "$WEFT" --version
	exited 0 ""
	[[ $output =~ ^weft\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
	version=$output
	run --separate-stderr "$WEFT" map --version
	put "$version"
}

@test "a command line that makes no sense: exit 2, and nothing is run" {
	job_copy
	echo one >in
	run --separate-stderr "$WEFT"
	exited 2
	run --separate-stderr "$WEFT" nonsense
	exited 2 "weft: no such command: nonsense; try weft --help"
	for words in "" "--nonsense copy.c in" "--record fixed:0 copy.c in" \
		"--record fixed:x copy.c in" "--skip x copy.c in" "--limit -1 copy.c in" \
		"--limit 1K copy.c in" "--max-record 1X copy.c in" "--on-error go copy.c in" \
		"--progress often copy.c in" "--set =x copy.c in" "-j 0 copy.c in" \
		"-j x copy.c in" "-j 0% copy.c in" "-j -1 copy.c in" "-j 5000 copy.c in" \
		"--record fixed:2000 --max-record 1K copy.c in"; do
		# shellcheck disable=SC2086 # words
		map $words
		exited 2
		put ""
		said '^weft map: '
	done
}

@test "options may follow the inputs, and -- ends them" {
	job_brackets
	echo one >-in
	map brackets.c -q --limit 1 -- -in
	exited 0 ""
	put "<one>"
}

@test "standard input is read when there is no input, and for -" {
	job_brackets
	run --separate-stderr "$WEFT" map -q brackets.c <<<one
	put "<one>"
	run --separate-stderr "$WEFT" map -q brackets.c - <<<two
	put "<two>"
	echo three >in
	run --separate-stderr "$WEFT" map -q brackets.c in - in <<<four
	put $'<three>\n<four>\n<three>'
}

@test "the closing summary: records, bytes, seconds, rate, workers, CPU use" {
	job_copy
	seq 1 1234567 >in
	run --separate-stderr "$WEFT" map -j 2 -o out copy.c in
	exited 0
	said '^weft: 1,234,567 records, 8\.8 MB in [0-9.e-]* s, [0-9.]* [kMG]*B/s, 2 workers, CPU [0-9]* %$'
	echo one >in
	run --separate-stderr "$WEFT" map -j 1 -o out copy.c in
	said '^weft: 1 record, 4 B in [0-9.e-]* s, [0-9.]* [kMG]*B/s, 1 worker, CPU [0-9]* %$'
}

@test "--quiet: no summary" {
	job_copy
	echo one >in
	run --separate-stderr "$WEFT" map --quiet copy.c in
	exited 0 ""
}

# field NAME: of the JSON on standard input, which has to be JSON
field() {
	"$WEFT" map -q --record nul --set field="$1" --set missing=none \
		"$BATS_TEST_DIRNAME/../../examples/jobs/json_field.c"
}

@test "--json: the summary as JSON" {
	job_copy
	seq 1 1000 >in
	run --separate-stderr "$WEFT" map --json -j 2 copy.c in
	exited 0
	[ "$(field records <<<"$stderr")" = 1000 ]
	[ "$(field failed <<<"$stderr")" = 0 ]
	[ "$(field bytes_in <<<"$stderr")" = 3893 ]
	[ "$(field bytes_out <<<"$stderr")" = 3893 ]
	[ "$(field workers <<<"$stderr")" = 2 ]
	[ "$(field exit <<<"$stderr")" = 0 ]
	for name in seconds bytes_per_second cpu_use memory_peak; do
		[[ $(field $name <<<"$stderr") = [0-9]* ]]
	done
}

@test "-j N, N% and WEFT_NUM_THREADS choose the workers; -j wins" {
	job_copy
	cpus=$("$WEFT" info --json | sed -n 's/.*"workers": \([0-9]*\),/\1/p')
	workers() {
		"$WEFT" map --json "$@" copy.c /dev/null 2>&1 | sed -n 's/.*"workers": \([0-9]*\),.*/\1/p'
	}
	[ "$(workers)" = "$cpus" ]
	[ "$(workers -j 3)" = 3 ]
	[ "$(workers -j 100%)" = "$cpus" ]
	[ "$(workers -j 300%)" = $((3 * cpus)) ]
	[ "$(workers -j 1%)" = 1 ]
	[ "$(workers -j auto)" = "$cpus" ]
	export WEFT_NUM_THREADS=5
	[ "$(workers)" = 5 ]
	[ "$(workers -j 3)" = 3 ]
	[ "$(workers -j 100%)" = "$cpus" ]
	WEFT_NUM_THREADS=200%
	[ "$(workers)" = $((2 * cpus)) ]
}

@test "a bad WEFT_NUM_THREADS is refused" {
	job_copy
	WEFT_NUM_THREADS=many map copy.c /dev/null
	exited 2
	said '^weft map: WEFT_NUM_THREADS: neither a number from 1 to 4096 nor a percentage: many$'
}

@test "all records are mapped once, whatever the number of workers" {
	job_sum
	seq 1 100000 >in
	for workers in 1 2 3 8 64; do
		map -j $workers sum.c in
		exited 0 ""
		put 0x1.2a06b55p+32 # 5000050000
	done
}

@test "no progress into a file, unless told to" {
	job_copy
	seq 1 1000 >in
	map copy.c in
	exited 0 ""
	map --progress never copy.c in
	exited 0 ""
	map --progress auto copy.c in
	exited 0 ""
}

@test "progress on a terminal, unless told not to" {
	job_copy
	map copy.c /dev/null # compiled
	mkfifo never
	exec 7<>never
	seq 1 1000 >&7
	# script runs it on a terminal; COLUMNS makes the line fit.
	COLUMNS=200 script -qfec "'$WEFT' map -q -o out copy.c never" log \
		</dev/null >/dev/null 7>&- &
	script=$!
	until grep -q '/s, 1,000 records' log; do
		kill -0 $script
	done
	exec 7>&-
	wait $script
	seq 1 1000 >in
	script -qfec "'$WEFT' map -q --progress never -o out copy.c in" log </dev/null >/dev/null
	[ "$(grep -c $'\e' log)" -eq 0 ]
}

# Opens an input that stays open, and waits until the progress shows PATTERN.
progress_shows() {
	pattern=$1
	shift
	mkfifo never
	exec 7<>never
	seq 1 100000 >&7 &
	COLUMNS=${COLUMNS-200} "$WEFT" map -q --progress always copy.c "$@" never >out 2>err &
	weft=$!
	until tr '\r' '\n' <err | grep -q -e "$pattern"; do
		kill -0 $weft
	done
	kill -TERM $weft
	wait $weft || true
	exec 7>&-
}

@test "--progress always: bytes, rate and records" {
	job_copy
	progress_shows $'^\e\\[K589 kB, [0-9.]* [kMG]*B/s, 100,000 records$'
	# The line is gone in the end.
	[ "$(tail -c 4 err)" = $'\r\e[K' ]
}

@test "progress fits in COLUMNS" {
	job_copy
	COLUMNS=12 progress_shows $'^\e\\[K589 kB, [0-9.]*$'
	tr '\r' '\n' <err | sed 's/^.\[K//' | while read -r line; do
		[ ${#line} -le 11 ]
	done
}

@test "progress of files knows their size: percent and time left" {
	cat >slow.c <<-'END'
		#include <stdatomic.h>
		#include <unistd.h>
		#include <weft/job.h>

		static atomic_int seen;

		int map(struct weft_job *job, const char *record, size_t length)
		{
			char byte;

			(void)job, (void)record, (void)length;
			if (++seen == 900)
				return read(7, &byte, 1) < 0;
			return 0;
		}
	END
	seq 1000 1999 >in
	mkfifo go
	exec 7<>go
	COLUMNS=200 "$WEFT" map -q -j 1 --progress always slow.c in 2>err &
	weft=$!
	until tr '\r' '\n' <err | grep -q -e 'B of 5\.0 kB, [0-9]* %, .*, ETA [0-9]*:[0-9][0-9], '; do
		kill -0 $weft
	done
	echo >&7
	wait $weft
	exec 7>&-
}

@test "weft info: CPUs, quota, caches, kernel, allocator, versions" {
	run --separate-stderr "$WEFT" info
	exited 0 ""
	for name in weft CPU CPUs quota workers caches pages stacks mappings kernel "C library" \
		allocator compiler weft/job.h "job cache"; do
		grep -q "^$name  *[^ ]" <<<"$output"
	done
	[[ $output = *"$(getconf _NPROCESSORS_ONLN) online"* ]]
	[[ $output = *"Linux $(uname -r)"* ]]
	run --separate-stderr "$WEFT" info --nonsense
	exited 2
}

@test "weft info: the command allocates with jemalloc" {
	if [ -n "$WEFT_SANITIZE" ]; then
		skip "sanitizers bring their own allocator"
	fi
	run --separate-stderr "$WEFT" info
	grep -q '^allocator  *jemalloc [0-9]' <<<"$output"
}

@test "tables of a job lie in large pages" {
	if [ -n "$WEFT_SANITIZE" ]; then
		skip "sanitizers bring their own allocator"
	fi
	MALLOC_CONF=stats_print:true run --separate-stderr "$WEFT" info
	grep -q 'opt.thp: "always"' <<<"$stderr"
}

@test "weft info --json" {
	run --separate-stderr "$WEFT" info --json
	exited 0 ""
	[ "$(field cpus_online <<<"$output")" = "$(getconf _NPROCESSORS_ONLN)" ]
	[ "$("$WEFT" --version)" = "weft $(field version <<<"$output")" ]
}

@test "a full disk under weft info and weft help" {
	for words in info help "help map" "map --help" --version; do
		run --separate-stderr sh -c "'$WEFT' $words >/dev/full"
		exited 5 "weft: standard output: No space left on device"
	done
}
