/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmdline.h - a kernel command line: built within a bound, and read the way Linux reads it.
 *
 * Words are separated by blanks; double quotes keep blanks inside a word; '-' and '_' are the same in an option's
 * name; what follows a bare "--" is for init and is no option of the kernel.  No allocation, no threads of its own.
 */
#ifndef TVMM_FIRMWARE_CMDLINE_H
#define TVMM_FIRMWARE_CMDLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "error.h"

#define CMDLINE_CAPACITY 4096 /* of our buffer, the NUL included; x86 kernels take 2047 bytes */

struct cmdline {
	size_t len;		     /* without the NUL */
	char text[CMDLINE_CAPACITY]; /* always NUL-terminated */
};

void cmdline_init(struct cmdline *c);

/*
 * Adds TEXT after a blank; blanks around it are dropped, and an empty TEXT adds nothing.  -EINVAL: too long for the
 * buffer, a control character, or a double quote that is never closed (it would swallow what comes after); the line is
 * as before then.
 */
int cmdline_append(struct cmdline *c, const char *text, struct tvmm_error *err);
int cmdline_appendf(struct cmdline *c, struct tvmm_error *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* -EINVAL if the line is longer than the MAX bytes that the kernel takes (struct kernel's cmdline_max). */
int cmdline_check(const struct cmdline *c, uint64_t max, struct tvmm_error *err);

/* Is there an option NAME, with or without a value? */
bool cmdline_has(const char *line, const char *name);

/*
 * The value of the last NAME=VALUE, its quotes dropped, into BUF (NUL-terminated, cut at SIZE).  Returns the value's
 * length, or -ENOENT when there is none; 0 for a bare NAME and for "NAME=".
 */
int cmdline_last(const char *line, const char *name, char *buf, size_t size);

#endif
