/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * crowd.c - adding up machines and looking at the host.  Main thread, before a machine starts, which it must not delay: who
 * has not answered when PATIENCE_MS are over, for all together, is left out.
 */
#include "crowd.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "machines.h"
#include "rundir.h"

#define PATIENCE_MS 500

struct count {
	struct crowd *crowd;
	uint64_t deadline; /* by now_ns() */
};

static bool count_one(void *arg, const char *name)
{
	struct tvmm_memory m = { .size = sizeof(m) };
	struct tvmm_info i = { .size = sizeof(i) };
	struct tvmm_client *client;
	struct count *count = arg;
	struct crowd *c = count->crowd;
	uint64_t now = now_ns();
	struct tvmm_error err;

	if (now >= count->deadline)
		return false;
	if (machine_connect(&client, name, &err))
		return true;
	tvmm_client_set_timeout(client, (unsigned)((count->deadline - now + 999999) / 1000000));
	if (!tvmm_client_info(client, &i, &err) && i.pid != getpid() && i.state != TVMM_STATE_ENDED &&
	    !tvmm_client_memory(client, &m, &err)) {
		c->machines++;
		c->configured += m.configured;
	}
	tvmm_client_close(client);
	return true;
}

static void read_host(struct crowd *c)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long kib;
	char line[128];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "MemTotal: %llu kB", &kib) == 1)
			c->total = kib << 10;
		else if (sscanf(line, "SwapTotal: %llu kB", &kib) == 1)
			c->swap = kib << 10;
	}
	if (f)
		fclose(f);
}

void crowd_count(struct crowd *c, uint64_t configured)
{
	struct count count = { .crowd = c, .deadline = now_ns() + PATIENCE_MS * 1000000ull };
	struct tvmm_error err;

	*c = (struct crowd){ .machines = 1, .configured = configured };
	rundir_each(count_one, &count, &err); /* where there is no such folder, there are no others to be seen */
	read_host(c);
}

void crowd_describe(const struct crowd *c, char *buf, size_t len)
{
	uint64_t all = c->total + c->swap;
	int n;

	*buf = '\0';
	if (!c->total || c->configured <= c->total)
		return;
	if (c->machines == 1)
		n = snprintf(buf, len, "this machine may take %s, the host has %s", show_size(c->configured).s, show_size(c->total).s);
	else
		n = snprintf(buf, len, "%u machines may take %s together, the host has %s", c->machines, show_size(c->configured).s,
			     show_size(c->total).s);
	if (c->swap)
		n += snprintf(buf + n, len - (size_t)n, " and %s of swap", show_size(c->swap).s);
	if (c->configured > all)
		snprintf(buf + n, len - (size_t)n, ": at worst %s are missing", show_size(c->configured - all).s);
	else
		snprintf(buf + n, len - (size_t)n, ": at worst %s go to swap", show_size(c->configured - c->total).s);
}
