/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vhost_user_open.c - the first connection to a vhost-user server, and what is agreed on for good: vhost_user_open().
 *
 * Before the machine runs, on the embedder's thread, which waits for the answers, 5 seconds in all.
 */
#include "vhost_user_wire.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "unix_listen.h"

#define ANSWER_MS 5000 /* for all of the handshake */

static int tell_at_first(struct vhost_user *v, uint32_t request, const void *payload, uint32_t len, const int *fd, struct tvmm_error *err)
{
	struct header h = { request, FLAG_VERSION, len };
	int ret = vu_send(v, v->sock.fd, &h, payload, fd, fd ? 1 : 0);

	return ret ? err_set(err, TVMM_E_IO, -ret, v->path, "the vhost-user server takes no messages") : 0;
}

/* Asks, and waits for the answer, which is in v->in then. */
static int ask_at_first(struct vhost_user *v, uint32_t request, const void *payload, uint32_t len, uint64_t deadline, struct tvmm_error *err)
{
	const struct host *h = v->host;
	int ret = tell_at_first(v, request, payload, len, NULL, err);

	if (ret)
		return ret;
	v->in_len = 0;
	while (!(ret = vu_receive(v, v->sock.fd, v->in, &v->in_len))) {
		struct pollfd p = { .fd = v->sock.fd, .events = POLLIN };
		uint64_t now = h->now_ns(h);

		if (now >= deadline) {
			err_set(err, TVMM_E_IO, ETIMEDOUT, v->path, "what listens there does not answer as a vhost-user server does");
			err_hint(err, "it may serve another machine, and that one alone");
			return -ETIMEDOUT;
		}
		ret = h->poll(h, &p, 1, (int)((deadline - now) / 1000000) + 1);
		if (ret < 0 && ret != -EINTR)
			return err_set(err, TVMM_E_HOST, -ret, v->path, "cannot wait for the vhost-user server");
	}
	v->in_len = 0;
	if (ret < 0)
		return err_set(err, TVMM_E_IO, -ret, v->path, ret == -EPROTO ? "what listens there does not speak vhost-user" :
			       "the vhost-user server hung up (request %u)", request);
	return 0;
}

static int ask_number(struct vhost_user *v, uint32_t request, uint64_t *val, uint64_t deadline, struct tvmm_error *err)
{
	int ret = ask_at_first(v, request, NULL, 0, deadline, err);

	if (!ret && !vu_take_number(request, v->in, val))
		ret = err_set(err, TVMM_E_IO, EPROTO, v->path, "the vhost-user server answers request %u with something else", request);
	return ret;
}

static int ask_config(struct vhost_user *v, uint64_t deadline, struct tvmm_error *err)
{
	struct config c = { .len = sizeof(c.data) };
	int ret = ask_at_first(v, GET_CONFIG, &c, sizeof(c), deadline, err);

	if (!ret && !vu_take_config(v->config, v->in)) {
		ret = err_set(err, TVMM_E_IO, 0, v->path, "the vhost-user server has no disk");
		err_hint(err, "it is the server of another device, or a very old one: it has not the configuration of a vhost-user-blk");
	}
	return ret;
}

/* The way by which the server tells that something has changed. */
static int make_channel(struct vhost_user *v, struct tvmm_error *err)
{
	int pair[2], ret = v->host->socketpair(v->host, AF_UNIX, SOCK_STREAM, pair);

	if (ret)
		return err_set(err, TVMM_E_HOST, -ret, v->path, "cannot make a socket pair");
	v->channel.fd = pair[0];
	ret = tell_at_first(v, SET_CHANNEL, NULL, 0, &pair[1], err);
	v->host->close(v->host, pair[1]);
	return ret;
}

static int agree(struct vhost_user *v, struct tvmm_error *err)
{
	uint64_t deadline = v->host->now_ns(v->host) + ANSWER_MS * 1000000ull, val;
	int ret = ask_number(v, GET_FEATURES, &v->features, deadline, err);

	if (ret)
		return ret;
	if (!(v->features & VIRTIO_F_VERSION_1))
		return err_set(err, TVMM_E_UNSUPPORTED, 0, v->path, "the vhost-user server does not know virtio 1.0");
	if (!(v->features & F_PROTOCOL))
		return err_set(err, TVMM_E_UNSUPPORTED, 0, v->path, "the vhost-user server has no protocol features, which a disk needs");
	ret = ask_number(v, GET_PROTOCOL_FEATURES, &v->protocol, deadline, err);
	if (ret)
		return ret;
	if (!(v->protocol & P_CONFIG)) {
		err_set(err, TVMM_E_UNSUPPORTED, 0, v->path, "the vhost-user server tells no configuration, so it has no disk");
		err_hint(err, "qemu-storage-daemon --export type=vhost-user-blk,... makes one that does");
		return -EINVAL;
	}
	v->protocol &= P_MQ | P_REPLY_ACK | P_CHANNEL | P_CONFIG;
	val = v->protocol;
	ret = tell_at_first(v, SET_PROTOCOL_FEATURES, &val, sizeof(val), NULL, err);
	if (!ret)
		ret = tell_at_first(v, SET_OWNER, NULL, 0, NULL, err);
	val = 1;
	if (!ret && v->protocol & P_MQ)
		ret = ask_number(v, GET_QUEUE_NUM, &val, deadline, err);
	v->queues = (unsigned)MIN(val, VIRTIO_MAX_QUEUES);
	if (!ret && !val)
		ret = err_set(err, TVMM_E_UNSUPPORTED, 0, v->path, "the vhost-user server has no queues");
	if (!ret && v->protocol & P_CHANNEL)
		ret = make_channel(v, err);
	return ret ? ret : ask_config(v, deadline, err);
}

static int dial(struct vhost_user *v, struct tvmm_error *err)
{
	struct sockaddr_un addr;
	int ret = unix_address(&addr, v->path, 0, "the vhost-user server", err);

	if (ret)
		return ret;
	ret = v->host->socket(v->host, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (ret < 0)
		return err_set(err, TVMM_E_HOST, -ret, v->path, "cannot make a socket");
	v->sock.fd = ret;
	ret = v->host->connect(v->host, v->sock.fd, (const struct sockaddr *)&addr, sizeof(addr));
	if (!ret)
		return 0;
	err_set(err, TVMM_E_IO, -ret, v->path, "cannot connect to the vhost-user server");
	if (ret == -ENOENT)
		err_hint(err, "start it first, and wait until its socket is there");
	else if (ret == -ECONNREFUSED)
		err_hint(err, "nobody listens there: start the server first");
	return ret;
}

int vhost_user_open(struct vhost_user **out, const struct host *h, const char *path, struct tvmm_error *err)
{
	struct vhost_user *v = calloc(1, sizeof(*v));
	int ret;

	if (!v)
		return err_set(err, TVMM_E_MEMORY, ENOMEM, path, "out of memory");
	v->host = h;
	v->sock.fd = v->channel.fd = -1;
	v->path = strdup(path);
	ret = v->path ? dial(v, err) : err_set(err, TVMM_E_MEMORY, ENOMEM, path, "out of memory");
	if (!ret)
		ret = agree(v, err);
	if (ret)
		vhost_user_close(v);
	else
		*out = v;
	return ret;
}
