/* SPDX-License-Identifier: MIT */
/* channel_boost.cpp - the same with Boost.Fiber: two fibers of one thread, or one of
 * each of two threads */
#include <functional>
#include <thread>

#include <boost/fiber/all.hpp>

#include "bench.h"
#include "channel.h"

using channel = boost::fibers::buffered_channel<long>;
using rendezvous = boost::fibers::unbuffered_channel<long>;

/* Runs both, on one thread or two. */
static void together(unsigned threads, std::function<void()> one, std::function<void()> other)
{
	if (threads == 1) {
		boost::fibers::fiber f(other);
		one();
		f.join();
	} else {
		std::thread t([&] { boost::fibers::fiber(other).join(); });
		boost::fibers::fiber(one).join();
		t.join();
	}
}

BENCH_PEER void peer_ping_pong(void *arg, unsigned threads)
{
	channel_job *job = static_cast<channel_job *>(arg);
	rendezvous there, back;

	auto ask = [&] {
		long sum = 0;
		for (long i = 0; i < job->n; i++) {
			there.push(i);
			sum += back.value_pop();
		}
		job->sum = sum;
	};
	auto answer = [&] {
		for (long i = 0; i < job->n; i++)
			back.push(there.value_pop());
	};
	together(threads, ask, answer);
}

BENCH_PEER void peer_stream(void *arg, unsigned threads)
{
	channel_job *job = static_cast<channel_job *>(arg);
	channel c(static_cast<size_t>(job->capacity));

	auto sink = [&] {
		long sum = 0;
		for (long i = 0; i < job->n; i++)
			sum += c.value_pop();
		job->sum = sum;
	};
	auto source = [&] {
		for (long i = 0; i < job->n; i++)
			c.push(i);
	};
	together(threads, sink, source);
}
