/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sys.h - the system calls of our init, made directly: 0 or more, or -errno.  There is no libc; the headers included
 * give constants and prototypes only.
 */
#ifndef TVMM_FIRMWARE_INIT_SYS_H
#define TVMM_FIRMWARE_INIT_SYS_H

#include <asm/unistd.h>
#include <fcntl.h>
#include <stddef.h>

static inline long sys5(long nr, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
	return ret;
}

static inline long sys3(long nr, long a, long b, long c)
{
	return sys5(nr, a, b, c, 0, 0);
}

static inline int sys_open(const char *path, int flags)
{
	return (int)sys3(__NR_open, (long)path, flags | O_CLOEXEC, 0);
}

static inline void sys_close(int fd)
{
	sys3(__NR_close, fd, 0, 0);
}

static inline long sys_read(int fd, void *buf, size_t len)
{
	return sys3(__NR_read, fd, (long)buf, (long)len);
}

static inline long sys_write(int fd, const void *buf, size_t len)
{
	return sys3(__NR_write, fd, (long)buf, (long)len);
}

static inline int sys_mount(const char *src, const char *dir, const char *type, unsigned long flags, const char *data)
{
	return (int)sys5(__NR_mount, (long)src, (long)dir, (long)type, (long)flags, (long)data);
}

static inline void sys_umount(const char *dir)
{
	sys3(__NR_umount2, (long)dir, 0, 0);
}

static inline int sys_chdir(const char *dir)
{
	return (int)sys3(__NR_chdir, (long)dir, 0, 0);
}

static inline int sys_chroot(const char *dir)
{
	return (int)sys3(__NR_chroot, (long)dir, 0, 0);
}

static inline void sys_unlink(const char *path)
{
	sys3(__NR_unlink, (long)path, 0, 0);
}

static inline void sys_rmdir(const char *path)
{
	sys3(__NR_rmdir, (long)path, 0, 0);
}

static inline void sys_sleep_ms(unsigned ms)
{
	long ts[2] = { ms / 1000, (long)(ms % 1000) * 1000000 };

	sys3(__NR_nanosleep, (long)ts, 0, 0);
}

#endif
