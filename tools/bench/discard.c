/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * discard.c - "bench-discard [MIB [ROUNDS [RANGES]]]": how fast the device side gives memory back, beside plain madvise().
 *
 * Memory is made present in pages of 4 KiB, then as huge pages; each round gives all of it back once in every way, one
 * after the other, in buffers of 256 page numbers as Linux's balloon driver sends them.  Prints medians of the rounds and
 * the ratio to madvise() over ranges of 2 MiB.  RANGES is the profile's discard-batch.  No guest and no /dev/kvm; single-threaded.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "bits.h"
#include "discard.h"

enum { BUFFER = 256, MAX_ROUNDS = 99 };

struct bench {
	struct discard d;
	uint8_t *ram;
	uint64_t size;
	uint32_t *pfn; /* in the order of the case */
	unsigned n;
};

static uint64_t now_ns(void)
{
	return host_linux()->now_ns(host_linux());
}

/* ---- the ways ----------------------------------------------------------------------------------------------------- */

static void by_madvise(struct bench *b, uint64_t step)
{
	for (uint64_t off = 0; off < b->size; off += step)
		madvise(b->ram + off, step, MADV_DONTNEED);
}

static void by_give(struct bench *b)
{
	for (unsigned i = 0; i < b->n; i += BUFFER)
		b->d.reclaim.ops->give(&b->d.reclaim, b->pfn + i, MIN((unsigned)BUFFER, b->n - i), false);
	discard_flush(&b->d);
}

static void by_drop(struct bench *b, uint64_t block)
{
	struct iovec iov[32];
	unsigned n = 0;

	for (uint64_t off = 0; off < b->size; off += block) {
		iov[n++] = (struct iovec){ b->ram + off, block };
		if (n < ARRAY_SIZE(iov) && off + block < b->size)
			continue;
		b->d.reclaim.ops->drop(&b->d.reclaim, iov, n);
		n = 0;
	}
}

/* Every other page: what the host makes of it at best. */
static void by_process_madvise(struct bench *b)
{
	struct iovec iov[1024];
	unsigned n = 0;

	for (uint64_t off = 0; off < b->size; off += 8192) {
		iov[n++] = (struct iovec){ b->ram + off, 4096 };
		if (n < ARRAY_SIZE(iov) && off + 8192 < b->size)
			continue;
		b->d.host->process_madvise(b->d.host, b->d.pidfd, iov, (int)n, MADV_DONTNEED);
		n = 0;
	}
}

/* ---- the orders in which pages come --------------------------------------------------------------------------------- */

static void upwards(struct bench *b)
{
	b->n = (unsigned)(b->size / 4096);
	for (unsigned i = 0; i < b->n; i++)
		b->pfn[i] = i;
}

static void downwards(struct bench *b)
{
	upwards(b);
	for (unsigned i = 0; i < b->n; i++)
		b->pfn[i] = b->n - 1 - i;
}

/* Pages of 64 MiB at a time, as if drawn from a hat: each buffer touches all its chunks. */
static void shuffled(struct bench *b)
{
	unsigned window = 16384;
	uint64_t seed = 1;

	upwards(b);
	for (unsigned from = 0; from < b->n; from += window)
		for (unsigned n = MIN(window, b->n - from); n > 1; n--) {
			unsigned k;
			uint32_t t;

			seed = seed * 6364136223846793005u + 1442695040888963407u;
			k = (unsigned)((seed >> 33) % n);
			t = b->pfn[from + k];
			b->pfn[from + k] = b->pfn[from + n - 1];
			b->pfn[from + n - 1] = t;
		}
}

/* Half of the pages, none with a neighbour: no chunk is ever held whole. */
static void every_other(struct bench *b)
{
	b->n = (unsigned)(b->size / 8192);
	for (unsigned i = 0; i < b->n; i++)
		b->pfn[i] = 2 * i;
}

/* ---- cases ---------------------------------------------------------------------------------------------------------- */

struct way {
	const char *name;
	void (*order)(struct bench *b); /* NULL: not page by page */
	uint64_t block;                 /* of drop(), or of madvise() */
	bool plain, crumbs;
};

static const struct way ways[] = {
	{ "madvise, ranges of 2 MiB", NULL, MIB(2), true, false },
	{ "given, upwards", upwards, 0, false, false },
	{ "given, downwards", downwards, 0, false, false },
	{ "given, shuffled within 64 MiB", shuffled, 0, false, false },
	{ "dropped, blocks of 4 MiB", NULL, MIB(4), false, false },
	{ "dropped, blocks of 2 MiB", NULL, MIB(2), false, false },
	{ "madvise, page by page", NULL, 4096, true, false },
	{ "process_madvise, every other page, 1024 a call", NULL, 0, true, true },
	{ "given, every other page", every_other, 0, false, true },
};

static uint64_t run(struct bench *b, const struct way *w, bool huge)
{
	uint64_t begin, took;

	if (w->order)
		w->order(b);
	/* Unmapped in between: no page tables stay from the last way. */
	madvise(b->ram, b->size, MADV_DONTNEED);
	madvise(b->ram, b->size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	if (madvise(b->ram, b->size, MADV_POPULATE_WRITE)) {
		perror("bench-discard: cannot make memory present");
		exit(1);
	}
	begin = now_ns();
	if (w->order)
		by_give(b);
	else if (w->crumbs)
		by_process_madvise(b);
	else if (w->plain)
		by_madvise(b, w->block);
	else
		by_drop(b, w->block);
	took = now_ns() - begin;
	b->d.reclaim.ops->forget(&b->d.reclaim);
	return took;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double rate(const struct bench *b, const struct way *w, uint64_t ns)
{
	return (double)(w->crumbs ? b->size / 2 : b->size) / (double)ns * 1e9 / (1 << 30);
}

static void table(struct bench *b, bool huge, unsigned rounds)
{
	static uint64_t took[ARRAY_SIZE(ways)][MAX_ROUNDS];
	double base = 0;

	for (unsigned r = 0; r < rounds; r++)
		for (unsigned w = 0; w < ARRAY_SIZE(ways); w++)
			took[w][r] = run(b, &ways[w], huge);
	printf("\n%s, %lu MiB, medians of %u:\n\n| way | GiB/s | of madvise in 2 MiB |\n|---|---|---|\n",
	       huge ? "Huge pages" : "Pages of 4 KiB", b->size >> 20, rounds);
	for (unsigned w = 0; w < ARRAY_SIZE(ways); w++) {
		double gibs;

		qsort(took[w], rounds, sizeof(took[w][0]), by_size);
		gibs = rate(b, &ways[w], took[w][rounds / 2]);
		if (w == 0)
			base = gibs;
		printf("| %s | %.1f | %.2f |\n", ways[w].name, gibs, gibs / base);
	}
}

int main(int argc, char *argv[])
{
	struct bench b = { .size = MIB(argc > 1 ? strtoul(argv[1], NULL, 10) : 1024) };
	unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 7;
	struct discard_backing back = { .kind = BACKING_PRIVATE };
	struct gmem mem = { 0 };
	struct tvmm_error err = { 0 };
	unsigned ranges = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : DISCARD_BATCH;
	uint8_t *map;

	if (!b.size || b.size % MIB(4) || rounds < 1 || rounds > MAX_ROUNDS || ranges < 1 || ranges > DISCARD_BATCH) {
		fprintf(stderr, "usage: bench-discard [MIB [ROUNDS [RANGES]]], MIB a multiple of 4\n");
		return 2;
	}
	map = mmap(NULL, b.size + MIB(2), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	b.pfn = malloc(b.size / 4096 * sizeof(*b.pfn));
	if (map == MAP_FAILED || !b.pfn) {
		perror("bench-discard");
		return 1;
	}
	b.ram = (uint8_t *)align_up((uintptr_t)map, MIB(2));
	if (gmem_add(&mem, GPA(0), b.size, b.ram, &err) || discard_init(&b.d, &mem, &back, host_linux(), &err)) {
		fprintf(stderr, "bench-discard: %s\n", err.message);
		return 1;
	}
	b.d.batch_max = ranges;
	printf("Giving memory back, in buffers of %d pages or as blocks, up to %u ranges a call; one thread, no guest.\n", BUFFER, ranges);
	table(&b, false, rounds);
	table(&b, true, rounds);
	discard_fini(&b.d);
	free(b.pfn);
	return 0;
}
