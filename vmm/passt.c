/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * passt.c - one child process: its command line, its first and last words, its end.
 *
 * The child gets one end of a socket pair (QEMU's framing, net_stream.c) as descriptor 3, and a pipe that never blocks it
 * as standard error.  It drops root by itself, and ends by itself when the socket does, so that none is left behind even
 * if this process is killed.  No signal handler: the end shows on the socket.
 *
 * Whether it came up, passt tells by what it prints: what it hands out by DHCP.  Until then, or until it ends, we wait, but
 * not for long: later ends are told as they come.
 */
#include "passt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "bits.h"

#define START_MS 1000
#define CHILD_FD 3

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
static bool listen_to(const struct passt *p, char *buf, size_t size, int limit_ms)
{
	const struct host *h = p->host;
	struct pollfd words = { .fd = p->words_fd, .events = POLLIN };
	size_t n = 0;

	for (buf[0] = '\0'; h->poll(h, &words, 1, limit_ms) > 0 && n < size - 1;) {
		struct iovec iov = { buf + n, size - 1 - n };
		ssize_t got = h->readv(h, p->words_fd, &iov, 1);

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
static void collect(struct passt *p)
{
	const struct host *h = p->host;
	int status;

	h->kill(h, p->pid, p->pid_fd, SIGKILL);
	while (h->waitpid(h, p->pid, &status) == -EINTR)
		;
	if (p->pid_fd >= 0)
		h->close(h, p->pid_fd);
	h->close(h, p->words_fd);
	p->pid = 0;
}

/* net_stream.c saw the socket's end.  On the loop. */
static void ended(void *arg)
{
	struct passt *p = arg;
	char words[4096];

	if (!p->pid)
		return;
	listen_to(p, words, sizeof(words), 0);
	last_words(words);
	log_line(p->log, TVMM_LOG_WARN, "passt (process %d) ended: %.200s", (int)p->pid, words);
	collect(p);
}

static int came_up(struct passt *p, struct tvmm_error *err)
{
	char words[4096];
	int ret;

	if (!listen_to(p, words, sizeof(words), START_MS))
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
	r = p->host->spawn(p->host, &p->pid, argv, (const int[]){ -1, -1, words, sock }, CHILD_FD + 1);
	if (!r)
		return 0;
	p->pid = 0;
	r = err_set(err, TVMM_E_IO, -r, "net user", "cannot start passt");
	if (r == -ENOENT)
		err_hint(err, "install it (apt install passt), or use --net tap=NAME");
	return r;
}

int passt_start(struct passt *p, struct netif **out, const struct config_net *cfg, const struct host *h, struct evloop *loop,
		struct log *log, struct tvmm_error *err)
{
	int sock[2], words[2], ret;

	*p = (struct passt){ .host = h, .log = log, .pid_fd = -1, .words_fd = -1 };
	ret = h->socketpair(h, AF_UNIX, SOCK_STREAM, sock);
	if (ret)
		return err_set(err, TVMM_E_HOST, -ret, "net user", "cannot make a socket pair");
	ret = h->pipe(h, words, O_NONBLOCK);
	if (ret) {
		err_set(err, TVMM_E_HOST, -ret, "net user", "cannot make a pipe");
		h->close(h, sock[0]);
		h->close(h, sock[1]);
		return ret;
	}
	ret = start(p, cfg, sock[1], words[1], err);
	h->close(h, sock[1]);
	h->close(h, words[1]);
	if (ret) {
		h->close(h, sock[0]);
		h->close(h, words[0]);
		return ret;
	}
	p->words_fd = words[0];
	ret = h->pidfd_open(h, p->pid);
	p->pid_fd = ret < 0 ? -1 : ret; /* then the number must do */
	ret = came_up(p, err);
	if (!ret) {
		ret = h->fcntl(h, sock[0], F_SETFL, O_NONBLOCK);
		if (ret)
			err_set(err, TVMM_E_HOST, -ret, "net user", "cannot make the socket non-blocking");
	}
	if (ret)
		h->close(h, sock[0]);
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
