/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * segs.c - a cursor over a request's segments.
 *
 * Owns nothing: it works in place on the request's array.  Called by queue owners.  It never reads a byte twice, and
 * never goes past the bytes that vq_pop() has checked.
 */
#include <string.h>
#include "bits.h"
#include "segs.h"

struct segs segs_out(struct virtq_req *req)
{
	return (struct segs){ .iov = req->iov, .n = req->n_out, .left = req->out_len };
}

struct segs segs_in(struct virtq_req *req)
{
	return (struct segs){ .iov = req->iov + req->n_out, .n = req->n_in, .left = req->in_len };
}

/* The next bytes that lie together, at most *LEN of them, taken off the front.  There is at least one left. */
static void *take_chunk(struct segs *s, size_t *len)
{
	uint8_t *p;

	while (s->iov->iov_len == 0) {
		s->iov++;
		s->n--;
	}
	p = s->iov->iov_base;
	*len = MIN(*len, s->iov->iov_len);
	s->iov->iov_base = p + *len;
	s->iov->iov_len -= *len;
	s->left -= *len;
	if (s->iov->iov_len == 0) {
		s->iov++;
		s->n--;
	}
	return p;
}

bool segs_take(struct segs *s, void *dst, size_t len)
{
	uint8_t *to = dst;

	if (len > s->left)
		return false;
	while (len) {
		size_t part = len;
		const void *p = take_chunk(s, &part);

		memcpy(to, p, part);
		to += part;
		len -= part;
	}
	/* What the caller looks at from here on is the copy: the compiler must not go back to guest memory for it. */
	__asm__ volatile("" : : : "memory");
	return true;
}

bool segs_put(struct segs *s, const void *src, size_t len)
{
	const uint8_t *from = src;

	if (len > s->left)
		return false;
	while (len) {
		size_t part = len;
		void *p = take_chunk(s, &part);

		memcpy(p, from, part);
		from += part;
		len -= part;
	}
	return true;
}

size_t segs_skip(struct segs *s, size_t len)
{
	size_t skipped = 0;

	len = MIN(len, s->left);
	while (skipped < len) {
		size_t part = len - skipped;

		take_chunk(s, &part);
		skipped += part;
	}
	return skipped;
}

unsigned segs_split(struct segs *s, struct iovec *front, unsigned max, size_t len)
{
	unsigned n = 0, whole = 0;

	if (len > s->left)
		return 0;
	for (size_t seen = 0; seen < len; whole++)
		seen += s->iov[whole].iov_len;
	if (whole > max)
		return 0;
	while (len) {
		size_t part = len;

		front[n].iov_base = take_chunk(s, &part);
		front[n++].iov_len = part;
		len -= part;
	}
	return n;
}

void segs_limit(struct segs *s, size_t len)
{
	unsigned n = 0;

	if (len >= s->left)
		return;
	for (s->left = len; len; n++) {
		s->iov[n].iov_len = MIN(s->iov[n].iov_len, len);
		len -= s->iov[n].iov_len;
	}
	s->n = n;
}

uint8_t *segs_last_byte(struct segs *s)
{
	struct iovec *last;

	if (!s->left)
		return NULL;
	while (s->iov[s->n - 1].iov_len == 0)
		s->n--;
	last = &s->iov[s->n - 1];
	last->iov_len--;
	s->left--;
	if (last->iov_len == 0)
		s->n--;
	return (uint8_t *)last->iov_base + last->iov_len;
}
