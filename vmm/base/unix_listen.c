/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unix_listen.c - a unix socket with a name (unix_listen.h).  Any thread; keeps nothing.
 */
#include "unix_listen.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int unix_address(struct sockaddr_un *addr, const char *path, size_t spare, const char *what, struct tvmm_error *err)
{
	const size_t most = sizeof(addr->sun_path) - 1 - spare;

	if (strlen(path) > most) {
		err_set(err, TVMM_E_CONFIG, ENAMETOOLONG, path, "%s's path is too long", what);
		err_hint(err, "it may have %zu bytes", most);
		return -ENAMETOOLONG;
	}
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(addr->sun_path, path, strlen(path));
	return 0;
}

static int bind_to(const struct host *h, int fd, const struct sockaddr_un *addr)
{
	return h->bind(h, fd, (const struct sockaddr *)addr, sizeof(*addr));
}

/* Is it a socket at all?  connect() tells the same of a file as of a socket that nobody serves. */
static int look_at(const struct host *h, const char *path, bool *is_socket)
{
	struct stat st;
	int fd = h->open(h, path, O_PATH | O_NOFOLLOW, 0), ret;

	if (fd < 0)
		return fd;
	ret = h->fstat(h, fd, &st);
	h->close(h, fd);
	*is_socket = !ret && S_ISSOCK(st.st_mode);
	return ret;
}

static bool is_served(const struct host *h, const struct sockaddr_un *addr)
{
	int fd = h->socket(h, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), ret;

	if (fd < 0)
		return true; /* for all we know */
	ret = h->connect(h, fd, (const struct sockaddr *)addr, sizeof(*addr));
	h->close(h, fd);
	return ret != -ECONNREFUSED;
}

static int replace(const struct host *h, int fd, const struct sockaddr_un *addr, bool abandoned, const char *what,
		   struct tvmm_error *err)
{
	const char *path = addr->sun_path;
	bool is_socket = false;
	int ret = look_at(h, path, &is_socket);

	if (ret)
		return err_set(err, TVMM_E_IO, -ret, path, "cannot look at what is in the place of %s", what);
	if (!is_socket)
		return err_set(err, TVMM_E_CONFIG, EEXIST, path, "there is a file where %s is to be", what);
	if (!abandoned && is_served(h, addr)) {
		ret = err_set(err, TVMM_E_BUSY, EADDRINUSE, path, "another process listens at %s", what);
		err_hint(err, "another machine may have it; choose another path");
		return ret;
	}
	ret = h->unlink(h, path);
	if (!ret)
		ret = bind_to(h, fd, addr);
	return ret ? err_set(err, TVMM_E_IO, -ret, path, "cannot replace the old %s", what + (strncmp(what, "the ", 4) ? 0 : 4)) : 0;
}

static int name_it(const struct host *h, int fd, const struct sockaddr_un *addr, int backlog, bool abandoned, const char *what,
		   struct tvmm_error *err)
{
	/* Before it has a name, so that it never has a name and another mode; bind() takes it over, less the umask. */
	int ret = h->fchmod(h, fd, 0600);

	if (!ret)
		ret = bind_to(h, fd, addr);
	if (ret == -EADDRINUSE) {
		ret = replace(h, fd, addr, abandoned, what, err);
		if (ret)
			return ret;
	}
	if (ret)
		return err_set(err, TVMM_E_IO, -ret, addr->sun_path, "cannot make %s", what);
	ret = h->listen(h, fd, backlog);
	if (ret) {
		h->unlink(h, addr->sun_path);
		err_set(err, TVMM_E_IO, -ret, addr->sun_path, "cannot listen at %s", what);
	}
	return ret;
}

int unix_listen(const struct host *h, const struct sockaddr_un *addr, int backlog, bool abandoned, const char *what,
		struct tvmm_error *err)
{
	int ret, fd = h->socket(h, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_set(err, TVMM_E_HOST, -fd, addr->sun_path, "cannot make %s", what);
	ret = name_it(h, fd, addr, backlog, abandoned, what, err);
	if (!ret)
		return fd;
	h->close(h, fd);
	return ret;
}
