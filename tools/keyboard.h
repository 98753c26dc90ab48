/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * keyboard.h - stdin on its way to the guest: terminal, pipe or file in, a private pipe out.
 *
 * The machine reads the pipe; the terminal stays with the command, which filters the escape key.  What the guest does
 * not read waits: a pipe or file is then not read on, while a terminal is, so that the escape key works however stuck the
 * guest is, and keys beyond the first few thousand are lost, as on any terminal.  The end of stdin ends nothing.
 * Never sets O_NONBLOCK on a description that others share.  Main thread.
 */
#ifndef TVMM_KEYBOARD_H
#define TVMM_KEYBOARD_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "terminal.h"
#include "tinyvmm.h"

struct keyboard {
	int in_fd;     /* -1 after the end of stdin */
	bool own_in;   /* in_fd is a private, non-blocking description of the same file */
	bool is_tty;   /* stdin is a terminal: raw, and with an escape key */
	int guest_fd;  /* what the machine reads */
	int to_guest;  /* our end, non-blocking */
	struct escape escape;
	size_t pending_len;
	uint8_t pending[4096 + 2];
};

int keyboard_open(struct keyboard *k, int in_fd, int escape_key, struct tvmm_error *err);
void keyboard_close(struct keyboard *k);

/* What to poll: fds[0] and fds[1]. */
void keyboard_poll(const struct keyboard *k, struct pollfd fds[2]);
/* When keyboard_service() wants to be called without an event; 0: never. */
uint64_t keyboard_due(const struct keyboard *k, uint64_t now_ns);
/* Moves what can be moved without blocking.  A command of the escape key is returned; call again after one. */
enum escape_action keyboard_service(struct keyboard *k, const struct pollfd fds[2], uint64_t now_ns);

#endif
