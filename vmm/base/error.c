/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * error.c - filling a caller-owned struct tvmm_error.  Any thread; no allocation.
 */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct tvmm_error *err, enum tvmm_code code, int sys_errno, const char *object, const char *fmt, ...)
{
	int ret = sys_errno ? -sys_errno : -EINVAL;
	va_list ap;

	if (!err)
		return ret;
	memset(err, 0, sizeof(*err));
	err->code = code;
	err->sys_errno = sys_errno;
	if (object)
		snprintf(err->object, sizeof(err->object), "%s", object);
	va_start(ap, fmt);
	vsnprintf(err->message, sizeof(err->message), fmt, ap);
	va_end(ap);
	return ret;
}

void err_hint(struct tvmm_error *err, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return;
	va_start(ap, fmt);
	vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
}
