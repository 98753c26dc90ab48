/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vhost_user_wire.h - the messages of the vhost-user protocol (docs/interop/vhost-user.rst of QEMU), and what the files of
 * vhost_user.h say to one another.  Nobody else includes it.
 *
 * A message is a header of 12 bytes (request, flags, length) and a payload, in the host's byte order; descriptors travel
 * beside it.  Answers come in the order of the questions.
 */
#ifndef TVMM_DEVICES_VHOST_USER_WIRE_H
#define TVMM_DEVICES_VHOST_USER_WIRE_H

#include <assert.h>
#include "bits.h"
#include "vhost_user.h"

#define F_PROTOCOL BIT_ULL(30) /* among the device's features: there are features of the protocol */

#define P_MQ        BIT_ULL(0)
#define P_REPLY_ACK BIT_ULL(3)
#define P_CHANNEL   BIT_ULL(5)
#define P_CONFIG    BIT_ULL(9)

enum {
	GET_FEATURES = 1, SET_FEATURES = 2, SET_OWNER = 3, SET_MEM_TABLE = 5, SET_VRING_NUM = 8, SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10, GET_VRING_BASE = 11, SET_VRING_KICK = 12, SET_VRING_CALL = 13, GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16, GET_QUEUE_NUM = 17, SET_VRING_ENABLE = 18, SET_CHANNEL = 21, GET_CONFIG = 24
};
enum { CHANNEL_CONFIG_CHANGED = 2 }; /* what the server says first */

#define FLAG_VERSION    1u
#define FLAG_VERSIONS   3u
#define FLAG_REPLY      BIT(2)
#define FLAG_NEED_REPLY BIT(3)

struct header {
	uint32_t request, flags, len;
};
static_assert(sizeof(struct header) == 12, "as it is on the wire");

struct ring_state {
	uint32_t index, num;
};

struct ring_addr {
	uint32_t index, flags;
	uint64_t desc, used, avail, log;
};
static_assert(sizeof(struct ring_addr) == 40, "as it is on the wire");

struct mem_table {
	uint32_t n, padding;
	struct mem_part {
		uint64_t guest, size, user, off;
	} part[GMEM_MAX_REGIONS];
};
static_assert(sizeof(struct mem_table) == 8 + 32 * GMEM_MAX_REGIONS, "as it is on the wire");

struct config {
	uint32_t off, len, flags;
	uint8_t data[VHOST_USER_CONFIG];
};
static_assert(sizeof(struct header) + sizeof(struct config) == VHOST_USER_MESSAGE, "the longest answer");

/* ---- vhost_user_wire.c: one message ------------------------------------------------------------------------------- */

/* All of it or nothing: the socket has room for what we ever say at a time.  0 or -errno. */
int vu_send(struct vhost_user *v, int sock, const struct header *h, const void *payload, const int *fds, unsigned n);

/* What is there of a message, behind the *HAVE bytes of BUF that came before.  1: all of it; 0: not yet; or -errno. */
int vu_receive(struct vhost_user *v, int sock, uint8_t buf[VHOST_USER_MESSAGE], size_t *have);

/* Answers of all kinds but the configuration: a number, or a ring's state.  False: BUF is none to REQUEST. */
bool vu_take_number(uint32_t request, const uint8_t *buf, uint64_t *val);
bool vu_take_config(uint8_t config[VHOST_USER_CONFIG], const uint8_t *buf);

#endif
