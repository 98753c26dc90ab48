/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * balloon.c - the driver of balloon.h.
 */
#include "balloon.h"

#define PAGE 4096ull
#define AREA_START (16ull << 20) /* above the image and what page_alloc() hands out */
#define AREA_END   (3072ull << 20)

struct balloon_area balloon_area;

static bool add_queue(struct balloon *b, struct vqueue **q, unsigned *n, bool there)
{
	if (!there)
		return true;
	*q = &b->v.q[*n];
	return virtio_queue(&b->v, (*n)++, 128, VIRTIO_NO_VECTOR);
}

bool balloon_start(struct balloon *b, uint64_t features)
{
	uint64_t end = boot_info.ram_end < AREA_END ? boot_info.ram_end : AREA_END, f;
	unsigned n = 0;

	memset(b, 0, sizeof(*b));
	if (!virtio_open(&b->v, VIRTIO_BALLOON, 0) || !virtio_start(&b->v, features))
		return false;
	f = b->v.features;
	b->list = page_alloc(1);
	if (!add_queue(b, &b->inflate, &n, true) || !add_queue(b, &b->deflate, &n, true) ||
	    !add_queue(b, &b->stats, &n, f & BF_STATS) || !add_queue(b, &b->hint, &n, f & BF_HINT) ||
	    !add_queue(b, &b->report, &n, f & BF_REPORTING))
		return false;
	balloon_area.addr = AREA_START;
	balloon_area.len = (end - AREA_START) & ~((4ull << 20) - 1);
	virtio_ready(&b->v);
	return true;
}

/* ---- ring 3 ------------------------------------------------------------------------------------------------------- */

struct job {
	struct balloon *b;
	struct vqueue *q;
	uint64_t addr, n;
	int64_t stride;
	uint32_t block;
	unsigned per;
};

/* Notifies, and takes PENDING buffers back. */
static bool kick_and_take(struct balloon *b, struct vqueue *q, unsigned pending)
{
	uint32_t head, len;

	vq_kick(q);
	while (pending--) {
		if (vq_get(q, &head, &len))
			continue;
		b->waits++;
		if (!vq_wait(q, &head, &len, 20000))
			return false;
	}
	return true;
}

static uint64_t pages_job(void *arg)
{
	struct job *j = arg;
	uint64_t addr = j->addr, left = j->n;

	while (left) {
		unsigned n = left < 256 ? (unsigned)left : 256;

		for (unsigned i = 0; i < n; i++, addr += (uint64_t)j->stride)
			j->b->list[i] = (uint32_t)(addr / PAGE);
		if (vq_add(j->q, &(struct vbuf){ j->b->list, n * 4, false }, 1) < 0 || !kick_and_take(j->b, j->q, 1))
			return false;
		left -= n;
	}
	return true;
}

static uint64_t blocks_job(void *arg)
{
	struct job *j = arg;
	uint64_t addr = j->addr, end = addr + j->n;

	while (addr < end) {
		struct vbuf buf[32];
		unsigned n = 0;

		for (; n < j->per && addr < end; addr += j->block)
			buf[n++] = (struct vbuf){ (void *)addr, j->block, true };
		if (vq_add(j->q, buf, n) < 0 || !kick_and_take(j->b, j->q, 1))
			return false;
	}
	return true;
}

bool balloon_pages(struct balloon *b, struct vqueue *q, uint64_t addr, uint64_t pages, int64_t stride)
{
	struct job j = { .b = b, .q = q, .addr = addr, .n = pages, .stride = stride };

	return q && ring3(pages_job, &j);
}

bool balloon_blocks(struct balloon *b, struct vqueue *q, uint64_t addr, uint64_t len, uint32_t block, unsigned per)
{
	struct job j = { .b = b, .q = q, .addr = addr, .n = len, .block = block, .per = per };

	return q && ring3(blocks_job, &j);
}

bool balloon_word(struct balloon *b, uint32_t word)
{
	b->list[0] = word;
	return vq_do(b->hint, &(struct vbuf){ b->list, 4, false }, 1) >= 0;
}

/* ---- memory ------------------------------------------------------------------------------------------------------- */

struct stretch { uint64_t addr, n; uint64_t stride; };

static uint64_t pattern(uint64_t a)
{
	return a * 0x9e3779b97f4a7c15ull ^ 0x5bd1e995;
}

static uint64_t fill_job(void *arg)
{
	const struct stretch *s = arg;

	for (uint64_t a = s->addr; a < s->addr + s->n; a += 8)
		*(volatile uint64_t *)a = pattern(a);
	return 0;
}

static uint64_t wrong_job(void *arg)
{
	const struct stretch *s = arg;
	uint64_t n = 0;

	for (uint64_t a = s->addr; a < s->addr + s->n; a += 8)
		n += *(volatile uint64_t *)a != pattern(a);
	return n;
}

static uint64_t nonzero_job(void *arg)
{
	const struct stretch *s = arg;
	uint64_t n = 0;

	for (uint64_t a = s->addr; a < s->addr + s->n; a += 8)
		n += *(volatile uint64_t *)a != 0;
	return n;
}

static uint64_t torn_job(void *arg)
{
	const struct stretch *s = arg;
	uint64_t n = 0;

	for (uint64_t i = 0; i < s->n; i++) {
		struct stretch page = { s->addr + i * s->stride, PAGE, 0 };

		n += wrong_job(&page) && nonzero_job(&page);
	}
	return n;
}

static uint64_t touch_job(void *arg)
{
	const struct stretch *s = arg;

	for (uint64_t a = s->addr; a < s->addr + s->n; a += PAGE)
		*(volatile uint64_t *)a = a;
	return 0;
}

void mem_fill(uint64_t addr, uint64_t len)
{
	ring3(fill_job, &(struct stretch){ addr, len, 0 });
}

uint64_t mem_wrong(uint64_t addr, uint64_t len)
{
	return ring3(wrong_job, &(struct stretch){ addr, len, 0 });
}

uint64_t mem_nonzero(uint64_t addr, uint64_t len)
{
	return ring3(nonzero_job, &(struct stretch){ addr, len, 0 });
}

uint64_t mem_torn(uint64_t addr, uint64_t pages, uint64_t stride)
{
	return ring3(torn_job, &(struct stretch){ addr, pages, stride });
}

void mem_touch(uint64_t addr, uint64_t len)
{
	ring3(touch_job, &(struct stretch){ addr, len, 0 });
}
