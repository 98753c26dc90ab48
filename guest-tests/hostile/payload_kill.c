/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * payload_kill.c - writes numbered sectors to a disk and flushes, for ever, and says after each flush up to which number
 * all is safe.  The host half (t_kill.c) kills the machine, and looks.
 *
 * Round R writes EXTENTS extents, at places and of lengths that follow from R (kill.h), all in flight at once; when
 * their statuses are there it flushes.  On every third round the flush is offered together with the next round's
 * writes, as a driver with a deep queue would have it.  Each sector: magic, round, sector, a checksum, and a pattern.
 * Arguments: from=N the first round, rounds=N how many (0: until killed).
 */
#include "virtio.h"
#include "kill.h"

struct request { uint32_t type, reserved; uint64_t sector; volatile uint8_t status; uint8_t pad[7]; };

static struct vdev disk;
static struct request *req;           /* EXTENTS writes of two rounds, and the flush */
static uint8_t *data[2];              /* of two rounds */
static uint64_t n_sectors;

struct round { uint64_t number; uint8_t *data; };

static uint64_t fill_round(void *arg)
{
	struct round *r = arg;
	struct kill_sector *s = (struct kill_sector *)r->data;

	for (unsigned e = 0; e < KILL_EXTENTS; e++) {
		uint64_t first = kill_place(r->number, e, n_sectors);

		for (unsigned i = 0; i < kill_length(r->number, e); i++)
			kill_fill(s++, r->number, first + i);
	}
	return 0;
}

static void offer(struct request *r, uint32_t type, uint64_t sector, uint8_t *p, uint32_t len)
{
	*r = (struct request){ .type = type, .sector = sector, .status = 0xee };
	struct vbuf b[3] = { { r, 16, false }, { p, len, false }, { &r->status, 1, true } };
	struct vbuf flush[2] = { b[0], b[2] };

	if (vq_add(&disk.q[0], p ? b : flush, p ? 3 : 2) < 0)
		report(false, "descriptors");
}

static void offer_round(uint64_t number)
{
	struct round r = { number, data[number % 2] };
	uint8_t *p = r.data;

	ring3(fill_round, &r);
	for (unsigned e = 0; e < KILL_EXTENTS; e++) {
		uint32_t len = kill_length(number, e) * 512;

		offer(&req[number % 2 * KILL_EXTENTS + e], 1, kill_place(number, e, n_sectors), p, len);
		p += len;
	}
}

/* Waits until N of them are used; true if the requests FROM to FROM + COUNT have succeeded. */
static bool wait_used(unsigned n)
{
	uint32_t head, len;

	while (n--)
		if (!vq_wait(&disk.q[0], &head, &len, 20000))
			return false;
	return true;
}

static bool all_ok(uint64_t number)
{
	for (unsigned e = 0; e < KILL_EXTENTS; e++)
		if (req[number % 2 * KILL_EXTENTS + e].status)
			return false;
	return true;
}

void guest_main(void)
{
	uint64_t r = boot_arg_num("from", 1), last = boot_arg_num("rounds", 0), flushes = 0;
	struct request *flush;
	bool good = true, ahead = false;

	if (!virtio_open(&disk, VIRTIO_BLK, 0) || !virtio_start(&disk, 1ull << 9) || !virtio_queue(&disk, 0, 256, VIRTIO_NO_VECTOR)) {
		report(false, "the disk is set up");
		return;
	}
	virtio_ready(&disk);
	n_sectors = mmio_r64(disk.config);
	req = page_alloc(1);
	flush = &req[2 * KILL_EXTENTS];
	for (unsigned i = 0; i < 2; i++)
		data[i] = page_alloc(KILL_EXTENTS * KILL_MAX_LENGTH / 8);
	last = last ? r + last : ~0ull;
	for (; good && r < last; r++) {
		bool next = r % 3 == 0 && r + 1 < last;

		if (!ahead) {
			offer_round(r);
			vq_kick(&disk.q[0]);
		}
		good = wait_used(KILL_EXTENTS) && all_ok(r);
		offer(flush, 4, 0, NULL, 0);
		if (next)
			offer_round(r + 1);
		ahead = next;
		vq_kick(&disk.q[0]);
		/* The device works in order here, so the first to come is the flush; its status tells, whoever is first. */
		while (good && flush->status == 0xee)
			cpu_relax();
		good = good && flush->status == 0 && wait_used(1);
		flushes++;
		if (good)
			con_printf("F %lu\n", r);
	}
	report(good, "every write and flush succeeds");
	con_printf("# flushes %lu\n", flushes);
}
