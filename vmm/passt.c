/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * passt.c - one child process: its command line, its first and last words, its end.
 *
 * The child gets one end of a socket pair (QEMU's framing, net_stream.c) as descriptor 3, and a pipe that never blocks it
 * as standard error.  It drops root by itself, and ends by itself when the socket does, so that none is left behind even
 * if this process is killed.  posix_spawnp(), for a library may live in a process with threads; no signal handler: the end
 * shows on the socket.
 *
 * Whether it came up, passt tells by what it prints: what it hands out by DHCP.  Until then, or until it ends, we wait, but
 * not for long: later ends are told as they come.
 */
#include "passt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bits.h"

#define START_MS 1000
#define CHILD_FD 3

extern char **environ;

/* "8080:80", or a list of such. */
#define PORTS_MAX (CONFIG_FORWARDS_MAX * sizeof("65535:65535,"))

static bool list_ports(const struct config_net *cfg, bool udp, char *buf)
{
	size_t n = 0;

	for (unsigned i = 0; i < cfg->n_forwards; i++)
		if (cfg->forward[i].udp == udp)
			n += (size_t)snprintf(buf + n, PORTS_MAX - n, "%s%u:%u", n ? "," : "", cfg->forward[i].host,
					      cfg->forward[i].guest);
	return n;
}

static int spawn(pid_t *pid, char *const argv[], int sock, int words)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int r;

	if (posix_spawn_file_actions_init(&fa))
		return ENOMEM;
	if (posix_spawnattr_init(&attr)) {
		posix_spawn_file_actions_destroy(&fa);
		return ENOMEM;
	}
	/* Whatever the caller blocks or ignores is not the child's affair; a terminal's Ctrl-C neither. */
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	r = posix_spawn_file_actions_adddup2(&fa, words, 2);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&fa, sock, CHILD_FD);
	if (!r)
		r = posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDWR, 0);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&fa, 0, 1);
	if (!r)
		r = posix_spawnp(pid, argv[0], &fa, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
	return r;
}

/* The last line that says something, in BUF. */
static void last_words(char *buf)
{
	char *line = buf, *best = NULL, *save = NULL;

	for (line = strtok_r(buf, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save))
		if (!strstr(line, "syslog") && !strstr(line, "Changing to nobody"))
			best = line;
	if (best)
		memmove(buf, best, strlen(best) + 1);
	else
		snprintf(buf, 32, "it gave no reason");
	for (char *c = buf; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

/*
 * Reads what the child says into BUF, of SIZE bytes, until it is up or ended, at most LIMIT_MS.  True: it ended, or went
 * silent for good.
 */
static bool listen_to(int fd, char *buf, size_t size, int limit_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t n = 0;

	for (buf[0] = '\0'; poll(&p, 1, limit_ms) > 0 && n < size - 1;) {
		ssize_t got = read(fd, buf + n, size - 1 - n);

		if (got <= 0)
			return !got;
		n += (size_t)got;
		buf[n] = '\0';
		if (limit_ms && (strstr(buf, "DHCP:") || strstr(buf, "DHCPv6:")))
			break;
	}
	return false;
}

/* It ended, or is not wanted any more.  The stopped die of this too. */
static int collect(struct passt *p)
{
	int status = 0;
	pid_t w;

	if (p->pid_fd >= 0)
		syscall(SYS_pidfd_send_signal, p->pid_fd, SIGKILL, NULL, 0u);
	else
		kill(p->pid, SIGKILL);
	do
		w = waitpid(p->pid, &status, 0);
	while (w < 0 && errno == EINTR);
	if (p->pid_fd >= 0)
		close(p->pid_fd);
	close(p->words_fd);
	p->pid = 0;
	return status;
}

/* net_stream.c saw the socket's end.  On the loop. */
static void ended(void *arg)
{
	struct passt *p = arg;
	char words[4096];

	if (!p->pid)
		return;
	listen_to(p->words_fd, words, sizeof(words), 0);
	last_words(words);
	log_line(p->log, TVMM_LOG_WARN, "passt (process %d) ended: %.200s", (int)p->pid, words);
	collect(p);
}

static int came_up(struct passt *p, struct tvmm_error *err)
{
	char words[4096];
	int ret;

	if (!listen_to(p->words_fd, words, sizeof(words), START_MS))
		return 0;
	last_words(words);
	collect(p);
	ret = err_set(err, TVMM_E_IO, 0, "net user", "passt ended at once: %.200s", words);
	err_hint(err, "passt --help tells what it needs; a port below 1024 needs rights, one in use is taken");
	return ret;
}

static int start(struct passt *p, const struct config_net *cfg, int sock, int words, struct tvmm_error *err)
{
	char name[] = "passt", fg[] = "--foreground", fd[] = "--fd", fd_no[4], tcp[] = "-t", udp[] = "-u", mtu[] = "--mtu";
	char tcp_ports[PORTS_MAX], udp_ports[PORTS_MAX], mtu_value[12];
	char *argv[16] = { name, fg, fd, fd_no };
	unsigned n = 4;
	int r;

	snprintf(fd_no, sizeof(fd_no), "%d", CHILD_FD);
	if (list_ports(cfg, false, tcp_ports)) {
		argv[n++] = tcp;
		argv[n++] = tcp_ports;
	}
	if (list_ports(cfg, true, udp_ports)) {
		argv[n++] = udp;
		argv[n++] = udp_ports;
	}
	if (cfg->mtu) {
		snprintf(mtu_value, sizeof(mtu_value), "%u", cfg->mtu);
		argv[n++] = mtu;
		argv[n++] = mtu_value;
	}
	r = spawn(&p->pid, argv, sock, words);
	if (!r)
		return 0;
	p->pid = 0;
	r = err_set(err, TVMM_E_IO, r, "net user", "cannot start passt");
	if (r == -ENOENT)
		err_hint(err, "install it (apt install passt), or use --net tap=NAME");
	return r;
}

int passt_start(struct passt *p, struct netif **out, const struct config_net *cfg, const struct host *h, struct evloop *loop,
		struct log *log, struct tvmm_error *err)
{
	int sock[2], words[2], ret;

	*p = (struct passt){ .log = log, .pid_fd = -1, .words_fd = -1 };
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) < 0)
		return err_set(err, TVMM_E_HOST, errno, "net user", "cannot make a socket pair");
	if (pipe2(words, O_CLOEXEC | O_NONBLOCK) < 0) {
		ret = err_set(err, TVMM_E_HOST, errno, "net user", "cannot make a pipe");
		close(sock[0]);
		close(sock[1]);
		return ret;
	}
	ret = start(p, cfg, sock[1], words[1], err);
	close(sock[1]);
	close(words[1]);
	if (ret) {
		close(sock[0]);
		close(words[0]);
		return ret;
	}
	p->words_fd = words[0];
	p->pid_fd = (int)syscall(SYS_pidfd_open, p->pid, 0u);
	ret = came_up(p, err);
	if (!ret && fcntl(sock[0], F_SETFL, O_NONBLOCK) < 0)
		ret = err_set(err, TVMM_E_HOST, errno, "net user", "cannot make the socket non-blocking");
	if (ret)
		close(sock[0]);
	else
		ret = net_stream_open(out, h, loop, log, sock[0], "passt", ended, p, err);
	if (ret)
		passt_stop(p);
	return ret;
}

void passt_stop(struct passt *p)
{
	if (p->pid)
		collect(p);
}
