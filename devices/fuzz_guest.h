/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_guest.h - for the fuzz targets of virtio devices: a machine on the host of fuzz_host.h, and its guest, good or bad.
 *
 * The machine: RAM in two pieces, one PCI bus, up to two virtio devices behind virtio_pci, a bus by which the guest
 * reaches all registers.  Built once; before each input everything that can change is put back from a copy, which is
 * much faster than building it again.  No thread runs: vCPU and loop are the fuzzer's own.
 *
 * The guest: fuzz_op() does one thing that the input asks for, allowed or not; fuzz_setup(), fuzz_offer() and
 * fuzz_used() are a correct driver.  A target in *tame* mode uses the latter alone, and then checks every byte.
 *
 * Double fetches: gmem_range() is wrapped (the linker's --wrap), for code that checks a descriptor always comes by; a
 * planned change of guest memory is made there, or inside the host's calls, between two looks at the same word.
 */
#ifndef TVMM_DEVICES_FUZZ_GUEST_H
#define TVMM_DEVICES_FUZZ_GUEST_H

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include "bus.h"
#include "fuzz_host.h"
#include "virtio_pci.h"

#define FUZZ_LOW       0x10000ull
#define FUZZ_LOW_SIZE  0x4000ull
#define FUZZ_HIGH      0x100000000ull
#define FUZZ_HIGH_SIZE 0x1000ull
#define FUZZ_ECAM      0xe0000000ull
#define FUZZ_BAR       0xfe000000ull
#define FUZZ_DEVS      2
#ifndef FUZZ_RINGS
#define FUZZ_RINGS     5 /* queues of a device that the correct driver uses */
#endif
#define FUZZ_RING_MAX  32
#define FUZZ_RING_SIZE 0x380 /* bytes from one ring to the next */
#define FUZZ_CHAIN_MAX 8
#define FUZZ_STEPS     4000 /* calls of the loop's handlers; a correct guest never needs that many */

struct fuzz_seg {
	uint64_t addr;
	uint32_t len;
	bool in;
};

struct fuzz_req {
	unsigned n;
	struct fuzz_seg seg[FUZZ_CHAIN_MAX];
	uint64_t tag[3]; /* the target's own */
};

struct fuzz_ring {
	uint64_t desc, avail, used;
	uint16_t size, avail_idx, used_seen, next;
	struct fuzz_req req[FUZZ_RING_MAX]; /* by head */
};

struct fuzz_mutation {
	uint8_t left, size;
	uint64_t addr, val;
};

struct fuzz_kept {
	void *p, *copy;
	size_t len;
};

struct fuzz_guest {
	struct fuzz_host fh; /* first */
	struct fuzz in;
	uint8_t *low, *high, *shadow; /* the two pieces of RAM, and what they should hold */
	uint8_t *ecam;
	struct gmem mem;
	struct evloop loop;
	struct log log;
	struct bus mmio;
	struct pci pci;
	struct msi_sink sink;
	struct virtio_pci vp[FUZZ_DEVS];
	unsigned n_devs;
	uint64_t log_lines, log_extra, msis; /* LOG_EXTRA: lines that the host's failures allow */
	uint64_t began;
	struct fuzz_mutation mut[2];
	struct fuzz_ring ring[FUZZ_RINGS];
};

/* What each input starts from.  One world for each way to build the machine. */
struct fuzz_world {
	unsigned n;
	struct fuzz_kept kept[12];
};

static struct fuzz_guest *fuzz_guest_now;

/* ---- memory ------------------------------------------------------------------------------------------------------- */

/* Not by gmem_range(): this is the guest's own way. */
static inline uint8_t *fuzz_ptr(struct fuzz_guest *g, uint64_t addr, uint64_t len)
{
	if (addr - FUZZ_LOW < FUZZ_LOW_SIZE && len <= FUZZ_LOW_SIZE - (addr - FUZZ_LOW))
		return g->low + (addr - FUZZ_LOW);
	if (addr - FUZZ_HIGH < FUZZ_HIGH_SIZE && len <= FUZZ_HIGH_SIZE - (addr - FUZZ_HIGH))
		return g->high + (addr - FUZZ_HIGH);
	return NULL;
}

/* Where the shadow of the byte at P is; P is in RAM. */
static inline uint8_t *fuzz_shadow(struct fuzz_guest *g, const uint8_t *p)
{
	uintptr_t low = (uintptr_t)p - (uintptr_t)g->low;

	return low < FUZZ_LOW_SIZE ? g->shadow + low : g->shadow + FUZZ_LOW_SIZE + (p - g->high);
}

/* The guest's own writes, which the shadow sees too.  Outside RAM: nothing. */
static inline void fuzz_store(struct fuzz_guest *g, uint64_t addr, const void *src, uint64_t len)
{
	uint8_t *p = fuzz_ptr(g, addr, len);

	if (!p || !len)
		return;
	memcpy(p, src, len);
	memcpy(fuzz_shadow(g, p), src, len);
}

static inline void fuzz_poke(struct fuzz_guest *g, uint64_t addr, uint64_t val, unsigned size)
{
	fuzz_store(g, addr, &val, size);
}

/* Two bytes of input for an address in RAM, more for any other. */
static inline uint64_t fuzz_gpa(struct fuzz *f)
{
	uint16_t v = fuzz_u16(f);

	if (v < 0x8000)
		return FUZZ_LOW + v % FUZZ_LOW_SIZE;
	if (v < 0xa000)
		return FUZZ_HIGH + v % FUZZ_HIGH_SIZE;
	if (v < 0xa800)
		return FUZZ_LOW + FUZZ_LOW_SIZE + 0x40 - (v & 0xff);
	if (v < 0xb000)
		return FUZZ_HIGH + FUZZ_HIGH_SIZE + 0x40 - (v & 0xff);
	if (v < 0xc000)
		return FUZZ_BAR + (v & 0xfff) * 16;
	return fuzz_value(f);
}

/* What the guest does while the host is at work. */
static inline void fuzz_mutate(void *arg)
{
	struct fuzz_guest *g = arg;

	for (unsigned i = 0; i < ARRAY_SIZE(g->mut); i++) {
		struct fuzz_mutation *m = &g->mut[i];

		if (m->left && !--m->left)
			fuzz_poke(g, m->addr, m->val, m->size);
	}
}

void *__real_gmem_range(const struct gmem *mem, struct gpa a, uint64_t len);
void *__wrap_gmem_range(const struct gmem *mem, struct gpa a, uint64_t len);

void *__wrap_gmem_range(const struct gmem *mem, struct gpa a, uint64_t len)
{
	if (fuzz_guest_now)
		fuzz_mutate(fuzz_guest_now);
	return __real_gmem_range(mem, a, len);
}

/* ---- the machine -------------------------------------------------------------------------------------------------- */

static inline void fuzz_log(void *arg, int level, const char *line)
{
	struct fuzz_guest *g = arg;

	g->log_lines++;
	FUZZ_ASSERT(strlen(line) < 512);
	FUZZ_ASSERT(!strchr(line, '\n'));
}

static inline void fuzz_msi(struct msi_sink *sink, uint64_t addr, uint32_t data)
{
	struct fuzz_guest *g = container_of(sink, struct fuzz_guest, sink);

	FUZZ_ASSERT(addr % 4 == 0);
	g->msis++;
	fuzz_mutate(g);
}

static inline void *fuzz_memory(size_t len)
{
	void *p = aligned_alloc(4096, len);

	FUZZ_ASSERT(p);
	memset(p, 0, len);
	return p;
}

/* All but the devices.  May be called again, for another world; memory is kept. */
static inline void fuzz_guest_init(struct fuzz_guest *g)
{
	struct fuzz_guest old = *g;

	memset(g, 0, sizeof(*g));
	fuzz_host_init(&g->fh);
	g->fh.step = fuzz_mutate;
	g->fh.arg = g;
	g->low = old.low ? old.low : fuzz_memory(FUZZ_LOW_SIZE);
	g->high = old.high ? old.high : fuzz_memory(FUZZ_HIGH_SIZE);
	g->shadow = old.shadow ? old.shadow : fuzz_memory(FUZZ_LOW_SIZE + FUZZ_HIGH_SIZE);
	g->ecam = old.ecam ? old.ecam : fuzz_memory((size_t)PCI_MAX_FUNCS * PCI_CFG_SIZE);
	FUZZ_ASSERT(!gmem_add(&g->mem, GPA(FUZZ_LOW), FUZZ_LOW_SIZE, g->low, NULL));
	FUZZ_ASSERT(!gmem_add(&g->mem, GPA(FUZZ_HIGH), FUZZ_HIGH_SIZE, g->high, NULL));
	gmem_freeze(&g->mem);
	FUZZ_ASSERT(!evloop_init(&g->loop, &g->fh.h, NULL));
	log_init(&g->log, &g->fh.h, fuzz_log, g, TVMM_LOG_WARN);
	pci_init(&g->pci, g->ecam);
	FUZZ_ASSERT(!bus_add(&g->mmio, FUZZ_ECAM, MIB(1), &pci_ecam_ops, &g->pci, "ecam", NULL));
	g->sink.signal = fuzz_msi;
	g->began = g->fh.now;
}

/* Puts a device behind slot 1 or 2. */
static inline void fuzz_add(struct fuzz_guest *g, struct virtio_dev *dev)
{
	unsigned i = g->n_devs++;
	uint64_t bar = FUZZ_BAR + i * VIRTIO_PCI_BAR_SIZE;

	FUZZ_ASSERT(!virtio_pci_init(&g->vp[i], dev, &g->pci, i + 1, bar, &g->sink, NULL));
	FUZZ_ASSERT(!bus_add(&g->mmio, bar, VIRTIO_PCI_BAR_SIZE, &virtio_pci_ops, &g->vp[i], dev->name, NULL));
}

/* P will be put back to what it is now. */
static inline void fuzz_keep(struct fuzz_world *w, void *p, size_t len)
{
	void *copy = malloc(len);

	FUZZ_ASSERT(copy && w->n < ARRAY_SIZE(w->kept));
	memcpy(copy, p, len);
	w->kept[w->n++] = (struct fuzz_kept){ .p = p, .copy = copy, .len = len };
}

/* Last of all, when the machine is whole. */
static inline void fuzz_keep_guest(struct fuzz_world *w, struct fuzz_guest *g)
{
	bus_freeze(&g->mmio);
	fuzz_keep(w, g, offsetof(struct fuzz_guest, ring));
	fuzz_keep(w, g->ecam, PCI_CFG_SIZE * (FUZZ_DEVS + 1));
}

static inline void fuzz_begin(struct fuzz_guest *g, const struct fuzz_world *w, const struct fuzz *in)
{
	for (unsigned i = 0; i < w->n; i++)
		memcpy(w->kept[i].p, w->kept[i].copy, w->kept[i].len);
	memset(g->low, 0, FUZZ_LOW_SIZE);
	memset(g->high, 0, FUZZ_HIGH_SIZE);
	for (unsigned q = 0; q < FUZZ_RINGS; q++)
		g->ring[q].size = 0;
	g->in = *in;
	fuzz_guest_now = g;
}

/* ---- a correct driver --------------------------------------------------------------------------------------------- */

static inline void fuzz_write(struct fuzz_guest *g, unsigned dev, uint64_t off, unsigned size, uint64_t val)
{
	bus_write(&g->mmio, FUZZ_BAR + dev * VIRTIO_PCI_BAR_SIZE + off, size, val);
}

static inline uint64_t fuzz_read(struct fuzz_guest *g, unsigned dev, uint64_t off, unsigned size)
{
	return bus_read(&g->mmio, FUZZ_BAR + dev * VIRTIO_PCI_BAR_SIZE + off, size);
}

static inline uint64_t fuzz_cfg(unsigned dev, uint64_t off)
{
	return FUZZ_ECAM + ((uint64_t)(dev + 1) << 15) + off;
}

/* Switches MSI-X on, and all vectors to one message. */
static inline void fuzz_msix_on(struct fuzz_guest *g, unsigned dev)
{
	const struct pci_msix *m = &g->vp[dev].msix;

	bus_write(&g->mmio, fuzz_cfg(dev, m->cap + PCI_MSIX_FLAGS), 2, PCI_MSIX_FLAGS_ENABLE);
	for (unsigned v = 0; v < m->n; v++) {
		fuzz_write(g, dev, VIRTIO_PCI_MSIX_OFF + 16 * v, 8, 0xfee00000);
		fuzz_write(g, dev, VIRTIO_PCI_MSIX_OFF + 16 * v + 8, 8, 0x41 + v);
	}
}

static inline void fuzz_setup_ring(struct fuzz_guest *g, unsigned dev, unsigned q, uint16_t size, uint64_t at)
{
	struct fuzz_ring *r = &g->ring[q];

	/* The requests are overwritten as they are offered. */
	r->desc = at;
	r->avail = at + 16u * size;
	r->used = align_up(r->avail + 6 + 2u * size, 4);
	r->size = size;
	r->avail_idx = r->used_seen = r->next = 0;
	memset(fuzz_ptr(g, at, 1), 0, r->used + 6 + 8u * size - at);
	fuzz_write(g, dev, VIRTIO_PCI_COMMON_Q_SELECT, 2, q);
	fuzz_write(g, dev, VIRTIO_PCI_COMMON_Q_SIZE, 2, size);
	fuzz_write(g, dev, VIRTIO_PCI_COMMON_Q_DESCLO, 8, r->desc);
	fuzz_write(g, dev, VIRTIO_PCI_COMMON_Q_AVAILLO, 8, r->avail);
	fuzz_write(g, dev, VIRTIO_PCI_COMMON_Q_USEDLO, 8, r->used);
	fuzz_write(g, dev, VIRTIO_PCI_COMMON_Q_MSIX, 2, q);
	fuzz_write(g, dev, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

/* Reset to DRIVER_OK.  FEATURES is what the driver would have of what is offered.  Rings lie at the start of LOW. */
static inline void fuzz_setup(struct fuzz_guest *g, unsigned dev, uint64_t features, uint16_t size)
{
	static const uint8_t before[] = { 0, 1, 3 };
	unsigned n;

	for (unsigned i = 0; i < ARRAY_SIZE(before); i++)
		fuzz_write(g, dev, VIRTIO_PCI_COMMON_STATUS, 1, before[i]);
	features |= VIRTIO_F_VERSION_1;
	for (unsigned i = 0; i < 2; i++) {
		fuzz_write(g, dev, VIRTIO_PCI_COMMON_DFSELECT, 4, i);
		fuzz_write(g, dev, VIRTIO_PCI_COMMON_GFSELECT, 4, i);
		fuzz_write(g, dev, VIRTIO_PCI_COMMON_GF, 4,
			   fuzz_read(g, dev, VIRTIO_PCI_COMMON_DF, 4) & (uint32_t)(features >> 32 * i));
	}
	fuzz_write(g, dev, VIRTIO_PCI_COMMON_STATUS, 1, 0xb);
	n = (unsigned)fuzz_read(g, dev, VIRTIO_PCI_COMMON_NUMQ, 2);
	n = MIN(n, FUZZ_RINGS);
	fuzz_write(g, dev, VIRTIO_PCI_COMMON_MSIX, 2, n);
	for (unsigned q = 0; q < n; q++)
		fuzz_setup_ring(g, dev, q, size, FUZZ_LOW + q * FUZZ_RING_SIZE);
	fuzz_write(g, dev, VIRTIO_PCI_COMMON_STATUS, 1, 0xf);
	FUZZ_ASSERT((fuzz_read(g, dev, VIRTIO_PCI_COMMON_STATUS, 1) & 0xbf) == 0xf);
}

static inline void fuzz_put_desc(struct fuzz_guest *g, uint64_t table, unsigned i, const struct fuzz_seg *s, unsigned flags,
				 unsigned next)
{
	uint8_t d[16];

	store_le64(d, s->addr);
	store_le32(d + 8, s->len);
	store_le16(d + 12, (uint16_t)(flags | (s->in ? VRING_DESC_F_WRITE : 0)));
	store_le16(d + 14, (uint16_t)next);
	fuzz_store(g, table + 16 * i, d, sizeof(d));
}

static inline void fuzz_publish(struct fuzz_guest *g, struct fuzz_ring *r, uint16_t head)
{
	fuzz_poke(g, r->avail + 4 + 2 * (r->avail_idx % r->size), head, 2);
	r->avail_idx++;
	fuzz_poke(g, r->avail + 2, r->avail_idx, 2);
}

/* Offers one request; with TABLE, an address, through an indirect table there.  The caller leaves room for it. */
static inline struct fuzz_req *fuzz_offer(struct fuzz_guest *g, struct fuzz_ring *r, const struct fuzz_seg *s, unsigned n,
					  uint64_t table)
{
	uint16_t head = r->next % r->size;
	struct fuzz_req *req = &r->req[head];

	FUZZ_ASSERT(n && n <= FUZZ_CHAIN_MAX);
	for (unsigned i = 0; i < n; i++) {
		unsigned flags = i + 1 < n ? VRING_DESC_F_NEXT : 0, next = (head + i + 1) % r->size;

		if (table)
			fuzz_put_desc(g, table, i, &s[i], flags, i + 1);
		else
			fuzz_put_desc(g, r->desc, (head + i) % r->size, &s[i], flags, next);
		req->seg[i] = s[i];
	}
	if (table)
		fuzz_put_desc(g, r->desc, head, &(struct fuzz_seg){ table, 16 * n, false }, VRING_DESC_F_INDIRECT, 0);
	req->n = n;
	r->next = (uint16_t)(head + (table ? 1 : n));
	fuzz_publish(g, r, head);
	return req;
}

/* The next used request, or NULL; LEN bytes of it were written. */
static inline struct fuzz_req *fuzz_used(struct fuzz_guest *g, struct fuzz_ring *r, uint32_t *len)
{
	const uint8_t *used = fuzz_ptr(g, r->used, 6 + 8u * r->size), *e;

	FUZZ_ASSERT((uint16_t)(load_le16(used + 2) - r->used_seen) <= r->size);
	if (load_le16(used + 2) == r->used_seen)
		return NULL;
	e = used + 4 + 8 * (r->used_seen++ % r->size);
	FUZZ_ASSERT(load_le32(e) < r->size);
	*len = load_le32(e + 4);
	fuzz_poke(g, r->avail + 4 + 2 * r->size, r->used_seen, 2); /* an interrupt at the next one, please */
	return &r->req[load_le32(e)];
}

static inline void fuzz_kick(struct fuzz_guest *g, unsigned dev, unsigned q)
{
	fuzz_write(g, dev, VIRTIO_PCI_NOTIFY_OFF + q * VIRTIO_PCI_NOTIFY_MUL, 2, q);
}

/* ---- what must hold ----------------------------------------------------------------------------------------------- */

/*
 * From here until fuzz_memory_same(), nobody but the guest writes its memory but where fuzz_may_write() said.  For a guest
 * that did not write by fuzz_store() alone.
 */
static inline void fuzz_memory_mark(struct fuzz_guest *g)
{
	memcpy(g->shadow, g->low, FUZZ_LOW_SIZE);
	memcpy(g->shadow + FUZZ_LOW_SIZE, g->high, FUZZ_HIGH_SIZE);
}

static inline void fuzz_may_write(struct fuzz_guest *g, uint64_t addr, uint64_t len)
{
	const uint8_t *p = fuzz_ptr(g, addr, len);

	FUZZ_ASSERT(p);
	if (len)
		memcpy(fuzz_shadow(g, p), p, len);
}

static inline void fuzz_may_write_ring(struct fuzz_guest *g, const struct fuzz_ring *r)
{
	fuzz_may_write(g, r->used, 6 + 8u * r->size);
}

static inline void fuzz_memory_same(struct fuzz_guest *g)
{
	FUZZ_ASSERT(!memcmp(g->shadow, g->low, FUZZ_LOW_SIZE));
	FUZZ_ASSERT(!memcmp(g->shadow + FUZZ_LOW_SIZE, g->high, FUZZ_HIGH_SIZE));
}

/*
 * At rest: a queue that is whole has every request back, if ALL_BACK; one that broke says so in the status; the log
 * has had ten lines and one a second, whatever came.
 */
static inline void fuzz_check(struct fuzz_guest *g, bool all_back)
{
	for (unsigned d = 0; d < g->n_devs; d++) {
		struct virtio_dev *dev = g->vp[d].dev;

		for (unsigned i = 0; i < dev->n_queues; i++) {
			const struct virtq *q = &dev->queue[i].vq;
			unsigned in_flight = 0;

			for (unsigned w = 0; w < ARRAY_SIZE(q->inflight); w++)
				in_flight += (unsigned)__builtin_popcountll(q->inflight[w]);
			FUZZ_ASSERT(!q->broken || dev->status & VIRTIO_S_NEEDS_RESET);
			FUZZ_ASSERT(q->broken || q->popped - q->pushed == in_flight);
			FUZZ_ASSERT(!all_back || q->broken || !in_flight);
			FUZZ_ASSERT(!q->live || dev->status & VIRTIO_S_DRIVER_OK);
		}
	}
	FUZZ_ASSERT(g->log_lines <= 11 + (g->fh.now - g->began) / 1000000000ull + g->log_extra);
}

static inline void fuzz_calm(struct fuzz_guest *g)
{
	memset(g->mut, 0, sizeof(g->mut));
	g->fh.fail_at = g->fh.fail_on = 0;
	g->fh.max_io = 0;
}

/* ---- a guest that may do anything --------------------------------------------------------------------------------- */

static inline uint64_t fuzz_bus_addr(struct fuzz_guest *g)
{
	uint8_t how = fuzz_u8(&g->in);
	unsigned dev = how & 1;

	switch (how >> 1 & 7) {
	case 0:
	case 1: /* common configuration and MSI-X table */
		return FUZZ_BAR + dev * VIRTIO_PCI_BAR_SIZE + (how & 4 ? VIRTIO_PCI_MSIX_OFF : 0) + fuzz_u8(&g->in);
	case 2:
		return FUZZ_BAR + dev * VIRTIO_PCI_BAR_SIZE + VIRTIO_PCI_DEVICE_OFF + fuzz_u8(&g->in);
	case 3:
		return FUZZ_BAR + dev * VIRTIO_PCI_BAR_SIZE + (fuzz_u16(&g->in) & (VIRTIO_PCI_BAR_SIZE - 1));
	case 4:
	case 5:
		return fuzz_cfg(dev, fuzz_u8(&g->in));
	case 6:
		return FUZZ_ECAM + fuzz_uint(&g->in, 3) % MIB(1);
	default:
		return FUZZ_BAR + fuzz_value(&g->in);
	}
}

/* A chain that is well formed but for what the input spoils. */
static inline void fuzz_wild_chain(struct fuzz_guest *g, struct fuzz_ring *r)
{
	uint8_t how = fuzz_u8(&g->in);
	unsigned n = 1 + (how & 7), first = r->next % (r->size ? r->size : 1);
	uint64_t table = how & 8 ? fuzz_gpa(&g->in) : r->desc;
	unsigned at = how & 8 ? 0 : first;

	if (!r->size)
		return;
	for (unsigned i = 0; i < n; i++) {
		uint8_t b = fuzz_u8(&g->in);
		struct fuzz_seg s = { .addr = fuzz_gpa(&g->in), .in = b & 1 };
		unsigned flags = i + 1 < n ? VRING_DESC_F_NEXT : 0, next = (at + i + 1) % (how & 8 ? 256u : r->size);

		s.len = b & 2 ? (uint32_t)fuzz_value(&g->in) : (b >> 2 & 15) * 16u;
		if (b & 0x40)
			flags ^= fuzz_u8(&g->in) & 7;
		if (b & 0x80)
			next = fuzz_u8(&g->in);
		fuzz_put_desc(g, table, how & 8 ? i : (at + i) % r->size, &s, flags, next);
	}
	if (how & 8)
		fuzz_put_desc(g, r->desc, first, &(struct fuzz_seg){ table, how & 16 ? fuzz_u16(&g->in) : 16 * n, false },
			      VRING_DESC_F_INDIRECT | (how & 32 ? VRING_DESC_F_NEXT : 0), 0);
	r->next = (uint16_t)(first + (how & 8 ? 1 : n));
	if (how & 64)
		r->avail_idx = (uint16_t)(r->avail_idx + fuzz_u8(&g->in));
	fuzz_publish(g, r, how & 128 ? fuzz_u8(&g->in) : (uint16_t)first);
}

static inline void fuzz_plan_fault(struct fuzz_guest *g)
{
	static const int errors[] = { EIO, ENOSPC, EINTR, EAGAIN, EPIPE, EFAULT, ENOMEM, ENOSYS };
	uint8_t b = fuzz_u8(&g->in);

	g->fh.fail_at = 1 + (b & 7);
	g->fh.fail_errno = errors[b >> 3 & 7];
	g->fh.fail_on = b >> 6;
	g->log_extra += 2;
}

/* One thing that needs no knowledge of the device's class. */
static inline void fuzz_op(struct fuzz_guest *g)
{
	uint8_t op = fuzz_u8(&g->in), arg = op >> 4;
	struct fuzz_mutation *m;
	const uint8_t *bytes;
	uint64_t addr;
	size_t len;

	switch (op & 15) {
	case 0:
	case 1:
		addr = fuzz_bus_addr(g);
		bus_write(&g->mmio, addr, 1u << (arg & 3), fuzz_value(&g->in));
		break;
	case 2:
		bus_read(&g->mmio, fuzz_bus_addr(g), 1u << (arg & 3));
		break;
	case 3:
		addr = fuzz_gpa(&g->in);
		bytes = fuzz_bytes(&g->in, arg + 1u, &len);
		fuzz_store(g, addr, bytes, len);
		break;
	case 4:
		fuzz_poke(g, fuzz_gpa(&g->in), fuzz_value(&g->in), 1u << (arg & 3));
		break;
	case 5:
		if (arg & 8)
			fuzz_msix_on(g, 0);
		fuzz_setup(g, 0, fuzz_u8(&g->in) & 1 ? UINT64_MAX : ~VIRTIO_F_EVENT_IDX, (uint16_t)(1u << (arg & 7) % 6));
		break;
	case 6:
	case 7:
		fuzz_wild_chain(g, &g->ring[arg % FUZZ_RINGS]);
		break;
	case 8:
		fuzz_kick(g, 0, arg);
		break;
	case 9:
		fuzz_kick(g, 0, arg);
		fuzz_pump(&g->fh, FUZZ_STEPS);
		break;
	case 10:
		g->fh.now += arg * 300000000ull;
		break;
	case 11:
		fuzz_plan_fault(g);
		break;
	case 12:
		m = &g->mut[arg & 1];
		*m = (struct fuzz_mutation){ .left = 1 + (arg >> 1), .size = (uint8_t)(1u << (fuzz_u8(&g->in) & 3)),
					     .addr = fuzz_gpa(&g->in), .val = fuzz_value(&g->in) };
		break;
	case 13:
		g->fh.max_io = arg * 8;
		break;
	case 14:
		fuzz_write(g, 0, VIRTIO_PCI_COMMON_STATUS, 1, arg ? fuzz_u8(&g->in) : 0);
		break;
	default:
		fuzz_pump(&g->fh, FUZZ_STEPS);
		break;
	}
}

#endif
