/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * machines.h - what the commands on running machines share: finding one by its name, and how figures are shown.
 * Main thread.
 */
#ifndef TVMM_MACHINES_H
#define TVMM_MACHINES_H

#include "opts.h"
#include "tinyvmm.h"

struct figure {
	char s[24];
};

/* Bytes for people, "1.5G", "512M", "0". */
struct figure show_size(uint64_t bytes);
/* A span of time, "12 s", "3 min". */
struct figure show_time(uint64_t ms);

/* The machine of this name, or at this path.  Says what is wrong in the words of who typed a name. */
int machine_connect(struct tvmm_client **out, const char *name, struct tvmm_error *err);

/* What "mem" and "info" tell of a machine's memory, one line without its beginning and end. */
void machine_print_memory(const struct tvmm_memory *m);

/*
 * The arguments of a command that has no options but --json (JSON may be NULL) and --help, and WORDS words,
 * all of which must be there: USAGE is the hint where one is missing.  1: go on; 0: done, the exit code is in *CODE.
 */
int machine_args(struct opts_walk *walk, unsigned words, const char *usage, bool *json, int *code);

uint64_t now_ns(void);
void pause_ms(unsigned ms);

/* The end of a command: 0, or CODE_FAILED when stdout does not take what was printed. */
int machine_printed(void);

/* Says what is wrong; CODE_FAILED. */
int machine_failed(const struct tvmm_error *err);

#endif
