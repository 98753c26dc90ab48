/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * balloon.h - a driver for the memory balloon (virtio 1.2, 5.5) whose work is done in ring 3, where it runs at full
 * speed on every KVM: lists of pages, reported and hinted blocks, patterns in memory and their checking.
 *
 * It lives on virtio.h and runs under any VMM.  All memory it speaks of is one stretch, balloon_area, which nobody else
 * uses.  Boot CPU only.
 */
#ifndef GUEST_BALLOON_H
#define GUEST_BALLOON_H

#include "virtio.h"

#define BF_MUST_TELL_HOST (1ull << 0)
#define BF_STATS          (1ull << 1)
#define BF_DEFLATE_ON_OOM (1ull << 2)
#define BF_HINT           (1ull << 3)
#define BF_POISON         (1ull << 4)
#define BF_REPORTING      (1ull << 5)

enum { BC_NUM_PAGES = 0, BC_ACTUAL = 4, BC_CMD_ID = 8, BC_POISON = 12 }; /* configuration space */
#define BALLOON_CMD_STOP 0u
#define BALLOON_CMD_DONE 1u

struct balloon {
	struct vdev v;
	struct vqueue *inflate, *deflate, *stats, *hint, *report; /* NULL: not there */
	uint32_t *list;   /* a page for page numbers */
	uint64_t waits;   /* buffers that were not back when the notification was over */
};

extern struct balloon_area { uint64_t addr, len; } balloon_area;

/*
 * The device with those of FEATURES that it offers, and its queues.  False: there is none, or it refuses.  Devices number
 * their queues by what they offer: leave out no queue before one that is wanted.
 */
bool balloon_start(struct balloon *b, uint64_t features);

/* Gives PAGES pages from ADDR, STRIDE bytes from one to the next (may be negative), to Q in lists of 256; in ring 3. */
bool balloon_pages(struct balloon *b, struct vqueue *q, uint64_t addr, uint64_t pages, int64_t stride);
/* Gives LEN bytes at ADDR as writable blocks of BLOCK bytes, PER of them with one notification; in ring 3. */
bool balloon_blocks(struct balloon *b, struct vqueue *q, uint64_t addr, uint64_t len, uint32_t block, unsigned per);
/* A word for the device on the hint queue: a command id. */
bool balloon_word(struct balloon *b, uint32_t word);

/* ---- memory, in ring 3 ---- */

void mem_fill(uint64_t addr, uint64_t len);              /* with a pattern that tells each word of memory from all others */
uint64_t mem_wrong(uint64_t addr, uint64_t len);         /* words that are not as mem_fill() left them */
uint64_t mem_nonzero(uint64_t addr, uint64_t len);       /* words that are not zero */
uint64_t mem_torn(uint64_t addr, uint64_t pages, uint64_t stride); /* pages neither zero nor as mem_fill() left them */
void mem_touch(uint64_t addr, uint64_t len);             /* writes one word in each page */

#endif
