/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * diskverify.c - "diskverify DISK SECONDS SEED": writes, reads, discards, zeroes and flushes a virtio disk (vda) at random from
 * several threads, takes its driver away and gives it back in the midst of that, and knows what every sector must hold.
 *
 * Runs inside a guest (disk.cases), as root, linked statically.  Each block of 4 KiB belongs to one thread.  A sector holds
 * its number, its block's generation and a pattern that follows from both; generation 0 is zeroes, which is also what
 * discarded sectors of our raw images read as.  Where a request failed because the driver was gone, a sector may hold what
 * was there or what was to be.  Counts go to standard output as lines KEY=VALUE; "mismatches" are sectors that hold anything
 * else.  Requests that fail while nobody takes the driver away are counted as "errors".
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define BLOCK   4096u
#define SECTOR  512u
#define THREADS 6
#define RUN     32 /* blocks of a request, at most */

struct block { uint32_t now, maybe; }; /* generations; equal: certain */

static const char *disk;
static char path[64], driver[] = "/sys/bus/virtio/drivers/virtio_blk/";
static struct block *blocks;
static unsigned n_blocks;
static atomic_int fd = -1;
static atomic_bool stop, away; /* away: the driver is gone, or may be */
static atomic_uint users;      /* of fd */
static atomic_ulong writes, reads, discards, zeroes, flushes, mismatches, errors, failed;

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 33) * 0xff51afd7ed558ccdull;
	x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53ull;
	return x ^ x >> 33;
}

static uint32_t number(uint64_t *seed, uint32_t below)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((*seed >> 33) % below);
}

static void fill(uint64_t *p, uint64_t sector, uint32_t gen)
{
	uint64_t x = mix(sector << 32 | gen);

	for (unsigned i = 0; i < SECTOR / 8; i++)
		p[i] = gen ? (i == 0 ? sector : i == 1 ? gen : x + i * 0x9e3779b97f4a7c15ull) : 0;
}

static bool holds(const uint64_t *p, uint64_t sector, uint32_t gen)
{
	uint64_t want[SECTOR / 8];

	fill(want, sector, gen);
	return !memcmp(p, want, SECTOR);
}

static void check(const uint8_t *buf, unsigned first, unsigned n)
{
	for (unsigned s = 0; s < n * (BLOCK / SECTOR); s++) {
		const struct block *b = &blocks[first + s / (BLOCK / SECTOR)];
		uint64_t sector = (uint64_t)first * (BLOCK / SECTOR) + s;
		const uint64_t *p = (const uint64_t *)(const void *)(buf + (size_t)s * SECTOR);

		if (b->now == UINT32_MAX || holds(p, sector, b->now) || (b->maybe != b->now && holds(p, sector, b->maybe)))
			continue;
		if (atomic_fetch_add(&mismatches, 1) < 5)
			printf("mismatch: sector %lu holds %lx %lx, not generation %u or %u\n", sector, p[0], p[1], b->now, b->maybe);
	}
}

/* The device, or -1 while it is away; put it back with put_fd(). */
static int get_fd(void)
{
	atomic_fetch_add(&users, 1);
	if (!atomic_load(&away))
		return atomic_load(&fd);
	atomic_fetch_sub(&users, 1);
	return -1;
}

static void put_fd(void)
{
	atomic_fetch_sub(&users, 1);
}

enum kind { WRITE, READ, DISCARD, ZERO, FLUSH };

static bool request(int f, enum kind kind, uint8_t *buf, unsigned first, unsigned n)
{
	uint64_t range[2] = { (uint64_t)first * BLOCK, (uint64_t)n * BLOCK };
	ssize_t len = (ssize_t)range[1];

	switch (kind) {
	case WRITE:
		return pwrite(f, buf, (size_t)len, (off_t)range[0]) == len;
	case READ:
		return pread(f, buf, (size_t)len, (off_t)range[0]) == len;
	case DISCARD:
		return !ioctl(f, BLKDISCARD, range);
	case ZERO:
		return !ioctl(f, BLKZEROOUT, range);
	case FLUSH:
	default:
		return !fdatasync(f);
	}
}

static enum kind choose(uint64_t *seed)
{
	uint32_t r = number(seed, 100);

	return r < 45 ? WRITE : r < 85 ? READ : r < 92 ? DISCARD : r < 96 ? ZERO : FLUSH;
}

static void one(uint64_t *seed, uint8_t *buf, unsigned from, unsigned to)
{
	static atomic_ulong *const count[] = { &writes, &reads, &discards, &zeroes, &flushes };
	static atomic_uint generation;
	enum kind kind = choose(seed);
	unsigned n = 1 + number(seed, number(seed, 4) ? 4 : RUN), first = from + number(seed, to - from - n);
	bool changes = kind == WRITE || kind == DISCARD || kind == ZERO, good, known;
	uint32_t gen = kind == WRITE ? atomic_fetch_add(&generation, 1) + 1 : 0;
	int f = get_fd();

	if (f < 0) {
		usleep(1000);
		return;
	}
	for (unsigned s = 0; kind == WRITE && s < n * (BLOCK / SECTOR); s++)
		fill((uint64_t *)(void *)(buf + (size_t)s * SECTOR), (uint64_t)first * (BLOCK / SECTOR) + s, gen);
	/* What was uncertain before may still be there if this fails: written again until it is certain. */
	for (unsigned i = 0; changes && i < n; i++)
		if (blocks[first + i].now != blocks[first + i].maybe)
			kind = WRITE;
	if (changes && kind == WRITE && !gen)
		memset(buf, 0, (size_t)n * BLOCK);
	good = request(f, kind, buf, first, n);
	known = good || atomic_load(&away);
	put_fd();
	atomic_fetch_add(count[kind], 1);
	if (!good) {
		atomic_fetch_add(&failed, 1);
		if (!known && atomic_fetch_add(&errors, 1) < 5)
			printf("error: request %d at block %u: %s\n", kind, first, strerror(errno));
	}
	for (unsigned i = 0; changes && i < n; i++) {
		struct block *b = &blocks[first + i];

		if (good)
			b->now = b->maybe = gen;
		else if (b->now == b->maybe)
			b->maybe = gen;
		else
			b->now = b->maybe = UINT32_MAX; /* three things it may hold */
	}
	if (kind == READ && good)
		check(buf, first, n);
}

/* Blocks of which too much went wrong are written until they are as they should be. */
static void mend(uint8_t *buf, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		int f;

		if (blocks[i].now != UINT32_MAX)
			continue;
		f = get_fd();
		if (f < 0)
			return;
		memset(buf, 0, BLOCK);
		if (pwrite(f, buf, BLOCK, (off_t)i * BLOCK) == BLOCK)
			blocks[i].now = blocks[i].maybe = 0;
		put_fd();
	}
}

static void *worker(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg, from = n_blocks / THREADS * me, to = from + n_blocks / THREADS;
	uint8_t *buf = aligned_alloc(4096, RUN * BLOCK);
	uint64_t seed = mix(me + 1);
	bool was_away = false;

	while (!atomic_load(&stop)) {
		if (was_away && !atomic_load(&away))
			mend(buf, from, to);
		was_away = atomic_load(&away);
		one(&seed, buf, from, to);
	}
	mend(buf, from, to);
	free(buf);
	return NULL;
}

static bool tell(const char *file, const char *what)
{
	char name[128];
	int f;
	bool good;

	snprintf(name, sizeof(name), "%s%s", driver, file);
	f = open(name, O_WRONLY | O_CLOEXEC);
	good = f >= 0 && write(f, what, strlen(what)) == (ssize_t)strlen(what);
	if (f >= 0)
		close(f);
	return good;
}

/* Takes the driver away under the requests that are under way, and brings it back. */
static bool rebind(const char *device)
{
	int old = atomic_load(&fd), new = -1;

	atomic_store(&away, true);
	if (!tell("unbind", device))
		return false;
	while (atomic_load(&users))
		usleep(1000);
	close(old);
	if (!tell("bind", device))
		return false;
	for (unsigned i = 0; i < 10000 && new < 0; i++) {
		new = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
		if (new < 0)
			usleep(1000);
	}
	atomic_store(&fd, new);
	atomic_store(&away, new < 0);
	return new >= 0;
}

static void check_all(void)
{
	uint8_t *buf = aligned_alloc(4096, RUN * BLOCK);

	for (unsigned i = 0; i < n_blocks; i += RUN) {
		unsigned n = n_blocks - i < RUN ? n_blocks - i : RUN;

		if (request(atomic_load(&fd), READ, buf, i, n))
			check(buf, i, n);
		else
			atomic_fetch_add(&errors, 1);
	}
	free(buf);
}

int main(int argc, char *argv[])
{
	unsigned seconds = argc == 4 ? (unsigned)atoi(argv[2]) : 0, rebound = 0;
	uint64_t seed = argc == 4 ? strtoull(argv[3], NULL, 10) : 0;
	char device[128] = "", link[128];
	pthread_t thread[THREADS];
	time_t end = time(NULL) + seconds;
	bool good = true;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!seconds)
		return 2;
	disk = argv[1];
	snprintf(path, sizeof(path), "/dev/%s", disk);
	snprintf(link, sizeof(link), "/sys/block/%s/device", disk);
	if (readlink(link, device, sizeof(device) - 1) < 0)
		return 3;
	if (strrchr(device, '/'))
		memmove(device, strrchr(device, '/') + 1, strlen(strrchr(device, '/')));
	fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		return 4;
	n_blocks = (unsigned)(lseek(fd, 0, SEEK_END) / BLOCK);
	blocks = calloc(n_blocks, sizeof(*blocks)); /* the image is empty */
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, worker, (void *)i);
	while (good && time(NULL) < end) {
		usleep(50000 + number(&seed, 700000));
		good = rebind(device);
		rebound += good;
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	if (good)
		check_all();
	printf("writes=%lu\nreads=%lu\ndiscards=%lu\nzeroes=%lu\nflushes=%lu\n", writes, reads, discards, zeroes, flushes);
	printf("rebound=%u\nfailed_meanwhile=%lu\nerrors=%lu\nmismatches=%lu\n", rebound, failed, errors, mismatches);
	printf("verified=%s\n", good && !errors && !mismatches ? "yes" : "no");
	return 0;
}
