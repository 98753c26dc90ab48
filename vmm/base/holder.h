/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * holder.h - which process has a file open: for the sentence that says why an image cannot be locked.
 *
 * An OFD lock belongs to no process, so the kernel cannot tell who holds it; but whoever holds it has the file open.
 * Looks through /proc, as far as this user may: a guess for a person, not for a decision.  Any thread; on a failure's
 * way only.
 */
#ifndef TVMM_BASE_HOLDER_H
#define TVMM_BASE_HOLDER_H

#include <stddef.h>
#include <sys/types.h>

/* The first other process that has the file DEV, INO open, its name in COMM; 0 when none is seen. */
pid_t holder_of(dev_t dev, ino_t ino, char *comm, size_t len);

#endif
