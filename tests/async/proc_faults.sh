# SPDX-License-Identifier: MIT
# Every system call that worker processes are made of fails once: the application
# is told, nobody hangs, nobody crashes, nobody is left.
test -z "$WEFT_SANITIZE" || exit 77
command -v strace >/dev/null || exit 77
here=$(mktemp -d) || exit 1
trap 'rm -rf "$here"' EXIT
strace -o /dev/null true 2>/dev/null || exit 77 # may not trace
$CC -D_GNU_SOURCE -std=gnu17 -g -I"$WEFT_SOURCE_DIR/src" -I"$WEFT_SOURCE_DIR/include" \
	-I"$WEFT_SOURCE_DIR/tests" "$WEFT_SOURCE_DIR/tests/async/proc_victim.c" -o "$here/victim" \
	"$WEFT_BINARY_DIR/libweft.a" -lck -lpthread || exit 1
failed=0
total=0

# Processes that this script's victims have left.
left() {
	grep -slz "^WEFT_VICTIM=$here" /proc/[0-9]*/environ | wc -l
}

# fail WHO CALL ERROR WHEN ALLOWED
fail() {
	test "$1" = all && follow=-f || follow=
	WEFT_VICTIM=$here timeout -s KILL 60 strace $follow -qq -o /dev/null -e "trace=$2" \
		-e "inject=$2:error=$3:when=$4" "$here/victim" >"$here/said" 2>&1
	code=$?
	total=$((total + 1))
	case "$5" in
	*$code*) ;;
	*)
		echo "$1: $2 fails with $3 at call $4: exit code $code"
		cat "$here/said"
		failed=1
		;;
	esac
}

"$here/victim" || exit 1

# fails WHO ERROR LAST CALL...: in turn, the first to the last of each call.
fails() {
	who=$1 error=$2 last=$3
	shift 3
	for call in "$@"; do
		when=1
		while test $when -le "$last"; do
			fail "$who" "$call" "$error" $when "0 3"
			when=$((when + 1))
		done
	done
}

fails own EMFILE 6 socketpair pipe2 memfd_create pidfd_open
fails own ENOMEM 6 clone sendmsg recvmsg recvfrom setsockopt
fails own EMFILE 12 fcntl
fails own ENOSPC 6 pwrite64 ftruncate write
fails all ENOMEM 3 sendmsg recvmsg pidfd_open poll
fails all EAGAIN 2 clone clone3 execve
fails all EINVAL 2 setpgid prctl signalfd4 dup2 dup3 memfd_create

# An interrupted call is made again.
for call in sendmsg recvmsg recvfrom poll wait4 pwrite64; do
	fail own $call EINTR 1 0
	fail own $call EINTR 2 0
	fail all $call EINTR 1 0
done

tries=0
while test "$(left)" -gt 0 && test $tries -lt 20; do
	tries=$((tries + 1))
	sleep 0.1
done
test "$(left)" -eq 0 || {
	echo "$(left) processes are left"
	failed=1
}
echo "$total faults"
test $failed = 0
