/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * terminal.h - the real terminal: raw while the guest has it, and back as it was on every way out that can be caught.
 *
 * Raw means that each key, Ctrl-C included, goes to the guest; output processing stays on, so that a line of ours reads
 * as one.  Only a terminal on stdin, and only while this process is in its foreground, is ever touched.  SIGKILL leaves
 * it raw: "stty sane" helps.  A process has one controlling terminal, hence the one piece of static state here: signal
 * handlers need it.  All functions run on the main thread but the crash handlers, which run anywhere.
 */
#ifndef TVMM_TERMINAL_H
#define TVMM_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Takes charge of the terminal FD, if it is one (else false, and the functions below do nothing). */
bool terminal_init(int fd);
/* Is this process in the terminal's foreground, so that it may read and change it? */
bool terminal_is_ours(void);
/* Makes it raw if it is ours; false otherwise.  Twice is fine. */
bool terminal_raw(void);
/* As it was before terminal_raw().  Twice is fine. */
void terminal_restore(void);

/* After SIGCONT: whoever had the terminal meanwhile may have changed it. */
void terminal_continued(void);

/* The size in characters of the terminal on stdout, or else of the one on stdin; false if none tells one. */
bool terminal_size(unsigned *cols, unsigned *rows);

/* ---- the escape key --------------------------------------------------------------------------------------------- */

enum escape_action { ESCAPE_NONE, ESCAPE_KILL, ESCAPE_POWER, ESCAPE_HELP };

#define ESCAPE_WINDOW_NS UINT64_C(1000000000)

/*
 * Three presses within a second end the machine; one press and then '.' or '?' within it is a command; a press that
 * turns out to be neither goes to the guest, with what followed it.
 */
struct escape {
	int key; /* -1: none, everything passes */
	unsigned held;
	uint64_t since_ns;
};

void escape_init(struct escape *e, int key);

/*
 * Passes IN to OUT, which has room for LEN + 2 bytes, up to the first command.  Returns how much of IN is used, sets
 * *OUT_LEN and *ACTION.
 */
size_t escape_filter(struct escape *e, const uint8_t *in, size_t len, uint64_t now_ns, uint8_t *out, size_t *out_len,
		     enum escape_action *action);

/* When escape_flush() is due, 0 if nothing is held. */
uint64_t escape_due(const struct escape *e);
/* Gives up what was held for longer than the window: up to 2 bytes to OUT, returns how many. */
size_t escape_flush(struct escape *e, uint64_t now_ns, uint8_t *out);

/* "Ctrl-]" to BUF. */
void escape_name(int key, char *buf, size_t len);

#endif
