/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe.c - "bench-probe": what tvmm_probe() takes on this machine, fresh and from what it kept; best and median of 50.
 *
 * It needs /dev/kvm.  Prints a table, and what the last probe measured.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <tinyvmm.h>

enum { ROUNDS = 50 };

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int report(const char *what, unsigned flags, bool cached, struct tvmm_probe *p)
{
	double took[ROUNDS];
	struct tvmm_error err = { 0 };

	for (unsigned i = 0; i < ROUNDS; i++) {
		double begin = now_ms();

		p->size = sizeof(*p);
		if (tvmm_probe(p, flags, &err)) {
			fprintf(stderr, "bench-probe: %s: %s\n", err.object, err.message);
			return 1;
		}
		took[i] = now_ms() - begin;
		if (p->cached != cached) {
			fprintf(stderr, "bench-probe: the verdict was %s\n", cached ? "not kept" : "an old one");
			return 1;
		}
	}
	qsort(took, ROUNDS, sizeof(took[0]), by_size);
	printf("| %s | %.3f | %.3f | %.3f |\n", what, took[0], took[ROUNDS / 2], took[ROUNDS - 1]);
	return 0;
}

int main(void)
{
	struct tvmm_probe p;
	int bad;

	printf("The host probe on this machine, of %d.\n\n| verdict | best ms | median ms | worst ms |\n|---|---|---|---|\n", ROUNDS);
	bad = report("fresh", TVMM_PROBE_FRESH, false, &p);
	if (!bad)
		bad = report("kept", 0, true, &p);
	if (!bad)
		printf("\nexit to KVM %u ns, to the process %u ns, first touch of a page %u ns; backend %s, on %s\n", p.exit_ns,
		       p.exit_user_ns, p.fault_ns, p.backend_name, p.platform_name);
	return bad;
}
