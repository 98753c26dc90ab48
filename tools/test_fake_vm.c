/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_fake_vm.c - a library without a machine, to try the command's loop, terminal and exit codes without /dev/kvm.
 *
 * The "guest" is one thread that follows the words of the configuration's append text: "say=X" writes X and a newline to
 * the console, "echo" copies console input to output in hexadecimal until a byte 'q' comes, "sleep=MS" waits,
 * "off", "reboot", "panic", "triple", "kvm", "host" end it so, "exit=V" does by its debug-exit port if it has one, "segv"
 * crashes the process, and the end of the text waits for a request.  "deaf" makes it ignore a stop, "calm" the power button; "sizes" has it tell the console's; "nostart" and "nocreate" fail those calls.  A power button press ends it as a power-off.
 *
 * Its memory is a number: the guest is where it is asked to be at once, but for "lazy", which stays where it is.  The
 * control socket is the real one.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bits.h"
#include "config.h"
#include "control.h"
#include "error.h"
#include "host.h"

struct tvmm_vm {
	char script[512];
	int in_fd, out_fd;
	int wake, done; /* eventfds */
	bool started, deaf, calm, has_exit, tells_sizes, lazy;
	enum config_reclaim reclaim;
	_Atomic uint64_t configured, min, target;
	_Atomic bool fixed;
	struct control *control;
	int32_t exit_status; /* set before the reason */
	atomic_int request;
	atomic_int reason;
	pthread_t thread;
};

const char *tvmm_version(void)
{
	return "0.0.0-fake";
}

int tvmm_probe(struct tvmm_probe *out, unsigned flags, struct tvmm_error *err)
{
	const char *mode = getenv("FAKE_HOST");

	*out = (struct tvmm_probe){ .size = sizeof(*out), .kvm_api = 12, .backend = TVMM_BACKEND_SVM, .kvm_usable = true,
				    .runs_stock_kernel = true, .backend_name = "kvm_amd", .platform = TVMM_ON_METAL,
				    .cost = TVMM_COST_NATIVE, .n_findings = 2,
				    .finding = { { .verdict = TVMM_PASS, .name = "/dev/kvm", .text = "API version 12" },
						 { .verdict = TVMM_PASS, .name = "guests", .text = "stock Linux kernels can run" } } };
	if (mode && !strcmp(mode, "soft")) {
		out->backend = TVMM_BACKEND_SOFTWARE;
		out->runs_stock_kernel = false;
		out->finding[1] = (struct tvmm_finding){ .verdict = TVMM_WARN, .name = "guests",
							 .text = "stock Linux kernels cannot run here: the probe stopped at XSAVE",
							 .fix = "use a host whose CPU offers VMX or SVM" };
	}
	if (mode && !strcmp(mode, "lost")) {
		out->runs_stock_kernel = false;
		out->cost = TVMM_COST_UNKNOWN;
		out->finding[1] = (struct tvmm_finding){ .verdict = TVMM_WARN, .name = "guests", .text = "the probe guest was lost" };
	}
	if (mode && !strcmp(mode, "none")) {
		*out = (struct tvmm_probe){ .size = sizeof(*out), .kvm_api = -1, .n_findings = 2,
					    .finding = { { .verdict = TVMM_FAIL, .name = "/dev/kvm", .text = "KVM is not available",
							   .fix = "sudo modprobe kvm_amd" },
							 { .verdict = TVMM_SKIP, .name = "guests", .text = "needs /dev/kvm" } } };
		err_set(err, TVMM_E_NO_KVM, ENOENT, "/dev/kvm", "KVM is not available");
		return -ENOENT;
	}
	return 0;
}

int tvmm_vm_create(struct tvmm_vm **out, const struct tvmm_config *cfg, struct tvmm_error *err)
{
	struct tvmm_vm *vm;
	int ret = config_check(cfg, err);

	if (ret)
		return ret;
	if (cfg->append && strstr(cfg->append, "nocreate"))
		return err_set(err, TVMM_E_KERNEL, ENOENT, cfg->kernel, "cannot open the kernel");
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return -ENOMEM;
	snprintf(vm->script, sizeof(vm->script), "%s", cfg->append ? cfg->append : "");
	vm->deaf = strstr(vm->script, "deaf");
	vm->calm = strstr(vm->script, "calm");
	vm->has_exit = cfg->debug_exit;
	vm->tells_sizes = strstr(vm->script, "sizes");
	vm->in_fd = cfg->console.in_fd;
	vm->out_fd = cfg->console.kind == CONFIG_CONSOLE_FD ? cfg->console.out_fd : -1;
	vm->wake = eventfd(0, EFD_CLOEXEC);
	vm->done = eventfd(0, EFD_CLOEXEC);
	vm->lazy = strstr(vm->script, "lazy");
	vm->configured = vm->target = cfg->memory;
	vm->min = cfg->memory_min ? cfg->memory_min : MIB(64);
	vm->reclaim = cfg->reclaim;
	if (cfg->control) {
		struct control_desc d = { .host = host_linux(), .vm = vm, .path = cfg->control, .cpus = cfg->cpus,
					  .name = cfg->name[0] ? cfg->name : "tinyvmm" };

		ret = control_create(&vm->control, &d, err);
		if (ret)
			tvmm_vm_free(vm);
	}
	if (!ret)
		*out = vm;
	return ret;
}

int tvmm_vm_stats(struct tvmm_vm *vm, struct tvmm_stats *stats)
{
	*stats = (struct tvmm_stats){ .size = sizeof(*stats), .exits_user = 1234, .exits_pio = 1000, .exits_mmio = 234,
				      .ns_to_run = vm->started ? 4000000 : 0, .memory_configured = vm->configured };
	return 0;
}

int tvmm_vm_memory(struct tvmm_vm *vm, struct tvmm_memory *m)
{
	*m = (struct tvmm_memory){ .size = sizeof(*m), .configured = vm->configured, .min = vm->min, .target = vm->target,
				   .actual = vm->lazy ? vm->configured : vm->target, .resident = vm->configured / 4,
				   .huge = vm->configured / 8, .reported = MIB(100), .weight = 100,
				   .reclaim = (int32_t)vm->reclaim, .driver = !vm->lazy, .fixed = vm->fixed };
	if (vm->reclaim == CONFIG_RECLAIM_AUTO && !vm->fixed) {
		m->stall_permille = 3;
		m->decided_ms = 1500;
		snprintf(m->pressure, sizeof(m->pressure), "green");
		snprintf(m->decision, sizeof(m->decision), "the host has plenty");
	}
	return 0;
}

int tvmm_vm_kvm_counters(struct tvmm_vm *vm, struct tvmm_counters *counters, struct tvmm_error *err)
{
	uint64_t n = vm->lazy ? 0 : 3;

	*counters = (struct tvmm_counters){ sizeof(*counters), (uint32_t)n, { { "exits", 5000 }, { "io_exits", 1000 }, { "fpu_reload", 7 } } };
	return n ? 0 : err_set(err, TVMM_E_UNSUPPORTED, EOPNOTSUPP, "KVM_GET_STATS_FD", "this host's KVM gives no counters");
}

int tvmm_vm_set_memory(struct tvmm_vm *vm, uint64_t bytes, struct tvmm_error *err)
{
	if (!vm->reclaim)
		return err_set(err, TVMM_E_UNSUPPORTED, EOPNOTSUPP, "memory", "this machine runs with reclaim=off");
	if (bytes && (bytes < vm->min || bytes > vm->configured))
		return err_set(err, TVMM_E_CONFIG, EINVAL, "memory", "%lu MiB is %s of this machine, %lu MiB", bytes >> 20,
			       bytes < vm->min ? "below the minimum" : "above the size",
			       (bytes < vm->min ? vm->min : vm->configured) >> 20);
	vm->fixed = bytes;
	vm->target = bytes ? bytes : vm->configured;
	return 0;
}

int tvmm_vm_trim_memory(struct tvmm_vm *vm, struct tvmm_error *err)
{
	return vm->lazy ? err_set(err, TVMM_E_UNSUPPORTED, ENODEV, "memory", "the guest has no balloon driver running") : 0;
}

int tvmm_vm_disk_refresh(struct tvmm_vm *vm, unsigned index, struct tvmm_error *err)
{
	return index ? err_set(err, TVMM_E_CONFIG, 0, NULL, "there is no disk %u", index) : 0;
}

static bool asked_to_end(const struct tvmm_vm *vm)
{
	return vm->request && !vm->deaf;
}

/* Waits for a request, console input (1) or the time. */
static int fake_wait(struct tvmm_vm *vm, int ms, bool input)
{
	uint64_t n;
	struct pollfd fds[2] = { { .fd = vm->wake, .events = POLLIN }, { .fd = input ? vm->in_fd : -1, .events = POLLIN } };

	if (asked_to_end(vm))
		return 0;
	if (vm->request)
		fds[0].fd = -1;
	if (poll(fds, 2, ms) > 0 && fds[0].revents && !vm->request)
		(void)!read(vm->wake, &n, sizeof(n)); /* not listened to */
	return fds[1].revents != 0;
}

static void say(struct tvmm_vm *vm, const char *text)
{
	if (vm->out_fd >= 0)
		(void)!write(vm->out_fd, text, strlen(text));
}

static void echo(struct tvmm_vm *vm)
{
	uint8_t byte = 0;
	char text[8];

	while (byte != 'q' && !asked_to_end(vm)) {
		if (!fake_wait(vm, -1, true))
			continue;
		if (read(vm->in_fd, &byte, 1) != 1)
			return;
		snprintf(text, sizeof(text), "%02x\n", byte);
		say(vm, text);
	}
}

static int ending(const char *word)
{
	static const struct {
		const char *word;
		int reason;
	} words[] = {
		{ "off", TVMM_POWEROFF },	{ "reboot", TVMM_REBOOT }, { "panic", TVMM_PANIC },
		{ "triple", TVMM_TRIPLE_FAULT }, { "kvm", TVMM_KVM_ERROR }, { "host", TVMM_HOST_ERROR },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strcmp(words[i].word, word))
			return words[i].reason;
	}
	return TVMM_RUNNING;
}

static int follow(struct tvmm_vm *vm)
{
	char *save = NULL;

	for (char *w = strtok_r(vm->script, " ", &save); w && !asked_to_end(vm); w = strtok_r(NULL, " ", &save)) {
		if (ending(w))
			return ending(w);
		if (!strncmp(w, "say=", 4)) {
			say(vm, w + 4);
			say(vm, "\n");
		} else if (!strncmp(w, "sleep=", 6)) {
			fake_wait(vm, atoi(w + 6), false);
		} else if (!strcmp(w, "echo")) {
			echo(vm);
		} else if (!strncmp(w, "exit=", 5) && vm->has_exit) {
			vm->exit_status = atoi(w + 5) << 1 | 1;
			return TVMM_DEBUG_EXIT;
		} else if (!strcmp(w, "segv")) {
			raise(SIGSEGV);
		}
	}
	while (!asked_to_end(vm))
		fake_wait(vm, -1, false);
	return vm->request == TVMM_REQ_POWER_BUTTON ? TVMM_POWEROFF : TVMM_STOPPED;
}

static void *guest(void *arg)
{
	struct tvmm_vm *vm = arg;
	uint64_t one = 1;

	vm->reason = follow(vm);
	(void)!write(vm->done, &one, sizeof(one));
	return NULL;
}

int tvmm_vm_start(struct tvmm_vm *vm, struct tvmm_error *err)
{
	if (strstr(vm->script, "nostart"))
		return err_set(err, TVMM_E_HOST, EMFILE, "vcpu 0", "cannot start");
	vm->started = !pthread_create(&vm->thread, NULL, guest, vm);
	return vm->started ? 0 : -EAGAIN;
}

int tvmm_vm_request(struct tvmm_vm *vm, int request, struct tvmm_error *err)
{
	uint64_t one = 1;

	if (request != TVMM_REQ_POWER_BUTTON || !vm->calm)
		vm->request = request;
	(void)!write(vm->wake, &one, sizeof(one));
	return 0;
}

int tvmm_vm_console_resize(struct tvmm_vm *vm, unsigned cols, unsigned rows)
{
	char text[32];

	snprintf(text, sizeof(text), "%ux%u\n", cols, rows);
	if (vm->tells_sizes)
		say(vm, text);
	return 0;
}

int tvmm_vm_wait(struct tvmm_vm *vm, int timeout_ms, struct tvmm_result *result)
{
	*result = (struct tvmm_result){ .size = sizeof(*result) };
	result->reason = vm->reason;
	result->exit_status = result->reason ? vm->exit_status : 0;
	return vm->reason ? 0 : -ETIMEDOUT;
}

int tvmm_vm_fd(const struct tvmm_vm *vm)
{
	return vm->done;
}

int tvmm_vm_describe(struct tvmm_vm *vm, char *buf, size_t len)
{
	snprintf(buf, len, "append: %s\n", vm->script);
	return 0;
}

void tvmm_vm_free(struct tvmm_vm *vm)
{
	if (!vm)
		return;
	if (vm->started) {
		tvmm_vm_request(vm, TVMM_REQ_STOP, NULL);
		pthread_join(vm->thread, NULL);
	}
	control_destroy(vm->control);
	close(vm->wake);
	close(vm->done);
	free(vm);
}
