/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_classify.c - the verdict on every kind of host, from snapshots that are made up: who, how deep, what, why not. */
#include "classify.h"
#include <stdio.h>
#include <string.h>
#include "bits.h"
#include "test.h"

#define ON(m)  .module[SNAPSHOT_##m] = true
#define AMD_OFF   .cpu_vendor = "AuthenticAMD", .cpu_model = "AMD EPYC 7B13", .svm = true, .has_flags = true
#define INTEL_OFF .cpu_vendor = "GenuineIntel", .cpu_model = "Xeon", .vmx = true, .has_flags = true
#define AMD    AMD_OFF, .flag_svm = true
#define INTEL  INTEL_OFF, .flag_vmx = true
#define NONE   .cpu_vendor = "GenuineIntel", .has_flags = true
#define IN(s)  .hypervisor = true, .hv = s
#define WORKS  .exists = true, .api = 12
#define KERNEL .release = "6.12.100", .version = "#1 SMP"
#define SVM_OK ON(KVM), ON(KVM_AMD), .guest_svm = true, .cap[SNAPSHOT_NESTED_STATE] = 1, .param[SNAPSHOT_P_NPT] = "Y", \
	.param[SNAPSHOT_P_AMD_NESTED] = "1", WORKS
#define VMX    ON(KVM), ON(KVM_INTEL), .cap[SNAPSHOT_NESTED_STATE] = 1, WORKS
#define VMX_OK VMX, .guest_vmx = true, .param[SNAPSHOT_P_EPT] = "Y", .param[SNAPSHOT_P_INTEL_NESTED] = "Y"

/* Native, nested, emulated, and an interpreter's. */
#define AT_NATIVE   { .ran = true, .stock = true, .exit_ns = 700, .exit_user_ns = 1500, .fault_ns = 1200 }
#define AT_NESTED   { .ran = true, .stock = true, .exit_ns = 9000, .exit_user_ns = 14000, .fault_ns = 21000 }
#define AT_EMULATED { .ran = true, .stock = true, .exit_ns = 90000, .exit_user_ns = 140000, .fault_ns = 110000 }
#define AT_PVM      { .ran = true, .exit_ns = 2500, .exit_user_ns = 8000, .fault_ns = 4500, .why = "vCPU 0 stopped at CMPXCHG16B" }
#define AT_TIMEOUT  { .ran = true, .late = true, .exit_ns = 260000, .exit_user_ns = 250000, .why = "it did not come back in time" }
#define AT_HUNG     { .ran = true, .late = true, .why = "it did not come back in time" }
#define AT_NOTHING  { .ran = true, .stock = true }

static const struct {
	const char *what;
	struct snapshot s;
	struct measurement m;
	enum tvmm_platform platform;
	int depth;
	enum tvmm_backend backend;
	enum tvmm_cost cost;
	bool stock, nested;
	const char *texts[3]; /* each in some finding's text or fix */
} cases[] = {
	{ "AMD metal", { AMD, SVM_OK, KERNEL, .param[SNAPSHOT_P_AVIC] = "Y" }, AT_NATIVE, TVMM_ON_METAL, 0, TVMM_BACKEND_SVM,
	  TVMM_COST_NATIVE, true, true, { "bare metal", "npt avic", "guests can have SVM, with --nested auto or require" } },
	{ "Intel metal", { INTEL, VMX_OK, KERNEL, .param[SNAPSHOT_P_APICV] = "Y", .param[SNAPSHOT_P_VPID] = "Y",
	  .cap[SNAPSHOT_TSC_CONTROL] = 1, .cap[SNAPSHOT_DIRTY_RING] = 65536, .cap[SNAPSHOT_PRE_FAULT] = 1, .cap[SNAPSHOT_MEMORY_FAULT] = 1 },
	  AT_NATIVE, TVMM_ON_METAL, 0, TVMM_BACKEND_VMX, TVMM_COST_NATIVE, true, true,
	  { "ept vpid apicv", "tsc-scaling dirty-ring pre-fault memory-fault-exits", "Intel VMX" } },
	{ "nested off", { INTEL, VMX, KERNEL, .param[SNAPSHOT_P_EPT] = "Y", .param[SNAPSHOT_P_INTEL_NESTED] = "N" }, AT_NATIVE, TVMM_ON_METAL, 0,
	  TVMM_BACKEND_VMX, TVMM_COST_NATIVE, true, false, { "its parameter nested is off: guests cannot have VMX: kvm_intel", "nested=1" } },
	{ "nested off, AMD", { AMD, ON(KVM), ON(KVM_AMD), WORKS, KERNEL, .param[SNAPSHOT_P_NPT] = "1", .param[SNAPSHOT_P_AMD_NESTED] = "0" },
	  AT_NATIVE, TVMM_ON_METAL, 0, TVMM_BACKEND_SVM, TVMM_COST_NATIVE, true, false,
	  { "its parameter nested is off: guests cannot have SVM: kvm_amd", "options kvm_amd nested=1" } },
	{ "what L0 does not pass on", { AMD, ON(KVM), ON(KVM_AMD), WORKS, KERNEL, IN("KVMKVMKVM"), .param[SNAPSHOT_P_NPT] = "1",
	  .param[SNAPSHOT_P_AMD_NESTED] = "1" }, AT_NESTED, TVMM_ON_KVM, 1, TVMM_BACKEND_SVM, TVMM_COST_NESTED, true, false,
	  { "KVM does not offer SVM to guests, although", "the hypervisor below, lacks what that takes" } },
	{ "an old kernel, VMX", { INTEL, VMX_OK, .release = "6.12.94-cloud" }, AT_NATIVE, TVMM_ON_METAL, 0, TVMM_BACKEND_VMX, TVMM_COST_NATIVE,
	  true, true, { "guests can have VMX, but this host's kernel (6.12.94-cloud) is older than the fix", "leave --nested off" } },
	{ "shadow paging", { AMD, ON(KVM), ON(KVM_AMD), WORKS, KERNEL, .guest_svm = true, .param[SNAPSHOT_P_NPT] = "0",
	  .param[SNAPSHOT_P_AMD_NESTED] = "1" }, AT_NATIVE, TVMM_ON_METAL, 0, TVMM_BACKEND_SVM,
	  TVMM_COST_NATIVE, true, true, { "nested paging is off", "load kvm_amd with npt=1" } },
	{ "Firecracker", { INTEL, VMX_OK, KERNEL, IN("KVMKVMKVM"), .acpi_oem = "FIRECK" }, AT_NESTED, TVMM_ON_FIRECRACKER, 1,
	  TVMM_BACKEND_VMX, TVMM_COST_NESTED, true, true, { "a guest of Firecracker", "ACPI tables are by FIRECK" } },
	{ "a minimal VMM", { INTEL, VMX_OK, KERNEL, IN("KVMKVMKVM"), .mmio_cmdline = true }, AT_NESTED, TVMM_ON_KVM, 1, TVMM_BACKEND_VMX,
	  TVMM_COST_NESTED, true, true, { "a minimal VMM such as Firecracker" } },
	{ "Google", { INTEL, VMX_OK, KERNEL, IN("KVMKVMKVM"), .sys_vendor = "Google", .product = "Google Compute Engine" }, AT_NESTED,
	  TVMM_ON_KVM, 1, TVMM_BACKEND_VMX, TVMM_COST_NESTED, true, true, { "KVM (Google Google Compute Engine)" } },
	{ "Hyper-V's root", { INTEL, VMX_OK, KERNEL, IN("Microsoft Hv"), .hyperv_root = true }, AT_NESTED, TVMM_ON_HYPERV, 1,
	  TVMM_BACKEND_VMX, TVMM_COST_NESTED, true, true, { "Hyper-V (its root partition)" } },
	{ "WSL", { INTEL, VMX_OK, IN("Microsoft Hv"), .release = "6.6.144-microsoft-standard-WSL2" }, AT_NESTED, TVMM_ON_HYPERV, 1,
	  TVMM_BACKEND_VMX, TVMM_COST_NESTED, true, true, { "Hyper-V (WSL 2)" } },
	{ "VirtualBox below", { AMD, SVM_OK, KERNEL, IN("VBoxVBoxVBox") }, AT_NESTED, TVMM_ON_OTHER, 1, TVMM_BACKEND_SVM, TVMM_COST_NESTED,
	  true, true, { "a guest of VirtualBox" } },
	{ "VMX without anything", { INTEL, VMX_OK, KERNEL, .param[SNAPSHOT_P_UNRESTRICTED] = "Y", .param[SNAPSHOT_P_VPID] = "N" }, AT_NATIVE,
	  TVMM_ON_METAL, 0, TVMM_BACKEND_VMX, TVMM_COST_NATIVE, true, true, { "ept unrestricted-guest" } },
	{ "nested on, and yet not", { INTEL, VMX, KERNEL, .param[SNAPSHOT_P_INTEL_NESTED] = "Y", .param[SNAPSHOT_P_EPT] = "N" }, AT_NATIVE, TVMM_ON_METAL,
	  0, TVMM_BACKEND_VMX, TVMM_COST_NATIVE, true, false,
	  { "although its parameter nested is on", "its parameter ept is off", "nested paging is off" } },
	{ "an old kernel", { AMD, SVM_OK, .release = "6.1.176" }, AT_NATIVE, TVMM_ON_METAL, 0, TVMM_BACKEND_SVM, TVMM_COST_NATIVE, true,
	  true, { "kernel (6.1.176) is older than the fix of CVE-2026-53359", "update the host's kernel" } },
	{ "a distribution's kernel", { AMD, SVM_OK, .release = "5.15.0-91-generic" }, AT_NATIVE, TVMM_ON_METAL, 0, TVMM_BACKEND_SVM,
	  TVMM_COST_NATIVE, true, true, { "may lack the fix of CVE-2026-53359" } },
	{ "KVM below", { AMD, SVM_OK, KERNEL, IN("KVMKVMKVM"), .sys_vendor = "QEMU", .product = "Standard PC" }, AT_NESTED, TVMM_ON_KVM, 1,
	  TVMM_BACKEND_SVM, TVMM_COST_NESTED, true, true, { "a guest of KVM (QEMU Standard PC)", "exits and page faults are dear" } },
	{ "KVM dressed as Hyper-V", { INTEL, VMX_OK, KERNEL, IN("Microsoft Hv"), .hv_second = "KVMKVMKVM" }, AT_NESTED, TVMM_ON_KVM, 1,
	  TVMM_BACKEND_VMX, TVMM_COST_NESTED, true, true, { "CPUID says KVMKVMKVM" } },
	{ "tinyvmm in tinyvmm", { AMD, SVM_OK, KERNEL, IN("KVMKVMKVM"), .tinyvmm_depth = 2 }, AT_EMULATED, TVMM_ON_TINYVMM, 2,
	  TVMM_BACKEND_SVM, TVMM_COST_EMULATED, true, true, { "a guest of tinyvmm, 2 hypervisors below", "everything is slow" } },
	{ "TCG", { AMD, SVM_OK, KERNEL, IN("TCGTCGTCGTCG") }, AT_EMULATED, TVMM_ON_QEMU_TCG, 1, TVMM_BACKEND_SVM, TVMM_COST_EMULATED, true,
	  true, { "QEMU TCG, which emulates the CPU" } },
	{ "Nitro", { INTEL, VMX_OK, KERNEL, IN("KVMKVMKVM"), .sys_vendor = "Amazon EC2", .product = "m8i.large" }, AT_NESTED, TVMM_ON_NITRO,
	  1, TVMM_BACKEND_VMX, TVMM_COST_NESTED, true, true, { "AWS Nitro (m8i.large)" } },
	{ "EC2 metal", { INTEL, VMX_OK, KERNEL, .sys_vendor = "Amazon EC2" }, AT_NATIVE, TVMM_ON_METAL, 0, TVMM_BACKEND_VMX,
	  TVMM_COST_NATIVE, true, true, { "bare metal: CPUID tells of no hypervisor, DMI says Amazon EC2" } },
	{ "PVM in Firecracker", { NONE, KERNEL, ON(KVM), ON(KVM_PVM), WORKS, IN("KVMKVMKVM"),
	  .acpi_oem = "FIRECK" }, AT_PVM, TVMM_ON_FIRECRACKER, 1, TVMM_BACKEND_SOFTWARE, TVMM_COST_NESTED, false, false,
	  { "software, without VMX and SVM, by kvm_pvm", "stock Linux kernels cannot run here", "stopped at CMPXCHG16B" } },
	{ "a module that does not serve", { INTEL, VMX_OK, ON(KVM_AMD), KERNEL }, AT_NATIVE, TVMM_ON_METAL, 0, TVMM_BACKEND_VMX,
	  TVMM_COST_NATIVE, true, true, { "kvm_intel" } },
	{ "a backend nobody knows", { NONE, KERNEL, ON(KVM), WORKS }, AT_PVM, TVMM_ON_METAL, 0, TVMM_BACKEND_SOFTWARE, TVMM_COST_NESTED,
	  false, false, { "has neither for guests: kvm" } },
	{ "flags that lie", { AMD, SVM_OK, KERNEL }, AT_NESTED, TVMM_ON_UNKNOWN, 1, TVMM_BACKEND_SVM, TVMM_COST_NESTED, true, true,
	  { "a hypervisor that hides", "9000 ns" } },
	{ "hidden, but DMI tells", { AMD, SVM_OK, KERNEL, .sys_vendor = "VMware, Inc." }, AT_NESTED, TVMM_ON_VMWARE, 1, TVMM_BACKEND_SVM,
	  TVMM_COST_NESTED, true, true, { "CPUID tells of no hypervisor, but DMI says VMware, Inc." } },
	{ "not measured", { AMD, SVM_OK, KERNEL }, AT_NOTHING, TVMM_ON_METAL, 0, TVMM_BACKEND_SVM, TVMM_COST_UNKNOWN, true, true,
	  { "not measured" } },
	{ "too slow to try all", { AMD, SVM_OK, KERNEL, IN("KVMKVMKVM"), .tinyvmm_depth = 2 }, AT_TIMEOUT, TVMM_ON_TINYVMM, 2,
	  TVMM_BACKEND_SVM, TVMM_COST_EMULATED, true, true, { "stock Linux kernels can run, by the CPU's SVM" } },
	{ "slow, and no hardware", { NONE, KERNEL, ON(KVM), ON(KVM_PVM), WORKS }, AT_TIMEOUT, TVMM_ON_METAL, 0, TVMM_BACKEND_SOFTWARE,
	  TVMM_COST_EMULATED, false, false, { "it is not known whether stock Linux kernels can run" } },
	{ "a vCPU that hangs", { AMD, SVM_OK, KERNEL }, AT_HUNG, TVMM_ON_METAL, 0, TVMM_BACKEND_SVM, TVMM_COST_UNKNOWN, false, true,
	  { "it is not known whether stock Linux kernels can run: the probe guest was lost (it did not come back in time)" } },
	{ "Hyper-V", { INTEL, VMX_OK, KERNEL, IN("Microsoft Hv") }, AT_NESTED, TVMM_ON_HYPERV, 1, TVMM_BACKEND_VMX, TVMM_COST_NESTED, true,
	  true, { "a guest of Hyper-V," } },
	{ "VMware", { INTEL, VMX_OK, KERNEL, IN("VMwareVMware") }, AT_NESTED, TVMM_ON_VMWARE, 1, TVMM_BACKEND_VMX, TVMM_COST_NESTED, true,
	  true, { "a guest of VMware" } },
	{ "Xen", { INTEL, VMX_OK, KERNEL, IN("XenVMMXenVMM") }, AT_NESTED, TVMM_ON_XEN, 1, TVMM_BACKEND_VMX, TVMM_COST_NESTED, true, true,
	  { "a guest of Xen" } },
	{ "nobody knows whose", { INTEL, VMX_OK, KERNEL, IN("FooFooFooFoo") }, AT_NESTED, TVMM_ON_OTHER, 1, TVMM_BACKEND_VMX,
	  TVMM_COST_NESTED, true, true, { "an unknown hypervisor (FooFooFooFoo)" } },
};

static bool has_text(const struct tvmm_probe *p, const char *text)
{
	for (unsigned i = 0; i < p->n_findings; i++)
		if (strstr(p->finding[i].text, text) || strstr(p->finding[i].fix, text))
			return true;
	return false;
}

static void dump(const struct tvmm_probe *p)
{
	for (unsigned i = 0; i < p->n_findings; i++)
		printf("#   %s: %s [%s]\n", p->finding[i].name, p->finding[i].text, p->finding[i].fix);
}

START_TEST(hosts_that_work)
{
	static const struct tvmm_error good = { .code = TVMM_E_NONE };

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tvmm_probe p = { .size = sizeof(p) };
		bool bad;

		classify(&p, &cases[i].s, &cases[i].m, &good);
		bad = p.platform != (int)cases[i].platform || p.depth != cases[i].depth || p.backend != (int)cases[i].backend ||
		      p.cost != (int)cases[i].cost || p.runs_stock_kernel != cases[i].stock || p.nested != cases[i].nested || !p.kvm_usable;
		bad |= classify_emulated(&cases[i].s) != (cases[i].platform == TVMM_ON_QEMU_TCG);
		for (unsigned t = 0; t < ARRAY_SIZE(cases[i].texts) && cases[i].texts[t]; t++)
			bad |= !has_text(&p, cases[i].texts[t]);
		if (bad)
			dump(&p);
		ck_assert_msg(!bad, "%s: platform %d, depth %d, backend %d, cost %d, stock %d, nested %d", cases[i].what, p.platform,
			      p.depth, p.backend, p.cost, p.runs_stock_kernel, p.nested);
	}
}
END_TEST

static const struct {
	struct snapshot s;
	enum tvmm_code code;
	const char *message, *hint;
} refusals[] = {
	{ { AMD, .open_errno = EACCES, .exists = true, .mode = 0660, .group = 104, .group_name = "kvm", .euid = 1000 }, TVMM_E_PERM_KVM,
	  "this user (uid 1000) may not open it", "sudo usermod -aG kvm $USER" },
	{ { AMD, .open_errno = EACCES, .exists = true, .mode = 0660, .group = 104, .group_name = "kvm", .in_group_file = true },
	  TVMM_E_PERM_KVM, "may not open it", "newgrp kvm" },
	{ { AMD, .open_errno = EACCES, .exists = true, .mode = 0660, .group = 104 }, TVMM_E_PERM_KVM, "may not open it",
	  "--group-add 104" },
	{ { AMD, .open_errno = EPERM, .exists = true, .mode = 0600 }, TVMM_E_PERM_KVM, "may not open it", "its mode is 0600" },
	{ { AMD, .open_errno = ENOENT, .container = "docker", ON(KVM), ON(KVM_AMD) }, TVMM_E_NO_KVM, "this container (docker)",
	  "--device /dev/kvm" },
	{ { AMD, .open_errno = ENOENT, .container = "docker" }, TVMM_E_NO_KVM, "kvm_amd is not loaded", "sudo modprobe kvm_amd" },
	{ { INTEL, .open_errno = ENOENT }, TVMM_E_NO_KVM, "kvm_intel is not loaded", "sudo modprobe kvm_intel" },
	{ { INTEL, .open_errno = ENOENT, ON(KVM), ON(KVM_INTEL) }, TVMM_E_NO_KVM, "its device node is missing", "mknod" },
	{ { INTEL_OFF, .open_errno = ENOENT }, TVMM_E_NO_KVM, "has VMX (VT-x), but firmware", "machine's firmware" },
	{ { AMD_OFF, .open_errno = ENODEV, .exists = true }, TVMM_E_NO_KVM, "has SVM (AMD-V), but firmware", "SVM Mode" },
	{ { NONE, .open_errno = ENOENT }, TVMM_E_NO_KVM, "this CPU shows neither VMX nor SVM", "firmware" },
	{ { INTEL, .open_errno = EBUSY, .exists = true, ON(VBOX) }, TVMM_E_NO_KVM, "VirtualBox", "modprobe -r vboxnetadp" },
	{ { INTEL, .open_errno = ENODEV, .exists = true, ON(VMWARE) }, TVMM_E_NO_KVM, "VMware", "vmmon" },
	{ { NONE, .open_errno = ENOENT, IN("KVMKVMKVM") }, TVMM_E_NO_KVM, "a guest of KVM, which gives it neither", "-cpu host" },
	{ { NONE, .open_errno = ENOENT, IN("KVMKVMKVM"), .sys_vendor = "Google" }, TVMM_E_NO_KVM, "KVM (Google", "--enable-nested" },
	{ { NONE, .open_errno = ENOENT, IN("KVMKVMKVM"), .sys_vendor = "Amazon EC2" }, TVMM_E_NO_KVM, "AWS Nitro", ".metal" },
	{ { NONE, .open_errno = ENOENT, IN("KVMKVMKVM"), .acpi_oem = "FIRECK" }, TVMM_E_NO_KVM, "Firecracker", "CPU template" },
	{ { NONE, .open_errno = ENOENT, IN("KVMKVMKVM"), .mmio_cmdline = true }, TVMM_E_NO_KVM, "minimal VMM", "nested=1" },
	{ { NONE, .open_errno = ENOENT, IN("KVMKVMKVM"), .tinyvmm_depth = 1 }, TVMM_E_NO_KVM, "a guest of tinyvmm", "--nested require" },
	{ { NONE, .open_errno = ENOENT, IN("TCGTCGTCGTCG") }, TVMM_E_NO_KVM, "QEMU TCG", "+svm" },
	{ { NONE, .open_errno = ENOENT, IN("Microsoft Hv") }, TVMM_E_NO_KVM, "Hyper-V", "ExposeVirtualizationExtensions" },
	{ { NONE, .open_errno = ENOENT, IN("Microsoft Hv"), .release = "5.15.1-microsoft-standard-WSL2" }, TVMM_E_NO_KVM, "WSL 2",
	  "nestedVirtualization=true" },
	{ { NONE, .open_errno = ENOENT, IN("VMwareVMware") }, TVMM_E_NO_KVM, "VMware", "vhv.enable" },
	{ { NONE, .open_errno = ENOENT, IN("XenVMMXenVMM") }, TVMM_E_NO_KVM, "Xen", "nestedhvm" },
	{ { NONE, .open_errno = ENOENT, IN("VBoxVBoxVBox") }, TVMM_E_NO_KVM, "VirtualBox", "--nested-hw-virt on" },
	{ { NONE, .open_errno = ENOENT, IN("") }, TVMM_E_NO_KVM, "an unknown hypervisor", "ask who runs this" },
	{ { INTEL, .open_errno = ENXIO, .exists = true, ON(KVM_INTEL) }, TVMM_E_NO_KVM, "nothing serves it", "dmesg" },
	{ { INTEL, .open_errno = EMFILE }, TVMM_E_HOST, "cannot open it", "ulimit -n" },
	{ { INTEL, .open_errno = ENFILE }, TVMM_E_HOST, "cannot open it", "fs.file-max" },
	{ { INTEL, .open_errno = EIO }, TVMM_E_NO_KVM, "cannot open it", "" },
};

START_TEST(hosts_that_refuse)
{
	for (unsigned i = 0; i < ARRAY_SIZE(refusals); i++) {
		const struct measurement none = { .ran = false };
		struct tvmm_probe p = { .size = sizeof(p) };
		struct tvmm_error err;

		ck_assert_int_eq(classify_no_kvm(&refusals[i].s, &err), -refusals[i].s.open_errno);
		ck_assert_msg(err.code == (int)refusals[i].code && strstr(err.message, refusals[i].message) && strstr(err.hint, refusals[i].hint),
			      "%u: code %d, '%s', '%s'", i, err.code, err.message, err.hint);
		ck_assert_uint_lt(strlen(err.message), sizeof(err.message) - 1); /* not cut off */
		ck_assert_uint_lt(strlen(err.hint), sizeof(err.hint) - 1);
		classify(&p, &refusals[i].s, &none, &err);
		ck_assert(!p.kvm_usable && !p.nested && !p.runs_stock_kernel);
		ck_assert(has_text(&p, err.message) && has_text(&p, err.hint)); /* the same words in both places */
	}
}
END_TEST

START_TEST(kernels)
{
	static const struct {
		const char *release, *version;
		int fixed;
	} k[] = {
		{ "6.1.177", "", 1 }, { "6.1.176", "", 0 }, { "6.6.143", "", 0 }, { "6.12.95", "", 1 }, { "6.12.94-cloud", "", 0 },
		{ "6.18.38", "", 1 }, { "6.18.37", "", 0 }, { "7.1.2", "", 0 }, { "7.1.3", "", 1 }, { "7.2.0", "", 1 }, { "8.0.0-rc1", "", 1 },
		{ "7.0.9", "", -1 }, { "5.15.0-91-generic", "#101-Ubuntu SMP", -1 }, { "5.14.0-503.el9", "", -1 }, { "", "", -1 },
		{ "6.1.0-56-cloud-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.176-1 (2026-10-01)", 0 },
		{ "6.1.0-57-cloud-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.177-1 (2026-11-01)", 1 },
		{ "6.12.117+deb12-cloud-amd64", "#1 SMP Debian 6.12.117-1~bpo12+1", 1 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(k); i++) {
		struct snapshot s = { .hypervisor = false };
		char name[64];

		snprintf(s.release, sizeof(s.release), "%s", k[i].release);
		snprintf(s.version, sizeof(s.version), "%s", k[i].version);
		ck_assert_msg(classify_nested_fix(&s, name, sizeof(name)) == k[i].fixed, "%s %s", k[i].release, k[i].version);
	}
}
END_TEST

int main(void)
{
	return test_main("classify", (const TTest *const[]){ hosts_that_work, hosts_that_refuse, kernels, NULL });
}
