/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * control.c - the socket, its clients, and their bytes on the way in and out; all of it on the control thread but creation
 * and destruction.
 *
 * A client is in one of three states: reading (its call is not whole), writing (its answer is not taken; no further call
 * is read meanwhile), waiting (for the machine's end).  Who has been silent longest makes room for a newcomer, unless it
 * waits.
 */
#include "control.h"

#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "bits.h"
#include "control_calls.h"
#include "evtimer.h"
#include "holder.h"
#include "unix_listen.h"

enum { CLIENTS = 8, BACKLOG = 8 };
#define WHAT     "the control socket"
#define RETRY_NS UINT64_C(100000000) /* after an accept that the host had no descriptor for */

struct client {
	struct evsource src; /* fd -1: free */
	struct control *c;
	bool waiting, closing; /* closing: once its answer is out */
	uint64_t heard_ns;
	size_t in_len, out_len, out_sent;
	char in[CONTROL_MESSAGE_MAX + 1];
	char out[CONTROL_REPLY_MAX];
};

struct control {
	const struct host *host;
	struct tvmm_vm *vm;
	struct evloop loop;
	bool loop_ok;
	struct evsource listener, retry; /* -1: not open */
	struct evsource end;             /* the machine's descriptor, which is not ours to close */
	int lock_fd;
	struct sockaddr_un addr;
	char lock_path[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];
	struct control_calls calls;
	struct client client[CLIENTS];
};

/* ---- clients ---------------------------------------------------------------------------------------------------- */

static void drop(struct client *cl)
{
	const struct host *h = cl->c->host;
	int fd = cl->src.fd;

	evloop_del(&cl->c->loop, &cl->src);
	h->close(h, fd);
	cl->src.fd = -1;
	evloop_mod(&cl->c->loop, &cl->c->listener, EPOLLIN); /* there is a descriptor again */
}

/* Sends what it takes.  False: it is gone. */
static bool flush(struct client *cl)
{
	const struct host *h = cl->c->host;

	while (cl->out_sent < cl->out_len) {
		ssize_t n = h->send(h, cl->src.fd, cl->out + cl->out_sent, cl->out_len - cl->out_sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n == -EINTR)
			continue;
		if (n == -EAGAIN)
			break;
		if (n < 0) {
			drop(cl);
			return false;
		}
		cl->out_sent += (size_t)n;
	}
	if (cl->out_sent < cl->out_len) {
		evloop_mod(&cl->c->loop, &cl->src, EPOLLOUT);
		return true;
	}
	cl->out_len = cl->out_sent = 0;
	if (cl->closing) {
		drop(cl);
		return false;
	}
	evloop_mod(&cl->c->loop, &cl->src, EPOLLIN);
	return true;
}

static void close_after(struct client *cl, const char *error, const char *message)
{
	control_error_reply(error, message, cl->out, &cl->out_len);
	cl->closing = true;
	flush(cl);
}

/* Answers the calls that have come whole, one at a time: the next when the answer before it is out. */
static void serve(struct client *cl)
{
	char *nul;

	while (!cl->out_len && !cl->waiting && (nul = memchr(cl->in, '\0', cl->in_len))) {
		size_t len = (size_t)(nul - cl->in);
		enum control_next next = control_answer(&cl->c->calls, cl->in, len, cl->out, &cl->out_len);

		cl->in_len -= len + 1;
		memmove(cl->in, nul + 1, cl->in_len);
		cl->waiting = next == CONTROL_WAIT;
		cl->closing |= next == CONTROL_CLOSE;
		if (next == CONTROL_SILENT || next == CONTROL_WAIT)
			cl->out_len = 0;
		else if (!flush(cl))
			return;
	}
	if (cl->in_len == sizeof(cl->in) && !cl->out_len && !cl->waiting)
		close_after(cl, "org.tinyvmm.VM.BadMessage", "the call is too long");
}

static void hear(struct client *cl)
{
	const struct host *h = cl->c->host;
	size_t room = sizeof(cl->in) - cl->in_len;
	/* A waiting client that sends more than there is room for: let it, when its answer has come. */
	ssize_t n = room ? h->recv(h, cl->src.fd, cl->in + cl->in_len, room, MSG_DONTWAIT) : -EAGAIN;

	if (!room)
		evloop_mod(&cl->c->loop, &cl->src, 0);
	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n <= 0) {
		drop(cl);
		return;
	}
	cl->in_len += (size_t)n;
	cl->heard_ns = h->now_ns(h);
	serve(cl);
}

/* Asked of the descriptor itself: the event may be of one that had this place before. */
static bool is_gone(const struct client *cl)
{
	struct pollfd p = { .fd = cl->src.fd };

	return cl->c->host->poll(cl->c->host, &p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR);
}

static void client_ready(struct evsource *src, uint32_t events)
{
	struct client *cl = container_of(src, struct client, src);

	if (events & EPOLLOUT) {
		if (flush(cl))
			serve(cl);
	} else if (events & EPOLLIN) {
		hear(cl);
	} else if (is_gone(cl)) { /* a hang-up comes, watched for or not */
		drop(cl);
	}
}

/* ---- the listener ----------------------------------------------------------------------------------------------- */

/* A free place, made by dropping who has been silent longest if there is none; NULL if all wait. */
static struct client *find_place(struct control *c)
{
	struct client *oldest = NULL;

	for (unsigned i = 0; i < CLIENTS; i++) {
		struct client *cl = &c->client[i];

		if (cl->src.fd < 0)
			return cl;
		if (!cl->waiting && (!oldest || cl->heard_ns < oldest->heard_ns))
			oldest = cl;
	}
	if (oldest)
		drop(oldest);
	return oldest;
}

/* The socket's mode keeps others out already; but a mode can be changed, and root's processes may pass sockets on. */
static bool is_welcome(const struct host *h, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return h->getsockopt(h, fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && (peer.uid == geteuid() || peer.uid == 0);
}

static void greet(struct control *c, int fd)
{
	static const char full[] = "{\"error\":\"org.tinyvmm.VM.TooManyClients\",\"parameters\":"
				   "{\"message\":\"all connections wait for the machine's end\"}}";
	const struct host *h = c->host;
	struct client *cl = is_welcome(h, fd) ? find_place(c) : NULL;

	if (cl) {
		cl->src = (struct evsource){ .fd = fd, .events = EPOLLIN, .ready = client_ready };
		cl->waiting = cl->closing = false;
		cl->in_len = cl->out_len = cl->out_sent = 0;
		cl->heard_ns = h->now_ns(h);
		if (!evloop_add(&c->loop, &cl->src, NULL))
			return;
		cl->src.fd = -1;
	} else {
		h->send(h, fd, full, sizeof(full), MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	h->close(h, fd);
}

static void listener_ready(struct evsource *src, uint32_t events)
{
	struct control *c = container_of(src, struct control, listener);

	for (unsigned i = 0; i < BACKLOG; i++) {
		int fd = c->host->accept(c->host, src->fd, SOCK_NONBLOCK);

		if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -ENOBUFS) {
			/* It would be ready again at once: look again later. */
			evloop_mod(&c->loop, src, 0);
			evtimer_set(&c->retry, &c->loop, c->host->now_ns(c->host) + RETRY_NS);
		}
		if (fd < 0)
			return;
		greet(c, fd);
	}
}

static void retry_ready(struct evsource *src, uint32_t events)
{
	struct control *c = container_of(src, struct control, retry);

	evtimer_take(src, &c->loop);
	evloop_mod(&c->loop, &c->listener, EPOLLIN);
}

/* ---- the end ---------------------------------------------------------------------------------------------------- */

static void tell_waiters(struct control *c)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct client *cl = &c->client[i];

		if (cl->src.fd < 0 || !cl->waiting)
			continue;
		cl->waiting = false;
		control_end_reply(&c->calls, cl->out, &cl->out_len);
		if (flush(cl))
			serve(cl);
	}
}

static void end_ready(struct evsource *src, uint32_t events)
{
	struct control *c = container_of(src, struct control, end);

	evloop_del(&c->loop, src); /* it stays ready for ever */
	tell_waiters(c);
}

static void finish_on_loop(void *arg)
{
	struct control *c = arg;

	if (control_has_ended(&c->calls))
		tell_waiters(c);
	for (unsigned i = 0; i < CLIENTS; i++)
		if (c->client[i].src.fd >= 0)
			drop(&c->client[i]);
}

/* The host ends the loop: nobody is left waiting for an answer, nor let in. */
static void loop_failed(void *arg, int ret)
{
	struct control *c = arg;

	c->host->shutdown(c->host, c->listener.fd, SHUT_RDWR);
	finish_on_loop(c);
}

/* ---- creation --------------------------------------------------------------------------------------------------- */

static bool same_file(const struct host *h, int fd, const char *path)
{
	struct stat a, b;
	int other = h->open(h, path, O_PATH | O_NOFOLLOW, 0);
	bool same = other >= 0 && !h->fstat(h, fd, &a) && !h->fstat(h, other, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;

	if (other >= 0)
		h->close(h, other);
	return same;
}

static int in_use(struct control *c, int fd, struct tvmm_error *err)
{
	char comm[32] = "";
	struct stat st;
	pid_t pid = c->host->fstat(c->host, fd, &st) ? 0 : holder_of(st.st_dev, st.st_ino, comm, sizeof(comm));

	err_set(err, TVMM_E_BUSY, EBUSY, c->addr.sun_path, "another machine has this control socket");
	if (pid)
		err_hint(err, "process %d (%s) has it; give this machine another name", (int)pid, comm);
	else
		err_hint(err, "give this machine another name");
	return -EBUSY;
}

/* The folder that the socket is to be in, without those above it. */
static int make_folder(const struct control *c)
{
	char dir[sizeof(c->addr.sun_path)];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", c->addr.sun_path);
	slash = strrchr(dir, '/');
	if (!slash)
		return -ENOENT;
	*slash = '\0';
	return c->host->mkdir(c->host, dir, 0700);
}

/*
 * The lock says that somebody lives at the socket, without a race: it goes with its process.  A lock file that its former
 * owner removed between our open and our lock is no lock: then again.  So too where he has taken the folder away, or does
 * it while we make it.
 */
static int take_lock(struct control *c, struct tvmm_error *err)
{
	const struct host *h = c->host;

	for (unsigned i = 0; i < 100; i++) {
		struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		int ret, fd = h->open(h, c->lock_path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);

		if (fd == -ENOENT && !make_folder(c))
			continue;
		if (fd < 0)
			return err_set(err, TVMM_E_IO, -fd, c->lock_path, "cannot make the control socket's lock file");
		ret = h->fcntl(h, fd, F_OFD_SETLK, (uintptr_t)&fl);
		if (!ret && same_file(h, fd, c->lock_path)) {
			c->lock_fd = fd;
			return 0;
		}
		if (ret == -EAGAIN || ret == -EACCES)
			ret = in_use(c, fd, err);
		else if (ret)
			err_set(err, TVMM_E_IO, -ret, c->lock_path, "cannot lock the control socket's lock file");
		h->close(h, fd);
		if (ret)
			return ret;
	}
	return err_set(err, TVMM_E_IO, EAGAIN, c->lock_path, "the control socket's lock file vanishes again and again");
}

static int listen_at(struct control *c, struct tvmm_error *err)
{
	/* The lock is ours, so a socket that is there belongs to nobody. */
	int fd = unix_listen(c->host, &c->addr, BACKLOG, true, WHAT, err);

	if (fd < 0)
		return fd;
	c->listener = (struct evsource){ .fd = fd, .events = EPOLLIN, .ready = listener_ready };
	return 0;
}

static int set_up_loop(struct control *c, struct tvmm_error *err)
{
	int ret = evloop_init(&c->loop, c->host, err);

	if (ret)
		return ret;
	c->loop_ok = true;
	c->loop.failed = loop_failed;
	c->loop.failed_arg = c;
	c->end = (struct evsource){ .fd = tvmm_vm_fd(c->vm), .events = EPOLLIN, .ready = end_ready };
	ret = evtimer_init(&c->retry, &c->loop, EPOLLIN, retry_ready, err);
	if (!ret)
		ret = evloop_add(&c->loop, &c->end, err);
	if (!ret)
		ret = evloop_add(&c->loop, &c->listener, err);
	return ret;
}

int control_create(struct control **out, const struct control_desc *d, struct tvmm_error *err)
{
	struct control *c = calloc(1, sizeof(*c)); /* the clients' part is not touched until they come */
	char thread[16];
	int ret;

	if (!c)
		return err_set(err, TVMM_E_MEMORY, ENOMEM, NULL, "out of memory");
	c->host = d->host;
	c->vm = d->vm;
	c->listener.fd = c->retry.fd = c->end.fd = c->lock_fd = -1;
	c->calls = (struct control_calls){ .vm = d->vm, .host = d->host, .cpus = d->cpus, .since_ns = d->host->now_ns(d->host) };
	snprintf(c->calls.name, sizeof(c->calls.name), "%s", d->name);
	for (unsigned i = 0; i < CLIENTS; i++) {
		c->client[i].src.fd = -1;
		c->client[i].c = c;
	}
	snprintf(c->lock_path, sizeof(c->lock_path), "%s.lock", d->path);
	ret = unix_address(&c->addr, d->path, 0, WHAT, err);
	if (!ret)
		ret = take_lock(c, err);
	if (!ret)
		ret = listen_at(c, err);
	if (!ret)
		ret = set_up_loop(c, err);
	snprintf(thread, sizeof(thread), "%.11s/ctl", d->name);
	if (!ret)
		ret = evloop_start(&c->loop, thread, err);
	if (ret) {
		control_destroy(c);
		return ret;
	}
	*out = c;
	return 0;
}

void control_destroy(struct control *c)
{
	const struct host *h;

	if (!c)
		return;
	h = c->host;
	/* No newcomer finds the socket; who is there still gets its last answer.  When it sees the end, the place is free. */
	if (c->listener.fd >= 0)
		h->unlink(h, c->addr.sun_path);
	if (c->lock_fd >= 0) {
		h->unlink(h, c->lock_path);
		h->close(h, c->lock_fd);
	}
	if (c->loop_ok) {
		evloop_call(&c->loop, finish_on_loop, c);
		evloop_stop(&c->loop);
		evtimer_fini(&c->retry, &c->loop);
		evloop_fini(&c->loop);
	}
	if (c->listener.fd >= 0)
		h->close(h, c->listener.fd);
	free(c);
}
