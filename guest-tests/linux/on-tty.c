/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * on-tty.c - "on-tty [WHEN SEND]... -- COMMAND...": run COMMAND on a terminal of its own and type on it.
 *
 * The terminal's output is copied to standard output.  Once the text WHEN has appeared there, SEND is typed, and the
 * next WHEN is looked for in what comes after.  A guest's kernel prints where it likes, in the middle of a prompt too: a line
 * from "[   12.345678]" to its end is copied, but does not part the text around it.  In SEND, ^X is a control character and ^^ a caret; a SEND of the form
 * @COLUMNSxROWS changes the terminal's size instead.  Standard error stays what it was.  The exit status is COMMAND's (128
 * and the signal, if one ended it); 125 if it could not be run.  It has no time limit: whoever calls it has.
 */
#include <errno.h>
#include <pty.h>
#include <stdbool.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum stamp { TEXT, SPACES, SECONDS, FRACTION, KERNEL };

struct talk {
	char **next;    /* WHEN, SEND, ... up to "--" */
	size_t matched; /* bytes of WHEN that the output ends with */
	size_t around;  /* the same, the lines of the kernel's log taken out */
	size_t before;  /* AROUND before the "[" that STAMP began with */
	int stamp;      /* an enum stamp: where in a kernel's line the output is */
};

static void send_text(int fd, const char *text)
{
	struct winsize size = { .ws_row = 0 };

	if (sscanf(text, "@%hux%hu", &size.ws_col, &size.ws_row) == 2) {
		ioctl(fd, TIOCSWINSZ, &size);
		return;
	}
	for (; *text; text++) {
		char c = *text;

		if (c == '^' && text[1] && *++text != '^')
			c = (char)(*text & 0x1f);
		if (write(fd, &c, 1) != 1)
			return;
	}
}

/* How much of WHEN the output ends with, after MATCHED bytes of it and then C.  These texts do not overlap themselves. */
static size_t match(const char *when, size_t matched, char c)
{
	if (when[matched] == c)
		return matched + 1;
	return when[0] == c;
}

/* Where C leads in a line of the kernel's log: "[", spaces, seconds, ".", fraction, "]", text, newline. */
static int stamp(int at, char c)
{
	bool digit = c >= '0' && c <= '9';

	if (at == KERNEL)
		return c == '\n' ? TEXT : KERNEL;
	if (c == '[')
		return SPACES;
	if (at == SPACES && c == ' ')
		return SPACES;
	if ((at == SPACES || at == SECONDS) && digit)
		return SECONDS;
	if ((at == SECONDS && c == '.') || (at == FRACTION && digit))
		return FRACTION;
	return at == FRACTION && c == ']' ? KERNEL : TEXT;
}

/* The same as match(), with the lines of the kernel's log taken out; T->stamp is where C leads. */
static size_t match_around(struct talk *t, const char *when, char c)
{
	bool inside = t->stamp == KERNEL;

	if (c == '[' && !inside)
		t->before = t->around;
	t->stamp = stamp(t->stamp, c);
	if (inside)
		return t->around;
	return t->stamp == KERNEL ? t->before : match(when, t->around, c);
}

static void look(struct talk *t, int fd, const char *buf, size_t len)
{
	for (size_t i = 0; i < len && strcmp(*t->next, "--"); i++) {
		const char *when = *t->next;

		t->matched = match(when, t->matched, buf[i]);
		t->around = match_around(t, when, buf[i]);
		if (when[t->matched] && when[t->around])
			continue;
		send_text(fd, t->next[1]);
		t->next += 2;
		t->matched = t->around = t->before = 0;
	}
}

int main(int argc, char *argv[])
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	struct talk t = { .next = argv + 1 };
	char **command = argv + 1, buf[4096];
	int fd, status;
	ssize_t n;
	pid_t pid;

	while (*command && strcmp(*command, "--"))
		command++;
	if (!*command || !command[1] || (command - argv) % 2 != 1)
		return 125;
	status = dup(STDERR_FILENO);
	pid = forkpty(&fd, NULL, NULL, &size);
	if (pid < 0)
		return 125;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(status, STDERR_FILENO);
		close(status);
		execvp(command[1], command + 1);
		_exit(125);
	}
	while ((n = read(fd, buf, sizeof(buf))) > 0 || (n < 0 && errno == EINTR)) {
		if (n > 0 && write(STDOUT_FILENO, buf, (size_t)n) != n)
			return 125;
		if (n > 0)
			look(&t, fd, buf, (size_t)n);
	}
	if (waitpid(pid, &status, 0) != pid)
		return 125;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
