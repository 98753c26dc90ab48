/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * machines.c - finding a running machine, showing figures.
 */
#include "machines.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "result.h"
#include "rundir.h"
#include "say.h"

struct figure show_size(uint64_t bytes)
{
	static const char units[] = "KMGTPE";
	double v = (double)bytes / 1024;
	struct figure f = { "0" };
	unsigned i = 0;

	if (!bytes)
		return f;
	for (; v >= 1024 && units[i + 1]; i++)
		v /= 1024;
	snprintf(f.s, sizeof(f.s), v >= 100 || v == (double)(uint64_t)v ? "%.0f%c" : "%.1f%c", v, units[i]);
	return f;
}

struct figure show_time(uint64_t ms)
{
	struct figure f;
	uint64_t s = ms / 1000;

	if (s < 1)
		snprintf(f.s, sizeof(f.s), "%u ms", (unsigned)ms);
	else if (s < 120)
		snprintf(f.s, sizeof(f.s), "%u s", (unsigned)s);
	else if (s < 7200)
		snprintf(f.s, sizeof(f.s), "%u min", (unsigned)(s / 60));
	else if (s < 48 * 3600)
		snprintf(f.s, sizeof(f.s), "%u h", (unsigned)(s / 3600));
	else
		snprintf(f.s, sizeof(f.s), "%llu days", (unsigned long long)(s / 86400));
	return f;
}

int machine_connect(struct tvmm_client **out, const char *name, struct tvmm_error *err)
{
	char path[PATH_MAX];
	int ret = rundir_socket(name, path, err);

	if (!ret)
		ret = tvmm_client_open(out, path, err);
	if ((ret == -ENOENT || ret == -ECONNREFUSED || ret == -ENAMETOOLONG) && !strchr(name, '/')) {
		say_fill(err, TVMM_E_CONFIG, 0, name, "no machine of this name runs");
		say_fill_hint(err, "a machine has a name when it was started with --name; one of another user is not seen");
	}
	return ret;
}

static void print_reason(const struct tvmm_memory *m)
{
	if (!m->reclaim)
		printf("  reclaim off");
	else if (m->fixed)
		printf("  target set by request");
	else if (m->reclaim == 1)
		printf("  reclaim report");
	else if (!*m->decision)
		printf("  auto: no decision yet");
	else
		printf("  auto: %s (%s ago)", m->decision, show_time(m->decided_ms).s);
	if (m->reclaim && !m->driver)
		printf("; no balloon driver in the guest");
}

void machine_print_memory(const struct tvmm_memory *m)
{
	printf("configured %s  target %s  actual %s  resident %s  reported %s  swapped %s  huge %u%%", show_size(m->configured).s,
	       show_size(m->target).s, show_size(m->actual).s, show_size(m->resident).s, show_size(m->reported).s,
	       show_size(m->swapped).s, m->resident ? (unsigned)((double)m->huge * 100 / (double)m->resident + 0.5) : 0);
	if (*m->pressure)
		printf("  pressure %s %.1f%%", m->pressure, m->stall_permille / 10.0);
	print_reason(m);
}

int machine_args(struct opts_walk *walk, unsigned words, const char *usage, bool *json, int *code)
{
	const struct opt *opt;
	const char *value;
	struct tvmm_error err;
	int ret;

	walk->max_words = words;
	while ((ret = opts_next(walk, &opt, &value, &err)) > 0) {
		if (opt->id == OPT_HELP) {
			opts_help(walk->verb, stdout);
			*code = machine_printed();
			return 0;
		}
		if (opt->id == OPT_JSON && json)
			*json = !strcmp(value, "on");
	}
	if (!ret && walk->n_words < words) {
		ret = say_fill(&err, TVMM_E_CONFIG, 0, NULL, walk->n_words ? "something is missing" : "the machine's name is missing");
		say_fill_hint(&err, "write tinyvmm %s", usage);
	}
	*code = ret < 0 ? machine_failed(&err) : CODE_OK;
	return !ret;
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

void pause_ms(unsigned ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&t, NULL);
}

int machine_printed(void)
{
	struct tvmm_error err;

	if (!ferror(stdout) && !fflush(stdout))
		return CODE_OK;
	say_fill(&err, TVMM_E_IO, errno, "stdout", "cannot write");
	return machine_failed(&err);
}

int machine_failed(const struct tvmm_error *err)
{
	say_error(err);
	return CODE_FAILED;
}
