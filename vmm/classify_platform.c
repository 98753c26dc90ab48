/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * classify_platform.c - whose guest this host is, how deep it stands, and how its user lets guests have guests there.
 *
 * Signatures: Linux arch/x86/kernel/cpu/hypervisor.c and the vendors' documents.
 */
#include <stdio.h>
#include <string.h>
#include "bits.h"
#include "classify.h"
#include "classify_platform.h"

static const struct {
	const char *signature;
	enum tvmm_platform platform;
	const char *name;
} signatures[] = {
	{ "KVMKVMKVM", TVMM_ON_KVM, "KVM" },          { "Linux KVM Hv", TVMM_ON_KVM, "KVM" },
	{ "TCGTCGTCGTCG", TVMM_ON_QEMU_TCG, "QEMU TCG, which emulates the CPU" },
	{ "Microsoft Hv", TVMM_ON_HYPERV, "Hyper-V" }, { "VMwareVMware", TVMM_ON_VMWARE, "VMware" },
	{ "XenVMMXenVMM", TVMM_ON_XEN, "Xen" },       { "VBoxVBoxVBox", TVMM_ON_OTHER, "VirtualBox" },
	{ "bhyve bhyve ", TVMM_ON_OTHER, "bhyve" },   { "ACRNACRNACRN", TVMM_ON_OTHER, "ACRN" },
	{ " lrpepyh  vr", TVMM_ON_OTHER, "Parallels" }, { "prl hyperv  ", TVMM_ON_OTHER, "Parallels" },
	{ "Jailhouse", TVMM_ON_OTHER, "Jailhouse" },  { "QNXQVMBSQG", TVMM_ON_OTHER, "QNX" },
	{ "OpenBSDVMM58", TVMM_ON_OTHER, "OpenBSD vmm" },
};

/* Makers of virtual machines whose CPUID says nothing. */
static const struct {
	const char *vendor;
	enum tvmm_platform platform;
	const char *name;
} vendors[] = {
	{ "QEMU", TVMM_ON_UNKNOWN, "QEMU" },          { "VMware", TVMM_ON_VMWARE, "VMware" },
	{ "innotek GmbH", TVMM_ON_OTHER, "VirtualBox" }, { "Xen", TVMM_ON_XEN, "Xen" },
	{ "Parallels", TVMM_ON_OTHER, "Parallels" },
};

static bool starts(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

static bool is_wsl(const struct snapshot *s)
{
	return strstr(s->release, "microsoft") || strstr(s->release, "Microsoft");
}

/* KVM below: whose? */
static enum tvmm_platform kvm_host(const struct snapshot *s, char *name, size_t len, char *evidence, size_t evidence_len)
{
	if (starts(s->sys_vendor, "Amazon EC2")) {
		snprintf(name, len, "AWS Nitro (%s)", s->product);
		return TVMM_ON_NITRO;
	}
	if (starts(s->acpi_oem, "FIRECK") || (!*s->sys_vendor && s->mmio_cmdline)) {
		bool acpi = starts(s->acpi_oem, "FIRECK");
		size_t n = strlen(evidence);

		snprintf(name, len, acpi ? "Firecracker" : "KVM (a minimal VMM such as Firecracker)");
		if (acpi)
			snprintf(evidence + n, evidence_len - n, ", ACPI tables are by FIRECK");
		return acpi ? TVMM_ON_FIRECRACKER : TVMM_ON_KVM;
	}
	if (*s->sys_vendor)
		snprintf(name, len, "KVM (%s %s)", s->sys_vendor, s->product);
	return TVMM_ON_KVM;
}

enum tvmm_platform classify_platform(const struct snapshot *s, char *name, size_t len, char *evidence, size_t evidence_len)
{
	const char *signature = *s->hv_second ? s->hv_second : s->hv;

	if (s->tinyvmm_depth) {
		snprintf(name, len, "tinyvmm");
		snprintf(evidence, evidence_len, "CPUID has tinyvmm's leaf");
		return TVMM_ON_TINYVMM;
	}
	if (!s->hypervisor) {
		for (unsigned i = 0; i < ARRAY_SIZE(vendors); i++) {
			if (!starts(s->sys_vendor, vendors[i].vendor))
				continue;
			snprintf(name, len, "%s", vendors[i].name);
			snprintf(evidence, evidence_len, "CPUID tells of no hypervisor, but DMI says %s", s->sys_vendor);
			return vendors[i].platform;
		}
		snprintf(name, len, "nobody: bare metal");
		snprintf(evidence, evidence_len, "CPUID tells of no hypervisor%s%s", *s->sys_vendor ? ", DMI says " : "",
			 s->sys_vendor);
		return TVMM_ON_METAL;
	}
	snprintf(evidence, evidence_len, "CPUID says %s%s%s", *signature ? signature : "hypervisor, not whose",
		 *s->sys_vendor ? ", DMI says " : "", s->sys_vendor);
	for (unsigned i = 0; i < ARRAY_SIZE(signatures); i++) {
		if (strcmp(signature, signatures[i].signature))
			continue;
		snprintf(name, len, "%s", signatures[i].name);
		if (signatures[i].platform == TVMM_ON_KVM)
			return kvm_host(s, name, len, evidence, evidence_len);
		if (signatures[i].platform == TVMM_ON_HYPERV && is_wsl(s))
			snprintf(name, len, "Hyper-V (WSL 2)");
		if (signatures[i].platform == TVMM_ON_HYPERV && s->hyperv_root)
			snprintf(name, len, "Hyper-V (its root partition)");
		return signatures[i].platform;
	}
	snprintf(name, len, *signature ? "an unknown hypervisor (%s)" : "an unknown hypervisor", signature);
	return *signature ? TVMM_ON_OTHER : TVMM_ON_UNKNOWN;
}

int classify_depth(const struct snapshot *s)
{
	char name[64], evidence[128];

	if (s->tinyvmm_depth)
		return (int)s->tinyvmm_depth;
	return classify_platform(s, name, sizeof(name), evidence, sizeof(evidence)) == TVMM_ON_METAL ? 0 : 1;
}

bool classify_emulated(const struct snapshot *s)
{
	char name[64], evidence[128];

	/* A guest of such a host is told of KVM alone; what was hidden from it is hidden from its guests too. */
	return classify_platform(s, name, sizeof(name), evidence, sizeof(evidence)) == TVMM_ON_QEMU_TCG;
}

const char *classify_l0_fix(const struct snapshot *s)
{
	char name[64], evidence[128];

	switch (classify_platform(s, name, sizeof(name), evidence, sizeof(evidence))) {
	case TVMM_ON_METAL:
		return "switch on VT-x or SVM in the machine's firmware; without them this CPU runs no guests";
	case TVMM_ON_TINYVMM:
		return "there, run this machine with --nested require";
	case TVMM_ON_FIRECRACKER:
		return "Firecracker passes VMX or SVM on only with a CPU template that has them, on a host with nested=1; ask its operator";
	case TVMM_ON_NITRO:
		return "use an instance type with nested virtualization, switched on in its CPU options, or a .metal one";
	case TVMM_ON_QEMU_TCG:
		return "there, give QEMU -cpu max,+svm";
	case TVMM_ON_KVM:
		if (starts(s->sys_vendor, "Google"))
			return "make the instance with --enable-nested-virtualization";
		return "on its host: options kvm_intel nested=1 (or kvm_amd) in /etc/modprobe.d, and QEMU with -cpu host";
	case TVMM_ON_HYPERV:
		if (is_wsl(s))
			return "in %UserProfile%\\.wslconfig under [wsl2]: nestedVirtualization=true, then wsl --shutdown";
		return "on its host: Set-VMProcessor -VMName NAME -ExposeVirtualizationExtensions $true; on Azure a size that has it";
	case TVMM_ON_VMWARE:
		return "in its settings: Expose hardware assisted virtualization to the guest OS (vhv.enable = TRUE)";
	case TVMM_ON_XEN:
		return "in its configuration: nestedhvm=1 (hvm guests only)";
	case TVMM_ON_OTHER:
		if (!strcmp(name, "VirtualBox"))
			return "on its host: VBoxManage modifyvm NAME --nested-hw-virt on";
		break;
	case TVMM_ON_UNKNOWN:
		break;
	}
	return "ask who runs this virtual machine for nested virtualization";
}
