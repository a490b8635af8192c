/* SPDX-License-Identifier: MIT */
/*
 * test_overflow.c - how a process with an overflowed fiber dies, and with what
 * else it does not interfere
 *
 * Each deed is done in a child of its own, which has the default handlers to
 * begin with; what it wrote to the standard error and how it ended is looked at.
 */
#include "runtime/overflow.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/fiber.h"
#include "runtime/stackmap.h"
#include "support/assert.h"

#define SURVIVED 42
#define HANDLED	 7

TestSuite(overflow, .timeout = 60);

/* --- deeds ----------------------------------------------------------------- */

static struct weft__stack_pool pool;
static struct weft__stack_cache cache;
static struct weft__fiber here;
static struct weft__fiber *fiber;

static void prepare(void)
{
	weft__overflow_install();
	weft__overflow_thread_init();
	weft__stack_pool_init(&pool, (size_t)256 << 10);
	weft__stack_cache_init(&cache, &pool);
	weft__fiber_of_thread(&here);
}

static void run_on_fiber(void (*entry)(void *arg), const char *name)
{
	fiber = weft__fiber_get(&cache, entry, NULL);
	fiber->name = name;
	weft__fiber_switch(&here, fiber);
}

static _Noreturn void end(void)
{
	weft__fiber_leave(fiber, &here);
}

/* The compiler cannot know that it ends only by the end of the stack. */
static volatile int never;

static __attribute__((noinline)) int recurse(int depth)
{
	volatile char frame[200];

	frame[0] = (char)depth;
	if (depth == never - 1)
		return 0;
	return recurse(depth + 1) + frame[0];
}

static void fiber_that_recurses(void *arg)
{
	(void)arg;
	recurse(0);
	end();
}

static void fiber_one_byte_too_far(void *arg)
{
	(void)arg;
	*(volatile char *)(fiber->stack.low - 1) = 1;
	end();
}

/* No sanitizer knows better than the hardware that this is no memory. */
static volatile uintptr_t nowhere = 4096;

static void fault(void)
{
	*(volatile char *)nowhere = 1;
}

static void fiber_that_faults(void *arg)
{
	(void)arg;
	fault();
	end();
}

static void fiber_that_writes_into_another_guard(void *arg)
{
	struct weft__fiber *other = weft__fiber_get(&cache, fiber_that_faults, NULL);

	(void)arg;
	*(volatile char *)(other->stack.low - 1) = 1;
	end();
}

static void overflow_of_bob(void)
{
	prepare();
	run_on_fiber(fiber_that_recurses, "bob");
}

static void overflow_of_nobody(void)
{
	prepare();
	run_on_fiber(fiber_that_recurses, NULL);
}

static void overflow_by_a_byte(void)
{
	prepare();
	run_on_fiber(fiber_one_byte_too_far, "byte");
}

static void overflow_without_light_guards(void)
{
	setenv("WEFT_STACK_GUARD", "mprotect", 1);
	overflow_of_bob();
}

static void *thread_with_overflow(void *arg)
{
	(void)arg;
	overflow_of_bob();
	return NULL;
}

static void overflow_on_a_thread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, thread_with_overflow, NULL);
	pthread_join(thread, NULL);
}

static void stray_write(void)
{
	prepare();
	run_on_fiber(fiber_that_writes_into_another_guard, "stray");
}

static void plain_fault(void)
{
	prepare();
	fault();
}

static void plain_fault_on_a_fiber(void)
{
	prepare();
	run_on_fiber(fiber_that_faults, "fault");
}

static void sent_by_kill(void)
{
	prepare();
	raise(SIGSEGV);
}

/* A signal that claims to be a fault in the guard, but was sent. */
static void fiber_that_pretends(void *arg)
{
	siginfo_t info = { .si_signo = SIGSEGV, .si_code = SI_QUEUE };

	(void)arg;
	info.si_addr = fiber->stack.low - 1;
	syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGSEGV, &info);
	end();
}

static void sent_with_an_address(void)
{
	prepare();
	run_on_fiber(fiber_that_pretends, "liar");
}

/* --- how they end ------------------------------------------------------------ */

static char said[4096];

/* Runs the deed in a child.  Its exit code, or minus the signal that ended it; its
 * words are in said[]. */
static int outcome(void (*deed)(void))
{
	int fds[2], status;
	size_t length = 0;

	cr_assert(zero(int, pipe(fds)));
	pid_t pid = fork();
	if (pid == 0) {
		struct rlimit none = { 0, 0 };
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		setrlimit(RLIMIT_CORE, &none);
		alarm(20); /* a fault that is not let go repeats for ever */
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		deed();
		_exit(SURVIVED);
	}
	close(fds[1]);
	for (ssize_t n; (n = read(fds[0], said + length, sizeof(said) - 1 - length)) > 0;)
		length += (size_t)n;
	said[length] = 0;
	close(fds[0]);
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

#define REPORT_OF(name)                       \
	"weft: stack overflow in fiber " name \
	" (stack of 256 KiB); raise WEFT_STACK_SIZE or .stack_size\n"

Test(overflow, by_recursion_names_the_fiber_and_ends_by_sigsegv)
{
	cr_expect(eq(int, outcome(overflow_of_bob), -SIGSEGV));
	cr_expect(eq(str, said, REPORT_OF("bob")));
}

Test(overflow, of_a_fiber_without_a_name_is_reported_too)
{
	cr_expect(eq(int, outcome(overflow_of_nobody), -SIGSEGV));
	cr_expect(eq(str, said, REPORT_OF("(unnamed)")));
}

Test(overflow, by_one_byte_is_reported)
{
	cr_expect(eq(int, outcome(overflow_by_a_byte), -SIGSEGV));
	cr_expect(eq(str, said, REPORT_OF("byte")));
}

Test(overflow, into_a_guard_of_mprotect_is_reported)
{
	cr_expect(eq(int, outcome(overflow_without_light_guards), -SIGSEGV));
	cr_expect(eq(str, said, REPORT_OF("bob")));
}

Test(overflow, on_another_thread_is_reported)
{
	cr_expect(eq(int, outcome(overflow_on_a_thread), -SIGSEGV));
	cr_expect(eq(str, said, REPORT_OF("bob")));
}

Test(overflow, is_not_what_a_stray_pointer_into_a_guard_is_called)
{
	cr_expect(eq(int, outcome(stray_write), -SIGSEGV));
	cr_expect(eq(str, said, ""));
}

Test(overflow, leaves_other_faults_alone)
{
	cr_expect(eq(int, outcome(plain_fault), -SIGSEGV));
	cr_expect(eq(str, said, ""));
	cr_expect(eq(int, outcome(plain_fault_on_a_fiber), -SIGSEGV));
	cr_expect(eq(str, said, ""));
}

Test(overflow, leaves_a_signal_that_was_sent_its_default)
{
	cr_expect(eq(int, outcome(sent_by_kill), -SIGSEGV));
	cr_expect(eq(str, said, ""));
	cr_expect(eq(int, outcome(sent_with_an_address), -SIGSEGV));
	cr_expect(eq(str, said, ""));
}

/* --- beside handlers of the application ---------------------------------------- */

static void say(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		_exit(1);
}

static void set_handler(int sig, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };

	sigemptyset(&action.sa_mask);
	sigaddset(&action.sa_mask, SIGUSR1);
	sigaction(sig, &action, NULL);
}

static bool is_blocked(int sig)
{
	sigset_t mask;

	sigprocmask(SIG_SETMASK, NULL, &mask);
	return sigismember(&mask, sig);
}

/* Says what a handler can see. */
static void tell(int sig, siginfo_t *info, void *context)
{
	say(sig == SIGBUS ? "bus" : "segv");
	say((uintptr_t)info->si_addr == nowhere ? " nowhere" : " elsewhere");
	say(context ? " context" : "");
	say(is_blocked(SIGUSR1) ? " masked" : "");
	say(is_blocked(sig) ? " deferred" : "");
	_exit(HANDLED);
}

static void fault_with_handler(void)
{
	set_handler(SIGSEGV, tell, 0);
	plain_fault();
}

static void fault_with_handler_not_deferred(void)
{
	set_handler(SIGSEGV, tell, SA_NODEFER);
	plain_fault();
}

static void overflow_with_handler(void)
{
	set_handler(SIGSEGV, tell, SA_ONSTACK);
	overflow_of_bob();
}

static void overflow_with_handler_without_stack(void)
{
	set_handler(SIGSEGV, tell, 0);
	overflow_of_bob();
}

Test(overflow, passes_other_faults_to_the_handler_that_was_there)
{
	cr_expect(eq(int, outcome(fault_with_handler), HANDLED));
	cr_expect(eq(str, said, "segv nowhere context masked deferred"));
	cr_expect(eq(int, outcome(fault_with_handler_not_deferred), HANDLED));
	cr_expect(eq(str, said, "segv nowhere context masked"));
}

Test(overflow, is_reported_and_then_the_handlers_that_was_there)
{
	cr_expect(eq(int, outcome(overflow_with_handler), HANDLED));
	cr_expect(eq(str, said, REPORT_OF("bob") "segv elsewhere context masked deferred"));
}

/* The kernel has nowhere to put its frame, as without us. */
Test(overflow, ends_by_sigsegv_when_the_handler_has_no_stack_to_run_on)
{
	cr_expect(eq(int, outcome(overflow_with_handler_without_stack), -SIGSEGV));
	cr_expect(eq(str, said, REPORT_OF("bob")));
}

static void tell_plainly(int sig)
{
	say(sig == SIGSEGV ? "plain" : "?");
	_exit(HANDLED);
}

static void fault_after_two_installs(void)
{
	signal(SIGSEGV, tell_plainly);
	weft__overflow_install();
	plain_fault();
}

Test(overflow, installed_twice_still_knows_the_handler_that_was_there)
{
	cr_expect(eq(int, outcome(fault_after_two_installs), HANDLED));
	cr_expect(eq(str, said, "plain"));
}

static void fault_with_plain_handler(void)
{
	signal(SIGSEGV, tell_plainly);
	plain_fault();
}

Test(overflow, passes_other_faults_to_a_plain_handler)
{
	cr_expect(eq(int, outcome(fault_with_plain_handler), HANDLED));
	cr_expect(eq(str, said, "plain"));
}

static void say_again(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)info, (void)context;
	say("again ");
}

static void fault_with_handler_for_once(void)
{
	set_handler(SIGSEGV, say_again, (int)SA_RESETHAND);
	plain_fault();
}

Test(overflow, calls_a_handler_for_once_just_once)
{
	cr_expect(eq(int, outcome(fault_with_handler_for_once), -SIGSEGV));
	cr_expect(eq(str, said, "again "));
}

static void sent_and_ignored(void)
{
	signal(SIGSEGV, SIG_IGN);
	sent_by_kill();
}

static void fault_and_ignored(void)
{
	signal(SIGSEGV, SIG_IGN);
	plain_fault();
}

Test(overflow, lets_a_sent_signal_be_ignored_and_a_fault_not)
{
	cr_expect(eq(int, outcome(sent_and_ignored), SURVIVED));
	cr_expect(eq(int, outcome(fault_and_ignored), -SIGSEGV));
}

/* As a garbage collector or an emulator does it. */
static char *page_to_repair;

static void repair(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	if ((char *)info->si_addr == page_to_repair)
		mprotect(page_to_repair, 4096, PROT_READ | PROT_WRITE);
	else
		_exit(HANDLED);
}

static void repair_then_overflow(void)
{
	page_to_repair = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	set_handler(SIGSEGV, repair, SA_ONSTACK);
	prepare();
	for (int i = 0; i < 3; i++) {
		mprotect(page_to_repair, 4096, PROT_NONE);
		*(volatile char *)page_to_repair = 1;
	}
	say("repaired ");
	run_on_fiber(fiber_that_recurses, "bob");
}

Test(overflow, does_not_disturb_an_application_that_lives_with_faults)
{
	cr_expect(eq(int, outcome(repair_then_overflow), HANDLED));
	cr_expect(eq(str, said, "repaired " REPORT_OF("bob")));
}

static void bus_error(void)
{
	FILE *file = tmpfile();
	volatile char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);

	prepare();
	map[0] = 1;
}

static void bus_error_with_handler(void)
{
	set_handler(SIGBUS, tell, 0);
	bus_error();
}

Test(overflow, leaves_bus_errors_alone)
{
	cr_expect(eq(int, outcome(bus_error), -SIGBUS));
	cr_expect(eq(str, said, ""));
	cr_expect(eq(int, outcome(bus_error_with_handler), HANDLED));
	cr_expect(eq(str, said, "bus elsewhere context masked deferred"));
}

/* --- alternate stacks ------------------------------------------------------------- */

static stack_t alternate(void)
{
	stack_t now = { 0 };

	sigaltstack(NULL, &now);
	return now;
}

static void drop_alternate(void)
{
	stack_t none = { .ss_flags = SS_DISABLE };

	sigaltstack(&none, NULL);
}

Test(overflow, gives_a_thread_an_alternate_stack_and_takes_it_back)
{
	drop_alternate(); /* AddressSanitizer's */

	cr_expect(zero(int, weft__overflow_thread_init()));
	stack_t mine = alternate();
	cr_expect(zero(int, mine.ss_flags));
	cr_expect(ge(sz, mine.ss_size, 65536));
	weft__overflow_thread_fini();
	cr_expect(eq(int, alternate().ss_flags, SS_DISABLE));

	unsigned char in;
	cr_expect(eq(int, mincore(mine.ss_sp, 1, &in), -1), "it is unmapped");
	cr_expect(zero(int, weft__overflow_thread_init()));
	cr_expect(zero(int, alternate().ss_flags), "and can be had again");
	weft__overflow_thread_fini();
}

Test(overflow, keeps_the_alternate_stack_that_a_thread_has)
{
	static char stack[65536];
	stack_t own = { .ss_sp = stack, .ss_size = sizeof(stack) };

	sigaltstack(&own, NULL);
	cr_expect(zero(int, weft__overflow_thread_init()));
	cr_expect(eq(ptr, alternate().ss_sp, stack));
	weft__overflow_thread_fini();
	cr_expect(eq(ptr, alternate().ss_sp, stack));
	drop_alternate();
}

Test(overflow, keeps_an_alternate_stack_that_was_set_later)
{
	static char stack[65536];
	stack_t own = { .ss_sp = stack, .ss_size = sizeof(stack) };

	drop_alternate();
	weft__overflow_thread_init();
	sigaltstack(&own, NULL);
	weft__overflow_thread_fini();
	cr_expect(eq(ptr, alternate().ss_sp, stack));
	drop_alternate();
}
