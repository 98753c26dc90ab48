/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vsock_conn.h - one connection between a guest's port and a client's socket; between vsock_hub.c, which knows packets,
 * and vsock_conn.c, which knows clients.  All on the I/O loop.
 */
#ifndef TVMM_DEVICES_VSOCK_CONN_H
#define TVMM_DEVICES_VSOCK_CONN_H

#include "vsock_hub.h"

/* What the guest is to be told of a connection: bits of owe. */
enum { OWE_REQUEST = 1, OWE_RESPONSE = 2, OWE_RST = 4, OWE_CREDIT = 8, OWE_SHUTDOWN = 16 };

/* It may have something for the guest: once in the queue, and out of it at its turn.  owe() also says what. */
void vsock_conn_enqueue(struct vsock_conn *c);
struct vsock_conn *vsock_conn_dequeue(struct vsock_hub *h);
void vsock_conn_owe(struct vsock_conn *c, uint8_t what);

/* A free connection for the client FD, whose readiness vsock_conn_client_ready() hears of; NULL: none, FD stays open. */
struct vsock_conn *vsock_conn_claim(struct vsock_hub *h, int fd, enum vsock_state state);
struct vsock_conn *vsock_conn_find(struct vsock_hub *h, uint32_t guest_port, uint32_t host_port);
void vsock_conn_client_ready(struct evsource *src, uint32_t events); /* in vsock_hub.c */

/* Watches the client for what we could do something with, and for nothing else: the loop must not spin. */
void vsock_conn_watch(struct vsock_conn *c);
/* There is nothing more to be had of the client, or the guest wants no more. */
bool vsock_conn_is_over(const struct vsock_conn *c);

/* The client goes; with reset() the guest is told, and then the connection is free; with release() it is at once. */
void vsock_conn_hang_up(struct vsock_conn *c);
void vsock_conn_reset(struct vsock_conn *c);
void vsock_conn_release(struct vsock_conn *c);

/* Up to LEN bytes to the client at once; how many it took, or -1 if it is gone. */
ssize_t vsock_conn_write(struct vsock_conn *c, const void *buf, size_t len);
/* LEN bytes of the guest's, straight to the client as far as it takes them. */
void vsock_conn_pass_on(struct vsock_conn *c, uint32_t len, struct segs *data);
/* The client takes bytes again. */
void vsock_conn_drain(struct vsock_conn *c);
/* The guest closed its end: so is the client's, once it has all that was sent before. */
void vsock_conn_finish(struct vsock_conn *c);

#endif
