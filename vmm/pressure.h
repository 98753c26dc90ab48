/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pressure.h - what the host says about its memory: /proc/meminfo, pressure stall information, the limits of the
 * control groups that this process is in (v1 and v2), and what of this process is in its swap.
 *
 * The files are opened when the machine is built, and read again and again through their descriptors: no path is looked
 * up later.  What is missing is left out of the sample.  The parsers are pure; a file that is cut, endless or nonsense
 * yields "not known", never a wild number.  One thread at a time: the I/O loop.
 */
#ifndef TVMM_PRESSURE_H
#define TVMM_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>
#include "host.h"

#define PRESSURE_LEVELS 6       /* control groups looked at, from our own upwards */
#define PRESSURE_FILE   8192    /* bytes of a file that are looked at */

/* Time that tasks lost waiting for memory (Documentation/accounting/psi.rst): microseconds since boot. */
struct psi {
	bool known;
	uint64_t some_us, full_us;
};

/* A supply of memory: the whole host, or what a control group may use. */
struct supply {
	bool known;
	uint64_t total;     /* bytes */
	uint64_t available; /* of these: what could be had without swapping */
	struct psi psi;
};

struct pressure_sample {
	struct supply host;
	struct supply group; /* the level with the least room; total is its limit */
	bool swap_known;
	uint64_t swap_free;  /* bytes of host swap, zram included */
	uint64_t own_swap;   /* bytes of this process that are there */
};

struct pressure_level {
	int limit, high, usage, stat; /* -1: none */
};

struct pressure {
	const struct host *host;
	int meminfo, psi, group_psi, status;
	bool v2;
	unsigned n;
	struct pressure_level level[PRESSURE_LEVELS];
	char buf[PRESSURE_FILE + 1];
};

/* Opens what there is.  ROOT is "" but in tests. */
void pressure_open(struct pressure *p, const struct host *host, const char *root);
void pressure_close(struct pressure *p);
void pressure_read(struct pressure *p, struct pressure_sample *s);

/* ---- parsers: TEXT is NUL-terminated ----------------------------------------------------------------------------- */

/* The number after KEY at the start of a line ("MemFree:", "inactive_file"), times the unit kB if that follows. */
bool pressure_field(const char *text, const char *key, uint64_t *out);

/* A file of one number, or "max", which is UINT64_MAX. */
bool pressure_number(const char *text, uint64_t *out);

bool pressure_psi(const char *text, struct psi *out);

/* Our group's path from /proc/self/cgroup: the v1 hierarchy with the memory controller, or else the v2 one. */
bool pressure_group_path(const char *text, bool v2, char *out, unsigned len);

#endif
