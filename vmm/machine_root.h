/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * machine_root.h - machine.c's part for the way to the guest's root, which it alone calls, on the lifecycle thread.
 */
#ifndef TVMM_MACHINE_ROOT_H
#define TVMM_MACHINE_ROOT_H

#include "machine.h"

/*
 * The kernel's command line: what makes a stock kernel speak and stop in the right way, then the user's words, so that
 * theirs win.  With no-defaults, theirs alone.  PLAIN_CPU: it is not to use what a host that interprets it does not know.
 */
int machine_root_cmdline(struct cmdline *out, const struct tvmm_config *cfg, bool plain_cpu, struct tvmm_error *err);

/* m->initramfs, if one is wanted, and m->root_hint.  The kernel's file is open. */
int machine_root_initramfs(struct machine *m, const struct tvmm_config *cfg, struct tvmm_error *err);

#endif
