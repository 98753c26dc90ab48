/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net_peer.c - both ends of the traffic that bench/net measures; linked statically, for it runs in bare initramfs too.
 *
 *	net_peer serve                       answers on port 7000, TCP and UDP
 *	net_peer ADDRESS send|get N SECONDS  N TCP streams to it, or from it: "NAME bytes per second"
 *	net_peer ADDRESS ask SECONDS         one byte there and back: requests per second; us that half of them took, and 99 of 100
 *	net_peer ADDRESS small SECONDS       datagrams of 64 bytes: how many arrived per second
 *	net_peer ADDRESS drip SECONDS        the same, 800 a second whatever becomes of them: how many were taken per second
 *
 * Prints "begin" and "end FIGURE..." on lines of their own, between which whoever looks on counts.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PORT  7000
#define CHUNK (128 << 10)
#define MOST_ASKED 2000000

static char buf[CHUNK];

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void die(const char *what)
{
	fprintf(stderr, "net_peer: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Until DEADLINE, or for ever if it is 0, or until the other end closes: how many bytes. */
static uint64_t pour(int fd, double deadline)
{
	uint64_t sum = 0;
	ssize_t n;

	while ((!deadline || now() < deadline) && (n = send(fd, buf, CHUNK, MSG_NOSIGNAL)) > 0)
		sum += (uint64_t)n;
	return sum;
}

static uint64_t drink(int fd, double deadline)
{
	uint64_t sum = 0;
	ssize_t n;

	while ((!deadline || now() < deadline) && (n = recv(fd, buf, CHUNK, 0)) > 0)
		sum += (uint64_t)n;
	return sum;
}

static int bound(int type)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), one = 1, big = 4 << 20;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (type == SOCK_DGRAM) /* beyond what others may have */
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) || (type == SOCK_STREAM && listen(fd, 16)))
		die("cannot listen");
	return fd;
}

/* One connection: its first byte says what is wanted. */
static void answer(int fd, const uint64_t *datagrams)
{
	int one = 1;
	char c;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (recv(fd, &c, 1, 0) != 1)
		return;
	switch (c) {
	case 's':
		drink(fd, 0);
		break;
	case 'g':
		pour(fd, 0);
		break;
	case 'c':
		do
			send(fd, datagrams, sizeof(*datagrams), MSG_NOSIGNAL);
		while (recv(fd, &c, 1, 0) == 1);
		break;
	default:
		do
			send(fd, &c, 1, MSG_NOSIGNAL);
		while (recv(fd, &c, 1, 0) == 1);
	}
}

static int serve(void)
{
	/* Shared with the process that answers a connection. */
	uint64_t *datagrams = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int tcp = bound(SOCK_STREAM), udp = bound(SOCK_DGRAM);

	signal(SIGCHLD, SIG_IGN);
	if (!fork()) {
		while (recv(udp, buf, 2048, 0) >= 0)
			++*datagrams;
		_exit(1);
	}
	for (;;) {
		int fd = accept4(tcp, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0 && !fork()) {
			answer(fd, datagrams);
			_exit(0);
		}
		close(fd);
	}
}

static int to(const char *address, int type)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), one = 1;

	if (inet_pton(AF_INET, address, &a.sin_addr) != 1 || fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)))
		die("cannot connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void begin(void)
{
	puts("begin");
	fflush(stdout);
}

static void end(double figure)
{
	printf("end %.1f\n", figure);
	fflush(stdout);
}

static void streams(const char *address, char what, unsigned n, double seconds)
{
	uint64_t *sum = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), total = 0;
	double start;

	begin();
	start = now();
	for (unsigned i = 0; i < n; i++) {
		if (fork())
			continue;
		int fd = to(address, SOCK_STREAM);

		send(fd, &what, 1, 0);
		sum[i] = what == 's' ? pour(fd, start + seconds) : drink(fd, start + seconds);
		_exit(0);
	}
	while (wait(NULL) > 0)
		;
	for (unsigned i = 0; i < n; i++)
		total += sum[i];
	end((double)total / (now() - start));
}

static int shorter(const void *a, const void *b)
{
	const float *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void ask(const char *address, double seconds)
{
	static float took[MOST_ASKED];
	int fd = to(address, SOCK_STREAM);
	double start, last, t;
	unsigned n = 0;
	char c = 'r';

	begin();
	for (start = last = now(); last < start + seconds && n < MOST_ASKED; last = t) {
		if (send(fd, &c, 1, 0) != 1 || recv(fd, &c, 1, 0) != 1)
			die("the other end is gone");
		t = now();
		took[n++] = (float)((t - last) * 1e6);
	}
	qsort(took, n, sizeof(took[0]), shorter);
	printf("end %.1f %.1f %.1f\n", n / (last - start), (double)took[n / 2], (double)took[n / 100 * 99]);
	fflush(stdout);
}

/* How many datagrams have arrived there. */
static uint64_t count(int fd)
{
	uint64_t n = 0;

	if (send(fd, "c", 1, 0) != 1 || recv(fd, &n, sizeof(n), MSG_WAITALL) != sizeof(n))
		die("the other end is gone");
	return n;
}

/*
 * No more at once than a socket holds: a flood would only show who starves whom.  Where the other end does not come after, what
 * is missing is taken for lost.
 */
static void small(const char *address, double seconds)
{
	int control = to(address, SOCK_STREAM), fd = to(address, SOCK_DGRAM);
	uint64_t before = count(control), owed = before, now_there = before;
	double start;

	begin();
	for (start = now(); now() < start + seconds;) {
		for (unsigned i = 0; i < 64; i++)
			owed += send(fd, buf, 64, 0) == 64;
		for (unsigned i = 0; i < 20; i++) {
			now_there = count(control);
			if (owed - now_there <= 128)
				break;
		}
		if (owed - now_there > 128)
			owed = now_there;
	}
	end((double)(now_there - before) / (now() - start));
}

/* More than a limit lets through, at little cost. */
static void drip(const char *address, double seconds)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	int fd = to(address, SOCK_DGRAM);
	double start, t;
	unsigned n = 0;

	begin();
	for (start = t = now(); t < start + seconds; t = now()) {
		for (unsigned i = 0; i < 8; i++)
			n += send(fd, buf, 64, MSG_DONTWAIT) == 64;
		nanosleep(&pause, NULL);
	}
	end(n / (t - start));
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "serve"))
		return serve();
	if (argc == 5 && (!strcmp(argv[2], "send") || !strcmp(argv[2], "get")))
		streams(argv[1], argv[2][0], (unsigned)atoi(argv[3]), atof(argv[4]));
	else if (argc == 4 && !strcmp(argv[2], "ask"))
		ask(argv[1], atof(argv[3]));
	else if (argc == 4 && !strcmp(argv[2], "small"))
		small(argv[1], atof(argv[3]));
	else if (argc == 4 && !strcmp(argv[2], "drip"))
		drip(argv[1], atof(argv[3]));
	else
		return 2;
	return 0;
}
