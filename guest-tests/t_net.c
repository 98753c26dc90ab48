/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * t_net.c - frames to a guest that sends them back: over a stream socket, and over a tap in a network namespace of this
 * test's own, whose other end is a packet socket; then the tap is deleted, then a peer that does not read.
 *
 * With the argument "lossy" frames may be lost, but not broken, nor out of order: net-faults makes the host fail.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "harness.h"

#define MAC "00:02:04:06:08:0a"
#define LIMIT 20000
#define LOSSY 100 /* frames that come back fit into a socket that nobody reads as yet */

static uint8_t frame[65535], echo[65536 + 4];

static void make_frame(size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		frame[i] = (uint8_t)(seed + i * 7 + i / 251);
	memset(frame, 0xff, 6); /* to all, from a stranger, of a kind that nobody answers */
	memcpy(frame + 6, "\2\2\2\2\2\2\x88\xb5", 8);
}

static bool read_all(int fd, uint8_t *p, size_t len)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	while (len) {
		ssize_t n = poll(&pfd, 1, LIMIT) == 1 ? read(fd, p, len) : -1;

		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static bool put_stream(int fd, size_t len)
{
	uint32_t be = htonl((uint32_t)len);

	return write(fd, &be, 4) == 4 && write(fd, frame, len) == (ssize_t)len;
}

static bool get_stream(int fd, size_t *len)
{
	uint32_t be;

	if (!read_all(fd, (uint8_t *)&be, 4) || ntohl(be) > sizeof(echo))
		return false;
	*len = ntohl(be);
	return read_all(fd, echo, *len);
}

static bool put_packet(int fd, size_t len)
{
	return write(fd, frame, len) == (ssize_t)len;
}

/* What others on the interface say (the host's kernel greets by IPv6) is none of ours. */
static bool get_packet(int fd, size_t *len)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	while (poll(&pfd, 1, LIMIT) == 1) {
		ssize_t n = recv(fd, echo, sizeof(echo), 0);

		if (n >= 14 && !memcmp(echo + 12, "\x88\xb5", 2)) {
			*len = (size_t)n;
			return true;
		}
	}
	return false;
}

static bool (*put)(int fd, size_t len);
static bool (*get)(int fd, size_t *len);

static void one(int fd, size_t len, unsigned seed)
{
	size_t got = 0;
	bool good;

	make_frame(len, seed);
	good = put(fd, len) && get(fd, &got) && got == len && !memcmp(frame, echo, len);
	ok(good, "a frame of %zu bytes comes back (%zu)", len, got);
}

/* Many at once, back in order. */
static void burst(int fd, unsigned count, size_t len)
{
	unsigned good = 0;
	size_t got;

	for (unsigned i = 0; i < count; i++) {
		make_frame(len, i);
		put(fd, len);
	}
	for (unsigned i = 0; i < count && get(fd, &got); i++) {
		make_frame(len, i);
		good += got == len && !memcmp(frame, echo, len);
	}
	ok(good == count, "%u of %u frames sent at once come back, in order", good, count);
}

static void word(int fd, const char *what)
{
	make_frame(60, 0);
	memcpy(frame + 14, what, 4);
	put(fd, 60);
}

static void over_stream(void)
{
	static const size_t lens[] = { 60, 1514, 2036, 2037, 4084, 4085, 9014, 65535 };
	struct guest g;
	char net[64];
	int fd[2];

	put = put_stream;
	get = get_stream;
	ok(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), "a socket pair");
	snprintf(net, sizeof(net), "fd=%d,mac=" MAC, fd[0]);
	if (!ok(guest_new(&g, "payload_net", "net", net, NULL) && guest_start(&g), "stream: created and started"))
		return;
	close(fd[0]);
	if (guest_says(&g, "READY frames\n")) {
		for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
			one(fd[1], lens[i], i);
		burst(fd[1], 200, 100);
		burst(fd[1], 20, 5000);
		/* More than the sockets hold: nobody reads what comes back, then somebody does; what did not fit waited. */
		burst(fd[1], 60, 3000);
		word(fd[1], "QUIT");
	}
	guest_finish(&g, LIMIT_MS);
	guest_ended(&g, TVMM_POWEROFF, "stream");
	guest_results(&g);
	guest_free(&g);
	close(fd[1]);
}

/* A tap in a namespace of ours; a packet socket on it.  -1: not allowed here. */
static int make_tap(int *tap)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct ifreq ifr = { .ifr_name = "tap0", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd, one_ = 1;

	if (unshare(CLONE_NEWNET))
		return -1;
	*tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	if (*tap < 0 || fd < 0 || ioctl(*tap, TUNSETIFF, &ifr) || ioctl(*tap, TUNSETPERSIST, 1))
		return -1;
	ll.sll_ifindex = (int)if_nametoindex("tap0");
	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr) || bind(fd, (struct sockaddr *)&ll, sizeof(ll)))
		return -1;
	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one_, sizeof(one_));
	return fd;
}

/* What has come back of COUNT frames of LEN bytes.  The machine is gone: what is not there now never comes. */
static void survivors(int fd, unsigned count, size_t len)
{
	unsigned came = 0, next = 0, wrong = 0;
	size_t got;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0) == 1 && get(fd, &got)) {
		for (; next < count; next++) {
			make_frame(len, next);
			if (got == len && !memcmp(frame, echo, len))
				break;
		}
		wrong += next++ >= count;
		came++;
	}
	ok(came > 0 && came <= count && !wrong, "%u of %u frames come back, %u of them wrong or out of order", came, count, wrong);
}

/* Frames to a guest that sends them back, over NET, with FD at the other end; some may be lost. */
static void lossy(const char *name, const char *net, int fd, int theirs)
{
	struct guest g;

	if (!ok(guest_new(&g, "payload_net", "net", net, NULL) && guest_start(&g), "%s: created and started (%s)", name, g.err.message))
		return;
	if (theirs >= 0)
		close(theirs);
	if (guest_says(&g, "READY frames\n")) {
		for (unsigned i = 0; i < LOSSY; i++) {
			make_frame(300, i);
			put(fd, 300);
		}
		word(fd, "QUIT");
	}
	guest_finish(&g, LIMIT_MS);
	guest_ended(&g, TVMM_POWEROFF, name);
	ok(!g.log_lines, "nothing is said about it (%u lines, the last: %s)", g.log_lines, g.log_last);
	guest_results(&g);
	guest_free(&g);
	survivors(fd, LOSSY, 300);
}

static void all_lossy(void)
{
	int fd[2], tap, packets;
	char net[64];

	put = put_stream;
	get = get_stream;
	ok(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), "a socket pair");
	snprintf(net, sizeof(net), "fd=%d,mac=" MAC, fd[0]);
	lossy("stream", net, fd[1], fd[0]);
	close(fd[1]);
	packets = make_tap(&tap);
	if (packets < 0) {
		skip("over a tap", "no right to make one here");
		return;
	}
	put = put_packet;
	get = get_packet;
	close(tap);
	lossy("tap", "tap=tap0,vhost=off,mac=" MAC, packets, -1);
	close(packets);
}

/* The peer is gone: the link goes down, the guest goes on. */
static void stream_ends(void)
{
	struct guest g;
	char net[64];
	int fd[2];

	ok(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), "a socket pair");
	snprintf(net, sizeof(net), "fd=%d,mac=" MAC, fd[0]);
	if (!ok(guest_new(&g, "payload_net", "net", net, NULL) && guest_start(&g), "ending stream: created and started"))
		return;
	close(fd[0]);
	if (guest_says(&g, "READY frames\n")) {
		one(fd[1], 60, 0);
		word(fd[1], "LINK");
		ok(guest_says(&g, "READY down\n"), "the guest waits for it");
	}
	close(fd[1]);
	guest_finish(&g, LIMIT_MS);
	guest_ended(&g, TVMM_POWEROFF, "ending stream");
	ok(g.log_lines == 1, "it is told once (%u lines, the last: %s)", g.log_lines, g.log_last);
	guest_results(&g);
	guest_free(&g);
}

static void over_tap(void)
{
	static const size_t lens[] = { 60, 61, 1000, 1514 };
	struct guest g;
	int tap, fd = make_tap(&tap);

	if (fd < 0) {
		skip("over a tap", "no right to make one here");
		return;
	}
	close(tap); /* it persists, and is free for the machine */
	put = put_packet;
	get = get_packet;
	if (!ok(guest_new(&g, "payload_net", "net", "tap=tap0,vhost=off,mac=" MAC, NULL) && guest_start(&g),
		"tap: created and started (%s)", g.err.message))
		return;
	if (guest_says(&g, "READY frames\n")) {
		for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
			one(fd, lens[i], i);
		burst(fd, 100, 300);
		word(fd, "LINK");
		ok(guest_says(&g, "READY down\n"), "the guest waits for the end of its tap");
	}
	/* Deleted, as ip link del does: it persists no more, and nobody else is attached. */
	ok(!system("ip link del tap0"), "the tap is deleted");
	guest_finish(&g, LIMIT_MS);
	guest_ended(&g, TVMM_POWEROFF, "tap");
	ok(g.stats.links_down == 1, "it is counted");
	ok(g.log_lines == 1, "it is told once (%u lines, the last: %s)", g.log_lines, g.log_last);
	guest_results(&g);
	guest_free(&g);
	close(fd);
}

int main(int argc, char **argv)
{
	unsigned before;

	tests_begin();
	before = count_entries("/proc/self/fd");
	if (argc > 1 && !strcmp(argv[1], "lossy")) {
		all_lossy();
	} else {
		over_stream();
		stream_ends();
		over_tap();
	}
	ok(count_entries("/proc/self/fd") == before, "no descriptor is left");
	return tests_end();
}
