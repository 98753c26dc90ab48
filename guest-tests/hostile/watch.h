/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * watch.h - what a process of the host costs, as /proc tells: for the host halves of the hostile tests.
 */
#ifndef HOSTILE_WATCH_H
#define HOSTILE_WATCH_H

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include "harness.h"

struct watch { unsigned fds, threads; unsigned long rss_kib; };

static inline struct watch watch_now(void)
{
	struct watch w = { count_entries("/proc/self/fd"), count_entries("/proc/self/task"), 0 };
	FILE *f = fopen("/proc/self/status", "re");
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %lu", &w.rss_kib) == 1)
			break;
	if (f)
		fclose(f);
	return w;
}

/* Clock ticks, user and system, that the thread whose name ends in SUFFIX has used; -1: there is none. */
static inline long watch_thread_ticks(const char *suffix)
{
	DIR *d = opendir("/proc/self/task");
	long ticks = -1;

	for (struct dirent *e; d && (e = readdir(d));) {
		char path[300], stat[512] = "", *end;
		unsigned long user, sys;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/stat", e->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fgets(stat, sizeof(stat), f) && (end = strrchr(stat, ')')) && end - stat > (long)strlen(suffix) &&
		    !strncmp(end - strlen(suffix), suffix, strlen(suffix)) &&
		    sscanf(end + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) == 2)
			ticks = (long)(user + sys);
		fclose(f);
	}
	if (d)
		closedir(d);
	return ticks;
}

#endif
