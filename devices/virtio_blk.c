/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio_blk.c - requests of one queue, worked on one after the other on the I/O loop.
 *
 * A request is a header (16 readable bytes), data, and a status byte, the last writable one; a driver may split these
 * as it likes.  Every request that was taken is handed back exactly once, whatever is in it: a header that cannot be
 * read, a sector beyond the end, an unknown type get a status and no more.  A request without room for a status breaks
 * the device: there is no other way to answer it.
 */
#include "virtio_blk.h"

#include <assert.h>
#include "bits.h"
#include "segs.h"

#define QUEUE_SIZE 256
#define BATCH      32 /* requests a turn; then other devices have theirs */
#define SECTOR     512

#define F_SEG_MAX  BIT_ULL(2)
#define F_RO       BIT_ULL(5)
#define F_BLK_SIZE BIT_ULL(6)
#define F_FLUSH    BIT_ULL(9)
#define F_TOPOLOGY BIT_ULL(10)
#define F_DISCARD  BIT_ULL(13)
#define F_ZEROES   BIT_ULL(14)

/* What the host's page cache works with: a write of less may cost it a read. */
#define PHYSICAL_BLOCK 4096

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };

struct blk_header {
	uint32_t type, reserved;
	uint64_t sector;
};
static_assert(sizeof(struct blk_header) == 16, "virtio 1.2, 5.2.6");

/* One range of a discard or write-zeroes request (5.2.6). */
struct blk_range {
	uint64_t sector;
	uint32_t sectors, flags;
};
static_assert(sizeof(struct blk_range) == 16, "virtio 1.2, 5.2.6");

#define RANGE_UNMAP BIT(0)

/* Bounds on the work of one request: holes cost the host little, zeroes may have to be written. */
#define DISCARD_RANGES  16
#define DISCARD_SECTORS (1u << 22) /* of each: 2 GiB */
#define ZEROES_SECTORS  (1u << 16) /* of the one range: 32 MiB */

/* struct virtio_blk_config (5.2.4), up to write_zeroes_may_unmap. */
struct blk_config {
	uint64_t capacity; /* in sectors of 512 bytes */
	uint32_t size_max, seg_max;
	uint16_t cylinders;
	uint8_t heads, sectors;
	uint32_t blk_size;
	uint8_t physical_block_exp, alignment_offset; /* logical blocks in a physical one: their number's logarithm */
	uint16_t min_io_size;
	uint32_t opt_io_size;
	uint8_t writeback, unused;
	uint16_t num_queues;
	uint32_t max_discard_sectors, max_discard_seg, discard_sector_alignment;
	uint32_t max_write_zeroes_sectors, max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap, unused1[3];
};
static_assert(offsetof(struct blk_config, unused1) == 57, "virtio 1.2, 5.2.4");

static struct virtio_blk *to_blk(struct virtio_dev *dev)
{
	return container_of(dev, struct virtio_blk, dev);
}

/* Is [sector, sector + len) inside the disk, in whole sectors?  Its first byte goes to *OFF. */
static bool range_ok(const struct virtio_blk *b, uint64_t sector, size_t len, uint64_t *off)
{
	uint64_t end;

	return len % SECTOR == 0 && !__builtin_mul_overflow(sector, (uint64_t)SECTOR, off) &&
	       !__builtin_add_overflow(*off, len, &end) && end <= b->disk->size;
}

/* Each returns a status; *WRITTEN is how many bytes of the writable part it filled. */
static uint8_t do_read(struct virtio_blk *b, uint64_t sector, struct segs *in, uint32_t *written)
{
	uint64_t off;
	size_t len = in->left;

	if (!range_ok(b, sector, len, &off) || (len && b->disk->ops->readv(b->disk, in->iov, in->n, off)))
		return S_IOERR;
	*written = (uint32_t)len;
	return S_OK;
}

static uint8_t do_write(struct virtio_blk *b, uint64_t sector, struct segs *out)
{
	uint64_t off;

	if (b->disk->ro || !range_ok(b, sector, out->left, &off))
		return S_IOERR;
	if (out->left && b->disk->ops->writev(b->disk, out->iov, out->n, off))
		return S_IOERR;
	/* A driver that does not know of flushing takes a write that is done for one that is safe (5.2.6.2). */
	if (!virtio_has(&b->dev, F_FLUSH) && b->disk->ops->flush(b->disk))
		return S_IOERR;
	return S_OK;
}

static uint8_t one_range(struct virtio_blk *b, uint32_t type, const struct blk_range *r)
{
	uint32_t sectors = le32toh(r->sectors), flags = le32toh(r->flags);
	uint64_t off, len = (uint64_t)sectors * SECTOR;
	int ret;

	/* Unknown flags, and unmap where it means nothing, are unsupported (5.2.6.2). */
	if (flags & ~(type == T_ZEROES ? RANGE_UNMAP : 0u))
		return S_UNSUPP;
	if (sectors > (type == T_ZEROES ? ZEROES_SECTORS : DISCARD_SECTORS) || !range_ok(b, le64toh(r->sector), len, &off))
		return S_IOERR;
	if (!len)
		return S_OK;
	ret = type == T_ZEROES ? b->disk->ops->zero(b->disk, off, len, flags & RANGE_UNMAP) :
				 b->disk->ops->discard(b->disk, off, len);
	return !ret ? S_OK : ret == -EOPNOTSUPP ? S_UNSUPP : S_IOERR;
}

/* All ranges are read before the first is acted on, so that a request that is malformed does nothing. */
static uint8_t do_ranges(struct virtio_blk *b, uint32_t type, struct segs *out)
{
	struct blk_range r[DISCARD_RANGES];
	size_t n = out->left / sizeof(r[0]), max = type == T_ZEROES ? 1 : DISCARD_RANGES;
	uint8_t status = S_OK;

	if (!virtio_has(&b->dev, type == T_ZEROES ? F_ZEROES : F_DISCARD))
		return S_UNSUPP;
	if (b->disk->ro || !n || n > max || out->left % sizeof(r[0]) || !segs_take(out, r, n * sizeof(r[0])))
		return S_IOERR;
	for (size_t i = 0; i < n && status == S_OK; i++)
		status = one_range(b, type, &r[i]);
	if (status == S_OK && type == T_ZEROES && !virtio_has(&b->dev, F_FLUSH) && b->disk->ops->flush(b->disk))
		status = S_IOERR;
	return status;
}

static uint8_t do_get_id(struct virtio_blk *b, struct segs *in, uint32_t *written)
{
	size_t len = MIN(in->left, sizeof(b->serial));

	*written = (uint32_t)len;
	return segs_put(in, b->serial, len) ? S_OK : S_IOERR;
}

static uint8_t execute(struct virtio_blk *b, struct segs *out, struct segs *in, uint32_t *written)
{
	struct blk_header h;

	if (!segs_take(out, &h, sizeof(h)))
		return S_IOERR;
	switch (le32toh(h.type)) {
	case T_IN:
		return do_read(b, le64toh(h.sector), in, written);
	case T_OUT:
		return do_write(b, le64toh(h.sector), out);
	case T_FLUSH:
		return b->disk->ops->flush(b->disk) ? S_IOERR : S_OK;
	case T_GET_ID:
		return do_get_id(b, in, written);
	case T_DISCARD:
	case T_ZEROES:
		return do_ranges(b, le32toh(h.type), out);
	default:
		return S_UNSUPP;
	}
}

/* False: there is no place for an answer. */
static bool handle(struct virtio_blk *b, struct virtq *vq)
{
	struct segs out = segs_out(&b->req), in = segs_in(&b->req);
	uint8_t *status = segs_last_byte(&in);
	size_t room = in.left;
	uint32_t written = 0;

	if (!status)
		return false;
	*status = execute(b, &out, &in, &written);
	/* What the driver may trust is a prefix: all of the data and the status behind it, or nothing. */
	vq_push(vq, b->req.head, written == room ? written + 1 : written);
	return true;
}

static void blk_notify(struct virtio_dev *dev, unsigned q)
{
	struct virtio_blk *b = to_blk(dev);
	struct virtq *vq = &dev->queue[q].vq;
	unsigned n = 0;

	do {
		vq_notify_off(vq);
		while (vq_pop(vq, &b->req) == 1) {
			if (!handle(b, vq)) {
				virtio_break(dev, "request %u has no room for a status", b->req.head);
				return;
			}
			virtio_signal(dev, q);
			if (++n == BATCH) {
				virtio_again(dev, q);
				return;
			}
		}
	} while (vq_notify_on(vq));
}

static uint8_t physical_exp(uint32_t block_size)
{
	uint8_t exp = 0;

	while ((uint64_t)block_size << exp < PHYSICAL_BLOCK)
		exp++;
	return exp;
}

static void blk_config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len)
{
	const struct virtio_blk *b = to_blk(dev);
	const struct blk_config c = {
		.capacity = htole64(b->capacity),
		.seg_max = htole32(VIRTQ_MAX_SEGS - 2), /* header and status */
		.blk_size = htole32(b->disk->block_size),
		.physical_block_exp = physical_exp(b->disk->block_size),
		.max_discard_sectors = htole32(DISCARD_SECTORS),
		.max_discard_seg = htole32(DISCARD_RANGES),
		.discard_sector_alignment = htole32(PHYSICAL_BLOCK / SECTOR),
		.max_write_zeroes_sectors = htole32(ZEROES_SECTORS),
		.max_write_zeroes_seg = htole32(1),
		.write_zeroes_may_unmap = 1,
	};

	memcpy(buf, (const char *)&c + off, len);
}

void virtio_blk_resized(struct virtio_blk *b)
{
	uint64_t capacity = b->disk->size / SECTOR;

	pthread_mutex_lock(&b->dev.lock);
	if (b->capacity != capacity) {
		b->capacity = capacity;
		virtio_config_changed_locked(&b->dev);
	}
	pthread_mutex_unlock(&b->dev.lock);
}

static const struct virtio_class blk_class = {
	.name = "virtio-blk",
	.device_id = 2,
	.pci_class = 0x010000, /* SCSI storage, as other machines have it */
	.notify = blk_notify,
	.config_read = blk_config_read,
};

void virtio_blk_init(struct virtio_blk *b, const char *name, struct disk *disk, const char *serial,
		     const struct gmem *mem, struct evloop *loop, struct log *log)
{
	uint64_t features = F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY | (disk->ro ? F_RO : F_DISCARD | F_ZEROES);

	b->disk = disk;
	b->capacity = disk->size / SECTOR;
	memset(b->serial, 0, sizeof(b->serial));
	memcpy(b->serial, serial, strnlen(serial, sizeof(b->serial)));
	virtio_init(&b->dev, &blk_class, name, 1, QUEUE_SIZE, sizeof(struct blk_config), features, mem, loop, log);
}

void virtio_blk_fini(struct virtio_blk *b)
{
	virtio_fini(&b->dev);
}
