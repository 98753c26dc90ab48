/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * peers.h - what stands at the other ends of a hostile guest's devices: a network on which frames come without a pause and
 * nobody minds what is sent, two ports into nothing, and a listener at vsock port 1024 that never reads.
 *
 * For one machine: opened before it is made, closed after it is freed.  One thread calls; up to two threads of its own.
 */
#ifndef HOSTILE_PEERS_H
#define HOSTILE_PEERS_H

#include <pthread.h>
#include <stdbool.h>

enum peers_net { PEERS_STREAM, PEERS_TAP };

struct peers {
	enum peers_net kind;
	int machine, ours;           /* the machine's end of the network, and ours; a tap has no end for it */
	pthread_t source, sink;
	bool has_source, has_sink;
	volatile bool stop;
	int listener;                /* of vsock; -1: nobody listens */
	char dir[32], net[64], vsock[64]; /* the last two are values for the keys of that name */
};

/* LISTEN: at vsock port 1024.  False: not to be had here; then nothing is open, and the values are empty. */
bool peers_open(struct peers *p, enum peers_net kind, bool listen);
void peers_close(struct peers *p); /* twice is fine */

#endif
