/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * steer.c - "steer KEY=VALUE... -- ACTION...": run a machine through the library and do things to its memory in order.
 *
 * KEY=VALUE are configuration keys (tinyvmm.h).  The guest's console and, as lines "log: TEXT", the machine's log go to
 * standard output; together they are the text that "until" looks at.  Actions:
 *
 *	until=TEXT            wait until TEXT has appeared after what the last "until" found
 *	type=TEXT             type a line on the guest's console
 *	set=MIB, set=auto     tvmm_vm_set_memory()
 *	trim                  tvmm_vm_trim_memory()
 *	show=NAME             print the memory figures as lines NAME_KEY=MIB
 *	below=KEY:MIB:S       wait until the figure KEY is at most MIB, at most S seconds
 *	idle=PERCENT:S        wait until no more is resident than PERCENT beyond what the guest does not call free, at most
 *	                      S seconds; print how long it took as "idle_ms=MS"
 *	random=S:SEED[:TEXT]  for S seconds, or until TEXT appears, set sizes from the minimum up, trim and read figures, at
 *	                      random
 *	pause=MS              let time pass
 *	end                   wait for the guest's end
 *
 * Exit status: 0 when all actions were done, 1 when one could not be, with the reason on standard error; 125 when the
 * machine could not be run.  It has no time limit of its own: whoever calls it has.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tinyvmm.h>
#include <unistd.h>

enum { MIB_SHIFT = 20, TEXT_SIZE = 65536 };

struct steer {
	struct tvmm_vm *vm;
	int keys;           /* to the guest's console */
	int console, log;   /* what comes from it, and from the machine */
	char text[TEXT_SIZE]; /* since the last "until", or the end of it */
	size_t len;
	bool mid_line;
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* From any thread of the machine.  A full pipe loses a line rather than time. */
static void log_line(void *arg, int level, const char *line)
{
	char buf[1024];
	int n = snprintf(buf, sizeof(buf), "log: %s\n", line);

	if (n >= (int)sizeof(buf))
		n = (int)sizeof(buf) - 1;
	if (write(*(int *)arg, buf, (size_t)n) != n)
		return;
}

/* ---- what comes in ------------------------------------------------------------------------------------------------ */

static void add_text(struct steer *s, const char *buf, size_t n)
{
	if (s->len + n >= TEXT_SIZE) {
		size_t keep = TEXT_SIZE / 2;

		if (s->len > keep) {
			memmove(s->text, s->text + s->len - keep, keep);
			s->len = keep;
		}
	}
	memcpy(s->text + s->len, buf, n);
	s->len += n;
	s->text[s->len] = '\0';
}

/* False at the end of the stream. */
static bool take(struct steer *s, int fd, bool is_log)
{
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	if (is_log && s->mid_line)
		putchar('\n');
	fwrite(buf, 1, (size_t)n, stdout);
	fflush(stdout);
	if (n)
		s->mid_line = buf[n - 1] != '\n';
	add_text(s, buf, (size_t)n);
	return n > 0;
}

/* Waits at most MS for something to come in, and takes it.  False once the guest's console has ended. */
static bool listen_for(struct steer *s, int ms)
{
	struct pollfd p[] = { { .fd = s->log, .events = POLLIN }, { .fd = s->console, .events = POLLIN } };

	if (poll(p, 2, ms) <= 0)
		return true;
	if (p[0].revents)
		take(s, s->log, true);
	return !p[1].revents || take(s, s->console, false);
}

static bool ended(struct steer *s)
{
	struct tvmm_result r = { .size = sizeof(r) };

	return !tvmm_vm_wait(s->vm, 0, &r);
}

/* ---- figures ------------------------------------------------------------------------------------------------------ */

struct figure {
	const char *key;
	size_t at;
};

static const struct figure figures[] = {
	{ "configured", offsetof(struct tvmm_memory, configured) }, { "target", offsetof(struct tvmm_memory, target) },
	{ "actual", offsetof(struct tvmm_memory, actual) }, { "resident", offsetof(struct tvmm_memory, resident) },
	{ "huge", offsetof(struct tvmm_memory, huge) }, { "swapped", offsetof(struct tvmm_memory, swapped) },
	{ "reported", offsetof(struct tvmm_memory, reported) }, { "trimmed", offsetof(struct tvmm_memory, trimmed) },
	{ "discarded", offsetof(struct tvmm_memory, discarded) }, { "failed", offsetof(struct tvmm_memory, discard_failed) },
	{ "guest_total", offsetof(struct tvmm_memory, guest_total) }, { "guest_free", offsetof(struct tvmm_memory, guest_free) },
	{ "guest_available", offsetof(struct tvmm_memory, guest_available) },
	{ "paged_out", offsetof(struct tvmm_memory, paged_out) },
};

static unsigned long mib(const struct tvmm_memory *m, const struct figure *f)
{
	uint64_t v;

	memcpy(&v, (const char *)m + f->at, sizeof(v));
	return v >> MIB_SHIFT;
}

static const struct figure *find_figure(const char *key, size_t len)
{
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		if (strlen(figures[i].key) == len && !memcmp(figures[i].key, key, len))
			return &figures[i];
	return NULL;
}

static bool show(struct steer *s, const char *name)
{
	struct tvmm_memory m = { .size = sizeof(m) };

	/* The first look asks the guest for its statistics. */
	tvmm_vm_memory(s->vm, &m);
	for (int i = 0; i < 5; i++)
		listen_for(s, 100);
	tvmm_vm_memory(s->vm, &m);
	if (s->mid_line)
		putchar('\n');
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		printf("%s_%s=%lu\n", name, figures[i].key, mib(&m, &figures[i]));
	fflush(stdout);
	s->mid_line = false;
	return true;
}

static bool below(struct steer *s, const char *arg)
{
	const struct figure *f = find_figure(arg, strcspn(arg, ":"));
	struct tvmm_memory m = { .size = sizeof(m) };
	unsigned long bound, seconds;
	uint64_t start = now_ms();

	if (!f || sscanf(strchrnul(arg, ':'), ":%lu:%lu", &bound, &seconds) != 2)
		return false;
	do {
		tvmm_vm_memory(s->vm, &m);
		if (mib(&m, f) <= bound) {
			printf("%slog: %s at %lu after %lu ms\n", s->mid_line ? "\n" : "", f->key, mib(&m, f),
			       (unsigned long)(now_ms() - start));
			s->mid_line = false;
			return true;
		}
	} while (listen_for(s, 200) && now_ms() - start < seconds * 1000);
	fprintf(stderr, "steer: %s is still %lu MiB\n", f->key, mib(&m, f));
	return false;
}

/* Asks for fresh statistics each time: tvmm_vm_memory() does, for the next call. */
static bool idle(struct steer *s, const char *arg)
{
	struct tvmm_memory m = { .size = sizeof(m) };
	unsigned long percent, seconds, took;
	uint64_t start = now_ms(), used;

	if (sscanf(arg, "%lu:%lu", &percent, &seconds) != 2)
		return false;
	do {
		tvmm_vm_memory(s->vm, &m);
		used = m.actual - m.guest_free;
		took = (unsigned long)(now_ms() - start);
		if (took > 1000 && m.guest_told_ms < 1000 && m.resident <= used + used * percent / 100) {
			printf("%sidle_ms=%lu\nidle_resident=%lu\nidle_used=%lu\n", s->mid_line ? "\n" : "", took,
			       m.resident >> MIB_SHIFT, used >> MIB_SHIFT);
			s->mid_line = false;
			return true;
		}
	} while (listen_for(s, 600) && took < seconds * 1000);
	fprintf(stderr, "steer: %lu MiB resident, %lu not free\n", m.resident >> MIB_SHIFT, used >> MIB_SHIFT);
	return false;
}

/* ---- actions ------------------------------------------------------------------------------------------------------ */

static bool until(struct steer *s, const char *what)
{
	for (;;) {
		char *at = strstr(s->text, what);

		if (at) {
			at += strlen(what);
			s->len -= (size_t)(at - s->text);
			memmove(s->text, at, s->len + 1);
			return true;
		}
		if (!listen_for(s, 500) || ended(s)) {
			/* What was under way may still be in the pipes. */
			while (listen_for(s, 0) && !strstr(s->text, what))
				if (ended(s) && !poll(&(struct pollfd){ .fd = s->console, .events = POLLIN }, 1, 0))
					break;
			if (!strstr(s->text, what)) {
				fprintf(stderr, "steer: the guest ended before '%s'\n", what);
				return false;
			}
		}
	}
}

static bool set(struct steer *s, const char *arg)
{
	struct tvmm_error err = { 0 };

	if (!tvmm_vm_set_memory(s->vm, strcmp(arg, "auto") ? strtoull(arg, NULL, 10) << MIB_SHIFT : TVMM_MEMORY_AUTO, &err))
		return true;
	fprintf(stderr, "steer: set=%s: %s\n", arg, err.message);
	return false;
}

static bool trim(struct steer *s)
{
	struct tvmm_error err = { 0 };

	if (!tvmm_vm_trim_memory(s->vm, &err))
		return true;
	fprintf(stderr, "steer: trim: %s\n", err.message);
	return false;
}

/* Most of it trims: they are what could go wrong. */
static bool at_random(struct steer *s, const char *arg)
{
	struct tvmm_memory m = { .size = sizeof(m) };
	unsigned long seconds;
	unsigned seed;
	uint64_t end;
	unsigned sets = 0, trims = 0;
	char text[32] = "";

	if (sscanf(arg, "%lu:%u:%31s", &seconds, &seed, text) < 2)
		return false;
	end = now_ms() + seconds * 1000;
	tvmm_vm_memory(s->vm, &m);
	while (now_ms() < end && !(text[0] && strstr(s->text, text))) {
		unsigned long span = (m.configured - m.min) >> MIB_SHIFT, r = (unsigned long)rand_r(&seed);
		char size[32];
		bool good = true;

		snprintf(size, sizeof(size), "%lu", (m.min >> MIB_SHIFT) + r / 16 % (span + 1));
		switch (r % 8) {
		case 0:
			good = set(s, size);
			sets++;
			break;
		case 1:
			good = set(s, "auto");
			break;
		case 2:
			tvmm_vm_memory(s->vm, &m);
			break;
		default:
			good = trim(s);
			trims++;
			break;
		}
		if (!good || !listen_for(s, (int)(r / 1024 % 200)) || ended(s))
			return false;
	}
	if (s->mid_line)
		putchar('\n');
	s->mid_line = false;
	printf("sets=%u\ntrims=%u\n", sets, trims);
	return set(s, "auto");
}

static bool pause_for(struct steer *s, const char *arg)
{
	uint64_t end = now_ms() + strtoul(arg, NULL, 10);

	while (now_ms() < end)
		if (!listen_for(s, 50))
			return false;
	return true;
}

static bool type(struct steer *s, const char *arg)
{
	return write(s->keys, arg, strlen(arg)) == (ssize_t)strlen(arg) && write(s->keys, "\n", 1) == 1;
}

static bool wait_for_end(struct steer *s)
{
	struct tvmm_result r = { .size = sizeof(r) };

	while (tvmm_vm_wait(s->vm, 0, &r))
		listen_for(s, 200);
	while (poll(&(struct pollfd){ .fd = s->console, .events = POLLIN }, 1, 0) > 0)
		if (!take(s, s->console, false))
			break;
	if (r.reason != TVMM_POWEROFF)
		fprintf(stderr, "steer: %s\n", r.detail);
	return r.reason == TVMM_POWEROFF;
}

static bool act(struct steer *s, const char *action)
{
	const char *arg = strchr(action, '=');
	size_t len = arg ? (size_t)(arg++ - action) : strlen(action);
	const struct {
		const char *name;
		bool (*fn)(struct steer *s, const char *arg);
	} known[] = { { "until", until }, { "type", type }, { "set", set }, { "show", show }, { "below", below },
		      { "idle", idle }, { "random", at_random }, { "pause", pause_for } };

	if (!strcmp(action, "trim"))
		return trim(s);
	if (!strcmp(action, "end"))
		return wait_for_end(s);
	for (size_t i = 0; arg && i < sizeof(known) / sizeof(known[0]); i++)
		if (strlen(known[i].name) == len && !memcmp(known[i].name, action, len))
			return known[i].fn(s, arg);
	return false;
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

static int configure(struct tvmm_config *cfg, char *pair, struct tvmm_error *err)
{
	char *value = strchr(pair, '=');

	if (!value)
		return -EINVAL;
	*value++ = '\0';
	return tvmm_config_set(cfg, pair, value, err);
}

int main(int argc, char *argv[])
{
	static struct steer s;
	struct tvmm_config *cfg = tvmm_config_new();
	struct tvmm_error err = { 0 };
	int in[2], out[2], log[2], i = 1, ret = 0;
	char console[64];

	setvbuf(stdout, NULL, _IOLBF, 0); /* who waits for a line reads it in a file */
	if (!cfg || pipe(in) || pipe(out) || pipe2(log, O_NONBLOCK))
		return 125;
	s.keys = in[1], s.console = out[0], s.log = log[0];
	snprintf(console, sizeof(console), "fd=%d:%d", in[0], out[1]);
	ret = tvmm_config_set(cfg, "console", console, &err);
	for (; !ret && i < argc && strcmp(argv[i], "--"); i++)
		ret = configure(cfg, argv[i], &err);
	tvmm_config_set_log(cfg, log_line, &log[1], TVMM_LOG_INFO);
	if (!ret)
		ret = tvmm_vm_create(&s.vm, cfg, &err);
	if (!ret)
		ret = tvmm_vm_start(s.vm, &err);
	tvmm_config_free(cfg);
	close(out[1]);
	if (ret) {
		fprintf(stderr, "steer: %s: %s\n", err.object, err.message);
		return 125;
	}
	for (i++; !ret && i < argc; i++)
		if (!act(&s, argv[i])) {
			fprintf(stderr, "steer: '%s' was not done\n", argv[i]);
			ret = 1;
		}
	tvmm_vm_free(s.vm);
	return ret;
}
