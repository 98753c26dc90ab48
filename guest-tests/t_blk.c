/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * t_blk.c - makes two disk images with a pattern, lets the guest read and write them, and looks at every word of
 * them afterwards.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "harness.h"

#define SECTORS 8192u

static uint32_t word(unsigned sector, unsigned i)
{
	return sector * 2654435761u + i;
}

static bool make_image(char *path)
{
	int fd = mkstemp(path);
	uint32_t w[128];
	bool good = fd >= 0;

	for (unsigned s = 0; good && s < SECTORS; s++) {
		for (unsigned i = 0; i < 128; i++)
			w[i] = word(s, i);
		good = write(fd, w, sizeof(w)) == sizeof(w);
	}
	if (fd >= 0)
		close(fd);
	return good;
}

/* Words that are not as expected: sectors FROM to TO and the last one are the complement if CHANGED. */
static unsigned wrong(const char *path, bool changed)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned n = fd < 0;
	uint32_t w[128];

	for (unsigned s = 0; fd >= 0 && s < SECTORS; s++) {
		uint32_t flip = changed && ((s >= 1024 && s < 1536) || s == SECTORS - 1) ? ~0u : 0;

		if (read(fd, w, sizeof(w)) != sizeof(w))
			n += 128;
		for (unsigned i = 0; i < 128; i++)
			n += w[i] != (word(s, i) ^ flip);
	}
	if (fd >= 0) {
		n += lseek(fd, 0, SEEK_END) != SECTORS * 512;
		close(fd);
	}
	return n;
}

/* Exits to user space of a guest that makes N small reads of both disks' first. */
static unsigned long long exits(const char *disk_a, const char *disk_b, const char *append)
{
	unsigned long long n = 0;
	struct guest g;

	if (ok(guest_new(&g, "payload_blk", "append", append, "disk", disk_a, "disk", disk_b, NULL) && guest_start(&g), "%s: started",
	       append)) {
		guest_finish(&g, LIMIT_MS);
		guest_ended(&g, TVMM_POWEROFF, append);
		guest_results(&g);
		n = g.stats.exits_user;
	}
	guest_free(&g);
	return n;
}

int main(void)
{
	unsigned long long none, many;
	char a[] = "/tmp/t_blk_XXXXXX", b[] = "/tmp/t_blk_XXXXXX", disk_a[128], disk_b[128];
	struct guest g;

	tests_begin();
	if (!ok(make_image(a) && make_image(b), "images made"))
		goto out;
	snprintf(disk_a, sizeof(disk_a), "%s,serial=first", a);
	snprintf(disk_b, sizeof(disk_b), "%s,ro,serial=second-with-20-chars", b);
	if (!ok(guest_new(&g, "payload_blk", "disk", disk_a, "disk", disk_b, NULL) && guest_start(&g), "created and started"))
		goto out;
	guest_finish(&g, LIMIT_MS);
	guest_ended(&g, TVMM_POWEROFF, "blk");
	guest_results(&g);
	guest_free(&g);
	ok(wrong(a, true) == 0, "disk 0's image holds what the guest wrote, and nothing else changed");
	ok(wrong(b, false) == 0, "disk 1's image is as it was");
	none = exits(disk_a, disk_b, "extra=0");
	many = exits(disk_a, disk_b, "extra=1000");
	/* A few may come from the end, which is not at the same instruction each time. */
	ok(none > 0 && many < none + 1050, "1000 requests cost no more than an exit each (%llu, %llu)", none, many);
out:
	unlink(a);
	unlink(b);
	return tests_end();
}
