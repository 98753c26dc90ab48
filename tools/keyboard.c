/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * keyboard.c - stdin on its way to the guest.
 */
#include "keyboard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "say.h"

enum { BACKGROUND_LOOK_NS = 500000000 };

/*
 * A description of our own where the kernel gives one, so that a read can never block, even when another process takes
 * the bytes that poll() announced.  Not for a file, whose offset is shared on purpose ("{ read line; tinyvmm; } < f").
 */
static int private_copy(int fd, bool is_tty)
{
	char path[32];
	struct stat st;

	if (fstat(fd, &st) < 0 || !(S_ISFIFO(st.st_mode) || is_tty))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

int keyboard_open(struct keyboard *k, int in_fd, int escape_key, struct tvmm_error *err)
{
	int pipe_fds[2], copy;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return say_fill(err, TVMM_E_HOST, errno, NULL, "cannot make a pipe for the console");
	/* Fresh pipes are ours alone; the machine's end is left as it is made. */
	fcntl(pipe_fds[1], F_SETFL, O_NONBLOCK);
	*k = (struct keyboard){ .in_fd = in_fd, .guest_fd = pipe_fds[0], .to_guest = pipe_fds[1] };
	k->is_tty = terminal_init(in_fd);
	escape_init(&k->escape, k->is_tty ? escape_key : -1);
	copy = private_copy(in_fd, k->is_tty);
	if (copy >= 0) {
		k->in_fd = copy;
		k->own_in = true;
	}
	return 0;
}

void keyboard_close(struct keyboard *k)
{
	if (k->own_in && k->in_fd >= 0)
		close(k->in_fd);
	if (k->guest_fd >= 0) {
		close(k->guest_fd);
		close(k->to_guest);
	}
	*k = (struct keyboard){ .in_fd = -1, .guest_fd = -1, .to_guest = -1 };
}

static bool wants_input(const struct keyboard *k)
{
	if (k->in_fd < 0)
		return false;
	return k->is_tty ? terminal_is_ours() : !k->pending_len;
}

void keyboard_poll(const struct keyboard *k, struct pollfd fds[2])
{
	fds[0] = (struct pollfd){ .fd = wants_input(k) ? k->in_fd : -1, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = k->pending_len ? k->to_guest : -1, .events = POLLOUT };
}

uint64_t keyboard_due(const struct keyboard *k, uint64_t now_ns)
{
	/* A shell's "fg" says nothing to a process that runs already: look now and then. */
	if (k->is_tty && k->in_fd >= 0 && !terminal_is_ours())
		return now_ns + BACKGROUND_LOOK_NS;
	return escape_due(&k->escape);
}

static void push(struct keyboard *k)
{
	while (k->pending_len) {
		ssize_t n = write(k->to_guest, k->pending, k->pending_len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) { /* nobody reads */
			k->pending_len = 0;
			return;
		}
		k->pending_len -= (size_t)n;
		memmove(k->pending, k->pending + n, k->pending_len);
	}
}

static void queue(struct keyboard *k, const uint8_t *buf, size_t len)
{
	if (len > sizeof(k->pending) - k->pending_len)
		len = sizeof(k->pending) - k->pending_len; /* a terminal's excess; files are read only when this is empty */
	memcpy(k->pending + k->pending_len, buf, len);
	k->pending_len += len;
}

static void end_of_input(struct keyboard *k)
{
	if (k->own_in)
		close(k->in_fd);
	k->own_in = false;
	k->in_fd = -1;
}

static enum escape_action pull(struct keyboard *k, uint64_t now_ns)
{
	uint8_t in[1024], out[sizeof(in) + 2];
	enum escape_action action = ESCAPE_NONE;
	size_t used = 0, len;
	ssize_t n;

	if (k->is_tty && !terminal_raw())
		return ESCAPE_NONE;
	n = read(k->in_fd, in, sizeof(in));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return ESCAPE_NONE;
	if (n <= 0) {
		end_of_input(k);
		return ESCAPE_NONE;
	}
	while (used < (size_t)n) {
		enum escape_action here;

		used += escape_filter(&k->escape, in + used, (size_t)n - used, now_ns, out, &len, &here);
		queue(k, out, len);
		/* One command a read is enough, the strongest: nobody types two in a thousand keys. */
		if (here == ESCAPE_KILL || action == ESCAPE_NONE)
			action = here == ESCAPE_NONE ? action : here;
	}
	return action;
}

enum escape_action keyboard_service(struct keyboard *k, const struct pollfd fds[2], uint64_t now_ns)
{
	enum escape_action action = ESCAPE_NONE;
	uint8_t held[2];

	if (k->is_tty && k->in_fd >= 0)
		terminal_raw(); /* the first time, and when the terminal has become ours */
	queue(k, held, escape_flush(&k->escape, now_ns, held));
	if (fds[0].fd >= 0 && fds[0].revents)
		action = pull(k, now_ns);
	push(k);
	return action;
}
