/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * evloop.c - the I/O thread's loop over epoll.
 *
 * Everything but evloop_call(), evloop_visit(), evbell_ring() and evloop_stop() belongs to the loop's thread, or to the
 * thread that builds the machine before the loop runs.  epoll tells readiness only; a source that has nothing to do costs nothing,
 * so an idle machine does not wake.
 */
#include "evloop.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include "bits.h"
#include "thread.h"

#define BATCH 16

int evloop_add(struct evloop *l, struct evsource *src, struct tvmm_error *err)
{
	struct epoll_event ev = { .events = src->events, .data.ptr = src };
	int ret = l->host->epoll_ctl(l->host, l->epfd, EPOLL_CTL_ADD, src->fd, &ev);

	return ret < 0 ? err_set(err, TVMM_E_HOST, -ret, NULL, "cannot watch descriptor %d", src->fd) : 0;
}

int evloop_mod(struct evloop *l, struct evsource *src, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = src };
	int ret = 0;

	if (events != src->events) {
		ret = l->host->epoll_ctl(l->host, l->epfd, EPOLL_CTL_MOD, src->fd, &ev);
		if (!ret)
			src->events = events;
	}
	return ret;
}

void evloop_again(struct evloop *l, struct evsource *src)
{
	struct epoll_event ev = { .events = src->events, .data.ptr = src };

	l->host->epoll_ctl(l->host, l->epfd, EPOLL_CTL_MOD, src->fd, &ev);
}

void evloop_del(struct evloop *l, struct evsource *src)
{
	if (src->fd >= 0)
		l->host->epoll_ctl(l->host, l->epfd, EPOLL_CTL_DEL, src->fd, NULL);
}

bool evloop_is_wanted(struct evloop *l)
{
	struct pollfd p = { .fd = l->epfd, .events = POLLIN };

	return l->host->poll(l->host, &p, 1, 0);
}

static void bell_ready(struct evsource *src, uint32_t events)
{
	struct evbell *b = container_of(src, struct evbell, src);
	uint64_t n;
	struct iovec iov = { &n, sizeof(n) };

	/* Emptied before the handler looks for work, so that what arrives from here on rings again; or each ring is an edge. */
	if (!(src->events & (uint32_t)EPOLLET))
		b->host->readv(b->host, src->fd, &iov, 1);
	b->rung(b);
}

int evbell_init(struct evbell *b, struct evloop *l, void (*rung)(struct evbell *), struct tvmm_error *err)
{
	int fd = l->host->eventfd(l->host, 0, EFD_NONBLOCK), ret;

	*b = (struct evbell){ .src = { .fd = -1 }, .rung = rung, .host = l->host };
	if (fd < 0)
		return err_set(err, TVMM_E_HOST, -fd, NULL, "cannot create an eventfd");
	b->src = (struct evsource){ .fd = fd, .events = EPOLLIN, .ready = bell_ready };
	ret = evloop_add(l, &b->src, err);
	if (ret) {
		l->host->close(l->host, fd);
		b->src.fd = -1;
	}
	return ret;
}

int evbell_watch(struct evbell *b, struct evloop *l, bool watch)
{
	return evloop_mod(l, &b->src, watch ? EPOLLIN | (uint32_t)EPOLLET : 0);
}

void evbell_fini(struct evbell *b, struct evloop *l)
{
	if (!b->host || b->src.fd < 0)
		return;
	evloop_del(l, &b->src);
	b->host->close(b->host, b->src.fd);
	b->src.fd = -1;
}

void evbell_ring(struct evbell *b)
{
	uint64_t one = 1;
	struct iovec iov = { &one, sizeof(one) };

	/*
	 * EAGAIN means that 2^64 - 2 rings are pending: it rings.  An eventfd has no other reason to refuse; but a ring that
	 * is lost is a thread that waits for ever, so it is tried again.
	 */
	for (unsigned i = 0; i < 3; i++) {
		ssize_t ret = b->host->writev(b->host, b->src.fd, &iov, 1);

		if (ret >= 0 || ret == -EAGAIN)
			break;
	}
}

static struct evloop_msg *take_msg(struct evloop *l)
{
	struct evloop_msg *m;

	pthread_mutex_lock(&l->lock);
	m = l->msgs;
	if (m) {
		l->msgs = m->next;
		if (!l->msgs)
			l->msgs_tail = &l->msgs;
	}
	pthread_mutex_unlock(&l->lock);
	return m;
}

static void run_msgs(struct evloop *l)
{
	struct evloop_msg *m;

	while ((m = take_msg(l))) {
		m->fn(m->arg);
		pthread_mutex_lock(&l->lock);
		m->done = true; /* the caller's stack frame may go from here on */
		pthread_cond_broadcast(&l->done);
		pthread_mutex_unlock(&l->lock);
	}
}

static void calls_rung(struct evbell *b)
{
	run_msgs(container_of(b, struct evloop, calls));
}

int evloop_init(struct evloop *l, const struct host *host, struct tvmm_error *err)
{
	int ret;

	*l = (struct evloop){ .host = host };
	l->msgs_tail = &l->msgs;
	l->epfd = host->epoll_create(host);
	if (l->epfd < 0)
		return err_set(err, TVMM_E_HOST, -l->epfd, NULL, "cannot create an epoll descriptor");
	pthread_mutex_init(&l->lock, NULL);
	pthread_mutex_init(&l->turn, NULL);
	pthread_cond_init(&l->done, NULL);
	ret = evbell_init(&l->calls, l, calls_rung, err);
	if (ret) {
		pthread_cond_destroy(&l->done);
		pthread_mutex_destroy(&l->turn);
		pthread_mutex_destroy(&l->lock);
		host->close(host, l->epfd);
	}
	return ret;
}

static void join(struct evloop *l)
{
	if (l->joinable)
		pthread_join(l->thread, NULL);
	l->joinable = false;
}

void evloop_fini(struct evloop *l)
{
	join(l);
	evbell_fini(&l->calls, l);
	pthread_cond_destroy(&l->done);
	pthread_mutex_destroy(&l->turn);
	pthread_mutex_destroy(&l->lock);
	l->host->close(l->host, l->epfd);
}

void evloop_call(struct evloop *l, void (*fn)(void *arg), void *arg)
{
	struct evloop_msg m = { .fn = fn, .arg = arg };

	pthread_mutex_lock(&l->lock);
	if (!l->running || pthread_equal(l->thread, pthread_self())) {
		pthread_mutex_unlock(&l->lock);
		fn(arg);
		return;
	}
	*l->msgs_tail = &m;
	l->msgs_tail = &m.next;
	pthread_mutex_unlock(&l->lock);

	evbell_ring(&l->calls);
	pthread_mutex_lock(&l->lock);
	while (!m.done)
		pthread_cond_wait(&l->done, &l->lock);
	pthread_mutex_unlock(&l->lock);
}

/* Visitors come and go at their pleasure: without a word from us they could keep us out for ever. */
static void take_turn(struct evloop *l)
{
	if (!pthread_mutex_trylock(&l->turn))
		return;
	atomic_store(&l->wanted, true);
	pthread_mutex_lock(&l->turn);
	atomic_store(&l->wanted, false);
}

bool evloop_visit(struct evloop *l, void (*fn)(void *arg), void *arg)
{
	bool welcome;

	if (atomic_load_explicit(&l->wanted, memory_order_relaxed) || pthread_mutex_trylock(&l->turn))
		return false;
	welcome = !l->over;
	if (welcome) {
		l->visited = true;
		fn(arg);
		l->visited = false;
	}
	pthread_mutex_unlock(&l->turn);
	return welcome;
}

static void quit_fn(void *arg)
{
	struct evloop *l = arg;

	l->stop = true;
}

static void *loop_main(void *arg)
{
	struct evloop *l = arg;
	struct epoll_event evs[BATCH];
	int n = 0;

	while (!l->stop) {
		n = l->host->epoll_wait(l->host, l->epfd, evs, BATCH, -1);
		if (n == -EINTR)
			continue;
		if (n < 0)
			break;
		atomic_fetch_add_explicit(&l->wakeups, 1, memory_order_relaxed);
		take_turn(l);
		for (int i = 0; i < n && !l->stop; i++) {
			struct evsource *src = evs[i].data.ptr;

			/* A source that an earlier one in this batch deleted has fd -1. */
			if (src->fd >= 0)
				src->ready(src, evs[i].events);
		}
		pthread_mutex_unlock(&l->turn);
	}

	take_turn(l);
	l->over = true;
	pthread_mutex_unlock(&l->turn);
	/* Not running from here on: whoever calls later runs its function itself.  Who called before is served. */
	pthread_mutex_lock(&l->lock);
	l->running = false;
	pthread_mutex_unlock(&l->lock);
	run_msgs(l);
	if (n < 0 && l->failed)
		l->failed(l->failed_arg, n);
	pthread_mutex_lock(&l->lock);
	l->gone = true;
	pthread_cond_broadcast(&l->done);
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

int evloop_start(struct evloop *l, const char *thread_name, struct tvmm_error *err)
{
	int ret;

	join(l);
	l->stop = l->over = l->gone = false; /* of an earlier run; nobody visits yet */
	pthread_mutex_lock(&l->lock); /* the thread may ask which it is before we know it */
	ret = thread_start(l->host, &l->thread, thread_name, 0, loop_main, l);
	l->running = l->started = l->joinable = !ret;
	pthread_mutex_unlock(&l->lock);
	return ret ? err_set(err, TVMM_E_HOST, -ret, NULL, "cannot start the I/O thread") : 0;
}

void evloop_stop(struct evloop *l)
{
	if (!l->started)
		return;
	evloop_call(l, quit_fn, l);
	pthread_mutex_lock(&l->lock);
	while (!l->gone)
		pthread_cond_wait(&l->done, &l->lock);
	pthread_mutex_unlock(&l->lock);
	l->started = false;
}
