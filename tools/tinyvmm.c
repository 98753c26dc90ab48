/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tinyvmm.c - the command: finds the verb.  Everything in this folder uses the library through tinyvmm.h alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "opts.h"
#include "result.h"
#include "say.h"

/* A descriptor 0, 1 or 2 that is closed would be given to the next file opened, a disk perhaps, and then printed to. */
static int fill_standard_fds(struct tvmm_error *err)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		/* The lowest free number: FD itself. */
		if (open("/dev/null", O_RDWR) < 0)
			return say_fill(err, TVMM_E_HOST, errno, "/dev/null", "cannot stand in for a closed standard descriptor");
	}
	return 0;
}

/* stdout is buffered: what was printed counts as done only when it has left. */
static int printed(void)
{
	struct tvmm_error err;

	if (!ferror(stdout) && !fflush(stdout))
		return CODE_OK;
	say_fill(&err, TVMM_E_IO, errno, "stdout", "cannot write");
	say_error(&err);
	return CODE_FAILED;
}

static int unknown_verb(const char *name, const char *near)
{
	struct tvmm_error err;

	say_fill(&err, TVMM_E_CONFIG, 0, name, "unknown command");
	if (near)
		say_fill_hint(&err, "did you mean %s?", near);
	else
		say_fill_hint(&err, "commands are run, list, info, mem, metrics, stop, disk, check, version, help; to boot a kernel: tinyvmm --kernel %s", name);
	say_error(&err);
	return CODE_FAILED;
}

static int cmd_help(char *const argv[])
{
	enum opts_verb verb = VERB_RUN;
	const char *near;

	if (argv[0] && argv[0][0] == '-') {
		struct opts_walk walk = { .verb = VERB_HELP, .argv = argv };
		const struct opt *opt;
		const char *value;
		struct tvmm_error err;

		if (opts_next(&walk, &opt, &value, &err) < 0) {
			say_error(&err);
			return CODE_FAILED;
		}
		verb = VERB_HELP;
	} else if (argv[0]) {
		verb = opts_find_verb(argv[0], &near);
		if (verb == VERB_NONE)
			return unknown_verb(argv[0], near);
	}
	opts_help(verb, stdout);
	return printed();
}

static int cmd_version(char *const argv[])
{
	struct opts_walk walk = { .verb = VERB_VERSION, .argv = argv };
	const struct opt *opt;
	const char *value;
	struct tvmm_error err;
	int ret = opts_next(&walk, &opt, &value, &err);

	if (ret < 0) {
		say_error(&err);
		return CODE_FAILED;
	}
	if (ret)
		opts_help(VERB_VERSION, stdout);
	else
		printf("tinyvmm %s\n", tvmm_version());
	return printed();
}

int main(int argc, char *argv[])
{
	enum opts_verb verb = VERB_RUN;
	struct tvmm_error err;
	const char *near;

	if (fill_standard_fds(&err) < 0) {
		say_error(&err);
		return CODE_FAILED;
	}
	if (argc < 2) {
		opts_help_short(stderr);
		return CODE_FAILED;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))
		return cmd_version(argv + 2);
	if (argv[1][0] != '-') {
		verb = opts_find_verb(argv[1], &near);
		if (verb == VERB_NONE)
			return unknown_verb(argv[1], near);
		argv++;
	}
	switch (verb) {
	case VERB_NONE:
	case VERB_RUN:
		break;
	case VERB_LIST:
		return cmd_list(argv + 1);
	case VERB_INFO:
		return cmd_info(argv + 1);
	case VERB_MEM:
		return cmd_mem(argv + 1);
	case VERB_METRICS:
		return cmd_metrics(argv + 1);
	case VERB_STOP:
		return cmd_stop(argv + 1);
	case VERB_DISK:
		return cmd_disk(argv + 1);
	case VERB_CHECK:
		return cmd_check(argv + 1);
	case VERB_VERSION:
		return cmd_version(argv + 1);
	case VERB_HELP:
		return cmd_help(argv + 1);
	}
	return cmd_run(argv + 1);
}
