/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * config_words.c - the words and parts that values are made of, and what to say of those that are wrong.
 *
 * Knows no key.  Called by config.c alone, on the embedder's thread.
 */
#include "config_words.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bits.h"
#include "error.h"
#include "ratelimit.h"

/* ---- words ------------------------------------------------------------------------------------------------------ */

struct shown word_show(const char *value)
{
	struct shown out;
	size_t n = 0;

	for (; value[n] && n < sizeof(out.s) - 4; n++)
		out.s[n] = (value[n] < ' ' && value[n] >= 0) || value[n] == 0x7f ? '?' : value[n];
	snprintf(out.s + n, sizeof(out.s) - n, "%s", value[n] ? "..." : "");
	return out;
}

enum { WORD_MAX = 24 };

/* How many letters must be changed, added, dropped or swapped with their neighbour to make A into B. */
static unsigned edit_distance(const char *a, const char *b)
{
	unsigned d[WORD_MAX + 1][WORD_MAX + 1];
	size_t la = strlen(a), lb = strlen(b);

	if (la > WORD_MAX || lb > WORD_MAX)
		return UINT_MAX;
	for (size_t i = 0; i <= la; i++) {
		for (size_t j = 0; j <= lb; j++) {
			if (!i || !j) {
				d[i][j] = (unsigned)(i + j);
				continue;
			}
			d[i][j] = MIN(MIN(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = MIN(d[i][j], d[i - 2][j - 2] + 1);
		}
	}
	return d[la][lb];
}

/* The word of the NULL-terminated list that WORD is most likely a slip of; NULL if none is near. */
static const char *nearest(const char *word, const char *const *words)
{
	unsigned best = strlen(word) <= 3 ? 1 : 2;
	const char *found = NULL;

	for (; *words; words++) {
		unsigned d = edit_distance(word, *words);

		if (d < best + !found) {
			best = d;
			found = *words;
		}
	}
	return found;
}

int word_unknown(struct tvmm_error *err, const char *object, const char *what, const char *word,
		 const char *const *words, const char *known)
{
	const char *near = nearest(word, words);
	int ret = err_set(err, TVMM_E_CONFIG, 0, object, "%s '%s'", what, word_show(word).s);

	if (near)
		err_hint(err, "did you mean '%s'?", near);
	else
		err_hint(err, "known are: %s", known);
	return ret;
}

/* ---- parts of values -------------------------------------------------------------------------------------------- */

/* A decimal number of at most MAX.  Signs, spaces and other bases are refused: a typing error must not become a value. */
bool value_uint(const char *s, unsigned max, unsigned *out)
{
	uint64_t v = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		v = v * 10 + (uint64_t)(*s - '0');
		if (v > max)
			return false;
	}
	*out = (unsigned)v;
	return true;
}

/* Digits and one optional suffix to bytes.  False if it is not of that form; *TOO_BIG if it is but does not fit. */
bool value_size(const char *s, uint64_t limit, uint64_t *out, bool *too_big)
{
	static const char suffixes[] = "KMGT";
	uint64_t v = 0;
	unsigned shift = 20;
	const char *suffix;

	*too_big = false;
	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (v <= limit)
			v = v * 10 + (uint64_t)(*s - '0');
	}
	if (*s) {
		suffix = strchr(suffixes, *s & ~0x20);
		if (!suffix || s[1])
			return false;
		shift = 10 * (unsigned)(suffix - suffixes + 1);
	}
	*too_big = v > limit >> shift;
	*out = *too_big ? 0 : v << shift;
	return true;
}

int value_bool(const char *key, const char *value, bool *out, struct tvmm_error *err)
{
	if (!value || !strcmp(value, "on"))
		*out = true;
	else if (!strcmp(value, "off"))
		*out = false;
	else
		return err_set(err, TVMM_E_CONFIG, 0, key, "'%s' is neither on nor off", word_show(value).s);
	return 0;
}

int value_dup(const char *key, const char *value, char **out, struct tvmm_error *err)
{
	char *copy = strdup(value);

	if (!copy)
		return err_set(err, TVMM_E_MEMORY, ENOMEM, key, "no memory for the configuration");
	free(*out);
	*out = copy;
	return 0;
}

static int check_path(const char *key, const char *path, struct tvmm_error *err)
{
	if (!*path)
		return err_set(err, TVMM_E_CONFIG, 0, key, "the path is empty");
	if (strlen(path) >= PATH_MAX)
		return err_set(err, TVMM_E_CONFIG, 0, key, "the path has %zu bytes; the most is %d", strlen(path),
			       PATH_MAX - 1);
	return 0;
}

int value_path(const char *key, const char *path, char **out, struct tvmm_error *err)
{
	int ret = check_path(key, path, err);

	return ret ? ret : value_dup(key, path, out, err);
}

/* Cuts the next element off *REST, in place, making ",," a comma.  NULL at the end. */
char *value_next(char **rest)
{
	char *start = *rest, *from = start, *to = start;

	if (!start)
		return NULL;
	while (*from && (*from != ',' || from[1] == ',')) {
		if (*from == ',')
			from++;
		*to++ = *from++;
	}
	*rest = *from ? from + 1 : NULL;
	*to = '\0';
	return start;
}

/* Splits "key=value" in place; VALUE is NULL where there is no '='. */
char *value_split(char *element)
{
	char *eq = strchr(element, '=');

	if (!eq)
		return NULL;
	*eq = '\0';
	return eq + 1;
}

/* A value that is one path, in list form, so that keys can be added to it some day. */
int value_list_path(const char *key, const char *value, char **out, struct tvmm_error *err)
{
	char *copy = NULL, *rest, *path;
	int ret = value_dup(key, value, &copy, err);

	if (ret)
		return ret;
	rest = copy;
	path = value_next(&rest);
	if (rest) {
		ret = err_set(err, TVMM_E_CONFIG, 0, key, "nothing may follow the path; found '%s'", word_show(rest).s);
		err_hint(err, "write a comma that belongs to the path twice");
	} else {
		ret = value_path(key, path, out, err);
	}
	free(copy);
	return ret;
}

/* ---- rates -------------------------------------------------------------------------------------------------------- */

int value_bandwidth(const char *object, const char *value, uint64_t *out, struct tvmm_error *err)
{
	size_t len = value ? strlen(value) : 0;
	char size[32] = "";
	bool too_big;
	int ret;

	if (len > 2 && !strcmp(value + len - 2, "/s"))
		len -= 2;
	if (len && len < sizeof(size))
		memcpy(size, value, len);
	if (!value_size(size, RATELIMIT_MAX, out, &too_big) || too_big || !*out) {
		ret = err_set(err, TVMM_E_CONFIG, 0, object, "bw '%s' is not a size a second from 1K to 1T", word_show(value ? value : "").s);
		err_hint(err, "write a whole number of MiB, or one with K, M, G or T: bw=100M/s");
		return ret;
	}
	return 0;
}

int value_ops(const char *object, const char *key, const char *value, uint64_t *out, struct tvmm_error *err)
{
	unsigned n;

	if (!value || !value_uint(value, 1000000000, &n) || !n)
		return err_set(err, TVMM_E_CONFIG, 0, object, "%s '%s' is not a number from 1 to 1000000000", key,
			       word_show(value ? value : "").s);
	*out = n;
	return 0;
}

int value_burst(const char *object, const char *value, uint64_t *out_ns, struct tvmm_error *err)
{
	size_t len = value ? strlen(value) : 0;
	char number[16] = "";
	uint64_t unit_ns = 0;
	unsigned n;
	int ret;

	if (len > 2 && !strcmp(value + len - 2, "ms")) {
		unit_ns = 1000000;
		len -= 2;
	} else if (len > 1 && value[len - 1] == 's') {
		unit_ns = 1000000000;
		len--;
	}
	if (unit_ns && len < sizeof(number))
		memcpy(number, value, len);
	if (!value_uint(number, (unsigned)(RATELIMIT_BURST_MAX / 1000000), &n) || n * unit_ns > RATELIMIT_BURST_MAX) {
		ret = err_set(err, TVMM_E_CONFIG, 0, object, "burst '%s' is not a time from 0ms to 10s", word_show(value ? value : "").s);
		err_hint(err, "the time whose unused allowance may be used at once: burst=100ms");
		return ret;
	}
	*out_ns = n * unit_ns;
	return 0;
}
