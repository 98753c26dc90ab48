/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * x86_cpu.c - CPUID, MSRs and entry registers, as tables where they are tables.
 *
 * CPUID is the host's as KVM can offer it: hiding features makes guests slower, and a guest moves nowhere.  What is
 * changed: the topology, which is ours; VMX and SVM, which a guest gets only when asked for; the TSC deadline timer,
 * which KVM offers by capability and not in its list; and what a KVM that interprets ring 0 cannot run.  Sources: Intel SDM volume 2 (CPUID), AMD APM volume 3
 * appendix E, Linux Documentation/virt/kvm/api.rst and x86/cpuid.rst, Documentation/arch/x86/boot.rst.
 */
#include "x86_cpu.h"

#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include "bits.h"
#include "x86_layout.h"

/* Leaf 0x40000001: clocks, and that writes to port 0x80 are no delay. */
#define KVM_CLOCKS (BIT(0) | BIT(1) | BIT(3) | BIT(24))

/*
 * A KVM that interprets the guest's ring 0 lacks most of what this CPU's features bring.  What is kept here of a leaf is
 * what such a KVM ran rightly when it was measured (guest-tests/t_insn.c measures), and what takes no instruction.  SSE2
 * and its kin stay, although it lacks them too: there is no 64-bit CPU without, and kernels look for them first of all.
 */
static const struct {
	uint32_t function, ebx, ecx, edx; /* what is kept */
} interpreted[] = {
	/* ECX: PCID, x2APIC, TSC deadline, RDRAND, hypervisor.  Not: CMPXCHG16B, XSAVE, AVX, SSE3 and later, MOVBE, POPCNT. */
	{ 1, ~0u, BIT(17) | BIT(21) | BIT(24) | BIT(30) | BIT(31), ~0u },
	/* ECX: LAHF, cores, SVM, extended APIC space, CR8, PREFETCHW, OSVW, topology.  Not: LZCNT, SSE4A. */
	{ 0x80000001, ~0u, 0x1f | BIT(8) | BIT(9) | BIT(22), ~0u },
	/* EBX.  Not: CLZERO, pointers of XSAVE's errors, RDPRU. */
	{ 0x80000008, ~(BIT(0) | BIT(2) | BIT(4)), ~0u, ~0u },
};

/*
 * The highest basic leaf that is told of.  Leaf 7 and XSAVE's lie above it, with hardly a feature that such a KVM has; and a
 * KVM has been met that puts the host's features back into leaves 1 and 7 whatever it is given, but not into this number.
 */
#define INTERPRETED_TOP 6

static void interpreted_leaf(struct kvm_cpuid_entry2 *e)
{
	if (e->function == 0)
		e->eax = MIN(e->eax, INTERPRETED_TOP);
	else if (e->function > INTERPRETED_TOP && e->function < 0x40000000)
		e->eax = e->ebx = e->ecx = e->edx = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(interpreted); i++) {
		if (e->function != interpreted[i].function)
			continue;
		e->ebx &= interpreted[i].ebx;
		e->ecx &= interpreted[i].ecx;
		e->edx &= interpreted[i].edx;
	}
}

/* A guest that has VMX or SVM reaches far into the host's kernel: off means that nothing of them is left. */
static void template_leaf(struct kvm_cpuid_entry2 *e, const struct x86_view *view)
{
	if (e->function == 1) {
		e->ecx |= BIT(24) | BIT(31); /* TSC deadline timer (kvm.c insists on it), hypervisor present */
		if (!view->nested)
			e->ecx &= ~BIT(5); /* VMX */
	} else if (e->function == 7 && view->plain_strings) {
		if (e->index == 0) {
			e->ebx &= ~BIT(9); /* ERMS */
			e->edx &= ~BIT(4); /* FSRM */
		} else if (e->index == 1) {
			e->eax &= ~(BIT(10) | BIT(11) | BIT(12)); /* FZRM, FSRS, FSRCS */
		}
	} else if (e->function == 0x80000001 && !view->nested) {
		e->ecx &= ~BIT(2); /* SVM */
	} else if (e->function == 0x8000000a && !view->nested) {
		e->eax = e->ebx = e->ecx = e->edx = 0; /* SVM's revision, ASIDs and features */
	} else if (e->function == 0x40000001) {
		e->eax &= ~view->less_pv | KVM_CLOCKS;
	}
}

int x86_cpuid_template(struct kvm *kvm, const struct x86_view *view, struct kvm_cpuid2 **out, struct tvmm_error *err)
{
	struct kvm_cpuid2 *t = calloc(1, sizeof(*t) + X86_CPUID_MAX * sizeof(t->entries[0]));
	int ret;

	if (!t)
		return err_set(err, TVMM_E_MEMORY, ENOMEM, NULL, "no memory for CPUID");
	t->nent = X86_CPUID_MAX;
	ret = kvm->host->ioctl(kvm->host, kvm->dev_fd, KVM_GET_SUPPORTED_CPUID, (uintptr_t)t);
	if (ret < 0) {
		free(t);
		return err_set(err, TVMM_E_HOST, -ret, "KVM_GET_SUPPORTED_CPUID", "KVM does not tell the CPU's features");
	}
	for (unsigned i = 0; i < t->nent; i++) {
		template_leaf(&t->entries[i], view);
		if (view->plain)
			interpreted_leaf(&t->entries[i]);
	}
	if (!view->plain)
		x86_cpuid_add_topology(t);
	if (view->depth && t->nent < X86_CPUID_MAX)
		t->entries[t->nent++] = (struct kvm_cpuid_entry2){
			.function = X86_TINYVMM_LEAF, .eax = view->depth, .ebx = X86_TINYVMM_EBX, .ecx = X86_TINYVMM_ECX
		};
	*out = t;
	return 0;
}

/* Bits needed to number N things. */
static unsigned bits_for(unsigned n)
{
	return n > 1 ? 32 - (unsigned)__builtin_clz(n - 1) : 0;
}

/* One package, one thread a core: leaf 0xb and 0x1f (level 0: SMT, 1: core). */
static void topology_leaf(struct kvm_cpuid_entry2 *e, unsigned index, unsigned n)
{
	e->edx = index;
	e->ecx = e->index & 0xff;
	e->eax = e->ebx = 0;
	if (e->index == 0) {
		e->ebx = 1;
		e->ecx |= 1 << 8;
	} else if (e->index == 1) {
		e->eax = bits_for(n);
		e->ebx = n;
		e->ecx |= 2 << 8;
	}
}

/* Leaf 4 and 0x8000001d: which caches are shared.  Levels 1 and 2 belong to a core, level 3 to the package. */
static void cache_leaf(struct kvm_cpuid_entry2 *e, unsigned n, bool intel)
{
	unsigned level = (e->eax >> 5) & 7, sharing = level >= 3 ? n : 1;

	if (!(e->eax & 0x1f))
		return;
	e->eax &= ~0x03ffc000u;
	e->eax |= ((1u << bits_for(sharing)) - 1) << 14;
	if (intel) {
		e->eax &= ~0xfc000000u;
		e->eax |= MIN((1u << bits_for(n)) - 1, 63u) << 26;
	}
}

static bool has_leaf(const struct kvm_cpuid2 *t, uint32_t function, uint32_t index)
{
	for (unsigned i = 0; i < t->nent; i++)
		if (t->entries[i].function == function && t->entries[i].index == index)
			return true;
	return false;
}

/* A guest with x2APIC looks for both levels there. */
void x86_cpuid_add_topology(struct kvm_cpuid2 *t)
{
	for (uint32_t i = 0; i < 3; i++)
		if (!has_leaf(t, 0xb, i) && t->nent < X86_CPUID_MAX)
			t->entries[t->nent++] = (struct kvm_cpuid_entry2){
				.function = 0xb, .index = i, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX
			};
	for (unsigned i = 0; i < t->nent; i++)
		if (t->entries[i].function == 0 && t->entries[i].eax < 0xb)
			t->entries[i].eax = 0xb;
}

void x86_cpuid_for(struct kvm_cpuid2 *t, unsigned index, unsigned n)
{
	for (unsigned i = 0; i < t->nent; i++) {
		struct kvm_cpuid_entry2 *e = &t->entries[i];

		switch (e->function) {
		case 1:
			e->ebx = (e->ebx & 0xffff) | MIN(n, 255u) << 16 | index << 24;
			e->edx = n > 1 ? e->edx | BIT(28) : e->edx & ~BIT(28); /* HTT: EBX[23:16] counts */
			break;
		case 4:
			cache_leaf(e, n, true);
			break;
		case 0xb:
		case 0x1f:
			topology_leaf(e, index, n);
			break;
		case 0x80000001:
			e->ecx = n > 1 ? e->ecx | BIT(1) : e->ecx & ~BIT(1); /* CmpLegacy: cores, not threads */
			break;
		case 0x80000008:
			e->ecx = (e->ecx & ~0xf0ffu) | bits_for(n) << 12 | (n - 1);
			break;
		case 0x8000001d:
			cache_leaf(e, n, false);
			break;
		case 0x8000001e:
			e->eax = index;
			e->ebx = index; /* core id, one thread a core */
			e->ecx = 0;     /* one node */
			break;
		default:
			break;
		}
	}
}

#define MCG_CTL_P BIT_ULL(8) /* IA32_MCG_CAP: IA32_MCG_CTL exists */

/* MSRs at reset, where KVM's own reset values are not what a PC's firmware leaves behind. */
static const struct kvm_msr_entry boot_msrs[] = {
	{ .index = 0x1a0, .data = 1 },            /* IA32_MISC_ENABLE: fast strings */
	{ .index = 0x2ff, .data = 1u << 11 | 6 }, /* IA32_MTRR_DEF_TYPE: enabled, write-back */
};

int x86_cpu_init(const struct host *host, int fd, const struct kvm_cpuid2 *cpuid, struct tvmm_error *err)
{
	struct {
		struct kvm_msrs hdr;
		struct kvm_msr_entry entries[ARRAY_SIZE(boot_msrs)];
	} msrs = { .hdr.nmsrs = ARRAY_SIZE(boot_msrs) };
	/* One bank of machine checks.  KVM starts with 32, and a kernel visits each of them with half a dozen exits. */
	uint64_t mcg_cap = MCG_CTL_P | 1;
	int ret = host->ioctl(host, fd, KVM_SET_CPUID2, (uintptr_t)cpuid);

	if (ret < 0)
		return err_set(err, TVMM_E_HOST, -ret, "KVM_SET_CPUID2", "KVM refused the guest's CPUID");
	host->ioctl(host, fd, KVM_X86_SETUP_MCE, (uintptr_t)&mcg_cap); /* a wish */
	memcpy(msrs.entries, boot_msrs, sizeof(boot_msrs));
	ret = host->ioctl(host, fd, KVM_SET_MSRS, (uintptr_t)&msrs);
	if (ret < 0)
		return err_set(err, TVMM_E_HOST, -ret, "KVM_SET_MSRS", "KVM refused the boot values");
	return 0;
}

/* 0x10 and 0x18 are the selectors that Linux's boot protocol asks for; 0x20 is the task segment VMX insists on. */
#define SEL_CODE 0x10
#define SEL_DATA 0x18
#define SEL_TSS  0x20

static const uint64_t gdt64[] = { 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00008b0000000067 };
static const uint64_t gdt32[] = { 0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00008b0000000067 };

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type, bool long_code)
{
	return (struct kvm_segment){
		.base = 0, .limit = 0xffffffff, .selector = selector, .type = type, .present = 1, .s = 1,
		.db = !long_code, .l = long_code, .g = 1,
	};
}

/* PML4 -> PDPT -> four page directories of 2 MiB pages: the first 4 GiB, one to one. */
static void write_page_tables(uint8_t *p)
{
	const uint64_t table = LAYOUT_PAGETABLES, flags = 0x3;

	memset(p, 0, 6 * 4096);
	store_le64(p, (table + 4096) | flags);
	for (uint64_t g = 0; g < 4; g++) {
		store_le64(p + 4096 + 8 * g, (table + (2 + g) * 4096) | flags);
		for (uint64_t i = 0; i < 512; i++)
			store_le64(p + (2 + g) * 4096 + 8 * i, (g << 30 | i << 21) | 0x80 | flags);
	}
}

static int write_boot_data(const struct gmem *mem, const struct x86_entry *e, struct tvmm_error *err)
{
	uint8_t *gdt = gmem_range(mem, GPA(LAYOUT_GDT), sizeof(gdt64));
	uint8_t *tables = gmem_range(mem, GPA(LAYOUT_PAGETABLES), 6 * 4096);

	if (!gdt || !tables)
		return err_set(err, TVMM_E_CONFIG, 0, "guest memory", "there is no RAM for the boot data");
	for (unsigned i = 0; i < ARRAY_SIZE(gdt64); i++)
		store_le64(gdt + 8 * i, e->long_mode ? gdt64[i] : gdt32[i]);
	if (e->long_mode)
		write_page_tables(tables);
	return 0;
}

static int set_regs(const struct host *host, int fd, const struct x86_entry *e, struct tvmm_error *err)
{
	struct kvm_regs regs = { .rip = e->ip.addr, .rflags = 2 };
	int ret;

	if (e->long_mode)
		regs.rsi = e->info.addr;
	else
		regs.rbx = e->info.addr;
	ret = host->ioctl(host, fd, KVM_SET_REGS, (uintptr_t)&regs);
	return ret < 0 ? err_set(err, TVMM_E_HOST, -ret, "KVM_SET_REGS", "KVM refused the entry state") : 0;
}

int x86_cpu_set_entry(const struct host *host, int fd, const struct gmem *mem, const struct x86_entry *e,
		      struct tvmm_error *err)
{
	struct kvm_sregs s;
	int ret = write_boot_data(mem, e, err);

	if (ret)
		return ret;
	ret = host->ioctl(host, fd, KVM_GET_SREGS, (uintptr_t)&s);
	if (ret < 0)
		return err_set(err, TVMM_E_HOST, -ret, "KVM_GET_SREGS", "KVM does not tell the vCPU's state");

	s.cs = flat_segment(SEL_CODE, 0xb, e->long_mode);
	s.ds = s.es = s.fs = s.gs = s.ss = flat_segment(SEL_DATA, 0x3, false);
	s.tr = (struct kvm_segment){ .limit = 0x67, .selector = SEL_TSS, .type = 0xb, .present = 1 };
	s.gdt = (struct kvm_dtable){ .base = LAYOUT_GDT, .limit = sizeof(gdt64) - 1 };
	s.idt = (struct kvm_dtable){ 0 };
	s.cr0 = 0x11; /* PE, ET */
	s.cr4 = 0;
	if (e->long_mode) {
		s.cr3 = LAYOUT_PAGETABLES;
		s.cr4 = 0x20;        /* PAE */
		s.cr0 |= 0x80000000; /* PG */
		s.efer |= 0x500;     /* LME, LMA */
	}
	ret = host->ioctl(host, fd, KVM_SET_SREGS, (uintptr_t)&s);
	if (ret < 0)
		return err_set(err, TVMM_E_HOST, -ret, "KVM_SET_SREGS", "KVM refused the entry state");
	return set_regs(host, fd, e, err);
}
