# SPDX-License-Identifier: MIT
# Installs weft into a temporary directory and builds programs against it as a
# user would: by pkg-config and by CMake, in C and in C++17, shared and static;
# then once more with weft as a subdirectory of the user's project.
set -eu

if [ -n "$WEFT_SANITIZE" ]; then
	echo "skipped: what is installed is not sanitized"
	exit 77
fi
if [ -z "$CXX" ]; then
	echo "skipped: there is no C++ compiler"
	exit 77
fi

user=$WEFT_SOURCE_DIR/tests/api/consumer
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# works PROGRAM: the sum of the squares below 1000, by the version of the headers
works() {
	said=$("$1")
	if [ "$said" != "332833500 0" ]; then
		echo "$1 said: $said"
		exit 1
	fi
}

"$CMAKE" --install "$WEFT_BINARY_DIR" --prefix "$tmp/usr" >"$tmp/log"
pc=$(find "$tmp/usr" -name weft.pc)
libdir=$(dirname "$(dirname "$pc")")
for file in "$tmp/usr/include/weft/weft.h" "$libdir/libweft.a" "$libdir/libweft.so.0"; do
	test -e "$file" || { echo "not installed: $file"; exit 1; }
done

export PKG_CONFIG_PATH="$libdir/pkgconfig"
flags="-O1 -Wall -Wextra -Werror $(pkg-config --cflags weft)"
shared=$(pkg-config --libs weft)
static=$(pkg-config --libs --static weft | sed 's/-lweft/-l:libweft.a/')

# shellcheck disable=SC2086 # lists of words
{
	"$CC" -std=c17 $flags -o "$tmp/c_shared" "$user/main.c" $shared "-Wl,-rpath,$libdir"
	"$CC" -std=c17 $flags -o "$tmp/c_static" "$user/main.c" $static
	"$CXX" -std=c++17 $flags -o "$tmp/cpp_shared" "$user/main.cpp" $shared "-Wl,-rpath,$libdir"
	"$CXX" -std=c++17 $flags -o "$tmp/cpp_static" "$user/main.cpp" $static
}
for program in c_shared c_static cpp_shared cpp_static; do
	works "$tmp/$program"
done

# by_cmake NAME OPTION...
by_cmake() {
	build=$tmp/$1
	shift
	"$CMAKE" -S "$user" -B "$build" -G Ninja -DCMAKE_C_COMPILER="$CC" \
		-DCMAKE_CXX_COMPILER="$CXX" "$@" >"$tmp/log" || { cat "$tmp/log"; exit 1; }
	"$CMAKE" --build "$build" >"$tmp/log" || { cat "$tmp/log"; exit 1; }
	for kind in weft shared static; do
		works "$build/c_$kind"
		works "$build/cpp_$kind"
	done
}
by_cmake package -DCMAKE_PREFIX_PATH="$tmp/usr"
by_cmake subdirectory -DWEFT_SUBDIRECTORY="$WEFT_SOURCE_DIR"
