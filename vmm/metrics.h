/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * metrics.h - a machine's figures as one text in the OpenMetrics format, which Prometheus and its kin read.
 *
 * Made of what tinyvmm.h tells of a machine, on the caller's thread; it holds nothing and serves nothing.
 */
#ifndef TVMM_METRICS_H
#define TVMM_METRICS_H

#include <stddef.h>
#include "tinyvmm.h"

#define METRICS_MAX 32768 /* enough for every machine */

/* The text for machine VM of this NAME (tinyvmm.h: config key "name"), or -ENOBUFS. */
int metrics_text(struct tvmm_vm *vm, const char *name, char *buf, size_t len);

#endif
