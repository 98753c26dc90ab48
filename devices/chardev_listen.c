/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * chardev_listen.c - the unix socket at which a chardev's peers arrive (chardev_listen.h).
 *
 * The listening socket is in the epoll set only while there is no peer; the chardev tells of a peer's loss.  An accept that
 * fails (the process has no descriptors left) ends the listening until a peer is lost again or for good: retrying would
 * spin, for the socket stays readable.
 */
#include "chardev_listen.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "bits.h"

static void stop_watching(struct chardev_listen *l)
{
	if (l->src.events)
		evloop_del(l->chr->loop, &l->src);
	l->src.events = 0;
}

static int watch(struct chardev_listen *l)
{
	int ret = 0;

	if (!l->src.events) {
		l->src.events = EPOLLIN;
		ret = evloop_add(l->chr->loop, &l->src, NULL);
		if (ret)
			l->src.events = 0;
	}
	return ret;
}

static void arrived(struct evsource *src, uint32_t events)
{
	struct chardev_listen *l = container_of(src, struct chardev_listen, src);
	const struct host *h = l->chr->host;
	int ret;

	if (!l->src.events || chardev_has_peer(l->chr)) /* an event from before, in the same batch */
		return;
	ret = h->accept(h, l->src.fd, SOCK_NONBLOCK);
	if (ret == -EAGAIN || ret == -EINTR || ret == -ECONNABORTED) /* it changed its mind */
		return;
	stop_watching(l);
	if (ret >= 0)
		ret = chardev_attach(l->chr, ret);
	if (ret < 0)
		log_line(l->chr->log, TVMM_LOG_ERROR, "%s: cannot accept a connection (errno %d); no more are taken", l->chr->name,
			 -ret);
}

static void lost(void *arg)
{
	struct chardev_listen *l = arg;

	if (watch(l))
		log_line(l->chr->log, TVMM_LOG_ERROR, "%s: cannot listen any more", l->chr->name);
}

/* A socket that nobody listens at is what a killed process left. */
static bool is_stale(const struct host *h, const struct sockaddr_un *sun)
{
	int fd = h->socket(h, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), ret;

	if (fd < 0)
		return false;
	ret = h->connect(h, fd, (const struct sockaddr *)sun, sizeof(*sun));
	h->close(h, fd);
	return ret == -ECONNREFUSED;
}

static int unix_listen(const struct host *h, const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	const struct sockaddr *addr = (const struct sockaddr *)&sun;
	int ret, fd = h->socket(h, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return fd;
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	ret = h->bind(h, fd, addr, sizeof(sun));
	if (ret == -EADDRINUSE && is_stale(h, &sun)) {
		ret = h->unlink(h, path);
		ret = ret ? ret : h->bind(h, fd, addr, sizeof(sun));
	}
	if (!ret)
		ret = h->listen(h, fd, 1);
	if (!ret)
		return fd;
	h->close(h, fd);
	return ret;
}

int chardev_listen_init(struct chardev_listen *l, struct chardev *chr, const char *path, struct tvmm_error *err)
{
	const struct host *h = chr->host;
	int ret;

	*l = (struct chardev_listen){ .src = { .fd = -1, .ready = arrived }, .chr = chr };
	if (strlen(path) >= sizeof(l->path))
		return err_set(err, TVMM_E_CONFIG, 0, chr->name, "the socket's path has %zu bytes; the most is %zu", strlen(path),
			       sizeof(l->path) - 1);
	ret = unix_listen(h, path);
	if (ret < 0) {
		err_set(err, TVMM_E_IO, -ret, path, "cannot listen at this socket for %s", chr->name);
		if (ret == -EADDRINUSE)
			err_hint(err, "another program listens there, or it is no socket");
		return ret;
	}
	l->src.fd = ret;
	snprintf(l->path, sizeof(l->path), "%s", path);
	ret = watch(l);
	if (ret) {
		chardev_listen_fini(l);
		return err_set(err, TVMM_E_IO, -ret, path, "cannot watch the socket for %s", chr->name);
	}
	chr->lost = lost;
	chr->lost_arg = l;
	return 0;
}

void chardev_listen_fini(struct chardev_listen *l)
{
	const struct host *h;

	if (l->src.fd < 0)
		return;
	h = l->chr->host;
	l->chr->lost = NULL;
	stop_watching(l);
	h->close(h, l->src.fd);
	h->unlink(h, l->path);
	l->src.fd = -1;
}
