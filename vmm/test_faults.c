/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_faults.c - a host that fails: test_faults PAYLOAD DISK runs one guest again and again through a host whose Nth call
 * fails, for every N, over create, boot, I/O, restart and end (SQLite's way of testing).
 *
 * Whatever failed, the program must live; creation must fail with a code and a sentence, or the machine must end, or be
 * stopped, within a bound; and no descriptor, thread or mapping may be left.  Needs /dev/kvm; speaks TAP.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <linux/kvm.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>
#include "bits.h"
#include "tinyvmm.h"
#include "vm.h"

#define RUN_MS  1500 /* a guest that lost an interrupt is stopped after this */
#define STOP_MS 4000 /* stopping may take this long, in the worst case */

static _Atomic unsigned calls, fail_at, kvm_runs, waits;
static _Atomic int hit; /* the call that failed, an index into names[] */

enum op { OP_OPEN, OP_FSTAT, OP_FCNTL, OP_IOCTL, OP_READV, OP_WRITEV, OP_PREADV, OP_PWRITEV, OP_FDATASYNC, OP_MMAP, OP_MADVISE,
	  OP_EVENTFD, OP_EPOLL_CREATE, OP_EPOLL_CTL, OP_EPOLL_WAIT, OP_GETRANDOM, OP_KVM_RUN };
static const char *const names[] = { "open", "fstat", "fcntl", "ioctl", "readv", "writev", "preadv", "pwritev", "fdatasync",
				     "mmap", "madvise", "eventfd", "epoll_create", "epoll_ctl", "epoll_wait", "getrandom",
				     "KVM_RUN" };

static bool fails(enum op op)
{
	if (atomic_fetch_add(&calls, 1) + 1 != atomic_load(&fail_at))
		return false;
	hit = (int)op;
	return true;
}

#define REAL host_linux()
/* The signature and the call of each entry; ERR is what a failure of its kind looks like. */
#define WRAP(ret, name, op, err, params, args) \
	static ret f_##name params \
	{ \
		return fails(op) ? -(err) : REAL->name args; \
	}
WRAP(int, fstat, OP_FSTAT, EIO, (const struct host *h, int fd, struct stat *st), (REAL, fd, st))
WRAP(int, fcntl, OP_FCNTL, EMFILE, (const struct host *h, int fd, int cmd, uintptr_t arg), (REAL, fd, cmd, arg))
WRAP(ssize_t, preadv, OP_PREADV, EIO, (const struct host *h, int fd, const struct iovec *v, int n, off_t o), (REAL, fd, v, n, o))
WRAP(ssize_t, pwritev, OP_PWRITEV, ENOSPC, (const struct host *h, int fd, const struct iovec *v, int n, off_t o),
     (REAL, fd, v, n, o))
WRAP(ssize_t, writev, OP_WRITEV, EIO, (const struct host *h, int fd, const struct iovec *v, int n), (REAL, fd, v, n))
WRAP(int, fdatasync, OP_FDATASYNC, EIO, (const struct host *h, int fd), (REAL, fd))
WRAP(int, mmap, OP_MMAP, ENOMEM, (const struct host *h, void **out, void *a, size_t l, int p, int f, int fd, off_t o),
     (REAL, out, a, l, p, f, fd, o))
WRAP(int, madvise, OP_MADVISE, ENOMEM, (const struct host *h, void *a, size_t l, int advice), (REAL, a, l, advice))
WRAP(int, eventfd, OP_EVENTFD, EMFILE, (const struct host *h, unsigned i, int f), (REAL, i, f))
WRAP(int, epoll_create, OP_EPOLL_CREATE, EMFILE, (const struct host *h), (REAL))
WRAP(ssize_t, getrandom, OP_GETRANDOM, EAGAIN, (const struct host *h, void *b, size_t l), (REAL, b, l))

/* What /sys tells decides how a machine is built, but never whether: if only that failed, the guest must come to its end. */
static bool verdict_failed;
static int verdict_fd;

static int f_open(const struct host *h, const char *path, int flags, mode_t mode)
{
	bool verdict = !strncmp(path, "/sys/", 5);
	int fd;

	if (fails(OP_OPEN)) {
		verdict_failed = verdict;
		return -EMFILE;
	}
	fd = REAL->open(REAL, path, flags, mode);
	if (verdict)
		verdict_fd = fd;
	else if (fd == verdict_fd)
		verdict_fd = -1;
	return fd;
}

static ssize_t f_readv(const struct host *h, int fd, const struct iovec *v, int n)
{
	if (!fails(OP_READV))
		return REAL->readv(REAL, fd, v, n);
	verdict_failed = fd == verdict_fd;
	return -EIO;
}

/* Loops without end are failed in their first rounds only, or N would have no end. */
static int f_ioctl(const struct host *h, int fd, unsigned long req, uintptr_t arg)
{
	bool counts = req != KVM_RUN || atomic_fetch_add(&kvm_runs, 1) < 4;

	return counts && fails(req == KVM_RUN ? OP_KVM_RUN : OP_IOCTL) ? -ENOMEM : REAL->ioctl(REAL, fd, req, arg);
}

static int f_epoll_ctl(const struct host *h, int ep, int op, int fd, struct epoll_event *ev)
{
	/* Deleting cannot fail but by a mistake of ours. */
	return op != EPOLL_CTL_DEL && fails(OP_EPOLL_CTL) ? -ENOMEM : REAL->epoll_ctl(REAL, ep, op, fd, ev);
}

static int f_epoll_wait(const struct host *h, int ep, struct epoll_event *evs, int max, int ms)
{
	return atomic_fetch_add(&waits, 1) < 4 && fails(OP_EPOLL_WAIT) ? -EINVAL : REAL->epoll_wait(REAL, ep, evs, max, ms);
}

struct census {
	unsigned fds, threads, maps;
};

static unsigned count_dir(const char *path)
{
	DIR *d = opendir(path);
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

/* Mappings of a machine's kind: guarded RAM (gigabytes of nothing) and what belongs to a descriptor of KVM. */
static struct census take_census(void)
{
	struct census c = { count_dir("/proc/self/fd"), count_dir("/proc/self/task"), 0 };
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		unsigned long a, b;

		if (strstr(line, "kvm") || (sscanf(line, "%lx-%lx ---p", &a, &b) == 2 && strstr(line, "---p") && b - a >= GIB(3) &&
					    b - a < GIB(16)))
			c.maps++;
	}
	if (f)
		fclose(f);
	return c;
}

enum outcome { REFUSED, ENDED, STOPPED, HUNG, MUTE };

static enum outcome run(const struct host *h, const char *payload, const char *disk, unsigned at, struct tvmm_error *err)
{
	struct tvmm_result r = { .size = sizeof(r) };
	struct tvmm_config *cfg = tvmm_config_new();
	enum outcome o = ENDED;
	struct tvmm_vm *vm;

	*err = (struct tvmm_error){ 0 };
	if (truncate(disk, 0) || truncate(disk, 1 << 20)) /* the guest counts its boots there */
		return MUTE;
	tvmm_config_set(cfg, "kernel", payload, NULL);
	tvmm_config_set(cfg, "memory", "64M", NULL);
	tvmm_config_set(cfg, "append", "mode=boots", NULL);
	tvmm_config_set(cfg, "on-reboot", "restart", NULL);
	tvmm_config_set(cfg, "console", "file=/dev/null", NULL);
	tvmm_config_set(cfg, "disk", disk, NULL);
	kvm_runs = waits = calls = 0;
	hit = -1;
	verdict_failed = false;
	verdict_fd = -1;
	fail_at = at;
	if (vm_create_on(&vm, cfg, h, err)) {
		o = err->code && err->message[0] ? REFUSED : MUTE;
	} else if (tvmm_vm_start(vm, err)) {
		o = err->code && err->message[0] ? REFUSED : MUTE;
		tvmm_vm_free(vm);
	} else {
		if (tvmm_vm_wait(vm, RUN_MS, &r)) {
			tvmm_vm_request(vm, TVMM_REQ_STOP, NULL);
			o = tvmm_vm_wait(vm, STOP_MS, &r) ? HUNG : STOPPED;
		}
		if (o != HUNG && (r.reason == TVMM_RUNNING || !r.detail[0]))
			o = MUTE;
		tvmm_vm_free(vm);
	}
	tvmm_config_free(cfg);
	return o;
}

int main(int argc, char **argv)
{
	struct host h = *host_linux();
	unsigned count[5] = { 0 }, kinds[ARRAY_SIZE(names)] = { 0 }, n, bad = 0, leaks = 0, verdicts = 0;
	struct census before, after;
	struct tvmm_error err;
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (argc != 3 || kvm < 0) {
		printf("1..0 # SKIP /dev/kvm cannot be opened\n");
		return 77;
	}
	close(kvm);
	setvbuf(stdout, NULL, _IOLBF, 0);
	h.open = f_open; h.fstat = f_fstat; h.fcntl = f_fcntl; h.ioctl = f_ioctl; h.readv = f_readv; h.writev = f_writev;
	h.preadv = f_preadv; h.pwritev = f_pwritev; h.fdatasync = f_fdatasync; h.mmap = f_mmap; h.madvise = f_madvise;
	h.eventfd = f_eventfd; h.epoll_create = f_epoll_create; h.epoll_ctl = f_epoll_ctl; h.epoll_wait = f_epoll_wait;
	h.getrandom = f_getrandom;

	n = open(argv[2], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (ftruncate((int)n, 1 << 20))
		return 1;
	close((int)n);
	if (!(run(&h, argv[1], argv[2], 0, &err) == ENDED))
		printf("# without a fault it did not end by itself: %s\n", err.message);
	before = take_census();
	for (n = 1; n < 3000; n++) {
		enum outcome o = run(&h, argv[1], argv[2], n, &err);

		if (hit < 0) /* no call was the Nth: all have had their turn */
			break;
		count[o]++;
		kinds[hit]++;
		if (o == HUNG || o == MUTE) {
			bad++;
			printf("# call %u (%s) failed: %s\n", n, names[hit], o == HUNG ? "it could not be stopped" : "nothing was said");
		}
		verdicts += verdict_failed;
		if (verdict_failed && o != ENDED) {
			bad++;
			printf("# call %u (%s) failed, and the machine with it, although it only looked at the host\n", n, names[hit]);
		}
		after = take_census();
		if (after.fds != before.fds || after.threads != before.threads || after.maps != before.maps) {
			leaks++;
			printf("# call %u (%s) failed: fds %u to %u, threads %u to %u, mappings %u to %u\n", n, names[hit], before.fds,
			       after.fds, before.threads, after.threads, before.maps, after.maps);
			before = after;
		}
	}
	printf("# %u calls failed in turn: %u refused, %u ended, %u stopped\n", n - 1, count[REFUSED], count[ENDED], count[STOPPED]);
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		printf("#   %-12s %u\n", names[i], kinds[i]);
	printf("%sok 1 - every call's failure is survived and named\n", bad ? "not " : "");
	printf("%sok 2 - no descriptor, thread or mapping is left\n", leaks ? "not " : "");
	printf("%sok 3 - all calls had their turn\n", n > 100 && n < 3000 ? "" : "not ");
	printf("%sok 4 - a look at the host that fails stops no machine (%u of them)\n", verdicts ? "" : "not ", verdicts);
	printf("1..4\n");
	return bad || leaks || !verdicts || n <= 100 || n >= 3000;
}
