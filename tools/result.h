/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * result.h - how a run ended: the exit code, and the same with the reason in --result-file, as one JSON object.
 *
 * The file appears whole or not at all: it is written beside its place and renamed.  One from an earlier run is removed
 * before the machine starts, so that a run that was killed cannot pass for the one before it.
 */
#ifndef TVMM_RESULT_H
#define TVMM_RESULT_H

#include <stdio.h>
#include "tinyvmm.h"

/* tinyvmm(1), EXIT STATUS.  0 is a machine that powered off or rebooted. */
enum code {
	CODE_OK = 0,
	CODE_TIMEOUT = 124,
	CODE_FAILED = 125,
	CODE_SIGNAL = 128, /* + the signal */
	CODE_CRASH = 254,
	CODE_PANIC = 255,
};

struct outcome {
	int exit_status;
	const char *reason; /* a constant: "poweroff", "panic", ... */
	char detail[1280];
	char hint[512];
};

/* What the machine itself says about its end. */
void outcome_of_machine(struct outcome *o, const struct tvmm_result *result);
/* Something of ours failed. */
void outcome_of_error(struct outcome *o, const struct tvmm_error *err);

/* Removes an older file and makes sure that one can be written. */
int result_prepare(const char *path, struct tvmm_error *err);
int result_write(const char *path, const struct outcome *o, struct tvmm_error *err);

/* TEXT as a JSON string, quotes included; what is not UTF-8 becomes U+FFFD. */
void json_string(FILE *out, const char *text);

#endif
