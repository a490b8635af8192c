/* SPDX-License-Identifier: MIT */
/*
 * overflow.c - a fiber that overflows its stack is named before the process dies
 *
 * The handler runs on the alternate signal stack of the thread, because the
 * fiber's own has no room left.  It takes a fault for an overflow when the
 * address lies in a guard and the stack pointer in the same slot: a stray pointer
 * into the guard of somebody else's stack is another mistake, and is not ours to
 * explain.  A frame that is larger than the guard can jump over it unless its
 * function touches every page in turn (-fstack-clash-protection); stack.c says
 * how large a guard is.
 *
 * After the report the disposition that was there before us is put back and the
 * handler returns, so that the instruction faults again: into the application's
 * handler if it had one, with a context as if we did not exist, or else into the
 * default action, with the core and the exit status of a segmentation fault.
 *
 * Any other fault is passed on and nothing is changed, but that a handler which
 * did not ask for the alternate stack runs on it.  Rejected: a handler that is
 * only there while a fiber runs (two system calls a switch); restoring the old
 * handler for every fault (an application that handles faults of its own, as
 * garbage collectors do, would lose our report after its first).
 *
 * Only async-signal-safe calls below on_fault.
 */
#include "runtime/overflow.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <weft/error.h>

#include "runtime/fiber.h"
#include "runtime/stackmap.h"

/* Of an alternate stack, above what the kernel needs for a signal frame: room
 * for a handler of the application that prints a backtrace. */
#define HANDLER_ROOM   ((size_t)64 << 10)

#define NAME_MAX_SHOWN 64

static struct sigaction previous_segv, previous_bus;

/* The alternate stack that this thread got from us. */
static __thread char *own_stack;

struct line {
	size_t length;
	char text[256];
};

static void line_add(struct line *line, const char *text, size_t limit)
{
	for (size_t i = 0; i < limit && text[i] && line->length < sizeof(line->text); i++)
		line->text[line->length++] = text[i];
}

static void line_add_number(struct line *line, size_t number)
{
	char digits[24];
	size_t i = sizeof(digits) - 1;

	digits[i] = 0;
	do
		digits[--i] = (char)('0' + number % 10);
	while (number /= 10);
	line_add(line, digits + i, sizeof(digits));
}

static void report(const struct weft__fiber *fiber, size_t size)
{
	struct line line = { 0 };

	line_add(&line, "weft: stack overflow in fiber ", SIZE_MAX);
	line_add(&line, fiber->name ? fiber->name : "(unnamed)", NAME_MAX_SHOWN);
	line_add(&line, " (stack of ", SIZE_MAX);
	line_add_number(&line, size >> 10);
	line_add(&line, " KiB); raise WEFT_STACK_SIZE or .stack_size\n", SIZE_MAX);
	ssize_t written = write(STDERR_FILENO, line.text, line.length);
	(void)written; /* there is nobody left to tell */
}

static uintptr_t stack_pointer(const void *context)
{
	const ucontext_t *uc = context;
#if defined(__aarch64__)
	return (uintptr_t)uc->uc_mcontext.sp;
#else
	return (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
#endif
}

/* From the kernel, because of an instruction; not from kill() or sigqueue(). */
static bool is_fault(const siginfo_t *info)
{
	return info->si_code > 0;
}

static void take_default(int sig, const siginfo_t *info)
{
	struct sigaction action = { .sa_handler = SIG_DFL };

	sigaction(sig, &action, NULL);
	if (!is_fault(info))
		raise(sig); /* blocked here, and so delivered on return */
}

/* Runs the application's handler under the mask it asked for; the return from
 * our own restores the mask. */
static void call_handler(const struct sigaction *action, int sig, siginfo_t *info, void *context)
{
	sigset_t self;

	pthread_sigmask(SIG_BLOCK, &action->sa_mask, NULL);
	sigemptyset(&self);
	sigaddset(&self, sig);
	if (action->sa_flags & SA_NODEFER)
		pthread_sigmask(SIG_UNBLOCK, &self, NULL);
	if (action->sa_flags & (int)SA_RESETHAND)
		sigaction(sig, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
	if (action->sa_flags & SA_SIGINFO)
		action->sa_sigaction(sig, info, context);
	else
		action->sa_handler(sig);
}

static void pass_on(const struct sigaction *action, int sig, siginfo_t *info, void *context)
{
	bool handler = action->sa_flags & SA_SIGINFO ||
		       (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);

	if (handler)
		call_handler(action, sig, info, context);
	else if (action->sa_handler == SIG_DFL || is_fault(info))
		take_default(sig, info); /* the kernel too does not let a fault be ignored */
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	const struct sigaction *previous = sig == SIGBUS ? &previous_bus : &previous_segv;
	struct weft__stack *stack = NULL;
	size_t size = 0;

	if (is_fault(info))
		stack = weft__stack_overflowed((uintptr_t)info->si_addr, stack_pointer(context),
					       &size);
	if (!stack) {
		pass_on(previous, sig, info, context);
		return;
	}
	report((const struct weft__fiber *)stack, size);
	sigaction(sig, previous, NULL);
}

static void install(int sig, struct sigaction *previous)
{
	struct sigaction action = { .sa_sigaction = on_fault };

	/* Known before the handler can run and look at it. */
	sigaction(sig, NULL, previous);
	action.sa_flags = SA_SIGINFO | SA_ONSTACK | (previous->sa_flags & SA_RESTART);
	sigemptyset(&action.sa_mask);
	sigaction(sig, &action, NULL);
}

static void install_both(void)
{
	install(SIGSEGV, &previous_segv);
	install(SIGBUS, &previous_bus);
}

int weft__overflow_install(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, install_both);
	return 0;
}

/* One guard page, then the stack. */
static size_t alternate_size(void)
{
	size_t page = (size_t)getpagesize();
	long frame = sysconf(_SC_MINSIGSTKSZ);
	size_t size = HANDLER_ROOM + (frame > 0 ? (size_t)frame : 0);

	return page + (size + page - 1) / page * page;
}

int weft__overflow_thread_init(void)
{
	size_t page = (size_t)getpagesize();
	size_t size = alternate_size();
	stack_t now;

	if (own_stack || (!sigaltstack(NULL, &now) && !(now.ss_flags & SS_DISABLE)))
		return 0;
	char *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (base == MAP_FAILED)
		return WEFT_ENOMEM;
	stack_t mine = { .ss_sp = base + page, .ss_size = size - page };
	if (!weft__stackmap_guard(base, page) || sigaltstack(&mine, NULL)) {
		munmap(base, size);
		return WEFT_ENOMEM;
	}
	own_stack = base;
	return 0;
}

void weft__overflow_thread_fini(void)
{
	stack_t none = { .ss_flags = SS_DISABLE }, now;

	if (!own_stack)
		return;
	/* The application may have set another since; that one stays. */
	if (!sigaltstack(NULL, &now) && now.ss_sp == own_stack + getpagesize())
		sigaltstack(&none, NULL);
	munmap(own_stack, alternate_size());
	own_stack = NULL;
}
