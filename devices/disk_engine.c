/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * disk_engine.c - disk operations that do not hold the I/O loop up (disk_engine.h).
 *
 * The way of an operation: batch -> (tried at once | io_uring | threads) -> done.  io_uring is the fast path only: what
 * it returns short, interrupted or refused goes to a thread, where the disk's own functions finish it, so that the rules
 * for errors are written down once.  All is the loop's but for the threads, which see an operation alone, between being
 * taken from TODO and put on DONE.
 */
#include "disk_engine.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include "bits.h"
#include "log.h"
#include "thread.h"

#define STACK   0x40000
#define WAIT_MS 2
/* A visitor copies no more than this at a time, and after a miss looks away for so many operations. */
#define VISIT_BYTES KIB(256)
#define COLD        32

static void list_init(struct disk_list *l)
{
	l->head = NULL;
	l->tail = &l->head;
}

static void list_add(struct disk_list *l, struct disk_io *io)
{
	io->next = NULL;
	*l->tail = io;
	l->tail = &io->next;
}

/* Moves all of B to the end of A. */
static void list_join(struct disk_list *a, struct disk_list *b)
{
	if (!b->head)
		return;
	*a->tail = b->head;
	a->tail = b->tail;
	list_init(b);
}

/* The first, or NULL. */
static struct disk_io *list_take(struct disk_list *l)
{
	struct disk_io *io = l->head;

	if (io) {
		l->head = io->next;
		if (!l->head)
			l->tail = &l->head;
	}
	return io;
}

/* ---- the end of an operation -------------------------------------------------------------------------------------- */

/* Whoever waited for this fdatasync has its result; those who came later need one that starts now. */
static void flushed(struct disk_engine *e, struct disk *d, int ret)
{
	struct disk_io *io = d->flushing, *next;

	if (ret) {
		atomic_store(&d->failed, true);
		ret = -EIO; /* whatever the host called it: what was written may be lost */
	}
	d->flushing = d->flush_next;
	d->flush_next = NULL;
	if (d->flushing)
		list_add(&e->batch, d->flushing);
	for (; io; io = next) {
		next = io->group;
		io->done(io, ret);
	}
}

static void finish(struct disk_engine *e, struct disk_io *io, int ret)
{
	if (io->op == DISK_FLUSH)
		flushed(e, io->disk, ret);
	else
		io->done(io, ret);
}

/* ---- threads ------------------------------------------------------------------------------------------------------ */

static void *thread_main(void *arg)
{
	struct disk_engine *e = arg;

	pthread_mutex_lock(&e->lock);
	for (;;) {
		struct disk_io *io = list_take(&e->todo);
		bool first;

		if (!io && e->stop)
			break;
		if (!io) {
			pthread_cond_wait(&e->work, &e->lock);
			continue;
		}
		pthread_mutex_unlock(&e->lock);
		io->ret = disk_run(io->disk, io);
		pthread_mutex_lock(&e->lock);
		first = !e->done.head;
		list_add(&e->done, io);
		if (first)
			evbell_ring(&e->bell);
	}
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

static void to_thread(struct disk_engine *e, struct disk_io *io)
{
	if (!e->n_threads) { /* late, but done */
		finish(e, io, disk_run(io->disk, io));
		return;
	}
	pthread_mutex_lock(&e->lock);
	list_add(&e->todo, io);
	pthread_cond_signal(&e->work);
	pthread_mutex_unlock(&e->lock);
}

static void reap_threads(struct disk_engine *e)
{
	struct disk_io *io, *next;

	pthread_mutex_lock(&e->lock);
	io = e->done.head;
	list_init(&e->done);
	pthread_mutex_unlock(&e->lock);
	for (; io; io = next) {
		next = io->next;
		finish(e, io, io->ret);
	}
}

/* ---- io_uring ----------------------------------------------------------------------------------------------------- */

static void uring_ready(struct evsource *src, uint32_t events)
{
	disk_reap(container_of(src, struct disk_engine, uring_src));
}

/* Before the guest runs, needed or not: a thread that a guest drives makes no descriptor. */
static void start_uring(struct disk_engine *e)
{
	int ret = disk_uring_init(&e->uring, e->host);

	if (!ret) {
		/* The descriptor is readable while there are completions. */
		e->uring_src = (struct evsource){ .fd = e->uring.fd, .events = EPOLLIN, .ready = uring_ready };
		ret = evloop_add(e->loop, &e->uring_src, NULL);
		if (ret)
			disk_uring_fini(&e->uring);
	}
	e->has_uring = !ret;
	e->no_uring = ret;
	if (ret) {
		e->uring_src.fd = -1;
		log_line(e->log, TVMM_LOG_INFO, "disks: no io_uring (%s), threads do its work", strerror(-ret));
	}
}

static void uring_done(struct disk_engine *e, struct disk_io *io, int res)
{
	bool transfer = io->op == DISK_READ || io->op == DISK_WRITE;
	bool again = res == -EINTR || res == -EAGAIN, short_one = transfer && res >= 0 && (uint64_t)res != io->len;

	if (!again && !short_one) {
		finish(e, io, MIN(res, 0));
		return;
	}
	if (res > 0)
		disk_io_advance(io, (size_t)res);
	to_thread(e, io);
}

static void reap_uring(struct disk_engine *e)
{
	struct disk_io *io;
	int res;

	while (e->has_uring && (io = disk_uring_take(&e->uring, &res)))
		uring_done(e, io, res);
}

/* ---- the way in --------------------------------------------------------------------------------------------------- */

static void start(struct disk_engine *e, struct disk_io *io, bool alone)
{
	struct disk *d = io->disk;
	bool transfer = io->op == DISK_READ || io->op == DISK_WRITE;

	if (io->op != DISK_READ && atomic_load(&d->failed)) {
		finish(e, io, -EIO);
		return;
	}
	/* Nothing to wait for, and nothing to keep a thread or the kernel's for. */
	if (io->op == DISK_FLUSH && d->in_memory) {
		finish(e, io, disk_run(d, io));
		return;
	}
	/* One alone is fastest by the system call itself; of many, io_uring does the same for all in one call. */
	if (transfer && d->ops->try && (alone || d->in_memory || !e->has_uring)) {
		int ret = d->ops->try(d, io);

		if (ret != -EAGAIN) {
			finish(e, io, ret);
			return;
		}
	}
	if (d->fd < 0 || (transfer ? disk_must_copy(d, io) : io->op != DISK_FLUSH) || !e->has_uring || !disk_uring_add(&e->uring, io))
		to_thread(e, io);
}

static bool done_in_visit(struct disk_engine *e, struct disk_io *io)
{
	struct disk *d = io->disk;
	bool transfer = io->op == DISK_READ || io->op == DISK_WRITE;
	int ret;

	if (io->op == DISK_FLUSH && d->in_memory) {
		finish(e, io, disk_run(d, io));
		return true;
	}
	if (!transfer || !d->ops->try || io->len > VISIT_BYTES || atomic_load(&d->failed))
		return false;
	if (d->cold) {
		d->cold--;
		return false;
	}
	ret = d->ops->try(d, io);
	if (ret == -EAGAIN)
		d->cold = COLD;
	else
		finish(e, io, ret);
	return ret != -EAGAIN;
}

static void dispatch_visit(struct disk_engine *e)
{
	struct disk_io *io = e->batch.head, *next;
	struct disk_list rest;

	list_init(&e->batch);
	list_init(&rest);
	for (; io; io = next) {
		next = io->next;
		if (!done_in_visit(e, io))
			list_add(&rest, io);
	}
	list_join(&rest, &e->batch); /* what those that are done have led to */
	list_join(&e->batch, &rest);
}

static void dispatch(struct disk_engine *e)
{
	while (e->batch.head) {
		struct disk_io *io = e->batch.head, *next;
		bool alone = !io->next;

		list_init(&e->batch);
		for (; io; io = next) {
			next = io->next;
			start(e, io, alone);
		}
		if (!e->has_uring)
			continue;
		for (io = disk_uring_submit(&e->uring); io; io = next) {
			next = io->next;
			to_thread(e, io);
		}
		reap_uring(e); /* what was in the page cache is done already */
	}
}

static void call_after(struct disk_engine *e)
{
	struct disk_after *a;

	while ((a = e->after)) {
		e->after = a->next;
		a->queued = false;
		a->fn(a);
	}
}

void disk_kick(struct disk_engine *e)
{
	if (!e || e->at_work) /* whoever is at work goes on with it */
		return;
	e->at_work = true;
	do {
		if (e->loop->visited)
			dispatch_visit(e);
		else
			dispatch(e);
		call_after(e);
	} while (e->after || (e->batch.head && !e->loop->visited));
	e->at_work = false;
	if (e->batch.head)
		evbell_ring(&e->bell);
}

void disk_reap(struct disk_engine *e)
{
	if (!e || e->at_work)
		return;
	e->at_work = true;
	reap_threads(e);
	reap_uring(e);
	e->at_work = false;
	disk_kick(e);
}

void disk_submit(struct disk_engine *e, struct disk *d, struct disk_io *io)
{
	io->disk = d;
	io->group = NULL;
	if (!e) {
		io->done(io, disk_run(d, io));
		return;
	}
	if (io->op == DISK_FLUSH && d->flushing) {
		io->group = d->flush_next;
		d->flush_next = io;
		return;
	}
	if (io->op == DISK_FLUSH)
		d->flushing = io;
	list_add(&e->batch, io);
}

void disk_call_after(struct disk_engine *e, struct disk_after *a)
{
	if (a->queued)
		return;
	if (!e || !e->at_work) {
		a->fn(a);
		return;
	}
	a->queued = true;
	a->next = e->after;
	e->after = a;
}

void disk_engine_wait(struct disk_engine *e)
{
	struct pollfd p = { .fd = e ? e->bell.src.fd : -1, .events = POLLIN };

	if (e)
		e->host->poll(e->host, &p, 1, WAIT_MS);
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

static void bell_rung(struct evbell *b)
{
	disk_reap(container_of(b, struct disk_engine, bell));
}

static void start_threads(struct disk_engine *e)
{
	while (e->n_threads < DISK_THREADS && !thread_start(e->host, &e->thread[e->n_threads], "disk", STACK, thread_main, e))
		e->n_threads++;
}

int disk_engine_init(struct disk_engine *e, const struct host *host, struct evloop *loop, struct log *log,
		     struct tvmm_error *err)
{
	int ret;

	*e = (struct disk_engine){ .host = host, .loop = loop, .log = log, .uring.fd = -1, .uring_src.fd = -1 };
	list_init(&e->batch);
	list_init(&e->todo);
	list_init(&e->done);
	ret = evbell_init(&e->bell, loop, bell_rung, err);
	if (ret) {
		e->host = NULL;
		return ret;
	}
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->work, NULL);
	start_threads(e);
	if (e->n_threads) {
		start_uring(e);
		return 0;
	}
	disk_engine_fini(e);
	return err_set(err, TVMM_E_HOST, EAGAIN, NULL, "cannot start a thread for the disks");
}

void disk_engine_fini(struct disk_engine *e)
{
	if (!e->host)
		return;
	pthread_mutex_lock(&e->lock);
	e->stop = true;
	pthread_cond_broadcast(&e->work);
	pthread_mutex_unlock(&e->lock);
	for (unsigned i = 0; i < e->n_threads; i++)
		pthread_join(e->thread[i], NULL);
	if (e->has_uring) {
		evloop_del(e->loop, &e->uring_src);
		disk_uring_fini(&e->uring);
	}
	evbell_fini(&e->bell, e->loop);
	pthread_cond_destroy(&e->work);
	pthread_mutex_destroy(&e->lock);
	e->host = NULL;
}
