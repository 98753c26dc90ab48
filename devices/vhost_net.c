/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vhost_net.c - setting up and taking down the kernel's workers (Linux include/uapi/linux/vhost.h).
 *
 * A worker gets the memory map, the rings' places, the guest's bell as its kick, and an eventfd of ours as its call
 * (virtio_call.h).  While it works, the bell is not ours to read: the guest's notification wakes the worker, the worker's
 * call interrupts the guest, and we have no part in either.
 */
#include "vhost_net.h"

#include <fcntl.h>
#include <linux/vhost.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include "bits.h"
#include "virtio_call.h"

struct vhost_pair {
	int fd; /* -1: none */
	bool started;
	uint64_t features; /* that the worker has */
	struct virtio_dev *dev;
	struct virtio_call call[2];
};

struct vhost_net {
	const struct host *host;
	struct evloop *loop;
	unsigned pairs;
	struct vhost_pair pair[NETIF_PAIRS];
};

/* The kernel's struct ends in an array without a length. */
struct memory_table {
	struct vhost_memory head;
	struct vhost_memory_region region[GMEM_MAX_REGIONS];
};

static int vhost_ioctl(struct vhost_net *v, const struct vhost_pair *p, unsigned long req, const void *arg)
{
	int ret = v->host->ioctl(v->host, p->fd, req, (uintptr_t)arg);

	return ret < 0 ? ret : 0;
}

static int open_pair(struct vhost_net *v, struct tvmm_error *err)
{
	struct vhost_pair *p = &v->pair[v->pairs];
	int ret = v->host->open(v->host, "/dev/vhost-net", O_RDWR, 0);

	if (ret < 0)
		return err_set(err, TVMM_E_UNSUPPORTED, -ret, "/dev/vhost-net", "cannot open it");
	p->fd = ret;
	ret = vhost_ioctl(v, p, VHOST_SET_OWNER, NULL);
	if (!ret)
		ret = vhost_ioctl(v, p, VHOST_GET_FEATURES, &p->features);
	if (ret)
		err_set(err, TVMM_E_UNSUPPORTED, -ret, "/dev/vhost-net", "it does not answer as vhost does");
	if (!ret)
		ret = virtio_call_init(&p->call[0], v->loop, err);
	if (!ret) {
		ret = virtio_call_init(&p->call[1], v->loop, err);
		if (ret)
			virtio_call_fini(&p->call[0]);
	}
	if (ret) {
		v->host->close(v->host, p->fd);
		return ret;
	}
	v->pairs++;
	return 0;
}

int vhost_net_open(struct vhost_net **out, const struct host *h, struct evloop *loop, unsigned pairs, struct tvmm_error *err)
{
	struct vhost_net *v = calloc(1, sizeof(*v));
	int ret = 0;

	if (!v)
		return err_set(err, TVMM_E_MEMORY, ENOMEM, "net", "out of memory");
	v->host = h;
	v->loop = loop;
	while (!ret && v->pairs < pairs)
		ret = open_pair(v, err);
	if (ret)
		vhost_net_close(v);
	else
		*out = v;
	return ret;
}

void vhost_net_close(struct vhost_net *v)
{
	if (!v)
		return;
	for (unsigned i = 0; i < v->pairs; i++) {
		vhost_net_stop(v, i);
		virtio_call_fini(&v->pair[i].call[0]);
		virtio_call_fini(&v->pair[i].call[1]);
		v->host->close(v->host, v->pair[i].fd);
	}
	free(v);
}

static int set_memory(struct vhost_net *v, struct vhost_pair *p, const struct gmem *mem)
{
	struct memory_table t = { .head.nregions = mem->n };
	uint8_t buf[sizeof(t.head) + sizeof(t.region)];

	for (unsigned i = 0; i < mem->n; i++)
		t.region[i] = (struct vhost_memory_region){ .guest_phys_addr = mem->region[i].base,
							    .memory_size = mem->region[i].size,
							    .userspace_addr = (uintptr_t)mem->region[i].host };
	memcpy(buf, &t.head, sizeof(t.head));
	memcpy(buf + sizeof(t.head), t.region, sizeof(t.region));
	return vhost_ioctl(v, p, VHOST_SET_MEM_TABLE, buf);
}

/* A queue of the driver's becomes ring RING of the worker's. */
static int set_ring(struct vhost_net *v, struct vhost_pair *p, unsigned ring, unsigned queue)
{
	const struct virtq *vq = &p->dev->queue[queue].vq;
	struct vhost_vring_state num = { .index = ring, .num = vq->size }, base = { .index = ring, .num = vq->next_avail };
	struct vhost_vring_addr addr = { .index = ring, .desc_user_addr = (uintptr_t)vq->desc,
					 .avail_user_addr = (uintptr_t)vq->avail, .used_user_addr = (uintptr_t)vq->used };
	struct vhost_vring_file kick = { .index = ring, .fd = p->dev->transport->bell_fd(p->dev, queue) };
	struct vhost_vring_file call = { .index = ring, .fd = virtio_call_fd(&p->call[ring]) };
	int ret = vhost_ioctl(v, p, VHOST_SET_VRING_NUM, &num);

	if (!ret)
		ret = vhost_ioctl(v, p, VHOST_SET_VRING_BASE, &base);
	if (!ret)
		ret = vhost_ioctl(v, p, VHOST_SET_VRING_ADDR, &addr);
	if (!ret)
		ret = vhost_ioctl(v, p, VHOST_SET_VRING_KICK, &kick);
	if (!ret)
		ret = vhost_ioctl(v, p, VHOST_SET_VRING_CALL, &call);
	if (!ret)
		virtio_call_attach(&p->call[ring], p->dev, queue);
	return ret;
}

static int set_backend(struct vhost_net *v, struct vhost_pair *p, unsigned ring, int fd)
{
	struct vhost_vring_file backend = { .index = ring, .fd = fd };

	return vhost_ioctl(v, p, VHOST_NET_SET_BACKEND, &backend);
}

int vhost_net_start(struct vhost_net *v, struct virtio_dev *dev, unsigned pair, int tap_fd)
{
	struct vhost_pair *p = &v->pair[pair];
	uint64_t features = dev->driver_features & p->features;
	int ret;

	if (pair >= v->pairs || p->started || !dev->queue[2 * pair].vq.live || !dev->queue[2 * pair + 1].vq.live)
		return -EINVAL;
	p->dev = dev;
	p->started = true;
	ret = vhost_ioctl(v, p, VHOST_SET_FEATURES, &features);
	if (!ret)
		ret = set_memory(v, p, dev->mem);
	for (unsigned ring = 0; !ret && ring < 2; ring++) {
		dev->transport->bell_watch(dev, 2 * pair + ring, false);
		ret = set_ring(v, p, ring, 2 * pair + ring);
	}
	for (unsigned ring = 0; !ret && ring < 2; ring++)
		ret = set_backend(v, p, ring, tap_fd);
	if (ret)
		vhost_net_stop(v, pair);
	return ret;
}

void vhost_net_stop(struct vhost_net *v, unsigned pair)
{
	struct vhost_pair *p = &v->pair[pair];

	if (!p->started)
		return;
	for (unsigned ring = 0; ring < 2; ring++) {
		struct vhost_vring_file none = { .index = ring, .fd = VHOST_FILE_UNBIND };

		set_backend(v, p, ring, VHOST_FILE_UNBIND); /* waits for the worker */
		vhost_ioctl(v, p, VHOST_SET_VRING_KICK, &none);
		virtio_call_detach(&p->call[ring]);
		p->dev->transport->bell_watch(p->dev, 2 * pair + ring, true);
	}
	p->started = false;
	p->dev = NULL;
}
