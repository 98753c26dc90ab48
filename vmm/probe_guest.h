/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe_guest.h - a guest of some dozen instructions that measures what exits and page faults cost here.
 *
 * It runs on a thread of its own and is given up after PROBE_GUEST_MS: a vCPU that hangs costs its caller no more.  The
 * thread then releases everything itself if ever it comes back.
 */
#ifndef TVMM_PROBE_GUEST_H
#define TVMM_PROBE_GUEST_H

#include "classify.h"
#include "error.h"
#include "host.h"

#ifndef TVMM_UNIT
#define PROBE_GUEST_MS       100
#define PROBE_GUEST_GRACE_MS 20 /* after that, for a vCPU that was told to end */
#else
/* In unit tests a thread may wait long for a busy CPU, and must not be taken for a vCPU that hangs. */
#define PROBE_GUEST_MS       2000
#define PROBE_GUEST_GRACE_MS 2000
#endif

/*
 * Opens KVM of its own, makes a VM, runs it, and fills *M.  0 if KVM made a VM and a vCPU; else a negative errno and
 * *ERR: then *M says nothing.
 */
int probe_guest_run(struct measurement *m, const struct host *host, struct tvmm_error *err);

#endif
