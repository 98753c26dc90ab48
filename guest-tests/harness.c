/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * harness.c - see harness.h.  Uses the public header alone.
 */
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static unsigned tests, failed;

long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

/* ---- TAP ------------------------------------------------------------------------------------------------------------ */

void tests_begin(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	if (fd < 0) {
		printf("1..0 # SKIP /dev/kvm cannot be opened: %s\n", strerror(errno));
		exit(0);
	}
	close(fd);
}

int tests_end(void)
{
	printf("1..%u\n", tests);
	return failed ? 1 : 0;
}

bool ok(bool cond, const char *fmt, ...)
{
	char buf[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	printf("%sok %u - %s\n", cond ? "" : "not ", ++tests, buf);
	if (!cond)
		failed++;
	return cond;
}

void skip(const char *name, const char *why)
{
	printf("ok %u - %s # SKIP %s\n", ++tests, name, why);
}

void note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("# ", stdout);
	vprintf(fmt, ap);
	fputs("\n", stdout);
	va_end(ap);
}

bool kvm_is_software(void)
{
	struct tvmm_probe h = { .size = sizeof(h) };
	struct tvmm_error err;

	return tvmm_probe(&h, 0, &err) == 0 && h.backend == TVMM_BACKEND_SOFTWARE;
}

const char *reason_name(int reason)
{
	static const char *const name[] = { "running", "power-off", "reboot", "panic", "triple fault", "KVM error", "stopped",
					    "host error", "debug exit" };

	return reason >= 0 && (size_t)reason < sizeof(name) / sizeof(name[0]) ? name[reason] : "?";
}

unsigned count_entries(const char *dir)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

unsigned count_text(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *p = text; p && (p = strstr(p, what)); p += strlen(what))
		n++;
	return n;
}

const char *payload_path(const char *payload)
{
	static char path[PATH_MAX];
	char self[PATH_MAX] = "";

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return payload;
	snprintf(path, sizeof(path), "%.3000s/%.200s.elf", dirname(self), payload);
	return path;
}

/* ---- the console ------------------------------------------------------------------------------------------------- */

static void *read_console(void *arg)
{
	struct guest *g = arg;
	char buf[4096];
	ssize_t n;

	while ((n = read(g->out, buf, sizeof(buf))) > 0 || (n < 0 && errno == EINTR)) {
		if (n < 0)
			continue;
		pthread_mutex_lock(&g->lock);
		if (g->len + (size_t)n + 1 > g->cap) {
			char *more = realloc(g->text, g->cap * 2 + (size_t)n);

			if (more) {
				g->text = more;
				g->cap = g->cap * 2 + (size_t)n;
			}
		}
		if (g->len + (size_t)n + 1 <= g->cap) {
			memcpy(g->text + g->len, buf, (size_t)n);
			g->len += (size_t)n;
			g->text[g->len] = 0;
		}
		pthread_cond_broadcast(&g->more);
		while (g->hold)
			pthread_cond_wait(&g->more, &g->lock);
		pthread_mutex_unlock(&g->lock);
	}
	pthread_mutex_lock(&g->lock);
	g->eof = true;
	pthread_cond_broadcast(&g->more);
	pthread_mutex_unlock(&g->lock);
	return NULL;
}

/* Guests may print zero bytes: look through all of it. */
static bool has_text(const struct guest *g, const char *text)
{
	return memmem(g->text, g->len, text, strlen(text));
}

bool guest_says(struct guest *g, const char *text)
{
	struct timespec end;
	bool found;
	int ret = 0;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += LIMIT_MS / 1000;
	pthread_mutex_lock(&g->lock);
	while (!(found = has_text(g, text)) && !g->eof && ret == 0)
		ret = pthread_cond_timedwait(&g->more, &g->lock, &end);
	pthread_mutex_unlock(&g->lock);
	return found;
}

void guest_hold(struct guest *g, bool hold)
{
	pthread_mutex_lock(&g->lock);
	g->hold = hold;
	pthread_cond_broadcast(&g->more);
	pthread_mutex_unlock(&g->lock);
}

bool guest_type(struct guest *g, const void *buf, size_t len)
{
	const char *p = buf;

	while (len) {
		struct pollfd pfd = { .fd = g->in, .events = POLLOUT };
		ssize_t n = poll(&pfd, 1, LIMIT_MS) == 1 ? write(g->in, p, len) : -1;

		if (n < 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

/* ---- the machine -------------------------------------------------------------------------------------------------- */

static void log_line(void *arg, int level, const char *line)
{
	struct guest *g = arg;

	pthread_mutex_lock(&g->lock);
	g->log_lines++;
	snprintf(g->log_last, sizeof(g->log_last), "%s", line);
	pthread_mutex_unlock(&g->lock);
}

static bool make_console(struct guest *g)
{
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC))
		return false;
	if (pipe2(out, O_CLOEXEC)) {
		close(in[0]);
		close(in[1]);
		return false;
	}
	g->vm_in = in[0];
	g->in = in[1];
	g->out = out[0];
	g->vm_out = out[1];
	return true;
}

static int configure(struct tvmm_config *cfg, struct guest *g, const char *payload, va_list ap)
{
	char console[64];
	int ret = tvmm_config_set(cfg, "kernel", payload_path(payload), &g->err);

	snprintf(console, sizeof(console), "fd=%d:%d", g->vm_in, g->vm_out);
	if (!ret)
		ret = tvmm_config_set(cfg, "console", console, &g->err);
	if (!ret)
		ret = tvmm_config_set(cfg, "memory", "64", &g->err);
	if (!ret)
		ret = tvmm_config_set(cfg, "no-defaults", "on", &g->err);
	for (const char *key; !ret && (key = va_arg(ap, const char *));)
		ret = tvmm_config_set(cfg, key, va_arg(ap, const char *), &g->err);
	tvmm_config_set_log(cfg, log_line, g, TVMM_LOG_INFO);
	return ret;
}

bool guest_new(struct guest *g, const char *payload, ...)
{
	struct tvmm_config *cfg = tvmm_config_new();
	va_list ap;
	int ret;

	*g = (struct guest){ .in = -1, .out = -1, .vm_in = -1, .vm_out = -1 };
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->more, NULL);
	g->cap = 65536;
	g->text = calloc(1, g->cap);
	if (!cfg || !g->text || !make_console(g)) {
		tvmm_config_free(cfg);
		return ok(false, "%s: resources of the test itself", payload);
	}
	va_start(ap, payload);
	ret = configure(cfg, g, payload, ap);
	va_end(ap);
	if (!ret)
		ret = tvmm_vm_create(&g->vm, cfg, &g->err);
	tvmm_config_free(cfg);
	pthread_create(&g->reader, NULL, read_console, g);
	if (ret)
		note("%s: %s: %s (%s)", payload, g->err.message, g->err.object, strerror(-ret));
	return ret == 0;
}

bool guest_start(struct guest *g)
{
	int ret = g->vm ? tvmm_vm_start(g->vm, &g->err) : -EINVAL;

	if (ret)
		note("start: %s: %s (%s)", g->err.message, g->err.object, strerror(-ret));
	return ret == 0;
}

struct tvmm_stats guest_stats(struct guest *g)
{
	struct tvmm_stats s = { .size = sizeof(s) };

	if (g->vm)
		tvmm_vm_stats(g->vm, &s);
	return s;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The machine's end of the pipes is closed, so the reader comes to an end. */
static void collect(struct guest *g)
{
	tvmm_vm_free(g->vm);
	g->vm = NULL;
	guest_hold(g, false);
	close_fd(&g->vm_out);
	close_fd(&g->vm_in);
	if (g->out >= 0) {
		pthread_join(g->reader, NULL);
		close_fd(&g->out);
		close_fd(&g->in);
	}
}

bool guest_finish(struct guest *g, int limit_ms)
{
	bool in_time = false;

	g->result = (struct tvmm_result){ .size = sizeof(g->result) };
	if (g->vm) {
		in_time = tvmm_vm_wait(g->vm, limit_ms, &g->result) == 0;
		if (!in_time) {
			note("the guest did not end within %d ms: stopping it", limit_ms);
			tvmm_vm_request(g->vm, TVMM_REQ_STOP, NULL);
			tvmm_vm_wait(g->vm, LIMIT_MS, &g->result);
		}
		g->stats = guest_stats(g);
	}
	collect(g);
	return in_time;
}

bool guest_ended(struct guest *g, int reason, const char *what)
{
	if (ok(g->result.reason == reason, "%s: ends by %s", what, reason_name(reason)))
		return true;
	note("reason: %s; detail: %s; hint: %s", reason_name(g->result.reason), g->result.detail, g->result.hint);
	note("last log line: %s", g->log_last);
	note("the guest's last words: %s", g->len > 300 ? g->text + g->len - 300 : g->text);
	return false;
}

void guest_results(struct guest *g)
{
	unsigned lines = 0, chatter = 0;
	long planned = -1;
	char *save = NULL;

	for (char *l = strtok_r(g->text, "\r\n", &save); l; l = strtok_r(NULL, "\r\n", &save)) {
		bool good = !strncmp(l, "ok - ", 5);

		if (good || !strncmp(l, "not ok - ", 9)) {
			lines++;
			ok(good, "guest: %s", l + (good ? 5 : 9));
		} else if (!strncmp(l, "# end ", 6)) {
			planned = strtol(l + 6, NULL, 10);
		} else if (chatter++ < 40) {
			printf("# guest: %.120s\n", l);
		}
	}
	ok(planned == (long)lines, "the guest's own count of its results is complete (%ld, seen %u)", planned, lines);
}

void guest_free(struct guest *g)
{
	collect(g);
	free(g->text);
	g->text = NULL;
	pthread_cond_destroy(&g->more);
	pthread_mutex_destroy(&g->lock);
}

bool guest_run(const char *name, const char *payload, const char *append, const char *cpus)
{
	struct guest g;
	bool good = guest_new(&g, payload, "append", append, "cpus", cpus, NULL) && guest_start(&g);

	ok(good, "%s: created and started", name);
	guest_finish(&g, good ? LIMIT_MS : 0);
	if (good) {
		good = guest_ended(&g, TVMM_POWEROFF, name);
		guest_results(&g);
	}
	guest_free(&g);
	return good;
}
