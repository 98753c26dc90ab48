/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * peers.c - the other ends of peers.h.  The tap lies in a network namespace of this process's own.
 */
#include "peers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FRAME   60
#define BACKLOG 4096 /* nobody ever accepts */

/* To all, from a stranger, of a kind that nobody answers; on a stream, its length before it. */
static const uint8_t frame[4 + FRAME] = { 0, 0, 0, FRAME, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 2, 2, 2, 2, 2, 0x88, 0xb5 };

static void *send_frames(void *arg)
{
	struct peers *p = arg;

	if (p->kind == PEERS_STREAM) {
		while (send(p->ours, frame, sizeof(frame), MSG_NOSIGNAL) == sizeof(frame))
			;
		return NULL;
	}
	/* A tap loses what it has no room for: at a pace, then. */
	for (; !p->stop; usleep(500))
		(void)!write(p->ours, frame + 4, FRAME);
	return NULL;
}

static void *read_all(void *arg)
{
	struct peers *p = arg;
	static char buf[65536];

	while (read(p->ours, buf, sizeof(buf)) > 0)
		;
	return NULL;
}

static bool open_stream(struct peers *p)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
		return false;
	p->machine = fd[0];
	p->ours = fd[1];
	snprintf(p->net, sizeof(p->net), "fd=%d", p->machine);
	return true;
}

/* Once for the whole process. */
static bool make_tap(void)
{
	struct ifreq ifr = { .ifr_name = "tap0", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE };
	static int made;
	int tap, ctl;

	if (made)
		return made > 0;
	made = -1;
	if (unshare(CLONE_NEWNET))
		return false;
	tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	ctl = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (tap >= 0 && ctl >= 0 && !ioctl(tap, TUNSETIFF, &ifr) && !ioctl(tap, TUNSETPERSIST, 1)) {
		ifr.ifr_flags = IFF_UP | IFF_RUNNING;
		made = ioctl(ctl, SIOCSIFFLAGS, &ifr) ? -1 : 1;
	}
	if (tap >= 0)
		close(tap);
	if (ctl >= 0)
		close(ctl);
	return made > 0;
}

static bool open_tap(struct peers *p)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET };

	if (!make_tap())
		return false;
	ll.sll_ifindex = (int)if_nametoindex("tap0");
	p->ours = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* it sends, and hears nothing */
	if (p->ours < 0 || bind(p->ours, (struct sockaddr *)&ll, sizeof(ll)))
		return false;
	snprintf(p->net, sizeof(p->net), "tap=tap0,queues=2,vhost=off");
	return true;
}

static bool open_vsock(struct peers *p, bool listening)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	strcpy(p->dir, "/tmp/t_peers_XXXXXX");
	if (!mkdtemp(p->dir)) {
		p->dir[0] = 0;
		return false;
	}
	snprintf(p->vsock, sizeof(p->vsock), "uds=%s/v", p->dir);
	if (!listening)
		return true;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/v_1024", p->dir);
	p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return p->listener >= 0 && !bind(p->listener, (struct sockaddr *)&addr, sizeof(addr)) && !listen(p->listener, BACKLOG);
}

bool peers_open(struct peers *p, enum peers_net kind, bool listening)
{
	*p = (struct peers){ .kind = kind, .machine = -1, .ours = -1, .listener = -1 };
	if (open_vsock(p, listening) && (kind == PEERS_TAP ? open_tap(p) : open_stream(p))) {
		p->has_source = !pthread_create(&p->source, NULL, send_frames, p);
		p->has_sink = kind == PEERS_STREAM && !pthread_create(&p->sink, NULL, read_all, p);
		return true;
	}
	peers_close(p);
	return false;
}

void peers_close(struct peers *p)
{
	char path[64];

	p->stop = true;
	if (p->kind == PEERS_STREAM && p->ours >= 0)
		shutdown(p->ours, SHUT_RDWR);
	if (p->has_source)
		pthread_join(p->source, NULL);
	if (p->has_sink)
		pthread_join(p->sink, NULL);
	if (p->ours >= 0)
		close(p->ours);
	if (p->machine >= 0)
		close(p->machine);
	if (p->listener >= 0)
		close(p->listener);
	if (p->dir[0]) {
		snprintf(path, sizeof(path), "%s/v_1024", p->dir);
		unlink(path);
		rmdir(p->dir);
	}
	*p = (struct peers){ .machine = -1, .ours = -1, .listener = -1 };
}
