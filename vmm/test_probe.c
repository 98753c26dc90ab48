/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_probe.c - the probe on a host that is made up: what it measures by a clock that the test turns, what it survives,
 * and which kept verdicts it does not believe.
 */
#include "probe.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "bits.h"
#include "probe_guest.h"
#include "probe_snapshot.h"
#include "test.h"

enum run { RUN_WELL, RUN_STOPS, RUN_HANGS, RUN_HANGS_HARD, RUN_FAILS };

#define CACHE "/run/test/tinyvmm-probe"

/* One at a time: the tests are not parallel. */
static struct {
	int open_error, create_error, write_error;
	unsigned opens, fail_at; /* the open that fails, from 1; 0: none */
	int fail_errno;
	enum run run;
	unsigned exit_ns, user_ns, fault_ns;
	_Atomic uint64_t now;
	_Atomic unsigned runs, closed;
	_Atomic bool let_go;
	struct kvm_run *page;
	char file[16384]; /* the cache */
	size_t file_len;
	bool file_exists;
	struct stat file_stat;
	char boot_id[40];
	unsigned files_open;
	const char *modules[2]; /* their folders in /sys */
} fake;

enum { FD_KVM = 1000, FD_VM, FD_VCPU, FD_CACHE, FD_BOOT_ID, FD_EXE };

static int fake_open(const struct host *h, const char *path, int flags, mode_t mode)
{
	int fd = -ENOENT;

	if (++fake.opens == fake.fail_at)
		return -fake.fail_errno;
	if (!strcmp(path, "/dev/kvm"))
		fd = fake.open_error && !(flags & O_PATH) ? -fake.open_error : FD_KVM;
	else if (!strcmp(path, CACHE))
		fd = fake.file_exists || flags & O_CREAT ? FD_CACHE : -ENOENT;
	else if (!strcmp(path, "/proc/sys/kernel/random/boot_id"))
		fd = FD_BOOT_ID;
	else if (!strcmp(path, "/proc/self/exe"))
		fd = FD_EXE;
	for (unsigned i = 0; i < ARRAY_SIZE(fake.modules); i++)
		if (fake.modules[i] && !strcmp(path, fake.modules[i]))
			fd = FD_EXE;
	if (fd == FD_CACHE)
		fake.file_exists = true;
	if (fd >= 0)
		fake.files_open++;
	return fd;
}

static int fake_close(const struct host *h, int fd)
{
	fake.closed++;
	return 0;
}

static int fake_fstat(const struct host *h, int fd, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	if (fd == FD_CACHE)
		*st = fake.file_stat;
	else
		st->st_ino = (ino_t)fd;
	return 0;
}

static ssize_t fake_readv(const struct host *h, int fd, const struct iovec *v, int n)
{
	size_t len = MIN(v->iov_len, strlen(fake.boot_id));

	if (fd != FD_BOOT_ID)
		return -EIO;
	memcpy(v->iov_base, fake.boot_id, len);
	return (ssize_t)len;
}

static ssize_t fake_preadv(const struct host *h, int fd, const struct iovec *v, int n, off_t off)
{
	size_t len = MIN(v->iov_len, fake.file_len - MIN((size_t)off, fake.file_len));

	memcpy(v->iov_base, fake.file + off, len);
	return (ssize_t)len;
}

static ssize_t fake_pwritev(const struct host *h, int fd, const struct iovec *v, int n, off_t off)
{
	if (fake.write_error)
		return -fake.write_error;
	ck_assert_uint_le(v->iov_len, sizeof(fake.file));
	memcpy(fake.file, v->iov_base, v->iov_len);
	fake.file_len = v->iov_len;
	return (ssize_t)v->iov_len;
}

static int wait_for_kick(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigwaitinfo(&set, NULL);
	return -EINTR;
}

static int wait_for_test(void)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	while (!fake.let_go)
		nanosleep(&ms, NULL);
	return -EINTR;
}

/* The guest of probe_guest.c as a clock sees it: 32 writes, 8 times 16 exits and a write, 8 times 8 touches and a write. */
static int fake_run(void)
{
	unsigned i = fake.runs++;
	struct kvm_run *r = fake.page;

	if (fake.run == RUN_HANGS && i == 10)
		return wait_for_kick();
	if (fake.run == RUN_HANGS_HARD && i == 10)
		return wait_for_test();
	if (fake.run == RUN_FAILS)
		return -EFAULT;
	r->exit_reason = KVM_EXIT_IO;
	r->io.direction = KVM_EXIT_IO_OUT;
	r->io.size = r->io.count = 1;
	fake.now += fake.user_ns;
	if (i >= 48 && fake.run == RUN_STOPS) {
		r->exit_reason = KVM_EXIT_SHUTDOWN;
	} else if (i < 32) {
		r->io.port = 0xf1;
	} else if (i < 40) {
		r->io.port = 0xf2;
		fake.now += 16 * fake.exit_ns;
	} else if (i < 48) {
		r->io.port = 0xf3;
		fake.now += 8 * fake.fault_ns;
	} else {
		r->io.port = 0xf4;
	}
	return 0;
}

static int fake_ioctl(const struct host *h, int fd, unsigned long req, uintptr_t arg)
{
	switch (req) {
	case KVM_GET_API_VERSION:
		return KVM_API_VERSION;
	case KVM_CHECK_EXTENSION:
		return 1;
	case KVM_GET_VCPU_MMAP_SIZE:
		return 8192;
	case KVM_CREATE_VM:
		return fake.create_error ? -fake.create_error : FD_VM;
	case KVM_CREATE_VCPU:
		return FD_VCPU;
	case KVM_GET_SUPPORTED_CPUID:
		((struct kvm_cpuid2 *)arg)->nent = 0;
		return 0;
	case KVM_RUN:
		return fake_run();
	default:
		return 0;
	}
}

static int fake_mmap(const struct host *h, void **out, void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	int ret;

	if (fd == FD_VCPU)
		flags = (flags & ~MAP_SHARED) | MAP_PRIVATE | MAP_ANONYMOUS;
	ret = host_linux()->mmap(h, out, addr, len, prot, flags, -1, 0);
	if (fd == FD_VCPU && !ret)
		fake.page = *out;
	return ret;
}

static int fake_madvise(const struct host *h, void *addr, size_t len, int advice)
{
	return 0;
}

static uint64_t fake_now(const struct host *h)
{
	return fake.now;
}

static struct host host;
static struct tvmm_probe p;
static struct tvmm_error err;

static void set_up(void)
{
	memset(&fake, 0, sizeof(fake));
	memset(&err, 0, sizeof(err));
	fake.exit_ns = 700;
	fake.user_ns = 1600;
	fake.fault_ns = 1100;
	fake.now = 1000000;
	strcpy(fake.boot_id, "62fdeb39-68c3-4c0a-bb00-d749343476bd\n");
	fake.file_stat = (struct stat){ .st_mode = S_IFREG | 0600, .st_uid = geteuid(), .st_nlink = 1 };
	host = *host_linux();
	host.open = fake_open; host.close = fake_close; host.fstat = fake_fstat; host.readv = fake_readv; host.preadv = fake_preadv;
	host.pwritev = fake_pwritev; host.ioctl = fake_ioctl; host.mmap = fake_mmap; host.madvise = fake_madvise; host.now_ns = fake_now;
}

static const struct tvmm_finding *finding(const char *name)
{
	for (unsigned i = 0; i < p.n_findings; i++)
		if (!strcmp(p.finding[i].name, name))
			return &p.finding[i];
	ck_abort_msg("no finding %s", name);
	return NULL;
}

START_TEST(measures)
{
	set_up();
	ck_assert_int_eq(probe_host(&p, &host, "", true, &err), 0);
	ck_assert(p.kvm_usable && p.runs_stock_kernel && !p.cached && p.kvm_api == 12);
	ck_assert_uint_eq(p.exit_user_ns, 1600);
	ck_assert_uint_eq(p.exit_ns, 700);
	ck_assert_uint_eq(p.fault_ns, 1100);
	ck_assert_int_eq(p.cost, TVMM_COST_NATIVE);
	ck_assert_uint_eq(fake.files_open + 2, fake.closed); /* and the VM and the vCPU */
	set_up();
	fake.exit_ns = 12000;
	ck_assert_int_eq(probe_host(&p, &host, "", true, &err), 0);
	ck_assert_int_eq(p.cost, TVMM_COST_NESTED);
}
END_TEST

START_TEST(a_guest_that_stops)
{
	set_up();
	fake.run = RUN_STOPS;
	ck_assert_int_eq(probe_host(&p, &host, "", true, &err), 0);
	ck_assert(p.kvm_usable && !p.runs_stock_kernel);
	ck_assert_uint_eq(p.exit_ns, 700); /* measured all the same */
	ck_assert_int_eq(finding("guests")->verdict, TVMM_WARN);
	set_up();
	fake.run = RUN_FAILS;
	ck_assert_int_eq(probe_host(&p, &host, "", true, &err), 0);
	ck_assert(p.kvm_usable && !p.runs_stock_kernel && p.cost == TVMM_COST_UNKNOWN);
}
END_TEST

START_TEST(a_vcpu_that_hangs)
{
	set_up();
	fake.run = RUN_HANGS;
	ck_assert_int_eq(probe_host(&p, &host, CACHE, false, &err), 0);
	ck_assert(p.kvm_usable && !p.runs_stock_kernel && p.cost == TVMM_COST_UNKNOWN);
	ck_assert_ptr_nonnull(strstr(finding("guests")->text, "did not come back in time"));
	ck_assert_uint_eq(fake.file_len, 0); /* not known is not kept */

	/* Not even a kick helps: the caller goes on, and the thread tidies up when it can. */
	set_up();
	fake.run = RUN_HANGS_HARD;
	ck_assert_int_eq(probe_host(&p, &host, "", true, &err), 0);
	ck_assert_ptr_nonnull(strstr(finding("guests")->text, "could not be stopped"));
	ck_assert_uint_eq(fake.closed + 1, fake.files_open); /* its /dev/kvm is still its own */
	fake.let_go = true;
	for (unsigned i = 0; i < 10000 && fake.closed < fake.files_open + 2; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	ck_assert_uint_eq(fake.closed, fake.files_open + 2);
}
END_TEST

START_TEST(no_kvm)
{
	static const int errors[] = { EMFILE, ENOENT, EACCES, ENODEV, EBUSY, EIO };

	for (unsigned i = 0; i < ARRAY_SIZE(errors); i++) {
		set_up();
		fake.open_error = errors[i];
		ck_assert_int_eq(probe_host(&p, &host, CACHE, false, &err), -errors[i]);
		ck_assert(err.code && err.message[0] && !p.kvm_usable && p.kvm_api == -1 && p.n_findings);
		ck_assert_ptr_nonnull(strstr(finding("/dev/kvm")->text, err.message));
		ck_assert_uint_eq(fake.file_len, 0); /* no verdict to keep */
	}
	set_up();
	fake.create_error = EBUSY;
	ck_assert_int_eq(probe_host(&p, &host, CACHE, false, &err), -EBUSY);
	ck_assert(!p.kvm_usable && p.kvm_api == 12 && !fake.file_len);
	ck_assert_ptr_nonnull(strstr(finding("/dev/kvm")->fix, "VirtualBox"));
	ck_assert_uint_eq(fake.files_open, fake.closed);
}
END_TEST

/* Which KVM will serve the guest: the CPU's flag decides between the modules that are loaded. */
START_TEST(interprets)
{
	static const struct {
		bool vmx, svm;
		const char *modules[2];
		bool yes;
	} hosts[] = {
		{ false, false, { NULL }, true },
		{ false, false, { "/sys/module/kvm_pvm" }, true },
		{ false, false, { "/sys/module/kvm_amd", "/sys/module/kvm_intel" }, true }, /* loaded, but of no use */
		{ true, false, { "/sys/module/kvm_pvm" }, true },
		{ true, false, { "/sys/module/kvm_pvm", "/sys/module/kvm_intel" }, false },
		{ true, false, { "/sys/module/kvm_pvm", "/sys/module/kvm_amd" }, true },
		{ false, true, { "/sys/module/kvm_pvm", "/sys/module/kvm_amd" }, false },
		{ false, true, { "/sys/module/kvm_amd" }, false },
		{ true, false, { NULL }, false }, /* the module may be built in */
	};

	for (unsigned i = 0; i < ARRAY_SIZE(hosts); i++) {
		const struct snapshot s = { .vmx = hosts[i].vmx, .svm = hosts[i].svm };

		set_up();
		memcpy(fake.modules, hosts[i].modules, sizeof(fake.modules));
		ck_assert_msg(snapshot_interprets(&s, &host) == hosts[i].yes, "host %u", i);
		ck_assert_uint_eq(fake.files_open, fake.closed);
	}
}
END_TEST

/* Out of descriptors, or of space, at any moment: a verdict or a sentence, and nothing is left open. */
START_TEST(short_of_something)
{
	static const int errors[] = { EMFILE, ENOSPC };

	for (unsigned e = 0; e < ARRAY_SIZE(errors); e++) {
		unsigned n, good = 0;

		for (n = 1; n < 1000; n++) {
			int ret;

			set_up();
			fake.fail_at = n;
			fake.fail_errno = errors[e];
			ret = probe_host(&p, &host, CACHE, false, &err);
			if (fake.opens < n) /* none was the Nth */
				break;
			good += !ret;
			ck_assert(p.n_findings && p.kvm_usable == !ret);
			ck_assert(!ret || (ret == -errors[e] && err.code && err.message[0]));
			ck_assert_uint_eq(fake.closed, fake.files_open + (ret ? 0 : 2)); /* the VM and the vCPU */
		}
		ck_assert_uint_lt(n, 1000);
		ck_assert_uint_ge(good, n - 4); /* only /dev/kvm itself, which is opened three times, is needed */
	}
}
END_TEST

/* Is the next probe's verdict the one that was kept? */
static bool believed(void)
{
	fake.runs = 0;
	ck_assert_int_eq(probe_host(&p, &host, CACHE, false, &err), 0);
	ck_assert_uint_eq(p.exit_ns, 700);
	ck_assert(p.cached == !fake.runs);
	return p.cached;
}

START_TEST(kept)
{
	set_up();
	ck_assert(!believed());
	ck_assert(believed());
	ck_assert_int_eq(probe_host(&p, &host, CACHE, true, &err), 0);
	ck_assert(!p.cached); /* as asked */

	fake.boot_id[3] ^= 1;
	ck_assert(!believed());
	ck_assert(believed());
	fake.file_stat.st_uid++;
	ck_assert(!believed());
	ck_assert(!believed()); /* and nothing was written into another's file */
	fake.file_stat.st_uid--;
	ck_assert(believed());
	fake.file_stat.st_mode = S_IFREG | 0620;
	ck_assert(!believed());
	fake.file_stat.st_mode = S_IFIFO | 0600;
	ck_assert(!believed());
	fake.file_stat.st_mode = S_IFREG | 0600;
	fake.file_stat.st_nlink = 2;
	ck_assert(!believed());
	fake.file_stat.st_nlink = 1;
	ck_assert(believed());

	for (size_t i = 0; i < fake.file_len; i += 97) { /* any byte */
		fake.file[i] ^= 0x10;
		ck_assert_msg(!believed(), "byte %zu", i);
	}
	ck_assert(believed());
	fake.file_len--; /* torn */
	fake.write_error = ENOSPC;
	ck_assert(!believed());
	ck_assert(!believed());
}
END_TEST

int main(void)
{
	return test_main("probe", (const TTest *const[]){ measures, a_guest_that_stops, a_vcpu_that_hangs, no_kvm, interprets, short_of_something, kept, NULL });
}
