/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_discard.c - pages given are gone, pages taken back or never given keep every byte, and both at little cost; on
 * real memory, asked of the kernel page by page; on a host that lacks or refuses each of the calls.
 */
#include "discard.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>
#include "bits.h"
#include "test.h"

#define PAGE   4096u
#define REGION MIB(8)
#define PAGES  (REGION / PAGE)
#define HIGH   (GIB(4) / PAGE) /* first page of the second region */

struct fixture {
	struct gmem mem;
	struct discard_backing back[2];
	uint8_t *map[2], *ram[2];
	int memfd;
	struct host host; /* the real one, but for what a test replaces */
	struct discard d;
};

static int advise_calls, batch_calls, batch_limit, batch_error, refuse;

static int count_madvise(const struct host *h, void *addr, size_t len, int advice)
{
	if (advice == MADV_DONTNEED)
		advise_calls++;
	if (refuse)
		return -ENOMEM;
	return host_linux()->madvise(h, addr, len, advice);
}

/* Stops short after batch_limit bytes, as a kernel does that meets a range it refuses. */
static ssize_t count_batch(const struct host *h, int pidfd, const struct iovec *iov, int n, int advice)
{
	ssize_t done = 0;

	batch_calls++;
	if (batch_error)
		return batch_error;
	for (int i = 0; i < n; i++) {
		if (batch_limit && done >= batch_limit)
			return done ? done : -ENOMEM;
		madvise(iov[i].iov_base, iov[i].iov_len, advice);
		done += (ssize_t)iov[i].iov_len;
	}
	return done;
}

static void start(struct fixture *f, bool memfd)
{
	memset(f, 0, sizeof(*f));
	advise_calls = batch_calls = batch_limit = batch_error = refuse = 0;
	f->host = *host_linux();
	f->host.madvise = count_madvise;
	f->host.process_madvise = count_batch;
	f->memfd = memfd ? memfd_create("ram", MFD_CLOEXEC) : -1;
	if (memfd)
		ck_assert_int_eq(ftruncate(f->memfd, 2 * REGION), 0);
	for (unsigned i = 0; i < 2; i++) {
		f->map[i] = mmap(NULL, REGION + MIB(2), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ck_assert_ptr_ne(f->map[i], MAP_FAILED);
		f->ram[i] = (uint8_t *)align_up((uintptr_t)f->map[i], MIB(2));
		if (memfd)
			ck_assert_ptr_eq(mmap(f->ram[i], REGION, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, f->memfd,
					      (off_t)(i * REGION)), f->ram[i]);
		else
			madvise(f->ram[i], REGION, MADV_HUGEPAGE);
		memset(f->ram[i], 0x5a, REGION);
		f->back[i] = (struct discard_backing){ memfd ? BACKING_MEMFD : BACKING_PRIVATE, f->memfd, i * REGION };
		ck_assert_int_eq(gmem_add(&f->mem, GPA(i * GIB(4)), REGION, f->ram[i], NULL), 0);
	}
	ck_assert_int_eq(discard_init(&f->d, &f->mem, f->back, &f->host, NULL), 0);
}

static void stop(struct fixture *f)
{
	discard_fini(&f->d);
	for (unsigned i = 0; i < 2; i++)
		munmap(f->map[i], REGION + MIB(2));
	if (f->memfd >= 0)
		close(f->memfd);
}

static bool give(struct fixture *f, const uint32_t *pfn, unsigned n)
{
	return f->d.reclaim.ops->give(&f->d.reclaim, pfn, n, false);
}

static bool take(struct fixture *f, const uint32_t *pfn, unsigned n)
{
	return f->d.reclaim.ops->take(&f->d.reclaim, pfn, n);
}

static bool give_one(struct fixture *f, uint32_t pfn)
{
	return give(f, &pfn, 1);
}

static bool is_there(const void *page)
{
	unsigned char v = 0;

	ck_assert_int_eq(mincore((void *)(uintptr_t)page, PAGE, &v), 0);
	return v & 1;
}

static unsigned resident_pages(const uint8_t *p, uint64_t len)
{
	unsigned n = 0;

	for (uint64_t off = 0; off < len; off += PAGE)
		n += is_there(p + off);
	return n;
}

static bool all_bytes(const uint8_t *p, uint64_t len, uint8_t v)
{
	for (uint64_t i = 0; i < len; i++)
		if (p[i] != v)
			return false;
	return true;
}

/* Page numbers of a chunk in an order that shares nothing with their places. */
static void shuffled_chunk(uint32_t *pfn, uint32_t first)
{
	for (uint32_t i = 0; i < 512; i++)
		pfn[i] = first + (i * 205 + 77) % 512;
}

static void chunk_goes_whole(bool memfd, uint32_t first, unsigned region, uint64_t off)
{
	struct fixture f;
	struct discard_stats s;
	uint32_t pfn[512];

	start(&f, memfd);
	shuffled_chunk(pfn, first);
	ck_assert(give(&f, pfn, 256));
	ck_assert(give(&f, pfn + 256, 255));
	discard_stats(&f.d, &s);
	ck_assert_uint_eq(s.discarded, 0);
	ck_assert_uint_eq(s.pending, 511 * PAGE);
	ck_assert_uint_eq(resident_pages(f.ram[region], REGION), PAGES);
	ck_assert(give(&f, pfn + 511, 1));
	ck_assert_uint_eq(resident_pages(f.ram[region] + off, MIB(2)), 0);
	ck_assert_uint_eq(resident_pages(f.ram[region], REGION), PAGES - 512);
	ck_assert_uint_eq(resident_pages(f.ram[!region], REGION), PAGES);
	discard_stats(&f.d, &s);
	ck_assert_uint_eq(s.calls, 1);
	ck_assert_uint_eq(s.whole, 1);
	ck_assert_uint_eq(s.discarded, MIB(2));
	ck_assert_uint_eq(s.held, MIB(2));
	ck_assert_uint_eq(s.pending, 0);
	ck_assert_uint_eq(s.sampled, 1);
	ck_assert_uint_eq(s.stayed, 0);
	ck_assert_int_eq(discard_tick(&f.d), DISCARD_DONE);
	ck_assert_uint_eq(discard_resident(&f.d), 2 * REGION - MIB(2));
	stop(&f);
}

START_TEST(whole_chunk)
{
	chunk_goes_whole(false, 512, 0, MIB(2));
	chunk_goes_whole(false, HIGH + 1536, 1, MIB(6));
	chunk_goes_whole(true, HIGH, 1, 0);
}
END_TEST

/* The rest waits a tick at least, then goes as runs in one call, and nothing beside it does. */
static void rest_goes_in_runs(bool memfd, int error, int limit)
{
	static const uint32_t pfn[] = { 7, 5, 6, 100, 1, 511, 512, 513, HIGH + 9, HIGH + 8, 2000 };
	struct fixture f;
	struct discard_stats s;

	start(&f, memfd);
	batch_error = error;
	batch_limit = limit;
	ck_assert(give(&f, pfn, ARRAY_SIZE(pfn)));
	ck_assert_int_eq(discard_tick(&f.d), DISCARD_LATER);
	ck_assert_uint_eq(resident_pages(f.ram[0], REGION), PAGES);
	ck_assert_int_eq(discard_tick(&f.d), DISCARD_DONE);
	for (unsigned i = 0; i < ARRAY_SIZE(pfn); i++)
		ck_assert(!is_there(pfn[i] < HIGH ? f.ram[0] + pfn[i] * PAGE : f.ram[1] + (pfn[i] - HIGH) * PAGE));
	ck_assert_uint_eq(resident_pages(f.ram[0], REGION), PAGES - 9);
	ck_assert_uint_eq(resident_pages(f.ram[1], REGION), PAGES - 2);
	ck_assert(all_bytes(f.ram[0], PAGE, 0x5a));
	ck_assert(all_bytes(f.ram[0] + 8 * PAGE, 92 * PAGE, 0x5a));
	ck_assert(all_bytes(f.ram[0] + 514 * PAGE, (2000 - 514) * PAGE, 0x5a));
	ck_assert(all_bytes(f.ram[0] + 5 * PAGE, 3 * PAGE, 0));
	discard_stats(&f.d, &s);
	ck_assert_uint_eq(s.discarded, 11 * PAGE);
	ck_assert_uint_eq(s.ranges, 7); /* 1, 5-7, 100, 511, 512-513, 2000, and 8-9 above */
	ck_assert_uint_eq(s.failed, 0);
	if (!memfd && !error && !limit) {
		ck_assert_int_eq(batch_calls, 1);
		ck_assert_int_eq(advise_calls, 0);
	}
	if (error) {
		ck_assert_int_eq(advise_calls, 7);
		ck_assert_int_eq(batch_calls, 1); /* and is not tried again */
	}
	stop(&f);
}

START_TEST(runs)
{
	rest_goes_in_runs(false, 0, 0);
	rest_goes_in_runs(false, -EINVAL, 0);
	rest_goes_in_runs(false, -ENOSYS, 0);
	rest_goes_in_runs(false, 0, 1);
	rest_goes_in_runs(false, 0, PAGE + 1);
	rest_goes_in_runs(true, 0, 0);
}
END_TEST

START_TEST(taken_in_time)
{
	struct fixture f;
	struct discard_stats s;
	uint32_t pfn[512];

	start(&f, false);
	shuffled_chunk(pfn, 0);
	ck_assert(give(&f, pfn, 511));
	ck_assert(take(&f, pfn, 511));
	ck_assert(take(&f, pfn, 20)); /* never given: let pass */
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(discard_tick(&f.d), DISCARD_DONE);
	ck_assert(all_bytes(f.ram[0], REGION, 0x5a));
	discard_stats(&f.d, &s);
	ck_assert_uint_eq(s.calls, 0);
	ck_assert_uint_eq(s.held, 0);
	ck_assert_uint_eq(s.taken, 511 * PAGE);
	/* The same for a guest that starts anew. */
	ck_assert(give(&f, pfn, 511));
	f.d.reclaim.ops->forget(&f.d.reclaim);
	ck_assert(give(&f, pfn + 511, 1));
	discard_flush(&f.d);
	discard_stats(&f.d, &s);
	ck_assert_uint_eq(s.discarded, PAGE);
	ck_assert_uint_eq(resident_pages(f.ram[0], REGION), PAGES - 1);
	stop(&f);
}
END_TEST

/* A chunk that is being filled is left alone, however long that takes; given now means gone now. */
START_TEST(when)
{
	struct fixture f;
	uint32_t pfn[512];

	start(&f, false);
	shuffled_chunk(pfn, 0);
	for (unsigned i = 0; i < 511; i++) {
		ck_assert(give(&f, pfn + i, 1));
		if (i % 2)
			ck_assert_int_eq(discard_tick(&f.d), DISCARD_LATER);
	}
	ck_assert_int_eq(advise_calls + batch_calls, 0);
	ck_assert(f.d.reclaim.ops->give(&f.d.reclaim, (const uint32_t[]){ 600, 602 }, 2, true));
	ck_assert(!is_there(f.ram[0] + 600 * PAGE) && !is_there(f.ram[0] + 602 * PAGE));
	ck_assert(is_there(f.ram[0] + 601 * PAGE));
	stop(&f);
}
END_TEST

START_TEST(outside_ram)
{
	static const uint32_t bad[] = { PAGES, PAGES + 1, HIGH - 1, HIGH + PAGES, UINT32_MAX, 0xfee00 };
	struct fixture f;
	struct discard_stats s;

	start(&f, false);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert(!give(&f, &bad[i], 1));
		ck_assert(!take(&f, &bad[i], 1));
	}
	ck_assert(give_one(&f, PAGES - 1) && give_one(&f, HIGH + PAGES - 1) && give_one(&f, HIGH) && give_one(&f, 0));
	discard_stats(&f.d, &s);
	ck_assert_uint_eq(s.held, 4 * PAGE);
	/* Duplicates count once. */
	ck_assert(give_one(&f, 0) && give_one(&f, 0));
	discard_stats(&f.d, &s);
	ck_assert_uint_eq(s.held, 4 * PAGE);
	/* Lists that run out of RAM: what comes before counts. */
	ck_assert(!give(&f, (const uint32_t[]){ HIGH + PAGES - 2, HIGH + PAGES - 1, HIGH + PAGES }, 3));
	ck_assert(!give(&f, (const uint32_t[]){ HIGH + 1, HIGH, HIGH - 1 }, 3));
	ck_assert(!give(&f, (const uint32_t[]){ 1, 0, UINT32_MAX }, 3));
	discard_stats(&f.d, &s);
	ck_assert_uint_eq(s.held, 7 * PAGE);
	ck_assert(!take(&f, (const uint32_t[]){ HIGH + PAGES - 2, HIGH + PAGES - 1, HIGH + PAGES }, 3));
	ck_assert(!take(&f, (const uint32_t[]){ 1, 0, UINT32_MAX }, 3));
	discard_stats(&f.d, &s);
	ck_assert_uint_eq(s.held, 3 * PAGE);
	stop(&f);
}
END_TEST

START_TEST(drops)
{
	struct fixture f;
	uint8_t outside[2 * PAGE];
	struct iovec iov[5];

	start(&f, false);
	memset(outside, 1, sizeof(outside));
	iov[0] = (struct iovec){ f.ram[0] + MIB(2), MIB(4) };
	iov[1] = (struct iovec){ f.ram[1] + 100, 3 * PAGE };         /* two whole pages in it */
	iov[2] = (struct iovec){ f.ram[1] + 20 * PAGE + 1, PAGE };   /* none */
	iov[3] = (struct iovec){ outside, sizeof(outside) };
	iov[4] = (struct iovec){ f.ram[1] + REGION - PAGE, 2 * PAGE }; /* leaves the region */
	ck_assert_uint_eq(f.d.reclaim.ops->drop(&f.d.reclaim, iov, ARRAY_SIZE(iov)), MIB(4) + 2 * PAGE);
	ck_assert_uint_eq(resident_pages(f.ram[0], REGION), PAGES - 1024);
	ck_assert_uint_eq(resident_pages(f.ram[1], REGION), PAGES - 2);
	ck_assert(all_bytes(f.ram[1], PAGE, 0x5a) && all_bytes(f.ram[1] + 3 * PAGE, REGION - 3 * PAGE, 0x5a));
	ck_assert(all_bytes(outside, sizeof(outside), 1));
	stop(&f);
}
END_TEST

/* A refusal is counted and told, not repeated for ever; the bits stay true. */
START_TEST(refused)
{
	struct fixture f;
	struct discard_stats s;

	start(&f, false);
	refuse = 1;
	batch_error = -ENOMEM;
	for (uint32_t i = 0; i < 20; i += 2)
		ck_assert(give_one(&f, i));
	discard_tick(&f.d);
	ck_assert_int_eq(discard_tick(&f.d), DISCARD_DONE);
	discard_stats(&f.d, &s);
	ck_assert_uint_eq(s.failed, 10 * PAGE);
	ck_assert_uint_eq(s.discarded, 0);
	ck_assert_uint_eq(s.held, 10 * PAGE);
	ck_assert_uint_eq(s.sampled, 1);
	ck_assert_uint_eq(s.stayed, 1); /* and it noticed that the page is there */
	stop(&f);
}
END_TEST

/* One call handles a batch at most, says so, and the next goes on. */
START_TEST(bounded)
{
	struct fixture f;
	unsigned calls = 0;

	start(&f, false);
	for (uint32_t i = 0; i < PAGES; i += 2)
		ck_assert(give_one(&f, i));
	ck_assert_int_eq(discard_tick(&f.d), DISCARD_LATER);
	for (enum discard_next next = DISCARD_NOW; next == DISCARD_NOW; calls++) {
		uint64_t before = f.d.ranges;

		next = discard_tick(&f.d);
		ck_assert_uint_le(f.d.ranges - before, DISCARD_BATCH);
	}
	ck_assert_uint_ge(calls, PAGES / 2 / DISCARD_BATCH);
	ck_assert_uint_eq(resident_pages(f.ram[0], REGION), PAGES / 2);
	stop(&f);
}
END_TEST

static unsigned waits;

static void count_wait(struct discard *d, void *arg)
{
	waits++;
}

START_TEST(asks_for_ticks)
{
	struct fixture f;

	start(&f, false);
	waits = 0;
	discard_on_wait(&f.d, count_wait, NULL);
	give_one(&f, 1);
	give_one(&f, 2);
	ck_assert_uint_eq(waits, 1);
	ck_assert_int_eq(discard_tick(&f.d), DISCARD_LATER);
	ck_assert_int_eq(discard_tick(&f.d), DISCARD_DONE);
	give_one(&f, 3);
	ck_assert_uint_eq(waits, 2);
	stop(&f);
}
END_TEST

/* ---- random, with the loop's side running beside it, against a model ------------------------------------------------ */

static uint32_t rng(uint32_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 17;
	*s ^= *s << 5;
	return *s;
}

struct ticker {
	struct discard *d;
	_Atomic bool stop;
};

static void *tick_on(void *arg)
{
	struct ticker *t = arg;

	while (!t->stop)
		discard_tick(t->d);
	return NULL;
}

START_TEST(random_with_ticks)
{
	struct fixture f;
	bool held[PAGES] = { 0 };
	uint32_t seed = 12345, pfn[64];
	struct discard_stats s;
	uint64_t n_held = 0;
	struct ticker t;
	pthread_t thread;

	start(&f, false);
	f.host = *host_linux();
	t = (struct ticker){ .d = &f.d };
	ck_assert_int_eq(pthread_create(&thread, NULL, tick_on, &t), 0);
	for (unsigned round = 0; round < 6000; round++) {
		uint32_t at = rng(&seed) % (PAGES - 64), n = 1 + rng(&seed) % 64, op = rng(&seed) % 8;

		/* Upwards, downwards, or in pieces of both; dropping looks at the addresses alone. */
		for (uint32_t i = 0, turn = rng(&seed) % 3; i < n; i++)
			pfn[i] = at + (turn == 0 ? i : turn == 1 ? n - 1 - i : i % 4 < 2 || (i ^ 1) >= n ? i : i ^ 1);
		if (op == 0) {
			/* Contents are of no use: afterwards the pages read as zeroes, and the guest writes them anew. */
			f.d.reclaim.ops->drop(&f.d.reclaim, &(struct iovec){ f.ram[0] + at * PAGE, n * PAGE }, 1);
			for (uint32_t i = 0; i < n; i++)
				if (!held[pfn[i]])
					memset(f.ram[0] + pfn[i] * PAGE, 0x5a, PAGE);
		} else if (op < 5) {
			ck_assert(give(&f, pfn, n));
			for (uint32_t i = 0; i < n; i++)
				held[pfn[i]] = true;
		} else {
			ck_assert(take(&f, pfn, n));
			for (uint32_t i = 0; i < n; i++)
				if (held[pfn[i]]) {
					held[pfn[i]] = false;
					memset(f.ram[0] + pfn[i] * PAGE, 0x5a, PAGE);
				}
		}
		at = rng(&seed) % PAGES;
		if (!held[at])
			ck_assert(all_bytes(f.ram[0] + at * PAGE, PAGE, 0x5a));
	}
	for (uint32_t i = 0; i < PAGES; i++)
		n_held += held[i];
	discard_stats(&f.d, &s);
	ck_assert_uint_eq(s.held, n_held * PAGE);
	t.stop = true;
	pthread_join(thread, NULL);
	discard_flush(&f.d);
	for (uint32_t i = 0; i < PAGES; i++)
		ck_assert(held[i] ? !is_there(f.ram[0] + i * PAGE) : all_bytes(f.ram[0] + i * PAGE, PAGE, 0x5a));
	ck_assert_uint_eq(f.d.failed, 0);
	stop(&f);
}
END_TEST

/* Every call of setting up fails once; nothing stays behind. */
static int no_mmap(const struct host *h, void **out, void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	return -ENOMEM;
}

static int no_pidfd(const struct host *h, pid_t pid)
{
	return -EMFILE;
}

START_TEST(poor_host)
{
	struct fixture f;
	struct tvmm_error err;
	struct discard d;

	start(&f, false);
	f.host.mmap = no_mmap;
	ck_assert_int_eq(discard_init(&d, &f.mem, f.back, &f.host, &err), -ENOMEM);
	ck_assert_int_eq(err.code, TVMM_E_MEMORY);
	discard_fini(&d);
	f.host = *host_linux();
	f.host.pidfd_open = no_pidfd;
	ck_assert_int_eq(discard_init(&d, &f.mem, f.back, &f.host, NULL), 0);
	ck_assert(d.reclaim.ops->give(&d.reclaim, (const uint32_t[]){ 1, 3, 5 }, 3, true));
	ck_assert_uint_eq(resident_pages(f.ram[0], REGION), PAGES - 3);
	discard_fini(&d);
	stop(&f);
}
END_TEST

/* What was touched since the last look, of what was not there then. */
START_TEST(looks)
{
	struct fixture f;
	const struct gmem_reclaim_ops *ops;
	struct iovec piece[4];

	start(&f, false);
	ops = f.d.reclaim.ops;
	for (unsigned i = 0; i < 4; i++)
		piece[i] = (struct iovec){ f.ram[1] + i * MIB(2), MIB(2) };
	ck_assert(!ops->filled(&f.d.reclaim, &piece[0])); /* never looked */
	ops->drop(&f.d.reclaim, piece, 2);
	ops->look(&f.d.reclaim);
	for (unsigned i = 0; i < 4; i++)
		ck_assert(!ops->filled(&f.d.reclaim, &piece[i]));
	f.ram[1][0] = 1;
	f.ram[1][MIB(4)] = 1;
	ck_assert(ops->filled(&f.d.reclaim, &piece[0]));
	ck_assert(!ops->filled(&f.d.reclaim, &piece[1])); /* still not there */
	ck_assert(!ops->filled(&f.d.reclaim, &piece[2])); /* was there */
	ck_assert(!ops->filled(&f.d.reclaim, &(struct iovec){ f.ram[1] + PAGE, PAGE }));
	ck_assert(!ops->filled(&f.d.reclaim, &(struct iovec){ &f, PAGE })); /* not RAM */
	ops->look(&f.d.reclaim);
	ck_assert(!ops->filled(&f.d.reclaim, &piece[0]));
	stop(&f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { whole_chunk, runs, taken_in_time, when, outside_ram, drops, refused, bounded,
					      asks_for_ticks, random_with_ticks, poor_host, looks, NULL };

	return test_main("discard", tests);
}
