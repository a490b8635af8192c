/* SPDX-License-Identifier: MIT */
/* offload_boost.cpp - the same with a thread pool of Boost.Asio, and a loop that calls it */
#include <vector>

#include <boost/asio.hpp>

#include "bench.h"
#include "offload.h"

namespace {

struct chain {
	offload_job *job;
	boost::asio::io_context *loop;
	boost::asio::thread_pool *pool;
	long left;

	void next()
	{
		offload_pause(job);
		boost::asio::post(*pool, [this] {
			offload_call(job);
			boost::asio::post(*loop, [this] {
				if (--left > 0)
					next();
			});
		});
	}
};

} // namespace

BENCH_PEER void peer_offload(void *arg, unsigned)
{
	static boost::asio::thread_pool few(OFFLOAD_FEW), many(OFFLOAD_MANY);
	offload_job *job = static_cast<offload_job *>(arg);
	boost::asio::io_context loop;
	auto work = boost::asio::make_work_guard(loop);
	std::vector<chain> chains(static_cast<size_t>(job->at_once));

	for (chain &c : chains) {
		c = { job, &loop, job->naps ? &many : &few, job->calls / job->at_once };
		c.next();
	}
	while (job->calls != __atomic_load_n(&job->ran, __ATOMIC_RELAXED))
		loop.run_one();
	work.reset();
	loop.run();
}
