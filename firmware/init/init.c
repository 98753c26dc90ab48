/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * init.c - the course of our init, from the kernel's exec of /init to our exec of the root's init.
 */
#include "init.h"

#include <sys/mount.h>
#include "sys.h"

_Noreturn void init_main(long *stack);

static void mount_basics(void)
{
	int err;

	/* In order: without /proc there is no command line, without /dev there is no disk. */
	sys_mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	sys_mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	err = sys_mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755");
	if (err < 0)
		say("cannot mount /dev: %s; a kernel needs CONFIG_DEVTMPFS here", why(err));
}

/* What we mounted goes along if the root has a place for it, and is taken away if not. */
static void move_mounts(void)
{
	static const char *const from[] = { "/dev", "/sys", "/proc" };
	static const char *const to[] = { NEWROOT "/dev", NEWROOT "/sys", NEWROOT "/proc" };

	for (int i = 0; i < 3; i++) {
		if (sys_mount(from[i], to[i], NULL, MS_MOVE, NULL) < 0)
			sys3(__NR_umount2, (long)from[i], MNT_DETACH, 0);
	}
}

static void switch_root(void)
{
	int err;

	move_mounts();
	/* The initramfs cannot be unmounted; empty, it costs nothing. */
	sys_unlink("/init");
	sys_rmdir("/tinyvmm");
	err = sys_chdir(NEWROOT);
	if (err == 0)
		err = sys_mount(".", "/", NULL, MS_MOVE, NULL);
	if (err == 0)
		err = sys_chroot(".");
	if (err == 0)
		err = sys_chdir("/");
	if (err < 0)
		give_up("cannot make the root file system the root: %s", why(err));
}

static int run(const char *path, char **argv, char **envp)
{
	argv[0] = (char *)path;
	return (int)sys3(__NR_execve, (long)path, (long)argv, (long)envp);
}

void init_main(long *stack)
{
	char **argv = (char **)(stack + 1);
	char **envp = argv + *stack + 1;
	static char init[OPTION_MAX];
	int err = 0;

	mount_basics();
	console_open();
	option("init", init, sizeof(init));
	modules_load();
	/* A module may have brought the console's driver. */
	console_open();
	root_mount(init);
	modules_load_late();
	switch_root();
	if (init[0])
		give_up("cannot run init=%s: %s", init, why(run(init, argv, envp)));
	for (const char *const *i = usual_inits; *i; i++) {
		int r = run(*i, argv, envp);

		if (r != -2)
			say("cannot run %s: %s", *i, why(r));
		err = r;
	}
	give_up("the root has no init that runs: %s", why(err));
}
