/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio_blk_config.h - what virtio_blk.c and the configuration that it shows (virtio_blk_config.c) agree on.  Both alone
 * include it.
 */
#ifndef TVMM_DEVICES_VIRTIO_BLK_CONFIG_H
#define TVMM_DEVICES_VIRTIO_BLK_CONFIG_H

#include "virtio.h"

#define VIRTIO_BLK_SECTOR     512
#define VIRTIO_BLK_CONFIG_LEN 64

/* Bounds on the work of one request: holes cost the host little, zeroes may have to be written. */
#define VIRTIO_BLK_DISCARD_RANGES  16
#define VIRTIO_BLK_DISCARD_SECTORS (1u << 22) /* of each: 2 GiB */
#define VIRTIO_BLK_ZEROES_SECTORS  (1u << 16) /* of the one range: 32 MiB */

/* As struct virtio_class has it. */
void virtio_blk_config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len);

#endif
