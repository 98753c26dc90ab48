/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * t_idle.c - a guest that halts costs nothing: over five seconds no wake-up of the I/O thread, no exit, next to no CPU time.
 */
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "harness.h"

static long cpu_ms(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

/* The time is what is tested: nothing may happen in it. */
static void idle(const char *mode, const char *cpus)
{
	struct tvmm_stats a, b;
	struct guest g;
	char append[64];
	long ms;

	snprintf(append, sizeof(append), "mode=%s", mode);
	if (ok(guest_new(&g, "payload_end", "append", append, "cpus", cpus, NULL) && guest_start(&g) && guest_says(&g, "READY\n"),
	       "%s: runs on %s CPUs", mode, cpus)) {
		nanosleep(&(struct timespec){ .tv_nsec = 500000000 }, NULL); /* its last words are written out */
		a = guest_stats(&g);
		ms = cpu_ms();
		sleep(5);
		ms = cpu_ms() - ms;
		b = guest_stats(&g);
		ok(b.io_wakeups == a.io_wakeups, "%s: the I/O thread slept (%llu wake-ups)", mode,
		   (unsigned long long)(b.io_wakeups - a.io_wakeups));
		ok(b.exits_user == a.exits_user, "%s: no exit (%llu)", mode, (unsigned long long)(b.exits_user - a.exits_user));
		ok(ms < 50, "%s: %ld ms of CPU time in 5 s", mode, ms);
	}
	guest_free(&g);
}

int main(void)
{
	tests_begin();
	idle("halt", "1");
	idle("halt", "4");
	return tests_end();
}
