/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * chardev.c - bytes between a fixed ring and host descriptors.
 *
 * The guest's devices call chardev_put() on any thread; everything else happens on the I/O loop.  It never blocks on a
 * descriptor and never sets O_NONBLOCK where others would see it: pipes and terminals are opened again through
 * /proc/self/fd, sockets are used with MSG_DONTWAIT, and where neither is possible a write follows only a poll that
 * said writable and is small enough for what that promises.  A descriptor is in the epoll set only while there is
 * something to do with it, because epoll reports a hang-up whether or not it was asked for.
 *
 * SIGPIPE: the loop's thread has all signals blocked; chardev_drain(), which may run elsewhere, sees to it itself.
 */
#include "chardev.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include "bits.h"

#define IN_BUF      4096
#define PUMP_ROUNDS 8 /* writes before the loop serves somebody else */

/*
 * What a blocking write can take after poll said writable.  A pipe has a free page then.  A terminal gets its room in
 * units of 256 bytes and may write two for a newline, eight for a tab.
 */
#define CHUNK_PIPE  PIPE_BUF
#define CHUNK_OTHER 32
#define CHUNK_ANY   CHARDEV_RING

/* Changes what a source is watched for; 0 takes it out of the epoll set. */
static int end_watch(struct chardev *c, struct chardev_end *e, uint32_t events)
{
	int ret = 0;

	if (e->src.events == events)
		return 0;
	if (!events) {
		evloop_del(c->loop, &e->src);
		e->src.events = 0;
	} else if (e->src.events) {
		ret = evloop_mod(c->loop, &e->src, events);
	} else {
		e->src.events = events;
		ret = evloop_add(c->loop, &e->src, NULL);
		if (ret)
			e->src.events = 0;
	}
	return ret;
}

static void end_close(struct chardev *c, struct chardev_end *e)
{
	if (e->src.fd < 0)
		return;
	end_watch(c, e, 0);
	c->host->close(c->host, e->src.fd);
	e->src.fd = -1;
}

/* Opening a pseudo-terminal's master again would make a new pair; any other character device might have effects. */
static bool is_terminal(const struct host *h, int fd)
{
	struct termios t;
	unsigned pty;

	return h->ioctl(h, fd, TCGETS, (uintptr_t)&t) >= 0 && h->ioctl(h, fd, TIOCGPTN, (uintptr_t)&pty) < 0;
}

/* A non-blocking description of our own for a pipe or terminal, or -errno. */
static int reopen(const struct host *h, int fd, int mode)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return h->open(h, path, mode | O_NONBLOCK | O_NOCTTY, 0);
}

static int end_open(struct chardev *c, struct chardev_end *e, int fd, int mode, struct tvmm_error *err)
{
	const struct host *h = c->host;
	const char *way = mode == O_RDONLY ? "input" : "output";
	char what[96];
	struct stat st;
	int flags, ret;

	snprintf(what, sizeof(what), "%s %s", c->name, way);
	ret = h->fstat(h, fd, &st);
	flags = ret < 0 ? ret : h->fcntl(h, fd, F_GETFL, 0);
	if (flags < 0)
		return err_set(err, TVMM_E_IO, -flags, what, "cannot use descriptor %d", fd);

	e->is_socket = S_ISSOCK(st.st_mode);
	e->chunk = CHUNK_ANY;
	ret = -1;
	if (!e->is_socket && !(flags & O_NONBLOCK)) {
		if (S_ISFIFO(st.st_mode) || (S_ISCHR(st.st_mode) && is_terminal(h, fd)))
			ret = reopen(h, fd, mode);
		if (ret < 0 && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)))
			e->chunk = S_ISFIFO(st.st_mode) ? CHUNK_PIPE : CHUNK_OTHER;
	}
	/* A duplicate shares the offset and O_APPEND, and can be watched beside another one of the same descriptor. */
	if (ret < 0)
		ret = h->fcntl(h, fd, F_DUPFD_CLOEXEC, 3);
	if (ret < 0)
		return err_set(err, TVMM_E_IO, -ret, what, "cannot duplicate descriptor %d", fd);

	e->src.fd = ret;
	ret = end_watch(c, e, mode == O_RDONLY ? EPOLLIN : EPOLLOUT);
	if (ret == -EPERM) {
		e->direct = true;
		e->chunk = CHUNK_ANY;
	} else if (ret < 0) {
		end_close(c, e);
		return err_set(err, TVMM_E_IO, -ret, what, "cannot watch descriptor %d", fd);
	}
	end_watch(c, e, 0);
	return 0;
}

/* The device hears of it first: it tells the guest of one peer's end before another one can come. */
static void peer_lost(struct chardev *c)
{
	if (chardev_has_peer(c))
		return;
	c->in_ended = false;
	evbell_ring(&c->kick); /* what it did not take is waited for by nobody: it is dropped, and who waits for room is told */
	if (c->peer)
		c->peer(c->peer_arg);
	if (c->lost)
		c->lost(c->lost_arg);
}

static void both_close(struct chardev *c)
{
	end_close(c, &c->in);
	end_close(c, &c->out);
}

/* ---- output ------------------------------------------------------------------------------------------------------- */

size_t chardev_put(struct chardev *c, const uint8_t *buf, size_t len)
{
	bool was_empty;
	size_t n, done = 0;

	pthread_mutex_lock(&c->lock);
	n = MIN(len, CHARDEV_RING - c->used);
	was_empty = c->used == 0;
	while (done < n) {
		size_t at = (c->head + c->used) % CHARDEV_RING, part = MIN(n - done, CHARDEV_RING - at);

		/* The watcher sees the copy: BUF may be guest memory, which can change between two looks. */
		memcpy(&c->ring[at], buf + done, part);
		if (c->watch)
			c->watch(c->watch_arg, &c->ring[at], part);
		c->used += part;
		done += part;
	}
	if (n < len)
		c->starved = true;
	pthread_mutex_unlock(&c->lock);

	if (n && was_empty)
		evbell_ring(&c->kick);
	return n;
}

size_t chardev_room(struct chardev *c)
{
	size_t room;

	pthread_mutex_lock(&c->lock);
	room = CHARDEV_RING - c->used;
	if (room < CHARDEV_LOW)
		c->starved = true;
	pthread_mutex_unlock(&c->lock);
	return room;
}

static void log_copy(struct chardev *c, uint8_t *p, size_t len)
{
	while (len && c->log_fd >= 0) {
		struct iovec iov = { .iov_base = p, .iov_len = len };
		ssize_t n = c->host->writev(c->host, c->log_fd, &iov, 1);

		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (n != -EINTR) {
			/* A log with a hole misleads; one that ends, and says so here, does not. */
			log_line(c->log, TVMM_LOG_ERROR, "%s log: cannot write (errno %d); the copy ends here",
				 c->name, (int)-n);
			c->log_fd = -1;
		}
	}
}

/* Writes some of P: how many bytes are dealt with, or -EAGAIN. */
static ssize_t out_write(struct chardev *c, uint8_t *p, size_t len)
{
	struct chardev_end *e = &c->out;
	struct iovec iov = { .iov_base = p, .iov_len = MIN(len, e->chunk) };
	ssize_t n;

	if (e->src.fd >= 0) {
		do {
			if (e->is_socket)
				n = c->host->send(c->host, e->src.fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
			else
				n = c->host->writev(c->host, e->src.fd, &iov, 1);
		} while (n == -EINTR);
		if (n > 0 || (n == -EAGAIN && !e->direct))
			return n;
		/* A full file system may have room again; anything else stays broken. */
		if (n != -ENOSPC && n != -EDQUOT) {
			if (!c->one_socket || !c->lost) /* where peers come and go, it is nothing to tell */
				log_line(c->log, TVMM_LOG_WARN, "%s: output is gone (errno %d)", c->name, (int)-n);
			if (c->one_socket)
				both_close(c);
			end_close(c, e);
			peer_lost(c);
		}
	}
	pthread_mutex_lock(&c->lock);
	c->dropped += len;
	pthread_mutex_unlock(&c->lock);
	return (ssize_t)len;
}

/* Takes N bytes out of the ring, and tells whoever waits for room. */
static void ring_advance(struct chardev *c, size_t n)
{
	bool tell;

	pthread_mutex_lock(&c->lock);
	c->head = (c->head + n) % CHARDEV_RING;
	c->used -= n;
	tell = c->starved && c->used <= CHARDEV_RING / 2;
	if (tell)
		c->starved = false;
	pthread_mutex_unlock(&c->lock);

	for (unsigned i = 0; tell && i < ARRAY_SIZE(c->drained); i++)
		if (c->drained[i])
			c->drained[i](c->drained_arg[i]);
}

/* What lies in the ring up to its end; stays there while the lock is free, for nobody else takes it out. */
static uint8_t *ring_peek(struct chardev *c, size_t *len)
{
	pthread_mutex_lock(&c->lock);
	*len = MIN(c->used, CHARDEV_RING - c->head);
	pthread_mutex_unlock(&c->lock);
	return &c->ring[c->head];
}

/* Writes what can be written.  POLLED: the descriptor was just found writable. */
static void out_pump(struct chardev *c, bool polled)
{
	struct chardev_end *e = &c->out;

	for (unsigned i = 0; i < PUMP_ROUNDS; i++) {
		bool guarded = e->src.fd >= 0 && e->chunk != CHUNK_ANY;
		uint8_t *p;
		size_t len;
		ssize_t n;

		p = ring_peek(c, &len);
		if (!len) {
			if (e->src.fd >= 0)
				end_watch(c, e, 0);
			return;
		}
		if (guarded && !polled)
			break;
		polled = false;
		n = out_write(c, p, len);
		if (n < 0)
			break;
		log_copy(c, p, (size_t)n);
		ring_advance(c, (size_t)n);
	}
	if (e->src.fd < 0 || e->direct || end_watch(c, e, EPOLLOUT) < 0)
		evbell_ring(&c->kick);
}

static void out_ready(struct evsource *src, uint32_t events)
{
	struct chardev *c = container_of(src, struct chardev, out.src);

	if (c->out.src.events) /* else an event from before it was left alone, in the same batch */
		out_pump(c, true);
}

/* ---- input -------------------------------------------------------------------------------------------------------- */

/* Returns what it was. */
static bool set_paused(struct chardev *c, bool paused)
{
	bool old;

	pthread_mutex_lock(&c->lock);
	old = c->in_paused;
	c->in_paused = paused;
	pthread_mutex_unlock(&c->lock);
	return old;
}

/* The receiver's room.  Where there is none, the descriptor is left alone until chardev_rx_ready(). */
static size_t in_room(struct chardev *c)
{
	size_t room = c->rx ? c->rx->room(c->rx) : 0;

	if (room)
		return room;
	end_watch(c, &c->in, 0);
	set_paused(c, true);
	/* Room made before the flag was up was told to nobody. */
	room = c->rx ? c->rx->room(c->rx) : 0;
	if (room)
		set_paused(c, false);
	return room;
}

/*
 * The end of input.  A peer on one socket may go on listening: its hang-up, which epoll tells whatever it is asked for,
 * is waited for, once.
 */
static void in_end(struct chardev *c, uint32_t events)
{
	if (c->one_socket && c->out.src.fd >= 0 && !(events & (EPOLLHUP | EPOLLERR))) {
		c->in_ended = true;
		if (end_watch(c, &c->in, EPOLLET) == 0)
			return;
	}
	if (c->one_socket)
		both_close(c);
	end_close(c, &c->in);
	peer_lost(c);
}

/* One read.  The descriptor is ready, or direct. */
static void in_pump(struct chardev *c, uint32_t events)
{
	struct chardev_end *e = &c->in;
	uint8_t buf[IN_BUF];
	size_t room = in_room(c); /* once: a guest that reads meanwhile makes it grow */
	struct iovec iov = { .iov_base = buf, .iov_len = MIN(room, sizeof(buf)) };
	ssize_t n;

	if (!room)
		return;
	if (e->is_socket)
		n = c->host->recv(c->host, e->src.fd, buf, iov.iov_len, MSG_DONTWAIT);
	else
		n = c->host->readv(c->host, e->src.fd, &iov, 1);

	if (n == -EIO && !e->direct && !(events & EPOLLHUP)) {
		/* A terminal whose foreground is somebody else: look again at the next key, not before. */
		end_watch(c, e, EPOLLIN | EPOLLET);
		return;
	}
	if (n <= 0 && n != -EINTR && (n != -EAGAIN || e->direct)) {
		in_end(c, events);
		return;
	}
	if (n > 0)
		c->rx->input(c->rx, buf, (size_t)n);
	if (e->direct || end_watch(c, e, EPOLLIN) < 0)
		evbell_ring(&c->kick);
}

static void in_ready(struct evsource *src, uint32_t events)
{
	struct chardev *c = container_of(src, struct chardev, in.src);

	if (!c->in.src.events) /* as above */
		return;
	if (!c->in_ended)
		in_pump(c, events);
	else if (events & (EPOLLHUP | EPOLLERR))
		in_end(c, events);
}

static void in_resume(struct chardev *c)
{
	if (c->in.src.fd < 0 || c->in.src.events || c->in_ended || !in_room(c))
		return;
	if (c->in.direct)
		in_pump(c, 0);
	else if (end_watch(c, &c->in, EPOLLIN) < 0)
		in_end(c, EPOLLERR);
}

void chardev_rx_ready(struct chardev *c)
{
	if (set_paused(c, false))
		evbell_ring(&c->kick);
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

static void kicked(struct evbell *b)
{
	struct chardev *c = container_of(b, struct chardev, kick);

	out_pump(c, false);
	in_resume(c);
}

bool chardev_has_peer(const struct chardev *c)
{
	return c->in.src.fd >= 0 || c->out.src.fd >= 0;
}

int chardev_attach(struct chardev *c, int fd)
{
	size_t len;
	int ret;

	for (unsigned i = 0; i < 2; i++) { /* it may wrap; what the guest adds meanwhile is the new peer's */
		ring_peek(c, &len);
		if (len)
			ring_advance(c, (size_t)out_write(c, NULL, len));
	}
	ret = c->host->fcntl(c->host, fd, F_DUPFD_CLOEXEC, 3);
	if (ret < 0) {
		c->host->close(c->host, fd);
		return ret;
	}
	c->in = (struct chardev_end){ .src = { .fd = fd, .ready = in_ready }, .is_socket = true, .chunk = CHUNK_ANY };
	c->out = (struct chardev_end){ .src = { .fd = ret, .ready = out_ready }, .is_socket = true, .chunk = CHUNK_ANY };
	c->one_socket = true;
	if (c->peer)
		c->peer(c->peer_arg);
	set_paused(c, false);
	evbell_ring(&c->kick);
	return 0;
}

int chardev_init(struct chardev *c, const char *name, struct evloop *loop, struct log *log, int in_fd, int out_fd,
		 int log_fd, struct tvmm_error *err)
{
	int ret;

	*c = (struct chardev){ .name = name, .loop = loop, .host = loop->host, .log = log, .log_fd = log_fd };
	c->in.src = (struct evsource){ .fd = -1, .ready = in_ready };
	c->out.src = (struct evsource){ .fd = -1, .ready = out_ready };
	ret = evbell_init(&c->kick, loop, kicked, err);
	if (ret)
		return ret;
	pthread_mutex_init(&c->lock, NULL);
	if (in_fd >= 0)
		ret = end_open(c, &c->in, in_fd, O_RDONLY, err);
	if (!ret && out_fd >= 0)
		ret = end_open(c, &c->out, out_fd, O_WRONLY, err);
	if (ret) {
		chardev_fini(c);
		return ret;
	}
	c->one_socket = in_fd == out_fd && c->in.is_socket;
	evbell_ring(&c->kick); /* the loop starts to read when it runs: the receiver is known by then */
	return 0;
}

void chardev_fini(struct chardev *c)
{
	end_close(c, &c->in);
	end_close(c, &c->out);
	evbell_fini(&c->kick, c->loop);
	pthread_mutex_destroy(&c->lock);
}

static void drain(struct chardev *c, uint64_t deadline)
{
	const struct host *h = c->host;
	bool first = true;
	size_t len;

	for (ring_peek(c, &len); len; ring_peek(c, &len), first = false) {
		if (c->out.src.fd >= 0 && !c->out.direct) {
			struct pollfd p = { .fd = c->out.src.fd, .events = POLLOUT };
			uint64_t now = h->now_ns(h);
			int ms = now < deadline ? (int)((deadline - now + 999999) / 1000000) : 0;
			int ret = h->poll(h, &p, 1, ms);

			if (ret == -EINTR)
				continue;
			if (ret <= 0 || (now > deadline && !first))
				end_close(c, &c->out); /* what is left goes to the log file alone */
		}
		out_pump(c, true);
	}
}

void chardev_drain(struct chardev *c, int timeout_ms)
{
	const struct timespec zero = { 0 };
	sigset_t pipe, old, pending;
	bool was_pending;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigpending(&pending);
	was_pending = sigismember(&pending, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, &old);

	drain(c, c->host->now_ns(c->host) + (uint64_t)MAX(timeout_ms, 0) * 1000000);

	/* A SIGPIPE of our making dies with the mask that held it back. */
	sigpending(&pending);
	if (!was_pending && sigismember(&pending, SIGPIPE))
		sigtimedwait(&pipe, NULL, &zero);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}
