/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_smaps.c - whole and in pieces, other mappings beside ours, long lines, and this very process. */
#include "smaps.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "bits.h"
#include "test.h"

static const char text[] =
	"7f0000000000-7f0000200000 rw-p 00000000 00:00 0 \n"
	"Size: 2048 kB\nRss: 1024 kB\nAnonHugePages: 512 kB\nSwap: 4 kB\nSwapPss: 4 kB\nVmFlags: rd wr\n"
	"7f0000200000-7f0000400000 r-xp 00000000 08:01 123 /a/path/Rss: 5 kB\n"
	"Rss: 77 kB\nSwap: 77 kB\n"
	"7f0000400000-7f0000600000 rw-s 00000000 00:01 9 /memfd:ram (deleted)\n"
	"Rss: 8 kB\nShmemPmdMapped: 4 kB\nSwap: 0 kB\n"
	"Rss: nonsense\n\n:\n-\nffffffff-00000000 x\n";

static void expect(const struct smaps *s)
{
	ck_assert_uint_eq(s->resident, 1032 << 10);
	ck_assert_uint_eq(s->huge, 516 << 10);
	ck_assert_uint_eq(s->swapped, 4 << 10);
}

static const struct smaps fresh = {
	.n = 2, .range = { { 0x7f0000000000, 0x7f0000200000 }, { 0x7f0000400000, 0x7f0000800000 } },
};

START_TEST(pieces)
{
	for (size_t step = 1; step < sizeof(text); step++) {
		struct smaps s = fresh;

		for (size_t at = 0; at < sizeof(text) - 1; at += step)
			smaps_feed(&s, text + at, MIN(step, sizeof(text) - 1 - at));
		expect(&s);
	}
}
END_TEST

START_TEST(long_line)
{
	struct smaps s = fresh;
	char path[4096];

	memset(path, 'x', sizeof(path));
	smaps_feed(&s, "7f0000000000-7f0000200000 r-xp ", 31);
	smaps_feed(&s, path, sizeof(path));
	smaps_feed(&s, "\nRss: 1 kB\n", 11);
	ck_assert_uint_eq(s.resident, 1024);
}
END_TEST

START_TEST(this_process)
{
	uint8_t *p = mmap(NULL, MIB(1), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct smaps s = { .n = 1 };
	char buf[1000];
	ssize_t n;
	int fd = open("/proc/self/smaps", O_RDONLY);

	ck_assert_int_ge(fd, 0);
	madvise(p, MIB(1), MADV_DONTDUMP); /* flags of its own: no neighbour joins it */
	memset(p, 1, 5 * 4096);
	s.range[0].start = (uintptr_t)p;
	s.range[0].end = (uintptr_t)p + MIB(1);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		smaps_feed(&s, buf, (size_t)n);
	close(fd);
	ck_assert_uint_eq(s.resident, 5 * 4096);
	munmap(p, MIB(1));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { pieces, long_line, this_process, NULL };

	return test_main("smaps", tests);
}
