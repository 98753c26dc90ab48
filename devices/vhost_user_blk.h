/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vhost_user_blk.h - a virtio-blk device whose requests a vhost-user server works on (vhost_user.h).
 *
 * What the driver sees is the server's: features, configuration, and every answer.  When the server is gone, each request
 * is answered here with an I/O error, until the machine's end.
 */
#ifndef TVMM_DEVICES_VHOST_USER_BLK_H
#define TVMM_DEVICES_VHOST_USER_BLK_H

#include "vhost_user.h"

#define VHOST_USER_BLK_CONFIG 64 /* bytes that the driver may read, as of other disks */

struct vhost_user_blk {
	struct virtio_dev dev;
	struct vhost_user *server; /* borrowed; NULL: not built */
	uint8_t config[VHOST_USER_BLK_CONFIG]; /* under dev.lock */
	bool active;               /* the loop's: the queues are in use, by the server or by us */
	struct virtq_req req;
};

/* With at most QUEUES queues, fewer if the server has fewer. */
void vhost_user_blk_init(struct vhost_user_blk *b, const char *name, struct vhost_user *server, unsigned queues,
			 const struct gmem *mem, struct evloop *loop, struct log *log);
void vhost_user_blk_fini(struct vhost_user_blk *b); /* harmless on a zeroed or finished structure */

#endif
