/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * modules.c - loads kernel modules: /tinyvmm/modules names files beside it, one a line, in the order to load them.
 * Each file is deleted once it has been loaded, for it lies in the guest's memory.
 *
 * Behind a line "--" are those that no root needs.  A child loads them once the root's init leaves a CPU idle: to check
 * a module's signature costs tens of millions of instructions in one piece, which no priority keeps off the only CPU.
 * The child has the initramfs as its root folder, ends by itself, and is reaped by that init like any orphan.
 */
#include "init.h"

#include <errno.h>
#include <string.h>
#include "sys.h"

#define COMPRESSED_FILE 4 /* MODULE_INIT_COMPRESSED_FILE, Linux 5.17 */

/* When late modules are loaded: after a quarter of a second of which a CPU was idle half, or ten seconds. */
#define IDLE_STEP_MS 250
#define IDLE_TICKS   12 /* of 10 ms */
#define IDLE_STEPS   40

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

/* How long CPUs have been idle, all together: the fourth number of /proc/stat. */
static uint64_t idle_ticks(int stat)
{
	char text[256], word[32];
	const char *s = text;
	long n = sys5(__NR_pread64, stat, (long)text, sizeof(text) - 1, 0, 0);

	text[n < 0 ? 0 : n] = 0;
	for (int i = 0; i < 5; i++) {
		if (!next_word(&s, word, sizeof(word)))
			return 0;
	}
	return number(word);
}

static void wait_for_idleness(int stat)
{
	uint64_t before = idle_ticks(stat), now;

	for (int i = 0; i < IDLE_STEPS; i++) {
		sys_sleep_ms(IDLE_STEP_MS);
		now = idle_ticks(stat);
		if (now - before >= IDLE_TICKS)
			return;
		before = now;
	}
}

void modules_load_late(void)
{
	int stat;

	if (!*rest)
		return;
	/* Before /proc moves to the root, where the child cannot see it. */
	stat = sys_open("/proc/stat", O_RDONLY);
	if (sys3(__NR_fork, 0, 0, 0) != 0) {
		sys_close(stat);
		return;
	}
	wait_for_idleness(stat);
	sys3(__NR_setpriority, 0, 0, 10);
	load();
	sys_rmdir("/tinyvmm");
	sys3(__NR_exit_group, 0, 0, 0);
}
