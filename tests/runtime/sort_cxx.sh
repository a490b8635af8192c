#!/bin/sh
# SPDX-License-Identifier: MIT
#
# sort_cxx.sh - the macros of weft/sort.h in C++17, without a warning

set -eu
: "${WEFT_SOURCE_DIR:?}" "${WEFT_BINARY_DIR:?}"

if [ -z "${CXX:-}" ]; then
	echo "skipped: there is no C++ compiler"
	exit 77
fi
if [ -n "${WEFT_SANITIZE:-}" ]; then
	echo "skipped: the library wants the runtime of a sanitizer"
	exit 77
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/sort.cpp" <<'END'
#include <weft/sort.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

struct point {
	int x;
	std::array<double, 50> wide;
};

static bool left_of(const point *a, const point *b)
{
	return a->x < b->x;
}

#define LESS_TEXT(a, b) (std::strcmp(*(a), *(b)) < 0)
WEFT_SORT(sort_points, point, left_of)
WEFT_SORT_STABLE(sort_texts, const char *, LESS_TEXT)

int main()
{
	std::vector<point> points(1000);
	std::vector<const char *> texts = { "weft", "warp", "loom" };

	for (int i = 0; i < 1000; i++)
		points[static_cast<std::size_t>(i)].x = i * 7919 % 1000;
	if (sort_points(points.data(), points.size()) || sort_texts(texts.data(), texts.size()))
		return 1;
	auto by_x = [](const point &a, const point &b) { return a.x < b.x; };
	auto by_text = [](const char *a, const char *b) { return std::strcmp(a, b) < 0; };
	return !std::is_sorted(points.begin(), points.end(), by_x) ||
	       !std::is_sorted(texts.begin(), texts.end(), by_text);
}
END
for level in 0 2; do
	"$CXX" -std=c++17 "-O$level" -Wall -Wextra -Wconversion -Wpedantic -Werror \
		-I"$WEFT_SOURCE_DIR/include" -o "$dir/sort" "$dir/sort.cpp" \
		-L"$WEFT_BINARY_DIR" -lweft "-Wl,-rpath,$WEFT_BINARY_DIR"
	"$dir/sort"
done
