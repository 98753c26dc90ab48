/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vsock-peer.c - both ends of the connections that vsock.cases makes; linked statically, for it runs in a bare initramfs.
 *
 * In the guest:
 *	vsock-peer echo PORT [N]          says "listening", then sends back what each connection brings, until the other side is
 *	                                  done or gone; ends after N of them
 *	vsock-peer to PORT                to the host's PORT: standard input there, what comes back to standard output; ends
 *	                                  with "refused", "broken" (by the other side, too early) or "done" on standard error
 * On the host, to PORT of the guest behind the socket PATH:
 *	vsock-peer through PATH PORT      the same as "to"
 *	vsock-peer connects PATH PORT N   N connections, one after the other: each says something and hears it again; every
 *	                                  fourth leaves without a word, every fourth other before it hears.  "connected=N"
 */
#include <errno.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char buf[65536];

static void die(const char *what)
{
	fprintf(stderr, "vsock-peer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static bool send_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

/* One after the other: a connection that waits for its turn is one that the guest's kernel has taken already. */
static void echo(unsigned port, unsigned count)
{
	struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port };
	int l = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (l < 0 || bind(l, (struct sockaddr *)&a, sizeof(a)) || listen(l, 64))
		die("cannot listen");
	puts("listening");
	fflush(stdout);
	for (unsigned i = 0; !count || i < count; i++) {
		int fd = accept(l, NULL, NULL);
		ssize_t n;

		if (fd < 0)
			die("cannot accept");
		while ((n = read(fd, buf, sizeof(buf))) > 0 && send_all(fd, buf, (size_t)n))
			;
		close(fd);
	}
}

/*
 * Standard input there, what comes back to standard output, both at once, to both ends.  Never waits to be rid of bytes
 * without taking some: whoever sends them back may be waiting for just that.
 */
static const char *carry(int fd)
{
	static char out[65536];
	size_t at = 0, len = 0;
	bool more = true;

	for (;;) {
		struct pollfd p[2] = { { .fd = more && !len ? 0 : -1, .events = POLLIN },
				       { .fd = fd, .events = (short)(len ? POLLIN | POLLOUT : POLLIN) } };
		ssize_t n;

		poll(p, 2, -1);
		if (p[0].revents) {
			n = read(0, out, sizeof(out));
			more = n > 0;
			at = 0;
			len = more ? (size_t)n : 0;
			if (!more)
				shutdown(fd, SHUT_WR);
		}
		if (p[1].revents & POLLOUT) {
			n = send(fd, out + at, len, MSG_DONTWAIT);
			if (n < 0 && errno != EAGAIN)
				return "broken";
			at += n > 0 ? (size_t)n : 0;
			len -= n > 0 ? (size_t)n : 0;
		}
		if (p[1].revents & ~POLLOUT) {
			n = read(fd, buf, sizeof(buf));
			if (n < 0 || (!n && more))
				return "broken";
			if (!n)
				return "done";
			if (!send_all(1, buf, (size_t)n))
				die("cannot write");
		}
	}
}

static int to_host(unsigned port)
{
	struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = port };
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (fd < 0)
		die("no vsock");
	if (!connect(fd, (struct sockaddr *)&a, sizeof(a)))
		return fd;
	fprintf(stderr, "refused\n");
	exit(0);
}

static int to_guest(const char *path, unsigned port)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), n;
	char c;

	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)))
		die("cannot connect");
	n = snprintf(buf, sizeof(buf), "CONNECT %u\n", port);
	if (!send_all(fd, buf, (size_t)n))
		die("cannot say where to");
	for (n = 0; read(fd, &c, 1) == 1 && c != '\n'; n++)
		if (n < 3 && c != "OK "[n])
			break;
	if (c != '\n' || n < 4) {
		errno = ECONNREFUSED;
		die("the machine did not connect");
	}
	return fd;
}

static void connects(const char *path, unsigned port, unsigned count)
{
	unsigned good = 0;

	for (unsigned i = 0; i < count; i++) {
		int fd = to_guest(path, port), said = snprintf(buf, sizeof(buf), "this is connection %u", i), got = 0;
		char back[64];

		if (i % 4 != 1 && !send_all(fd, buf, (size_t)said))
			die("cannot speak");
		while (i % 4 != 1 && i % 4 != 2 && got < said) {
			ssize_t n = read(fd, back + got, (size_t)(said - got));

			if (n <= 0)
				die("heard nothing");
			got += (int)n;
		}
		good += !got || !memcmp(buf, back, (size_t)said);
		close(fd);
	}
	printf("connected=%u\n", good);
}

int main(int argc, char **argv)
{
	bool in_guest = argc > 2 && (!strcmp(argv[1], "echo") || !strcmp(argv[1], "to"));
	unsigned port = argc > 2 ? (unsigned)atoi(argv[in_guest || argc < 4 ? 2 : 3]) : 0;

	signal(SIGPIPE, SIG_IGN);
	if (in_guest && argv[1][0] == 'e')
		echo(port, argc > 3 ? (unsigned)atoi(argv[3]) : 0);
	else if (in_guest)
		fprintf(stderr, "%s\n", carry(to_host(port)));
	else if (argc == 4 && !strcmp(argv[1], "through"))
		fprintf(stderr, "%s\n", carry(to_guest(argv[2], port)));
	else if (argc == 5 && !strcmp(argv[1], "connects"))
		connects(argv[2], port, (unsigned)atoi(argv[4]));
	else
		return 2;
	return 0;
}
