/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * config_words.h - reading the parts of a configuration value: numbers, switches, paths, elements of a list.
 *
 * Each function that can fail fills the error with a sentence in which the value is quoted safely.  Pure but for the
 * copies it makes, which are the caller's to free.
 */
#ifndef TVMM_CONFIG_WORDS_H
#define TVMM_CONFIG_WORDS_H

#include <stdbool.h>
#include <stdint.h>
#include "tinyvmm.h"

/* A value as a message may quote it: short, one line, no control characters. */
struct shown {
	char s[64];
};
struct shown word_show(const char *value);

/* "WHAT 'WORD'" for a word that is not in the NULL-terminated WORDS; the hint is the nearest of them, or KNOWN. */
int word_unknown(struct tvmm_error *err, const char *object, const char *what, const char *word,
		 const char *const *words, const char *known);

/* A decimal number of at most MAX.  Signs, spaces and other bases are refused: a typing error must not become a value. */
bool value_uint(const char *s, unsigned max, unsigned *out);

/* Digits and one optional suffix to bytes.  False if it is not of that form; *TOO_BIG if it is but is above LIMIT. */
bool value_size(const char *s, uint64_t limit, uint64_t *out, bool *too_big);

/* "on", "off", or NULL for on. */
int value_bool(const char *key, const char *value, bool *out, struct tvmm_error *err);

/* Copies into *OUT, freeing what was there; the second checks that it can be a path. */
int value_dup(const char *key, const char *value, char **out, struct tvmm_error *err);
int value_path(const char *key, const char *path, char **out, struct tvmm_error *err);

/* Cuts the next element off *REST, in place, making ",," a comma.  NULL at the end. */
char *value_next(char **rest);

/* Splits "key=value" in place; NULL where there is no '='. */
char *value_split(char *element);

/* A value that is one path, in list form, so that keys can be added to it some day. */
int value_list_path(const char *key, const char *value, char **out, struct tvmm_error *err);

/*
 * What limits are made of (ratelimit.h), for disks and networks alike: bw=SIZE[/s] in bytes, KEY=N operations a second,
 * burst=N{ms|s}.  VALUE may be NULL, which is refused.
 */
int value_bandwidth(const char *object, const char *value, uint64_t *out, struct tvmm_error *err);
int value_ops(const char *object, const char *key, const char *value, uint64_t *out, struct tvmm_error *err);
int value_burst(const char *object, const char *value, uint64_t *out_ns, struct tvmm_error *err);

#endif
