/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe.h - the library's own view of tvmm_probe(): through any host, with or without what is kept from earlier.
 */
#ifndef TVMM_PROBE_H
#define TVMM_PROBE_H

#include "error.h"
#include "host.h"
#include "tinyvmm.h"

/* As tvmm_probe(), *OUT being of this library's size.  CACHE: a file, or "". */
int probe_host(struct tvmm_probe *out, const struct host *host, const char *cache, bool fresh, struct tvmm_error *err);

/* What /dev/kvm runs guests with, the module's name in MODULE.  Reads files. */
enum tvmm_backend probe_backend(const struct host *host, char *module, size_t len);

/* /dev/kvm did not open: fills *ERR with why, and what to do.  Returns RET, a negative errno. */
int probe_explain_open(const struct host *host, int ret, struct tvmm_error *err);

/* Can guests have VMX or SVM?  KVM_FD: an open /dev/kvm.  WARNING is what to say of it even so, "" for nothing. */
int probe_nested(const struct host *host, int kvm_fd, char *warning, size_t len, struct tvmm_error *err);

#endif
