/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_balloon.h - for the tests of virtio-balloon: a device whose reclaimer keeps books of what the guest gave and takes
 * back, and what a driver does with it.  One thread.
 */
#ifndef TVMM_DEVICES_TEST_BALLOON_H
#define TVMM_DEVICES_TEST_BALLOON_H

#include "test_driver.h"
#include "virtio_balloon.h"

#define ALL (VIRTIO_BALLOON_F_MUST_TELL_HOST | VIRTIO_BALLOON_F_STATS_VQ | VIRTIO_BALLOON_F_DEFLATE_ON_OOM | \
	     VIRTIO_BALLOON_F_FREE_PAGE_HINT | VIRTIO_BALLOON_F_REPORTING | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC)
#define PFN (TD_BASE / 4096)
#define N_PAGES (TD_RAM / 4096)

/* A reclaimer that keeps books instead of discarding. */
struct books {
	struct gmem_reclaim r;
	struct td *t;
	bool held[N_PAGES];
	unsigned gives, takes, drops, forgets, given_now, looks;
	bool filled; /* the guest clears what it hands over, and nothing was there */
	uint64_t pages, dropped;
	struct iovec last_drop;
};

static inline bool books_pages(struct books *k, const uint32_t *pfn, unsigned n, bool held)
{
	for (unsigned i = 0; i < n; i++) {
		if (pfn[i] < PFN || pfn[i] >= PFN + N_PAGES)
			return false;
		k->held[pfn[i] - PFN] = held;
		k->pages++;
	}
	return true;
}

static inline bool books_give(struct gmem_reclaim *r, const uint32_t *pfn, unsigned n, bool now)
{
	struct books *k = container_of(r, struct books, r);

	k->gives++;
	k->given_now += now;
	return books_pages(k, pfn, n, true);
}

static inline bool books_take(struct gmem_reclaim *r, const uint32_t *pfn, unsigned n)
{
	struct books *k = container_of(r, struct books, r);

	k->takes++;
	return books_pages(k, pfn, n, false);
}

static inline uint64_t books_drop(struct gmem_reclaim *r, const struct iovec *iov, unsigned n)
{
	struct books *k = container_of(r, struct books, r);
	uint64_t sum = 0;

	k->drops++;
	for (unsigned i = 0; i < n; i++) {
		/* Nothing but guest RAM, ever. */
		TD_ASSERT((uint8_t *)iov[i].iov_base >= k->t->ram);
		TD_ASSERT((uint8_t *)iov[i].iov_base + iov[i].iov_len <= k->t->ram + TD_RAM);
		sum += iov[i].iov_len;
		k->last_drop = iov[i];
	}
	k->dropped += sum;
	return sum;
}

static inline void books_forget(struct gmem_reclaim *r)
{
	struct books *k = container_of(r, struct books, r);

	k->forgets++;
	memset(k->held, 0, sizeof(k->held));
}

static inline void books_look(struct gmem_reclaim *r)
{
	container_of(r, struct books, r)->looks++;
}

static inline bool books_filled(struct gmem_reclaim *r, const struct iovec *piece)
{
	return container_of(r, struct books, r)->filled;
}

static const struct gmem_reclaim_ops books_ops = { books_give, books_take, books_drop, books_forget, books_look, books_filled };

struct fixture {
	struct td t;
	struct books k;
	struct virtio_balloon b;
};

static inline void prepare(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	td_init(&f->t);
	f->k = (struct books){ .r.ops = &books_ops, .t = &f->t };
	ck_assert_int_eq(virtio_balloon_init(&f->b, "balloon", &f->t.mem, &f->t.loop, &f->t.log, &f->k.r, true, NULL), 0);
}

static inline void start(struct fixture *f, uint64_t features)
{
	prepare(f);
	td_start(&f->t, &f->b.dev, features);
}

static inline void stop(struct fixture *f)
{
	evloop_stop(&f->t.loop);
	virtio_balloon_fini(&f->b);
	td_fini(&f->t);
}

static inline int send(struct fixture *f, unsigned q, const void *data, uint32_t len)
{
	struct td_seg s = td_out(&f->t, data, len);
	int head = td_offer(&f->t, &f->t.ring[q], &s, 1);

	td_kick(&f->t, q);
	return head;
}

static inline void send_id(struct fixture *f, uint32_t id)
{
	id = htole32(id);
	send(f, BALLOON_Q_HINT, &id, 4);
	td_take_used(&f->t, &f->t.ring[BALLOON_Q_HINT], NULL);
}

/* Offers LEN bytes at page PAGE of RAM; true if it was used when the exit ended. */
static inline bool send_block(struct fixture *f, unsigned q, unsigned page, uint32_t len)
{
	struct td_seg s = { .addr = GPA(TD_BASE + page * 4096ull), .len = len, .in = true };
	int head = td_offer(&f->t, &f->t.ring[q], &s, 1);

	td_kick(&f->t, q);
	return td_take_used(&f->t, &f->t.ring[q], NULL) == head;
}

static inline uint32_t config(struct fixture *f, unsigned off)
{
	uint8_t v[4];

	virtio_config_read(&f->b.dev, off, v, 4);
	return load_le32(v);
}

static inline void set_config(struct fixture *f, unsigned off, uint32_t v)
{
	v = htole32(v);
	virtio_config_write(&f->b.dev, off, &v, 4);
}

static inline bool is_broken(struct fixture *f)
{
	return virtio_status(&f->b.dev) & VIRTIO_S_NEEDS_RESET;
}

#endif
