/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * machines.c - finding a running machine, showing figures.
 */
#include "machines.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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
