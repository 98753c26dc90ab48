/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pv-work.c - "pv-work SECONDS JOB...": the work of the guests of bench/profile smp, linked statically.
 *
 * Each JOB lasts SECONDS, with all CPUs of the guest at work; it makes vCPUs wait for one another, and so shows what KVM's
 * calls in place of that are worth.  After "begin NAME" and "end NAME n=N us=N beside=N" it waits for a line of input, so that
 * whoever counts from outside has all the time that takes.
 *
 *	flush  a page is made read-only and written to again while the other CPUs are in the same address space
 *	ipi    membarrier(): an interrupt to all other CPUs, and back
 *	some   the same, but one CPU is idle and gets none; for three CPUs or more
 *	lock   all CPUs want one spinlock of the kernel's
 *	swap   SWAP_MIB of memory are written; after "swap out", and a line of input, each of its pages is read once, however long that
 *	       takes, and beside it another thread on the same CPU counts (beside=, thousands)
 */
#include <fcntl.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SWAP_MIB 12u
#define PAGE     4096u

static unsigned cpus;
static uint8_t *page;
static atomic_bool over;
static _Atomic uint64_t beside;
static _Atomic unsigned running; /* threads beside the first */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void await_line(void)
{
	char line[80];

	if (!fgets(line, sizeof(line), stdin))
		fail("stdin");
}

static void pin(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		fail("sched_setaffinity");
}

/* ---- one step of a job --------------------------------------------------------------------------------------------- */

static void flush_step(int fd)
{
	if (mprotect(page, PAGE, PROT_READ) || mprotect(page, PAGE, PROT_READ | PROT_WRITE))
		fail("mprotect");
	page[0]++;
}

static void ipi_step(int fd)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0))
		fail("membarrier");
}

static void lock_step(int fd)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 1 };

	if (fcntl(fd, F_SETLK, &lock))
		fail("fcntl");
	lock.l_type = F_UNLCK;
	fcntl(fd, F_SETLK, &lock);
}

struct job {
	const char *name;
	void (*step)(int fd);
	bool all; /* all threads do it; else the first, and the others only run */
	unsigned idle; /* CPUs without a thread */
};

static const struct job jobs[] = {
	{ "flush", flush_step, .all = false },
	{ "ipi", ipi_step, .all = false },
	{ "some", ipi_step, .all = false, .idle = 1 },
	{ "lock", lock_step, .all = true },
};

/* ---- jobs ---------------------------------------------------------------------------------------------------------- */

struct other {
	const struct job *job; /* NULL: it counts */
	unsigned cpu;
	int fd;
	uint64_t n;
	pthread_t thread;
};

static void *other_main(void *arg)
{
	struct other *o = arg;

	pin(o->cpu);
	atomic_fetch_add(&running, 1);
	while (!atomic_load_explicit(&over, memory_order_relaxed)) {
		if (o->job && o->job->all) {
			o->job->step(o->fd);
			o->n++;
			continue;
		}
		for (volatile unsigned i = 0; i < 1000; i++)
			;
		atomic_fetch_add_explicit(&beside, 1, memory_order_relaxed);
	}
	return NULL;
}

static void begin(const char *name)
{
	atomic_store(&beside, 0);
	atomic_store(&running, 0);
	atomic_store(&over, false);
	printf("begin %s\n", name);
	await_line();
}

static void end(const char *name, uint64_t n, uint64_t ns)
{
	printf("end %s n=%lu us=%lu beside=%lu\n", name, n, ns / 1000, (uint64_t)beside);
	await_line();
}

static void start(struct other *o)
{
	if (pthread_create(&o->thread, NULL, other_main, o))
		fail("pthread_create");
}

static void do_job(const struct job *j, unsigned seconds)
{
	unsigned threads = cpus - j->idle;
	struct other *other = calloc(cpus, sizeof(*other));
	uint64_t began, until, n = 0;
	int fd = (int)syscall(SYS_memfd_create, "lock", 0);

	if (!other || fd < 0)
		fail(j->name);
	begin(j->name);
	for (unsigned i = 1; i < threads; i++) {
		other[i] = (struct other){ .job = j, .cpu = i, .fd = fd };
		start(&other[i]);
	}
	while (running + 1 < threads) /* or the first steps would have nobody to wait for */
		usleep(10000);
	began = now_ns();
	until = began + seconds * 1000000000ull;
	for (; now_ns() < until; n++)
		j->step(fd);
	until = now_ns();
	atomic_store(&over, true);
	for (unsigned i = 1; i < threads; i++) {
		pthread_join(other[i].thread, NULL);
		n += other[i].n;
	}
	end(j->name, n, until - began);
	close(fd);
	free(other);
}

static void do_swap(void)
{
	uint64_t pages = ((uint64_t)SWAP_MIB << 20) / PAGE, seed = 1, began, sum = 0;
	uint8_t *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct other counter = { .cpu = 0 };

	if (memory == MAP_FAILED)
		fail("mmap");
	for (uint64_t i = 0; i < pages * PAGE / 8; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		((uint64_t *)(void *)memory)[i] = seed;
	}
	printf("swap out\n");
	await_line();
	begin("swap");
	start(&counter);
	began = now_ns();
	for (uint64_t i = 0; i < pages; i++) /* far from one another: nothing that read-ahead brings is of use soon */
		sum += memory[i * 4099 % pages * PAGE];
	began = now_ns() - began;
	atomic_store(&over, true);
	pthread_join(counter.thread, NULL);
	end("swap", pages + !sum, began);
	munmap(memory, pages * PAGE);
}

int main(int argc, char *argv[])
{
	unsigned seconds = argc > 2 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!seconds)
		return 2;
	cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED || syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0))
		fail("start");
	pin(0);
	for (int k = 2; k < argc; k++) {
		for (unsigned i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++)
			if (!strcmp(argv[k], jobs[i].name))
				do_job(&jobs[i], seconds);
		if (!strcmp(argv[k], "swap"))
			do_swap();
	}
	return 0;
}
