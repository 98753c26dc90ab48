/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * backend.h - what /dev/kvm runs guests with: VMX, SVM, or a software backend.  From /sys/module and the CPU's flags.
 */
#ifndef TVMM_BACKEND_H
#define TVMM_BACKEND_H

#include "host.h"
#include "tinyvmm.h"

/* Names the module in MODULE ("kvm_amd"; "kvm" when none is known).  Reads files; any thread. */
enum tvmm_backend backend_find(const struct host *host, char *module, size_t len);

#endif
