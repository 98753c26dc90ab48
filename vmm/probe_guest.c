/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe_guest.c - the probe guest and its clockwork.
 *
 * Each port write is one exit to this process and a mark in time.  First writes alone, then batches of CPUID (an exit
 * that KVM handles) and of first touches, each ended by a write.  Medians, so that an interruption does not count.  At
 * the end what every stock x86-64 kernel executes early in ring 0, and an interpreting KVM lacks.
 */
#include "probe_guest.h"

#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "bits.h"
#include "hostmem.h"
#include "thread.h"
#include "vcpu.h"
#include "x86_cpu.h"
#include "x86_fault.h"

#define RAM_SIZE 0x60000
#define CODE     0x10000
/* 0x12000: where FXSAVE writes; 0x20000 to the end: touched, never before */

enum { PORT_USER = 0xf1, PORT_EXITS, PORT_FAULTS, PORT_REACHED };
enum { USER_MARKS = 32, EXIT_MARKS = 8, EXIT_BATCH = 16, FAULT_MARKS = 8, FAULT_BATCH = 8,
       ENOUGH_MARKS = 3 /* where exits are so dear that the time was over */ };

static const uint8_t code[] = {
	0xbf, 0x00, 0x20, 0x01, 0x00,             /*    mov $0x12000, %edi */
	0xbe, 0x00, 0x00, 0x02, 0x00,             /*    mov $0x20000, %esi */
	0xbd, USER_MARKS, 0, 0, 0,                /*    mov $32, %ebp */
	0xe6, PORT_USER,                          /* 1: out %al, $port */
	0xff, 0xcd, 0x75, 0xfa,                   /*    dec %ebp; jnz 1b */
	0xbd, EXIT_MARKS, 0, 0, 0,                /*    mov $8, %ebp */
	0x41, 0xb8, EXIT_BATCH, 0, 0, 0,          /* 2: mov $16, %r8d */
	0x31, 0xc0, 0x0f, 0xa2,                   /* 3: xor %eax, %eax; cpuid */
	0x41, 0xff, 0xc8, 0x75, 0xf7,             /*    dec %r8d; jnz 3b */
	0xe6, PORT_EXITS,                         /*    out %al, $port */
	0xff, 0xcd, 0x75, 0xeb,                   /*    dec %ebp; jnz 2b */
	0xbd, FAULT_MARKS, 0, 0, 0,               /*    mov $8, %ebp */
	0x41, 0xb8, FAULT_BATCH, 0, 0, 0,         /* 4: mov $8, %r8d */
	0x88, 0x06,                               /* 5: mov %al, (%rsi) */
	0x81, 0xc6, 0x00, 0x10, 0x00, 0x00,       /*    add $4096, %esi */
	0x41, 0xff, 0xc8, 0x75, 0xf3,             /*    dec %r8d; jnz 5b */
	0xe6, PORT_FAULTS,                        /*    out %al, $port */
	0xff, 0xcd, 0x75, 0xe7,                   /*    dec %ebp; jnz 4b */
	0x48, 0x0f, 0xae, 0x07,                   /*    fxsave64 (%rdi) */
	0x48, 0x0f, 0xc7, 0x0f,                   /*    cmpxchg16b (%rdi) */
	0xe6, PORT_REACHED,                       /*    out %al, $port */
	0xf4, 0xeb, 0xfd,                         /* 6: hlt; jmp 6b */
};

struct marks {
	unsigned n;
	uint64_t took[USER_MARKS];
};

struct probe {
	struct kvm kvm;
	struct hostmem ram;
	struct gmem mem;
	struct bus none;
	struct vcpu_env env;
	struct vcpu vcpu;
	pthread_t thread;
	_Atomic bool stop;

	/* The thread's, until it is done. */
	uint64_t last_ns;
	struct marks user, exits, faults;
	bool reached;
	struct tvmm_result why;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	bool done, abandoned;
};

static void release(struct probe *p)
{
	vcpu_fini(&p->vcpu);
	kvm_destroy_vm(&p->kvm);
	if (p->ram.map)
		hostmem_unmap(&p->ram, p->kvm.host);
	kvm_close(&p->kvm);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static void mark(struct marks *m, uint64_t took)
{
	if (m->n < ARRAY_SIZE(m->took))
		m->took[m->n++] = took;
}

/* One return of KVM_RUN.  False: the guest is at its end. */
static bool handle(struct probe *p)
{
	const struct kvm_run *r = p->vcpu.run;
	uint64_t now = p->kvm.host->now_ns(p->kvm.host), took = now - p->last_ns;
	bool first = !p->last_ns;

	if (r->exit_reason == KVM_EXIT_INTR)
		return true;
	if (r->exit_reason != KVM_EXIT_IO) {
		x86_fault_explain(&p->vcpu, &p->why);
		return false;
	}
	p->last_ns = now;
	switch (r->io.port) {
	case PORT_USER:
		if (!first)
			mark(&p->user, took);
		return true;
	case PORT_EXITS:
		mark(&p->exits, took);
		return true;
	case PORT_FAULTS:
		mark(&p->faults, took);
		return true;
	default:
		p->reached = true;
		return false;
	}
}

static void *probe_main(void *arg)
{
	struct probe *p = arg;
	const struct host *h = p->kvm.host;
	bool abandoned, more = true;

	while (more && !atomic_load(&p->stop)) {
		int ret = h->ioctl(h, p->vcpu.fd, KVM_RUN, 0);

		if (ret == -EINTR || ret == -EAGAIN)
			continue;
		if (ret < 0)
			x86_fault_run_failed(&p->vcpu, -ret, &p->why);
		more = ret >= 0 && handle(p);
	}
	pthread_mutex_lock(&p->lock);
	p->done = true;
	abandoned = p->abandoned;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
	if (abandoned)
		release(p);
	return NULL;
}

static int build(struct probe *p, const struct host *host, struct tvmm_error *err)
{
	const struct x86_entry entry = { .long_mode = true, .ip = GPA(CODE) };
	const struct x86_view view = { .nested = false };
	struct kvm_cpuid2 *cpuid = NULL;
	int ret = kvm_open(&p->kvm, host, err);

	if (!ret)
		ret = kvm_create_vm(&p->kvm, err);
	if (!ret)
		ret = hostmem_map(&p->ram, host, RAM_SIZE, false, err);
	if (!ret)
		ret = gmem_add(&p->mem, GPA(0), RAM_SIZE, p->ram.ram, err);
	if (!ret)
		ret = kvm_map(&p->kvm, GPA(0), RAM_SIZE, p->ram.ram, false, err);
	if (ret)
		return ret;
	gmem_write(&p->mem, GPA(CODE), code, sizeof(code));
	p->env = (struct vcpu_env){ .kvm = &p->kvm, .mem = &p->mem, .pio = &p->none, .mmio = &p->none, .name = "probe" };
	ret = vcpu_init(&p->vcpu, &p->env, 0, err);
	if (!ret)
		ret = x86_cpuid_template(&p->kvm, &view, &cpuid, err);
	if (!ret)
		ret = x86_cpu_init(host, p->vcpu.fd, cpuid, err);
	free(cpuid);
	return ret ? ret : x86_cpu_set_entry(host, p->vcpu.fd, &p->mem, &entry, err);
}

static int start(struct probe *p, struct tvmm_error *err)
{
	int ret = thread_start(p->kvm.host, &p->thread, "tinyvmm/probe", KIB(128), probe_main, p);

	return ret ? err_set(err, TVMM_E_HOST, -ret, NULL, "cannot start the probe's thread") : 0;
}

/* True if it is done within MS. */
static bool wait_ms(struct probe *p, unsigned ms)
{
	struct timespec until = thread_deadline(ms);
	int ret = 0;
	bool done;

	pthread_mutex_lock(&p->lock);
	while (!p->done && !ret)
		ret = pthread_cond_timedwait(&p->changed, &p->lock, &until);
	done = p->done;
	pthread_mutex_unlock(&p->lock);
	return done;
}

/* Ends the thread.  False: it could not be had, and P is its own from now on. */
static bool finish(struct probe *p)
{
	bool done = wait_ms(p, PROBE_GUEST_MS);

	if (!done) {
		atomic_store(&p->stop, true);
		pthread_kill(p->thread, vcpu_kick_signal());
		wait_ms(p, PROBE_GUEST_GRACE_MS);
		pthread_mutex_lock(&p->lock);
		p->abandoned = !p->done;
		done = p->done;
		pthread_mutex_unlock(&p->lock);
	}
	if (done)
		pthread_join(p->thread, NULL);
	else
		pthread_detach(p->thread);
	return done;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The median, without the write at the end of each batch. */
static uint32_t cost(struct marks *m, unsigned expected, uint32_t without, unsigned batch)
{
	uint64_t v;

	if (m->n < MIN(expected, ENOUGH_MARKS))
		return 0;
	qsort(m->took, m->n, sizeof(m->took[0]), by_size);
	v = m->took[m->n / 2];
	v = v > without ? (v - without) / batch : 0;
	return (uint32_t)MIN(MAX(v, 1ull), (uint64_t)UINT32_MAX);
}

static void evaluate(struct measurement *m, struct probe *p)
{
	const char *why = *p->why.detail ? p->why.detail : "it did not come back in time";

	m->stock = p->reached;
	m->late = !p->reached && !*p->why.detail;
	m->exit_user_ns = cost(&p->user, USER_MARKS - 1, 0, 1);
	m->exit_ns = cost(&p->exits, EXIT_MARKS, m->exit_user_ns, EXIT_BATCH);
	m->fault_ns = cost(&p->faults, FAULT_MARKS, m->exit_user_ns, FAULT_BATCH);
	if (!m->stock)
		snprintf(m->why, sizeof(m->why), "%.*s", (int)MIN(strcspn(why, ":"), sizeof(m->why) - 1), why);
}

int probe_guest_run(struct measurement *m, const struct host *host, struct tvmm_error *err)
{
	struct probe *p = calloc(1, sizeof(*p));
	int ret;

	*m = (struct measurement){ .ran = false };
	if (!p)
		return err_set(err, TVMM_E_MEMORY, ENOMEM, NULL, "out of memory");
	p->vcpu.fd = p->kvm.dev_fd = p->kvm.vm_fd = -1;
	pthread_mutex_init(&p->lock, NULL);
	thread_cond_init(&p->changed);

	ret = build(p, host, err);
	if (!ret)
		ret = start(p, err);
	if (!ret) {
		m->ran = true;
		if (!finish(p)) {
			m->late = true;
			snprintf(m->why, sizeof(m->why), "it did not come back, and could not be stopped");
			return 0;
		}
		evaluate(m, p);
	}
	release(p);
	return ret;
}
