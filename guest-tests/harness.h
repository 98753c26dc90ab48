/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * harness.h - what the host halves of the guest tests share: run a payload on libtinyvmm's public API, talk to its
 * console, and pass its result lines on as this program's own (TAP).
 *
 * One thread uses a struct guest; its console is read by a thread of its own.  A payload is the file NAME.elf beside the
 * test program.
 */
#ifndef GUEST_TESTS_HARNESS_H
#define GUEST_TESTS_HARNESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include "tinyvmm.h"

#define LIMIT_MS 60000 /* the longest that a well-behaved guest may take: the machine may be busy */

/* First call of every test: ends the program with a skip, and the reason, where /dev/kvm cannot be opened. */
void tests_begin(void);
/* Last call: the plan; the exit status. */
int tests_end(void);

/* One result line; returns COND. */
bool ok(bool cond, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void skip(const char *name, const char *why);
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Does KVM here interpret the guest's ring 0?  (tvmm_probe) */
bool kvm_is_software(void);
long long now_ms(void);

struct guest {
	struct tvmm_vm *vm;          /* NULL before a successful guest_new() and after guest_finish() */
	struct tvmm_error err;       /* of the last call that failed */
	struct tvmm_result result;   /* from guest_finish() on */
	struct tvmm_stats stats;
	int in, out, vm_in, vm_out;  /* our ends and the machine's ends of the console's pipes */
	pthread_t reader;
	pthread_mutex_t lock;
	pthread_cond_t more;
	char *text;                  /* all the guest has written; NUL-terminated.  Under lock until guest_finish() */
	size_t len, cap;
	bool eof, hold;
	unsigned log_lines;          /* of the machine's log, and the last of them */
	char log_last[256];
};

/* Creates a machine with PAYLOAD as its kernel, and the keys and values that follow, up to NULL.  Not started. */
bool guest_new(struct guest *g, const char *payload, ...) __attribute__((sentinel));
bool guest_start(struct guest *g);
/* Waits until the guest has written TEXT, LIMIT_MS at most. */
bool guest_says(struct guest *g, const char *text);
/* Stops reading the console, or goes on: so a test can be the reader that does not read. */
void guest_hold(struct guest *g, bool hold);
/* Writes to the guest's console. */
bool guest_type(struct guest *g, const void *buf, size_t len);
struct tvmm_stats guest_stats(struct guest *g);
/* Waits for the end (stopping it after LIMIT), takes result and statistics, frees the machine, collects its output. */
bool guest_finish(struct guest *g, int limit_ms);
/* Was the end as expected?  A result line of its own. */
bool guest_ended(struct guest *g, int reason, const char *what);
/* Each "ok"/"not ok" line of the guest becomes one of ours; none may be missing. */
void guest_results(struct guest *g);
/* Releases everything, also a machine that runs. */
void guest_free(struct guest *g);

/* All of it for a guest that needs nothing from the host half: new, start, finish with power-off, results, free. */
bool guest_run(const char *name, const char *payload, const char *append, const char *cpus);

const char *reason_name(int reason);
/* Of /proc/self/fd, /proc/self/task. */
unsigned count_entries(const char *dir);
unsigned count_text(const char *text, const char *what);
/* The path of a payload; static storage. */
const char *payload_path(const char *payload);

#endif
