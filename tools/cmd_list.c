/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_list.c - "tinyvmm list": a line for each machine of this user that has a name and answers.  Main thread.
 */
#include <stdio.h>

#include "cmd.h"
#include "machines.h"
#include "opts.h"
#include "result.h"
#include "rundir.h"
#include "say.h"

struct listing {
	bool json;
	unsigned n;
};

static const char *state_name(int32_t state)
{
	static const char *const names[] = { "created", "running", "ended" };

	return state >= 0 && state <= TVMM_STATE_ENDED ? names[state] : "unknown";
}

static int print_machine(struct listing *l, struct tvmm_client *client, const char *name, struct tvmm_error *err)
{
	struct tvmm_info i = { .size = sizeof(i) };
	struct tvmm_memory m = { .size = sizeof(m) };
	const char *reply;
	int ret;

	if (l->json) {
		ret = tvmm_client_call(client, "Describe", NULL, &reply, err);
		if (!ret)
			printf("%s%s", l->n++ ? ",\n" : "", reply);
		return ret;
	}
	ret = tvmm_client_info(client, &i, err);
	if (!ret)
		ret = tvmm_client_memory(client, &m, err);
	if (!ret)
		printf("%-16s %8d  %-8s %4u  %7s %7s %9s  %s\n", name, i.pid, state_name(i.state), i.cpus, show_size(m.configured).s,
		       show_size(m.actual).s, show_size(m.resident).s, show_time(i.uptime_ms).s);
	return ret;
}

/* One that is gone, or that ends while it is asked, is none. */
static bool list_one(void *arg, const char *name)
{
	struct tvmm_client *client;
	struct tvmm_error err;

	if (!machine_connect(&client, name, &err)) {
		print_machine(arg, client, name, &err);
		tvmm_client_close(client);
	}
	return true;
}

int cmd_list(char *const argv[])
{
	struct opts_walk walk = { .verb = VERB_LIST, .argv = argv };
	struct listing l = { .json = false };
	struct tvmm_error err;
	int code;

	if (!machine_args(&walk, 0, "list", &l.json, &code))
		return code;
	if (l.json)
		printf("[");
	else
		printf("%-16s %8s  %-8s %4s  %7s %7s %9s  %s\n", "NAME", "PID", "STATE", "CPUS", "MEMORY", "ACTUAL", "RESIDENT", "SINCE");
	if (rundir_each(list_one, &l, &err))
		return machine_failed(&err);
	if (l.json)
		printf("]\n");
	return machine_printed();
}
