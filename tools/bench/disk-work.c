/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * disk-work.c - "disk-work DEVICE SECONDS [PAUSE_MS [RANGE_MIB]] [JOB]...": the work of the guests of bench/disk, linked statically.
 *
 * Does each JOB (default: all) for so many seconds on DEVICE, past the page cache where that can be, with Linux's native
 * asynchronous I/O: one request a call, as fio has it by default, and whatever is done taken in one call.  "begin NAME" and
 * "end NAME ios=N us=N mean=N p50=N p99=N" (nanoseconds of latency) come PAUSE_MS after and twice that before anything else is done, so
 * that whoever counts from outside has time to.  A job "fsync" is a write and an fdatasync, the latency of both together.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_DEPTH   32
#define MAX_BLOCK   (256u << 10)
#define MAX_SAMPLES 4000000

struct job {
	const char *name;
	bool random, fsync;
	unsigned reads; /* percent */
	unsigned block, depth;
};

static const struct job jobs[] = {
	{ "randread-1", .random = true, .reads = 100, .block = 4096, .depth = 1 },
	{ "randread-32", .random = true, .reads = 100, .block = 4096, .depth = 32 },
	{ "randwrite-32", .random = true, .reads = 0, .block = 4096, .depth = 32 },
	{ "mixed-8", .random = true, .reads = 70, .block = 4096, .depth = 8 },
	{ "read-seq", .reads = 100, .block = 256u << 10, .depth = 4 },
	{ "write-seq", .reads = 0, .block = 256u << 10, .depth = 4 },
	{ "fsync", .random = true, .fsync = true, .reads = 0, .block = 4096, .depth = 1 },
};

static int fd;
static uint64_t size;
static uint8_t *memory;
static uint32_t *took;
static size_t n_took;
static uint64_t seed = 1;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint32_t number(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((seed >> 33) % below);
}

static void sample(uint64_t ns)
{
	if (n_took < MAX_SAMPLES)
		took[n_took++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static uint64_t next_offset(const struct job *j)
{
	static uint64_t at;

	at = j->random ? (uint64_t)number((uint32_t)(size / j->block)) * j->block : at + j->block;
	if (at + j->block > size)
		at = 0;
	return at;
}

static _Noreturn void fail(const char *what)
{
	printf("failed %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t sync_job(const struct job *j, uint64_t end)
{
	uint64_t n = 0, began;

	for (; (began = now_ns()) < end; n++) {
		if (pwrite(fd, memory, j->block, (off_t)next_offset(j)) != (ssize_t)j->block || fdatasync(fd))
			fail("write and fdatasync");
		sample(now_ns() - began);
	}
	return n;
}

static uint64_t aio_job(const struct job *j, uint64_t end)
{
	static struct iocb cb[MAX_DEPTH];
	static uint64_t began[MAX_DEPTH];
	unsigned idle[MAX_DEPTH], n_idle = 0, under_way = 0;
	struct io_event ev[MAX_DEPTH];
	aio_context_t ctx = 0;
	uint64_t n = 0, now;

	if (syscall(SYS_io_setup, MAX_DEPTH, &ctx))
		fail("io_setup");
	while (n_idle < j->depth) {
		idle[n_idle] = n_idle;
		n_idle++;
	}
	do {
		now = now_ns();
		while (n_idle && now < end) {
			unsigned i = idle[--n_idle];
			struct iocb *p = &cb[i];

			*p = (struct iocb){ .aio_data = i, .aio_fildes = (uint32_t)fd, .aio_nbytes = j->block,
					    .aio_lio_opcode = number(100) < j->reads ? IOCB_CMD_PREAD : IOCB_CMD_PWRITE,
					    .aio_buf = (uintptr_t)(memory + (size_t)i * MAX_BLOCK), .aio_offset = (int64_t)next_offset(j) };
			began[i] = now_ns();
			if (syscall(SYS_io_submit, ctx, 1, &p) != 1)
				fail("io_submit");
			under_way++;
		}
		long got = under_way ? syscall(SYS_io_getevents, ctx, 1, MAX_DEPTH, ev, NULL) : 0;

		now = now_ns();
		for (long k = 0; k < got; k++) {
			unsigned i = (unsigned)ev[k].data;

			if (ev[k].res != (int64_t)j->block)
				fail("transfer");
			sample(now - began[i]);
			idle[n_idle++] = i;
			under_way--;
			n++;
		}
	} while (under_way || now < end);
	syscall(SYS_io_destroy, ctx);
	return n;
}

static int by_size(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void run(const struct job *j, unsigned seconds, unsigned pause_ms)
{
	struct timespec pause = { pause_ms / 1000, pause_ms % 1000 * 1000000L };
	uint64_t begin, ns, n, sum = 0;

	n_took = 0;
	printf("begin %s\n", j->name);
	nanosleep(&pause, NULL);
	begin = now_ns();
	n = (j->fsync ? sync_job : aio_job)(j, begin + seconds * 1000000000ull);
	ns = now_ns() - begin;
	qsort(took, n_took, sizeof(*took), by_size);
	for (size_t i = 0; i < n_took; i++)
		sum += took[i];
	if (!n)
		fail("nothing was done");
	printf("end %s ios=%lu us=%lu mean=%lu p50=%u p99=%u\n", j->name, n, ns / 1000, sum / n_took, took[n_took / 2], took[n_took * 99 / 100]);
	nanosleep(&pause, NULL);
	nanosleep(&pause, NULL);
}

static bool wanted(const char *name, char *argv[], int n)
{
	bool yes = !n;

	for (int i = 0; i < n; i++)
		yes |= !strcmp(argv[i], name);
	return yes;
}

int main(int argc, char *argv[])
{
	unsigned seconds = argc > 2 ? (unsigned)atoi(argv[2]) : 0, pause_ms = argc > 3 ? (unsigned)atoi(argv[3]) : 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!seconds)
		return 2;
	fd = open(argv[1], O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0 && errno == EINVAL) /* a file system without */
		fd = open(argv[1], O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fail(argv[1]);
	size = (uint64_t)lseek(fd, 0, SEEK_END);
	if (argc > 4 && atoi(argv[4]) && (uint64_t)atoi(argv[4]) << 20 < size)
		size = (uint64_t)atoi(argv[4]) << 20;
	memory = aligned_alloc(4096, (size_t)MAX_DEPTH * MAX_BLOCK);
	took = malloc(MAX_SAMPLES * sizeof(*took));
	if (!memory || !took)
		fail("memory");
	memset(memory, 0x5a, (size_t)MAX_DEPTH * MAX_BLOCK);
	for (unsigned i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++)
		if (wanted(jobs[i].name, argv + 5, argc > 5 ? argc - 5 : 0))
			run(&jobs[i], seconds, pause_ms);
	return 0;
}
