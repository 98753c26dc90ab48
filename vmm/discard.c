/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * discard.c - noting, gathering and discarding guest pages.  Called by the balloon on vCPU threads, and by the I/O loop
 * for what has waited.  Allocates nothing after discard_init(); refuses pages outside RAM; knows no device.
 */
#include "discard.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "bits.h"

#define PAGE         (UINT64_C(1) << RECLAIM_PAGE_SHIFT)
#define CHUNK_PAGES  (DISCARD_CHUNK / PAGE)
#define SAMPLE_EVERY 64   /* batches: how often the host is asked whether a discarded page is gone */

struct discard_chunk {
	uint64_t held[CHUNK_PAGES / 64];
	uint64_t gone[CHUNK_PAGES / 64]; /* of these: discarded; the others are pending */
	uint16_t n_held, n_gone;
	uint8_t tick; /* when a page was last given */
};

/* Ranges on their way to the host, and what a list of pages came to.  On the stack of whoever discards. */
struct batch {
	struct discard *d;
	unsigned n, fresh;
	struct iovec iov[DISCARD_BATCH];
};

/* ---- the host's side ---------------------------------------------------------------------------------------------- */

static void count_done(struct discard *d, unsigned ranges, uint64_t bytes)
{
	d->calls++;
	d->ranges += ranges;
	d->discarded += bytes;
}

static void discard_one(struct discard *d, const struct iovec *iov)
{
	int ret = d->host->madvise(d->host, iov->iov_base, iov->iov_len, MADV_DONTNEED);

	if (ret)
		d->failed += iov->iov_len;
	count_done(d, 1, ret ? 0 : iov->iov_len);
}

/* The host says it is done: is it?  A page of the last range stands for all. */
static void sample(struct discard *d, const struct iovec *iov)
{
	unsigned char there = 0;

	if (d->batches++ % SAMPLE_EVERY)
		return;
	if (d->host->mincore(d->host, iov->iov_base, PAGE, &there))
		return;
	d->sampled++;
	if (there & 1)
		d->stayed++;
}

static void batch_send(struct batch *b)
{
	struct discard *d = b->d;
	unsigned i = 0;

	if (!b->n)
		return;
	/* A short count ends at the range that the host refused, or inside it: that one is tried alone, by its own call. */
	while (d->batched && b->n - i > 1) {
		ssize_t did = d->host->process_madvise(d->host, d->pidfd, b->iov + i, (int)(b->n - i), MADV_DONTNEED);
		unsigned first = i;

		if (did == -EINVAL || did == -ENOSYS || did == -EPERM) {
			d->batched = false;
			break;
		}
		if (did > 0) {
			count_done(d, 0, (uint64_t)did);
			for (; i < b->n && (size_t)did >= b->iov[i].iov_len; i++)
				did -= (ssize_t)b->iov[i].iov_len;
			d->ranges += i - first;
			d->discarded -= (uint64_t)did; /* the part of a range: it comes again */
		}
		if (i < b->n)
			discard_one(d, &b->iov[i++]);
	}
	for (; i < b->n; i++)
		discard_one(d, &b->iov[i]);
	sample(d, &b->iov[b->n - 1]);
	b->n = 0;
}

static void punch(struct discard *d, const struct discard_region *r, uint64_t off, uint64_t len)
{
	int ret = d->host->fallocate(d->host, r->back.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     (off_t)(r->back.off + off), (off_t)len);

	if (ret)
		d->failed += len;
	count_done(d, 1, ret ? 0 : len);
	sample(d, &(struct iovec){ r->ram.host + off, len });
}

/* OFF and LEN are inside the region, and whole pages. */
static void discard_range(struct batch *b, const struct discard_region *r, uint64_t off, uint64_t len)
{
	if (r->back.kind == BACKING_MEMFD) {
		/* MADV_DONTNEED on a shared mapping frees nothing, and says it did. */
		punch(b->d, r, off, len);
		return;
	}
	if (b->n >= b->d->batch_max)
		batch_send(b);
	b->iov[b->n++] = (struct iovec){ r->ram.host + off, len };
}

/* ---- the bits ----------------------------------------------------------------------------------------------------- */

static bool bit_get(const uint64_t *map, uint64_t i)
{
	return map[i / 64] >> (i % 64) & 1;
}

static void bit_set(uint64_t *map, uint64_t i)
{
	map[i / 64] |= BIT_ULL(i % 64);
}

static void bit_clear(uint64_t *map, uint64_t i)
{
	map[i / 64] &= ~BIT_ULL(i % 64);
}

/* The region that holds guest page PFN, and where in it. */
static const struct discard_region *find_page(const struct discard *d, uint64_t pfn, uint64_t *off)
{
	for (unsigned i = 0; i < d->n; i++) {
		*off = (pfn << RECLAIM_PAGE_SHIFT) - d->region[i].ram.base; /* wraps above the size when below the base */
		if (*off < d->region[i].ram.size)
			return &d->region[i];
	}
	return NULL;
}

static unsigned pending_of(const struct discard_chunk *c)
{
	return (unsigned)c->n_held - c->n_gone;
}

/* Held whole: one range, one huge page, whatever was discarded of it before. */
static void discard_whole(struct batch *b, const struct discard_region *r, uint64_t i)
{
	struct discard *d = b->d;
	struct discard_chunk *c = &d->chunk[i];

	d->pending_pages -= pending_of(c);
	c->n_gone = c->n_held;
	memset(c->gone, 0xff, sizeof(c->gone));
	bit_clear(d->busy, i);
	discard_range(b, r, (i - r->first_chunk) * DISCARD_CHUNK, DISCARD_CHUNK);
	d->whole++;
}

static bool is_pending(const struct discard_chunk *c, uint64_t p)
{
	return bit_get(c->held, p) && !bit_get(c->gone, p);
}

/* The pending pages of a chunk, as runs, until the batch is full.  True when none is left. */
static bool discard_runs(struct batch *b, uint64_t i)
{
	struct discard *d = b->d;
	struct discard_chunk *c = &d->chunk[i];
	const struct discard_region *r = discard_region_of(d, i);
	uint64_t base = (i - r->first_chunk) * DISCARD_CHUNK;

	for (unsigned p = 0; p < CHUNK_PAGES && pending_of(c);) {
		unsigned start = p;

		if (!((c->held[p / 64] & ~c->gone[p / 64]) >> (p % 64))) { /* nothing more in this word */
			p = (p / 64 + 1) * 64;
			continue;
		}
		if (!is_pending(c, p)) {
			p++;
			continue;
		}
		if (b->n >= d->batch_max)
			return false;
		for (; p < CHUNK_PAGES && is_pending(c, p); p++)
			bit_set(c->gone, p);
		c->n_gone = (uint16_t)(c->n_gone + (p - start));
		d->pending_pages -= p - start;
		discard_range(b, r, base + start * PAGE, (p - start) * PAGE);
	}
	bit_clear(d->busy, i);
	return true;
}

/* ---- gmem_reclaim.h ----------------------------------------------------------------------------------------------- */

/* Neighbours in one chunk. */
struct run {
	const struct discard_region *region;
	uint64_t chunk;
	unsigned first, n;
};

/*
 * The run, upwards or downwards, that the list of N pages begins with: drivers mostly send such, and a run costs what a
 * page of its own does.  How many of the list it is; 0 if the first is not RAM.
 */
static inline unsigned next_run(const struct discard *d, const uint32_t *pfn, unsigned n, struct run *run)
{
	uint64_t off;
	const struct discard_region *r = find_page(d, pfn[0], &off);
	unsigned at, in_chunk, up = 1, down = 1;

	if (!r)
		return 0;
	at = (unsigned)(off / PAGE % CHUNK_PAGES);
	in_chunk = (unsigned)MIN(CHUNK_PAGES, (r->ram.size - align_down(off, DISCARD_CHUNK)) / PAGE);
	while (up < n && at + up < in_chunk && pfn[up] == pfn[0] + up)
		up++;
	while (up == 1 && down < n && down <= at && pfn[down] == pfn[0] - down)
		down++;
	*run = (struct run){ r, r->first_chunk + off / DISCARD_CHUNK, at - (down - 1), MAX(up, down) };
	return run->n;
}

/* The bits of word W that the run has. */
static uint64_t run_mask(const struct run *run, unsigned w)
{
	unsigned from = MAX(run->first, w * 64) % 64, end = MIN(run->first + run->n, (w + 1) * 64) - w * 64;

	return (end == 64 ? ~UINT64_C(0) : BIT_ULL(end) - 1) & ~(BIT_ULL(from) - 1);
}

static inline void gave(struct batch *b, const struct discard_region *r, uint64_t i, unsigned pages)
{
	struct discard_chunk *c = &b->d->chunk[i];

	b->fresh += pages;
	c->n_held = (uint16_t)(c->n_held + pages);
	if (c->n_held == CHUNK_PAGES)
		discard_whole(b, r, i);
	else if (pending_of(c) == pages)
		bit_set(b->d->busy, i);
}

static void give_run(struct batch *b, const struct run *run)
{
	struct discard_chunk *c = &b->d->chunk[run->chunk];
	unsigned fresh = 0;

	c->tick = b->d->tick;
	for (unsigned w = run->first / 64; w * 64 < run->first + run->n; w++) {
		uint64_t mask = run_mask(run, w) & ~c->held[w];

		c->held[w] |= mask;
		fresh += (unsigned)__builtin_popcountll(mask);
	}
	if (fresh)
		gave(b, run->region, run->chunk, fresh);
}

static bool neighbours(uint32_t a, uint32_t b)
{
	return a + 1 == b || b + 1 == a;
}

/*
 * Pages without order, up to where a run begins: a run of one each, at a third of its cost.  How many of the list it took;
 * fewer, too, if one is not RAM.
 */
static unsigned give_scattered(struct batch *b, const uint32_t *pfn, unsigned n)
{
	struct discard *d = b->d;
	const struct discard_region *r = NULL;
	uint64_t first = 0, pages = 0, off; /* of the region */
	unsigned k = 0;

	for (; k < n && (k + 1 == n || !neighbours(pfn[k], pfn[k + 1])); k++) {
		uint64_t at = pfn[k] - first, i, mask;
		struct discard_chunk *c;

		if (at >= pages) {
			r = find_page(d, pfn[k], &off);
			if (!r)
				break;
			first = r->ram.base >> RECLAIM_PAGE_SHIFT;
			pages = r->ram.size >> RECLAIM_PAGE_SHIFT;
			at = pfn[k] - first;
		}
		i = r->first_chunk + at / CHUNK_PAGES;
		c = &d->chunk[i];
		at %= CHUNK_PAGES;
		mask = BIT_ULL(at % 64);
		c->tick = d->tick;
		if (c->held[at / 64] & mask)
			continue;
		c->held[at / 64] |= mask;
		gave(b, r, i, 1);
	}
	return k;
}

/* How many of the list were given: all, or those before one that is not RAM. */
static unsigned give_list(struct batch *b, const uint32_t *pfn, unsigned n)
{
	struct discard *d = b->d;
	unsigned k = 0;

	while (k < n) {
		unsigned did = give_scattered(b, pfn + k, n - k), ran;
		struct run run;

		k += did;
		ran = k < n ? next_run(d, pfn + k, n - k, &run) : 0;
		if (ran)
			give_run(b, &run);
		else
			break;
		k += ran;
	}
	d->held_pages += b->fresh;
	d->pending_pages += b->fresh;
	d->given_pages += b->fresh;
	b->fresh = 0;
	return k;
}

static void flush_locked(struct batch *b)
{
	struct discard *d = b->d;

	for (uint64_t w = 0; w < (d->n_chunks + 63) / 64; w++)
		while (d->busy[w])
			if (!discard_runs(b, w * 64 + (uint64_t)__builtin_ctzll(d->busy[w])))
				batch_send(b);
	batch_send(b);
}

static bool discard_give(struct gmem_reclaim *rec, const uint32_t *pfn, unsigned n, bool now)
{
	struct discard *d = container_of(rec, struct discard, reclaim);
	struct batch b = { .d = d }; /* its ranges stay unset until used */
	bool good;

	pthread_mutex_lock(&d->lock);
	good = give_list(&b, pfn, n) == n;
	if (now)
		flush_locked(&b);
	else
		batch_send(&b);
	if (d->pending_pages && !d->waiting) {
		d->waiting = true;
		if (d->want_tick)
			d->want_tick(d, d->want_arg);
	}
	pthread_mutex_unlock(&d->lock);
	return good;
}

/* Not made present again ahead of their use (MADV_POPULATE_WRITE): the guest's faults cost no more, and it may not use all. */
static void take_run(struct discard *d, const struct run *run)
{
	struct discard_chunk *c = &d->chunk[run->chunk];
	unsigned held = 0, gone = 0;

	for (unsigned w = run->first / 64; w * 64 < run->first + run->n; w++) {
		uint64_t mask = run_mask(run, w) & c->held[w];

		held += (unsigned)__builtin_popcountll(mask);
		gone += (unsigned)__builtin_popcountll(mask & c->gone[w]);
		c->held[w] &= ~mask;
		c->gone[w] &= ~mask;
	}
	c->n_held = (uint16_t)(c->n_held - held);
	c->n_gone = (uint16_t)(c->n_gone - gone);
	d->held_pages -= held;
	d->taken_pages += held;
	d->pending_pages -= held - gone;
	if (held > gone && !pending_of(c))
		bit_clear(d->busy, run->chunk);
}

static bool discard_take(struct gmem_reclaim *rec, const uint32_t *pfn, unsigned n)
{
	struct discard *d = container_of(rec, struct discard, reclaim);
	unsigned k = 0, did;
	struct run run;

	/* Waits here for a discard in flight: it may be of these very pages. */
	pthread_mutex_lock(&d->lock);
	for (; k < n && (did = next_run(d, pfn + k, n - k, &run)); k += did)
		take_run(d, &run);
	pthread_mutex_unlock(&d->lock);
	return k == n;
}

static uint64_t discard_drop(struct gmem_reclaim *rec, const struct iovec *iov, unsigned n)
{
	struct discard *d = container_of(rec, struct discard, reclaim);
	struct batch b = { .d = d };
	uint64_t total = 0;

	for (unsigned k = 0; k < n; k++)
		for (unsigned i = 0; i < d->n; i++) {
			const struct gmem_region *ram = &d->region[i].ram;
			uint64_t off = (uint64_t)((uintptr_t)iov[k].iov_base - (uintptr_t)ram->host), start, end;

			if (off >= ram->size || iov[k].iov_len > ram->size - off)
				continue;
			start = align_up(off, PAGE);
			end = align_down(off + iov[k].iov_len, PAGE);
			if (end <= start)
				continue;
			discard_range(&b, &d->region[i], start, end - start);
			total += end - start;
		}
	batch_send(&b);
	d->dropped += total;
	return total;
}

static void discard_forget(struct gmem_reclaim *rec)
{
	struct discard *d = container_of(rec, struct discard, reclaim);

	pthread_mutex_lock(&d->lock);
	/* A table of zeroes again, without touching what was never used of it. */
	if (d->host->madvise(d->host, d->table, d->table_size, MADV_DONTNEED))
		memset(d->table, 0, d->table_size);
	d->held_pages = d->pending_pages = 0;
	d->unfinished = false;
	pthread_mutex_unlock(&d->lock);
}

static const struct gmem_reclaim_ops reclaim_ops = {
	.give = discard_give,
	.take = discard_take,
	.drop = discard_drop,
	.forget = discard_forget,
	.look = discard_look,
	.filled = discard_filled,
};

/* ---- the loop's side ---------------------------------------------------------------------------------------------- */

enum discard_next discard_tick(struct discard *d)
{
	struct batch b = { .d = d };
	enum discard_next next;

	pthread_mutex_lock(&d->lock);
	if (!d->unfinished)
		d->tick++;
	d->unfinished = false;
	for (uint64_t w = 0; w < (d->n_chunks + 63) / 64 && !d->unfinished; w++)
		for (uint64_t left = d->busy[w]; left && !d->unfinished; left &= left - 1) {
			uint64_t i = w * 64 + (uint64_t)__builtin_ctzll(left);

			if ((uint8_t)(d->tick - d->chunk[i].tick) >= 2)
				d->unfinished = !discard_runs(&b, i);
		}
	batch_send(&b);
	next = d->unfinished ? DISCARD_NOW : d->pending_pages ? DISCARD_LATER : DISCARD_DONE;
	d->waiting = next != DISCARD_DONE;
	pthread_mutex_unlock(&d->lock);
	return next;
}

void discard_flush(struct discard *d)
{
	struct batch b = { .d = d };

	pthread_mutex_lock(&d->lock);
	flush_locked(&b);
	pthread_mutex_unlock(&d->lock);
}

void discard_stats(struct discard *d, struct discard_stats *s)
{
	pthread_mutex_lock(&d->lock);
	*s = (struct discard_stats){
		.held = d->held_pages * PAGE,
		.pending = d->pending_pages * PAGE,
		.given = d->given_pages * PAGE,
		.taken = d->taken_pages * PAGE,
	};
	pthread_mutex_unlock(&d->lock);
	s->dropped = d->dropped;
	s->discarded = d->discarded;
	s->ranges = d->ranges;
	s->calls = d->calls;
	s->whole = d->whole;
	s->failed = d->failed;
	s->stayed = d->stayed;
	s->sampled = d->sampled;
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

int discard_init(struct discard *d, const struct gmem *mem, const struct discard_backing *back, const struct host *host,
		 struct tvmm_error *err)
{
	uint64_t chunks = 0;
	int ret;

	*d = (struct discard){ .reclaim.ops = &reclaim_ops, .host = host, .n = mem->n, .pidfd = -1, .batch_max = DISCARD_BATCH };
	for (unsigned i = 0; i < mem->n; i++) {
		d->region[i] = (struct discard_region){ mem->region[i], back[i], chunks };
		chunks += (mem->region[i].size + DISCARD_CHUNK - 1) / DISCARD_CHUNK;
	}
	d->n_chunks = chunks;
	d->table_size = align_up(chunks * sizeof(struct discard_chunk) + 2 * ((chunks + 63) / 64 * 8), PAGE);
	ret = host->mmap(host, &d->table, NULL, d->table_size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ret)
		return err_set(err, TVMM_E_MEMORY, -ret, "guest memory", "cannot keep a table of its %lu chunks", chunks);
	d->chunk = d->table;
	d->busy = (uint64_t *)(void *)(d->chunk + chunks);
	d->absent = d->busy + (chunks + 63) / 64;
	/* Without it, or on a host too old for this advice, ranges go one by one. */
	ret = host->pidfd_open(host, getpid());
	d->pidfd = ret < 0 ? -1 : ret;
	d->batched = ret >= 0;
	pthread_mutex_init(&d->lock, NULL);
	return 0;
}

void discard_on_wait(struct discard *d, void (*want_tick)(struct discard *d, void *arg), void *arg)
{
	d->want_tick = want_tick;
	d->want_arg = arg;
}

void discard_fini(struct discard *d)
{
	if (!d->table)
		return;
	pthread_mutex_destroy(&d->lock);
	if (d->pidfd >= 0)
		d->host->close(d->host, d->pidfd);
	d->host->munmap(d->host, d->table, d->table_size);
	*d = (struct discard){ .pidfd = -1 };
}
