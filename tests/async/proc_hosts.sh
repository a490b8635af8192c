# SPDX-License-Identifier: MIT
# Worker processes of all kinds of programs: however the host is linked, also when
# it is not ours and has loaded us, and when what it was loaded from has changed.
test -z "$WEFT_SANITIZE" || exit 77
here=$(mktemp -d) || exit 1
trap 'rm -rf "$here"' EXIT
cd "$here" || exit 1
failed=0

# build FILE FACTOR FLAGS...
build() {
	file=$1
	factor=$2
	shift 2
	$CC -D_GNU_SOURCE -std=gnu17 -g "-DHOST_FACTOR=$factor" "-DHOST_FILE=\"$here/$file\"" \
		-I"$WEFT_SOURCE_DIR/src" -I"$WEFT_SOURCE_DIR/include" -I"$WEFT_SOURCE_DIR/tests" \
		"$WEFT_SOURCE_DIR/tests/async/proc_host.c" -o "$file" "$@" \
		"$WEFT_BINARY_DIR/libweft.a" -lck -lpthread 2>warnings || {
		cat warnings
		exit 1
	}
}

# expect WHAT CODE COMMAND...
expect() {
	what=$1
	code=$2
	shift 2
	said=$(timeout 30 "$@" 2>&1)
	if test "$said" != "$code"; then
		echo "$what: $said and not $code"
		failed=1
	fi
}

build pie 3 -DHOST_MAIN=1 -fPIE -pie
build nopie 3 -DHOST_MAIN=1 -fno-pie -no-pie
build noid 3 -DHOST_MAIN=1 -Wl,--build-id=none
build sysv 3 -DHOST_MAIN=1 -Wl,--hash-style=sysv
for file in pie nopie noid sysv; do
	expect "$file, by name" 0 "./$file" 0
	expect "$file, by place" 0 "./$file" 1
done

# The file that a program was started from is the one that is run again.
cp pie gone
expect "a program that was deleted" 0 sh -c 'exec 3<gone; ./gone 1; rm gone'
build pie.new 5 -DHOST_MAIN=1
expect "a program that was replaced while it runs" 0 ./pie 2

# Privileges that come with a file.
cp nopie suid && chmod u+s suid
expect "set-user-ID" -1 ./suid 0

# Without a dynamic loader, main() has to help.
if echo 'int main(void) { return 0; }' | $CC -static -x c - -o empty 2>/dev/null; then
	build static 3 -DHOST_MAIN=1 -static
	build helped 3 -DHOST_MAIN=2 -static
	build dynamic 3 -DHOST_MAIN=2
	expect "static, main() does not help" -95 ./static 0
	expect "static, by name" 0 ./helped 0
	expect "static, by place" 0 ./helped 1
	expect "dynamic, main() helps without need" 0 ./dynamic 1
fi

# A library that was loaded by a program of somebody else.
cat >loader.c <<'EOF'
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	void *library = argc == 3 ? dlopen(argv[1], RTLD_NOW) : NULL;
	int (*host_try)(int) = library ? (int (*)(int))dlsym(library, "host_try") : NULL;

	if (!host_try || chdir("/") != 0)
		return 2;
	printf("%d\n", host_try(atoi(argv[2])));
	return 0;
}
EOF
$CC loader.c -o loader -ldl || exit 1
build host.so 3 -shared -fPIC
expect "a library, by name" 0 ./loader ./host.so 0
expect "a library, by place" 0 ./loader "$here/host.so" 1
expect "a library with a relative name, by place" 0 ./loader ./host.so 1

try_python() {
	expect "Python, by $2" 0 python3 -c "
import ctypes
print(ctypes.CDLL('$here/host.so').host_try($1))"
}
if command -v python3 >/dev/null; then
	try_python 0 name
	try_python 1 place
fi

# A library that is another one by now: -ESTALE.  By name it would be found.
build host.so.new 5 -shared -fPIC
expect "a library that was replaced, by place" -116 ./loader "$here/host.so" 2
test $failed = 0
