/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_stop.c - "tinyvmm stop NAME", which waits until the machine is gone and its name is free, and "tinyvmm disk NAME INDEX
 * refresh".  Main thread.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "machines.h"
#include "opts.h"
#include "result.h"
#include "say.h"

struct stop_args {
	const char *name, *timeout; /* the latter as written; NULL: none */
	uint64_t timeout_ns;
	bool force, help;
};

/* The machine has ended; its process closes the connection when the name is free.  An embedder's may keep it. */
static void wait_for_name(struct tvmm_client *client)
{
	struct tvmm_result r = { .size = sizeof(r) };

	for (unsigned i = 0; i < 400 && !tvmm_client_wait(client, 1000, &r, NULL); i++)
		pause_ms(5);
}

/* Waits for the end, NS at most (0: for ever).  A connection that is lost is an end too, of which nothing is known. */
static int wait_for_end(struct tvmm_client *client, uint64_t ns, struct tvmm_error *err)
{
	struct tvmm_result r = { .size = sizeof(r) };
	uint64_t ms = ns / 1000000;
	int ret = tvmm_client_wait(client, !ns ? -1 : ms > INT_MAX ? INT_MAX : (int)ms, &r, err);

	if (!ret)
		wait_for_name(client);
	return ret == -EPIPE ? 0 : ret;
}

/* The first connection may be waiting by now, and then can ask for nothing else. */
static int force(const struct stop_args *args, struct tvmm_error *err)
{
	struct tvmm_client *client;
	int ret = machine_connect(&client, args->name, err);

	if (ret)
		return ret;
	ret = tvmm_client_request(client, TVMM_REQ_STOP, err);
	if (!ret)
		ret = wait_for_end(client, 0, err);
	tvmm_client_close(client);
	return ret;
}

static int shut_down(const struct stop_args *args, struct tvmm_error *err)
{
	struct tvmm_client *client;
	int ret = machine_connect(&client, args->name, err);

	if (ret)
		return ret;
	ret = tvmm_client_request(client, TVMM_REQ_POWER_BUTTON, err);
	if (!ret)
		ret = wait_for_end(client, args->timeout_ns, err);
	tvmm_client_close(client);
	return ret;
}

static int stop(const struct stop_args *args)
{
	struct tvmm_error err;
	int ret = -ETIMEDOUT;

	if (!args->force || args->timeout)
		ret = shut_down(args, &err);
	if (ret == -ETIMEDOUT && args->force)
		ret = force(args, &err);
	if (ret == -ETIMEDOUT && args->timeout) {
		say_fill(&err, TVMM_E_BUSY, 0, args->name, "the machine still runs after %s", args->timeout);
		say_fill_hint(&err, "its guest may not listen to the power button; --force ends it all the same");
		say_error(&err);
		return CODE_TIMEOUT;
	}
	return ret ? machine_failed(&err) : CODE_OK;
}

int cmd_stop(char *const argv[])
{
	struct opts_walk walk = { .verb = VERB_STOP, .argv = argv, .max_words = 1 };
	struct stop_args args = { .name = NULL };
	const struct opt *opt;
	const char *value;
	struct tvmm_error err;
	int ret;

	while ((ret = opts_next(&walk, &opt, &value, &err)) > 0) {
		ret = 0;
		if (opt->id == OPT_HELP) {
			opts_help(VERB_STOP, stdout);
			return machine_printed();
		}
		if (opt->id == OPT_FORCE)
			args.force = !strcmp(value, "on");
		if (opt->id == OPT_TIMEOUT) {
			args.timeout = value;
			ret = opts_duration("--timeout", value, &args.timeout_ns, &err);
		}
		if (ret)
			break;
	}
	if (!ret && !walk.n_words) {
		ret = say_fill(&err, TVMM_E_CONFIG, 0, NULL, "the machine's name is missing");
		say_fill_hint(&err, "write tinyvmm stop NAME");
	}
	if (ret < 0)
		return machine_failed(&err);
	args.name = walk.word[0];
	return stop(&args);
}

int cmd_disk(char *const argv[])
{
	struct opts_walk walk = { .verb = VERB_DISK, .argv = argv };
	struct tvmm_client *client;
	struct tvmm_error err;
	unsigned index = 0;
	int code, ret, end = 0;

	if (!machine_args(&walk, 3, "disk NAME INDEX refresh", NULL, &code))
		return code;
	if (sscanf(walk.word[1], "%2u%n", &index, &end) != 1 || walk.word[1][end]) {
		say_fill(&err, TVMM_E_CONFIG, 0, walk.word[1], "this is not the number of a disk");
		say_fill_hint(&err, "the first disk is 0");
		return machine_failed(&err);
	}
	if (strcmp(walk.word[2], "refresh")) {
		say_fill(&err, TVMM_E_CONFIG, 0, walk.word[2], "this cannot be done to a disk");
		say_fill_hint(&err, "write tinyvmm disk %s %u refresh", walk.word[0], index);
		return machine_failed(&err);
	}
	ret = machine_connect(&client, walk.word[0], &err);
	if (!ret) {
		ret = tvmm_client_disk_refresh(client, index, &err);
		tvmm_client_close(client);
	}
	return ret ? machine_failed(&err) : CODE_OK;
}
