/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * machine_nets.h - machine.c's part for network interfaces, on the lifecycle thread.  Called by it alone, but for what
 * guest.c describes.
 */
#ifndef TVMM_MACHINE_NETS_H
#define TVMM_MACHINE_NETS_H

#include "machine.h"

/* After the loop is there: the interfaces are watched from the start.  What was opened before a failure stays, for close. */
int machine_nets_open(struct machine *m, const struct tvmm_config *cfg, struct tvmm_error *err);

/* A line for each, for people. */
void machine_nets_describe(const struct machine *m, char *buf, size_t len);

/* When the guest is gone, and the loop ended.  Harmless when nothing was opened. */
void machine_nets_close(struct machine *m);

#endif
