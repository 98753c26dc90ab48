/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_run.c - "tinyvmm run": arguments to configuration, configuration to machine, then one loop on the main thread over
 * stdin, signals, the machine's end and the clock, until there is an outcome to report.
 *
 * Signals ask the machine to stop and are not obeyed twice: the second one ends the process there and then.  Until the
 * machine is built they have their usual effect.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "crowd.h"
#include "keyboard.h"
#include "machines.h"
#include "opts.h"
#include "result.h"
#include "rundir.h"
#include "say.h"
#include "terminal.h"

enum {
	STOP_GRACE_NS = 2000000000, /* for a machine asked to stop; then we leave without it */
	RELEASE_NS = 500000000,     /* for giving back what a machine had */
	SAME_SIGNAL_NS = 300000000, /* a hang-up comes from the kernel and from the shell: that is one signal */
	DRAIN_LOOK_NS = 20000000,   /* between looks at a machine that ended but still writes its console out */
};

struct run_args {
	struct tvmm_config *cfg;
	const char *result_file;
	const char *timeout; /* as written */
	const char *name, *control; /* likewise; NULL: not given */
	uint64_t timeout_ns;
	int escape_key;
	int log_level;
	bool dry_run, quiet, help;
	bool console_stdio;
	bool on_panic_given;
};

enum why { WHY_GUEST, WHY_TIMEOUT, WHY_SIGNAL, WHY_KEY };

struct run {
	const struct run_args *args;
	struct tvmm_vm *vm;
	struct rundir_place place;
	struct keyboard keyboard; /* if console_stdio */
	int signals;              /* read end of the handlers' pipe */
	bool watch_stdout;        /* it is a pipe: its reader may go */
	enum why why;             /* who asked for the end, if not the guest */
	int stop_signal;
	uint64_t deadline;        /* of --timeout; 0: none */
	uint64_t give_up;         /* when to stop waiting for a stopped machine; 0: not asked to stop */
	bool draining;
	bool ended, abandoned;
	struct outcome outcome;
};

/* ---- arguments -------------------------------------------------------------------------------------------------- */

static int take_config(struct run_args *args, const char *name, const char *value, struct tvmm_error *err)
{
	int ret = tvmm_config_set(args->cfg, name, value, err);

	if (ret) {
		opts_dash_object(err);
		return ret;
	}
	if (!strcmp(name, "console"))
		args->console_stdio = !strcmp(value, "stdio");
	if (!strcmp(name, "on-panic"))
		args->on_panic_given = true;
	if (!strcmp(name, "name"))
		args->name = value;
	return 0;
}

static int take_option(struct run_args *args, const struct opt *opt, const char *value, struct tvmm_error *err)
{
	bool on = !strcmp(value, "on");

	switch (opt->id) {
	case OPT_CONFIG:
		return take_config(args, opt->name, value, err);
	case OPT_TIMEOUT:
		args->timeout = value;
		return opts_duration("--timeout", value, &args->timeout_ns, err);
	case OPT_RESULT_FILE:
		args->result_file = value;
		return 0;
	case OPT_DRY_RUN:
		args->dry_run = on;
		return 0;
	case OPT_LOG_LEVEL:
		return opts_log_level(value, &args->log_level, err);
	case OPT_QUIET:
		args->quiet = on;
		return 0;
	case OPT_ESCAPE:
		return opts_escape(value, &args->escape_key, err);
	case OPT_HELP:
		args->help |= on;
		return 0;
	case OPT_CONTROL:
		args->control = value;
		return 0;
	case OPT_WAIT:
	case OPT_FORCE:
	case OPT_JSON:
		break;
	}
	return 0;
}

/* Reports the first mistake, but looks at the rest for --result-file and --help, which serve whoever made it. */
static int parse_args(struct run_args *args, char *const argv[], struct tvmm_error *err)
{
	struct opts_walk walk = { .verb = VERB_RUN, .argv = argv };
	struct tvmm_error later;
	const struct opt *opt;
	const char *value;
	int first = 0, ret;

	while ((ret = opts_next(&walk, &opt, &value, first ? &later : err)) != 0) {
		if (ret > 0 && (!first || opt->id == OPT_RESULT_FILE || opt->id == OPT_HELP))
			ret = take_option(args, opt, value, first ? &later : err);
		if (ret < 0 && !first)
			first = ret;
	}
	return first;
}

/* ---- signals ---------------------------------------------------------------------------------------------------- */

static const int watched[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH };

/* Process-wide like the handlers that use it. */
static int signal_pipe_in = -1;

static void on_signal(int sig)
{
	unsigned char byte = (unsigned char)sig;
	int saved = errno;

	(void)!write(signal_pipe_in, &byte, 1);
	errno = saved;
}

static void set_handler(int sig, void (*fn)(int))
{
	struct sigaction act = { .sa_handler = fn, .sa_flags = SA_RESTART };

	sigaction(sig, &act, NULL);
}

/* What the parent had us ignore (nohup, a script's "&") stays ignored. */
static bool is_ignored(int sig)
{
	struct sigaction act;

	return !sigaction(sig, NULL, &act) && act.sa_handler == SIG_IGN;
}

static int watch_signals(struct run *r, struct tvmm_error *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return say_fill(err, TVMM_E_HOST, errno, NULL, "cannot make a pipe for signals");
	r->signals = fds[0];
	signal_pipe_in = fds[1];
	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++) {
		if (!is_ignored(watched[i]))
			set_handler(watched[i], on_signal);
	}
	set_handler(SIGPIPE, SIG_IGN);
	return 0;
}

static void unwatch_signals(void)
{
	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++) {
		if (!is_ignored(watched[i]))
			set_handler(watched[i], SIG_DFL);
	}
}

static const char *signal_name(int sig)
{
	return sig == SIGINT ? "SIGINT" : sig == SIGTERM ? "SIGTERM" : sig == SIGHUP ? "SIGHUP" : "SIGQUIT";
}

/* ---- the end ---------------------------------------------------------------------------------------------------- */

static void stop(struct run *r, enum why why, int sig)
{
	if (r->give_up)
		return;
	r->why = why;
	r->stop_signal = sig;
	r->give_up = now_ns() + STOP_GRACE_NS;
	tvmm_vm_request(r->vm, TVMM_REQ_STOP, NULL);
}

/* What to say of a machine that ended because we asked. */
static void outcome_of_stop(struct outcome *o, const struct run *r)
{
	*o = (struct outcome){ .reason = "killed", .exit_status = CODE_SIGNAL + r->stop_signal };
	switch (r->why) {
	case WHY_TIMEOUT:
		o->reason = "timeout";
		o->exit_status = CODE_TIMEOUT;
		snprintf(o->detail, sizeof(o->detail), "the machine still ran after %s", r->args->timeout);
		break;
	case WHY_SIGNAL:
		if (r->stop_signal == SIGPIPE)
			snprintf(o->detail, sizeof(o->detail), "nobody reads the console any more");
		else
			snprintf(o->detail, sizeof(o->detail), "stopped by %s", signal_name(r->stop_signal));
		break;
	case WHY_KEY:
		snprintf(o->detail, sizeof(o->detail), "ended from the keyboard");
		break;
	case WHY_GUEST:
		o->exit_status = CODE_FAILED;
		snprintf(o->detail, sizeof(o->detail), "the machine was stopped");
		break;
	}
}

static void report(const struct run_args *args, const struct outcome *o)
{
	struct tvmm_error err;

	if (args->result_file && result_write(args->result_file, o, &err))
		say_error(&err);
}

static void obey_second_signal(struct run *r, int sig)
{
	terminal_restore();
	r->stop_signal = sig;
	outcome_of_stop(&r->outcome, r);
	report(r->args, &r->outcome);
	set_handler(sig, SIG_DFL);
	raise(sig);
}

/* Has it ended?  Its console may take a while to be written out after that. */
static void look(struct run *r, uint64_t now)
{
	struct tvmm_result result = { .size = sizeof(result) };

	if (!tvmm_vm_wait(r->vm, 0, &result)) {
		if (result.reason == TVMM_STOPPED)
			outcome_of_stop(&r->outcome, r);
		else
			outcome_of_machine(&r->outcome, &result);
		r->ended = true;
	} else if (r->give_up && now >= r->give_up) {
		outcome_of_stop(&r->outcome, r);
		r->ended = r->abandoned = true;
	}
}

/* ---- the loop --------------------------------------------------------------------------------------------------- */

static void suspend(void)
{
	terminal_restore();
	set_handler(SIGTSTP, SIG_DFL);
	raise(SIGTSTP); /* returns when we are continued */
	set_handler(SIGTSTP, on_signal);
}

static void tell_size(const struct run *r)
{
	unsigned cols, rows;

	if (r->args->console_stdio && terminal_size(&cols, &rows))
		tvmm_vm_console_resize(r->vm, cols, rows);
}

static void take_signals(struct run *r)
{
	unsigned char sig;

	while (read(r->signals, &sig, 1) == 1) {
		if (sig == SIGTSTP)
			suspend();
		else if (sig == SIGCONT)
			terminal_continued();
		if (sig == SIGTSTP || sig == SIGCONT || sig == SIGWINCH) /* the background does not hear of a new size */
			tell_size(r);
		else if (!r->give_up)
			stop(r, WHY_SIGNAL, sig);
		else if (now_ns() > r->give_up - STOP_GRACE_NS + SAME_SIGNAL_NS)
			obey_second_signal(r, sig);
	}
}

static void say_keys(int key)
{
	char name[16];

	escape_name(key, name, sizeof(name));
	say_note("tinyvmm: %s three times ends the machine, %s . presses its power button, %s ? shows this.", name, name,
		 name);
}

static void take_action(struct run *r, enum escape_action action)
{
	switch (action) {
	case ESCAPE_NONE:
		break;
	case ESCAPE_KILL:
		stop(r, WHY_KEY, SIGINT);
		break;
	case ESCAPE_POWER:
		say_note("tinyvmm: pressing the power button");
		tvmm_vm_request(r->vm, TVMM_REQ_POWER_BUTTON, NULL);
		break;
	case ESCAPE_HELP:
		say_keys(r->args->escape_key);
		break;
	}
}

static void sooner(uint64_t *due, uint64_t other)
{
	if (other && (!*due || other < *due))
		*due = other;
}

static int poll_timeout(const struct run *r, uint64_t now)
{
	uint64_t due = r->give_up ? r->give_up : r->deadline;

	if (r->args->console_stdio)
		sooner(&due, keyboard_due(&r->keyboard, now));
	if (r->draining)
		sooner(&due, now + DRAIN_LOOK_NS);
	if (!due)
		return -1;
	if (due <= now)
		return 0;
	due = (due - now + 999999) / 1000000;
	return due > INT_MAX ? INT_MAX : (int)due;
}

static void step(struct run *r)
{
	enum { SIGNALS, MACHINE, STDOUT, KEYS, COUNT = KEYS + 2 };
	struct pollfd fds[COUNT] = {
		[SIGNALS] = { .fd = r->signals, .events = POLLIN },
		[MACHINE] = { .fd = r->draining ? -1 : tvmm_vm_fd(r->vm), .events = POLLIN },
		[STDOUT] = { .fd = r->watch_stdout && !r->give_up ? STDOUT_FILENO : -1 },
		[KEYS] = { .fd = -1 },
		[KEYS + 1] = { .fd = -1 },
	};
	uint64_t now = now_ns();

	if (r->args->console_stdio)
		keyboard_poll(&r->keyboard, &fds[KEYS]);
	if (poll(fds, COUNT, poll_timeout(r, now)) < 0)
		return; /* EINTR: the handler's byte is in the pipe */
	now = now_ns();
	if (fds[SIGNALS].revents)
		take_signals(r);
	if (r->args->console_stdio)
		take_action(r, keyboard_service(&r->keyboard, &fds[KEYS], now));
	if (fds[STDOUT].revents & POLLERR)
		stop(r, WHY_SIGNAL, SIGPIPE);
	if (r->deadline && now >= r->deadline)
		stop(r, WHY_TIMEOUT, 0);
	if (fds[MACHINE].revents)
		r->draining = true;
	if (r->draining || r->give_up)
		look(r, now);
}

/* ---- from configuration to outcome ------------------------------------------------------------------------------ */

static bool is_pipe(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

static void on_log(void *arg, int level, const char *line)
{
	say_log(level, line);
}

/*
 * A machine with a name has a control socket, where other commands look for it.  Where no folder can be had for that, the
 * machine runs all the same.
 */
static int choose_control(struct run *r, struct tvmm_error *err)
{
	const struct run_args *args = r->args;

	if (args->dry_run)
		return 0;
	if (args->control)
		return tvmm_config_set(args->cfg, "control", args->control, err);
	if (!args->name)
		return 0;
	if (rundir_make(&r->place, args->name, err)) {
		char text[512];

		say_describe(err, text, sizeof(text));
		if (!args->quiet)
			say_note("tinyvmm: no control socket: %s", text);
		return 0;
	}
	return tvmm_config_set(args->cfg, "control", r->place.config, err);
}

/* What depends on where the command runs rather than on what was asked. */
static int finish_config(struct run *r, struct tvmm_error *err)
{
	const struct run_args *args = r->args;
	bool interactive = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	char console[32];
	int ret;

	tvmm_config_set_log(args->cfg, on_log, NULL, args->quiet ? TVMM_LOG_ERROR : args->log_level);
	if (!args->on_panic_given) {
		ret = tvmm_config_set(args->cfg, "on-panic", interactive ? "stay" : "exit", err);
		if (ret)
			return ret;
	}
	ret = choose_control(r, err);
	if (ret || !args->console_stdio || args->dry_run)
		return ret;
	ret = keyboard_open(&r->keyboard, STDIN_FILENO, args->escape_key, err);
	if (ret)
		return ret;
	snprintf(console, sizeof(console), "fd=%d:%d", r->keyboard.guest_fd, STDOUT_FILENO);
	r->watch_stdout = is_pipe(STDOUT_FILENO);
	return tvmm_config_set(args->cfg, "console", console, err);
}

static int describe(struct tvmm_vm *vm, struct tvmm_error *err)
{
	enum { LARGE = 65536 };
	char *text = malloc(LARGE);
	int ret;

	if (!text)
		return say_fill(err, TVMM_E_MEMORY, ENOMEM, NULL, "cannot describe the machine");
	ret = tvmm_vm_describe(vm, text, LARGE);
	if (ret < 0)
		ret = say_fill(err, TVMM_E_HOST, -ret, NULL, "cannot describe the machine");
	else if (fputs(text, stdout) < 0 || fflush(stdout))
		ret = say_fill(err, TVMM_E_IO, errno, "stdout", "cannot write");
	free(text);
	return ret < 0 ? ret : 0;
}

/* After the start, which this is not to delay. */
static void warn_of_crowd(const struct run *r)
{
	struct tvmm_stats s = { .size = sizeof(s) };
	struct crowd c;
	char text[256];

	if (r->args->quiet || r->args->log_level < TVMM_LOG_WARN || tvmm_vm_stats(r->vm, &s))
		return;
	crowd_count(&c, s.memory_configured);
	crowd_describe(&c, text, sizeof(text));
	if (*text)
		say_log(TVMM_LOG_WARN, text);
}

static int run_machine(struct run *r, struct tvmm_error *err)
{
	const struct run_args *args = r->args;
	int ret = watch_signals(r, err);

	if (ret)
		return ret;
	if (args->console_stdio && r->keyboard.is_tty && terminal_raw() && !args->quiet && args->escape_key >= 0)
		say_keys(args->escape_key);
	tell_size(r);
	ret = tvmm_vm_start(r->vm, err);
	if (ret)
		return ret;
	if (args->timeout_ns)
		r->deadline = now_ns() + args->timeout_ns;
	warn_of_crowd(r);
	while (!r->ended)
		step(r);
	return 0;
}

static int build_and_run(struct run *r, struct tvmm_error *err)
{
	const struct run_args *args = r->args;
	int ret = finish_config(r, err);

	if (!ret)
		ret = tvmm_vm_create(&r->vm, args->cfg, err);
	if (ret && err->code == TVMM_E_CONFIG)
		opts_dash_object(err);
	if (!ret)
		ret = args->dry_run ? describe(r->vm, err) : run_machine(r, err);
	return ret;
}

static int show_help(void)
{
	opts_help(VERB_RUN, stdout);
	return fflush(stdout) ? CODE_FAILED : CODE_OK;
}

static void *free_vm(void *vm)
{
	tvmm_vm_free(vm);
	return NULL;
}

/* A host that does not answer may hold a machine's memory for long, but not us: what is left goes with the process. */
static void release(struct tvmm_vm *vm)
{
	struct timespec until;
	pthread_t thread;

	if (!vm || pthread_create(&thread, NULL, free_vm, vm)) {
		tvmm_vm_free(vm);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += RELEASE_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_timedjoin_np(thread, NULL, &until);
}

int cmd_run(char *const argv[])
{
	struct run_args args = { .escape_key = ']' - '@', .log_level = TVMM_LOG_WARN, .console_stdio = true };
	struct run r = { .args = &args, .signals = -1,
			 .keyboard = { .in_fd = -1, .guest_fd = -1, .to_guest = -1 },
			 .outcome = { .exit_status = CODE_OK, .reason = "dry-run" } };
	struct tvmm_error err = { 0 };
	int ret;

	args.cfg = tvmm_config_new();
	if (!args.cfg)
		return CODE_FAILED;
	ret = parse_args(&args, argv, &err);
	if (args.help) {
		tvmm_config_free(args.cfg);
		return show_help();
	}
	if (!ret && args.result_file) {
		ret = result_prepare(args.result_file, &err);
		if (ret)
			args.result_file = NULL;
	}
	if (!ret)
		ret = build_and_run(&r, &err);
	terminal_restore();
	if (ret)
		outcome_of_error(&r.outcome, &err);
	if (r.outcome.exit_status)
		say_sentence(r.outcome.detail, r.outcome.hint);
	report(&args, &r.outcome);
	/* From here on there is nothing to save: a signal may have its usual effect on a slow release. */
	if (r.signals >= 0)
		unwatch_signals();
	if (!r.abandoned) {
		release(r.vm);
		rundir_remove(&r.place);
		keyboard_close(&r.keyboard);
	}
	tvmm_config_free(args.cfg);
	return r.outcome.exit_status;
}
