/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_passt.c - passt's part played by a shell: how it is started, each way for it to end, and a host that fails at each
 * call.  Whatever happens, no process and no descriptor is left.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "passt.h"
#include "test.h"
#include "test_failing.h"
#include "test_host.h"

#define COMES_UP "echo 'DHCP: assigns 10.0.0.2' >&2; exec cat <&3 >/dev/null"

struct rig {
	struct host h;
	struct evloop loop;
	struct log log;
	struct passt p;
	struct netif *nif;
	struct tvmm_error err;
	const char *script; /* NULL: the program is not there */
	char argv[256], said[512];
	unsigned fds;
};

static int f_spawn(const struct host *h, pid_t *pid, char *const argv[], const int *fds, unsigned n)
{
	struct rig *r = h->ctx;
	char sh[] = "sh", c[] = "-c", script[256] = "", none[] = "/nonexistent/passt";
	char *const shell[] = { sh, c, script, NULL }, *const nothing[] = { none, NULL };

	if (fails())
		return -EAGAIN;
	*r->argv = '\0';
	for (unsigned i = 0; argv[i]; i++)
		snprintf(r->argv + strlen(r->argv), sizeof(r->argv) - strlen(r->argv), "%s ", argv[i]);
	if (!r->script)
		return host_linux()->spawn(host_linux(), pid, nothing, fds, n);
	snprintf(script, sizeof(script), "%s", r->script);
	return host_linux()->spawn(host_linux(), pid, shell, fds, n);
}

static void on_log(void *arg, int level, const char *line)
{
	struct rig *r = arg;

	snprintf(r->said + strlen(r->said), sizeof(r->said) - strlen(r->said), "%s\n", line);
}

static struct rig *rig_new(const char *script)
{
	struct rig *r = calloc(1, sizeof(*r));

	r->h = *host_linux();
	r->h.ctx = r;
	r->h.spawn = f_spawn; r->h.socketpair = f_socketpair; r->h.pipe = f_pipe; r->h.pidfd_open = f_pidfd_open;
	r->h.poll = f_poll; r->h.readv = f_readv; r->h.fcntl = f_fcntl; r->h.waitpid = f_waitpid; r->h.epoll_ctl = f_epoll_ctl;
	r->script = script;
	ck_assert_int_eq(evloop_init(&r->loop, &r->h, NULL), 0);
	log_init(&r->log, &r->h, on_log, r, TVMM_LOG_INFO);
	r->fds = count_fds();
	return r;
}

static int start(struct rig *r, const struct config_net *cfg)
{
	return passt_start(&r->p, &r->nif, cfg, &r->h, &r->loop, &r->log, &r->err);
}

/* Nothing of it is left. */
static void rig_free(struct rig *r)
{
	if (r->nif)
		r->nif->ops->close(r->nif);
	passt_stop(&r->p);
	passt_stop(&r->p);
	ck_assert_int_eq(waitpid(-1, NULL, 0), -1);
	ck_assert_int_eq(errno, ECHILD);
	ck_assert_uint_eq(count_fds(), r->fds);
	evloop_fini(&r->loop);
	free(r);
}

START_TEST(comes_up)
{
	const struct config_net cfg = { .kind = CONFIG_NET_USER, .mtu = 1400, .n_forwards = 3,
					.forward = { { .host = 8080, .guest = 80 }, { .udp = true, .host = 53, .guest = 5353 },
						     { .host = 22, .guest = 22 } } };
	struct rig *r = rig_new(COMES_UP);

	ck_assert_int_eq(start(r, &cfg), 0);
	ck_assert_str_eq(r->argv, "passt --foreground --fd 3 -t 8080:80,22:22 -u 53:5353 --mtu 1400 ");
	ck_assert_str_eq(r->nif->kind, "passt");
	ck_assert(r->nif->up);
	ck_assert_int_eq(kill(r->p.pid, 0), 0);
	ck_assert_int_eq(getpgid(r->p.pid), r->p.pid); /* a terminal's Ctrl-C is not for it */
	ck_assert_str_eq(r->said, "");
	rig_free(r);
}
END_TEST

/* It says nothing within a second, and may come up yet. */
START_TEST(silent)
{
	struct rig *r = rig_new("exec cat <&3 >/dev/null");

	ck_assert_int_eq(start(r, &(struct config_net){ .kind = CONFIG_NET_USER }), 0);
	ck_assert_str_eq(r->argv, "passt --foreground --fd 3 ");
	rig_free(r);
}
END_TEST

START_TEST(refuses)
{
	struct rig *r = rig_new("echo 'No external interface' >&2; echo 'Failed to bind port 80: \001x' >&2;"
				"echo 'Changing to nobody' >&2; exit 1");

	ck_assert_int_eq(start(r, &(struct config_net){ .kind = CONFIG_NET_USER }), -EINVAL);
	ck_assert_int_eq(r->err.code, TVMM_E_IO);
	ck_assert_str_eq(r->err.message, "passt ended at once: Failed to bind port 80: ?x");
	rig_free(r);
	r = rig_new("exit 1");
	ck_assert_int_eq(start(r, &(struct config_net){ .kind = CONFIG_NET_USER }), -EINVAL);
	ck_assert_str_eq(r->err.message, "passt ended at once: it gave no reason");
	rig_free(r);
	r = rig_new(NULL);
	ck_assert_int_eq(start(r, &(struct config_net){ .kind = CONFIG_NET_USER }), -ENOENT);
	ck_assert_str_eq(r->err.message, "cannot start passt");
	ck_assert_str_eq(r->err.hint, "install it (apt install passt), or use --net tap=NAME");
	rig_free(r);
}
END_TEST

/* Later: the link goes down, and its last words are told, once. */
START_TEST(ends)
{
	struct rig *r = rig_new("echo 'DHCP: up' >&2; read x <&3; echo 'out of memory' >&2; exit 1");
	struct pollfd p = { .events = POLLIN };
	char expected[128];

	ck_assert_int_eq(start(r, &(struct config_net){ .kind = CONFIG_NET_USER }), 0);
	snprintf(expected, sizeof(expected), "passt (process %d) ended: out of memory\n", (int)r->p.pid);
	if (_i) {
		kill(-r->p.pid, SIGKILL);
		snprintf(expected, sizeof(expected), "passt (process %d) ended: it gave no reason\n", (int)r->p.pid);
	} else {
		/* Any frame ends this one. */
		char frame[80] = { 0 };
		struct iovec iov = { frame, sizeof(frame) };

		frame[20] = '\n';
		ck_assert_int_eq(r->nif->ops->send(r->nif, 0, &iov, 1, sizeof(frame)), 0);
	}
	p.fd = r->loop.epfd;
	for (unsigned i = 0; i < 100 && r->nif->up; i++) {
		ck_assert_int_eq(poll(&p, 1, 10000), 1);
		ck_assert_int_ge(loop_settle(&r->loop), 0);
	}
	ck_assert(!r->nif->up);
	ck_assert_int_eq(r->p.pid, 0);
	ck_assert_msg(!!strstr(r->said, expected), "said: %s", r->said);
	ck_assert_int_eq(loop_step(&r->loop), 0);
	rig_free(r);
}
END_TEST

START_TEST(every_failure)
{
	unsigned n, refused = 0;

	for (n = 1; n < 100; n++) {
		struct rig *r = rig_new(COMES_UP);
		int ret;
		bool all;

		until_failure = n;
		ret = start(r, &(struct config_net){ .kind = CONFIG_NET_USER });
		refused += !!ret;
		ck_assert(!ret == !!r->nif);
		ck_assert(!ret || (r->err.code && r->err.message[0]));
		if (r->nif)
			r->nif->ops->close(r->nif);
		r->nif = NULL;
		passt_stop(&r->p);
		all = until_failure;
		until_failure = 0;
		rig_free(r);
		if (all)
			break;
	}
	ck_assert_uint_ge(n, 10);
	ck_assert_uint_lt(n, 100);
	ck_assert_uint_ge(refused, 5);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("passt");
	TCase *tc = tcase_create("passt");

	tcase_add_test(tc, comes_up);
	tcase_add_test(tc, silent);
	tcase_add_test(tc, refuses);
	tcase_add_loop_test(tc, ends, 0, 2);
	tcase_add_test(tc, every_failure);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return test_run(s);
}
