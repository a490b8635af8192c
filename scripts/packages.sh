# SPDX-License-Identifier: MIT
# packages.sh SET... - sees to it that the Debian packages of these sets are there
#
#   build   the library, the command, its manual page
#   test    the tests, in all builds
#   extra   what some tests need and skip without: debuggers, the other architecture
#   bench   the peers that the benchmarks measure weft against
#
# Says what it installs and why before it does; installs nothing when all are
# there.  WEFT_PACKAGES=skip: trust that all are there, whatever the system.
set -eu

# One package a line, and what for.
list() {
	case $1 in
	build)
		cat <<-'END'
			gcc               the compiler
			libc6-dev         the C library's headers
			cmake             configures the build
			ninja-build       runs the build
			pkg-config        finds the libraries below
			libck-dev         ConcurrencyKit: atomics, event counts
			libjemalloc-dev   the allocator of the command and of the benchmarks
			libxxhash-dev     hashes, by which the command finds compiled jobs again
			scdoc             makes the manual page
		END
		;;
	test)
		cat <<-'END'
			g++               the headers are tested as C++17 too
			libcriterion-dev  unit tests
			bats              tests of the command
		END
		;;
	extra)
		cat <<-'END'
			gdb                      shows whether debuggers see through a fiber
			valgrind                 shows whether it does
			gcc-aarch64-linux-gnu    a compiler for the other architecture
			libc6-dev-arm64-cross    its C library
			qemu-user-static         runs what it compiles
		END
		;;
	bench)
		cat <<-'END'
			g++                 peers in C++
			libtbb-dev          oneTBB
			libboost-fiber-dev  Boost.Fiber, and Boost.Asio with it
			golang-go           Go
			clang               the other compiler
			libomp-dev          OpenMP of clang (that of gcc comes with gcc)
			libev-dev           another event loop
			libuv1-dev          another event loop
		END
		;;
	*)
		echo "packages.sh: there is no set '$1'; there are build, test, extra, bench" >&2
		exit 2
		;;
	esac
}

is_installed() {
	test "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed
}

# Can apt-get install it without looking at the archive first?
is_known() {
	apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

apt() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -q "$@"
}

test "${WEFT_PACKAGES:-}" = skip && exit 0

for set in "${@:-none}"; do
	list "$set" >/dev/null
done
wanted=$(for set in "$@"; do list "$set"; done | sort -u -k1,1)

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
	cat >&2 <<-END
		This script knows Debian 12 and its relatives, and this system is none.
		weft needs what Debian calls

		$(echo "$wanted" | sed 's/^/  /')

		Install these in your system's way, then run the same command again with
		WEFT_PACKAGES=skip in the environment.
	END
	exit 1
fi

missing=
while read -r package why; do
	is_installed "$package" && continue
	test -n "$missing" || echo "These Debian packages are missing:"
	printf '  %-24s%s\n' "$package" "$why"
	missing="$missing $package"
done <<END
$wanted
END
test -n "$missing" || exit 0

if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
	echo "This needs root, and there is no sudo.  As root: apt-get install$missing" >&2
	exit 1
fi

echo "Installing them with apt-get."
for package in $missing; do
	is_known "$package" || { apt update; break; }
done
# shellcheck disable=SC2086 # a list of words
apt install --no-install-recommends $missing || {
	echo "Once more, with fresh lists."
	apt update
	apt install --no-install-recommends $missing
}
