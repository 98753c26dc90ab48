/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe_snapshot.h - what can be read of the host that tells whether and how it runs guests, all in one value.
 *
 * snapshot_take() reads (CPUID, /proc, /sys, /dev/kvm), classify.c judges; so every host that ever was can be judged in
 * a test.  Nothing here creates a VM.  Any thread; takes some hundred microseconds.
 */
#ifndef TVMM_PROBE_SNAPSHOT_H
#define TVMM_PROBE_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>
#include "host.h"

/* Capabilities that are of interest, by our own numbers: classify.c does not speak KVM. */
enum snapshot_cap {
	SNAPSHOT_NESTED_STATE, SNAPSHOT_TSC_CONTROL, SNAPSHOT_DIRTY_RING, SNAPSHOT_PRE_FAULT, SNAPSHOT_MEMORY_FAULT,
	SNAPSHOT_DISABLE_EXITS, SNAPSHOT_HALT_POLL, SNAPSHOT_CAPS,
};

/* Modules, and those of their parameters that matter, "" where there is none. */
enum snapshot_module { SNAPSHOT_KVM, SNAPSHOT_KVM_INTEL, SNAPSHOT_KVM_AMD, SNAPSHOT_KVM_PVM, SNAPSHOT_VBOX, SNAPSHOT_VMWARE, SNAPSHOT_MODULES };
enum snapshot_param {
	SNAPSHOT_P_TDP_MMU, SNAPSHOT_P_MMIO_CACHING, SNAPSHOT_P_NX_HUGE_PAGES, SNAPSHOT_P_HALT_POLL,                  /* kvm */
	SNAPSHOT_P_INTEL_NESTED, SNAPSHOT_P_EPT, SNAPSHOT_P_VPID, SNAPSHOT_P_APICV, SNAPSHOT_P_UNRESTRICTED,          /* kvm_intel */
	SNAPSHOT_P_AMD_NESTED, SNAPSHOT_P_NPT, SNAPSHOT_P_AVIC, SNAPSHOT_PARAMS,                                     /* kvm_amd */
};

struct snapshot {
	/* CPUID */
	char cpu_vendor[13], cpu_model[49];
	bool hypervisor, vmx, svm;
	char hv[13], hv_second[13];     /* signatures of leaf 0x40000000 and 0x40000100 */
	bool hyperv_root;               /* 0x40000003: this is the partition that makes the others */
	unsigned tinyvmm_depth;         /* our own leaf (X86_TINYVMM_LEAF); 0: there is none */
	/* Files */
	bool has_flags, flag_vmx, flag_svm; /* what /proc/cpuinfo lists: not what firmware has disabled */
	char sys_vendor[40], product[40], acpi_oem[7];
	bool mmio_cmdline;              /* virtio_mmio.device= on the kernel's command line */
	char release[64], version[96];  /* of the kernel: uname -r, uname -v */
	bool module[SNAPSHOT_MODULES];
	char param[SNAPSHOT_PARAMS][12];
	char container[16];             /* "docker", "podman", "lxc" ...; "": no sign of one */
	/* /dev/kvm */
	int open_errno;                 /* 0: it opened */
	bool exists;
	uint32_t mode, owner, group, euid;
	char group_name[32];
	bool in_group_file;             /* this user is listed in that group, whatever this process has */
	int api;
	int cap[SNAPSHOT_CAPS];
	bool guest_vmx, guest_svm;      /* KVM offers it to guests */
};

/* Only what CPUID tells. */
void snapshot_cpu(struct snapshot *s);

/* Does the host back memory with huge pages where that is asked for? */
bool snapshot_huge_pages(const struct host *host);

/* After snapshot_cpu(): is the KVM here, if there is one, without VMX and SVM? */
bool snapshot_interprets(const struct snapshot *s, const struct host *host);

/* How many CPUs this process may run on. */
unsigned snapshot_usable_cpus(void);

/* All of it.  KVM_FD: an open /dev/kvm, or -errno of the attempt to open it. */
void snapshot_take(struct snapshot *s, const struct host *host, int kvm_fd);

#endif
