/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * modules.c - loads kernel modules: /tinyvmm/modules names files beside it, one a line, in the order to load them.
 * Each file is deleted once it has been loaded, for it lies in the guest's memory.
 *
 * Behind a line "--" are those that no root needs.  A child loads them while the root's init starts: it keeps the
 * initramfs as its root folder, ends by itself, and is reaped by that init like any orphan.
 */
#include "init.h"

#include <errno.h>
#include <string.h>
#include "sys.h"

#define COMPRESSED_FILE 4 /* MODULE_INIT_COMPRESSED_FILE, Linux 5.17 */

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

static const char *module_why(int err, bool compressed)
{
	switch (-err) {
	case ENOENT:
		return "a module that it needs is not loaded";
	case ENOEXEC:
		return "it was built for another kernel";
	case EINVAL:
	case EOPNOTSUPP:
		return compressed ? "this kernel does not unpack modules, or not these" : "the kernel refuses it";
	case ENOKEY:
	case EKEYREJECTED:
		return "the kernel does not trust its signature";
	default:
		return why(err);
	}
}

static char list[8192];
static const char *rest = list;

/* Up to "--" or the end. */
static void load(void)
{
	char name[128], path[160];

	while (next_word(&rest, name, sizeof(name)) && strcmp(name, "--")) {
		bool compressed = !ends_with(name, ".ko");
		int fd, err;

		format(path, sizeof(path), "/tinyvmm/%s", name);
		fd = sys_open(path, O_RDONLY);
		err = fd < 0 ? fd : (int)sys3(__NR_finit_module, fd, (long)"", compressed ? COMPRESSED_FILE : 0);
		if (fd >= 0)
			sys_close(fd);
		if (err < 0 && err != -EEXIST)
			say("module %s: %s (errno %d)", name, module_why(err, compressed), -err);
		sys_unlink(path);
	}
}

void modules_load(void)
{
	if (read_text("/tinyvmm/modules", list, sizeof(list)) < 0)
		return;
	sys_unlink("/tinyvmm/modules");
	load();
}

void modules_load_late(void)
{
	if (!*rest || sys3(__NR_fork, 0, 0, 0) != 0)
		return;
	/* Behind the boot, but not starved by it. */
	sys3(__NR_setpriority, 0, 0, 10);
	load();
	sys_rmdir("/tinyvmm");
	sys3(__NR_exit_group, 0, 0, 0);
}
