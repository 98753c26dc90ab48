/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * evtimer.c - timers of a loop, by the host's timer descriptors.
 */
#include "evtimer.h"

int evtimer_init(struct evsource *t, struct evloop *l, uint32_t events, void (*ready)(struct evsource *t, uint32_t events),
		 struct tvmm_error *err)
{
	int fd = l->host->timerfd(l->host), ret;

	*t = (struct evsource){ .fd = -1 };
	if (fd < 0)
		return err_set(err, TVMM_E_HOST, -fd, NULL, "cannot create a timer");
	*t = (struct evsource){ .fd = fd, .events = events, .ready = ready };
	ret = evloop_add(l, t, err);
	if (ret) {
		l->host->close(l->host, fd);
		t->fd = -1;
	}
	return ret;
}

void evtimer_fini(struct evsource *t, struct evloop *l)
{
	if (t->fd < 0)
		return;
	evloop_del(l, t);
	l->host->close(l->host, t->fd);
	t->fd = -1;
}

int evtimer_set(const struct evsource *t, const struct evloop *l, uint64_t at_ns)
{
	return l->host->timerfd_set(l->host, t->fd, at_ns, 0);
}

void evtimer_take(const struct evsource *t, const struct evloop *l)
{
	uint64_t n;
	struct iovec iov = { &n, sizeof(n) };

	l->host->readv(l->host, t->fd, &iov, 1);
}
