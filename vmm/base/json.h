/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * json.h - JSON (RFC 8259), read and written within bounds.
 *
 * The reader turns a text into a flat list of values, each of which knows where the next one after all that is in it
 * begins; nothing is copied, nothing allocated, depth and number are limited.  What it refuses is refused whole.  The
 * writer fills a buffer of the caller's and notices when that is full; a string that is not UTF-8 is written with U+FFFD
 * where it is broken.  Any thread; the text must stay as it is while its values are looked at.
 */
#ifndef TVMM_BASE_JSON_H
#define TVMM_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };
enum { JSON_VALUES_MAX = 1024, JSON_DEPTH_MAX = 16, JSON_TEXT_MAX = 1 << 20 };

struct json_value {
	uint8_t type;        /* enum json_type */
	uint32_t start, end; /* of its text; of a string, between the quotes */
	uint32_t next;       /* the value after this one and all that is in it */
};

struct json {
	const char *text;
	unsigned n;
	struct json_value value[JSON_VALUES_MAX]; /* [0] is the whole */
};

/* 0, -EINVAL if it is not JSON, -E2BIG if it is too long, too deep or has too many values.  LEN bytes, no NUL needed. */
int json_parse(struct json *j, const char *text, size_t len);

/* The value of KEY in object OBJ; -1 if there is none or OBJ is no object (or is -1 itself).  Of equal keys the first. */
int json_get(const struct json *j, int obj, const char *key);

/*
 * The first element of an array and the one after I; -1 at the end.  Of an object, the first key, whose value is the one
 * behind it, and the key after the value I.
 */
int json_first(const struct json *j, int list);
int json_after(const struct json *j, int list, int i);

bool json_is(const struct json *j, int i, enum json_type type);
/* False if I is -1, of another type, or does not fit.  Only whole numbers are numbers here. */
bool json_u64(const struct json *j, int i, uint64_t *out);
bool json_i64(const struct json *j, int i, int64_t *out);
bool json_bool(const struct json *j, int i, bool *out);
/* Decoded and NUL-terminated; false also if it does not fit or has a NUL in it. */
bool json_decode(const struct json *j, int i, char *buf, size_t size);
/* The text of a value as it stands. */
const char *json_text(const struct json *j, int i, size_t *len);

struct json_out {
	char *buf;
	size_t size, len; /* len < size: there is a NUL after it */
	bool full;        /* something did not fit; what is there is of no use */
};

void json_begin(struct json_out *o, char *buf, size_t size);
/* Commas come by themselves.  KEY is NULL for an element of an array, or the whole.  WHAT is '{' or '['. */
void json_open(struct json_out *o, const char *key, char what);
void json_close(struct json_out *o, char what); /* '}' or ']' */
void json_put_string(struct json_out *o, const char *key, const char *text);
void json_put_text(struct json_out *o, const char *key, const char *text, size_t len); /* a string that may hold anything */
void json_put_u64(struct json_out *o, const char *key, uint64_t v);
void json_put_i64(struct json_out *o, const char *key, int64_t v);
void json_put_bool(struct json_out *o, const char *key, bool v);

#endif
