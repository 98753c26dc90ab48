/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * host_check.c - tvmm_check_host(): can this host run guests, and can it run stock kernels?
 *
 * Flags lie, so it tries: a probe guest executes in ring 0, in long mode, what every stock x86-64 kernel executes there
 * early and an interpreting KVM lacks (FXSAVE64, CMPXCHG16B).  If it reaches the port write behind them, stock kernels
 * run.  A probe that neither gets there nor fails is given up after PROBE_MS.
 */
#include <linux/kvm.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "backend.h"
#include "bits.h"
#include "hostmem.h"
#include "vcpu.h"
#include "x86_cpu.h"

#define PROBE_MS   100
#define PROBE_PORT 0xf4
#define PROBE_RAM  0x20000
#define PROBE_CODE 0x10000

static const uint8_t probe_code[] = {
	0x48, 0xc7, 0xc7, 0x00, 0x20, 0x01, 0x00, /* mov $0x12000, %rdi */
	0x48, 0x0f, 0xae, 0x07,                   /* fxsave64 (%rdi) */
	0x48, 0x0f, 0xc7, 0x0f,                   /* cmpxchg16b (%rdi) */
	0xe6, PROBE_PORT,                         /* out %al, $port */
	0xf4, 0xeb, 0xfd,                         /* hlt, for ever */
};

struct probe {
	struct kvm kvm;
	struct hostmem ram;
	struct gmem mem;
	struct bus pio, mmio;
	struct vcpu_env env;
	struct vcpu vcpu;
	_Atomic uint64_t first_run_ns;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool reached, ended;
	struct tvmm_result why;
};

static void tell(struct probe *p, bool reached, const struct tvmm_result *why)
{
	pthread_mutex_lock(&p->lock);
	p->reached |= reached;
	p->ended |= !reached;
	if (why)
		p->why = *why;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

static void port_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	tell(dev, true, NULL);
}

static void probe_ended(void *arg, const struct tvmm_result *why)
{
	tell(arg, false, why);
}

static int build_probe(struct probe *p, struct tvmm_error *err)
{
	static const struct bus_ops ops = { .write = port_write };
	const struct x86_entry entry = { .long_mode = true, .ip = GPA(PROBE_CODE) };
	int ret = kvm_create_vm(&p->kvm, err);

	if (!ret)
		ret = hostmem_map(&p->ram, p->kvm.host, PROBE_RAM, err);
	if (!ret)
		ret = gmem_add(&p->mem, GPA(0), PROBE_RAM, p->ram.ram, err);
	if (!ret)
		ret = kvm_map(&p->kvm, GPA(0), PROBE_RAM, p->ram.ram, false, err);
	if (!ret)
		ret = bus_add(&p->pio, PROBE_PORT, 1, &ops, p, "probe", err);
	if (ret)
		return ret;
	gmem_write(&p->mem, GPA(PROBE_CODE), probe_code, sizeof(probe_code));
	p->env = (struct vcpu_env){ .kvm = &p->kvm, .mem = &p->mem, .pio = &p->pio, .mmio = &p->mmio, .ended = probe_ended,
				    .arg = p, .name = "probe", .first_run_ns = &p->first_run_ns };
	ret = vcpu_init(&p->vcpu, &p->env, 0, err);
	return ret ? ret : x86_cpu_set_entry(p->kvm.host, p->vcpu.fd, &p->mem, &entry, err);
}

static int run_probe(struct probe *p, struct tvmm_error *err)
{
	struct timespec until;
	int ret = vcpu_start(&p->vcpu, err);

	if (ret)
		return ret;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += PROBE_MS * 1000000L;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&p->lock);
	while (!p->reached && !p->ended && !ret)
		ret = pthread_cond_timedwait(&p->changed, &p->lock, &until);
	pthread_mutex_unlock(&p->lock);
	vcpu_kick_stop(&p->vcpu);
	vcpu_join(&p->vcpu);
	return 0;
}

/* KVM is open.  Fills what the probe finds. */
static int probe_host(struct probe *p, struct tvmm_host *out, struct tvmm_error *err)
{
	int ret = build_probe(p, err);

	if (!ret)
		ret = run_probe(p, err);
	if (!ret) {
		out->kvm_usable = true;
		out->runs_stock_kernel = p->reached;
		if (p->reached)
			snprintf(out->evidence, sizeof(out->evidence), "a probe guest ran FXSAVE64 and CMPXCHG16B in ring 0");
		else
			snprintf(out->evidence, sizeof(out->evidence), "a probe guest could not run FXSAVE64 and CMPXCHG16B in ring 0 "
				 "(%.150s)", p->ended ? p->why.detail : "it did not come back in time");
	}
	vcpu_fini(&p->vcpu);
	kvm_destroy_vm(&p->kvm);
	hostmem_unmap(&p->ram, p->kvm.host);
	return ret;
}

int tvmm_check_host(struct tvmm_host *out, struct tvmm_error *err)
{
	struct tvmm_host found = { .kvm_api = -1 };
	const struct host *h = host_linux();
	pthread_condattr_t attr;
	struct probe *p;
	int ret;

	if (out->size <= sizeof(size_t))
		return err_set(err, TVMM_E_CONFIG, 0, "tvmm_host", "size is not set");
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(err, TVMM_E_MEMORY, ENOMEM, NULL, "out of memory");
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->changed, &attr);
	pthread_condattr_destroy(&attr);

	found.backend = backend_find(h, found.backend_name, sizeof(found.backend_name));
	ret = kvm_open(&p->kvm, h, err);
	if (!ret) {
		found.kvm_api = KVM_API_VERSION;
		ret = probe_host(p, &found, err);
		kvm_close(&p->kvm);
	}
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p);
	memset((char *)out + sizeof(size_t), 0, out->size - sizeof(size_t));
	memcpy((char *)out + sizeof(size_t), (char *)&found + sizeof(size_t), MIN(out->size, sizeof(found)) - sizeof(size_t));
	return ret;
}
