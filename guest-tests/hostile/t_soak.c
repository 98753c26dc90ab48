/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * t_soak.c - a guest that attacks its devices at random while it copies data: not a byte wrong, and this process, which
 * the machine runs in, does not grow.  Figures are told once a minute.
 *
 * Arguments: how many seconds (or TVMM_SOAK_SECONDS in the environment; else 20), and the seed (else the time).
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>
#include "harness.h"
#include "peers.h"
#include "watch.h"

#define SECTORS  8192u  /* half of them are copied */
#define RSS_KIB  512    /* by how much the process may grow once the guest has touched all of its memory */

static uint32_t word(unsigned sector, unsigned i, uint32_t salt)
{
	return (sector * 2654435761u + i) ^ salt;
}

static bool make_image(char *path)
{
	int fd = mkstemp(path);
	uint32_t w[128] = { 0 };
	bool good = fd >= 0;

	for (unsigned s = 0; good && s < SECTORS; s++) {
		for (unsigned i = 0; i < 128; i++)
			w[i] = word(s, i, 0);
		good = write(fd, w, sizeof(w)) == sizeof(w);
	}
	if (fd >= 0)
		close(fd);
	return good;
}

static unsigned wrong_words(const char *path, unsigned long rounds)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned n = fd < 0;
	uint32_t w[128];

	for (unsigned s = 0; fd >= 0 && s < SECTORS; s++) {
		bool copy = s >= SECTORS / 2;

		if (read(fd, w, sizeof(w)) != sizeof(w))
			n += 128;
		for (unsigned i = 0; i < 128; i++)
			n += w[i] != word(copy ? s - SECTORS / 2 : s, i, copy ? (uint32_t)rounds * 0x9e3779b9u : 0);
	}
	if (fd >= 0)
		close(fd);
	return n;
}

static unsigned long long tsc_per_second(void)
{
	long long from = now_ms(), t;
	unsigned long long tsc = __rdtsc();

	do
		t = now_ms();
	while (t < from + 200);
	return (__rdtsc() - tsc) * 1000 / (unsigned long long)(t - from);
}

/* Keeps the console's input full, so that its receive queue has work whenever it is whole. */
static void feed(struct guest *g)
{
	static char x[256];
	ssize_t n;

	memset(x, 'x', sizeof(x));
	do
		n = write(g->in, x, sizeof(x));
	while (n == (ssize_t)sizeof(x));
}

static void watch_until_end(struct guest *g, int seconds)
{
	struct watch first = watch_now(), most = first, w;
	struct tvmm_result r = { .size = sizeof(r) };
	long long began = now_ms(), told = began;

	while (tvmm_vm_wait(g->vm, 500, &r) && now_ms() - began < (seconds + 120) * 1000ll) {
		feed(g);
		w = watch_now();
		most.fds = w.fds > most.fds ? w.fds : most.fds;
		most.threads = w.threads > most.threads ? w.threads : most.threads;
		/* The console's text is this test's own memory. */
		w.rss_kib -= g->len / 1024;
		most.rss_kib = w.rss_kib > most.rss_kib ? w.rss_kib : most.rss_kib;
		if (now_ms() - told >= 60000) {
			told += 60000;
			note("%lld s: %lu KiB, %u descriptors, %u threads, %u log lines", (told - began) / 1000, w.rss_kib, w.fds, w.threads,
			     g->log_lines);
		}
	}
	/* A vsock connection to where nobody listens is a descriptor for a moment. */
	ok(most.fds <= first.fds + 1, "descriptors: %u at the start, %u at most", first.fds, most.fds);
	/* The kernel's own, behind the disks' io_uring: up to four of each kind. */
	ok(most.threads <= first.threads + 8, "threads: %u at the start, %u at most", first.threads, most.threads);
	ok(most.rss_kib <= first.rss_kib + RSS_KIB, "memory: %lu KiB at the start, %lu KiB at most", first.rss_kib, most.rss_kib);
}

static void soak(const char *victim, const char *copied, int seconds, unsigned long seed)
{
	char append[160];
	unsigned long attacks = 0, rounds = 0;
	const char *said;
	struct peers p;
	struct guest g;

	snprintf(append, sizeof(append), "console=ttyS0 console=hvc0 ticks=%llu seed=%lu", tsc_per_second() * (unsigned)seconds, seed);
	/* Nobody listens at vsock: each connection would be a descriptor. */
	peers_open(&p, PEERS_STREAM, false);
	if (!guest_new(&g, "payload_soak", "append", append, "disk", victim, "disk", copied, "net", p.net, "port", "a,file=/dev/null",
		       "port", "b,file=/dev/null", "vsock", p.vsock, "cpus", "3", "on-panic", "stay", NULL) ||
	    fcntl(g.in, F_SETFL, O_NONBLOCK) || !guest_start(&g) || !ok(guest_says(&g, "WARM\n"), "started, its memory touched")) {
		guest_free(&g);
		peers_close(&p);
		return;
	}
	feed(&g);
	watch_until_end(&g, seconds);
	guest_finish(&g, LIMIT_MS);
	guest_ended(&g, TVMM_POWEROFF, "soak");
	said = strstr(g.text, "# attacks ");
	if (!ok(said && sscanf(said, "# attacks %lu rounds %lu", &attacks, &rounds) == 2, "it says what it did"))
		note("%s", g.text);
	note("%lu attacks, %lu rounds of %u MiB copied, %llu faults, %llu exits to user space, %u log lines", attacks, rounds,
	     SECTORS / 4096, (unsigned long long)g.stats.guest_faults, (unsigned long long)g.stats.exits_user, g.log_lines);
	ok(attacks > (unsigned)seconds / 10 && rounds > 0, "it attacked and it copied"); /* also where others need the CPUs */
	ok(g.log_lines <= 20u + 2 * (unsigned)seconds, "the log is bounded: %u lines", g.log_lines);
	ok(wrong_words(copied, rounds) == 0, "the image holds the last copy, and what it was made from, to the word");
	guest_results(&g);
	guest_free(&g);
	peers_close(&p);
}

int main(int argc, char **argv)
{
	char victim[] = "/tmp/t_soak_XXXXXX", copied[] = "/tmp/t_soak_XXXXXX";
	const char *env = getenv("TVMM_SOAK_SECONDS");
	int seconds = argc > 1 ? atoi(argv[1]) : env ? atoi(env) : 20;
	unsigned long seed = argc > 2 ? strtoul(argv[2], NULL, 10) : (unsigned long)time(NULL);

	tests_begin();
	note("%d s, seed %lu", seconds, seed);
	if (ok(make_image(victim) && make_image(copied), "images made"))
		soak(victim, copied, seconds > 0 ? seconds : 20, seed);
	unlink(victim);
	unlink(copied);
	return tests_end();
}
