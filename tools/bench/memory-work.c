/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * memory-work.c - "memory-work touch MIB | crumbs MIB | loop": the work of the guests of bench/memory and bench/idle, linked
 * statically.
 *
 * touch writes one word in each page of so much fresh memory, says how long that took, and gives it back to its kernel.
 * crumbs does so with pages of 4 KiB, keeps each 64th of them, as a program does that stays, and waits for its end.
 * loop repeats a fixed piece of work (some milliseconds of arithmetic over 64 KiB) and keeps the time of each; SIGUSR1 makes it print how many
 * there were since the last time, their median, 99th percentile and sum in microseconds.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MAX_SAMPLES 200000
#define PIECE       2000000

static volatile sig_atomic_t asked;

static long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int touch(size_t mib)
{
	long begin = now_us(), took;
	char *p = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return 1;
	for (size_t off = 0; off < mib << 20; off += 4096)
		*(volatile char *)(p + off) = 1;
	took = now_us() - begin;
	munmap(p, mib << 20);
	printf("touched us=%ld\n", took);
	return 0;
}

static int crumbs(size_t mib)
{
	long begin = now_us(), took;
	char *p = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || madvise(p, mib << 20, MADV_NOHUGEPAGE))
		return 1;
	for (size_t off = 0; off < mib << 20; off += 4096)
		*(volatile char *)(p + off) = 1;
	took = now_us() - begin;
	for (size_t off = 0; off < mib << 20; off += 64 * 4096)
		madvise(p + off + 4096, 63 * 4096, MADV_DONTNEED);
	printf("crumbled us=%ld\n", took);
	for (;;)
		pause();
}

static void on_signal(int sig)
{
	asked = sig;
}

static int by_size(const void *a, const void *b)
{
	const unsigned *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void tell(unsigned *took, unsigned n)
{
	unsigned long sum = 0;

	qsort(took, n, sizeof(*took), by_size);
	for (unsigned i = 0; i < n; i++)
		sum += took[i];
	if (n)
		printf("felt n=%u p50=%u p99=%u max=%u sum=%lu\n", n, took[n / 2], took[(unsigned long)n * 99 / 100], took[n - 1], sum);
	else
		printf("felt n=0 p50=0 p99=0 max=0 sum=0\n");
	fflush(stdout);
}

static _Noreturn void loop(void)
{
	static unsigned took[MAX_SAMPLES], data[16384];
	struct sigaction act = { .sa_handler = on_signal };
	unsigned n = 0, x = 1;

	sigaction(SIGUSR1, &act, NULL);
	printf("looping\n");
	fflush(stdout);
	for (;;) {
		long begin = now_us();

		for (unsigned i = 0; i < PIECE; i++) {
			x = x * 1664525 + 1013904223;
			data[x >> 18] += x;
		}
		if (n < MAX_SAMPLES)
			took[n++] = (unsigned)(now_us() - begin);
		if (asked) {
			asked = 0;
			tell(took, n);
			n = 0;
		}
	}
}

int main(int argc, char *argv[])
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3 && !strcmp(argv[1], "touch"))
		return touch(strtoul(argv[2], NULL, 10));
	if (argc == 3 && !strcmp(argv[1], "crumbs"))
		return crumbs(strtoul(argv[2], NULL, 10));
	if (argc == 2 && !strcmp(argv[1], "loop"))
		loop();
	return 2;
}
