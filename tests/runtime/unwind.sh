#!/bin/sh
# SPDX-License-Identifier: MIT
#
# unwind.sh - a debugger follows a fiber to its start, and stops there
#
# A running fiber as it is; a suspended one when given its saved stack pointer and
# weft__switch_resume.  And inside the switch itself, at every instruction: a
# profiler interrupts anywhere.

set -eu
: "${CC:=cc}" "${WEFT_SOURCE_DIR:?}" "${WEFT_BINARY_DIR:?}"

if ! command -v gdb >/dev/null; then
	echo "skipped: no gdb"
	exit 77
fi
if [ "$(uname -m)" != x86_64 ]; then
	echo "skipped: the commands name registers of x86-64"
	exit 77
fi
if [ -n "${WEFT_SANITIZE:-}" ]; then
	echo "skipped: gdb and the sanitizers' start-up do not go together"
	exit 77
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# debug FILE: what gdb says to these commands.  It takes weft__x, where it knows no
# language, for a name of Ada, and says weft.x.
debug() {
	gdb -q -nx -batch -ex 'set debuginfod enabled off' -ex 'set confirm off' \
		-x "$1" "$dir/victim" 2>&1 | sed 's/weft\./weft__/g'
}

# frames: the functions of the last backtrace on stdin, innermost first, but for
# those of the switch, which are more or fewer with what is inlined.
frames() {
	sed -n 's/^\(#[0-9]*\) *\(0x[0-9a-f]* in \)\{0,1\}\([a-zA-Z_0-9]*\) .*/\1 \3/p' |
		awk '$1 == "#0" { list = "" } $2 !~ /switch/ { list = list $2 " " } END { print list }'
}

# callers: the functions that were found to call the switch, each once for each
# stack pointer they were found to have.
callers() {
	sed -n 's/^\([a-zA-Z_0-9]*\) + [0-9]* in section .*/\1/p;s/^No symbol.*/?/p;s/^sp //p' |
		paste - - | uniq | cut -f 1 | tr '\n' ' '
}

expect() {
	if [ "$2" != "$3" ]; then
		echo "$1 ($options)"
		echo "expected: $2"
		echo "found:    $3"
		exit 1
	fi
}

cat >"$dir/running" <<'EOF'
break break_here
run
backtrace 30
EOF

cat >"$dir/suspended" <<'EOF'
break break_here
run
set $rsp = (unsigned long)suspended->stack.sp
set $pc = (unsigned long)&weft__switch_resume
backtrace 30
EOF

# Steps through the next switch, and at each instruction asks for the caller.
cat >"$dir/steps" <<'EOF'
while $pc >= (unsigned long)&weft__switch_jump && $pc < (unsigned long)&weft__fiber_start
  frame 1
  info symbol $pc
  printf "sp %lx\n", $sp
  frame 0
  stepi
end
EOF

# The second switch, from sleep_here() to main(), and the one by which
# fiber_that_runs() ends.
cat >"$dir/switch" <<EOF
break *weft__switch_jump
run
continue
source $dir/steps
EOF
cat >"$dir/last" <<EOF
break *weft__switch_jump_last
run
source $dir/steps
EOF

for options in "-O0" "-O2" "-O2 -fomit-frame-pointer -fcf-protection=full"; do
	# shellcheck disable=SC2086 # options are several words
	if ! "$CC" -std=gnu17 -g $options -D_GNU_SOURCE \
		-I"$WEFT_SOURCE_DIR/src" -I"$WEFT_SOURCE_DIR/include" -o "$dir/victim" \
		"$WEFT_SOURCE_DIR/tests/runtime/unwind_victim.c" "$WEFT_BINARY_DIR/libweft.a" \
		-lck -pthread; then
		exit 1
	fi

	debug "$dir/running" >"$dir/said"
	if grep -q 'ptrace: Operation not permitted' "$dir/said"; then
		echo "skipped: no ptrace here"
		exit 77
	fi
	expect "a running fiber" \
		"break_here outer fiber_that_runs weft__fiber_main weft__fiber_start " \
		"$(frames <"$dir/said")"
	expect "a suspended fiber" \
		"sleep_here outer fiber_that_sleeps weft__fiber_main weft__fiber_start " \
		"$(debug "$dir/suspended" | frames)"
	expect "inside a switch" "sleep_here main " "$(debug "$dir/switch" | callers)"
	expect "inside a last switch" "fiber_that_runs main " "$(debug "$dir/last" | callers)"
done
