# SPDX-License-Identifier: MIT
# bench.sh [--quick] [--json] [--clang] [NAME...] - builds and runs the benchmarks
#
#   --quick   one short round of each: shows that they work, judges nothing
#   --json    one JSON document a benchmark instead of tables
#   --clang   everything by clang -O2 instead of gcc -O3
#   NAME      only these of bench/*.c
set -eu
cd "$(dirname "$0")/.."

preset=release
options=
names=
for word in "$@"; do
	case $word in
	--clang) preset=bench-clang ;;
	--quick | --json) options="$options $word" ;;
	-*)
		echo "usage: bench.sh [--quick] [--json] [--clang] [NAME...]" >&2
		exit 2
		;;
	*) names="$names $word" ;;
	esac
done

{
	sh scripts/packages.sh build bench
	cmake --preset "$preset"
	cmake --build --preset "$preset" --target benches
} >&2

if [ -z "$names" ]; then
	for source in bench/*.c; do
		name=$(basename "$source" .c)
		case $name in
		bench | *_omp) ;;
		*) names="$names $name" ;;
		esac
	done
fi

for name in $names; do
	# shellcheck disable=SC2086 # a list of words
	"build/$preset/bench/$name" $options
	case $options in *--no-banner*) ;; *) options="$options --no-banner" ;; esac
done
