/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * classify_platform.h - what classify.c and classify_nested.c ask classify_platform.c beside classify.h.  Pure.
 */
#ifndef TVMM_CLASSIFY_PLATFORM_H
#define TVMM_CLASSIFY_PLATFORM_H

#include "probe_snapshot.h"

/* How this host gets VMX or SVM from what it runs on. */
const char *classify_l0_fix(const struct snapshot *s);

#endif
