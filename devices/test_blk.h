/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_blk.h - for the tests of virtio-blk: a device whose disk is an array that counts, fails when told to and can hold a
 * read back, and the usual requests to it.  One thread, but for reads that are held back.
 */
#ifndef TVMM_DEVICES_TEST_BLK_H
#define TVMM_DEVICES_TEST_BLK_H

#include <unistd.h>
#include "segs.h"
#include "test_driver.h"
#include "virtio_blk.h"

#define SECTORS 256u
#define SIZE    (SECTORS * 512)

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_ZEROES = 13 };
enum { OK = 0, IOERR = 1, UNSUPP = 2, UNTOUCHED = 0xee };

struct mem_disk {
	struct disk disk; /* first */
	uint8_t data[SIZE];
	_Atomic unsigned reads;
	unsigned writes, flushes, zeroes, discards;
	int fail; /* the next operation's errno */
	_Atomic uint64_t hold; /* a read at this offset, plus 1, waits until this is 0; then it takes place */
	_Atomic unsigned held;
};

static inline int mem_transfer(struct mem_disk *m, struct iovec *iov, unsigned n, uint64_t off, bool write)
{
	int fail = m->fail;

	for (m->fail = 0; n && !fail; n--, iov++) {
		TD_ASSERT(off + iov->iov_len <= SIZE);
		if (write)
			memcpy(m->data + off, iov->iov_base, iov->iov_len);
		else
			memcpy(iov->iov_base, m->data + off, iov->iov_len);
		off += iov->iov_len;
	}
	return fail;
}

static inline int mem_readv(struct disk *d, struct iovec *iov, unsigned n, uint64_t off)
{
	struct mem_disk *m = (struct mem_disk *)d;

	while (m->hold == off + 1) {
		m->held = 1;
		usleep(100);
	}
	m->reads++;
	return mem_transfer((struct mem_disk *)d, iov, n, off, false);
}

static inline int mem_writev(struct disk *d, struct iovec *iov, unsigned n, uint64_t off)
{
	((struct mem_disk *)d)->writes++;
	return mem_transfer((struct mem_disk *)d, iov, n, off, true);
}

static inline int mem_flush(struct disk *d)
{
	struct mem_disk *m = (struct mem_disk *)d;
	int fail = m->fail;

	m->flushes++;
	m->fail = 0;
	return fail;
}

static inline int mem_zero(struct disk *d, uint64_t off, uint64_t len, bool unmap)
{
	struct mem_disk *m = (struct mem_disk *)d;
	int fail = m->fail;

	TD_ASSERT(off + len <= SIZE && len);
	m->fail = 0;
	m->zeroes++;
	if (!fail)
		memset(m->data + off, 0, len);
	return fail;
}

static inline int mem_discard(struct disk *d, uint64_t off, uint64_t len)
{
	struct mem_disk *m = (struct mem_disk *)d;

	m->discards++;
	return mem_zero(d, off, len, true);
}

static const struct disk_ops mem_ops = {
	.readv = mem_readv, .writev = mem_writev, .zero = mem_zero, .discard = mem_discard, .flush = mem_flush,
};

struct rig {
	struct td t;
	struct mem_disk disk;
	struct virtio_blk blk;
	bool indirect;
};

#define ZERO_FEATURES (BIT_ULL(13) | BIT_ULL(14)) /* of a disk that can be written */
#define ALL_FEATURES (BIT_ULL(9) | ZERO_FEATURES | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX)

static struct virtio_blk_opts opts = { .serial = "serial-number", .queues = 1 };

static inline struct rig *rig_new(bool ro, uint64_t features)
{
	struct rig *r = calloc(1, sizeof(*r));

	td_init(&r->t);
	r->disk.disk = (struct disk){ .ops = &mem_ops, .size = SIZE, .block_size = 512, .ro = ro };
	for (unsigned i = 0; i < SIZE; i++)
		r->disk.data[i] = (uint8_t)(i / 512 + i);
	ck_assert_int_eq(virtio_blk_init(&r->blk, "disk 0", &r->disk.disk, &opts, &r->t.mem, &r->t.loop, &r->t.log, NULL), 0);
	td_start(&r->t, &r->blk.dev, features);
	return r;
}

static inline void rig_free(struct rig *r)
{
	ck_assert_uint_eq(r->blk.dev.queue[0].vq.popped, r->blk.dev.queue[0].vq.pushed);
	virtio_set_status(&r->blk.dev, 0);
	virtio_blk_fini(&r->blk);
	td_fini(&r->t);
	free(r);
}

struct header {
	uint32_t type, reserved;
	uint64_t sector;
};

/* Offers and kicks; what is used is this request, once.  Returns the status, with the used length in *LEN. */
static inline uint8_t submit(struct rig *r, struct td_seg *s, unsigned n, uint32_t *len)
{
	struct td_seg *last = &s[n - 1];
	uint8_t *status = (uint8_t *)td_ptr(&r->t, last->addr) + last->len - 1;
	int head;

	*status = UNTOUCHED;
	head = r->indirect ? td_offer_indirect(&r->t, &r->t.ring[0], s, n) : td_offer(&r->t, &r->t.ring[0], s, n);
	ck_assert_int_ge(head, 0);
	td_kick(&r->t, 0);
	ck_assert_int_eq(td_take_used(&r->t, &r->t.ring[0], len), head);
	ck_assert_int_eq(td_take_used(&r->t, &r->t.ring[0], len), -1);
	return *status;
}

/* The usual shape: header, data (if any), status. */
static inline uint8_t request(struct rig *r, uint32_t type, uint64_t sector, struct td_seg *data, uint32_t *len)
{
	struct header h = { type, 0, sector };
	struct td_seg s[3] = { td_out(&r->t, &h, sizeof(h)) };
	unsigned n = 1;

	if (data)
		s[n++] = *data;
	s[n++] = td_in(&r->t, 1);
	return submit(r, s, n, len);
}

#endif
