/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unix_listen.h - the one way to listen at a unix socket: control, vsock and named ports.
 *
 * The socket is the user's alone (mode 0600, from its first moment).  One that a killed process left behind is replaced;
 * one that somebody serves, and whatever is no socket, stays as it is and is an error.  Before the threads of a machine
 * run; removing the socket at the end is its owner's.
 */
#ifndef TVMM_BASE_UNIX_LISTEN_H
#define TVMM_BASE_UNIX_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include "error.h"
#include "host.h"

struct sockaddr_un;

/*
 * PATH as an address.  SPARE bytes stay free behind it, for what the caller will append.  WHAT ("the vsock socket") is
 * for the sentence when it does not fit, here and below.
 */
int unix_address(struct sockaddr_un *addr, const char *path, size_t spare, const char *what, struct tvmm_error *err);

/*
 * A non-blocking stream socket that listens at ADDR, or -errno.  ABANDONED: the caller knows that a socket which is there
 * is nobody's; else it is asked, and two who start at the same moment can take each other's place.
 */
int unix_listen(const struct host *h, const struct sockaddr_un *addr, int backlog, bool abandoned, const char *what,
		struct tvmm_error *err);

#endif
