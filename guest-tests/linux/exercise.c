/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * exercise.c - inside a guest: use memory, and see that it keeps what was written.
 *
 *	exercise check WORKERS MIB SEED     until a line comes in on standard input, WORKERS processes that together
 *	                                    hold up to MIB write, check, free and write again, at random
 *	exercise touch MIB                  write MIB of fresh memory, and free it
 *	exercise work MIB PASSES            write MIB, then go over it PASSES times: check every word and write new ones
 *
 * Every 8 bytes of a page hold a number made of the page's identity, so that a page that was lost (zeroes), swapped for
 * another or written by somebody else shows.  Findings are lines KEY=VALUE; the exit status is 1 if a byte was wrong.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, WORDS = PAGE / 8, BLOCKS = 512, MOST_PAGES = 1024 };

struct block {
	uint64_t *mem; /* mapped: anonymous, or a file in the page cache */
	uint32_t pages;
	uint64_t tag;
};

/* Shared between the workers and who started them. */
struct totals {
	uint64_t checked, written, wrong, refused;
	volatile bool stop;
};

static uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 27;
	x *= UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static void fill(const struct block *b)
{
	for (uint32_t p = 0; p < b->pages; p++) {
		uint64_t v = mix(b->tag + p), *w = b->mem + (size_t)p * WORDS;

		for (int i = 0; i < WORDS; i++, v += UINT64_C(0x9e3779b97f4a7c15))
			w[i] = v;
	}
}

static void check(const struct block *b, struct totals *t)
{
	for (uint32_t p = 0; p < b->pages; p++) {
		uint64_t v = mix(b->tag + p), *w = b->mem + (size_t)p * WORDS;

		for (int i = 0; i < WORDS; i++, v += UINT64_C(0x9e3779b97f4a7c15)) {
			if (w[i] == v)
				continue;
			if (__atomic_fetch_add(&t->wrong, 1, __ATOMIC_RELAXED) < 5)
				printf("WRONG page %u of %u, word %d: %#lx, not %#lx\n", p, b->pages, i, w[i], v);
			break;
		}
	}
	__atomic_fetch_add(&t->checked, b->pages, __ATOMIC_RELAXED);
}

static bool get(struct block *b, uint32_t pages, unsigned kind)
{
	size_t len = (size_t)pages * PAGE;
	int fd = -1;

	if (kind % 4 == 0) {
		fd = memfd_create("exercise", 0);
		if (fd < 0 || ftruncate(fd, (off_t)len)) {
			if (fd >= 0)
				close(fd);
			return false;
		}
	}
	b->mem = mmap(NULL, len, PROT_READ | PROT_WRITE, fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	if (b->mem == MAP_FAILED)
		return false;
	if (kind % 4 == 1)
		madvise(b->mem, len, MADV_NOHUGEPAGE);
	b->pages = pages;
	return true;
}

static void put(struct block *b)
{
	munmap(b->mem, (size_t)b->pages * PAGE);
	*b = (struct block){ 0 };
}

/* ---- check -------------------------------------------------------------------------------------------------------- */

static void worker(struct totals *t, uint64_t most, unsigned seed, uint64_t id)
{
	static struct block block[BLOCKS];
	uint64_t held = 0, serial = id << 48;

	while (!t->stop) {
		unsigned r = (unsigned)rand_r(&seed), kind = (unsigned)rand_r(&seed);
		struct block *b = &block[r % BLOCKS];

		if (b->pages) {
			check(b, t);
			if (kind % 8 == 7) { /* new contents in the same place */
				b->tag = mix(++serial);
				fill(b);
				continue;
			}
			held -= b->pages;
			put(b);
		} else {
			uint32_t pages = 1u << kind / 64 % 11; /* as many small ones as large ones */

			if (held + pages > most)
				continue;
			if (!get(b, pages, kind / 8)) {
				__atomic_fetch_add(&t->refused, 1, __ATOMIC_RELAXED);
				continue;
			}
			b->tag = mix(++serial);
			fill(b);
			held += pages;
			__atomic_fetch_add(&t->written, pages, __ATOMIC_RELAXED);
		}
	}
	for (unsigned i = 0; i < BLOCKS; i++)
		check(&block[i], t);
}

static int run_check(unsigned workers, uint64_t mib, unsigned seed)
{
	struct totals *t = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char line[64];
	int status, killed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned i = 0; i < workers; i++)
		if (!fork()) {
			worker(t, mib * 256 / workers, seed + i, i + 1);
			_exit(0);
		}
	printf("exercise runs\n");
	if (read(STDIN_FILENO, line, sizeof(line)) < 0)
		printf("no line: %s\n", strerror(errno));
	t->stop = true;
	for (unsigned i = 0; i < workers; i++)
		if (wait(&status) > 0 && status)
			killed++;
	printf("checked=%lu\nwritten=%lu\nrefused=%lu\nwrong=%lu\nkilled=%d\n", t->checked / 256, t->written / 256, t->refused,
	       t->wrong, killed);
	return t->wrong || killed;
}

/* ---- touch and work ----------------------------------------------------------------------------------------------- */

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int work(uint64_t mib, unsigned passes)
{
	struct totals t = { 0 };
	struct block b = { .tag = 1 };
	double start = seconds();

	if (!get(&b, (uint32_t)(mib * 256), 2)) {
		printf("no memory for %lu MiB\n", mib);
		return 1;
	}
	fill(&b);
	for (unsigned i = 0; i < passes; i++) {
		check(&b, &t);
		b.tag++;
		fill(&b);
	}
	check(&b, &t);
	put(&b);
	printf("wrong=%lu\n%s after %.2f s\n", t.wrong, passes ? "worked" : "freed", seconds() - start);
	return t.wrong != 0;
}

int main(int argc, char *argv[])
{
	if (argc == 5 && !strcmp(argv[1], "check"))
		return run_check((unsigned)atoi(argv[2]), strtoull(argv[3], NULL, 10), (unsigned)atoi(argv[4]));
	if (argc == 3 && !strcmp(argv[1], "touch"))
		return work(strtoull(argv[2], NULL, 10), 0);
	if (argc == 4 && !strcmp(argv[1], "work"))
		return work(strtoull(argv[2], NULL, 10), (unsigned)atoi(argv[3]));
	fprintf(stderr, "usage: exercise check WORKERS MIB SEED | touch MIB | work MIB PASSES\n");
	return 2;
}
