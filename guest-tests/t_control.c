/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * t_control.c - a guest that runs, seen and steered over its control socket, by clients that behave, that die in the middle
 * of a call, that send garbage and that never read; and the guest notices none of them.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "harness.h"

static char dir[] = "/tmp/t_control_XXXXXX", path[64];

static int dial(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)))
		return -1;
	return fd;
}

static bool put(int fd, const char *text, size_t len)
{
	return send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* A process of its own, killed while its call, or the answer to it, is under way. */
static bool killed_client(const char *text, size_t len)
{
	pid_t pid = fork();
	int status = 0;

	if (!pid) {
		int fd = dial();

		if (fd >= 0 && put(fd, text, len))
			raise(SIGKILL);
		_exit(1);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void rude_clients(void)
{
	static const char call[] = "{\"method\":\"org.tinyvmm.VM.Describe\"}";
	static const char wait[] = "{\"method\":\"org.tinyvmm.VM.Wait\"}";
	char garbage[2000];
	unsigned died = 0;
	int fd = dial();

	for (unsigned i = 0; i < 10; i++) {
		died += killed_client(call, sizeof(call) / 2);
		died += killed_client(call, sizeof(call));
		died += killed_client(wait, sizeof(wait));
	}
	ok(died == 30, "30 clients are killed in the middle (%u)", died);
	for (unsigned i = 0; i < sizeof(garbage); i++)
		garbage[i] = (char)(i * 7919 >> 3);
	for (unsigned i = 0; i < 20; i++) {
		int g = dial();

		put(g, garbage + i, sizeof(garbage) - i);
		close(g);
	}
	/* One that asks and never reads, until nobody takes its questions any more; it stays. */
	while (send(fd, call, sizeof(call), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
		;
	ok(fd >= 0, "garbage is sent, answers are left unread");
}

static void look(struct guest *g, struct tvmm_client *c)
{
	struct tvmm_memory m = { .size = sizeof(m) };
	struct tvmm_info i = { .size = sizeof(i) };
	struct tvmm_stats s = { .size = sizeof(s) };
	struct tvmm_counters k = { .size = sizeof(k) };
	char here[8192], there[8192];
	uint64_t exits = 0;
	int ret;

	bool got = tvmm_client_info(c, &i, &g->err) == 0 && tvmm_client_memory(c, &m, &g->err) == 0 &&
		   tvmm_client_stats(c, &s, &g->err) == 0;

	ok(got, "info, memory and figures are answered");
	ok(!strcmp(i.name, "seen") && i.state == TVMM_STATE_RUNNING && i.cpus == 2 &&
	   i.pid == getpid(), "info: %s, %u CPUs, state %d", i.name, i.cpus, i.state);
	ok(m.configured == 128ull << 20 && m.target == m.configured && m.resident > 0 &&
	   m.resident < m.configured, "memory: %llu KiB resident", (unsigned long long)m.resident >> 10);
	ok(s.exits_user > 0 && s.exits_user <= guest_stats(g).exits_user, "exits: %llu",
	   (unsigned long long)s.exits_user);
	tvmm_vm_describe(g->vm, here, sizeof(here));
	ok(tvmm_client_describe(c, there, sizeof(there), &g->err) == 0 && !strcmp(here, there), "the description is the same");
	ok(tvmm_client_set_memory(c, 1 << 20, &g->err) == -EINVAL && g->err.code == TVMM_E_CONFIG, "below the minimum: %s",
	   g->err.message);
	ok(tvmm_client_trim_memory(c, &g->err) == -ENODEV, "no balloon driver: %s", g->err.message);
	ok(tvmm_client_disk_refresh(c, 5, &g->err) == -EINVAL, "no such disk: %s", g->err.message);
	ret = tvmm_client_kvm_counters(c, &k, &g->err);
	for (unsigned n = 0; !ret && n < k.count; n++)
		if (!strcmp(k.counter[n].name, "exits"))
			exits = k.counter[n].total;
	if (ret == -EOPNOTSUPP)
		skip("KVM's counters", g->err.message);
	else
		ok(!ret && k.count > 5 && exits > 0, "KVM's %u counters, %llu exits", k.count, (unsigned long long)exits);
}

/* Pressed over the socket, twice, with rude clients before, between and after. */
static void steered(void)
{
	struct tvmm_result r = { .size = sizeof(r) };
	struct tvmm_client *c = NULL, *w = NULL;
	struct guest g;

	if (ok(guest_new(&g, "payload_end", "append", "mode=button", "name", "seen", "control", path, "cpus", "2", "memory", "128M",
			 NULL), "steered: created") &&
	    ok(tvmm_client_open(&c, path, &g.err) == 0 && tvmm_client_open(&w, path, &g.err) == 0, "clients connect before the start") &&
	    guest_start(&g) && guest_says(&g, "READY\n")) {
		look(&g, c);
		ok(tvmm_client_wait(w, 0, &r, &g.err) == -ETIMEDOUT, "one waits for the end");
		rude_clients();
		tvmm_client_close(c); /* it may have had to make room */
		c = NULL;
		ok(tvmm_client_open(&c, path, &g.err) == 0 && tvmm_client_request(c, TVMM_REQ_POWER_BUTTON, &g.err) == 0 &&
		   guest_says(&g, "PRESSED\n"), "the guest hears the button");
		rude_clients();
		tvmm_client_close(c);
		c = NULL;
		ok(tvmm_client_open(&c, path, &g.err) == 0 && tvmm_client_request(c, TVMM_REQ_POWER_BUTTON, &g.err) == 0, "and again");
		ok(tvmm_client_wait(w, LIMIT_MS, &r, &g.err) == 0 && r.reason == TVMM_POWEROFF, "who waits is told: %s", r.detail);
		guest_finish(&g, LIMIT_MS);
		guest_results(&g);
		guest_ended(&g, TVMM_POWEROFF, "steered");
		ok(access(path, F_OK) < 0, "the socket is gone");
	}
	tvmm_client_close(c);
	tvmm_client_close(w);
	guest_free(&g);
}

static void *pester(void *arg)
{
	unsigned *asked = arg;
	struct tvmm_memory m = { .size = sizeof(m) };
	struct tvmm_counters k = { .size = sizeof(k) };
	struct tvmm_client *c;

	if (tvmm_client_open(&c, path, NULL))
		return NULL;
	for (;;) {
		tvmm_client_kvm_counters(c, &k, NULL);
		if (tvmm_client_memory(c, &m, NULL))
			break;
		++*asked;
	}
	tvmm_client_close(c);
	return NULL;
}

/* A guest that restarts all the while, asked all the while, and stopped over the socket. */
static void restarted(void)
{
	struct tvmm_result r = { .size = sizeof(r) };
	struct tvmm_client *c = NULL;
	unsigned asked[2] = { 0 };
	struct guest g;
	pthread_t t[2];

	if (ok(guest_new(&g, "payload_end", "append", "mode=reboot", "on-reboot", "restart", "control", path, NULL) && guest_start(&g),
	       "restarted: runs")) {
		for (unsigned i = 0; i < 2; i++)
			pthread_create(&t[i], NULL, pester, &asked[i]);
		for (unsigned i = 0; i < 5; i++) {
			guest_says(&g, "READY\n");
			usleep(100000);
		}
		ok(tvmm_client_open(&c, path, &g.err) == 0 && tvmm_client_request(c, TVMM_REQ_STOP, &g.err) == 0, "stop over the socket");
		ok(tvmm_client_wait(c, LIMIT_MS, &r, &g.err) == 0 && r.reason == TVMM_STOPPED, "and told so: %s", r.detail);
		tvmm_client_close(c);
		guest_finish(&g, LIMIT_MS);
		for (unsigned i = 0; i < 2; i++)
			pthread_join(t[i], NULL);
		guest_ended(&g, TVMM_STOPPED, "restarted");
		note("booted %u times, asked %u times", count_text(g.text, "READY"), asked[0] + asked[1]);
		ok(asked[0] && asked[1], "all were answered until then");
	}
	guest_free(&g);
}

/* Two machines, one socket. */
static void taken(void)
{
	struct guest a, b;

	ok(guest_new(&a, "payload_end", "append", "mode=halt", "control", path, NULL), "one machine has the socket");
	ok(!guest_new(&b, "payload_end", "append", "mode=halt", "control", path, NULL) && b.err.code == TVMM_E_BUSY,
	   "a second is refused: %s", b.err.message);
	guest_free(&b);
	guest_free(&a);
	ok(guest_new(&b, "payload_end", "append", "mode=halt", "control", path, NULL), "then it may have it");
	guest_free(&b);
}

int main(void)
{
	unsigned fds, fds2;

	tests_begin();
	if (!ok(mkdtemp(dir) != NULL, "a folder"))
		return tests_end();
	snprintf(path, sizeof(path), "%s/sock", dir);
	taken();
	fds = count_entries("/proc/self/fd");
	taken();
	fds2 = count_entries("/proc/self/fd");
	ok(fds2 == fds, "no descriptor is left (%u, %u)", fds, fds2);
	steered();
	restarted();
	ok(rmdir(dir) == 0, "nothing is left in the folder");
	return tests_end();
}
