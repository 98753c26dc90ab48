/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vhost_user.h - a server outside this process that works on a device's queues (the vhost-user protocol, QEMU's
 * docs/interop/vhost-user.rst): our end of its socket.
 *
 * Opened before the machine runs, with a handshake that waits for the server, a few seconds at the most.  All that follows is on
 * the I/O loop and waits for nothing: what is said is queued in the socket, and each answer is taken when it comes.
 *
 * The server gets guest RAM, as memfds, the guest's bells and eventfds that interrupt it: it can read and write all of the
 * guest, and is trusted that far.  It is not trusted beyond: each message of its is checked for length and kind, a descriptor that
 * comes with one is dropped, and one that is wrong, or the connection's end, is the end of it all.  There is no second connection.
 */
#ifndef TVMM_DEVICES_VHOST_USER_H
#define TVMM_DEVICES_VHOST_USER_H

#include "virtio.h"
#include "virtio_call.h"

#define VHOST_USER_CONFIG 60  /* bytes of device configuration that we ask for: of a disk */
#define VHOST_USER_ANSWERS 128 /* that we wait for at a time: one for each message of a start, and of a stop */
#define VHOST_USER_MESSAGE 84 /* the longest that is for us: a header, and the configuration behind its own */

struct vhost_user;

struct vhost_user_user {
	void (*changed)(void *arg); /* there is new configuration in config[] */
	void (*gone)(void *arg);    /* no queue is the server's any more, and none will be; perhaps within start or stop */
	void *arg;
};

struct vhost_user {
	const struct host *host;
	struct evloop *loop; /* NULL: not yet on one */
	struct log *log;
	char *path;          /* for messages */
	struct evsource sock;    /* open until the end, also when the server is gone */
	struct evsource channel; /* where the server speaks first; fd -1: it does not */
	uint64_t features;   /* of the device, as the server offers them */
	uint64_t protocol;   /* features of the protocol that both have */
	unsigned queues;     /* the server's most */
	bool gone;

	/* The loop's. */
	uint8_t config[VHOST_USER_CONFIG];
	struct vhost_user_user user;
	const struct gmem *mem;
	int mem_fd[GMEM_MAX_REGIONS]; /* memfd behind each region, from its start */
	struct virtio_dev *dev;       /* whose queues the server has */
	uint32_t rings;               /* a bit for each of them */
	struct virtio_call call[VIRTIO_MAX_QUEUES];
	unsigned n_calls;
	struct vhost_user_answer {
		uint8_t request, ring;
	} answer[VHOST_USER_ANSWERS]; /* still to come, a ring buffer */
	unsigned first, count, stops; /* STOPS of them end a queue */
	uint8_t in[VHOST_USER_MESSAGE], heard[VHOST_USER_MESSAGE]; /* a message of each socket's that is there in part */
	size_t in_len, heard_len;
};

/* Connects to the server at PATH and agrees with it on what both can do. */
int vhost_user_open(struct vhost_user **out, const struct host *h, const char *path, struct tvmm_error *err);
/* Puts it on LOOP.  FD[i] is the memfd behind region i of MEM. */
int vhost_user_attach(struct vhost_user *v, struct evloop *loop, struct log *log, const struct gmem *mem, const int *fd,
		      struct tvmm_error *err);
void vhost_user_close(struct vhost_user *v); /* stopped by then, and the loop has ended; NULL is fine */

/* ---- on the loop -------------------------------------------------------------------------------------------------- */

/* Hands over the live queues of DEV.  It may fail, by and by: gone() tells. */
void vhost_user_start(struct vhost_user *v, struct virtio_dev *dev);

/* Asks for them back.  From here on they are not interrupted; but the server may touch guest memory until they are idle. */
void vhost_user_stop(struct vhost_user *v);

/* Was all given back that was asked for?  Takes the answers that are there. */
bool vhost_user_is_idle(struct vhost_user *v);

/* Asks for the configuration; changed() tells. */
void vhost_user_refresh(struct vhost_user *v);

#endif
