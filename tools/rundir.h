/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rundir.h - where machines with a name have their control sockets: RUN/NAME/control.sock.
 *
 * RUN is $TINYVMM_RUNTIME_DIR; else /run/tinyvmm for root, $XDG_RUNTIME_DIR/tinyvmm for others.  A folder that another
 * user could write to is refused.  Main thread.
 */
#ifndef TVMM_RUNDIR_H
#define TVMM_RUNDIR_H

#include <limits.h>
#include "tinyvmm.h"

struct rundir_place {
	char dir[PATH_MAX];
	char config[2 * PATH_MAX]; /* the socket's path, as a value of the configuration: with its commas doubled */
};

/* Makes RUN, and tells where the socket of a machine of this name is to be. */
int rundir_make(struct rundir_place *p, const char *name, struct tvmm_error *err);
/* Removes the machine's own folder, unless another machine uses it by now; harmless if it was never made. */
void rundir_remove(struct rundir_place *p);

/* The socket of machine NAME; with a slash in it NAME is the path itself. */
int rundir_socket(const char *name, char path[PATH_MAX], struct tvmm_error *err);

/* Calls FN with each name for which there is a folder, in order, until it returns false. */
int rundir_each(bool (*fn)(void *arg, const char *name), void *arg, struct tvmm_error *err);

#endif
