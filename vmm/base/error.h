/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * error.h - filling a caller-owned struct tvmm_error (tinyvmm.h).
 *
 * One idiom in the whole tree: a function that can fail returns 0 or a negative errno, and says what happened, to
 * what, and what to try, in its last argument.  That may be NULL everywhere.  No allocation, no thread-local state.
 */
#ifndef TVMM_BASE_ERROR_H
#define TVMM_BASE_ERROR_H

#include <errno.h>
#include "tinyvmm.h"

/*
 * Fills *ERR and returns -SYS_ERRNO, or -EINVAL where SYS_ERRNO is 0 (nothing the system said).  SYS_ERRNO is positive.
 * OBJECT may be NULL.  The hint is cleared.
 */
int err_set(struct tvmm_error *err, enum tvmm_code code, int sys_errno, const char *object, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* Adds the remedy to an error that err_set() has filled. */
void err_hint(struct tvmm_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
