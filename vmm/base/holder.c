/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * holder.c - the search through /proc/PID/fd.  What may not be read is passed over in silence.
 */
#include "holder.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool has_open(int proc, const char *pid, dev_t dev, ino_t ino)
{
	char path[300];
	const struct dirent *e;
	bool found = false;
	int fd;
	DIR *d;

	snprintf(path, sizeof(path), "%.16s/fd", pid);
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (!found && (e = readdir(d))) {
		struct stat st;

		found = isdigit((unsigned char)e->d_name[0]) && !fstatat(dirfd(d), e->d_name, &st, 0) && st.st_dev == dev &&
			st.st_ino == ino;
	}
	closedir(d);
	return found;
}

static void read_comm(int proc, const char *pid, char *comm, size_t len)
{
	char path[300];
	ssize_t n = 0;
	int fd;

	snprintf(path, sizeof(path), "%.16s/comm", pid);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, comm, len - 1);
		close(fd);
	}
	comm[n > 0 ? n : 0] = 0;
	comm[strcspn(comm, "\n")] = 0;
}

pid_t holder_of(dev_t dev, ino_t ino, char *comm, size_t len)
{
	DIR *d = opendir("/proc");
	const struct dirent *e;
	pid_t found = 0;

	while (d && !found && (e = readdir(d))) {
		pid_t pid = atoi(e->d_name);

		if (pid <= 0 || pid == getpid() || !has_open(dirfd(d), e->d_name, dev, ino))
			continue;
		found = pid;
		read_comm(dirfd(d), e->d_name, comm, len);
	}
	if (d)
		closedir(d);
	return found;
}
