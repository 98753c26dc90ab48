/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * t_balloon.c - the host half of payload_balloon.c: asks for statistics and trims, looks at what memory the host got
 * back, and counts what giving it costs.
 */
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include "harness.h"

#define MIB (UINT64_C(1) << 20)
#define SIZE (96 * MIB)

static struct tvmm_memory memory(struct guest *g)
{
	struct tvmm_memory m = { .size = sizeof(m) };

	tvmm_vm_memory(g->vm, &m);
	return m;
}

static bool told_first(const struct tvmm_memory *m) { return m->guest_free == 11 * MIB && m->guest_total == 99 * MIB; }
static bool told_second(const struct tvmm_memory *m) { return m->guest_free == 22 * MIB && m->guest_available == 22 * MIB + 4096; }
static bool given(const struct tvmm_memory *m) { return m->actual == SIZE - 36 * MIB && m->discarded >= 36 * MIB; }
static bool back(const struct tvmm_memory *m) { return m->actual == SIZE; }
/* 32 MiB in blocks, and the whole pages of a stretch of 2 MiB that begins in the middle of one. */
static bool reported(const struct tvmm_memory *m) { return m->reported == 34 * MIB - 4096; }
static bool trimmed(const struct tvmm_memory *m) { return m->trimmed == 32 * MIB; }

static struct tvmm_memory await(struct guest *g, bool (*good)(const struct tvmm_memory *))
{
	long long end = now_ms() + LIMIT_MS / 4;
	struct tvmm_memory m;

	while (m = memory(g), !good(&m) && now_ms() < end)
		usleep(10000);
	return m;
}

/* The guest stands at LINE: what must be true of the machine by then or soon, and on it goes. */
static void step(struct guest *g, const char *line, bool (*good)(const struct tvmm_memory *), const char *what)
{
	struct tvmm_memory m;

	if (!ok(guest_says(g, line), "the guest came to %s", line))
		return;
	m = await(g, good);
	if (!ok(good(&m), "%s: %s", line, what))
		note("actual %lu MiB, discarded %lu, reported %lu, trimmed %lu, guest free %lu KiB", m.actual / MIB, m.discarded / MIB,
		     m.reported / 1024, m.trimmed / 1024, m.guest_free / 1024);
	ok(!m.discard_failed, "%s: the host took all of it", line);
	guest_type(g, "\n", 1);
}

static void whole(void)
{
	struct tvmm_memory before, after;
	struct guest g;

	if (ok(guest_new(&g, "payload_balloon", "memory", "96", NULL) && guest_start(&g), "started")) {
		step(&g, "STATS", told_first, "statistics are as the guest told them");
		await(&g, told_second); /* asking for them is what makes the guest tell */
		step(&g, "STATS AGAIN", told_second, "asked again, it told fresh ones");
		guest_says(&g, "INFLATED");
		before = memory(&g);
		step(&g, "INFLATED", given, "the host has the pages, and knows how many");
		note("resident: %lu MiB of %lu that the guest has", before.resident / MIB, before.actual / MIB);
		step(&g, "DEFLATED", back, "the guest has its pages back");
		before = memory(&g);
		step(&g, "REPORTED", reported, "the reported memory is counted");
		after = memory(&g);
		note("resident: %lu MiB, huge: %lu", after.resident / MIB, after.huge / MIB);
		ok(guest_says(&g, "TRIM") && tvmm_vm_trim_memory(g.vm, &g.err) == 0, "a trim is asked for");
		guest_type(&g, "\n", 1);
		step(&g, "HINTED", trimmed, "the hinted memory is counted");
		guest_finish(&g, LIMIT_MS);
		guest_ended(&g, TVMM_POWEROFF, "balloon");
		guest_results(&g);
	}
	guest_free(&g);
}

/* Exits for memory-mapped registers of a guest that gives MIB that way. */
static uint64_t exits(const char *kind, unsigned mib)
{
	char append[64];
	struct guest g;
	uint64_t n = 0;

	snprintf(append, sizeof(append), "count=%s mib=%u", kind, mib);
	if (ok(guest_new(&g, "payload_balloon", "memory", "320", "append", append, NULL) && guest_start(&g), "%s: started", append)) {
		ok(guest_says(&g, "COUNT"), "%s: it is ready", append);
		tvmm_vm_trim_memory(g.vm, NULL);
		guest_type(&g, "\n", 1);
		guest_finish(&g, LIMIT_MS);
		guest_ended(&g, TVMM_POWEROFF, append);
		guest_results(&g);
		n = g.stats.exits_mmio;
	}
	guest_free(&g);
	return n;
}

/* What a GiB costs in exits, from 256 MiB; everything else in the two guests is the same. */
static void costs(const char *kind, uint64_t most)
{
	uint64_t none = exits(kind, 0), all = exits(kind, 256), per_gib = (all - none) * 4;

	ok(none && all > none && per_gib <= most, "%s: %lu exits per GiB (at most %lu)", kind, per_gib, most);
}

int main(void)
{
	tests_begin();
	whole();
	costs("inflate", 1024); /* one per list of 256 pages */
	costs("report", 16);    /* one per 32 blocks of 2 MiB */
	costs("hint", 256);     /* one per block of 4 MiB */
	return tests_end();
}
