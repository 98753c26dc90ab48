/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * x86_fault.h - why a vCPU cannot go on, as sentences for a person.  Called on the vCPU's thread, at its end.
 */
#ifndef TVMM_X86_FAULT_H
#define TVMM_X86_FAULT_H

#include "tinyvmm.h"

struct vcpu;

/* From the exit in v->run: triple fault, emulation failure, failed entry, anything unknown. */
void x86_fault_explain(struct vcpu *v, struct tvmm_result *why);

/* KVM_RUN itself failed with SYS_ERRNO. */
void x86_fault_run_failed(struct vcpu *v, int sys_errno, struct tvmm_result *why);

#endif
