/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * crowd.h - what the machines of this user could need together, before one more starts.
 */
#ifndef TVMM_CROWD_H
#define TVMM_CROWD_H

#include <stddef.h>
#include <stdint.h>

struct crowd {
	unsigned machines;   /* with the new one */
	uint64_t configured; /* of all of them */
	uint64_t total, swap; /* the host's; 0 where it does not tell */
};

/* Adds up the machines that answer at once, this process's left out, and one with CONFIGURED bytes. */
void crowd_count(struct crowd *c, uint64_t configured);

/* In words, what could go wrong; "" when all have room. */
void crowd_describe(const struct crowd *c, char *buf, size_t len);

#endif
