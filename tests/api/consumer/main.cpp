/* SPDX-License-Identifier: MIT */
/* A user's program, in C++17. */
#include <weft/weft.h>

#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

int main()
{
	std::vector<long> numbers(1000);
	std::iota(numbers.begin(), numbers.end(), 0);

	auto square = [](weft_range *r, void *arg) {
		long *n = static_cast<long *>(arg);
		for (std::size_t i = r->begin; i < r->end; i++)
			n[i] *= n[i];
		return 0;
	};
	static weft_range_fn *const body = square;
	auto task = [](void *arg) { return weft_for(0, 1000, body, arg); };

	if (weft_run_sync(task, numbers.data()) != 0)
		return 1;
	long sum = std::accumulate(numbers.begin(), numbers.end(), 0L);
	std::printf("%ld %d\n", sum, std::string(weft_version()).compare(WEFT_VERSION));
	return 0;
}
