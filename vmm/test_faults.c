/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_faults.c - a host that fails: test_faults PAYLOAD FOLDER [PLAN] runs one guest again and again through a host whose Nth
 * call fails, for every N, over create, boot, I/O, restart and end (SQLite's way of testing).
 *
 * The machine has one of everything: disk, console, a port at a socket and one at a file, a network stream, vsock, a control
 * socket; and programs that come to its sockets.  A second one, which is made and not started, has a tap, where one can be
 * had.  Whatever failed, the program must live; creation must fail with a code and a sentence, or the machine must end, or
 * be stopped, within a bound; and no descriptor, thread or mapping may be left, nor memory (the build has
 * AddressSanitizer).  Needs /dev/kvm; speaks TAP.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <net/if.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "bits.h"
#include "test.h"
#include "tinyvmm.h"
#include "vm.h"

#define RUN_MS     20000 /* a guest that lost an interrupt is stopped after this, or soon after what one needs that did not */
#define STOP_MS    4000  /* stopping may take this long, in the worst case */
#define CALLS      6000  /* there are fewer */
#define WHOLE_RUNS 3     /* in a row in which no call was the Nth */

static _Atomic unsigned calls, fail_at;
static _Atomic int hit;     /* the call that failed, an index into names[] */
static _Atomic long mapped; /* bytes */
static int run_ms = RUN_MS;

/* Calls made again and again without end are failed in their first rounds only, or N would have no end. */
#define ROUNDS 4

#define OPS(X) \
	X(open) X(fstat) X(fstatfs) X(fcntl) X(ioctl) X(readv) X(writev) X(recv) X(send) X(sendmsg) X(preadv) X(pwritev) \
	X(preadv2) X(pwritev2) X(fdatasync) X(fallocate) X(ftruncate) X(memfd) X(mmap) X(madvise) \
	X(process_madvise) X(pidfd_open) X(mincore) X(uring_setup) X(uring_register) X(uring_enter) X(socket) \
	X(bind) X(listen) X(accept) X(connect) X(shutdown) X(getsockopt) X(fchmod) X(unlink) X(mkdir) X(thread) \
	X(eventfd) X(epoll_create) X(epoll_ctl) X(epoll_wait) X(poll) X(timerfd) X(timerfd_set) X(getrandom)

#define OP_NAME(name) OP_##name,
#define NAME_TEXT(name) #name,
enum op { OPS(OP_NAME) OP_KVM_RUN, N_OPS };
static const char *const names[N_OPS] = { OPS(NAME_TEXT) "KVM_RUN" };
static _Atomic unsigned rounds[N_OPS];

static bool fails(enum op op)
{
	if (atomic_fetch_add(&calls, 1) + 1 != atomic_load(&fail_at))
		return false;
	hit = (int)op;
	return true;
}

static bool fails_first(enum op op)
{
	return atomic_fetch_add(&rounds[op], 1) < ROUNDS && fails(op);
}

#define REAL host_linux()
/* The call of each entry with what a failure of its kind looks like. */
#define WRAP(ret, name, err, params, args) \
	static ret f_##name params \
	{ \
		return fails(OP_##name) ? -(err) : REAL->name args; \
	}
#define HOST const struct host *h
#define VECTOR HOST, int fd, const struct iovec *v, int n
WRAP(int, fstat, EIO, (HOST, int fd, struct stat *st), (REAL, fd, st))
WRAP(int, fstatfs, EIO, (HOST, int fd, struct statfs *st), (REAL, fd, st))
WRAP(int, fcntl, EMFILE, (HOST, int fd, int cmd, uintptr_t arg), (REAL, fd, cmd, arg))
WRAP(ssize_t, recv, EIO, (HOST, int fd, void *b, size_t l, int f), (REAL, fd, b, l, f))
WRAP(ssize_t, send, EIO, (HOST, int fd, const void *b, size_t l, int f), (REAL, fd, b, l, f))
WRAP(ssize_t, sendmsg, EIO, (HOST, int fd, const struct msghdr *m, int f), (REAL, fd, m, f))
WRAP(ssize_t, writev, EIO, (VECTOR), (REAL, fd, v, n))
WRAP(ssize_t, preadv, EIO, (VECTOR, off_t o), (REAL, fd, v, n, o))
WRAP(ssize_t, pwritev, ENOSPC, (VECTOR, off_t o), (REAL, fd, v, n, o))
WRAP(ssize_t, preadv2, EIO, (VECTOR, off_t o, int f), (REAL, fd, v, n, o, f))
WRAP(ssize_t, pwritev2, ENOSPC, (VECTOR, off_t o, int f), (REAL, fd, v, n, o, f))
WRAP(int, fdatasync, EIO, (HOST, int fd), (REAL, fd))
WRAP(int, fallocate, ENOSPC, (HOST, int fd, int m, off_t o, off_t l), (REAL, fd, m, o, l))
WRAP(int, ftruncate, ENOSPC, (HOST, int fd, off_t l), (REAL, fd, l))
WRAP(int, memfd, EMFILE, (HOST, const char *n, unsigned f), (REAL, n, f))
WRAP(int, madvise, ENOMEM, (HOST, void *a, size_t l, int advice), (REAL, a, l, advice))
WRAP(ssize_t, process_madvise, ENOMEM, (HOST, int fd, const struct iovec *v, int n, int a), (REAL, fd, v, n, a))
WRAP(int, pidfd_open, EMFILE, (HOST, pid_t pid), (REAL, pid))
WRAP(int, mincore, ENOMEM, (HOST, void *a, size_t l, unsigned char *v), (REAL, a, l, v))
WRAP(int, uring_setup, EPERM, (HOST, unsigned n, struct io_uring_params *p), (REAL, n, p))
WRAP(int, uring_register, ENOMEM, (HOST, int fd, unsigned op, void *arg, unsigned n), (REAL, fd, op, arg, n))
WRAP(int, uring_enter, ENOMEM, (HOST, int fd, unsigned n, unsigned w, unsigned f), (REAL, fd, n, w, f))
WRAP(int, socket, EMFILE, (HOST, int d, int t, int p), (REAL, d, t, p))
WRAP(int, bind, EACCES, (HOST, int fd, const struct sockaddr *a, unsigned l), (REAL, fd, a, l))
WRAP(int, listen, ENOMEM, (HOST, int fd, int n), (REAL, fd, n))
WRAP(int, accept, EMFILE, (HOST, int fd, int f), (REAL, fd, f))
WRAP(int, connect, ECONNREFUSED, (HOST, int fd, const struct sockaddr *a, unsigned l), (REAL, fd, a, l))
WRAP(int, shutdown, ENOTCONN, (HOST, int fd, int how), (REAL, fd, how))
WRAP(int, getsockopt, ENOMEM, (HOST, int fd, int l, int n, void *v, unsigned *len), (REAL, fd, l, n, v, len))
WRAP(int, fchmod, EPERM, (HOST, int fd, mode_t m), (REAL, fd, m))
WRAP(int, unlink, EACCES, (HOST, const char *p), (REAL, p))
WRAP(int, mkdir, EACCES, (HOST, const char *p, mode_t m), (REAL, p, m))
WRAP(int, thread, EAGAIN, (HOST, pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg), (REAL, t, a, fn, arg))
WRAP(int, eventfd, EMFILE, (HOST, unsigned i, int f), (REAL, i, f))
WRAP(int, epoll_create, EMFILE, (HOST), (REAL))
WRAP(int, timerfd, EMFILE, (HOST), (REAL))
WRAP(int, timerfd_set, EINVAL, (HOST, int fd, uint64_t ns, uint64_t period), (REAL, fd, ns, period))
WRAP(ssize_t, getrandom, EAGAIN, (HOST, void *b, size_t l), (REAL, b, l))

/* What /sys tells decides how a machine is built, but never whether: if only that failed, the guest must come to its end. */
static bool verdict_failed;
static int verdict_fd;

static int f_open(HOST, const char *path, int flags, mode_t mode)
{
	bool verdict = !strncmp(path, "/sys/", 5);
	int fd;

	if (fails(OP_open)) {
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

static ssize_t f_readv(VECTOR)
{
	if (!fails(OP_readv))
		return REAL->readv(REAL, fd, v, n);
	verdict_failed = fd == verdict_fd;
	return -EIO;
}

/* What is mapped over is ours already. */
static int f_mmap(HOST, void **out, void *a, size_t l, int p, int f, int fd, off_t o)
{
	int ret = fails(OP_mmap) ? -ENOMEM : REAL->mmap(REAL, out, a, l, p, f, fd, o);

	if (!ret && !(f & MAP_FIXED))
		mapped += (long)l;
	return ret;
}

static int f_munmap(HOST, void *a, size_t l)
{
	mapped -= (long)l;
	return REAL->munmap(REAL, a, l);
}

static int f_ioctl(HOST, int fd, unsigned long req, uintptr_t arg)
{
	bool now = req == KVM_RUN ? fails_first(OP_KVM_RUN) : fails(OP_ioctl);

	return now ? -ENOMEM : REAL->ioctl(REAL, fd, req, arg);
}

static int f_epoll_ctl(HOST, int ep, int op, int fd, struct epoll_event *ev)
{
	/* Deleting cannot fail but by a mistake of ours. */
	return op != EPOLL_CTL_DEL && fails(OP_epoll_ctl) ? -ENOMEM : REAL->epoll_ctl(REAL, ep, op, fd, ev);
}

static int f_epoll_wait(HOST, int ep, struct epoll_event *evs, int max, int ms)
{
	return fails_first(OP_epoll_wait) ? -EINVAL : REAL->epoll_wait(REAL, ep, evs, max, ms);
}

static int f_poll(HOST, struct pollfd *fds, unsigned n, int ms)
{
	return fails_first(OP_poll) ? -ENOMEM : REAL->poll(REAL, fds, n, ms);
}

#define ENTRY(name) .name = f_##name,
static void make_host(struct host *h)
{
	const struct host wrapped = { OPS(ENTRY) .munmap = f_munmap };

	*h = wrapped;
	h->close = REAL->close;
	h->now_ns = REAL->now_ns;
}

/* ---- what is left --------------------------------------------------------------------------------------------------- */

struct census {
	unsigned fds, threads;
	long mapped;
};

static struct census take_census(void)
{
	return (struct census){ count_fds(), count_threads(), mapped };
}

/* A file that could not be removed is no leak, and would be in the next machine's way. */
static void sweep(void)
{
	static const char *const left[] = { "port", "vsock", "control", "control.lock" };

	for (unsigned i = 0; i < ARRAY_SIZE(left); i++)
		unlink(left[i]);
}

/* ---- a machine ------------------------------------------------------------------------------------------------------ */

enum outcome { REFUSED, ENDED, STOPPED, MADE, HUNG, MUTE };

struct plan {
	const char *name;
	const char *keys[20]; /* pairs */
	bool starts;
};

static const struct plan plans[] = {
	{ "everything", { "on-reboot", "restart", "append", "mode=boots", "console", "file=/dev/null", "disk", "disk.img", "port",
			  "one,socket=port", "port", "two,file=/dev/null", "vsock", "uds=vsock", "control", "control" }, true },
	{ "tap", { "net", "tap=tvmmfaults,queues=2" }, false },
};

/* The host's programs come before the loop runs, and are served once it does. */
static int dial(const char *path, const char *words, size_t len)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)) && send(fd, words, len, MSG_NOSIGNAL) < 0)
		return fd; /* it hung up */
	return fd;
}

static void start(struct tvmm_vm *vm, enum outcome *o, struct tvmm_error *err)
{
	static const char call[] = "{\"method\":\"org.tinyvmm.VM.Describe\"}";
	struct tvmm_result r = { .size = sizeof(r) };
	int fd[3] = { dial("port", "words", 5), dial("vsock", "CONNECT 5\n", 10), dial("control", call, sizeof(call)) };

	*o = ENDED;
	if (tvmm_vm_start(vm, err)) {
		*o = err->code && err->message[0] ? REFUSED : MUTE;
	} else {
		if (tvmm_vm_wait(vm, verdict_failed ? RUN_MS : run_ms, &r)) {
			tvmm_vm_request(vm, TVMM_REQ_STOP, NULL);
			*o = tvmm_vm_wait(vm, STOP_MS, &r) ? HUNG : STOPPED;
		}
		if (*o != HUNG && (r.reason == TVMM_RUNNING || !r.detail[0]))
			*o = MUTE;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(fd); i++)
		close(fd[i]);
}

/* The guest counts its boots on the disk, and reboots up to the third. */
static bool count_boots(unsigned n)
{
	int fd = open("disk.img", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && !ftruncate(fd, 1 << 20) && pwrite(fd, &n, sizeof(n), 0) == sizeof(n);

	close(fd);
	return ok;
}

static unsigned boots(void)
{
	int fd = open("disk.img", O_RDONLY | O_CLOEXEC);
	unsigned n = 0;

	if (fd < 0 || pread(fd, &n, sizeof(n), 0) != sizeof(n))
		n = 0;
	close(fd);
	return n;
}

static enum outcome run(const struct host *h, const char *payload, const struct plan *plan, unsigned at, struct tvmm_error *err)
{
	struct tvmm_config *cfg = tvmm_config_new();
	enum outcome o = MADE;
	struct tvmm_vm *vm;
	char stream[16];
	int sv[2];

	*err = (struct tvmm_error){ 0 };
	if (!count_boots(1) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv))
		return MUTE;
	snprintf(stream, sizeof(stream), "fd=%d", sv[1]);
	tvmm_config_set(cfg, "kernel", payload, NULL);
	tvmm_config_set(cfg, "memory", "64M", NULL);
	for (unsigned i = 0; plan->keys[i]; i += 2)
		tvmm_config_set(cfg, plan->keys[i], plan->keys[i + 1], NULL);
	if (plan->starts)
		tvmm_config_set(cfg, "net", stream, NULL);
	memset((void *)rounds, 0, sizeof(rounds));
	calls = 0;
	hit = -1;
	verdict_failed = false;
	verdict_fd = -1;
	fail_at = at;
	if (vm_create_on(&vm, cfg, h, err)) {
		o = err->code && err->message[0] ? REFUSED : MUTE;
	} else {
		if (plan->starts)
			start(vm, &o, err);
		tvmm_vm_free(vm);
	}
	tvmm_config_free(cfg);
	close(sv[0]);
	close(sv[1]);
	sweep();
	return o;
}

struct tally {
	unsigned n, outcome[MUTE + 1], kinds[N_OPS], bad, leaks, verdicts;
};

static void try_all(const struct host *h, const char *payload, const struct plan *plan, struct tally *t)
{
	struct census before, after;
	struct tvmm_error err;
	unsigned whole = 0;
	uint64_t began;

	began = REAL->now_ns(REAL);
	if (run(h, payload, plan, 0, &err) != (plan->starts ? ENDED : MADE) || (plan->starts && boots() != 3)) {
		t->bad++;
		printf("# %s: without a fault it did not come to its end: %s, %u boots\n", plan->name, err.message, boots());
	}
	run_ms = (int)((REAL->now_ns(REAL) - began) / 1000000) * 3 + 200;
	before = take_census();
	for (unsigned n = 1; n < CALLS; n++) {
		enum outcome o = run(h, payload, plan, n, &err);

		/* No call was the Nth: all have had their turn, if this run came to its end.  Their number varies a little. */
		if (hit < 0) {
			whole += o == MADE || (o == ENDED && boots() == 3);
			if (whole == WHOLE_RUNS)
				break;
			n -= o == STOPPED; /* a slow one */
			continue;
		}
		whole = 0;
		t->n++;
		t->outcome[o]++;
		t->kinds[hit]++;
		if (o == HUNG || o == MUTE) {
			t->bad++;
			printf("# %s: call %u (%s) failed: %s\n", plan->name, n, names[hit],
			       o == HUNG ? "it could not be stopped" : "nothing was said");
		}
		t->verdicts += verdict_failed;
		if (verdict_failed && o != (plan->starts ? ENDED : MADE)) {
			t->bad++;
			printf("# %s: call %u (%s) failed, and the machine with it, although it only looked at the host\n", plan->name, n,
			       names[hit]);
		}
		after = take_census();
		for (unsigned i = 0; i < 100 && memcmp(&after, &before, sizeof(after)); i++) { /* the kernel's own, behind a ring */
			usleep(10000);
			after = take_census();
		}
		if (memcmp(&after, &before, sizeof(after))) {
			t->leaks++;
			printf("# %s: call %u (%s) failed: fds %u to %u, threads %u to %u, mapped %ld to %ld\n", plan->name, n,
			       names[hit], before.fds, after.fds, before.threads, after.threads, before.mapped, after.mapped);
			before = after;
		}
	}
	printf("# %s: %u calls failed in turn: %u refused, %u ended, %u stopped, %u made all the same\n", plan->name, t->n,
	       t->outcome[REFUSED], t->outcome[ENDED], t->outcome[STOPPED], t->outcome[MADE]);
	for (unsigned i = 0; i < N_OPS; i++)
		if (t->kinds[i])
			printf("#   %-16s %u\n", names[i], t->kinds[i]);
}

/* An interface for the second machine.  -1: this host or user has none. */
static int make_tap(void)
{
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(r.ifr_name, sizeof(r.ifr_name), "tvmmfaults");
	if (fd >= 0 && (ioctl(fd, TUNSETIFF, &r) < 0 || ioctl(fd, TUNSETPERSIST, 1) < 0)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static unsigned plan_number;

static bool report(const struct plan *plan, const struct tally *t, unsigned least)
{
	bool all = t->n >= least && t->n < CALLS - 1;

	printf("%sok %u - %s: every call's failure is survived and named\n", t->bad ? "not " : "", ++plan_number, plan->name);
	printf("%sok %u - %s: no descriptor, thread or mapping is left\n", t->leaks ? "not " : "", ++plan_number, plan->name);
	printf("%sok %u - %s: all calls had their turn\n", all ? "" : "not ", ++plan_number, plan->name);
	printf("%sok %u - %s: a look at the host that fails stops no machine (%u of them)\n", t->verdicts ? "" : "not ", ++plan_number,
	       plan->name, t->verdicts);
	return !t->bad && !t->leaks && all && t->verdicts;
}

static bool everything(const struct host *h, const char *payload)
{
	struct tally t = { 0 };

	try_all(h, payload, &plans[0], &t);
	return report(&plans[0], &t, 300);
}

static bool with_tap(const struct host *h, const char *payload)
{
	struct tally t = { 0 };
	int tap = make_tap();
	bool good;

	if (tap < 0) {
		printf("# no tap: %s\n", strerror(errno));
		return true;
	}
	try_all(h, payload, &plans[1], &t);
	good = report(&plans[1], &t, 40);
	ioctl(tap, TUNSETPERSIST, 0);
	close(tap);
	return good;
}

int main(int argc, char **argv)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	bool good = true;
	char *payload;
	struct host h;

	if (argc < 3 || kvm < 0) {
		printf("1..0 # SKIP /dev/kvm cannot be opened\n");
		return 77;
	}
	close(kvm);
	setvbuf(stdout, NULL, _IOLBF, 0);
	payload = realpath(argv[1], NULL);
	if (!payload || (mkdir(argv[2], 0700) && errno != EEXIST) || chdir(argv[2]))
		return 1;
	sweep();
	make_host(&h);
	if (argc == 3 || !strcmp(argv[3], plans[0].name))
		good &= everything(&h, payload);
	if (argc == 3 || !strcmp(argv[3], plans[1].name))
		good &= with_tap(&h, payload);
	printf("1..%u\n", plan_number);
	free(payload);
	return !good;
}
