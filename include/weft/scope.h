/* SPDX-License-Identifier: MIT */
/*
 * weft/scope.h - cancel scopes: deadlines, cancelling, shields
 *
 * A scope is a stretch of a task's code that can be cancelled as a whole, with all
 * that was started inside: child tasks, pieces of a loop that other workers run,
 * blocking calls.  It lies on the stack and nests.
 *
 *	struct weft_scope s;
 *	int rc = weft_scope_enter(&s, .timeout = WEFT_SEC(5));
 *	if (rc == 0)
 *		rc = do_work(arg);
 *	rc = weft_scope_leave(&s, rc);
 *
 *	rc                  what it means
 *	WEFT_ETIMEDOUT      the deadline of this scope passed: recover here
 *	WEFT_ECANCELED      somebody outside wants us gone: hand it on
 *	anything else       what do_work returned
 *
 * Cancelling is a state, not an event: from the cancel until the scope is left,
 * every call inside that can wait returns WEFT_ECANCELED, at once and without
 * having done anything.  A call that did what it was asked to returns success, and
 * the next one tells of the cancel.  Code that does not wait is not interrupted; a
 * long loop asks by weft_check().  weft_for and its kin ask between chunks.
 *
 *   threads    a scope belongs to the task that entered it.  Cancel, reason and
 *              deadline may be called by that task and by all that runs inside;
 *              everybody else takes a token.
 *   memory     the caller's struct, all fields private; it must stay until leave.
 *              Nothing is allocated.
 *   errors     0 or a negative code; WEFT_EINVAL for a scope that is not entered or
 *              not the innermost, WEFT_EPERM for another task's; nothing is changed
 *              then.
 *   blocking   weft_sleep*, weft_checkpoint and weft_wait_all_blocked suspend the task,
 *              and what weft_shield runs may; nothing else here does.
 */
#ifndef WEFT_SCOPE_H
#define WEFT_SCOPE_H

#include <stdbool.h>

#include <weft/base.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

struct weft_scope {
	unsigned char weft__private[320] __attribute__((aligned(16)));
};

/* Why something was cancelled: the first cause, which later ones do not replace. */
enum weft_reason_kind {
	WEFT_REASON_NONE,     /* it was not */
	WEFT_REASON_EXPLICIT, /* weft_scope_cancel, a token, a handle */
	WEFT_REASON_DEADLINE, /* its deadline passed */
	WEFT_REASON_SIBLING,  /* another child of the group failed, or its body did */
	WEFT_REASON_PARENT,   /* a scope around it was cancelled */
	WEFT_REASON_RACE,     /* another contestant was first */
	WEFT_REASON_SHUTDOWN, /* weft_shutdown */
	WEFT_REASON_DEADLOCK, /* nothing could go on any more */
};

struct weft_reason {
	enum weft_reason_kind kind;
	int code;	     /* the error behind it, or WEFT_ECANCELED */
	const char *message; /* of who cancelled, borrowed; or NULL */
	const char *source;  /* name of the task that cancelled, or NULL */
};

struct weft_scope_opts {
	size_t size;	  /* sizeof(struct weft_scope_opts) */
	const char *name; /* for reports; borrowed */
	int64_t timeout;  /* duration; 0: none, negative: over already */
	int64_t deadline; /* the same as a point in time; 0: none */
	bool shield;	  /* see weft_scope_set_shield */
	int64_t grace;	  /* between asking and cancelling, see below; 0: none */
};

/* Prepares a scope without entering it: it may be cancelled before. */
WEFT_API int weft_scope_init_opt(struct weft_scope *s, const struct weft_scope_opts *opts);

/* Enters a prepared scope, once.  WEFT_ENOTASK outside of a task.  A scope that is
 * cancelled or expired already may be entered: the first call inside that can wait
 * tells. */
WEFT_API int weft_scope_begin(struct weft_scope *s);

/* Both. */
WEFT_API int weft_scope_enter_opt(struct weft_scope *s, const struct weft_scope_opts *opts);

/* Leaves the innermost scope.  `rc` is how the code inside ended.  A WEFT_ECANCELED
 * that this scope caused ends here: it becomes WEFT_ETIMEDOUT when the deadline of
 * this scope was the reason, and 0 when it was cancelled by its own code.  One that
 * comes from outside, and every other code, is returned as it is: work that was
 * done in spite of the deadline counts. */
WEFT_API int weft_scope_leave(struct weft_scope *s, int rc);

/* Cancels all that runs inside.  Again: nothing.  The message is borrowed until
 * the scope is left.  By the owner, and by tasks that run inside and so keep it from being
 * left; by one other task if it knows that the scope has not been left when the call begins:
 * the owner, woken by it, does not leave before it is done.  All others take a token, below. */
WEFT_API void weft_scope_cancel(struct weft_scope *s);
WEFT_API void weft_scope_cancel_because(struct weft_scope *s, int code, const char *message);

/* Was it cancelled (by whatever cause)?  Did leave() end a cancel here? */
WEFT_API bool weft_scope_cancel_called(const struct weft_scope *s);
WEFT_API bool weft_scope_cancelled_caught(const struct weft_scope *s);

/* The cause: of this scope, or WEFT_REASON_PARENT with that of the outermost scope
 * around it whose cancel reaches it. */
WEFT_API struct weft_reason weft_scope_reason(const struct weft_scope *s);

/* Of the cancel that the caller sees. */
WEFT_API struct weft_reason weft_cancel_reason(void);

/* Moves the deadline, either way, as long as it has not passed; WEFT_NEVER for
 * none.  WEFT_EAGAIN when there is no thread to keep the time. */
WEFT_API int weft_scope_set_deadline(struct weft_scope *s, int64_t deadline);
WEFT_API int64_t weft_scope_deadline(const struct weft_scope *s);

/* A shield hides the cancels and deadlines of the scopes outside from what is
 * inside; those of this scope itself still hold. */
WEFT_API void weft_scope_set_shield(struct weft_scope *s, bool shield);

/* The earliest deadline of the scopes that reach the caller, WEFT_NEVER for none,
 * INT64_MIN when it is cancelled already. */
WEFT_API int64_t weft_effective_deadline(void);

/*
 * With a grace period a cancel comes in two steps.  At once weft_cancel_requested()
 * turns true and waits that ask for it end (weft_sleep_soft); what is under way may
 * come to its end.  When the period is over all other calls return WEFT_ECANCELED
 * too.
 */
WEFT_API bool weft_cancel_requested(void);

/* For those who are not inside: a name for the scope that can be kept, copied, and
 * used from any thread at any time.  Cancelling through it after the scope was left
 * does nothing. */
struct weft_token {
	uint32_t slot, generation;
};

/* WEFT_ENOMEM.  Only while the scope is entered. */
WEFT_API int weft_scope_token(struct weft_scope *s, struct weft_token *token);

/* True when it reached a scope that was not cancelled before; never in a forked child. */
WEFT_API bool weft_token_cancel(struct weft_token token);
WEFT_API bool weft_token_cancel_because(struct weft_token token, int code, const char *message);

/* WEFT_ECANCELED when the caller is to stop, else 0.  check never suspends;
 * checkpoint also lets others run now and then.  0 outside of tasks. */
WEFT_API int weft_check(void);
WEFT_API int weft_checkpoint(void);

/* Sleep.  0 when the time is over, WEFT_ECANCELED when cancelled before.  A sleep of
 * 0 or less is a checkpoint.  From a plain thread: that thread sleeps.
 *
 * With one worker, and no seed, those who sleep until the same moment wake in the order
 * in which they fell asleep.  With more there is no such order: they wake worker by
 * worker, and run side by side. */
WEFT_API int weft_sleep(int64_t duration);
WEFT_API int weft_sleep_until(int64_t deadline);
WEFT_API int weft_sleep_forever(void);

/* The same, and a cancel with grace ends it at once. */
WEFT_API int weft_sleep_soft(int64_t duration);

/* For tests: waits until every other task of the runtime waits, and nothing outside
 * (a descriptor, a blocking call) is pending; timers do not count.  WEFT_ECANCELED when
 * cancelled before; WEFT_ENOTASK outside of a task. */
WEFT_API int weft_wait_all_blocked(void);

/* Runs fn(arg), for cleaning up, hidden from cancels outside but no longer than
 * `limit`: WEFT_ETIMEDOUT when it was cut off.  0 for the limit is that of
 * weft_configure (.shield_limit, 10 s at first); WEFT_NEVER must be said.
 * WEFT_ENOTASK outside of a task, and WEFT_EAGAIN when there is no thread to keep the
 * time: fn was not called then. */
WEFT_API int weft_shield(weft_fn *fn, void *arg, int64_t limit);

WEFT_END_DECLS

#ifndef __cplusplus
#define WEFT_SCOPE_OPTS(...) \
	(&(const struct weft_scope_opts){ .size = sizeof(struct weft_scope_opts), __VA_ARGS__ })
#define weft_scope_init(s, ...)	 weft_scope_init_opt(s, WEFT_SCOPE_OPTS(__VA_ARGS__))
#define weft_scope_enter(s, ...) weft_scope_enter_opt(s, WEFT_SCOPE_OPTS(__VA_ARGS__))
#endif

#endif
