/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * payload_balloon.c - the memory balloon (virtio 1.2, 5.5): what is given away comes back as zeroes, what is not given
 * stays as it is.  With count=inflate|report|hint nothing is checked: mib=N are given that way, for t_balloon.c to count
 * what it costs.  At each line of capitals it waits for the host half to type a byte.
 */
#include "balloon.h"

#define MIB (1ull << 20)
#define PAGE 4096ull

static struct balloon b;

static void wait_key(const char *line)
{
	say(line);
	for (uint64_t end = deadline_ms(20000); !(inb(COM1 + 5) & 1) && !expired(end);)
		for (uint64_t pause = rdtsc() + 500000; !expired(pause);)
			cpu_relax();
	inb(COM1);
}

/* ---- statistics --------------------------------------------------------------------------------------------------- */

struct stat { uint16_t tag; uint64_t val; } __attribute__((packed));

static bool post_stats(uint64_t free, uint64_t total)
{
	static struct stat s[4];

	s[0] = (struct stat){ 4, free };
	s[1] = (struct stat){ 0xabcd, 77 }; /* a tag that nobody knows */
	s[2] = (struct stat){ 5, total };
	s[3] = (struct stat){ 6, free + 4096 };
	if (vq_add(b.stats, &(struct vbuf){ s, sizeof(s), false }, 1) < 0)
		return false;
	vq_kick(b.stats);
	return true;
}

static void check_stats(void)
{
	uint32_t head, len;

	report(post_stats(11 * MIB, 99 * MIB) && !vq_get(b.stats, &head, &len), "the device keeps the statistics buffer");
	wait_key("STATS");
	report(vq_wait(b.stats, &head, &len, 20000) && len == 0, "it comes back when fresh ones are wanted");
	post_stats(22 * MIB, 99 * MIB);
	wait_key("STATS AGAIN");
}

/* ---- inflate and deflate ------------------------------------------------------------------------------------------ */

static uint64_t whole, down, crumbs, kept; /* 24 MiB upwards, 8 downwards, 8 of which every other page goes, 8 that stay */

static uint64_t wrong_neighbours(void)
{
	uint64_t n = 0;

	for (uint64_t a = crumbs + PAGE; a < crumbs + 8 * MIB; a += 256 * PAGE) /* a sample: each costs a switch of rings */
		n += mem_wrong(a, PAGE);
	return n + mem_wrong(kept, 8 * MIB);
}

static void check_inflate(void)
{
	bool good;

	whole = balloon_area.addr;
	down = whole + 24 * MIB;
	crumbs = down + 8 * MIB;
	kept = crumbs + 8 * MIB;
	mem_fill(whole, 48 * MIB);
	good = balloon_pages(&b, b.inflate, whole, 24 * MIB / PAGE, PAGE) &&
	       balloon_pages(&b, b.inflate, kept - 8 * MIB - PAGE, 8 * MIB / PAGE, -(int64_t)PAGE) &&
	       balloon_pages(&b, b.inflate, crumbs, 4 * MIB / PAGE, 2 * PAGE);
	report(good && !b.waits, "inflating: each list is back before the notification ends (%lu were not)", b.waits);
	mmio_w32(b.v.config + BC_ACTUAL, 36 * MIB / PAGE);
	report(mmio_r32(b.v.config + BC_ACTUAL) == 36 * MIB / PAGE, "the configuration space keeps what the driver says it gave");
	wait_key("INFLATED");
	report(!wrong_neighbours(), "what was not given is as it was (%lu words differ)", wrong_neighbours());
	good = balloon_pages(&b, b.deflate, whole, 32 * MIB / PAGE, PAGE) &&
	       balloon_pages(&b, b.deflate, crumbs, 4 * MIB / PAGE, 2 * PAGE);
	report(good && !b.waits, "deflating: each list is back before the notification ends (%lu were not)", b.waits);
	mmio_w32(b.v.config + BC_ACTUAL, 0);
	report(!mem_nonzero(whole, 32 * MIB), "whole stretches come back as zeroes");
	report(!mem_nonzero(crumbs, PAGE) && !mem_nonzero(crumbs + 1022 * 2 * PAGE, PAGE), "lone pages come back as zeroes");
	report(!wrong_neighbours(), "and their neighbours are as they were");
	wait_key("DEFLATED");
	/* Taken back at once: maybe discarded by then, but never in part. */
	mem_fill(whole, 48 * MIB);
	good = balloon_pages(&b, b.inflate, crumbs, 1024, 2 * PAGE) && balloon_pages(&b, b.deflate, crumbs, 1024, 2 * PAGE);
	report(good && !mem_torn(crumbs, 1024, 2 * PAGE), "pages taken back at once are whole or zero");
	mem_fill(crumbs, 8 * MIB);
	report(!mem_wrong(whole, 48 * MIB), "after that, all memory keeps what is written to it");
	good = balloon_pages(&b, b.deflate, kept, 256, PAGE);
	report(good && !mem_wrong(kept, MIB), "deflating what was never given changes nothing");
}

/* ---- reporting and hinting ---------------------------------------------------------------------------------------- */

static void check_report(void)
{
	uint64_t a = balloon_area.addr;
	bool good;

	mem_fill(a, 48 * MIB);
	good = balloon_blocks(&b, b.report, a + 4 * MIB, 32 * MIB, 2 * MIB, 16);
	report(good && !b.waits, "reported: back before the notification ends (%lu were not)", b.waits);
	report(!mem_nonzero(a + 4 * MIB, 32 * MIB), "reported memory reads as zeroes");
	report(!mem_wrong(a, 4 * MIB) && !mem_wrong(a + 36 * MIB, 12 * MIB), "its neighbours are as they were");
	/* Not whole pages: the ends stay. */
	mem_fill(a, 48 * MIB);
	good = balloon_blocks(&b, b.report, a + 104, 2 * MIB, 2 * MIB, 1);
	report(good && !mem_wrong(a, PAGE) && !mem_nonzero(a + PAGE, 2 * MIB - PAGE) && !mem_wrong(a + 2 * MIB, 2 * MIB),
	       "of an odd stretch the whole pages go, the ends stay");
	wait_key("REPORTED");
}

static uint32_t wait_for_command(uint32_t not)
{
	uint32_t id = not;

	for (uint64_t end = deadline_ms(20000); id == not && !expired(end);) {
		id = mmio_r32(b.v.config + BC_CMD_ID);
		for (uint64_t pause = rdtsc() + 500000; !expired(pause);)
			cpu_relax();
	}
	return id;
}

static void check_hint(void)
{
	uint64_t a = balloon_area.addr;
	uint32_t id;
	bool good;

	mem_fill(a, 48 * MIB);
	good = balloon_blocks(&b, b.hint, a, 8 * MIB, 4 * MIB, 1);
	report(good && !mem_wrong(a, 8 * MIB), "hints that nobody asked for change nothing");
	wait_key("TRIM");
	id = wait_for_command(BALLOON_CMD_STOP);
	report(id > BALLOON_CMD_DONE, "a trim begins with an id (%#x)", id);
	good = balloon_word(&b, id - 1) && balloon_blocks(&b, b.hint, a, 4 * MIB, 4 * MIB, 1);
	report(good && !mem_wrong(a, 4 * MIB), "hints for another run change nothing");
	good = balloon_word(&b, id) && balloon_blocks(&b, b.hint, a + 8 * MIB, 32 * MIB, 4 * MIB, 1);
	report(good && !b.waits, "hinted: each block is back before the notification ends (%lu were not)", b.waits);
	report(!mem_nonzero(a + 8 * MIB, 32 * MIB), "hinted memory reads as zeroes");
	report(!mem_wrong(a, 8 * MIB) && !mem_wrong(a + 40 * MIB, 8 * MIB), "its neighbours are as they were");
	report(balloon_word(&b, BALLOON_CMD_STOP) && mmio_r32(b.v.config + BC_CMD_ID) == BALLOON_CMD_DONE, "the run ends as done");
	mem_fill(a, 4 * MIB);
	good = balloon_blocks(&b, b.hint, a, 4 * MIB, 4 * MIB, 1);
	report(good && !mem_wrong(a, 4 * MIB), "hints after the end change nothing");
	wait_key("HINTED");
}

/* Free pages that hold a pattern must not turn into zeroes. */
static void check_poison(void)
{
	uint64_t a = balloon_area.addr;

	mem_fill(a, 4 * MIB);
	mmio_w32(b.v.config + BC_POISON, 0xaaaaaaaa);
	report(balloon_blocks(&b, b.report, a, 4 * MIB, 2 * MIB, 2) && !mem_wrong(a, 4 * MIB),
	       "with a poison value, reported memory keeps its contents");
	mmio_w32(b.v.config + BC_POISON, 0);
}

static void count(const char *kind)
{
	uint64_t len = boot_arg_num("mib", 0) * MIB;
	bool good = true;

	wait_key("COUNT");
	if (!strcmp(kind, "inflate"))
		good = balloon_pages(&b, b.inflate, balloon_area.addr, len / PAGE, PAGE);
	else if (!strcmp(kind, "report"))
		good = balloon_blocks(&b, b.report, balloon_area.addr, len, 2 * MIB, 32);
	else if (!strcmp(kind, "hint"))
		good = balloon_word(&b, mmio_r32(b.v.config + BC_CMD_ID)) &&
		       balloon_blocks(&b, b.hint, balloon_area.addr, len, 4 * MIB, 1);
	report(good && !b.waits, "%s", kind);
}

void guest_main(void)
{
	const uint64_t all = BF_MUST_TELL_HOST | BF_STATS | BF_DEFLATE_ON_OOM | BF_HINT | BF_POISON | BF_REPORTING;
	char kind[16];

	if (!report(balloon_start(&b, all), "the balloon is set up"))
		return;
	if (boot_arg("count", kind, sizeof(kind))) {
		count(kind);
		return;
	}
	report((b.v.offered & all) == all, "all of its features are offered");
	check_stats();
	check_inflate();
	check_report();
	check_hint();
	check_poison();
}
