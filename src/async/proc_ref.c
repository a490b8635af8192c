/* SPDX-License-Identifier: MIT */
/*
 * proc_ref.c - references to functions
 *
 *	[ head | path | name ]
 *
 * A named function is looked up first and its module loaded only if the name is
 * not known: so it is found wherever it lies, also in a program that was built
 * another way.  Any other function is worth as much as the sameness of its file,
 * and that is checked in the process that would call it.
 */
#include "async/proc_ref.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "async/proc_module.h"
#include "async/proc_registry.h"
#include "deque/alloc.h"

enum { NAME_ROOM = 255, CACHE = 16 };

struct head {
	uint64_t offset; /* of a function without a name */
	uint16_t path, name, zero[2];
	unsigned char id[WEFT__MODULE_ID];
};

_Static_assert(sizeof(struct head) + PATH_MAX + NAME_ROOM <= WEFT__FRAME_REF_MAX, "fits");

struct target {
	struct head head;
	char path[PATH_MAX];
	char name[NAME_ROOM + 1];
};

static void pack(struct weft__ref *ref, const struct target *target)
{
	char *at = ref->bytes;

	memcpy(at, &target->head, sizeof(target->head));
	memcpy(at += sizeof(target->head), target->path, target->head.path);
	memcpy(at += target->head.path, target->name, target->head.name);
	ref->size = (uint32_t)(at + target->head.name - ref->bytes);
}

static int unpack(const void *bytes, size_t size, struct target *target)
{
	struct head *head = &target->head;
	const char *at = (const char *)bytes + sizeof(*head);

	if (size < sizeof(*head))
		return -EPROTO;
	memcpy(head, bytes, sizeof(*head));
	if (head->path >= PATH_MAX || head->name > NAME_ROOM ||
	    size != sizeof(*head) + head->path + head->name)
		return -EPROTO;
	memcpy(target->path, at, head->path);
	memcpy(target->name, at + head->path, head->name);
	target->path[head->path] = '\0';
	target->name[head->name] = '\0';
	return 0;
}

int weft__ref_make(struct weft__ref *ref, weft_remote_fn *fn)
{
	const void *address = (const void *)(uintptr_t)fn;
	struct target target = { 0 };
	struct weft__module module;

	if (!fn)
		return -EINVAL;
	int named = weft__remote_name(fn, target.name, sizeof(target.name));
	if (named == -ENAMETOOLONG)
		return named;
	int rc = named == 0 ? weft__module_of(address, &module)
			    : weft__module_identify(address, &module);
	if (rc != 0)
		return rc;

	if (named != 0) {
		target.head.offset = (uintptr_t)address - module.base;
		memcpy(target.head.id, module.id, sizeof(module.id));
	}
	memcpy(target.path, module.path, sizeof(module.path));
	target.head.path = (uint16_t)strlen(module.path);
	target.head.name = (uint16_t)strlen(target.name);
	pack(ref, &target);
	return 0;
}

static int resolve_name(const struct target *target, weft_remote_fn **fn)
{
	uintptr_t base;
	int rc = weft__remote_find(target->name, target->path, fn);

	if (rc == 0 || target->head.path == 0)
		return rc;
	rc = weft__module_load(target->path, &base);
	return rc != 0 ? rc : weft__remote_find(target->name, target->path, fn);
}

static int resolve_code(const struct target *target, weft_remote_fn **fn)
{
	struct weft__module module;
	uintptr_t base;
	int rc = weft__module_load(target->path, &base);

	if (rc != 0)
		return rc;
	uintptr_t address = base + target->head.offset;
	if (weft__module_identify((const void *)address, &module) != 0 || module.base != base ||
	    memcmp(module.id, target->head.id, sizeof(module.id)) != 0)
		return -ESTALE;
	*fn = (weft_remote_fn *)address;
	return 0;
}

static int resolve(const void *bytes, size_t size, weft_remote_fn **fn)
{
	struct target target;
	int rc = unpack(bytes, size, &target);

	if (rc != 0)
		return rc;
	return target.head.name ? resolve_name(&target, fn) : resolve_code(&target, fn);
}

/* What was resolved, the latest of each slot. */
static struct known {
	struct weft__ref *ref;
	weft_remote_fn *fn;
} known[CACHE];

static struct known *slot_of(const void *bytes, size_t size)
{
	const unsigned char *byte = bytes;
	uint32_t hash = 0;

	for (size_t i = 0; i < size; i++)
		hash = hash * 31 + byte[i];
	return &known[hash % CACHE];
}

static void remember(struct known *slot, const void *bytes, size_t size, weft_remote_fn *fn)
{
	if (!slot->ref)
		slot->ref = weft__alloc(sizeof(*slot->ref));
	if (!slot->ref)
		return;
	memcpy(slot->ref->bytes, bytes, size);
	slot->ref->size = (uint32_t)size;
	slot->fn = fn;
}

int weft__ref_resolve(const void *bytes, size_t size, weft_remote_fn **fn)
{
	if (size > WEFT__FRAME_REF_MAX)
		return -EPROTO;

	struct known *slot = slot_of(bytes, size);
	if (slot->ref && slot->ref->size == size && memcmp(slot->ref->bytes, bytes, size) == 0) {
		*fn = slot->fn;
		return 0;
	}
	int rc = resolve(bytes, size, fn);
	if (rc == 0)
		remember(slot, bytes, size, *fn);
	return rc;
}
