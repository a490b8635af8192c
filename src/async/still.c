/* SPDX-License-Identifier: MIT */
/*
 * still.c - keeping a task that waits where it is, for as long as it is looked at
 *
 *   O1  the parked fiber -> here, and what is seen here before it goes on: the two CAS
 *       on the word, as for one that parks and one that wakes it (wait.c, O1 and O2).
 *
 * A strand that was claimed meanwhile is ready and in no queue: that counts as something
 * outside that is pending, or all might seem to be quiet.
 */
#include "async/still.h"

#include <unwind.h>

#include "async/quiet.h"
#include "async/wait.h"
#include "runtime/fiber.h"

bool weft__still_begin(struct weft__strand *s, uint64_t word)
{
	struct weft_runtime *rt = s->runtime;

	weft__quiet_hold(rt);
	if (cas_seqcst(&s->word, word, word ^ WEFT__PARKED ^ WEFT__WAITING)) /* O1 */
		return true;
	weft__quiet_release(rt);
	return false;
}

void weft__still_end(struct weft__strand *s)
{
	struct weft_runtime *rt = s->runtime;
	uint64_t word = load_relaxed(&s->word);

	if ((word & WEFT__STATE) != WEFT__WAITING ||
	    !cas_seqcst(&s->word, word, word ^ WEFT__WAITING ^ WEFT__PARKED)) /* O1 */
		weft__resume(s);
	weft__quiet_release(rt);
}

/* --- frames ------------------------------------------------------------------- */

struct walk {
	uintptr_t begin; /* the stack pointer of the first frame; 0: it has been found */
	void **frames;
	int count, max;
};

static _Unwind_Reason_Code note_frame(struct _Unwind_Context *context, void *arg)
{
	struct walk *w = arg;

	if (w->begin != 0 && _Unwind_GetCFA(context) != w->begin)
		return _URC_NO_REASON; /* a frame of ours */
	w->begin = 0;
	if (w->count == w->max || !_Unwind_GetIP(context)) /* 0: nobody called the fiber */
		return _URC_END_OF_STACK;
	w->frames[w->count++] = (void *)_Unwind_GetIP(context);
	return _URC_NO_REASON;
}

static void walk(void *arg)
{
	_Unwind_Backtrace(note_frame, arg);
}

int weft__still_frames(struct weft__strand *s, void **frames, int max)
{
	char *sp = weft__fiber_sp(load_relaxed(&s->fiber));
	struct walk w = { .begin = (uintptr_t)sp + sizeof(struct weft__switch_frame),
			  .frames = frames,
			  .max = max };

	weft__call_as(sp, walk, &w);
	return w.count;
}
