/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unpack.c - one child process per module: TOOL -dc, its input the file, its output a pipe that is read to its end.
 * Builder's thread.
 */
#include "unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bits.h"
#include "host.h"

/* Reads the pipe to its end into memory that grows up to MAX. */
static int read_all(int fd, size_t max, uint8_t **out, size_t *len)
{
	size_t cap = 0, n = 0;
	uint8_t *buf = NULL;

	for (;;) {
		ssize_t got;

		if (n == cap) {
			uint8_t *p;

			cap = cap ? cap * 2 : KIB(256);
			p = n > max ? NULL : realloc(buf, cap);
			if (!p) {
				free(buf);
				return n > max ? -EFBIG : -ENOMEM;
			}
			buf = p;
		}
		got = read(fd, buf + n, cap - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			free(buf);
			return -EIO;
		}
		if (got == 0)
			break;
		n += (size_t)got;
	}
	if (n == 0 || n > max) {
		free(buf);
		return n ? -EFBIG : -EIO;
	}
	*out = buf;
	*len = n;
	return 0;
}

int unpack_with_tool(const char *tool, int fd, size_t max, void **out, size_t *len)
{
	const struct host *h = host_linux();
	char name[16], unpack_to_stdout[] = "-dc";
	char *argv[] = { name, unpack_to_stdout, NULL };
	uint8_t *buf = NULL;
	int pipe_fd[2], status, r;
	pid_t pid, w;

	if (lseek(fd, 0, SEEK_SET) < 0 || pipe2(pipe_fd, O_CLOEXEC) < 0)
		return -errno;
	snprintf(name, sizeof(name), "%s", tool);
	r = h->spawn(h, &pid, argv, (const int[]){ fd, pipe_fd[1], -1 }, 3);
	close(pipe_fd[1]);
	if (r < 0) {
		close(pipe_fd[0]);
		return r;
	}
	r = read_all(pipe_fd[0], max, &buf, len);
	close(pipe_fd[0]); /* a tool that still writes dies of it */
	do {
		w = waitpid(pid, &status, 0);
	} while (w < 0 && errno == EINTR);
	/* An embedder that ignores SIGCHLD leaves us no status; xz, zstd and gzip end every stream with a checksum, and the
	 * kernel looks at the module again. */
	if (r == 0 && w == pid && !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
		r = -EIO;
	if (r < 0)
		free(buf);
	else
		*out = buf;
	return r;
}
