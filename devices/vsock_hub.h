/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vsock_hub.h - the host's end of a guest's vsock (virtio 1.2, 5.10): its connections, as unix stream sockets.
 *
 * One unix socket stands for the whole guest, as in Firecracker ("hybrid vsock"), so no kernel module and no right is
 * needed.  A client that connects to PATH writes "CONNECT PORT\n" and, once the guest has accepted, reads "OK PORT\n"
 * (our port); what follows is the stream.  A guest that connects to port N of CID 2 reaches the socket "PATH_N", if
 * somebody listens there.
 *
 * Bounded whatever guest and clients do: a fixed number of connections, each with a fixed buffer for what the guest sent
 * and the client has not taken (the guest's credit); bytes for the guest wait in the client's socket until the guest has
 * a buffer and grants credit for them.  A connection is a descriptor, made and closed on the I/O loop: with its path
 * look-up the one exception to the rule that nothing is opened once the guest runs.
 *
 * All on the I/O loop's thread, but for vsock_hub_init() and _fini(), which are called before and after it runs.
 */
#ifndef TVMM_DEVICES_VSOCK_HUB_H
#define TVMM_DEVICES_VSOCK_HUB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>
#include "evloop.h"
#include "log.h"
#include "segs.h"

#define VSOCK_HOST_CID 2 /* virtio 1.2, 5.10.4: the host's well-known address */
#define VSOCK_CONNS    128
#define VSOCK_BUF      65536u /* bytes that a guest may have on their way to one client; a power of two */
#define VSOCK_STRAYS   64

/* virtio 1.2, 5.10.6; all little-endian. */
struct vsock_hdr {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port, len;
	uint16_t type, op;
	uint32_t flags, buf_alloc, fwd_cnt;
} __attribute__((packed));

enum { VSOCK_STREAM = 1 };
enum vsock_op {
	VSOCK_OP_REQUEST = 1, VSOCK_OP_RESPONSE, VSOCK_OP_RST, VSOCK_OP_SHUTDOWN, VSOCK_OP_RW, VSOCK_OP_CREDIT_UPDATE,
	VSOCK_OP_CREDIT_REQUEST,
};
enum { VSOCK_SHUT_RECV = 1, VSOCK_SHUT_SEND = 2, VSOCK_SHUT_BOTH = 3 };

enum vsock_state {
	VSOCK_FREE,
	VSOCK_HELLO, /* a client that has not said yet where it wants to go */
	VSOCK_ASKED, /* the guest was asked, and has not answered */
	VSOCK_OPEN,
};

struct vsock_conn {
	struct evsource src; /* the client; -1: it is gone */
	struct vsock_hub *hub;
	enum vsock_state state;
	bool queued;         /* in the hub's queue */
	bool readable;       /* the client has, or may have, something for us */
	bool asked_credit;   /* since the guest last had any */
	uint8_t owe;         /* what is to be told to the guest: bits of OWE_ (vsock_hub.c) */
	uint8_t told, heard; /* VSOCK_SHUT_ that we told the guest, and it told us */
	uint32_t guest_port, host_port;
	/* Credit (5.10.6.3): free-running counts of bytes. */
	uint32_t sent, peer_fwd, peer_alloc; /* to the guest; what it passed on; what it has room for */
	uint32_t got, fwd, told_fwd;         /* from the guest; what the client took; what the guest knows of that */
	unsigned line_len;
	char line[24];       /* of the client's "CONNECT 4294967295\n" */
	uint8_t *buf;        /* VSOCK_BUF bytes, got - fwd of them in use, from fwd % VSOCK_BUF */
};

/* A packet that belongs to no connection: it is answered with a reset. */
struct vsock_stray {
	uint64_t cid; /* the one it was for */
	uint32_t guest_port, host_port;
};

struct vsock_hub {
	const struct host *host;
	struct evloop *loop;
	struct log *log;
	struct sockaddr_un addr;
	struct evsource listener; /* fd -1: it does not listen, and the path is not ours */
	uint64_t guest_cid;
	/* There is something for the guest: vsock_hub_next() has it.  NULL while no driver is there. */
	void (*wake)(void *arg);
	void *wake_arg;
	uint32_t next_port;
	unsigned n_conns;
	uint16_t queue[VSOCK_CONNS]; /* connections that may have something for the guest, each at most once */
	unsigned queue_head, queue_n;
	struct vsock_stray stray[VSOCK_STRAYS];
	unsigned stray_head, stray_n;
	uint8_t *bufs;
	struct vsock_conn conn[VSOCK_CONNS];
};

/*
 * Listens at PATH.  A socket that is there and that nobody serves is replaced; anything else is an error.  PATH may have
 * 11 bytes less than a unix socket's path, for the ports.  Before the loop runs.
 */
int vsock_hub_init(struct vsock_hub *h, const char *path, uint64_t guest_cid, struct evloop *loop, struct log *log,
		   struct tvmm_error *err);
/* After vsock_hub_init() failed, too.  The socket is removed. */
void vsock_hub_fini(struct vsock_hub *h);

/* A driver is there (WAKE), or none any more (NULL); in both cases no connection survives. */
void vsock_hub_attach(struct vsock_hub *h, void (*wake)(void *arg), void *arg);

/* A packet of the guest: a copy of its header, and what follows it. */
void vsock_hub_receive(struct vsock_hub *h, const struct vsock_hdr *hdr, struct segs *data);

/* The next packet for the guest: *HDR, and hdr->len bytes at the front of ROOM.  False if there is none. */
bool vsock_hub_next(struct vsock_hub *h, struct vsock_hdr *hdr, struct segs *room);

#endif
