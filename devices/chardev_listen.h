/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * chardev_listen.h - a chardev whose peer comes to a unix socket: one at a time, as often as they like.  All on the I/O loop.
 *
 * Who comes while another one is there waits in the socket's backlog.  Only the host's own programs can come, so that a
 * descriptor is made after the start is never a guest's doing.
 */
#ifndef TVMM_DEVICES_CHARDEV_LISTEN_H
#define TVMM_DEVICES_CHARDEV_LISTEN_H

#include <sys/un.h>
#include "chardev.h"

struct chardev_listen {
	struct evsource src; /* fd -1: does not listen */
	struct chardev *chr;
	struct sockaddr_un addr;
};

/* Listens at PATH for CHR, which has no peer.  The loop does not run yet.  On failure there is nothing to finish. */
int chardev_listen_init(struct chardev_listen *l, struct chardev *chr, const char *path, struct tvmm_error *err);

/* Before the chardev's own; harmless where init failed or was not called on a zeroed structure with fd -1. */
void chardev_listen_fini(struct chardev_listen *l);

#endif
