/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_net_tap.c - the tap behind the seam: a packet socket pair stands for its descriptor, and the test's own ioctl() for
 * the kernel's driver.  So every answer that a host can give is tried without any right to make an interface.
 */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "netif.h"
#include "test.h"
#include "test_host.h"

static struct {
	struct test_host th;
	struct evloop loop;
	struct log log;
	char line[256];
	unsigned lines, readies, links;
	/* The kernel. */
	int peer[NETIF_PAIRS + 1], opened;
	int set_iff, persist, hdr_size;
	bool no_uso;
	unsigned long offload;
	unsigned detached; /* bits */
	int first_fd;
} k;

static int tun_open(const struct host *h, const char *path, int flags, mode_t mode)
{
	int fd[2], ret = th_call(h, OP_OPEN, -1);

	if (ret || strcmp(path, "/dev/net/tun"))
		return ret ? ret : -ENOENT;
	ck_assert(flags & O_NONBLOCK);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fd), 0);
	if (!k.opened)
		k.first_fd = fd[0];
	k.peer[k.opened++] = fd[1];
	return fd[0];
}

static int tun_ioctl(const struct host *h, int fd, unsigned long req, uintptr_t arg)
{
	struct ifreq *ifr = (struct ifreq *)arg;
	int ret = th_call(h, OP_IOCTL, fd);

	if (ret)
		return ret;
	switch (req) {
	case TUNSETIFF:
		ck_assert_str_eq(ifr->ifr_name, "tap7");
		ck_assert(ifr->ifr_flags & IFF_VNET_HDR);
		return k.set_iff;
	case TUNGETIFF:
		ifr->ifr_flags = (short)(IFF_TAP | IFF_VNET_HDR | k.persist);
		return 0;
	case TUNSETVNETHDRSZ:
		k.hdr_size = *(int *)arg;
		return 0;
	case TUNSETOFFLOAD:
		if (k.no_uso && arg & ~0x1fu)
			return -EINVAL;
		k.offload = arg;
		return 0;
	case TUNSETQUEUE:
		if (ifr->ifr_flags & IFF_DETACH_QUEUE)
			k.detached++;
		else
			k.detached--;
		return 0;
	default:
		ck_abort_msg("ioctl %#lx", req);
	}
}

static void keep_line(void *arg, int level, const char *line)
{
	snprintf(k.line, sizeof(k.line), "%s", line);
	k.lines++;
}

static void on_ready(struct netif *n, unsigned pair)
{
	k.readies++;
}

static void on_link(struct netif *n)
{
	k.links++;
}

static void begin(void)
{
	memset(&k, 0, sizeof(k));
	test_host_init(&k.th);
	k.th.h.open = tun_open;
	k.th.h.ioctl = tun_ioctl;
	k.persist = IFF_PERSIST;
	ck_assert_int_eq(evloop_init(&k.loop, &k.th.h, NULL), 0);
	log_init(&k.log, &k.th.h, keep_line, NULL, TVMM_LOG_WARN);
}

static struct netif *tap(unsigned pairs)
{
	struct netif *n = NULL;

	begin();
	ck_assert_int_eq(net_tap_open(&n, &k.th.h, &k.loop, &k.log, "tap7", pairs, NULL), 0);
	n->ready = on_ready;
	n->link = on_link;
	return n;
}

static void end(struct netif *n)
{
	if (n)
		n->ops->close(n);
	evloop_fini(&k.loop);
	while (k.opened)
		close(k.peer[--k.opened]);
}

START_TEST(packets)
{
	struct netif *n = tap(1);
	char buf[NETIF_ROOM], out[] = "0123456789ab-a packet";
	struct iovec iov[2] = { { out, 5 }, { out + 5, 16 } }, in = { buf, sizeof(buf) };

	ck_assert_int_eq(k.hdr_size, 12);
	ck_assert_uint_eq(k.offload, 0);
	ck_assert(n->features & NET_F_HOST_USO);
	loop_step(&k.loop);
	k.readies = 0;
	ck_assert_int_eq(n->ops->send(n, 0, iov, 2, 21), 0);
	ck_assert_int_eq(read(k.peer[0], buf, sizeof(buf)), 21);
	ck_assert(!memcmp(buf, out, 21));
	ck_assert_int_eq(n->ops->recv(n, 0, &in, 1), -EAGAIN);
	ck_assert_int_eq(write(k.peer[0], out, 21), 21);
	ck_assert_int_eq(write(k.peer[0], out, 20), 20);
	ck_assert_int_eq(loop_step(&k.loop), 1);
	ck_assert_int_eq(loop_step(&k.loop), 0); /* an edge: nobody reads, nobody is told again */
	ck_assert_uint_eq(k.readies, 1);
	test_host_fail(&k.th, OP_READV, 1, EINTR);
	ck_assert_int_eq(n->ops->recv(n, 0, &in, 1), 21);
	ck_assert_int_eq(n->ops->recv(n, 0, &in, 1), 20);
	/* No memory for the last packet there is: it stays, and an edge tells of it once more. */
	ck_assert_int_eq(write(k.peer[0], out, 21), 21);
	ck_assert_int_eq(loop_step(&k.loop), 1);
	test_host_fail(&k.th, OP_READV, 1, ENOMEM);
	ck_assert_int_eq(n->ops->recv(n, 0, &in, 1), -EAGAIN);
	ck_assert_int_eq(loop_step(&k.loop), 1);
	ck_assert_int_eq(n->ops->recv(n, 0, &in, 1), 21);
	n->ops->set_features(n, NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 | NET_F_GUEST_USO4);
	ck_assert_uint_eq(k.offload, TUN_F_CSUM | TUN_F_TSO4);
	n->ops->set_features(n, NET_F_GUEST_TSO4);
	ck_assert_uint_eq(k.offload, 0);
	end(n);
}
END_TEST

START_TEST(older_kernel)
{
	struct netif *n;

	begin();
	k.no_uso = true;
	ck_assert_int_eq(net_tap_open(&n, &k.th.h, &k.loop, &k.log, "tap7", 1, NULL), 0);
	ck_assert(n->features & NET_F_GUEST_TSO6);
	ck_assert(!(n->features & (NET_F_HOST_USO | NET_F_GUEST_USO4)));
	end(n);
}
END_TEST

/* Each failure loses the packet and no more, but one that says the interface is gone, which ends the link. */
START_TEST(failures)
{
	static const int errors[] = { EIO, ENOBUFS, ENOMEM, EINVAL, EFAULT, EMSGSIZE };
	char buf[NETIF_ROOM] = { 0 };
	struct iovec iov = { buf, 100 };

	for (unsigned i = 0; i < ARRAY_SIZE(errors); i++) {
		struct netif *n = tap(1);

		test_host_fail(&k.th, OP_WRITEV, 1, errors[i]);
		ck_assert_int_eq(n->ops->send(n, 0, &iov, 1, 100), 0);
		ck_assert_uint_eq(n->dropped, 1);
		test_host_fail(&k.th, OP_READV, 1, errors[i]);
		ck_assert_int_eq(n->ops->recv(n, 0, &iov, 1), -EAGAIN);
		ck_assert(n->up);
		ck_assert_uint_eq(k.lines, 0);
		end(n);
	}
	for (unsigned i = 0; i < 2; i++) {
		struct netif *n = tap(1);

		test_host_fail(&k.th, i ? OP_READV : OP_WRITEV, 1, EBADFD);
		if (i)
			ck_assert_int_eq(n->ops->recv(n, 0, &iov, 1), -EAGAIN);
		else
			ck_assert_int_eq(n->ops->send(n, 0, &iov, 1, 100), 0);
		ck_assert(!n->up);
		ck_assert_uint_eq(k.links, 1);
		ck_assert_uint_eq(k.lines, 1);
		for (unsigned j = 0; j < 3; j++) {
			ck_assert_int_eq(n->ops->send(n, 0, &iov, 1, 100), 0);
			ck_assert_int_eq(n->ops->recv(n, 0, &iov, 1), -EAGAIN);
		}
		ck_assert_uint_eq(k.lines, 1);
		end(n);
	}
}
END_TEST

/* No room in the interface: -EAGAIN, and an edge when there is. */
START_TEST(full)
{
	struct netif *n = tap(1);
	char buf[1000] = { 0 };
	struct iovec iov = { buf, sizeof(buf) };
	int ret = 0;

	loop_step(&k.loop);
	k.readies = 0;
	for (unsigned i = 0; i < 100000 && !ret; i++)
		ret = n->ops->send(n, 0, &iov, 1, sizeof(buf));
	ck_assert_int_eq(ret, -EAGAIN);
	ck_assert_int_eq(loop_step(&k.loop), 0);
	while (read(k.peer[0], buf, sizeof(buf)) > 0)
		;
	ck_assert_int_eq(loop_step(&k.loop), 1);
	ck_assert_uint_eq(k.readies, 1);
	/* From then on nobody is waiting for room. */
	ck_assert_int_eq(n->ops->send(n, 0, &iov, 1, sizeof(buf)), 0);
	while (read(k.peer[0], buf, sizeof(buf)) > 0)
		;
	ck_assert_int_eq(loop_step(&k.loop), 0);
	end(n);
}
END_TEST

START_TEST(queues)
{
	struct netif *n = tap(4);
	char buf[NETIF_ROOM] = { 0 };
	struct iovec iov = { buf, sizeof(buf) };

	ck_assert_int_eq(k.opened, 4);
	ck_assert_uint_eq(k.detached, 3);
	/* Sending on a pair that rests goes out on the first; it has nothing to receive. */
	iov.iov_len = 50;
	ck_assert_int_eq(n->ops->send(n, 3, &iov, 1, 50), 0);
	ck_assert_int_eq(read(k.peer[0], buf, sizeof(buf)), 50);
	ck_assert_int_eq(write(k.peer[3], buf, 50), 50);
	ck_assert_int_eq(n->ops->recv(n, 3, &iov, 1), -EAGAIN);
	ck_assert_int_eq(n->ops->set_pairs(n, 4), 0);
	ck_assert_uint_eq(k.detached, 0);
	ck_assert_int_eq(n->ops->recv(n, 3, &iov, 1), 50);
	ck_assert_int_eq(n->ops->set_pairs(n, 2), 0);
	ck_assert_uint_eq(k.detached, 2);
	test_host_fail(&k.th, OP_IOCTL, 1, EIO);
	ck_assert_int_eq(n->ops->set_pairs(n, 3), -EIO);
	end(n);
}
END_TEST

START_TEST(refused)
{
	static const struct {
		int set_iff, persist;
		const char *message, *hint;
	} cases[] = {
		{ 0, 0, "there is no such tap interface", "ip tuntap add dev tap7 mode tap user $USER" },
		{ -EPERM, 0, "there is no such tap interface", "ip tuntap add" }, /* no such folder in /sys */
		{ -EBUSY, IFF_PERSIST, "cannot attach to it", "another program" },
		{ -EINVAL, IFF_PERSIST, "cannot attach to it", "multi_queue" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct netif *n = NULL;
		struct tvmm_error err;

		begin();
		k.set_iff = cases[i].set_iff;
		k.persist = cases[i].persist;
		ck_assert_int_lt(net_tap_open(&n, &k.th.h, &k.loop, &k.log, "tap7", 1, &err), 0);
		ck_assert_str_eq(err.object, "tap tap7");
		ck_assert_str_eq(err.message, cases[i].message);
		ck_assert_ptr_nonnull(strstr(err.hint, cases[i].hint));
		ck_assert_ptr_null(n);
		end(NULL);
	}
}
END_TEST

/* Every call fails in its turn: an error, nothing left open (the peers see their ends). */
START_TEST(every_call)
{
	bool done = false;

	for (unsigned at = 1; !done; at++) {
		struct netif *n = NULL;
		struct tvmm_error err = { 0 };
		char c;

		begin();
		test_host_fail(&k.th, OP_ANY, at, EIO);
		if (!net_tap_open(&n, &k.th.h, &k.loop, &k.log, "tap7", 3, &err)) {
			done = k.th.calls[OP_ANY] < at;
			n->ops->close(n);
		} else {
			ck_assert_uint_ne(err.code, 0);
		}
		for (int i = 0; i < k.opened; i++)
			ck_assert_int_eq(read(k.peer[i], &c, 1), 0);
		end(NULL);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { packets, older_kernel, failures, full, queues, refused, every_call, NULL };

	return test_main("net_tap", tests);
}
