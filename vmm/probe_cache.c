/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe_cache.c - writing and believing the file of the last verdict.
 */
#include "probe_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bits.h"

#define MAGIC 0x31766e7400000000ull

/* What must be the same as when the verdict was found.  Inodes in /sys are new with every loading of a module. */
struct key {
	char boot_id[40];
	uint64_t exe_dev, exe_ino, exe_size, exe_mtime_ns;
	uint64_t module_ino[3];
	uint64_t euid;
};

struct record {
	uint64_t magic_and_size;
	struct key key;
	struct tvmm_probe probe;
	uint64_t sum; /* of all before: a torn file is none */
};

void probe_cache_path(char *path, size_t len)
{
	const char *dir = secure_getenv("XDG_RUNTIME_DIR");

	if (!dir || *dir != '/')
		dir = geteuid() ? NULL : "/run"; /* root's alone */
	if (!dir || snprintf(path, len, "%s/tinyvmm-probe", dir) >= (int)len)
		*path = '\0';
}

static bool stat_path(const struct host *h, const char *path, struct stat *st)
{
	int fd = h->open(h, path, O_PATH, 0), ret;

	if (fd < 0)
		return false;
	ret = h->fstat(h, fd, st);
	h->close(h, fd);
	return !ret;
}

static bool make_key(const struct host *h, struct key *k)
{
	static const char *const modules[] = { "/sys/module/kvm_intel", "/sys/module/kvm_amd", "/sys/module/kvm_pvm" };
	struct iovec iov = { .iov_base = k->boot_id, .iov_len = sizeof(k->boot_id) - 1 };
	int fd = h->open(h, "/proc/sys/kernel/random/boot_id", O_RDONLY, 0);
	struct stat st;
	ssize_t n = 0;

	memset(k, 0, sizeof(*k)); /* padding too: it is compared as bytes */
	if (fd >= 0) {
		n = h->readv(h, fd, &iov, 1);
		h->close(h, fd);
	}
	if (n <= 0 || !stat_path(h, "/proc/self/exe", &st))
		return false;
	k->exe_dev = st.st_dev;
	k->exe_ino = st.st_ino;
	k->exe_size = (uint64_t)st.st_size;
	k->exe_mtime_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec;
	for (unsigned i = 0; i < ARRAY_SIZE(modules); i++)
		k->module_ino[i] = stat_path(h, modules[i], &st) ? st.st_ino : 0;
	k->euid = geteuid();
	return true;
}

/* FNV-1a: against accidents.  Against others there are owner and mode. */
static uint64_t checksum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t h = 0xcbf29ce484222325;

	while (len--)
		h = (h ^ *p++) * 0x100000001b3;
	return h;
}

static bool is_ours(const struct host *h, int fd)
{
	struct stat st;

	return !h->fstat(h, fd, &st) && S_ISREG(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 022) && st.st_nlink == 1;
}

bool probe_cache_load(const struct host *h, const char *path, struct tvmm_probe *p)
{
	struct record r;
	struct key k;
	bool good;
	int fd;

	if (!*path)
		return false;
	fd = h->open(h, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	if (fd < 0)
		return false;
	good = is_ours(h, fd) && !host_pread_all(h, fd, &r, sizeof(r), 0) && r.magic_and_size == (MAGIC | sizeof(r)) &&
	       r.sum == checksum(&r, offsetof(struct record, sum)) && make_key(h, &k) && !memcmp(&k, &r.key, sizeof(k));
	h->close(h, fd);
	if (good)
		*p = r.probe;
	return good;
}

void probe_cache_save(const struct host *h, const char *path, const struct tvmm_probe *p)
{
	struct record r;
	struct iovec iov = { .iov_base = &r, .iov_len = sizeof(r) };
	int fd;

	memset(&r, 0, sizeof(r));
	if (!*path || !make_key(h, &r.key))
		return;
	r.magic_and_size = MAGIC | sizeof(r);
	memcpy(&r.probe, p, sizeof(*p));
	r.sum = checksum(&r, offsetof(struct record, sum));
	fd = h->open(h, path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
	if (fd < 0)
		return;
	/* Over what is there: a reader that meets half of it finds the sum wrong. */
	if (is_ours(h, fd))
		h->pwritev(h, fd, &iov, 1, 0);
	h->close(h, fd);
}
