/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * terminal.c - raw mode and its undoing, and the escape key.
 */
#include "terminal.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* Process-wide because the terminal is.  SAVED is written only while IS_RAW is false, so a handler reads it whole. */
static struct {
	int fd;
	atomic_bool is_raw;
	struct termios saved;
} tty = { .fd = -1 };

static const int crashes[] = { SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGSYS, SIGFPE };

/* tcsetattr() is async-signal-safe (signal-safety(7)). */
static void put_back(void)
{
	sigset_t block, old;

	if (!atomic_exchange(&tty.is_raw, false))
		return;
	/* From the background the change would stop us by SIGTTOU; it must be made all the same. */
	sigemptyset(&block);
	sigaddset(&block, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &block, &old);
	tcsetattr(tty.fd, TCSANOW, &tty.saved);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void on_crash(int sig)
{
	put_back();
	raise(sig); /* SA_RESETHAND | SA_NODEFER: ends the process as it would have ended */
}

bool terminal_init(int fd)
{
	struct sigaction act = { .sa_handler = on_crash, .sa_flags = SA_RESETHAND | SA_NODEFER };
	unsigned pty;

	/* The master of a pseudo-terminal passes for one, but has no foreground, and opened again is another. */
	if (!isatty(fd) || !ioctl(fd, TIOCGPTN, &pty))
		return false;
	tty.fd = fd;
	atexit(terminal_restore);
	for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
		sigaction(crashes[i], &act, NULL);
	return true;
}

bool terminal_is_ours(void)
{
	return tty.fd >= 0 && tcgetpgrp(tty.fd) == getpgrp();
}

bool terminal_raw(void)
{
	struct termios raw;

	if (!terminal_is_ours())
		return false;
	if (tty.is_raw)
		return true;
	if (tcgetattr(tty.fd, &tty.saved) < 0)
		return false;
	raw = tty.saved;
	raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	tty.is_raw = true; /* before the change: a signal between the two must undo it */
	if (tcsetattr(tty.fd, TCSANOW, &raw) < 0) {
		tty.is_raw = false;
		return false;
	}
	return true;
}

void terminal_restore(void)
{
	put_back();
}

void terminal_continued(void)
{
	if (terminal_is_ours()) {
		put_back();
		terminal_raw();
	} else {
		tty.is_raw = false; /* what it is now is another's business */
	}
}

bool terminal_size(unsigned *cols, unsigned *rows)
{
	static const int fds[] = { STDOUT_FILENO, STDIN_FILENO };
	struct winsize size;

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (!ioctl(fds[i], TIOCGWINSZ, &size) && size.ws_col && size.ws_row) {
			*cols = size.ws_col;
			*rows = size.ws_row;
			return true;
		}
	}
	return false;
}

/* ---- the escape key --------------------------------------------------------------------------------------------- */

void escape_init(struct escape *e, int key)
{
	*e = (struct escape){ .key = key };
}

uint64_t escape_due(const struct escape *e)
{
	return e->held ? e->since_ns + ESCAPE_WINDOW_NS : 0;
}

size_t escape_flush(struct escape *e, uint64_t now_ns, uint8_t *out)
{
	size_t n = 0;

	if (!e->held || now_ns < escape_due(e))
		return 0;
	for (; e->held; e->held--)
		out[n++] = (uint8_t)e->key;
	return n;
}

static enum escape_action command(const struct escape *e, uint8_t byte)
{
	if (e->held != 1)
		return ESCAPE_NONE;
	return byte == '.' ? ESCAPE_POWER : byte == '?' ? ESCAPE_HELP : ESCAPE_NONE;
}

size_t escape_filter(struct escape *e, const uint8_t *in, size_t len, uint64_t now_ns, uint8_t *out, size_t *out_len,
		     enum escape_action *action)
{
	size_t n = escape_flush(e, now_ns, out);

	*action = ESCAPE_NONE;
	for (size_t i = 0; i < len; i++) {
		if (in[i] == e->key) {
			if (!e->held)
				e->since_ns = now_ns;
			if (++e->held == 3)
				*action = ESCAPE_KILL;
		} else {
			*action = command(e, in[i]);
			if (*action == ESCAPE_NONE) {
				for (; e->held; e->held--)
					out[n++] = (uint8_t)e->key;
				out[n++] = in[i];
			}
		}
		if (*action != ESCAPE_NONE) {
			e->held = 0;
			*out_len = n;
			return i + 1;
		}
	}
	*out_len = n;
	return len;
}

void escape_name(int key, char *buf, size_t len)
{
	snprintf(buf, len, "Ctrl-%c", key + '@');
}
