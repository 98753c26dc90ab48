/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe_cache.h - what a probe found, kept for the rest of this boot and for this program alone.
 *
 * One small file in a folder of this user's.  It is believed only if it is a plain file that belongs to us, nobody else
 * could have written, and its content is whole; what it lacks or cannot be written costs a new probe and nothing else.
 */
#ifndef TVMM_PROBE_CACHE_H
#define TVMM_PROBE_CACHE_H

#include <stddef.h>
#include "host.h"
#include "tinyvmm.h"

/* The file in which it is kept for the user that runs this program; "" where there is no safe place. */
void probe_cache_path(char *path, size_t len);

/* True with *P filled if PATH has what was found by this program, on this boot, with these KVM modules. */
bool probe_cache_load(const struct host *host, const char *path, struct tvmm_probe *p);

/* Keeps *P.  Failure is silent: it is a cache. */
void probe_cache_save(const struct host *host, const char *path, const struct tvmm_probe *p);

#endif
