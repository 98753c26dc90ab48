/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * port-peer.c - "port-peer SOCKET ACTION...": the host's program at the other end of a guest's named port.
 *
 * Connects to the unix socket, does the actions in order, and closes it:
 *
 *	get=BYTES:FILE   read so many bytes into FILE
 *	put=FILE         write all of FILE
 *	wait=FILE        read nothing until FILE is there
 *
 * Exit status: 0 when all was done; else 1, with the reason on standard error.  It has no time limit of its own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int fail(const char *what)
{
	fprintf(stderr, "port-peer: %s: %s\n", what, strerror(errno));
	return 1;
}

static int get(int fd, const char *what)
{
	char *name, buf[4096];
	size_t left = strtoul(what, &name, 10);
	FILE *f = *name == ':' ? fopen(name + 1, "w") : NULL;
	ssize_t n;

	if (!f)
		return fail(what);
	for (; left; left -= (size_t)n) {
		n = read(fd, buf, left < sizeof(buf) ? left : sizeof(buf));
		if (n <= 0 || fwrite(buf, 1, (size_t)n, f) != (size_t)n) {
			fclose(f);
			return fail(what);
		}
	}
	return fclose(f) ? fail(what) : 0;
}

static int put(int fd, const char *name)
{
	FILE *f = fopen(name, "r");
	char buf[4096];
	size_t n;

	if (!f)
		return fail(name);
	while ((n = fread(buf, 1, sizeof(buf), f))) {
		if (send(fd, buf, n, MSG_NOSIGNAL) != (ssize_t)n) {
			fclose(f);
			return fail(name);
		}
	}
	fclose(f);
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), ret = 0;

	if (argc < 3)
		return 1;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", argv[1]);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&addr, sizeof(addr)))
		return fail(argv[1]);
	for (int i = 2; i < argc && !ret; i++) {
		if (!strncmp(argv[i], "get=", 4))
			ret = get(fd, argv[i] + 4);
		else if (!strncmp(argv[i], "put=", 4))
			ret = put(fd, argv[i] + 4);
		else if (!strncmp(argv[i], "wait=", 5))
			while (access(argv[i] + 5, F_OK))
				usleep(20000);
		else
			ret = 1;
	}
	close(fd);
	return ret;
}
