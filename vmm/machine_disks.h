/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * machine_disks.h - machine.c's part for disks, on the lifecycle thread.  Called by it alone, but for what guest.c describes.
 */
#ifndef TVMM_MACHINE_DISKS_H
#define TVMM_MACHINE_DISKS_H

#include "machine.h"

/* Images, and connections to servers.  What was opened before a failure stays, for close. */
int machine_disks_open(struct machine *m, const struct tvmm_config *cfg, struct tvmm_error *err);

/* Must RAM be shared, as some disk is a server's? */
bool machine_disks_share(const struct machine *m);

/* Once RAM and the loop are there. */
int machine_disks_attach(struct machine *m, struct tvmm_error *err);

/* Once the guest is built: a line for each, for people. */
void machine_disks_describe(const struct machine *m, char *buf, size_t len);

/* When the guest is gone and the loop ended, but is still there.  Harmless when nothing was opened. */
void machine_disks_close(struct machine *m);

#endif
