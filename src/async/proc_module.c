/* SPDX-License-Identifier: MIT */
/*
 * proc_module.c - the files that code was loaded from
 *
 * dl_iterate_phdr() knows where modules are and what they are called, though by
 * the name that was used to load them: one that is relative to a directory which
 * may not be the current one any more.  For such names /proc/self/maps has the
 * file.
 */
#include "async/proc_module.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct search {
	uintptr_t address;
	struct weft__module *module;
	bool identify;
	bool named; /* the name is absolute, or it is the executable */
};

/* The build id among the notes, or 0 bytes. */
static size_t build_id(uintptr_t base, const ElfW(Phdr) * notes, unsigned char *id)
{
	const char *at = (const char *)(base + notes->p_vaddr);
	const char *end = at + notes->p_memsz;
	size_t align = notes->p_align == 8 ? 8 : 4;

	while (end - at >= (ptrdiff_t)sizeof(ElfW(Nhdr))) {
		const ElfW(Nhdr) *note = (const void *)at;
		const char *name = at + sizeof(*note);
		const char *text = name + ((note->n_namesz + align - 1) & ~(align - 1));
		if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
		    memcmp(name, "GNU", 4) == 0) {
			size_t size =
				note->n_descsz < WEFT__MODULE_ID ? note->n_descsz : WEFT__MODULE_ID;
			memcpy(id, text, size);
			return size;
		}
		at = text + ((note->n_descsz + align - 1) & ~(align - 1));
	}
	return 0;
}

/* FNV-1a over words: what is compared is the same code or different code, not
 * somebody's forgery. */
static uint64_t hash_code(uintptr_t base, const ElfW(Phdr) * code)
{
	const char *at = (const char *)(base + code->p_vaddr);
	uint64_t hash = 0xcbf29ce484222325u ^ code->p_filesz;
	uint64_t word;

	for (size_t i = 0; i + sizeof(word) <= code->p_filesz; i += sizeof(word)) {
		memcpy(&word, at + i, sizeof(word));
		hash = (hash ^ word) * 0x100000001b3u;
	}
	return hash;
}

static void identify(const struct dl_phdr_info *info, const ElfW(Phdr) * code, unsigned char *id)
{
	memset(id, 0, WEFT__MODULE_ID);
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];
		if (part->p_type == PT_NOTE && build_id(info->dlpi_addr, part, id) > 0)
			return;
	}
	uint64_t hash = hash_code(info->dlpi_addr, code);
	memcpy(id, &hash, sizeof(hash));
}

/* The segment of executable code that `address` is in, or NULL. */
static const ElfW(Phdr) * code_at(const struct dl_phdr_info *info, uintptr_t address)
{
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];
		if (part->p_type == PT_LOAD && (part->p_flags & PF_X) &&
		    address - (info->dlpi_addr + part->p_vaddr) < part->p_memsz)
			return part;
	}
	return NULL;
}

static int look(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct search *search = arg;
	const ElfW(Phdr) *code = code_at(info, search->address);

	(void)size;
	if (!code)
		return 0;
	search->module->base = info->dlpi_addr;
	search->named = info->dlpi_name[0] == '/' || info->dlpi_name[0] == '\0';
	snprintf(search->module->path, sizeof(search->module->path), "%s", info->dlpi_name);
	if (search->identify)
		identify(info, code, search->module->id);
	return 1;
}

/* "7f00-7f10 r-xp 00000000 08:01 123   /path", if `address` is in there. */
static bool parse_map(char *line, uintptr_t address, struct weft__module *module)
{
	uintptr_t from, to;
	int at = 0;

	if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %*s %*s %*s %n", &from, &to, &at) < 2 ||
	    at == 0 || address < from || address >= to)
		return false;
	line[strcspn(line, "\n")] = '\0';
	snprintf(module->path, sizeof(module->path), "%s", line + at);
	return true;
}

static int look_into_maps(uintptr_t address, struct weft__module *module)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char *line = NULL;
	size_t room = 0;
	bool found = false;

	if (!maps)
		return -errno;
	while (!found && getline(&line, &room, maps) > 0)
		found = parse_map(line, address, module);
	free(line);
	fclose(maps);
	return found && module->path[0] == '/' ? 0 : -EINVAL;
}

static int find(const void *address, struct weft__module *module, bool with_id)
{
	struct search search = { (uintptr_t)address, module, with_id, false };

	if (dl_iterate_phdr(look, &search) == 0)
		return -EINVAL;
	if (!search.named && look_into_maps(search.address, module) != 0)
		return -EINVAL;
	return 0;
}

int weft__module_of(const void *address, struct weft__module *module)
{
	return find(address, module, false);
}

int weft__module_identify(const void *address, struct weft__module *module)
{
	int rc = find(address, module, true);

	if (rc == 0 && module->path[0] && access(module->path, R_OK) != 0)
		return -ENOENT;
	return rc;
}

/* The handle stays open: what was loaded is needed as long as the process. */
int weft__module_load(const char *path, uintptr_t *base)
{
	struct link_map *map;
	void *handle = dlopen(path[0] ? path : NULL, RTLD_LAZY);

	if (!handle || dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0) {
		const char *why = dlerror();
		fprintf(stderr, "weft: %s: %s\n", path, why ? why : "cannot be loaded");
		return -ELIBACC;
	}
	*base = map->l_addr;
	return 0;
}
