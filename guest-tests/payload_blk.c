/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * payload_blk.c - virtio-blk (virtio 1.2, 5.2): disk 0 writable, disk 1 read-only with the same pattern.
 * Sector S of both begins as: each 32-bit word is S * 2654435761 + its index.  What is written is the complement.
 * With extra=N nothing is checked: N small reads, polled, for t_blk.c to count what they cost.  Checking runs in ring 3.  The host half (t_blk.c) makes the images and looks at them afterwards.
 */
#include "virtio.h"

#define SECTORS  8192 /* 4 MiB */
#define T_IN 0
#define T_OUT 1
#define T_FLUSH 4
#define T_GET_ID 8
#define F_RO (1ull << 5)
#define F_FLUSH (1ull << 9)
#define S_OK 0
#define S_IOERR 1
#define S_UNSUPP 2
#define DEPTH 32

struct header { uint32_t type, reserved; uint64_t sector; };
struct request { struct header h; volatile uint8_t status; };

static struct vdev disk[2];

/* One request with its data in N_DATA buffers; the status byte, or -1. */
static int submit(struct vdev *v, uint32_t type, uint64_t sector, const struct vbuf *data, unsigned n_data, long *written)
{
	static struct request r;
	struct vbuf b[20];
	long n;

	r.h = (struct header){ type, 0, sector };
	r.status = 0xee;
	b[0] = (struct vbuf){ &r.h, sizeof(r.h), false };
	for (unsigned i = 0; i < n_data; i++)
		b[1 + i] = data[i];
	b[1 + n_data] = (struct vbuf){ &r.status, 1, true };
	n = vq_do(&v->q[0], b, n_data + 2);
	if (written)
		*written = n;
	return n < 0 ? -1 : r.status;
}

struct span { volatile uint32_t *p; uint64_t sector; unsigned sectors; uint32_t flip; };

static uint64_t count_wrong(void *arg)
{
	struct span *s = arg;
	uint64_t wrong = 0;

	for (unsigned i = 0; i < s->sectors; i++)
		for (uint32_t w = 0; w < 128; w++)
			wrong += s->p[i * 128 + w] != (((uint32_t)(s->sector + i) * 2654435761u + w) ^ s->flip);
	return wrong;
}

static uint64_t fill(void *arg)
{
	struct span *s = arg;

	for (unsigned i = 0; i < s->sectors; i++)
		for (uint32_t w = 0; w < 128; w++)
			s->p[i * 128 + w] = ((uint32_t)(s->sector + i) * 2654435761u + w) ^ s->flip;
	return 0;
}

static void check_read(struct vdev *v, const char *name)
{
	struct span s = { page_alloc(64), 0, 512, 0 };
	uint64_t wrong = 0;
	long n = 0;
	bool good = true;

	for (; s.sector < SECTORS; s.sector += s.sectors) {
		good = good && submit(v, T_IN, s.sector, &(struct vbuf){ s.p, 512 * 512, true }, 1, &n) == S_OK && n == 512 * 512 + 1;
		wrong += ring3(count_wrong, &s);
	}
	report(good, "%s: reads of 256 KiB succeed (used length %ld)", name, n);
	report(wrong == 0, "%s: all 4 MiB are what the host wrote (%lu words differ)", name, wrong);
}

static void check_split(struct vdev *v)
{
	volatile uint8_t *m = page_alloc(8);
	struct span s = { (volatile uint32_t *)m, 77, 8, 0 };
	struct vbuf b[] = { { m, 512, true }, { m + 512, 1024, true }, { m + 1536, 4, true }, { m + 1540, 2556, true } };

	report(submit(v, T_IN, 77, b, 4, NULL) == S_OK && ring3(count_wrong, &s) == 0, "a read into four odd buffers");
	/* The header itself may be split (virtio 1.2, 2.7.4). */
	struct header *h = page_alloc(1);
	volatile uint8_t *status = (volatile uint8_t *)(h + 1);
	*h = (struct header){ T_IN, 0, 4000 };
	*status = 0xee;
	s.sector = 4000;
	s.sectors = 1;
	struct vbuf c[] = { { h, 7, false }, { (uint8_t *)h + 7, 9, false }, { m, 500, true }, { m + 500, 12, true },
			    { status, 1, true } };
	report(vq_do(&v->q[0], c, 5) >= 0 && *status == S_OK && ring3(count_wrong, &s) == 0, "a header in two pieces");
	*status = 0xee;
	struct vbuf d[] = { { h, 16, false }, { m, 513, true } };
	s.sector = 4000;
	memset((void *)m, 0, 600);
	report(vq_do(&v->q[0], d, 2) >= 0 && m[512] == S_OK && ring3(count_wrong, &s) == 0, "status in the data's last buffer");
}

static void check_write(struct vdev *v)
{
	struct span s = { page_alloc(64), 1024, 512, ~0u }, back = { page_alloc(64), 1024, 512, ~0u };

	ring3(fill, &s);
	report(submit(v, T_OUT, 1024, &(struct vbuf){ s.p, 512 * 512, false }, 1, NULL) == S_OK, "256 KiB are written");
	report(submit(v, T_FLUSH, 0, NULL, 0, NULL) == S_OK, "flushed");
	report(submit(v, T_IN, 1024, &(struct vbuf){ back.p, 512 * 512, true }, 1, NULL) == S_OK && ring3(count_wrong, &back) == 0,
	       "and read back");
	s.sector = SECTORS - 1;
	s.sectors = 1;
	ring3(fill, &s);
	report(submit(v, T_OUT, SECTORS - 1, &(struct vbuf){ s.p, 512, false }, 1, NULL) == S_OK, "the last sector is written");
}

static void check_refusals(struct vdev *v)
{
	volatile uint8_t *m = page_alloc(2);
	struct vbuf in = { m, 512, true }, in2 = { m, 1024, true };
	int st;

	st = submit(v, T_IN, SECTORS, &in, 1, NULL);
	report(st == S_IOERR, "a read behind the end is an I/O error (%d)", st);
	st = submit(v, T_IN, SECTORS - 1, &in2, 1, NULL);
	report(st == S_IOERR, "a read across the end as well (%d)", st);
	st = submit(v, T_IN, ~0ull, &in, 1, NULL);
	report(st == S_IOERR, "a read at the last number as well (%d)", st);
	st = submit(v, T_OUT, (1ull << 55) - 1, &(struct vbuf){ m, 512, false }, 1, NULL);
	report(st == S_IOERR, "a write where sector * 512 wraps as well (%d)", st);
	st = submit(v, 0x1234, 0, &in, 1, NULL);
	report(st == S_UNSUPP, "an unknown request is unsupported (%d)", st);
	st = submit(v, T_IN, 0, &(struct vbuf){ m, 100, true }, 1, NULL);
	report(st == S_IOERR, "a read of 100 bytes is an I/O error (%d)", st);
	report(submit(v, T_IN, 0, &in, 1, NULL) == S_OK, "after all that, a read works");
}

static void check_id(struct vdev *v, const char *want)
{
	volatile char *m = page_alloc(1);
	int st;

	memset((void *)m, 'x', 32);
	st = submit(v, T_GET_ID, 0, &(struct vbuf){ m, 20, true }, 1, NULL);
	m[20] = 0;
	report(st == S_OK && !strcmp((const char *)m, want), "the serial is %s", want);
}

/* Many at once: descriptors for DEPTH requests of three. */
static void check_depth(struct vdev *v)
{
	struct request *r = page_alloc(1);
	volatile uint8_t *m = page_alloc(DEPTH);
	uint32_t head, len, done = 0;
	uint64_t wrong = 0;
	bool good = true;

	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < DEPTH; i++) {
			r[i].h = (struct header){ T_IN, 0, (i * 37 + round * 101) % 1000 };
			r[i].status = 0xee;
			struct vbuf b[] = { { &r[i].h, 16, false }, { m + i * 4096, 4096, true }, { &r[i].status, 1, true } };
			good = good && vq_add(&v->q[0], b, 3) >= 0;
		}
		vq_kick(&v->q[0]);
		for (unsigned i = 0; i < DEPTH && vq_wait(&v->q[0], &head, &len, 5000); i++)
			done++;
		for (unsigned i = 0; i < DEPTH; i++) {
			struct span s = { (volatile uint32_t *)(m + i * 4096), r[i].h.sector, 8, 0 };

			good = good && r[i].status == S_OK;
			wrong += ring3(count_wrong, &s);
		}
	}
	report(good && done == 4 * DEPTH, "%u requests in flight, four times (%u done)", DEPTH, done);
	report(wrong == 0, "each got its own sectors (%lu words differ)", wrong);
}

static void check_indirect(struct vdev *v)
{
	struct vdesc *table = page_alloc(1);
	struct request *r = page_alloc(1);
	volatile uint8_t *m = page_alloc(1);
	struct span s = { (volatile uint32_t *)m, 55, 1, 0 };
	uint32_t head, len;

	if (!(v->features & VF_INDIRECT)) {
		report_skip("indirect descriptors", "not offered");
		return;
	}
	r->h = (struct header){ T_IN, 0, 55 };
	r->status = 0xee;
	table[0] = (struct vdesc){ (uint64_t)&r->h, 16, VD_NEXT, 1 };
	table[1] = (struct vdesc){ (uint64_t)m, 512, VD_WRITE | VD_NEXT, 2 };
	table[2] = (struct vdesc){ (uint64_t)&r->status, 1, VD_WRITE, 0 };
	vq_desc(&v->q[0], 5, (uint64_t)table, 48, VD_INDIRECT, 0);
	vq_offer(&v->q[0], 5);
	vq_ring_bell(&v->q[0]);
	bool done = vq_wait(&v->q[0], &head, &len, 5000);
	report(done && head == 5 && r->status == S_OK && ring3(count_wrong, &s) == 0, "an indirect chain");
}

static bool set_up(struct vdev *v, unsigned nth)
{
	return virtio_open(v, VIRTIO_BLK, nth) &&
	       virtio_start(v, F_RO | F_FLUSH | VF_INDIRECT) && virtio_queue(v, 0, 256, VIRTIO_NO_VECTOR);
}

static void read_often(struct vdev *v, unsigned n)
{
	struct vbuf b = { page_alloc(1), 512, true };
	bool good = true;

	for (unsigned i = 0; i < n; i++)
		good = good && submit(v, T_IN, i, &b, 1, NULL) == S_OK;
	report(good, "small reads");
}

void guest_main(void)
{
	char extra[16];
	int st;

	for (unsigned i = 0; i < 2; i++) {
		if (!report(set_up(&disk[i], i), "disk %u is set up", i))
			return;
		virtio_ready(&disk[i]);
		report(mmio_r64(disk[i].config) == SECTORS, "disk %u has %lu sectors", i, mmio_r64(disk[i].config));
	}
	if (boot_arg("extra", extra, sizeof(extra))) {
		read_often(&disk[0], (unsigned)boot_arg_num("extra", 0));
		return;
	}
	report(!(disk[0].offered & F_RO) && (disk[1].offered & F_RO), "the second says that it is read-only");
	report(disk[0].offered & F_FLUSH, "flush is offered");
	check_id(&disk[0], "first");
	check_id(&disk[1], "second-with-20-chars");
	check_read(&disk[0], "disk 0");
	check_read(&disk[1], "disk 1");
	check_split(&disk[0]);
	check_depth(&disk[0]);
	check_write(&disk[0]);
	check_refusals(&disk[0]);
	st = submit(&disk[1], T_OUT, 0, &(struct vbuf){ page_alloc(1), 512, false }, 1, NULL);
	report(st == S_IOERR, "a write to the read-only disk is an I/O error (%d)", st);
	check_read(&disk[1], "disk 1, unharmed");
	check_indirect(&disk[1]);
}
