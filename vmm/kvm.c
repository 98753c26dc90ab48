/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kvm.c - the VM's ioctls.  Reference: Linux Documentation/virt/kvm/api.rst; section numbers below are its.
 */
#include "kvm.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "bits.h"
#include "probe.h"
#include "x86_layout.h"

/* What a machine cannot do without, and since when Linux has it. */
static const struct {
	int cap;
	const char *name, *since;
} needed[] = {
	{ KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY", "2.6.24" },
	{ KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID", "2.6.26" },
	{ KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE", "2.6.26" },
	{ KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR", "2.6.24" },
	{ KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI", "3.5" },
	{ KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD", "2.6.32" },
	{ KVM_CAP_SPLIT_IRQCHIP, "KVM_CAP_SPLIT_IRQCHIP", "4.4" },
	{ KVM_CAP_TSC_DEADLINE_TIMER, "KVM_CAP_TSC_DEADLINE_TIMER", "3.3" },
};

int kvm_cap(const struct kvm *kvm, int cap)
{
	int fd = kvm->vm_fd >= 0 ? kvm->vm_fd : kvm->dev_fd;
	int ret = kvm->host->ioctl(kvm->host, fd, KVM_CHECK_EXTENSION, (uintptr_t)cap);

	return ret < 0 ? 0 : ret;
}

/* 4.1 to 4.5: version, capabilities, size of the run page. */
static int check_api(struct kvm *kvm, struct tvmm_error *err)
{
	const struct host *h = kvm->host;
	int version = h->ioctl(h, kvm->dev_fd, KVM_GET_API_VERSION, 0);

	if (version < 0)
		return err_set(err, TVMM_E_NO_KVM, -version, "/dev/kvm", "it does not answer as KVM does");
	if (version != KVM_API_VERSION)
		return err_set(err, TVMM_E_NO_KVM, ENOTSUP, "/dev/kvm", "it speaks API version %d, not %d", version, KVM_API_VERSION);
	for (unsigned i = 0; i < ARRAY_SIZE(needed); i++) {
		if (kvm_cap(kvm, needed[i].cap))
			continue;
		err_set(err, TVMM_E_CAPABILITY, ENOTSUP, needed[i].name, "this host's KVM lacks it");
		err_hint(err, "Linux has it since %s", needed[i].since);
		return -ENOTSUP;
	}
	kvm->run_size = h->ioctl(h, kvm->dev_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (kvm->run_size < (int)sizeof(struct kvm_run))
		return err_set(err, TVMM_E_NO_KVM, kvm->run_size < 0 ? -kvm->run_size : ENOTSUP, "/dev/kvm",
			       "the run page is %d bytes", kvm->run_size);
	kvm->has_readonly_mem = kvm_cap(kvm, KVM_CAP_READONLY_MEM);
	kvm->has_any_length = kvm_cap(kvm, KVM_CAP_IOEVENTFD_ANY_LENGTH);
	kvm->has_emulation_exit = kvm_cap(kvm, KVM_CAP_EXIT_ON_EMULATION_FAILURE);
	return 0;
}

/*
 * 4.115: an MSI, as if the device had written DATA to ADDR.  For what this process raises that is cheaper to set up than an
 * irqfd with a route per vector: each change of the routing table waits for a grace period.  Workers outside have routes.
 */
static void signal_msi(struct msi_sink *sink, uint64_t addr, uint32_t data)
{
	struct kvm *kvm = container_of(sink, struct kvm, msi);
	struct kvm_msi msi = { .address_lo = (uint32_t)addr, .address_hi = (uint32_t)(addr >> 32), .data = data };

	kvm->host->ioctl(kvm->host, kvm->vm_fd, KVM_SIGNAL_MSI, (uintptr_t)&msi);
}

static int route_msi(struct msi_sink *sink, int fd, uint64_t addr, uint32_t data)
{
	return kvm_routes_set(&container_of(sink, struct kvm, msi)->routes, fd, addr, data);
}

static void unroute_msi(struct msi_sink *sink, int fd)
{
	kvm_routes_drop(&container_of(sink, struct kvm, msi)->routes, fd);
}

int kvm_open(struct kvm *kvm, const struct host *host, struct tvmm_error *err)
{
	int ret;

	*kvm = (struct kvm){ .host = host, .dev_fd = -1, .vm_fd = -1, .msi.signal = signal_msi };
	ret = host->open(host, "/dev/kvm", O_RDWR, 0);
	if (ret < 0)
		return probe_explain_open(host, ret, err);
	kvm->dev_fd = ret;
	ret = check_api(kvm, err);
	if (ret) {
		kvm_close(kvm);
		return ret;
	}
	if (kvm_cap(kvm, KVM_CAP_IRQFD) && kvm_cap(kvm, KVM_CAP_IRQ_ROUTING) >= KVM_ROUTES_MAX) {
		kvm->msi.route = route_msi;
		kvm->msi.unroute = unroute_msi;
	}
	return 0;
}

void kvm_close(struct kvm *kvm)
{
	kvm_destroy_vm(kvm);
	if (kvm->host && kvm->dev_fd >= 0)
		kvm->host->close(kvm->host, kvm->dev_fd);
	kvm->dev_fd = -1;
}

static int vm_ioctl(struct kvm *kvm, unsigned long req, uintptr_t arg, const char *name, struct tvmm_error *err)
{
	int ret = kvm->host->ioctl(kvm->host, kvm->vm_fd, req, arg);

	if (ret < 0)
		return err_set(err, TVMM_E_HOST, -ret, name, "KVM refused it");
	return ret;
}

static int set_up_vm(struct kvm *kvm, struct tvmm_error *err)
{
	uint64_t identity = LAYOUT_KVM_IDENTITY;
	struct kvm_enable_cap irqchip = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 0 } };
	struct kvm_enable_cap emulation = { .cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE, .args = { 1 } };
	int ret;

	/* Pages that VMX without unrestricted guest needs, where no RAM and no device is (4.78, 4.42). */
	ret = vm_ioctl(kvm, KVM_SET_IDENTITY_MAP_ADDR, (uintptr_t)&identity, "KVM_SET_IDENTITY_MAP_ADDR", err);
	if (ret >= 0)
		ret = vm_ioctl(kvm, KVM_SET_TSS_ADDR, LAYOUT_KVM_TSS, "KVM_SET_TSS_ADDR", err);
	if (ret >= 0)
		/* Local APICs in the kernel; the I/O APIC is ours (ioapic.h), a PIC and a PIT do not exist. */
		ret = vm_ioctl(kvm, KVM_ENABLE_CAP, (uintptr_t)&irqchip, "KVM_CAP_SPLIT_IRQCHIP", err);
	/* A wish: then the exit brings the bytes of the instruction that KVM could not emulate. */
	if (ret >= 0 && kvm->has_emulation_exit)
		kvm->host->ioctl(kvm->host, kvm->vm_fd, KVM_ENABLE_CAP, (uintptr_t)&emulation);
	return ret < 0 ? ret : 0;
}

int kvm_create_vm(struct kvm *kvm, struct tvmm_error *err)
{
	int ret;

	/* EINTR: a signal while the kernel set up the VM's worker threads. */
	do
		ret = kvm->host->ioctl(kvm->host, kvm->dev_fd, KVM_CREATE_VM, 0);
	while (ret == -EINTR);
	if (ret < 0) {
		err_set(err, TVMM_E_NO_KVM, -ret, "KVM_CREATE_VM", "KVM cannot create a virtual machine");
		if (ret == -EBUSY)
			err_hint(err, "another hypervisor (VirtualBox, VMware) may hold the CPU's virtualization extension: stop it");
		return ret;
	}
	kvm->vm_fd = ret;
	kvm->slots = 0;
	kvm_routes_init(&kvm->routes, kvm->host, ret);
	ret = set_up_vm(kvm, err);
	if (ret)
		kvm_destroy_vm(kvm);
	return ret;
}

void kvm_destroy_vm(struct kvm *kvm)
{
	if (kvm->host && kvm->vm_fd >= 0)
		kvm->host->close(kvm->host, kvm->vm_fd); /* and its routes are gone */
	kvm->vm_fd = -1;
	kvm_routes_init(&kvm->routes, kvm->host, -1);
}

int kvm_map(struct kvm *kvm, struct gpa a, uint64_t size, void *host_mem, bool readonly, struct tvmm_error *err)
{
	struct kvm_userspace_memory_region r = {
		.slot = kvm->slots,
		.flags = readonly ? KVM_MEM_READONLY : 0,
		.guest_phys_addr = a.addr,
		.memory_size = size,
		.userspace_addr = (uintptr_t)host_mem,
	};
	int ret = kvm->host->ioctl(kvm->host, kvm->vm_fd, KVM_SET_USER_MEMORY_REGION, (uintptr_t)&r);

	if (ret < 0)
		return err_set(err, TVMM_E_HOST, -ret, "KVM_SET_USER_MEMORY_REGION", "cannot give the guest %lu KiB at %#lx",
			       size >> 10, a.addr);
	kvm->slots++;
	return 0;
}

int kvm_ioeventfd(struct kvm *kvm, struct gpa a, int fd, struct tvmm_error *err)
{
	struct kvm_ioeventfd e = { .addr = a.addr, .len = kvm->has_any_length ? 0 : 2, .fd = fd };
	int ret = kvm->host->ioctl(kvm->host, kvm->vm_fd, KVM_IOEVENTFD, (uintptr_t)&e);

	return ret < 0 ? err_set(err, TVMM_E_HOST, -ret, "KVM_IOEVENTFD", "cannot watch guest address %#lx", a.addr) : 0;
}
