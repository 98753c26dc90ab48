/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_disk_engine.c - operations that end in any order, each once; every call of the backend fails in its turn, under
 * io_uring, whose completions are changed, and under threads; flushes that are gathered, and never answered by an fdatasync that began before they came.
 *
 * Tests run twice: with io_uring (where this machine allows it) and with a host that refuses it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "bits.h"
#include "disk_engine.h"
#include "test.h"
#include "test_host.h"

#define SIZE  MIB(2)
#define MANY  600 /* more than the rings hold */

enum { URING, THREADS };

struct op {
	struct disk_io io;
	struct iovec iov[2];
	uint8_t buf[4096];
	unsigned done;
	int ret;
};

struct rig {
	struct host h;
	struct evloop loop;
	struct disk_engine e;
	struct disk *d;
	char path[32];
	/* Faults. */
	bool refuse_uring;
	int uring_err;              /* of the next uring_enter */
	unsigned uring_takes;       /* it takes so many at most; 0: all */
	_Atomic int read_err, sync_err;
	_Atomic size_t max_io;
	_Atomic unsigned syncs, hold; /* hold: fdatasync waits until this is 0 */
	unsigned n_done;
	/* From all calls that do I/O, and all that a ring completes, this one in turn gives FAULT; 0: none does. */
	_Atomic int fault_at, fault;
};

/* FAULT, a negative error or how many bytes are done at most, if it is this one's turn; else 0. */
static int fault(struct rig *r)
{
	return atomic_load(&r->fault_at) > 0 && atomic_fetch_sub(&r->fault_at, 1) == 1 ? atomic_load(&r->fault) : 0;
}

static int f_uring_setup(const struct host *h, unsigned n, struct io_uring_params *p)
{
	const struct rig *r = h->ctx;

	return r->refuse_uring ? -EPERM : host_linux()->uring_setup(h, n, p);
}

static int f_uring_enter(const struct host *h, int fd, unsigned n, unsigned wait, unsigned flags)
{
	struct rig *r = h->ctx;
	int err = r->uring_err;

	r->uring_err = 0;
	if (err)
		return -err;
	if (r->uring_takes)
		n = MIN(n, r->uring_takes);
	return host_linux()->uring_enter(h, fd, n, wait, flags);
}

static ssize_t f_preadv(const struct host *h, int fd, const struct iovec *iov, int n, off_t off)
{
	struct rig *r = h->ctx;
	int err = atomic_exchange(&r->read_err, 0);
	struct iovec v = *iov;

	if (err)
		return -err;
	if (r->max_io && v.iov_len) {
		v.iov_len = MIN(v.iov_len, r->max_io);
		return host_linux()->preadv(h, fd, &v, 1, off);
	}
	return host_linux()->preadv(h, fd, iov, n, off);
}

/* Nothing is in the page cache. */
static ssize_t f_preadv2(const struct host *h, int fd, const struct iovec *iov, int n, off_t off, int flags)
{
	return -EAGAIN;
}

static int f_fdatasync(const struct host *h, int fd)
{
	struct rig *r = h->ctx;

	r->syncs++;
	while (r->hold)
		usleep(100);
	return -atomic_exchange(&r->sync_err, 0);
}

/* Counts what is left behind as the disk does it. */
static void done(struct disk_io *io, int ret)
{
	struct op *o = container_of(io, struct op, io);

	o->done++;
	o->ret = ret;
}

static struct rig *rig_new(int how)
{
	struct rig *r = calloc(1, sizeof(*r));
	uint32_t w[1024];
	int fd;

	r->h = *host_linux();
	r->h.ctx = r;
	r->h.uring_setup = f_uring_setup;
	r->h.uring_enter = f_uring_enter;
	r->h.preadv = f_preadv;
	r->h.preadv2 = f_preadv2;
	r->refuse_uring = how == THREADS;
	strcpy(r->path, "/tmp/tvmm-engine-XXXXXX");
	fd = mkstemp(r->path);
	for (uint32_t b = 0; b < SIZE / 4096; b++) {
		for (uint32_t i = 0; i < 1024; i++)
			w[i] = b << 16 | i;
		ck_assert_int_eq(write(fd, w, 4096), 4096);
	}
	close(fd);
	ck_assert_int_eq(evloop_init(&r->loop, &r->h, NULL), 0);
	ck_assert_int_eq(disk_engine_init(&r->e, &r->h, &r->loop, NULL, NULL), 0);
	ck_assert_int_eq(disk_raw_open(&r->d, &r->h, r->path, 0, NULL), 0);
	r->d->in_memory = false; /* wherever /tmp is */
	return r;
}

static void rig_free(struct rig *r)
{
	disk_engine_fini(&r->e);
	r->d->ops->close(r->d);
	evloop_fini(&r->loop);
	unlink(r->path);
	free(r);
}

static void submit(struct rig *r, struct op *o, enum disk_op op, uint32_t block)
{
	o->iov[0] = (struct iovec){ o->buf, 1000 };
	o->iov[1] = (struct iovec){ o->buf + 1000, 3096 };
	o->done = 0;
	o->io = (struct disk_io){ .op = op, .iov = o->iov, .n = 2, .off = block * 4096ull, .len = 4096, .done = done };
	disk_submit(&r->e, r->d, &o->io);
}

/* Until N operations from O are done. */
static void wait_for(struct rig *r, struct op *o, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		while (!o[i].done) {
			disk_reap(&r->e);
			disk_engine_wait(&r->e);
		}
}

static bool is_block(const struct op *o, uint32_t b)
{
	for (uint32_t i = 0; i < 1024; i++)
		if (load_le32(o->buf + i * 4) != (b << 16 | i))
			return false;
	return true;
}

/* ---- every call fails in its turn ---- */

#define FAULTY_IO(name)                                                                                              \
	static ssize_t faulty_##name(const struct host *h, int fd, const struct iovec *iov, int n, off_t off)       \
	{                                                                                                           \
		int f = fault(h->ctx);                                                                              \
		struct iovec v = { iov->iov_base, MIN(iov->iov_len, (size_t)MAX(f, 0)) };                           \
                                                                                                                    \
		return f < 0 ? f : f ? host_linux()->name(h, fd, &v, 1, off) : host_linux()->name(h, fd, iov, n, off); \
	}
FAULTY_IO(preadv)
FAULTY_IO(pwritev)

static int faulty_fdatasync(const struct host *h, int fd)
{
	int f = fault(h->ctx);

	return f < 0 ? f : host_linux()->fdatasync(h, fd);
}

static int faulty_fallocate(const struct host *h, int fd, int mode, off_t off, off_t len)
{
	int f = fault(h->ctx);

	return f < 0 ? f : host_linux()->fallocate(h, fd, mode, off, len);
}

/* All that is submitted is done when this returns, and what the kernel says of it is changed. */
static int faulty_uring_enter(const struct host *h, int fd, unsigned n, unsigned wait, unsigned flags)
{
	struct rig *r = h->ctx;
	struct disk_uring *u = &r->e.uring;
	int ret = host_linux()->uring_enter(h, fd, n, n, flags | IORING_ENTER_GETEVENTS);
	unsigned tail = __atomic_load_n(u->cq_tail, __ATOMIC_ACQUIRE);

	for (unsigned i = *u->cq_head; i != tail; i++) {
		struct io_uring_cqe *c = &u->cqes[i & u->cq_mask];
		int f = fault(r);

		if (f)
			c->res = f < 0 ? f : MIN(c->res, f);
	}
	return ret;
}

/* One operation of kind OP whose AT-th call, of those that do I/O, gives FAULT.  False: there were not so many. */
static bool one_fault(int how, enum disk_op op, int at, int what)
{
	struct rig *r = rig_new(how);
	struct op *o = calloc(2, sizeof(*o));
	bool came;

	r->h.preadv = faulty_preadv;
	r->h.pwritev = faulty_pwritev;
	r->h.fdatasync = faulty_fdatasync;
	r->h.fallocate = faulty_fallocate;
	r->h.uring_enter = faulty_uring_enter;
	/* The ring is there, and two are more than one can do by itself. */
	submit(r, &o[0], DISK_READ, 3);
	submit(r, &o[1], DISK_READ, 4);
	disk_kick(&r->e);
	wait_for(r, o, 2);
	memcpy(o[0].buf, o[1].buf, 4096);
	r->fault = what;
	r->fault_at = at;
	submit(r, &o[0], op, op == DISK_READ ? 9 : 8);
	disk_kick(&r->e);
	wait_for(r, o, 1);
	came = r->fault_at == 0;
	r->fault_at = 0;
	ck_assert_uint_eq(o[0].done, 1);
	/* Interruptions and short ones are gone over; a flush has one error; the rest is told as it is. */
	ck_assert_int_eq(o[0].ret, !came || what > 0 || what == -EINTR || what == -EAGAIN ? 0 : op == DISK_FLUSH ? -EIO : what);
	if (!o[0].ret && op == DISK_READ)
		ck_assert(is_block(&o[0], 9));
	if (!o[0].ret && (op == DISK_WRITE || op == DISK_ZERO)) {
		submit(r, &o[1], DISK_READ, 8);
		disk_kick(&r->e);
		wait_for(r, &o[1], 1);
		ck_assert_int_eq(o[1].ret, 0);
		ck_assert(op == DISK_WRITE ? is_block(&o[1], 4) : !o[1].buf[0] && !memcmp(o[1].buf, o[1].buf + 1, 4095));
	}
	/* What follows is as if nothing had been, but after a flush that failed: the kernel dropped what it could not write. */
	submit(r, &o[1], DISK_WRITE, 11);
	disk_kick(&r->e);
	wait_for(r, &o[1], 1);
	ck_assert_int_eq(o[1].ret, op == DISK_FLUSH && o[0].ret ? -EIO : 0);
	free(o);
	rig_free(r);
	return came;
}

START_TEST(every_fault)
{
	static const enum disk_op ops[] = { DISK_READ, DISK_WRITE, DISK_FLUSH, DISK_ZERO, DISK_DISCARD };
	static const int whats[] = { -EIO, -ENOSPC, -EDQUOT, -EINTR, 1, 1000, 2500 };
	unsigned n = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++)
		for (unsigned k = 0; k < ARRAY_SIZE(whats); k++)
			for (int at = 1; one_fault(_i, ops[i], at, whats[k]); at++)
				n++;
	ck_assert_uint_ge(n, 35); /* at least one call for each */
}
END_TEST

START_TEST(many)
{
	struct rig *r = rig_new(_i);
	struct op *o = calloc(MANY, sizeof(*o));

	for (unsigned i = 0; i < MANY; i++)
		submit(r, &o[i], DISK_READ, i * 7 % 512);
	disk_kick(&r->e);
	wait_for(r, o, MANY);
	for (unsigned i = 0; i < MANY; i++)
		ck_assert(o[i].done == 1 && !o[i].ret && is_block(&o[i], i * 7 % 512));
	/* Write blocks over others, and read them back. */
	for (unsigned i = 0; i < 100; i++)
		submit(r, &o[i], DISK_WRITE, 300 + i);
	disk_kick(&r->e);
	wait_for(r, o, 100);
	for (unsigned i = 0; i < 100; i++) {
		memset(o[i].buf, 0, 4096);
		submit(r, &o[i], DISK_READ, 300 + i);
	}
	disk_kick(&r->e);
	wait_for(r, o, 100);
	for (unsigned i = 0; i < 100; i++)
		ck_assert(!o[i].ret && is_block(&o[i], i * 7 % 512));
	free(o);
	rig_free(r);
}
END_TEST

/* The ring interrupts, takes a part, or takes nothing: whatever it leaves is done by threads. */
START_TEST(ring_refuses)
{
	static const int errs[] = { EINTR, EAGAIN, EBUSY, ENOMEM };
	struct rig *r = rig_new(URING);
	struct op *o = calloc(40, sizeof(*o));

	for (unsigned round = 0; round < 8; round++) {
		r->uring_err = round < 4 ? errs[round] : 0;
		r->uring_takes = round < 4 ? 0 : round;
		for (unsigned i = 0; i < 40; i++)
			submit(r, &o[i], DISK_READ, i + round);
		disk_kick(&r->e);
		wait_for(r, o, 40);
		for (unsigned i = 0; i < 40; i++)
			ck_assert(o[i].done == 1 && !o[i].ret && is_block(&o[i], i + round));
	}
	if (r->e.has_uring)
		ck_assert_uint_eq(r->e.uring.in_flight, 0);
	free(o);
	rig_free(r);
}
END_TEST

/* The image shrinks under a request: what is not there is an error, at once and for each; then it grows again. */
START_TEST(truncated)
{
	struct rig *r = rig_new(_i);
	struct op *o = calloc(20, sizeof(*o));

	ck_assert_int_eq(truncate(r->path, 10 * 4096 + 512), 0);
	for (unsigned i = 0; i < 20; i++)
		submit(r, &o[i], DISK_READ, i);
	disk_kick(&r->e);
	wait_for(r, o, 20);
	for (unsigned i = 0; i < 20; i++)
		ck_assert_int_eq(o[i].ret, i < 10 ? 0 : -EIO);
	ck_assert_int_eq(truncate(r->path, SIZE), 0);
	for (unsigned i = 0; i < 20; i++)
		submit(r, &o[i], DISK_READ, i);
	disk_kick(&r->e);
	wait_for(r, o, 20);
	for (unsigned i = 0; i < 20; i++)
		ck_assert_int_eq(o[i].ret, 0);
	free(o);
	rig_free(r);
}
END_TEST

/* Short, interrupted and failing transfers on the threads. */
START_TEST(faults)
{
	struct rig *r = rig_new(THREADS);
	struct op *o = calloc(8, sizeof(*o));

	r->max_io = 100;
	submit(r, &o[0], DISK_READ, 5);
	disk_kick(&r->e);
	wait_for(r, o, 1);
	ck_assert(!o[0].ret && is_block(&o[0], 5));
	r->max_io = 0;
	r->read_err = EINTR;
	submit(r, &o[0], DISK_READ, 6);
	disk_kick(&r->e);
	wait_for(r, o, 1);
	ck_assert(!o[0].ret && is_block(&o[0], 6));
	r->read_err = EIO;
	for (unsigned i = 0; i < 8; i++)
		submit(r, &o[i], DISK_READ, i);
	disk_kick(&r->e);
	wait_for(r, o, 8);
	unsigned failed = 0;

	for (unsigned i = 0; i < 8; i++) {
		ck_assert(o[i].ret == -EIO || (!o[i].ret && is_block(&o[i], i)));
		failed += o[i].ret != 0;
	}
	ck_assert_uint_eq(failed, 1);
	free(o);
	rig_free(r);
}
END_TEST

/* Flushes that come while one is under way share the next one, which starts after they came. */
START_TEST(flushes_gather)
{
	struct rig *r = rig_new(THREADS);
	struct op *o = calloc(8, sizeof(*o));

	r->h.fdatasync = f_fdatasync;
	r->hold = 1;
	submit(r, &o[0], DISK_FLUSH, 0);
	disk_kick(&r->e);
	while (r->syncs < 1)
		usleep(100);
	for (unsigned i = 1; i < 8; i++)
		submit(r, &o[i], DISK_FLUSH, 0);
	disk_kick(&r->e);
	disk_reap(&r->e);
	for (unsigned i = 0; i < 8; i++)
		ck_assert_uint_eq(o[i].done, 0);
	r->hold = 0;
	wait_for(r, o, 8);
	ck_assert_uint_eq(r->syncs, 2);
	for (unsigned i = 0; i < 8; i++)
		ck_assert(o[i].done == 1 && !o[i].ret);
	free(o);
	rig_free(r);
}
END_TEST

/* A flush that fails fails all who shared it, those who wait for the next, and everything but reading from then on. */
START_TEST(flush_fails)
{
	struct rig *r = rig_new(THREADS);
	struct op *o = calloc(8, sizeof(*o));

	r->h.fdatasync = f_fdatasync;
	r->hold = 1;
	r->sync_err = EIO;
	submit(r, &o[0], DISK_FLUSH, 0);
	disk_kick(&r->e);
	while (r->syncs < 1)
		usleep(100);
	for (unsigned i = 1; i < 4; i++)
		submit(r, &o[i], DISK_FLUSH, 0);
	r->hold = 0;
	wait_for(r, o, 4);
	submit(r, &o[4], DISK_WRITE, 0);
	submit(r, &o[5], DISK_FLUSH, 0);
	submit(r, &o[6], DISK_DISCARD, 0);
	submit(r, &o[7], DISK_READ, 3);
	disk_kick(&r->e);
	wait_for(r, o, 8);
	for (unsigned i = 0; i < 7; i++)
		ck_assert_int_eq(o[i].ret, -EIO);
	ck_assert(!o[7].ret && is_block(&o[7], 3));
	ck_assert_uint_eq(r->syncs, 1);
	free(o);
	rig_free(r);
}
END_TEST

START_TEST(leaves_nothing)
{
	struct op *o = calloc(4, sizeof(*o));
	unsigned fds = count_fds(), threads = count_threads();

	for (unsigned round = 0; round < 10; round++) {
		struct rig *r = rig_new(_i);
		unsigned open_fds = count_fds();

		ck_assert(_i == URING || !r->e.has_uring);
		for (unsigned i = 0; i < 4; i++)
			submit(r, &o[i], DISK_READ, i);
		disk_kick(&r->e);
		wait_for(r, o, 4);
		ck_assert_uint_eq(count_fds(), open_fds); /* all were there before the guest is */
		rig_free(r);
	}
	ck_assert_uint_eq(count_fds(), fds);
	ck_assert_uint_eq(count_threads(), threads);
	free(o);
}
END_TEST

/* One request whose data is in the page cache is done before disk_kick() returns. */
START_TEST(at_once)
{
	struct rig *r = rig_new(THREADS);
	struct op o = { .done = 0 };

	r->h.preadv2 = host_linux()->preadv2;
	r->d->in_memory = true;
	submit(r, &o, DISK_READ, 9);
	ck_assert_uint_eq(o.done, 0);
	disk_kick(&r->e);
	ck_assert(o.done == 1 && !o.ret && is_block(&o, 9));
	submit(r, &o, DISK_WRITE, 10);
	disk_kick(&r->e);
	ck_assert(o.done == 1 && !o.ret);
	ck_assert_int_eq(truncate(r->path, 4096), 0);
	submit(r, &o, DISK_READ, 1);
	disk_kick(&r->e);
	ck_assert(o.done == 1 && o.ret == -EIO);
	rig_free(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("disk_engine");
	TCase *tc = tcase_create("disk_engine");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, many, URING, THREADS + 1);
	tcase_add_loop_test(tc, every_fault, URING, THREADS + 1);
	tcase_add_test(tc, ring_refuses);
	tcase_add_loop_test(tc, truncated, URING, THREADS + 1);
	tcase_add_test(tc, faults);
	tcase_add_test(tc, flushes_gather);
	tcase_add_test(tc, flush_fails);
	tcase_add_loop_test(tc, leaves_nothing, URING, THREADS + 1);
	tcase_add_test(tc, at_once);
	suite_add_tcase(s, tc);
	return test_run(s);
}
