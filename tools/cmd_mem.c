/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_mem.c - "tinyvmm mem NAME [SIZE|auto|trim]": what the guest of a running machine has of its memory, and asking it to
 * keep within less.  Sizes are always what the guest sees.  Main thread; talks to the machine's control socket.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "machines.h"
#include "opts.h"
#include "result.h"
#include "say.h"

#define REACHED (UINT64_C(1) << 20) /* so near to its target a guest has come to it */

struct mem_args {
	const char *name, *what;
	bool json, wait, help;
	const char *limit; /* as written */
	uint64_t limit_ns; /* 0: none */
};

static void print_line(const char *name, const struct tvmm_memory *m)
{
	printf("%s  ", name);
	machine_print_memory(m);
	printf("\n");
}

static int print_memory(struct tvmm_client *client, const struct mem_args *args, struct tvmm_error *err)
{
	struct tvmm_memory m = { .size = sizeof(m) };
	const char *reply;
	int ret;

	if (args->json) {
		ret = tvmm_client_call(client, "GetMemory", NULL, &reply, err);
		if (!ret)
			printf("%s\n", reply);
	} else {
		ret = tvmm_client_memory(client, &m, err);
		if (!ret)
			print_line(args->name, &m);
	}
	return ret;
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

static int ask(struct tvmm_client *client, const char *what, struct tvmm_error *err)
{
	uint64_t bytes = TVMM_MEMORY_AUTO;
	int ret = 0;

	if (!strcmp(what, "trim"))
		return tvmm_client_trim_memory(client, err);
	if (strcmp(what, "auto"))
		ret = opts_size(what, &bytes, err);
	return ret ? ret : tvmm_client_set_memory(client, bytes, err);
}

static bool has_come(const struct tvmm_memory *m)
{
	return m->actual > m->target ? m->actual - m->target <= REACHED : m->target - m->actual <= REACHED;
}

/* 0, a negative errno, or CODE_TIMEOUT with *ERR saying where the guest stands. */
static int wait_for_guest(struct tvmm_client *client, const struct mem_args *args, struct tvmm_error *err)
{
	uint64_t end = now_ns() + args->limit_ns;
	struct tvmm_memory m = { .size = sizeof(m) };
	unsigned ms = 10;
	int ret;

	for (;;) {
		ret = tvmm_client_memory(client, &m, err);
		if (ret || has_come(&m))
			return ret;
		if (args->limit_ns && now_ns() >= end)
			break;
		pause_ms(ms);
		ms = ms < 160 ? 2 * ms : 250;
	}
	say_fill(err, TVMM_E_BUSY, 0, args->name, "the guest did not come to %s within %s, it has %s", show_size(m.target).s,
		 args->limit, show_size(m.actual).s);
	if (!m.driver)
		say_fill_hint(err, "no balloon driver runs in the guest; Linux calls it virtio_balloon");
	return CODE_TIMEOUT;
}

static int mem(const struct mem_args *args)
{
	struct tvmm_client *client;
	struct tvmm_error err = { 0 };
	int late = 0, ret;

	ret = machine_connect(&client, args->name, &err);
	if (ret)
		return machine_failed(&err);
	if (args->what)
		ret = ask(client, args->what, &err);
	if (!ret && args->wait)
		late = wait_for_guest(client, args, &err);
	if (late == CODE_TIMEOUT)
		say_error(&err);
	else if (!ret)
		ret = late;
	if (!ret)
		ret = print_memory(client, args, &err);
	tvmm_client_close(client);
	if (ret)
		return machine_failed(&err);
	return machine_printed() ? CODE_FAILED : late;
}

/* ---- arguments -------------------------------------------------------------------------------------------------- */

static int take_option(struct mem_args *args, const struct opt *opt, const char *value, struct tvmm_error *err)
{
	if (opt->id == OPT_HELP) {
		args->help = true;
	} else if (opt->id == OPT_JSON) {
		args->json = !strcmp(value, "on");
	} else if (opt->id == OPT_WAIT) {
		args->wait = strcmp(value, "off");
		args->limit = value;
		args->limit_ns = 0;
		if (strcmp(value, "on") && strcmp(value, "off"))
			return opts_duration("--wait", value, &args->limit_ns, err);
	}
	return 0;
}

int cmd_mem(char *const argv[])
{
	struct opts_walk walk = { .verb = VERB_MEM, .argv = argv, .max_words = 2 };
	struct mem_args args = { .name = NULL };
	const struct opt *opt;
	const char *value;
	struct tvmm_error err;
	int ret;

	while ((ret = opts_next(&walk, &opt, &value, &err)) > 0) {
		ret = take_option(&args, opt, value, &err);
		if (ret < 0)
			break;
	}
	if (args.help) {
		opts_help(VERB_MEM, stdout);
		return machine_printed();
	}
	if (!ret && !walk.n_words) {
		ret = say_fill(&err, TVMM_E_CONFIG, 0, NULL, "the machine's name is missing");
		say_fill_hint(&err, "write tinyvmm mem NAME");
	}
	if (ret < 0)
		return machine_failed(&err);
	args.name = walk.word[0];
	args.what = walk.n_words > 1 ? walk.word[1] : NULL;
	return mem(&args);
}
