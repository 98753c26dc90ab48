/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * say.h - what the command says on stderr: "tinyvmm: error: WHAT: OBJECT: strerror" and a hint on a line of its own.
 *
 * stdout belongs to the guest's console.  Each call is one write, so lines of several threads do not mix.  Whatever
 * comes from outside (paths, a guest's words) is shown without its control characters.
 */
#ifndef TVMM_SAY_H
#define TVMM_SAY_H

#include "tinyvmm.h"

/* Fills *ERR as the library does.  Always -EINVAL or -SYS_ERRNO. */
int say_fill(struct tvmm_error *err, enum tvmm_code code, int sys_errno, const char *object, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
void say_fill_hint(struct tvmm_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "MESSAGE: OBJECT: strerror", for a line or a result file. */
void say_describe(const struct tvmm_error *err, char *buf, size_t len);

void say_error(const struct tvmm_error *err);
/* An error that is a sentence already; HINT may be NULL or empty. */
void say_sentence(const char *sentence, const char *hint);
/* A dim line, for what is useful to know once. */
void say_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* "tinyvmm: LEVEL: LINE". */
void say_log(int level, const char *line);

#endif
