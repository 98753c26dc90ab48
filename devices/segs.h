/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * segs.h - a cursor over a request's segments, so that devices do no iovec arithmetic.
 *
 * A driver may split a request anywhere: a header can span segments, a segment can hold the end of one field and the
 * start of the next.  A cursor takes bytes from the front; what it has passed is gone.  Works in place on the array.
 */
#ifndef TVMM_DEVICES_SEGS_H
#define TVMM_DEVICES_SEGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "virtq.h"

struct segs {
	struct iovec *iov;
	unsigned n;
	size_t left; /* bytes */
};

/* The readable and the writable part of a request. */
struct segs segs_out(struct virtq_req *req);
struct segs segs_in(struct virtq_req *req);

/* Takes LEN bytes out of the front into DST, or puts SRC into them; false if fewer are left (and nothing moves). */
bool segs_take(struct segs *s, void *dst, size_t len);
bool segs_put(struct segs *s, const void *src, size_t len);

/* Drops up to LEN bytes from the front; returns how many. */
size_t segs_skip(struct segs *s, size_t len);

/* Moves the first LEN bytes to FRONT, an array of MAX; returns how many of it they take, 0 if there are fewer (or too many). */
unsigned segs_split(struct segs *s, struct iovec *front, unsigned max, size_t len);

/* Cuts off what is beyond LEN bytes. */
void segs_limit(struct segs *s, size_t len);

/* Takes the last byte off the back and returns where it is; NULL if nothing is left. */
uint8_t *segs_last_byte(struct segs *s);

#endif
