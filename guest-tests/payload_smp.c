/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * payload_smp.c - starts every CPU of the MADT, lets all of them count, and sends each an interrupt.
 * Argument: cpus=N.
 */
#include "guest.h"

#define ROUNDS 20

static volatile uint32_t sum, lock;
static volatile unsigned plain, woken;
static volatile uint32_t ids[GUEST_MAX_CPUS];

static void on_ipi(unsigned vec)
{
	(void)vec;
	__atomic_fetch_add(&woken, 1, __ATOMIC_SEQ_CST);
}

static void work(void)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		__atomic_fetch_add(&sum, 1, __ATOMIC_SEQ_CST);
		spin_lock(&lock);
		plain = plain + 1;
		spin_unlock(&lock);
	}
}

static void ap(unsigned index)
{
	ids[index] = cpu_apic_id() + 1;
	work();
	for (;;)
		sti_hlt();
}

static bool wait_for(volatile unsigned *what, unsigned n)
{
	for (uint64_t end = deadline_ms(10000); *what < n;) {
		if (expired(end))
			return false;
		cpu_relax();
	}
	return true;
}

void guest_main(void)
{
	unsigned n = acpi.n_cpus, up = 0;
	bool good = true;

	report(n == boot_arg_num("cpus", 0), "MADT lists %u CPUs", n);
	irq_handler(VEC_IPI, on_ipi);
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < i; k++)
			good = good && acpi.apic_id[i] != acpi.apic_id[k];
	report(good, "their APIC ids differ");
	for (unsigned i = 1; i < n; i++)
		up += cpu_start(acpi.apic_id[i], i, ap);
	report(up == n - 1, "%u further CPUs start by INIT and SIPI", up);
	work();
	good = wait_for(&plain, n * ROUNDS);
	report(good && sum == n * ROUNDS, "locked increments of all add up (%u, %u)", sum, plain);
	good = true;
	for (unsigned i = 1; i < n; i++)
		good = good && ids[i] == acpi.apic_id[i] + 1;
	report(good, "each has the APIC id that the MADT tells");
	for (unsigned i = 1; i < n; i++)
		lapic_ipi(acpi.apic_id[i], 0x4000 | VEC_IPI);
	good = wait_for(&woken, n - 1);
	report(good, "an interrupt wakes each of them (%u)", woken);
}
