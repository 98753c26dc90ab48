/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * t_life.c - a machine's life from outside: stop in every state and how long it takes, order of calls, two machines in
 * one process, and that nothing is left behind.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "harness.h"

#define STOP_MS 1000 /* generous: the machine may be busy.  What it took is in the line. */

static unsigned mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned n = 0;

	for (int c; f && (c = getc(f)) != EOF;)
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

static void stop(const char *mode, const char *cpus)
{
	struct tvmm_result r = { .size = sizeof(r) };
	struct guest g;
	char append[64];
	long long t;

	snprintf(append, sizeof(append), "mode=%s", mode);
	if (ok(guest_new(&g, "payload_end", "append", append, "cpus", cpus, NULL) && guest_start(&g) && guest_says(&g, "READY\n"),
	       "%s: runs on %s CPUs", mode, cpus)) {
		ok(tvmm_vm_wait(g.vm, 0, &r) == -ETIMEDOUT && r.reason == TVMM_RUNNING && !readable(tvmm_vm_fd(g.vm)),
		   "%s: looks as running", mode);
		t = now_ms();
		ok(tvmm_vm_request(g.vm, TVMM_REQ_STOP, &g.err) == 0, "%s: stop asked for", mode);
		bool ended = tvmm_vm_wait(g.vm, LIMIT_MS, &r) == 0;
		t = now_ms() - t;
		ok(ended && r.reason == TVMM_STOPPED && t < STOP_MS, "%s: stopped after %lld ms", mode, t);
		ok(readable(tvmm_vm_fd(g.vm)), "%s: its descriptor says so", mode);
		ok(tvmm_vm_request(g.vm, TVMM_REQ_STOP, &g.err) == 0 && tvmm_vm_wait(g.vm, 0, &r) == 0 && r.reason == TVMM_STOPPED,
		   "%s: stopping it again is harmless", mode);
	}
	guest_free(&g);
}

/* Whoever reads the console has gone to sleep: the guest waits for its transmitter, and stop does not wait for long. */
static void stalled_reader(void)
{
	struct tvmm_result r = { .size = sizeof(r) };
	struct guest g;
	long long t;

	if (ok(guest_new(&g, "payload_end", "append", "mode=flood", NULL) && guest_start(&g) && guest_says(&g, "READY\n"),
	       "stalled reader: runs")) {
		guest_hold(&g, true);
		/* Until nothing moves any more: pipe and ring are full. */
		for (uint64_t before = 0, now = 1; now != before;) {
			before = guest_stats(&g).io_wakeups;
			nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL);
			now = guest_stats(&g).io_wakeups;
		}
		t = now_ms();
		tvmm_vm_request(g.vm, TVMM_REQ_STOP, NULL);
		bool ended = tvmm_vm_wait(g.vm, LIMIT_MS, &r) == 0;
		t = now_ms() - t;
		ok(ended && r.reason == TVMM_STOPPED && t < 3000 + STOP_MS, "stalled reader: stopped after %lld ms", t);
	}
	guest_free(&g);
}

static void order(void)
{
	struct tvmm_result r = { .size = sizeof(r) };
	struct guest g;

	if (ok(guest_new(&g, "payload_end", "append", "mode=poweroff", NULL), "order: created")) {
		ok(tvmm_vm_request(g.vm, 99, &g.err) == -EINVAL && g.err.message[0], "an unknown request is refused");
		ok(tvmm_vm_console_resize(g.vm, 65536, 1) == -EINVAL && tvmm_vm_console_resize(g.vm, 1, 65536) == -EINVAL &&
		   tvmm_vm_console_resize(g.vm, 65535, 0) == 0, "a size that the guest cannot be told is refused");
		ok(tvmm_vm_disk_refresh(g.vm, 0, &g.err) == -EINVAL && g.err.code == TVMM_E_CONFIG, "a disk that is none: %s",
		   g.err.message);
		ok(guest_start(&g), "started");
		ok(tvmm_vm_start(g.vm, &g.err) == -EBUSY && g.err.code == TVMM_E_BUSY, "a second start is refused: %s", g.err.message);
		ok(tvmm_vm_wait(g.vm, LIMIT_MS, &r) == 0 && r.reason == TVMM_POWEROFF, "ends");
		ok(tvmm_vm_wait(g.vm, -1, &r) == 0 && r.reason == TVMM_POWEROFF, "can be asked again");
		ok(tvmm_vm_console_resize(g.vm, 80, 25) == 0, "a size after the end is harmless");
		ok(tvmm_vm_start(g.vm, &g.err) == -EBUSY, "cannot be started again");
	}
	guest_free(&g);
	if (ok(guest_new(&g, "payload_end", "append", "mode=halt", NULL), "created, never started")) {
		ok(tvmm_vm_request(g.vm, TVMM_REQ_STOP, &g.err) == 0, "stopped before its start");
		ok(tvmm_vm_wait(g.vm, 1000, &r) == 0 && r.reason == TVMM_STOPPED, "it has ended");
		ok(readable(tvmm_vm_fd(g.vm)), "and its descriptor says so");
		ok(tvmm_vm_start(g.vm, &g.err) == -EBUSY, "then it cannot be started");
	}
	guest_free(&g);
	tvmm_vm_free(NULL);
	tvmm_config_free(NULL);
}

/* A disk grows, becomes what no disk is, and shrinks, before and under a guest. */
static void disk_refresh(void)
{
	char path[] = "/tmp/t_life_XXXXXX";
	int fd = mkstemp(path);
	struct guest g;

	if (!ok(fd >= 0 && ftruncate(fd, 1 << 20) == 0, "disk image"))
		return;
	if (ok(guest_new(&g, "payload_end", "append", "mode=halt", "disk", path, NULL), "refresh: created")) {
		ok(ftruncate(fd, 2 << 20) == 0 && tvmm_vm_disk_refresh(g.vm, 0, &g.err) == 0, "refreshed before the start");
		ok(guest_start(&g) && guest_says(&g, "READY\n"), "refresh: runs");
		ok(ftruncate(fd, 4 << 20) == 0 && tvmm_vm_disk_refresh(g.vm, 0, &g.err) == 0, "refreshed, it has grown");
		ok(ftruncate(fd, 1000) == 0 && tvmm_vm_disk_refresh(g.vm, 0, &g.err) < 0 && !strcmp(g.err.object, "disk 0"),
		   "a size that no disk has: %s", g.err.message);
		ok(ftruncate(fd, 512) == 0 && tvmm_vm_disk_refresh(g.vm, 0, NULL) == 0, "refreshed, it has shrunk");
		tvmm_vm_request(g.vm, TVMM_REQ_STOP, NULL);
		guest_finish(&g, LIMIT_MS);
		guest_ended(&g, TVMM_STOPPED, "refresh");
	}
	guest_free(&g);
	close(fd);
	unlink(path);
}

/* Everything that may be called from any thread, again and again. */
static void *pester(void *arg)
{
	struct guest *g = arg;
	struct tvmm_result r = { .size = sizeof(r) };
	char buf[512];

	while (tvmm_vm_wait(g->vm, 0, &r) == -ETIMEDOUT) {
		tvmm_vm_request(g->vm, TVMM_REQ_POWER_BUTTON, NULL);
		tvmm_vm_console_resize(g->vm, 80, 25);
		guest_stats(g);
		tvmm_vm_describe(g->vm, buf, sizeof(buf));
	}
	/* The end changes nothing. */
	for (unsigned i = 0; i < 100; i++) {
		tvmm_vm_request(g->vm, TVMM_REQ_POWER_BUTTON, NULL);
		guest_stats(g);
		tvmm_vm_describe(g->vm, buf, sizeof(buf));
	}
	return NULL;
}

static void pestered(const char *mode, bool stop_it, int reason)
{
	struct tvmm_result r = { .size = sizeof(r) };
	struct guest g;
	pthread_t t[2];
	char append[64];

	snprintf(append, sizeof(append), "mode=%s", mode);
	if (ok(guest_new(&g, "payload_end", "append", append, "on-reboot", "restart", NULL) && guest_start(&g), "pestered %s: runs",
	       mode)) {
		for (unsigned i = 0; i < 2; i++)
			pthread_create(&t[i], NULL, pester, &g);
		/* A guest that reboots does so some dozens of times. */
		if (stop_it && guest_says(&g, "READY\n") && nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL) == 0)
			tvmm_vm_request(g.vm, TVMM_REQ_STOP, NULL);
		ok(tvmm_vm_wait(g.vm, LIMIT_MS, &r) == 0 && r.reason == reason, "pestered %s: ends by %s", mode, reason_name(reason));
		for (unsigned i = 0; i < 2; i++)
			pthread_join(t[i], NULL);
		guest_finish(&g, 0);
		note("pestered %s: booted %u times", mode, count_text(g.text, "READY"));
	}
	guest_free(&g);
}

static void two(void)
{
	struct guest a, b;
	bool up = guest_new(&a, "payload_end", "append", "mode=halt", NULL) && guest_start(&a);

	up = guest_new(&b, "payload_end", "append", "mode=spin3", NULL) && guest_start(&b) && up;
	ok(up && guest_says(&a, "READY\n") && guest_says(&b, "READY\n"), "two machines run in one process");
	guest_run("a third beside them", "payload_rng", "", "1");
	if (up) {
		tvmm_vm_request(a.vm, TVMM_REQ_STOP, NULL);
		ok(guest_finish(&a, LIMIT_MS) && a.result.reason == TVMM_STOPPED, "the first is stopped");
		struct tvmm_result r = { .size = sizeof(r) };
		ok(tvmm_vm_wait(b.vm, 50, &r) == -ETIMEDOUT, "the second runs on");
		ok(guest_stats(&b).exits_user > 0, "and counts for itself");
	}
	guest_free(&a);
	guest_free(&b);
}

/* One life: to its end, to a stop, to nothing at all. */
static void one_life(unsigned kind)
{
	struct guest g;

	if (guest_new(&g, "payload_end", "append", kind == 0 ? "mode=poweroff" : "mode=halt", "cpus", "2", NULL) && kind < 3 &&
	    guest_start(&g)) {
		if (kind == 0)
			guest_finish(&g, LIMIT_MS);
		else if (kind == 1 && guest_says(&g, "READY\n"))
			tvmm_vm_request(g.vm, TVMM_REQ_STOP, NULL);
		/* kind 2: freed while it runs */
	}
	guest_free(&g);
}

static void failed_life(void)
{
	struct guest g;

	ok(!guest_new(&g, "no_such_payload", NULL) && g.err.code == TVMM_E_KERNEL && g.err.sys_errno == ENOENT,
	   "a kernel that is not there: %s: %s", g.err.message, g.err.object);
	guest_free(&g);
	ok(!guest_new(&g, "payload_end", "disk", "/nonexistent/disk.img", NULL) && g.err.code == TVMM_E_IO,
	   "a disk that is not there: %s: %s", g.err.message, g.err.object);
	guest_free(&g);
}

static void leaks(void)
{
	unsigned fds, maps, threads, fds2, maps2, threads2;

	for (unsigned kind = 0; kind < 4; kind++) /* what libc keeps for later use */
		one_life(kind);
	failed_life();
	fds = count_entries("/proc/self/fd");
	threads = count_entries("/proc/self/task");
	maps = mappings();
	for (unsigned i = 0; i < 20; i++)
		one_life(i % 4);
	failed_life();
	fds2 = count_entries("/proc/self/fd");
	threads2 = count_entries("/proc/self/task");
	maps2 = mappings();
	ok(fds2 == fds, "no descriptor is left behind (%u, %u)", fds, fds2);
	ok(threads2 == threads, "no thread (%u, %u)", threads, threads2);
	/* The allocator may keep an arena or a stack per thread; twenty lives would leave twenty of anything. */
	ok(maps2 <= maps + 4, "no mapping (%u, %u)", maps, maps2);
}

int main(void)
{
	tests_begin();
	order();
	disk_refresh();
	stop("halt", "1");
	stop("dead", "1");
	stop("spin", "1");
	stop("spin3", "1");
	stop("spin3", "4");
	stop("flood", "1");
	stalled_reader();
	pestered("poweroff", false, TVMM_POWEROFF);
	pestered("spin3", true, TVMM_STOPPED);
	pestered("reboot", true, TVMM_STOPPED);
	two();
	leaks();
	return tests_end();
}
