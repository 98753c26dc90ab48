/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_memctl.c - what a caller is refused and why, what is told of RAM on this very host, pages that wait and are
 * discarded by the timer, decisions that come by themselves with reclaim=auto, and silence in every other mode.
 */
#include "memctl.h"

#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include "bits.h"
#include "test.h"

#define RAM MIB(64)

struct fixture {
	struct gmem mem;
	uint8_t *map, *ram;
	struct evloop loop;
	struct log log;
	struct tvmm_config cfg;
	struct memctl c;
	_Atomic unsigned lines, pageouts, news; /* decisions; those to page out; of these: at INFO */
	char decision[512];
};

static void note(void *arg, int level, const char *line)
{
	struct fixture *f = arg;

	if (strstr(line, "inputs")) {
		snprintf(f->decision, sizeof(f->decision), "%s", line);
		f->lines++;
		f->pageouts += !!strstr(line, "page out;");
		f->news += strstr(line, "page out;") && level <= TVMM_LOG_INFO;
	}
}

static pthread_t reader;    /* the thread that last read a file of the host's */
static int meminfo = -1;    /* its figures, where a test has others for them */
static const char *figures;

static int spy_open(const struct host *h, const char *path, int flags, mode_t mode)
{
	int fd = host_linux()->open(host_linux(), path, flags, mode);

	if (!strcmp(path, "/proc/meminfo"))
		meminfo = fd;
	return fd;
}

static ssize_t spy_preadv(const struct host *h, int fd, const struct iovec *iov, int n, off_t off)
{
	reader = pthread_self();
	if (fd != meminfo || !figures)
		return host_linux()->preadv(host_linux(), fd, iov, n, off);
	if (off)
		return 0;
	memcpy(iov->iov_base, figures, strlen(figures));
	return (ssize_t)strlen(figures);
}

static struct host spy; /* this host, but for that */

static void start(struct fixture *f, enum config_reclaim mode)
{
	spy = *host_linux();
	spy.preadv = spy_preadv;
	spy.open = spy_open;
	memset(f, 0, sizeof(*f));
	f->map = mmap(NULL, RAM + MIB(2), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	f->ram = (uint8_t *)align_up((uintptr_t)f->map, MIB(2));
	madvise(f->ram, RAM, MADV_DONTDUMP); /* a mapping of its own in smaps, as guest RAM is */
	mprotect(f->ram - 4096 * (f->ram > f->map), 4096 * (f->ram > f->map), PROT_NONE);
	ck_assert_int_eq(gmem_add(&f->mem, GPA(0), RAM, f->ram, NULL), 0);
	ck_assert_int_eq(evloop_init(&f->loop, &spy, NULL), 0);
	log_init(&f->log, host_linux(), note, f, TVMM_LOG_DEBUG);
	f->cfg = (struct tvmm_config){ .memory_min = MIB(16), .reclaim = mode, .weight = 100 };
	ck_assert_int_eq(memctl_init(&f->c, &f->cfg, &f->mem, NULL, &f->loop, &f->log, NULL), 0);
	ck_assert_int_eq(evloop_start(&f->loop, "io", NULL), 0);
	memctl_start(&f->c);
}

static void stop(struct fixture *f)
{
	evloop_stop(&f->loop);
	memctl_fini(&f->c);
	memctl_fini(&f->c);
	evloop_fini(&f->loop);
	munmap(f->map, RAM + MIB(2));
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

START_TEST(refusals)
{
	struct fixture f;
	struct tvmm_error err;

	start(&f, CONFIG_RECLAIM_OFF);
	ck_assert(!memctl_wants_balloon(&f.c));
	ck_assert_int_eq(memctl_set(&f.c, MIB(32), &err), -EOPNOTSUPP);
	ck_assert_str_eq(err.message, "this machine runs with reclaim=off");
	ck_assert_int_eq(memctl_trim(&f.c, &err), -EOPNOTSUPP);
	stop(&f);

	start(&f, CONFIG_RECLAIM_REPORT);
	ck_assert_int_eq(memctl_set(&f.c, MIB(15), &err), -EINVAL);
	ck_assert_str_eq(err.message, "15 MiB is below the minimum of this machine, 16 MiB");
	ck_assert_int_eq(memctl_set(&f.c, MIB(65), &err), -EINVAL);
	ck_assert_str_eq(err.message, "65 MiB is above the size of this machine, 64 MiB");
	ck_assert_int_eq(memctl_trim(&f.c, &err), -ENODEV);
	ck_assert_str_eq(err.message, "the guest has no balloon driver running");
	stop(&f);
}
END_TEST

START_TEST(targets_and_figures)
{
	struct fixture f;
	struct tvmm_memory m;

	start(&f, CONFIG_RECLAIM_REPORT);
	memset(f.ram, 1, MIB(8));
	memctl_read(&f.c, &m);
	ck_assert_uint_eq(m.configured, RAM);
	ck_assert_uint_eq(m.target, RAM);
	ck_assert_uint_eq(m.actual, RAM);
	ck_assert_uint_eq(m.min, MIB(16));
	ck_assert_uint_eq(m.resident, MIB(8));
	ck_assert_msg(pthread_equal(reader, pthread_self()), "the I/O loop spent its time on our figures");
	ck_assert_int_eq(m.reclaim, 1);
	ck_assert(!m.driver && !m.fixed);
	ck_assert_int_eq(memctl_set(&f.c, MIB(32) + 5, NULL), 0);
	memctl_read(&f.c, &m);
	ck_assert_uint_eq(m.target, MIB(32));
	ck_assert(m.fixed);
	ck_assert_int_eq(memctl_set(&f.c, TVMM_MEMORY_AUTO, NULL), 0);
	memctl_read(&f.c, &m);
	ck_assert_uint_eq(m.target, RAM);
	ck_assert(!m.fixed);
	stop(&f);
}
END_TEST

/* Pages given and forgotten about are discarded by the loop, and then the loop sleeps. */
START_TEST(waiting_pages)
{
	struct fixture f;
	struct tvmm_memory m;
	uint64_t wakeups;

	start(&f, CONFIG_RECLAIM_REPORT);
	memset(f.ram, 1, MIB(8));
	ck_assert(f.c.discard.reclaim.ops->give(&f.c.discard.reclaim, (const uint32_t[]){ 3, 4, 700 }, 3, false));
	for (unsigned i = 0; i < 100; i++) {
		pause_ms(50);
		memctl_read(&f.c, &m);
		if (m.discarded)
			break;
	}
	ck_assert_uint_eq(m.discarded, 3 * 4096);
	ck_assert_uint_eq(m.resident, MIB(8) - 3 * 4096);
	ck_assert_uint_eq(m.actual, RAM - 3 * 4096);
	wakeups = f.loop.wakeups;
	pause_ms(300);
	ck_assert_uint_eq(f.loop.wakeups, wakeups);
	stop(&f);
}
END_TEST

START_TEST(decides_alone)
{
	struct fixture f;
	struct tvmm_memory m = { 0 };
	struct oc_policy p;
	struct oc_sample s;
	unsigned lines;

	start(&f, CONFIG_RECLAIM_AUTO);
	for (unsigned i = 0; i < 200 && !f.lines; i++)
		pause_ms(50);
	memctl_read(&f.c, &m);
	ck_assert_uint_ge(f.lines, 1);
	ck_assert_str_ne(m.pressure, "");
	ck_assert_str_eq(m.decision, oc_reason_text(OC_NO_DRIVER));
	/* The line holds all that the decision was taken from. */
	ck_assert_ptr_nonnull(strstr(f.decision, "inputs "));
	ck_assert(oc_parse(strstr(f.decision, "inputs ") + 7, &p, &s));
	ck_assert_uint_eq(p.max, RAM);
	ck_assert_uint_eq(s.total, m.host_total);
	/* The user's word ends it; the last ring finds nothing to do. */
	ck_assert_int_eq(memctl_set(&f.c, MIB(32), NULL), 0);
	lines = f.lines;
	pause_ms(2500);
	ck_assert_uint_eq(f.lines, lines);
	stop(&f);
}
END_TEST

/* A host that stays at its end is told of once, however often memory is paged out. */
START_TEST(red_end)
{
	struct fixture f;
	struct tvmm_memory m;

	figures = "MemTotal: 100000 kB\nMemAvailable: 0 kB\nSwapFree: 1000000 kB\n";
	start(&f, CONFIG_RECLAIM_AUTO);
	memset(f.ram, 1, RAM);
	for (unsigned i = 0; i < 200 && f.pageouts < 3; i++)
		pause_ms(50);
	memctl_read(&f.c, &m);
	ck_assert_uint_ge(f.pageouts, 3);
	ck_assert_uint_eq(f.news, 1);
	ck_assert_uint_ge(m.paged_out, MIB(6));
	ck_assert_str_eq(m.pressure, "red");
	stop(&f);
	figures = NULL;
}
END_TEST

START_TEST(silent_otherwise)
{
	static const enum config_reclaim mode[] = { CONFIG_RECLAIM_OFF, CONFIG_RECLAIM_REPORT };

	for (unsigned i = 0; i < ARRAY_SIZE(mode); i++) {
		struct fixture f;
		uint64_t wakeups;

		start(&f, mode[i]);
		wakeups = f.loop.wakeups;
		pause_ms(1500);
		ck_assert_uint_eq(f.loop.wakeups, wakeups);
		ck_assert_uint_eq(f.lines, 0);
		stop(&f);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { refusals, targets_and_figures, waiting_pages, decides_alone, red_end, silent_otherwise,
				       NULL };

	return test_main("memctl", tests);
}
