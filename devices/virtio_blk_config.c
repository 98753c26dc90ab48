/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio_blk_config.c - the configuration space of virtio-blk (virtio 1.2, 5.2.4): what a driver learns of the disk.
 *
 * Read by vCPUs, under the device's lock.  The capacity is a copy of the disk's, changed on the loop under that lock.
 */
#include "virtio_blk_config.h"

#include <assert.h>
#include "bits.h"
#include "virtio_blk.h"

/* What the host's page cache works with: a write of less may cost it a read. */
#define PHYSICAL_BLOCK 4096

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
	uint8_t write_zeroes_may_unmap, unused1[7]; /* to the end: padding would not be initialised */
};
static_assert(offsetof(struct blk_config, unused1) == 57, "virtio 1.2, 5.2.4");
static_assert(sizeof(struct blk_config) == 64, "no padding that a guest could read");
static_assert(sizeof(struct blk_config) == VIRTIO_BLK_CONFIG_LEN, "virtio 1.2, 5.2.4");

static uint8_t physical_exp(uint32_t block_size)
{
	uint8_t exp = 0;

	while ((uint64_t)block_size << exp < PHYSICAL_BLOCK)
		exp++;
	return exp;
}

void virtio_blk_config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len)
{
	const struct virtio_blk *b = container_of(dev, struct virtio_blk, dev);
	const struct blk_config c = {
		.capacity = htole64(b->capacity),
		.seg_max = htole32(VIRTQ_MAX_SEGS - 2), /* header and status */
		.blk_size = htole32(b->disk->block_size),
		.physical_block_exp = physical_exp(b->disk->block_size),
		.num_queues = htole16(dev->n_queues > 1 ? (uint16_t)dev->n_queues : 0),
		.max_discard_sectors = htole32(VIRTIO_BLK_DISCARD_SECTORS),
		.max_discard_seg = htole32(VIRTIO_BLK_DISCARD_RANGES),
		.discard_sector_alignment = htole32(PHYSICAL_BLOCK / VIRTIO_BLK_SECTOR),
		.max_write_zeroes_sectors = htole32(VIRTIO_BLK_ZEROES_SECTORS),
		.max_write_zeroes_seg = htole32(1),
		.write_zeroes_may_unmap = 1,
	};

	memcpy(buf, (const char *)&c + off, len);
}

void virtio_blk_resized(struct virtio_blk *b)
{
	uint64_t capacity = b->disk->size / VIRTIO_BLK_SECTOR;

	pthread_mutex_lock(&b->dev.lock);
	if (b->capacity != capacity) {
		b->capacity = capacity;
		virtio_config_changed_locked(&b->dev);
	}
	pthread_mutex_unlock(&b->dev.lock);
}
