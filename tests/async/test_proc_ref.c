/* SPDX-License-Identifier: MIT */
/*
 * test_proc_ref.c - what async/proc_ref.h promises, one promise a test
 */
#include "async/proc_ref.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

#include "async/proc_module.h"
#include "async/proc_registry.h"
#include "support/assert.h"

TestSuite(proc_ref, .timeout = 60);

static int named(const void *in, size_t size, struct weft_reply *reply)
{
	(void)in, (void)size, (void)reply;
	return 1;
}
WEFT_REMOTE(named);

static int nameless(const void *in, size_t size, struct weft_reply *reply)
{
	(void)in, (void)size, (void)reply;
	return 2;
}

static struct weft__ref ref;
static weft_remote_fn *fn;

static int there_and_back(weft_remote_fn *function)
{
	int rc = weft__ref_make(&ref, function);

	return rc != 0 ? rc : weft__ref_resolve(ref.bytes, ref.size, &fn);
}

Test(proc_ref, a_named_function_is_found)
{
	cr_assert(eq(int, there_and_back(named), 0));
	cr_expect(fn == named);
}

Test(proc_ref, a_function_of_the_executable_is_found_without_a_name)
{
	cr_assert(eq(int, there_and_back(nameless), 0));
	cr_expect(fn == nameless);
}

Test(proc_ref, a_function_of_a_library_is_found_without_a_name)
{
	weft_remote_fn *foreign = (weft_remote_fn *)(uintptr_t)qsort;

	cr_assert(eq(int, there_and_back(foreign), 0));
	cr_expect(fn == foreign);
}

Test(proc_ref, generated_code_has_no_reference)
{
	void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_expect(eq(int, there_and_back((weft_remote_fn *)(uintptr_t)code), -EINVAL));
	cr_expect(eq(int, there_and_back(NULL), -EINVAL));
}

Test(proc_ref, another_build_of_the_file_is_stale)
{
	cr_assert(eq(int, weft__ref_make(&ref, nameless), 0));
	ref.bytes[16] ^= 1; /* of the build id */
	cr_expect(eq(int, weft__ref_resolve(ref.bytes, ref.size, &fn), -ESTALE));
}

Test(proc_ref, an_offset_outside_of_the_code_is_stale)
{
	cr_assert(eq(int, weft__ref_make(&ref, nameless), 0));
	memset(ref.bytes, 0x7f, 6);
	cr_expect(eq(int, weft__ref_resolve(ref.bytes, ref.size, &fn), -ESTALE));
}

Test(proc_ref, an_unknown_name_is_told)
{
	cr_assert(eq(int, weft__ref_make(&ref, named), 0));
	ref.bytes[ref.size - 1] ^= 1;
	cr_expect(eq(int, weft__ref_resolve(ref.bytes, ref.size, &fn), -ENOENT));
}

Test(proc_ref, bytes_that_are_no_reference_are_refused)
{
	cr_assert(eq(int, weft__ref_make(&ref, named), 0));
	for (uint32_t size = 0; size < ref.size; size++)
		cr_assert(eq(int, weft__ref_resolve(ref.bytes, size, &fn), -EPROTO), "%u", size);
	ref.bytes[8] ^= 0x7f; /* the length of the path */
	cr_expect(eq(int, weft__ref_resolve(ref.bytes, ref.size, &fn), -EPROTO));
}

Test(proc_ref, more_functions_than_are_remembered_are_all_found)
{
	struct weft_remote many[200];
	char names[200][24];

	for (int i = 0; i < 200; i++) {
		snprintf(names[i], sizeof(names[i]), "many-%d", i);
		many[i] = (struct weft_remote){ names[i], i % 2 ? named : nameless, NULL };
	}
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 200; i++) {
			weft_remote_add(&many[i]);
			cr_assert(eq(int, there_and_back(many[i].fn), 0));
			cr_assert(fn == many[i].fn);
			weft_remote_drop(&many[i]);
		}
	}
}

Test(proc_ref, a_name_that_several_have_is_decided_by_the_module)
{
	struct weft_remote foreign = { "twice", (weft_remote_fn *)(uintptr_t)qsort, NULL };
	struct weft_remote ours = { "twice", nameless, NULL };
	struct weft__module libc;

	cr_assert(eq(int, weft__module_of((const void *)(uintptr_t)qsort, &libc), 0));
	weft_remote_add(&foreign);
	cr_expect(eq(int, weft__remote_find("twice", "elsewhere", &fn), 0));
	weft_remote_add(&ours);
	cr_expect(eq(int, weft__remote_find("twice", "", &fn), 0));
	cr_expect(fn == nameless);
	cr_expect(eq(int, weft__remote_find("twice", libc.path, &fn), 0));
	cr_expect(fn == foreign.fn);
	cr_expect(eq(int, weft__remote_find("twice", "elsewhere", &fn), -ENOTUNIQ));
	weft_remote_drop(&ours);
	weft_remote_drop(&foreign);
	cr_expect(eq(int, weft__remote_find("twice", "", &fn), -ENOENT));
}
