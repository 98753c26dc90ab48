/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * x86_fault.c - explains the exits after which a guest cannot go on.
 *
 * The sentence names what the guest did, where, and whose fault it is; the hint says what to try.  Everything is read
 * from KVM: a guest's memory is looked at only for the bytes of one instruction.
 */
#include "x86_fault.h"

#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "bits.h"
#include "probe.h"
#include "vcpu.h"
#include "x86_insn.h"

#define INSN_MAX 15

#ifndef KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES
#define KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES (1ULL << 0)
#endif

static void say(struct tvmm_result *why, int reason, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void say(struct tvmm_result *why, int reason, const char *fmt, ...)
{
	va_list ap;

	why->reason = reason;
	va_start(ap, fmt);
	vsnprintf(why->detail, sizeof(why->detail), fmt, ap);
	va_end(ap);
}

static uint64_t rip_of(struct vcpu *v)
{
	const struct host *h = v->env->kvm->host;
	struct kvm_regs regs;

	return h->ioctl(h, v->fd, KVM_GET_REGS, (uintptr_t)&regs) < 0 ? 0 : regs.rip;
}

/* The bytes at RIP, from the exit if KVM brought them, else from guest memory.  Returns how many. */
static size_t insn_bytes(struct vcpu *v, uint64_t rip, uint8_t *insn)
{
	const struct host *h = v->env->kvm->host;
	const struct kvm_run *r = v->run;
	struct kvm_translation t = { .linear_address = rip };
	uint64_t len = INSN_MAX;
	const void *p;

	if (r->emulation_failure.ndata >= 3 &&
	    r->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES &&
	    r->emulation_failure.insn_size && r->emulation_failure.insn_size <= INSN_MAX) {
		memcpy(insn, r->emulation_failure.insn_bytes, r->emulation_failure.insn_size);
		return r->emulation_failure.insn_size;
	}
	if (h->ioctl(h, v->fd, KVM_TRANSLATE, (uintptr_t)&t) < 0 || !t.valid)
		return 0;
	len = MIN(len, 4096 - (t.physical_address & 4095));
	p = gmem_range_some(v->env->mem, GPA(t.physical_address), &len);
	if (!p)
		return 0;
	memcpy(insn, p, len);
	return len;
}

static void emulation_failure(struct vcpu *v, struct tvmm_result *why)
{
	const struct host *h = v->env->kvm->host;
	uint64_t rip = rip_of(v);
	uint8_t insn[INSN_MAX];
	size_t len = insn_bytes(v, rip, insn);
	const char *name = x86_insn_name(insn, len);
	char hex[3 * INSN_MAX + 1] = "bytes unknown";
	char module[32];
	enum tvmm_backend backend = probe_backend(h, module, sizeof(module));

	for (size_t i = 0; i < len; i++)
		snprintf(hex + 3 * i, sizeof(hex) - 3 * i, i + 1 < len ? "%02x " : "%02x", insn[i]);
	if (backend == TVMM_BACKEND_SOFTWARE) {
		say(why, TVMM_KVM_ERROR, "vCPU %u stopped at %s (%s) at %#lx: this host's KVM (%s) interprets the guest's ring 0 "
		    "and lacks that instruction", v->index, name ? name : "an instruction", hex, rip, module);
		snprintf(why->hint, sizeof(why->hint), "%suse a host whose KVM has VMX or SVM (`tinyvmm check` tells), or the "
			 "emulated KVM host (tools/emuhost)",
			 v->env->plain_cpu ? "no VMM can run this kernel here: " :
			 "with --profile plain-cpu, which is off, the guest is told of fewer instructions, and gets further; for a stock kernel ");
		return;
	}
	say(why, TVMM_KVM_ERROR, "vCPU %u stopped at %s (%s) at %#lx, which KVM (%s) had to emulate and could not", v->index,
	    name ? name : "an instruction", hex, rip, module);
	snprintf(why->hint, sizeof(why->hint), "the guest most likely ran device memory or page tables gone wrong: a guest bug");
}

static void internal_error(struct vcpu *v, struct tvmm_result *why)
{
	const struct kvm_run *r = v->run;

	if (r->internal.suberror == KVM_INTERNAL_ERROR_EMULATION) {
		emulation_failure(v, why);
		return;
	}
	say(why, TVMM_KVM_ERROR, "vCPU %u: KVM internal error %u at %#lx (data %#llx %#llx)", v->index, r->internal.suberror,
	    rip_of(v), r->internal.ndata > 0 ? r->internal.data[0] : 0ull, r->internal.ndata > 1 ? r->internal.data[1] : 0ull);
}

void x86_fault_explain(struct vcpu *v, struct tvmm_result *why)
{
	const struct kvm_run *r = v->run;

	switch (r->exit_reason) {
	case KVM_EXIT_SHUTDOWN:
		say(why, TVMM_TRIPLE_FAULT, "the guest crashed: triple fault on vCPU %u at %#lx", v->index, rip_of(v));
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		internal_error(v, why);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		say(why, TVMM_KVM_ERROR, "vCPU %u: the CPU refused to enter the guest (hardware reason %#llx) at %#lx", v->index,
		    r->fail_entry.hardware_entry_failure_reason, rip_of(v));
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		say(why, r->system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN ? TVMM_POWEROFF : TVMM_TRIPLE_FAULT,
		    "KVM reports system event %u on vCPU %u", r->system_event.type, v->index);
		break;
	default:
		say(why, TVMM_KVM_ERROR, "vCPU %u: KVM_RUN came back with exit reason %u, which this version does not know",
		    v->index, r->exit_reason);
	}
}

void x86_fault_run_failed(struct vcpu *v, int sys_errno, struct tvmm_result *why)
{
	say(why, TVMM_HOST_ERROR, "KVM_RUN failed on vCPU %u at %#lx: %s", v->index, rip_of(v), strerror(sys_errno));
	if (sys_errno == EFAULT || sys_errno == ENOMEM)
		snprintf(why->hint, sizeof(why->hint), "the host could not provide guest memory: it may be out of memory");
}
