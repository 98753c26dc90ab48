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
#include <sys/epoll.h>
#include <sys/socket.h>
#include "bits.h"
#include "unix_listen.h"

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

int chardev_listen_init(struct chardev_listen *l, struct chardev *chr, const char *path, struct tvmm_error *err)
{
	char what[64];
	int ret;

	*l = (struct chardev_listen){ .src = { .fd = -1, .ready = arrived }, .chr = chr };
	snprintf(what, sizeof(what), "the socket of %s", chr->name);
	ret = unix_address(&l->addr, path, 0, what, err);
	if (ret)
		return ret;
	ret = unix_listen(chr->host, &l->addr, 1, false, what, err);
	if (ret < 0)
		return ret;
	l->src.fd = ret;
	ret = watch(l);
	if (ret) {
		chardev_listen_fini(l);
		return err_set(err, TVMM_E_IO, -ret, path, "cannot watch the socket of %s", chr->name);
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
	h->unlink(h, l->addr.sun_path);
	l->src.fd = -1;
}
