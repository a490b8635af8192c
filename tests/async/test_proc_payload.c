/* SPDX-License-Identifier: MIT */
/*
 * test_proc_payload.c - what async/proc_payload.h promises, one promise a test
 */
#include "async/proc_payload.h"
#include "support/assert.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

TestSuite(proc_payload, .timeout = 60);

enum { SIZE = 200 * 1000 };

static char bytes[SIZE];

static void fill(void)
{
	for (int i = 0; i < SIZE; i++)
		bytes[i] = (char)(i * 7);
}

Test(proc_payload, a_payload_holds_a_copy)
{
	const void *data;

	fill();
	int fd = weft__payload_of(bytes, SIZE);
	cr_assert(ge(int, fd, 0));
	cr_assert(eq(int, weft__payload_map(fd, SIZE, &data), 0));
	cr_expect(eq(int, memcmp(data, bytes, SIZE), 0));
	weft__payload_unmap(data, SIZE);
	close(fd);
}

Test(proc_payload, nobody_can_change_a_payload)
{
	int fd = weft__payload_of(bytes, SIZE);

	cr_expect(lt(int, ftruncate(fd, 10), 0));
	cr_expect(lt(int, ftruncate(fd, SIZE + 10), 0));
	cr_expect(lt(int, (int)pwrite(fd, "x", 1, 0), 0));
	cr_expect(eq(ptr, mmap(NULL, 1, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED));
	cr_expect(lt(int, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0));
	close(fd);
}

Test(proc_payload, a_room_keeps_its_size_and_can_be_written)
{
	void *data;
	const void *seen;
	int fd = weft__payload_room(SIZE);

	cr_expect(lt(int, ftruncate(fd, 10), 0));
	cr_expect(lt(int, ftruncate(fd, SIZE + 10), 0));
	cr_assert(eq(int, weft__payload_map_room(fd, SIZE, &data), 0));
	memset(data, 7, SIZE);
	weft__payload_unmap(data, SIZE);
	cr_assert(eq(int, weft__payload_seal(fd), 0));
	cr_assert(eq(int, weft__payload_map(fd, SIZE, &seen), 0));
	cr_expect(eq(int, ((const char *)seen)[SIZE - 1], 7));
	close(fd);
}

Test(proc_payload, a_room_that_somebody_can_still_write_is_found_out)
{
	void *data;
	int fd = weft__payload_room(SIZE);

	cr_assert(eq(int, weft__payload_map_room(fd, SIZE, &data), 0));
	cr_expect(eq(int, weft__payload_seal(fd), -EBUSY));
	weft__payload_unmap(data, SIZE);
	cr_expect(eq(int, weft__payload_seal(fd), 0));
	cr_expect(eq(int, weft__payload_map_room(fd, SIZE, &data), -EPERM));
	close(fd);
}

Test(proc_payload, a_file_that_could_shrink_or_is_short_is_not_mapped)
{
	const void *data;
	int loose = memfd_create("loose", MFD_ALLOW_SEALING);
	int shorter = weft__payload_of(bytes, 100);

	cr_assert(eq(int, ftruncate(loose, SIZE), 0));
	cr_expect(eq(int, weft__payload_map(loose, SIZE, &data), -EPROTO));
	cr_expect(eq(int, weft__payload_map(shorter, SIZE, &data), -EPROTO));
	cr_expect(eq(int, weft__payload_map(-1, SIZE, &data), -EPROTO));
	close(loose);
	close(shorter);
}
