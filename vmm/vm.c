/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm.c - the public calls on a machine, and its lifecycle thread.
 *
 * The lifecycle thread waits for the guest's end, restarts it if that is wanted, and closes the machine down; so an
 * embedder needs to wait for nothing.  vm->lock guards the state and orders before the machine's locks.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include "bits.h"
#include "control.h"
#include "machine.h"
#include "metrics.h"
#include "thread.h"
#include "vm.h"

enum vm_state { VM_CREATED, VM_RUNNING, VM_ENDED };

struct tvmm_vm {
	const struct host *host;
	struct machine *m;
	uint64_t created_ns;
	int end_fd; /* an eventfd, readable once the machine has ended */
	pthread_t life;
	bool life_started;
	struct control *control; /* NULL: none */
	pthread_mutex_t figures_lock; /* one call that reads or changes figures at a time, also when no loop runs any more to order them */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	enum vm_state state;
	bool stop_requested;
};

const char *tvmm_version(void)
{
	return TVMM_VERSION;
}

static int open_control(struct tvmm_vm *vm, const struct tvmm_config *cfg, struct tvmm_error *err)
{
	struct control_desc d = { .host = vm->host, .vm = vm, .path = cfg->control, .name = vm->m->name, .cpus = cfg->cpus };

	return cfg->control ? control_create(&vm->control, &d, err) : 0;
}

int vm_create_on(struct tvmm_vm **out, const struct tvmm_config *cfg, const struct host *host, struct tvmm_error *err)
{
	struct tvmm_vm *vm;
	int ret;

	ret = config_check(cfg, err);
	if (ret)
		return ret;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return err_set(err, TVMM_E_MEMORY, ENOMEM, NULL, "out of memory");
	vm->host = host;
	vm->created_ns = host->now_ns(host);
	vm->end_fd = host->eventfd(host, 0, EFD_NONBLOCK);
	if (vm->end_fd < 0) {
		ret = err_set(err, TVMM_E_HOST, -vm->end_fd, NULL, "cannot create an eventfd");
		free(vm);
		return ret;
	}
	ret = machine_create(&vm->m, cfg, host, err);
	if (ret) {
		host->close(host, vm->end_fd);
		free(vm);
		return ret;
	}
	pthread_mutex_init(&vm->lock, NULL);
	thread_cond_init(&vm->changed);
	pthread_mutex_init(&vm->figures_lock, NULL);
	ret = open_control(vm, cfg, err);
	if (ret) {
		tvmm_vm_free(vm);
		return ret;
	}
	*out = vm;
	return 0;
}

int tvmm_vm_create(struct tvmm_vm **out, const struct tvmm_config *cfg, struct tvmm_error *err)
{
	return vm_create_on(out, cfg, host_linux(), err);
}

static bool wants_restart(struct tvmm_vm *vm)
{
	bool yes;

	pthread_mutex_lock(&vm->lock);
	yes = vm->m->result.reason == TVMM_REBOOT && vm->m->on_reboot == CONFIG_REBOOT_RESTART && !vm->stop_requested;
	pthread_mutex_unlock(&vm->lock);
	return yes;
}

/* A fresh guest.  Where the host cannot make one, the machine ends, and says why. */
static bool restart(struct tvmm_vm *vm)
{
	struct tvmm_error err;
	int ret = machine_restart(vm->m, &err);

	if (!ret)
		ret = machine_start(vm->m, &err);
	if (ret) {
		pthread_mutex_lock(&vm->m->lock);
		vm->m->result.reason = TVMM_HOST_ERROR;
		snprintf(vm->m->result.detail, sizeof(vm->m->result.detail), "the guest rebooted and could not be restarted: "
			 "%s%s%s", err.message, err.object[0] ? ": " : "", err.object);
		pthread_mutex_unlock(&vm->m->lock);
		return false;
	}
	/* A stop that came between the old guest's end and the new one's start. */
	pthread_mutex_lock(&vm->lock);
	if (vm->stop_requested)
		machine_end(vm->m, TVMM_STOPPED, "stopped on request");
	pthread_mutex_unlock(&vm->lock);
	return true;
}

/* The one place where a machine is over: whoever learns of it in one way finds it so in the others.  Under vm->lock. */
static void set_ended_locked(struct tvmm_vm *vm)
{
	uint64_t one = 1;
	struct iovec iov = { &one, sizeof(one) };

	vm->state = VM_ENDED;
	vm->host->writev(vm->host, vm->end_fd, &iov, 1);
	pthread_cond_broadcast(&vm->changed);
}

static void *life_main(void *arg)
{
	struct tvmm_vm *vm = arg;

	do
		machine_wait(vm->m);
	while (wants_restart(vm) && restart(vm));
	machine_finish(vm->m);

	pthread_mutex_lock(&vm->lock);
	set_ended_locked(vm);
	pthread_mutex_unlock(&vm->lock);
	return NULL;
}

static int start_life(struct tvmm_vm *vm, struct tvmm_error *err)
{
	int ret = thread_start(vm->host, &vm->life, "tinyvmm/life", KIB(128), life_main, vm);

	if (ret)
		return err_set(err, TVMM_E_HOST, -ret, NULL, "cannot start the lifecycle thread");
	vm->life_started = true;
	return 0;
}

int tvmm_vm_start(struct tvmm_vm *vm, struct tvmm_error *err)
{
	int ret;

	pthread_mutex_lock(&vm->lock);
	if (vm->state != VM_CREATED) {
		ret = err_set(err, TVMM_E_BUSY, EBUSY, NULL, "the machine was started or stopped before");
	} else {
		ret = machine_start(vm->m, err);
		if (!ret) {
			ret = start_life(vm, err);
			if (ret) {
				machine_end(vm->m, TVMM_HOST_ERROR, "the lifecycle thread could not be started");
				machine_wait(vm->m);
				machine_finish(vm->m);
			}
		}
		if (ret)
			set_ended_locked(vm);
		else
			vm->state = VM_RUNNING;
	}
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

int tvmm_vm_request(struct tvmm_vm *vm, int request, struct tvmm_error *err)
{
	int ret = 0;

	pthread_mutex_lock(&vm->lock);
	switch (request) {
	case TVMM_REQ_STOP:
		vm->stop_requested = true;
		machine_end(vm->m, TVMM_STOPPED, "stopped on request");
		if (vm->state == VM_CREATED)
			set_ended_locked(vm);
		break;
	case TVMM_REQ_POWER_BUTTON:
		if (vm->state == VM_RUNNING)
			machine_power_button(vm->m);
		break;
	default:
		ret = err_set(err, TVMM_E_CONFIG, EINVAL, NULL, "request %d is not known", request);
	}
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

int tvmm_vm_console_resize(struct tvmm_vm *vm, unsigned cols, unsigned rows)
{
	if (cols > UINT16_MAX || rows > UINT16_MAX)
		return -EINVAL;
	pthread_mutex_lock(&vm->lock);
	machine_console_resize(vm->m, (uint16_t)cols, (uint16_t)rows);
	pthread_mutex_unlock(&vm->lock);
	return 0;
}

int tvmm_vm_disk_refresh(struct tvmm_vm *vm, unsigned index, struct tvmm_error *err)
{
	int ret;

	pthread_mutex_lock(&vm->lock);
	ret = machine_disk_refresh(vm->m, index, err);
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

int tvmm_vm_wait(struct tvmm_vm *vm, int timeout_ms, struct tvmm_result *result)
{
	struct timespec until = thread_deadline((unsigned)MAX(timeout_ms, 0));
	int ret = 0;

	pthread_mutex_lock(&vm->lock);
	while (vm->state != VM_ENDED && ret != ETIMEDOUT) {
		if (timeout_ms < 0)
			pthread_cond_wait(&vm->changed, &vm->lock);
		else
			ret = pthread_cond_timedwait(&vm->changed, &vm->lock, &until);
	}
	ret = vm->state == VM_ENDED ? 0 : -ETIMEDOUT;
	if (result && result->size > sizeof(size_t)) {
		struct tvmm_result now = { .reason = TVMM_RUNNING };

		if (!ret) {
			pthread_mutex_lock(&vm->m->lock);
			now = vm->m->result;
			pthread_mutex_unlock(&vm->m->lock);
		}
		copy_sized(result, result->size, &now, sizeof(now));
	}
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

int tvmm_vm_fd(const struct tvmm_vm *vm)
{
	return vm->end_fd;
}

int tvmm_vm_stats(struct tvmm_vm *vm, struct tvmm_stats *stats)
{
	struct tvmm_stats s = { 0 };
	uint64_t first = atomic_load(&vm->m->first_run_ns);

	if (stats->size <= sizeof(size_t))
		return -EINVAL;
	machine_stats(vm->m, &s);
	s.ns_to_run = first ? first - vm->created_ns : 0;
	copy_sized(stats, stats->size, &s, sizeof(s));
	return 0;
}

int tvmm_vm_set_memory(struct tvmm_vm *vm, uint64_t bytes, struct tvmm_error *err)
{
	int ret;

	pthread_mutex_lock(&vm->figures_lock);
	ret = memctl_set(&vm->m->memctl, bytes, err);
	pthread_mutex_unlock(&vm->figures_lock);
	return ret;
}

int tvmm_vm_trim_memory(struct tvmm_vm *vm, struct tvmm_error *err)
{
	int ret;

	pthread_mutex_lock(&vm->figures_lock);
	ret = memctl_trim(&vm->m->memctl, err);
	pthread_mutex_unlock(&vm->figures_lock);
	return ret;
}

int tvmm_vm_memory(struct tvmm_vm *vm, struct tvmm_memory *memory)
{
	struct tvmm_memory now;

	if (memory->size <= sizeof(size_t))
		return -EINVAL;
	pthread_mutex_lock(&vm->figures_lock);
	memctl_read(&vm->m->memctl, &now);
	pthread_mutex_unlock(&vm->figures_lock);
	copy_sized(memory, memory->size, &now, sizeof(now));
	return 0;
}

int tvmm_vm_kvm_counters(struct tvmm_vm *vm, struct tvmm_counters *counters, struct tvmm_error *err)
{
	int ret;

	if (counters->size != sizeof(*counters))
		return err_set(err, TVMM_E_CONFIG, EINVAL, NULL, "struct tvmm_counters has another size");
	pthread_mutex_lock(&vm->figures_lock);
	ret = machine_kvm_counters(vm->m, counters, err);
	pthread_mutex_unlock(&vm->figures_lock);
	return ret;
}

int tvmm_vm_metrics(struct tvmm_vm *vm, char *buf, size_t len)
{
	return metrics_text(vm, vm->m->name, buf, len);
}

int tvmm_vm_describe(struct tvmm_vm *vm, char *buf, size_t len)
{
	if (len)
		snprintf(buf, len, "%s", vm->m->description);
	return len ? 0 : -EINVAL;
}

void tvmm_vm_free(struct tvmm_vm *vm)
{
	if (!vm)
		return;
	tvmm_vm_request(vm, TVMM_REQ_STOP, NULL);
	if (vm->life_started)
		pthread_join(vm->life, NULL);
	control_destroy(vm->control); /* before what it looks at; after the end, which it tells */
	machine_destroy(vm->m);
	vm->host->close(vm->host, vm->end_fd);
	pthread_cond_destroy(&vm->changed);
	pthread_mutex_destroy(&vm->figures_lock);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}
