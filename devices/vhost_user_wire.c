/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vhost_user_wire.c - sending, receiving and reading one message of the vhost-user protocol (vhost_user_wire.h).
 *
 * Whatever thread has the connection: the handshake's at first, then the loop's.  Nothing here waits.
 */
#include "vhost_user_wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* The longest message, and what its descriptors take. */
union control {
	char buf[CMSG_SPACE(sizeof(int[GMEM_MAX_REGIONS]))];
	struct cmsghdr align;
};

int vu_send(struct vhost_user *v, int sock, const struct header *h, const void *payload, const int *fds, unsigned n)
{
	struct iovec iov[2] = { { (void *)(uintptr_t)h, sizeof(*h) }, { (void *)(uintptr_t)payload, h->len } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = h->len ? 2 : 1 };
	union control c = { .buf = { 0 } };
	ssize_t ret;

	if (n) {
		struct cmsghdr *cmsg = &c.align;

		m.msg_control = c.buf;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, n * sizeof(int));
	}
	do
		ret = v->host->sendmsg(v->host, sock, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (ret == -EINTR);
	if (ret < 0)
		return (int)ret;
	return (size_t)ret == sizeof(*h) + h->len ? 0 : -EMSGSIZE;
}

int vu_receive(struct vhost_user *v, int sock, uint8_t buf[VHOST_USER_MESSAGE], size_t *have)
{
	for (;;) {
		struct header h;
		size_t want = sizeof(h);
		ssize_t ret;

		if (*have >= sizeof(h)) {
			memcpy(&h, buf, sizeof(h));
			if ((h.flags & FLAG_VERSIONS) != FLAG_VERSION || h.len > VHOST_USER_MESSAGE - sizeof(h))
				return -EPROTO;
			want += h.len;
			if (*have == want)
				return 1;
		}
		/* No place for descriptors: if there are any, the kernel drops them. */
		ret = v->host->recv(v->host, sock, buf + *have, want - *have, MSG_DONTWAIT);
		if (ret == -EINTR)
			continue;
		if (ret == -EAGAIN)
			return 0;
		if (ret <= 0)
			return ret ? (int)ret : -ECONNRESET;
		*have += (size_t)ret;
	}
}

/* Is BUF the answer to REQUEST?  Its payload of LEN bytes, or NULL. */
static const void *answer_to(uint32_t request, const uint8_t *buf, size_t len)
{
	struct header h;

	memcpy(&h, buf, sizeof(h));
	return h.request == request && h.flags & FLAG_REPLY && h.len == len ? buf + sizeof(h) : NULL;
}

bool vu_take_number(uint32_t request, const uint8_t *buf, uint64_t *val)
{
	const void *p = answer_to(request, buf, sizeof(*val));

	if (p)
		memcpy(val, p, sizeof(*val));
	return p;
}

bool vu_take_config(uint8_t config[VHOST_USER_CONFIG], const uint8_t *buf)
{
	const uint8_t *p = answer_to(GET_CONFIG, buf, sizeof(struct config));
	struct config c;

	if (!p)
		return false;
	memcpy(&c, p, sizeof(c));
	if (c.off || c.len != sizeof(c.data))
		return false;
	memcpy(config, c.data, sizeof(c.data));
	return true;
}
