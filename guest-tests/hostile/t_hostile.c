/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * t_hostile.c - a hostile guest on each device in turn.  It must end as it wishes, by power-off; its host must have
 * lost nothing: no descriptor, no thread, no memory; and the log must be short however often it broke the rules.
 *
 * Arguments: which (rng, blk, tx, rx, balloon, net, control, vsock, ports, all), and the seed of what is random in it;
 * without one, the time.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "harness.h"
#include "peers.h"
#include "watch.h"

#define SECTORS 8192u
#define TYPED 60000 /* waits in the console's input pipe, which holds 64 KiB */

enum { RNG, BLK, TX, RX, BALLOON, NET_TX, NET_RX, CONTROL, VSOCK }; /* hostile.h's targets */

static char victim[] = "/tmp/t_hostile_XXXXXX", other[] = "/tmp/t_hostile_XXXXXX", read_only[] = "/tmp/t_hostile_XXXXXX";
static unsigned long seed;
static enum peers_net net = PEERS_STREAM;

static bool make_image(char *path)
{
	int fd = mkstemp(path);
	uint32_t w[128];
	bool good = fd >= 0;

	for (unsigned s = 0; good && s < SECTORS; s++) {
		for (unsigned i = 0; i < 128; i++)
			w[i] = s * 2654435761u + i;
		good = write(fd, w, sizeof(w)) == sizeof(w);
	}
	if (fd >= 0)
		close(fd);
	return good;
}

/* Words of a disk that are not as they were made. */
static unsigned wrong_words(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned n = 0;
	uint32_t w[128];

	for (unsigned s = 0; s < SECTORS; s++) {
		if (read(fd, w, sizeof(w)) != sizeof(w))
			n += 128;
		for (unsigned i = 0; i < 128; i++)
			n += w[i] != s * 2654435761u + i;
	}
	close(fd);
	return n;
}

static bool begin(struct guest *g, struct peers *p, unsigned target, const char *list, const char *consoles)
{
	char append[128], ro[64];

	snprintf(append, sizeof(append), "%s target=%u list=%s seed=%lu", consoles, target, list, seed);
	snprintf(ro, sizeof(ro), "%s,ro", read_only);
	/* Without its peers, a machine is refused. */
	peers_open(p, net, true);
	return guest_new(g, "payload_hostile", "append", append, "disk", victim, "disk", other, "disk", ro, "net", p->net, "port",
			 "a,file=/dev/null", "port", "b,file=/dev/null", "vsock", p->vsock, "cpus", "2", "on-panic", "stay", NULL) &&
	       guest_start(g);
}

static void finish(struct guest *g, struct peers *p)
{
	guest_free(g);
	peers_close(p);
}

/* What must hold at the end of any of these guests; LATCHED is how often one saw NEEDS_RESET. */
static void check_end(struct guest *g, const char *name, long long began)
{
	const char *said = strstr(g->text, "# latched ");
	unsigned long latched = said ? strtoul(said + 10, NULL, 10) : ~0ul;
	long long seconds = (now_ms() - began) / 1000;

	guest_ended(g, TVMM_POWEROFF, name);
	ok(g->stats.guest_faults >= latched, "%s: each broken queue was counted (%llu faults, %lu seen)", name,
	   (unsigned long long)g->stats.guest_faults, latched);
	/* A burst of ten, one a second, and the few lines of a machine that starts. */
	ok(g->log_lines <= 20 + seconds, "%s: the log is short (%u lines in %lld s)", name, g->log_lines, seconds);
	guest_results(g);
}

static void run(const char *name, unsigned target, const char *list, const char *consoles)
{
	struct watch before = watch_now(), after;
	long long began = now_ms();
	static char typed[TYPED];
	struct peers p;
	struct guest g;

	memset(typed, 'x', sizeof(typed));
	if (!ok(begin(&g, &p, target, list, consoles) && guest_type(&g, typed, sizeof(typed)), "%s: started", name)) {
		finish(&g, &p);
		return;
	}
	guest_finish(&g, 300000);
	note("%s: %lld ms, %llu exits to user space", name, now_ms() - began, (unsigned long long)g.stats.exits_user);
	check_end(&g, name, began);
	finish(&g, &p);
	after = watch_now();
	ok(after.fds == before.fds && after.threads == before.threads, "%s: no descriptor and no thread is left (%u, %u)", name,
	   after.fds, after.threads);
	ok(after.rss_kib <= before.rss_kib + 1024, "%s: no memory is left (%lu KiB, then %lu KiB)", name, before.rss_kib, after.rss_kib);
	ok(wrong_words(other) == 0 && wrong_words(read_only) == 0, "%s: the disks that were not attacked are as they were", name);
}

/* A broken queue costs nothing while it waits for its reset, and does not hold up the end. */
static void run_broken(unsigned target)
{
	unsigned long long wakeups;
	struct peers p;
	struct guest g;
	long ticks;

	if (!ok(begin(&g, &p, target, "broken", "console=hvc0 console=ttyS0") && guest_says(&g, "BROKEN\n"), "broken %u: started", target)) {
		finish(&g, &p);
		return;
	}
	wakeups = guest_stats(&g).io_wakeups;
	ticks = watch_thread_ticks("/io");
	usleep(1000000); /* the time that is measured, not waited for */
	ticks = watch_thread_ticks("/io") - ticks;
	wakeups = guest_stats(&g).io_wakeups - wakeups;
	/* The guest's last words may still be on their way to the pipe. */
	ok(ticks <= 2 && wakeups <= 4, "broken %u: the I/O thread rests (%ld ticks, %llu wake-ups in 1 s)", target, ticks, wakeups);
	guest_type(&g, "x", 1);
	guest_finish(&g, LIMIT_MS);
	guest_ended(&g, TVMM_POWEROFF, "broken");
	guest_results(&g);
	finish(&g, &p);
}

/* The end comes from outside, in the middle of it all. */
static void run_stop(void)
{
	struct peers p;
	struct guest g;
	long long began;

	if (!ok(begin(&g, &p, 0, "rest", "console=hvc0 console=ttyS0") && guest_says(&g, "ok - head 0xffff\n"), "stop: an attack is under way")) {
		finish(&g, &p);
		return;
	}
	began = now_ms();
	tvmm_vm_request(g.vm, TVMM_REQ_STOP, NULL);
	guest_finish(&g, LIMIT_MS);
	began = now_ms() - began;
	guest_ended(&g, TVMM_STOPPED, "stop");
	ok(began < 2000, "stop: within two seconds (%lld ms)", began);
	finish(&g, &p);
}

/* All that is done to one queue. */
static void attack(const char *name, unsigned target)
{
	char label[64];

	snprintf(label, sizeof(label), "%s, descriptors", name);
	run(label, target, "edits", "console=ttyS0 console=hvc0");
	run(name, target, "rest", "console=ttyS0 console=hvc0");
	if (target < RX) /* one of each kind; and the console's input is wanted for other things */
		run_broken(target);
}

/* On a stream, and what only a tap has: commands, and headers that mean something. */
static void attack_net(void)
{
	attack("net tx", NET_TX);
	attack("net rx", NET_RX);
	net = PEERS_TAP;
	if (getuid() == 0)
		run("net, on a tap", NET_TX, "own", "console=ttyS0 console=hvc0");
	else
		skip("net, on a tap", "no right to make one here");
	net = PEERS_STREAM;
}

static bool make_images(void)
{
	return make_image(victim) && make_image(other) && make_image(read_only);
}

int main(int argc, char **argv)
{
	static const struct { const char *name; unsigned target; } one[] = {
		{ "rng", RNG }, { "blk", BLK }, { "tx", TX }, { "rx", RX }, { "balloon", BALLOON }, { "control", CONTROL }, { "vsock", VSOCK },
	};
	const char *what = argc > 1 ? argv[1] : "all";

	tests_begin();
	seed = argc > 2 ? strtoul(argv[2], NULL, 10) : (unsigned long)time(NULL);
	note("seed %lu", seed);
	if (!ok(make_images(), "images made"))
		goto out;
	run_stop(); /* and what a first machine leaves in the allocator is there already */
	for (unsigned i = 0; i < sizeof(one) / sizeof(one[0]); i++)
		if (!strcmp(what, one[i].name) || !strcmp(what, "all"))
			attack(one[i].name, one[i].target);
	if (!strcmp(what, "net") || !strcmp(what, "all"))
		attack_net();
	if (!strcmp(what, "ports") || !strcmp(what, "all"))
		run("ports", BLK, "ports", "console=ttyS0 console=hvc0");
out:
	unlink(victim);
	unlink(other);
	unlink(read_only);
	return tests_end();
}
