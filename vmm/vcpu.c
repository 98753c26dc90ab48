/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vcpu.c - the run loop: KVM_RUN, what came back, again.
 */
#include "vcpu.h"

#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "bits.h"
#include "thread.h"
#include "x86_fault.h"

#define STACK_SIZE KIB(128)

/* Blocked in our threads but inside KVM_RUN, so whatever the process does with it elsewhere is not disturbed. */
int vcpu_kick_signal(void)
{
	return SIGRTMIN;
}

static int set_signal_mask(struct vcpu *v, struct tvmm_error *err)
{
	/* The kernel's sigset: 8 bytes, one bit a signal. */
	struct {
		struct kvm_signal_mask hdr;
		uint8_t set[8];
	} m = { .hdr.len = sizeof(m.set) };
	uint64_t mask = ~BIT_ULL(vcpu_kick_signal() - 1);
	int ret;

	memcpy(m.set, &mask, sizeof(mask));
	ret = v->env->kvm->host->ioctl(v->env->kvm->host, v->fd, KVM_SET_SIGNAL_MASK, (uintptr_t)&m);
	return ret < 0 ? err_set(err, TVMM_E_HOST, -ret, "KVM_SET_SIGNAL_MASK", "KVM refused it") : 0;
}

int vcpu_init(struct vcpu *v, const struct vcpu_env *env, unsigned index, struct tvmm_error *err)
{
	const struct host *h = env->kvm->host;
	void *run;
	int ret;

	/* Not the counters: they are totals, also over restarts, and others read them at any time. */
	v->env = env;
	v->index = index;
	v->fd = -1;
	v->run = NULL;
	v->started = false;
	atomic_store(&v->stop, false);
	ret = h->ioctl(h, env->kvm->vm_fd, KVM_CREATE_VCPU, index);
	if (ret < 0) {
		err_set(err, TVMM_E_HOST, -ret, "KVM_CREATE_VCPU", "KVM cannot create vCPU %u", index);
		if (ret == -EINVAL || ret == -EEXIST)
			err_hint(err, "this KVM allows %d vCPUs in a machine", kvm_cap(env->kvm, KVM_CAP_MAX_VCPUS));
		return ret;
	}
	v->fd = ret;
	ret = h->mmap(h, &run, NULL, (size_t)env->kvm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (ret) {
		err_set(err, TVMM_E_MEMORY, -ret, "vCPU", "cannot map the run page of vCPU %u", index);
		vcpu_fini(v);
		return ret;
	}
	v->run = run;
	ret = set_signal_mask(v, err);
	if (ret)
		vcpu_fini(v);
	return ret;
}

void vcpu_fini(struct vcpu *v)
{
	const struct host *h;

	if (!v->env)
		return;
	h = v->env->kvm->host;
	if (v->run)
		h->munmap(h, v->run, (size_t)v->env->kvm->run_size);
	if (v->fd >= 0)
		h->close(h, v->fd);
	v->run = NULL;
	v->fd = -1;
}

static void handle_io(struct vcpu *v)
{
	struct kvm_run *r = v->run;
	uint8_t *p = (uint8_t *)r + r->io.data_offset;

	/* A string instruction brings up to a page of accesses to one port, all of one size: 1, 2 or 4. */
	for (uint32_t i = 0; i < r->io.count; i++, p += r->io.size) {
		uint64_t val = 0;

		if (r->io.direction == KVM_EXIT_IO_OUT) {
			memcpy(&val, p, r->io.size);
			bus_write(v->env->pio, r->io.port, r->io.size, val);
		} else {
			val = bus_read(v->env->pio, r->io.port, r->io.size);
			memcpy(p, &val, r->io.size);
		}
	}
}

static void handle_mmio(struct vcpu *v)
{
	struct kvm_run *r = v->run;
	unsigned len = MIN(r->mmio.len, (uint32_t)sizeof(r->mmio.data));
	uint64_t val = 0;

	if (r->mmio.is_write) {
		memcpy(&val, r->mmio.data, len);
		bus_write(v->env->mmio, r->mmio.phys_addr, len, val);
	} else {
		val = bus_read(v->env->mmio, r->mmio.phys_addr, len);
		memcpy(r->mmio.data, &val, sizeof(val));
	}
}

static void bump(_Atomic uint64_t *counter)
{
	/* One writer: no locked instruction is needed, readers see whole values. */
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* What KVM_RUN brought back.  True: go on; false: *WHY says why not. */
static bool handle_exit(struct vcpu *v, struct tvmm_result *why)
{
	switch (v->run->exit_reason) {
	case KVM_EXIT_IO:
		bump(&v->exits_pio);
		handle_io(v);
		return true;
	case KVM_EXIT_MMIO:
		bump(&v->exits_mmio);
		handle_mmio(v);
		return true;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		return true;
	default:
		x86_fault_explain(v, why);
		return false;
	}
}

/* The kick is pending while it is blocked, and would end every KVM_RUN: take it out. */
static void consume_kick(void)
{
	const struct timespec now = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, vcpu_kick_signal());
	sigtimedwait(&set, NULL, &now);
}

static void *vcpu_main(void *arg)
{
	struct vcpu *v = arg;
	const struct host *h = v->env->kvm->host;
	struct tvmm_result why = { .size = sizeof(why) };
	uint64_t zero = 0;

	if (v->index == 0)
		atomic_compare_exchange_strong(v->env->first_run_ns, &zero, h->now_ns(h));

	while (!atomic_load(&v->stop)) {
		int ret = h->ioctl(h, v->fd, KVM_RUN, 0);

		if (ret == -EINTR || ret == -EAGAIN) {
			consume_kick();
			continue;
		}
		if (ret < 0) {
			x86_fault_run_failed(v, -ret, &why);
			v->env->ended(v->env->arg, &why);
			break;
		}
		bump(&v->exits);
		if (!handle_exit(v, &why)) {
			v->env->ended(v->env->arg, &why);
			break;
		}
	}
	return NULL;
}

int vcpu_start(struct vcpu *v, struct tvmm_error *err)
{
	const struct host *h = v->env->kvm->host;
	char name[24];
	int ret;

	snprintf(name, sizeof(name), "%.8s/cpu%u", v->env->name, v->index);
	ret = thread_start(h, &v->thread, name, STACK_SIZE, vcpu_main, v);
	if (ret)
		return err_set(err, TVMM_E_HOST, -ret, NULL, "cannot start the thread of vCPU %u", v->index);
	v->started = true;
	return 0;
}

void vcpu_kick_stop(struct vcpu *v)
{
	atomic_store(&v->stop, true);
	if (v->started)
		pthread_kill(v->thread, vcpu_kick_signal());
}

void vcpu_join(struct vcpu *v)
{
	if (v->started)
		pthread_join(v->thread, NULL);
	v->started = false;
}
