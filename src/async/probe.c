/* SPDX-License-Identifier: MIT */
/*
 * probe.c - asking a worker's thread what it does right now
 *
 *	IDLE --ask--> ASKED --handler--> ANSWERING --handler--> ANSWERED --> IDLE
 *	  ^             |
 *	  '--too late---'
 *
 * SIGURG is the signal that Go chose for the like, and why: nobody sends it unasked,
 * ignoring it is the default, and debuggers let it pass.  The handler is installed when
 * first needed.  A SIGURG that answers no question goes on to the handler that was
 * there before.  ThreadSanitizer holds back signals until the thread makes a call that
 * it knows; a loop without one does not answer then.
 *
 *   O1  question -> handler    release of state (ask) => acquire half of the CAS
 *   O2  answer -> who asked    release of state => acquire load
 *
 * Only async-signal-safe calls below on_signal.  The unwinder, which only reads tables,
 * is one; backtrace() is not, and loads a library the first time.
 */
#include "async/probe.h"

#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <ucontext.h>
#include <unwind.h>

#include "async/scope.h"
#include "async/task.h"
#include "runtime/runtime.h"
#include "runtime/sanitize.h"
#include "runtime/worker.h"

enum { IDLE, ASKED, ANSWERING, ANSWERED };

#define PATIENCE WEFT_MS(200)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of asking */
static struct {
	uint32_t state;
	struct weft__worker *of;
	const struct weft__node *node;
	struct weft__probe *answer;
} question;

static struct sigaction previous;

/* --- on the thread that was asked: what it looks at is its own ------------- */

WEFT__OF_THREAD static void copy_name(char *to, const char *name)
{
	int i = 0;

	for (; name && name[i] && i < WEFT__PROBE_NAME - 1; i++)
		to[i] = name[i];
	to[i] = '\0';
}

WEFT__OF_THREAD static const struct weft__node *group_above(const struct weft__node *n)
{
	while (n && !(load_relaxed(&n->flags) & WEFT__NODE_GROUP))
		n = n->parent;
	return n;
}

WEFT__OF_THREAD static bool is_below(const struct weft__node *n, const struct weft__node *top)
{
	while (n && n != top)
		n = n->parent;
	return n != NULL;
}

WEFT__OF_THREAD static int reason_at(const struct weft__node *n)
{
	unsigned flags = load_relaxed(&n->flags);

	if (!n->parent)
		return WEFT_REASON_SHUTDOWN;
	if (flags & WEFT__NODE_DEADLOCK)
		return WEFT_REASON_DEADLOCK;
	return flags & WEFT__NODE_SCOPE
		       ? (int)WEFT__CONTAINER(n, struct weft__scope, node)->reason.kind
		       : WEFT_REASON_EXPLICIT;
}

/* As weft__cancel_source, which is not made for handlers. */
WEFT__OF_THREAD static bool sees_cancel(const struct weft__node *n, int *reason)
{
	bool sees = false;

	for (; n; n = n->parent) {
		unsigned flags = load_acquire(&n->flags);
		if (flags & WEFT__NODE_CANCELLED) {
			sees = true;
			*reason = reason_at(n);
		}
		if (flags & WEFT__NODE_SHIELD)
			break;
	}
	return sees;
}

WEFT__OF_THREAD static void describe(struct weft__strand *s, const struct weft__node *node,
				     struct weft__probe *p)
{
	const struct weft__node *in = load_relaxed(&s->in.node);
	const struct weft__node *group = group_above(s->node.parent);
	const char *name = group ? WEFT__CONTAINER(group, struct weft__scope, node)->name : NULL;

	p->strand = s;
	p->inside = is_below(in, node);
	p->reason = WEFT_REASON_NONE;
	p->cancelled = sees_cancel(in, &p->reason);
	copy_name(p->task, s->in.task ? s->in.task->name : "root");
	copy_name(p->group, name);
}

struct walk {
	struct weft__probe *probe;
	uintptr_t pc; /* of the interrupted code; what is above it is the signal's own */
};

WEFT__OF_THREAD static _Unwind_Reason_Code note_frame(struct _Unwind_Context *context, void *arg)
{
	struct walk *walk = arg;
	struct weft__probe *p = walk->probe;
	uintptr_t ip = _Unwind_GetIP(context);

	if (ip == walk->pc)
		p->frame_count = 0;
	if (p->frame_count == WEFT__PROBE_FRAMES || !ip)
		return _URC_END_OF_STACK;
	p->frames[p->frame_count++] = (void *)ip;
	return _URC_NO_REASON;
}

WEFT__OF_THREAD static uintptr_t pc_of(const ucontext_t *context)
{
#if defined(__aarch64__)
	return (uintptr_t)context->uc_mcontext.pc;
#else
	return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#endif
}

WEFT__OF_THREAD static void answer(struct weft__worker *w, const ucontext_t *context)
{
	struct walk walk = { question.answer, pc_of(context) };
	struct weft__probe *p = question.answer;
	struct weft__fiber *fiber = weft__worker_fiber(w);
	struct weft__strand *s = fiber ? fiber->strand : NULL; /* NULL: the thread starts */

	p->strand = NULL;
	p->frame_count = 0;
	if (!s)
		return;
	describe(s, question.node, p);
	_Unwind_Backtrace(note_frame, &walk);
}

WEFT__OF_THREAD static void pass_on(int sig, siginfo_t *info, void *context)
{
	if (previous.sa_flags & SA_SIGINFO)
		previous.sa_sigaction(sig, info, context);
	else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN)
		previous.sa_handler(sig);
}

/* errno is the interrupted code's. */
WEFT__OF_THREAD static void on_signal(int sig, siginfo_t *info, void *context)
{
	struct weft__worker *w = weft__worker_self();
	int saved = errno;

	if (w && load_acquire(&question.state) == ASKED && question.of == w &&
	    cas_seqcst(&question.state, ASKED, ANSWERING)) { /* O1 */
		weft__tsan_acquire(&question);
		answer(w, context);
		weft__tsan_release(&question);
		store_release(&question.state, ANSWERED); /* O2 */
	} else {
		pass_on(sig, info, context);
	}
	errno = saved;
}

/* --- on the thread that asks --------------------------------------------- */

static void prepare(void)
{
	struct sigaction action = { .sa_sigaction = on_signal,
				    .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };

	sigaction(SIGURG, NULL, &previous);
	sigemptyset(&action.sa_mask);
	sigaction(SIGURG, &action, NULL);
}

/* Waits for the answer; a question that nobody has begun to answer is taken back. */
static bool await(void)
{
	struct timespec moment = { .tv_nsec = 100000 };
	int64_t end = weft__later(weft__monotonic(), PATIENCE);

	while (load_acquire(&question.state) != ANSWERED) { /* O2 */
		if (weft__monotonic() > end && cas_seqcst(&question.state, ASKED, IDLE))
			return false;
		nanosleep(&moment, NULL);
	}
	weft__tsan_acquire(&question);
	store_relaxed(&question.state, IDLE);
	return true;
}

bool weft__probe(struct weft__worker *w, const struct weft__node *node, struct weft__probe *p)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, prepare);
	pthread_mutex_lock(&lock);
	question.of = w;
	question.node = node;
	question.answer = p;
	weft__tsan_release(&question);
	store_release(&question.state, ASKED); /* O1 */
	pthread_kill(w->thread, SIGURG);
	bool answered = await();
	pthread_mutex_unlock(&lock);
	return answered;
}

void weft__probe_print_frames(FILE *out, void *const *frames, int count)
{
	char **symbols = count ? backtrace_symbols(frames, count) : NULL;

	for (int i = 0; i < count; i++)
		fprintf(out, "    %s\n", symbols ? symbols[i] : "?");
	free(symbols);
}
