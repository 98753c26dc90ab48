/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_vhost_net.c - queues handed to a worker and taken back, with the test's own ioctl() for the kernel: what it is told,
 * whose the bells are meanwhile, what a failure of each call leaves.
 */
#include "vhost_net.h"
#include <sys/epoll.h>
#include <unistd.h>
#include "test_driver.h"
#include "test_host.h"
#include "virtio_net.h"
#include <linux/vhost.h> /* last: it has other things under the names of virtio.h's feature bits */

#define VERSION_1 BIT_ULL(32)
#define EVENT_IDX BIT_ULL(29)
#define INDIRECT  BIT_ULL(28)

static struct {
	struct test_host th;
	struct td t;
	struct virtio_net net;
	struct netif nif;
	struct vhost_net *vhost;
	/* The kernel. */
	uint64_t features;
	struct vhost_vring_state num[2], base[2];
	struct vhost_vring_addr addr[2];
	int kick[2], call[2], backend[2];
	uint64_t region_base;
	/* The device. */
	bool watched[2], lent;
	unsigned recvs;
	/* The transport: whether its host can deliver calls, and which. */
	bool delivers;
	int routed[2];
} k;

#define TAP_FD 77

static int vhost_open(const struct host *h, const char *path, int flags, mode_t mode)
{
	int ret = th_call(h, OP_OPEN, -1);

	ck_assert_str_eq(path, "/dev/vhost-net");
	return ret ? ret : host_linux()->open(host_linux(), "/dev/null", flags, mode);
}

static int vhost_ioctl(const struct host *h, int fd, unsigned long req, uintptr_t arg)
{
	const struct vhost_vring_file *f = (const void *)arg;
	int ret = th_call(h, OP_IOCTL, fd);

	if (ret)
		return ret;
	switch (req) {
	case VHOST_SET_OWNER:
		break;
	case VHOST_GET_FEATURES:
		*(uint64_t *)arg = VERSION_1 | EVENT_IDX | BIT_ULL(15);
		break;
	case VHOST_SET_FEATURES:
		k.features = *(const uint64_t *)arg;
		break;
	case VHOST_SET_MEM_TABLE:
		ck_assert_uint_eq(((const struct vhost_memory *)arg)->nregions, 1);
		k.region_base = ((const struct vhost_memory *)arg)->regions[0].guest_phys_addr;
		break;
	case VHOST_SET_VRING_NUM:
		k.num[*(const unsigned *)arg] = *(const struct vhost_vring_state *)arg;
		break;
	case VHOST_SET_VRING_BASE:
		k.base[*(const unsigned *)arg] = *(const struct vhost_vring_state *)arg;
		break;
	case VHOST_SET_VRING_ADDR:
		k.addr[*(const unsigned *)arg] = *(const struct vhost_vring_addr *)arg;
		break;
	case VHOST_SET_VRING_KICK:
		k.kick[f->index] = f->fd;
		break;
	case VHOST_SET_VRING_CALL:
		k.call[f->index] = f->fd;
		break;
	case VHOST_NET_SET_BACKEND:
		k.backend[f->index] = f->fd;
		break;
	default:
		ck_abort_msg("ioctl %#lx", req);
	}
	return 0;
}

static ssize_t nif_recv(struct netif *n, unsigned pair, const struct iovec *iov, unsigned cnt)
{
	ck_assert(!k.lent);
	k.recvs++;
	return -EAGAIN;
}

static int nif_lend(struct netif *n, unsigned pair, bool lent)
{
	k.lent = lent;
	return TAP_FD;
}

static void nif_features(struct netif *n, uint64_t features)
{
}

static const struct netif_ops nif_ops = { .recv = nif_recv, .set_features = nif_features, .lend = nif_lend };

static int bell_fd(struct virtio_dev *dev, unsigned q)
{
	return 50 + (int)q;
}

static int bell_watch(struct virtio_dev *dev, unsigned q, bool watch)
{
	k.watched[q] = watch;
	return 0;
}

static int queue_call(struct virtio_dev *dev, unsigned q, int fd)
{
	if (!k.delivers)
		return -ENOTSUP;
	k.routed[q] = fd;
	return 0;
}

static void begin(void)
{
	static const uint8_t mac[6] = { 2 };

	memset(&k, 0, sizeof(k));
	test_host_init(&k.th);
	k.th.h.open = vhost_open;
	k.th.h.ioctl = vhost_ioctl;
	td_init(&k.t);
	k.t.loop.host = &k.th.h;
	k.backend[0] = k.backend[1] = k.routed[0] = k.routed[1] = -1;
	k.watched[0] = k.watched[1] = true;
	k.nif = (struct netif){ .ops = &nif_ops, .kind = "fake", .pairs = 1, .up = true };
	ck_assert_int_eq(vhost_net_open(&k.vhost, &k.th.h, &k.t.loop, 1, NULL), 0);
	ck_assert_int_eq(virtio_net_init(&k.net, "net 0", &k.nif, k.vhost, mac, 0, &k.t.mem, &k.t.loop, &k.t.log, NULL), 0);
}

static void start(void)
{
	td_setup(&k.t, &k.net.dev, EVENT_IDX | INDIRECT);
	k.t.transport.bell_fd = bell_fd;
	k.t.transport.bell_watch = bell_watch;
	k.t.transport.queue_call = queue_call;
	virtio_set_status(&k.net.dev, 0xf);
}

static void end(void)
{
	virtio_net_fini(&k.net);
	vhost_net_close(k.vhost);
	td_fini(&k.t);
}

START_TEST(lend_and_take_back)
{
	begin();
	start();
	ck_assert(k.lent && !k.watched[0] && !k.watched[1]);
	ck_assert_uint_eq(k.features, VERSION_1 | EVENT_IDX);
	ck_assert_uint_eq(k.region_base, TD_BASE);
	for (unsigned r = 0; r < 2; r++) {
		ck_assert_int_eq(k.backend[r], TAP_FD);
		ck_assert_int_eq(k.kick[r], 50 + (int)r);
		ck_assert_uint_eq(k.num[r].num, 256);
		ck_assert_uint_eq(k.base[r].num, 0);
		ck_assert_uint_eq(k.addr[r].desc_user_addr, (uintptr_t)td_desc(&k.t, &k.t.ring[r]));
		ck_assert_uint_eq(k.addr[r].avail_user_addr, (uintptr_t)td_avail(&k.t, &k.t.ring[r]));
		ck_assert_uint_eq(k.addr[r].used_user_addr, (uintptr_t)td_used(&k.t, &k.t.ring[r]));
	}
	/* The worker's call becomes the queue's interrupt; what reaches us otherwise is none of our business. */
	ck_assert_int_eq(write(k.call[1], &(uint64_t){ 1 }, 8), 8);
	loop_step(&k.t.loop);
	ck_assert_uint_eq(k.t.queue_irqs[1], 1);
	ck_assert_uint_eq(k.t.queue_irqs[0], 0);
	td_kick(&k.t, 0);
	k.nif.ready(&k.nif, 0);
	ck_assert_uint_eq(k.recvs, 0);
	virtio_set_status(&k.net.dev, 0);
	ck_assert(!k.lent && k.watched[0] && k.watched[1]);
	ck_assert_int_eq(k.backend[0], -1);
	ck_assert_int_eq(k.backend[1], -1);
	/* A call that was under way finds nobody. */
	ck_assert_int_eq(write(k.call[1], &(uint64_t){ 1 }, 8), 8);
	loop_step(&k.t.loop);
	ck_assert_uint_eq(k.t.queue_irqs[1], 1);
	start();
	ck_assert(k.lent);
	end();
	ck_assert_int_eq(k.backend[1], -1);
}
END_TEST

/* Where the host delivers calls, the loop hears of none but those that the host left, and of each once. */
START_TEST(delivered_by_the_host)
{
	uint64_t n;

	begin();
	k.delivers = true;
	start();
	for (unsigned q = 0; q < 2; q++)
		ck_assert_int_eq(k.routed[q], k.call[q]);
	ck_assert_int_eq(write(k.call[0], &(uint64_t){ 1 }, 8), 8);
	ck_assert_int_eq(read(k.call[0], &n, 8), 8); /* the host has it before the loop looks */
	ck_assert_int_eq(loop_settle(&k.t.loop), 0);
	ck_assert_uint_eq(k.t.queue_irqs[0], 0);
	for (unsigned i = 1; i <= 3; i++) { /* masked: it stays */
		ck_assert_int_eq(write(k.call[0], &(uint64_t){ 1 }, 8), 8);
		ck_assert_int_eq(loop_settle(&k.t.loop), 1);
		ck_assert_uint_eq(k.t.queue_irqs[0], i);
		ck_assert_int_eq(read(k.call[0], &n, 8), -1); /* and nothing is left that would be served again */
	}
	virtio_set_status(&k.net.dev, 0);
	ck_assert_int_eq(k.routed[0], -1);
	ck_assert_int_eq(k.routed[1], -1);
	k.delivers = false;
	start();
	ck_assert_int_eq(write(k.call[0], &(uint64_t){ 1 }, 8), 8);
	ck_assert_int_eq(loop_settle(&k.t.loop), 1);
	ck_assert_uint_eq(k.t.queue_irqs[0], 4);
	end();
}
END_TEST

/* Whatever call fails, the queues are served here then, and nothing of the worker is left. */
START_TEST(refused)
{
	bool done = false;

	for (unsigned at = 1; !done; at++) {
		begin();
		test_host_fail(&k.th, OP_IOCTL, at, EFAULT);
		start();
		done = k.th.calls[OP_IOCTL] < at;
		ck_assert_int_eq(k.lent, done);
		if (!done) {
			ck_assert(k.watched[0] && k.watched[1]);
			ck_assert_int_eq(k.backend[0], -1);
			ck_assert_int_eq(k.backend[1], -1);
			k.nif.ready(&k.nif, 0);
			td_kick(&k.t, 0);
			ck_assert(strstr(k.t.last_log, "served here"));
		}
		end();
	}
}
END_TEST

START_TEST(cannot_open)
{
	struct evloop loop;
	struct tvmm_error err;
	struct vhost_net *v;

	for (unsigned at = 1;; at++) {
		memset(&k, 0, sizeof(k));
		test_host_init(&k.th);
		k.th.h.open = vhost_open;
		k.th.h.ioctl = vhost_ioctl;
		ck_assert_int_eq(evloop_init(&loop, &k.th.h, NULL), 0);
		test_host_fail(&k.th, OP_ANY, at, EACCES);
		if (!vhost_net_open(&v, &k.th.h, &loop, 2, &err)) {
			vhost_net_close(v);
			evloop_fini(&loop);
			break;
		}
		evloop_fini(&loop);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { lend_and_take_back, delivered_by_the_host, refused, cannot_open, NULL };

	return test_main("vhost_net", tests);
}
