/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * json.c - the reader, one pass with an explicit stack, and the writer.  No allocation, no recursion.
 */
#include "json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "bits.h"
#include "tinyvmm.h"

/* Length of the well-formed UTF-8 character at S, 0 if there is none before END (Unicode 15, table 3-7). */
static unsigned utf8_length(const unsigned char *s, const unsigned char *end)
{
	unsigned char low = 0x80, high = 0xbf;
	unsigned n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (end - s < (ptrdiff_t)n)
		return 0;
	if (s[0] == 0xe0)
		low = 0xa0; /* else an overlong form */
	if (s[0] == 0xed)
		high = 0x9f; /* else a surrogate */
	if (s[0] == 0xf0)
		low = 0x90;
	if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (unsigned i = 2; i < n; i++) {
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	}
	return n;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

struct reader {
	struct json *j;
	const char *p, *end;
	unsigned depth;
	uint32_t open[JSON_DEPTH_MAX]; /* the containers that are not closed yet */
};

static void skip_space(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
		r->p++;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits after "\u" at P, or -1. */
static int hex4(const char *p, const char *end)
{
	int v = 0;

	if (end - p < 4)
		return -1;
	for (unsigned i = 0; i < 4; i++) {
		int d = hex_digit(p[i]);

		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	return v;
}

static int new_value(struct reader *r, enum json_type type, const char *start)
{
	struct json *j = r->j;

	if (j->n == JSON_VALUES_MAX)
		return -E2BIG;
	j->value[j->n] = (struct json_value){ .type = (uint8_t)type, .start = (uint32_t)(start - j->text), .next = j->n + 1 };
	j->n++;
	return 0;
}

static void end_value(struct reader *r, const char *end)
{
	r->j->value[r->j->n - 1].end = (uint32_t)(end - r->j->text);
}

/* Length of the escape at P, behind its backslash; 0 if it is none.  A surrogate must be one of a pair. */
static unsigned escape_length(const char *p, const char *end)
{
	int v;

	if (p == end || !*p || !strchr("\"\\/bfnrtu", *p))
		return 0;
	if (*p != 'u')
		return 1;
	v = hex4(p + 1, end);
	if (v < 0 || (v >= 0xdc00 && v <= 0xdfff))
		return 0;
	if (v < 0xd800 || v > 0xdbff)
		return 5;
	if (end - p < 11 || p[5] != '\\' || p[6] != 'u')
		return 0;
	v = hex4(p + 7, end);
	return v >= 0xdc00 && v <= 0xdfff ? 11 : 0;
}

static int read_string(struct reader *r)
{
	int ret;

	if (r->p == r->end || *r->p != '"')
		return -EINVAL;
	ret = new_value(r, JSON_STRING, ++r->p);
	if (ret)
		return ret;
	while (r->p < r->end && *r->p != '"') {
		unsigned n;

		if ((unsigned char)*r->p < ' ')
			return -EINVAL;
		if (*r->p == '\\') {
			n = escape_length(r->p + 1, r->end);
			r->p += n ? n + 1 : 0;
		} else {
			n = utf8_length((const unsigned char *)r->p, (const unsigned char *)r->end);
			r->p += n;
		}
		if (!n)
			return -EINVAL;
	}
	if (r->p == r->end)
		return -EINVAL;
	end_value(r, r->p++);
	return 0;
}

static bool skip_digits(struct reader *r)
{
	const char *start = r->p;

	while (r->p < r->end && is_digit(*r->p))
		r->p++;
	return r->p > start;
}

static int read_number(struct reader *r)
{
	int ret = new_value(r, JSON_NUMBER, r->p);

	if (ret)
		return ret;
	if (*r->p == '-')
		r->p++;
	if (r->p < r->end && *r->p == '0')
		r->p++; /* no digit may follow: then what follows is not JSON */
	else if (!skip_digits(r))
		return -EINVAL;
	if (r->p < r->end && *r->p == '.') {
		r->p++;
		if (!skip_digits(r))
			return -EINVAL;
	}
	if (r->p < r->end && (*r->p | 0x20) == 'e') {
		r->p++;
		if (r->p < r->end && (*r->p == '+' || *r->p == '-'))
			r->p++;
		if (!skip_digits(r))
			return -EINVAL;
	}
	end_value(r, r->p);
	return 0;
}

static int read_word(struct reader *r)
{
	static const struct {
		const char *word;
		enum json_type type;
	} words[] = { { "null", JSON_NULL }, { "true", JSON_BOOL }, { "false", JSON_BOOL } };

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		size_t len = strlen(words[i].word);
		int ret;

		if ((size_t)(r->end - r->p) < len || memcmp(r->p, words[i].word, len))
			continue;
		ret = new_value(r, words[i].type, r->p);
		if (ret)
			return ret;
		r->p += len;
		end_value(r, r->p);
		return 0;
	}
	return -EINVAL;
}

static int read_scalar(struct reader *r)
{
	if (r->p == r->end)
		return -EINVAL;
	if (*r->p == '"')
		return read_string(r);
	if (*r->p == '-' || is_digit(*r->p))
		return read_number(r);
	return read_word(r);
}

/* A key and its colon. */
static int read_key(struct reader *r)
{
	int ret;

	skip_space(r);
	ret = read_string(r);
	if (ret)
		return ret;
	skip_space(r);
	if (r->p == r->end || *r->p != ':')
		return -EINVAL;
	r->p++;
	return 0;
}

static char closer(const struct reader *r)
{
	return r->j->value[r->open[r->depth - 1]].type == JSON_OBJECT ? '}' : ']';
}

/* After a value, or an opening: closes what closes here.  1: another value follows, 0: all is closed, or an error. */
static int close_or_go_on(struct reader *r, bool opened)
{
	for (;; opened = false) {
		struct json_value *v;

		skip_space(r);
		if (!r->depth)
			return r->p == r->end ? 0 : -EINVAL;
		if (r->p == r->end)
			return -EINVAL;
		if (*r->p != closer(r)) {
			if (!opened && *r->p++ != ',')
				return -EINVAL;
			if (closer(r) == '}') {
				int ret = read_key(r);

				if (ret)
					return ret;
			}
			return 1;
		}
		v = &r->j->value[r->open[--r->depth]];
		v->end = (uint32_t)(++r->p - r->j->text);
		v->next = r->j->n;
	}
}

int json_parse(struct json *j, const char *text, size_t len)
{
	struct reader r = { .j = j, .p = text, .end = text + len };
	int ret;

	j->text = text;
	j->n = 0;
	if (len > JSON_TEXT_MAX)
		return -E2BIG;
	do {
		bool opens;

		skip_space(&r);
		opens = r.p < r.end && (*r.p == '{' || *r.p == '[');
		if (opens) {
			if (r.depth == JSON_DEPTH_MAX)
				return -E2BIG;
			r.open[r.depth++] = j->n;
			ret = new_value(&r, *r.p == '{' ? JSON_OBJECT : JSON_ARRAY, r.p);
			r.p++;
		} else {
			ret = read_scalar(&r);
		}
		if (!ret)
			ret = close_or_go_on(&r, opens);
	} while (ret > 0);
	return ret;
}

bool json_is(const struct json *j, int i, enum json_type type)
{
	return i >= 0 && j->value[i].type == type;
}

int json_first(const struct json *j, int list)
{
	bool has = (json_is(j, list, JSON_ARRAY) || json_is(j, list, JSON_OBJECT)) && j->value[list].next > (uint32_t)list + 1;

	return has ? list + 1 : -1;
}

int json_after(const struct json *j, int list, int i)
{
	return j->value[i].next < j->value[list].next ? (int)j->value[i].next : -1;
}

const char *json_text(const struct json *j, int i, size_t *len)
{
	*len = j->value[i].end - j->value[i].start;
	return j->text + j->value[i].start;
}

int json_get(const struct json *j, int obj, const char *key)
{
	char name[64];

	if (!json_is(j, obj, JSON_OBJECT))
		return -1;
	for (uint32_t k = (uint32_t)obj + 1; k < j->value[obj].next; k = j->value[k + 1].next) {
		if (json_decode(j, (int)k, name, sizeof(name)) && !strcmp(name, key))
			return (int)k + 1;
	}
	return -1;
}

bool json_u64(const struct json *j, int i, uint64_t *out)
{
	const char *p;
	uint64_t v = 0;
	size_t len;

	if (!json_is(j, i, JSON_NUMBER))
		return false;
	p = json_text(j, i, &len);
	for (size_t k = 0; k < len; k++) {
		if (!is_digit(p[k]) || __builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(p[k] - '0'), &v))
			return false;
	}
	*out = v;
	return true;
}

bool json_i64(const struct json *j, int i, int64_t *out)
{
	const char *p;
	int64_t v = 0;
	size_t len, k;

	if (!json_is(j, i, JSON_NUMBER))
		return false;
	p = json_text(j, i, &len);
	for (k = *p == '-'; k < len; k++) { /* downwards: the least has no positive */
		if (!is_digit(p[k]) || __builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, p[k] - '0', &v))
			return false;
	}
	if (*p != '-' && v == INT64_MIN)
		return false;
	*out = *p == '-' ? v : -v;
	return true;
}

bool json_bool(const struct json *j, int i, bool *out)
{
	if (!json_is(j, i, JSON_BOOL))
		return false;
	*out = j->text[j->value[i].start] == 't';
	return true;
}

/* The character of an escape that json_parse() has let pass, as UTF-8 in C; moves *P behind it. */
static unsigned unescape(const char **p, const char *end, char c[4])
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *s = *p + 1;
	unsigned v;

	if (*s != 'u') {
		c[0] = to[strchr(from, *s) - from];
		*p = s + 1;
		return 1;
	}
	v = (unsigned)hex4(s + 1, end);
	*p = s + 5;
	if (v >= 0xd800 && v <= 0xdbff) {
		v = 0x10000 + ((v - 0xd800) << 10) + ((unsigned)hex4(s + 7, end) - 0xdc00);
		*p = s + 11;
	}
	if (v < 0x80) {
		c[0] = (char)v;
		return 1;
	}
	if (v < 0x800) {
		c[0] = (char)(0xc0 | v >> 6);
		c[1] = (char)(0x80 | (v & 0x3f));
		return 2;
	}
	if (v < 0x10000) {
		c[0] = (char)(0xe0 | v >> 12);
		c[1] = (char)(0x80 | (v >> 6 & 0x3f));
		c[2] = (char)(0x80 | (v & 0x3f));
		return 3;
	}
	c[0] = (char)(0xf0 | v >> 18);
	c[1] = (char)(0x80 | (v >> 12 & 0x3f));
	c[2] = (char)(0x80 | (v >> 6 & 0x3f));
	c[3] = (char)(0x80 | (v & 0x3f));
	return 4;
}

bool json_decode(const struct json *j, int i, char *buf, size_t size)
{
	const char *p, *end;
	size_t len, n = 0;

	if (!json_is(j, i, JSON_STRING))
		return false;
	p = json_text(j, i, &len);
	end = p + len;
	while (p < end) {
		char c[4];
		unsigned k = 1;

		if (*p == '\\')
			k = unescape(&p, end, c);
		else
			c[0] = *p++;
		if (!c[0] || n + k >= size)
			return false;
		memcpy(buf + n, c, k);
		n += k;
	}
	if (n >= size)
		return false;
	buf[n] = '\0';
	return true;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static void put(struct json_out *o, const char *s, size_t len)
{
	if (o->full || len >= o->size - o->len) {
		o->full = true;
		return;
	}
	memcpy(o->buf + o->len, s, len);
	o->len += len;
	o->buf[o->len] = '\0';
}

void json_begin(struct json_out *o, char *buf, size_t size)
{
	*o = (struct json_out){ .buf = buf, .size = size };
	buf[0] = '\0';
}

static bool needs_no_quoting(unsigned char c)
{
	return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

static void put_quoted(struct json_out *o, const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text, *end = s + len;

	put(o, "\"", 1);
	while (s < end && !o->full) {
		const unsigned char *run = s;
		unsigned n;
		char c[8];

		while (s < end && needs_no_quoting(*s))
			s++;
		if (s != run) {
			put(o, (const char *)run, (size_t)(s - run));
			continue;
		}
		n = utf8_length(s, end);
		if (!n) {
			put(o, "\\ufffd", 6);
		} else if (*s == '"' || *s == '\\') {
			c[0] = '\\';
			c[1] = (char)*s;
			put(o, c, 2);
		} else if (*s == '\n') {
			put(o, "\\n", 2);
		} else if (*s < ' ' || *s == 0x7f) {
			snprintf(c, sizeof(c), "\\u%04x", *s);
			put(o, c, 6);
		} else {
			put(o, (const char *)s, n);
		}
		s += n ? n : 1;
	}
	put(o, "\"", 1);
}

static void put_key(struct json_out *o, const char *key)
{
	if (o->len && o->buf[o->len - 1] != '{' && o->buf[o->len - 1] != '[')
		put(o, ",", 1);
	if (!key)
		return;
	put_quoted(o, key, strlen(key));
	put(o, ":", 1);
}

void json_open(struct json_out *o, const char *key, char what)
{
	put_key(o, key);
	put(o, &what, 1);
}

void json_close(struct json_out *o, char what)
{
	put(o, &what, 1);
}

void json_put_text(struct json_out *o, const char *key, const char *text, size_t len)
{
	put_key(o, key);
	put_quoted(o, text, len);
}

void json_put_string(struct json_out *o, const char *key, const char *text)
{
	json_put_text(o, key, text, strlen(text));
}

void json_put_u64(struct json_out *o, const char *key, uint64_t v)
{
	char buf[24];

	put_key(o, key);
	put(o, buf, (size_t)snprintf(buf, sizeof(buf), "%lu", v));
}

void json_put_i64(struct json_out *o, const char *key, int64_t v)
{
	char buf[24];

	put_key(o, key);
	put(o, buf, (size_t)snprintf(buf, sizeof(buf), "%ld", v));
}

void json_put_bool(struct json_out *o, const char *key, bool v)
{
	put_key(o, key);
	put(o, v ? "true" : "false", v ? 4 : 5);
}

int tvmm_json_quote(char *buf, size_t size, const char *text)
{
	struct json_out o;

	if (!size)
		return -ENOSPC;
	json_begin(&o, buf, size);
	put_quoted(&o, text, strlen(text));
	return o.full ? -ENOSPC : 0;
}
