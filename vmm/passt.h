/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * passt.h - the helper behind "net user": a passt process of the machine's own, which joins the guest to the host's network
 * without any privilege.
 *
 * Started by the thread that builds the machine, before its loop runs; ended when the machine is destroyed.  If it ends by
 * itself the link goes down, its last words are logged, and the machine goes on.
 */
#ifndef TVMM_PASST_H
#define TVMM_PASST_H

#include <sys/types.h>
#include "config_net.h"
#include "netif.h"

struct passt {
	pid_t pid;    /* 0: there is none */
	int pid_fd;   /* -1: this kernel has none; then the number must do */
	int words_fd; /* its standard error */
	const struct host *host;
	struct log *log;
};

/* On success *OUT is the interface, to be closed before passt_stop().  Takes a second at most. */
int passt_start(struct passt *p, struct netif **out, const struct config_net *cfg, const struct host *h, struct evloop *loop,
		struct log *log, struct tvmm_error *err);

/* Ends the process and collects it.  Harmless on a zeroed structure. */
void passt_stop(struct passt *p);

#endif
