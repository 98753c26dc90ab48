/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guest.c - THE wiring diagram: everything that the guest sees, built in one readable order.
 *
 * RAM and configuration pages -> devices -> buses -> KVM -> vCPUs -> kernel, tables, entry state (guest_boot.c).  A new
 * device is added in build_devices(), and nowhere else.
 */
#include "guest.h"

#include <assert.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "bits.h"
#include "guest_boot.h"
#include "machine_disks.h"
#include "machine_nets.h"
#include "x86_cpu.h"
#include "x86_layout.h"

/* PCI device numbers.  Disks come last and in the order given, so that the first is always vda. */
enum { SLOT_HOST_BRIDGE, SLOT_CONSOLE, SLOT_RNG, SLOT_BALLOON, SLOT_VSOCK, SLOT_FIRST_DISK };

/* Interfaces have the last ones: a guest names them after their slots, so another disk must not move them. */
#define SLOT_FIRST_NET (PCI_MAX_FUNCS - CONFIG_NETS_MAX)
#define SLOT_PORTS (SLOT_FIRST_NET - 1)

static void power_event(void *arg, enum acpi_power_event ev)
{
	struct machine *m = arg;

	if (ev == ACPI_POWER_OFF)
		machine_end(m, TVMM_POWEROFF, "the guest powered off");
	else
		machine_end(m, TVMM_REBOOT, "the guest rebooted");
}

/* The guest's panic driver speaks (pvpanic.h).  A crash kernel that is about to dump is left alone. */
static void panic_event(void *arg, uint8_t events)
{
	struct machine *m = arg;
	char why[PANIC_LINE] = "";
	bool seen;

	if (events & PVPANIC_CRASH_LOADED) {
		log_event(&m->log, "pvpanic", "the guest kernel panicked and starts its crash kernel");
		return;
	}
	if (!(events & PVPANIC_PANICKED) || m->on_panic == CONFIG_PANIC_STAY)
		return;
	pthread_mutex_lock(&m->lock); /* the console may be printing more of it */
	seen = m->panic.seen;
	memcpy(why, m->panic.why, sizeof(why));
	pthread_mutex_unlock(&m->lock);
	machine_end(m, TVMM_PANIC, "the guest kernel panicked%s%s", seen ? ": " : "", why);
}

/* The status is made as QEMU's isa-debug-exit makes its own, so that a test need not care under which of us it runs. */
static void exit_event(void *arg, uint32_t value)
{
	struct tvmm_result r = { .size = sizeof(r), .reason = TVMM_DEBUG_EXIT, .exit_status = (int32_t)(value << 1 | 1) };

	snprintf(r.detail, sizeof(r.detail), "the guest wrote %#x to its debug-exit port", value);
	guest_ended(arg, &r);
}

static int add_pci_window(struct machine *m, struct virtio_pci *vp, struct tvmm_error *err)
{
	return bus_add(&m->mmio, vp->func.bar[0].addr, VIRTIO_PCI_BAR_SIZE, &virtio_pci_ops, vp, vp->func.name, err);
}

static int plug(struct machine *m, struct virtio_pci *vp, struct virtio_dev *dev, unsigned slot, struct tvmm_error *err)
{
	uint64_t bar = LAYOUT_PCI_WINDOW + slot * VIRTIO_PCI_BAR_SIZE;
	int ret = virtio_pci_init(vp, dev, &m->pci, slot, bar, &m->kvm.msi, err);

	return ret ? ret : add_pci_window(m, vp, err);
}

static int build_virtio(struct machine *m, struct tvmm_error *err)
{
	int ret = m->has_vcon ? plug(m, &m->vcon_pci, &m->vcon.dev, SLOT_CONSOLE, err) : 0;

	if (!ret && m->n_ports)
		ret = plug(m, &m->ports_pci, &m->ports.dev, SLOT_PORTS, err);
	if (!ret)
		ret = plug(m, &m->rng_pci, &m->rng.dev, SLOT_RNG, err);
	if (!ret && m->memctl.balloon)
		ret = plug(m, &m->balloon_pci, &m->balloon.dev, SLOT_BALLOON, err);
	if (!ret && m->vsock_hub)
		ret = plug(m, &m->vsock_pci, &m->vsock.dev, SLOT_VSOCK, err);
	for (unsigned i = 0; !ret && i < m->n_disks; i++)
		ret = plug(m, &m->disk[i].pci, machine_disk_dev(&m->disk[i]), SLOT_FIRST_DISK + i, err);
	for (unsigned i = 0; !ret && i < m->n_nets; i++)
		ret = plug(m, &m->net[i].pci, &m->net[i].net.dev, SLOT_FIRST_NET + i, err);
	return ret;
}

/*
 * The serial port is always there; the virtio console only for a command line that names it.  A kernel that has it sets
 * it up with some hundred and thirty exits, and a guest's init would put a second login prompt on it.  Input goes where
 * the guest's /dev/console is: to the last console= of its command line.
 */
static void choose_consoles(struct machine *m)
{
	char last[16] = "";

	m->has_vcon = strstr(m->cmdline.text, "console=hvc") != NULL;
	if (m->has_vcon) {
		virtio_console_init(&m->vcon, "console", &m->console, &m->mem, &m->loop, &m->log);
		virtio_console_resize(&m->vcon, m->console_cols, m->console_rows);
	}
	cmdline_last(m->cmdline.text, "console", last, sizeof(last));
	m->console.rx = m->has_vcon && !strncmp(last, "hvc", 3) ? &m->vcon.port[0].rx : &m->uart.rx;
}

static void build_ports(struct machine *m)
{
	if (!m->n_ports)
		return;
	virtio_ports_init(&m->ports, "ports", &m->mem, &m->loop, &m->log);
	for (unsigned i = 0; i < m->n_ports; i++)
		virtio_ports_add(&m->ports, m->port[i].name, &m->port[i].chr);
}

/* Its queues have no bells: they are worked on in the exit (virtio_balloon.c). */
static int build_balloon(struct machine *m, struct tvmm_error *err)
{
	int ret;

	if (!memctl_wants_balloon(&m->memctl))
		return 0;
	ret = virtio_balloon_init(&m->balloon, "balloon", &m->mem, &m->loop, &m->log, &m->memctl.discard.reclaim, true, err);
	if (!ret)
		memctl_attach(&m->memctl, &m->balloon);
	return ret;
}

static int build_disks(struct machine *m, struct tvmm_error *err)
{
	const struct profile_setting *set = m->profile.set;
	int ret = 0;

	for (unsigned i = 0; !ret && i < m->n_disks; i++) {
		struct machine_disk *d = &m->disk[i];
		const struct virtio_blk_opts o = { .serial = d->serial, .engine = &m->disk_engine, .limit = d->limit,
						   .queues = MIN(m->n_cpus, (unsigned)VIRTIO_MAX_QUEUES),
						   .no_batches = !set[CONFIG_PROFILE_IO_BATCH].on,
						   .spin_us = set[CONFIG_PROFILE_IO_POLL].n };

		if (d->server)
			vhost_user_blk_init(&d->remote, d->name, d->server, o.queues, &m->mem, &m->loop, &m->log);
		else
			ret = virtio_blk_init(&d->blk, d->name, d->disk, &o, &m->mem, &m->loop, &m->log, err);
	}
	return ret;
}

static int build_nets(struct machine *m, struct tvmm_error *err)
{
	int ret = 0;

	for (unsigned i = 0; !ret && i < m->n_nets; i++) {
		struct machine_net *n = &m->net[i];

		ret = virtio_net_init(&n->net, n->name, n->nif, n->vhost, n->mac, n->mtu, &m->mem, &m->loop, &m->log, err);
		if (!ret && (n->bandwidth || n->packets))
			ret = virtio_net_limit(&n->net, n->bandwidth, n->packets, n->burst_ns, err);
		virtio_net_poll(&n->net, m->profile.set[CONFIG_PROFILE_IO_POLL].n * 1000u);
	}
	return ret;
}

static int build_devices(struct machine *m, struct tvmm_error *err)
{
	int ret;

	ioapic_init(&m->ioapic, &m->kvm.msi);
	uart_init(&m->uart, &m->ioapic.pin[LAYOUT_COM1_GSI].irq, &m->console);
	acpi_power_init(&m->power, power_event, m, &m->ioapic.pin[LAYOUT_GED_GSI].irq);
	pvpanic_init(&m->pvpanic, panic_event, m);
	debug_exit_init(&m->debug_exit, exit_event, m);

	pci_init(&m->pci, m->ecam.ram);
	/* A host bridge at 00:00.0 is what every operating system expects to find first.  The id is Red Hat's for QEMU's. */
	pci_func_init(&m->pci, &m->host_bridge, SLOT_HOST_BRIDGE, "host bridge", 0x1b36, 0x0008, 0x060000, 0, 0x1af4, 0x1100);
	choose_consoles(m);
	build_ports(m);
	virtio_rng_init(&m->rng, "rng", &m->mem, &m->loop, &m->log);
	if (m->vsock_hub)
		virtio_vsock_init(&m->vsock, "vsock", m->vsock_hub, &m->mem, &m->loop, &m->log);
	m->guest_ok = true; /* from here on guest_destroy() has something to do */

	ret = build_disks(m, err);
	if (!ret)
		ret = build_balloon(m, err);
	if (!ret)
		ret = build_nets(m, err);
	if (!ret)
		ret = build_virtio(m, err);
	if (!ret)
		ret = bus_add(&m->mmio, LAYOUT_ECAM, LAYOUT_ECAM_SIZE, &pci_ecam_ops, &m->pci, "PCI configuration", err);
	if (!ret)
		ret = bus_add(&m->mmio, LAYOUT_IOAPIC, IOAPIC_SIZE, &ioapic_ops, &m->ioapic, "I/O APIC", err);
	if (!ret)
		ret = bus_add(&m->pio, LAYOUT_COM1, 8, &uart_ops, &m->uart, "COM1", err);
	if (!ret)
		ret = bus_add(&m->pio, LAYOUT_POWER, ACPI_POWER_PORTS, &acpi_power_ops, &m->power, "power", err);
	if (!ret)
		ret = bus_add(&m->pio, LAYOUT_PVPANIC, 1, &pvpanic_ops, &m->pvpanic, "pvpanic", err);
	if (!ret && m->debug_exit_port) /* the user's choice: after what it may not overlap */
		ret = bus_add(&m->pio, m->debug_exit_port, DEBUG_EXIT_PORTS, &debug_exit_ops, &m->debug_exit, "debug-exit", err);
	bus_freeze(&m->pio);
	bus_freeze(&m->mmio);
	return ret;
}

/* Notifications become eventfds: the guest's write leaves neither the kernel nor, for long, the vCPU. */
static int map_bells(struct machine *m, struct virtio_pci *vp, struct tvmm_error *err)
{
	uint64_t base = vp->func.bar[0].addr + VIRTIO_PCI_NOTIFY_OFF;
	int ret = 0;

	if (vp->dev->cls->visit_notify) /* comes to us: a sleeping loop is dearer to wake than an exit is to take */
		return 0;
	for (unsigned q = 0; !ret && q < vp->n_bells; q++)
		ret = kvm_ioeventfd(&m->kvm, GPA(base + q * VIRTIO_PCI_NOTIFY_MUL), vp->bell[q].src.fd, err);
	return ret;
}

/*
 * Slots first, then bells: KVM ends a grace period with each change of its slots, and one that follows the registration
 * of an eventfd has been measured to wait milliseconds for it.
 */
static int map_devices(struct machine *m, struct tvmm_error *err)
{
	int ret = 0;

	/* Configuration space that exists is read without an exit; writes, and devices that are not there, come to us. */
	for (unsigned i = 0; !ret && m->kvm.has_readonly_mem && i < PCI_MAX_FUNCS; i++)
		if (m->pci.func[i])
			ret = kvm_map(&m->kvm, GPA(LAYOUT_ECAM + ((uint64_t)m->pci.func[i]->devfn << 12)), PCI_CFG_SIZE,
				      m->pci.func[i]->cfg, true, err);
	if (!ret)
		ret = map_bells(m, &m->rng_pci, err);
	if (!ret && m->has_vcon)
		ret = map_bells(m, &m->vcon_pci, err);
	if (!ret && m->vsock_hub)
		ret = map_bells(m, &m->vsock_pci, err);
	if (!ret && m->n_ports)
		ret = map_bells(m, &m->ports_pci, err);
	for (unsigned i = 0; !ret && i < m->n_disks; i++)
		ret = map_bells(m, &m->disk[i].pci, err);
	for (unsigned i = 0; !ret && i < m->n_nets; i++)
		ret = map_bells(m, &m->net[i].pci, err);
	return ret;
}

static int build_kvm(struct machine *m, struct tvmm_error *err)
{
	int ret = kvm_create_vm(&m->kvm, err);

	for (unsigned i = 0; !ret && i < m->mem.n; i++)
		ret = kvm_map(&m->kvm, GPA(m->mem.region[i].base), m->mem.region[i].size, m->mem.region[i].host, false, err);
	return ret ? ret : map_devices(m, err);
}

static int build_vcpus(struct machine *m, struct tvmm_error *err)
{
	const struct x86_view view = { .nested = m->nested, .less_pv = profile_hides(&m->profile),
				       .plain = m->profile.set[CONFIG_PROFILE_PLAIN_CPU].on,
				       .plain_strings = m->profile.set[CONFIG_PROFILE_PLAIN_STRINGS].on, .depth = m->depth };
	struct kvm_cpuid2 *cpuid;
	int ret, max = kvm_cap(&m->kvm, KVM_CAP_MAX_VCPUS);

	if (max && m->n_cpus > (unsigned)max) {
		err_set(err, TVMM_E_CAPABILITY, 0, "cpus", "%u vCPUs are more than this KVM allows", m->n_cpus);
		err_hint(err, "it allows %d", max);
		return -EINVAL;
	}
	ret = x86_cpuid_template(&m->kvm, &view, &cpuid, err);
	if (ret)
		return ret;
	m->env = (struct vcpu_env){ .kvm = &m->kvm, .mem = &m->mem, .pio = &m->pio, .mmio = &m->mmio, .ended = guest_ended,
				    .arg = m, .name = m->name, .plain_cpu = view.plain, .first_run_ns = &m->first_run_ns };
	for (unsigned i = 0; !ret && i < m->n_cpus; i++) {
		ret = vcpu_init(&m->vcpu[i], &m->env, i, err);
		if (ret)
			break;
		kvm_stats_add(&m->kvm_stats, m->vcpu[i].fd);
		x86_cpuid_for(cpuid, i, m->n_cpus);
		ret = x86_cpu_init(m->host, m->vcpu[i].fd, cpuid, err);
	}
	free(cpuid);
	return ret;
}

/* Since Linux 6.11; what an older one answers is as good as none. */
#define PRE_FAULT_MEMORY _IOWR(KVMIO, 0xd5, struct pre_fault)
struct pre_fault {
	uint64_t gpa, size, flags, padding[5];
};
static_assert(sizeof(struct pre_fault) == 64, "as Linux has it");

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* All of RAM: first from the host, else KVM would map the zero page.  A wish: what fails is faulted in later. */
static void pre_fault(struct machine *m)
{
	for (unsigned i = 0; i < m->mem.n; i++) {
		struct pre_fault p = { .gpa = m->mem.region[i].base, .size = m->mem.region[i].size };
		int ret = m->host->madvise(m->host, m->mem.region[i].host, p.size, MADV_POPULATE_WRITE);

		if (ret) {
			log_line(&m->log, TVMM_LOG_WARN, "not all memory could be had before the start: %s", strerror(-ret));
			return;
		}
		while (p.size && !ret) {
			uint64_t left = p.size;

			ret = m->host->ioctl(m->host, m->vcpu[0].fd, PRE_FAULT_MEMORY, (uintptr_t)&p);
			if ((ret == -EINTR || ret == -EAGAIN) && p.size < left)
				ret = 0;
		}
	}
}

int guest_build(struct machine *m, struct tvmm_error *err)
{
	int ret = build_devices(m, err);

	if (!ret)
		ret = build_kvm(m, err);
	if (!ret)
		ret = build_vcpus(m, err);
	if (!ret)
		ret = guest_boot(m, err);
	if (!ret && m->profile.set[CONFIG_PROFILE_PRE_FAULT].on)
		pre_fault(m);
	if (ret)
		guest_destroy(m);
	return ret;
}

void guest_quiesce(struct machine *m)
{
	if (!m->guest_ok)
		return;
	if (m->has_vcon)
		virtio_set_status(&m->vcon.dev, 0);
	if (m->n_ports)
		virtio_set_status(&m->ports.dev, 0);
	virtio_set_status(&m->rng.dev, 0);
	if (m->vsock_hub)
		virtio_set_status(&m->vsock.dev, 0);
	if (m->memctl.balloon)
		virtio_set_status(&m->balloon.dev, 0);
	for (unsigned i = 0; i < m->n_disks; i++)
		virtio_set_status(machine_disk_dev(&m->disk[i]), 0);
	for (unsigned i = 0; i < m->n_nets; i++)
		virtio_set_status(&m->net[i].net.dev, 0);
}

void guest_destroy(struct machine *m)
{
	kvm_stats_close(&m->kvm_stats);
	for (unsigned i = 0; i < m->n_cpus; i++)
		vcpu_fini(&m->vcpu[i]);
	kvm_destroy_vm(&m->kvm);
	if (!m->guest_ok)
		return;
	m->console.rx = NULL;
	if (m->has_vcon) {
		virtio_pci_fini(&m->vcon_pci);
		virtio_console_fini(&m->vcon);
	}
	if (m->n_ports) {
		virtio_pci_fini(&m->ports_pci);
		virtio_console_fini(&m->ports);
	}
	virtio_pci_fini(&m->rng_pci);
	virtio_rng_fini(&m->rng);
	if (m->vsock_hub) {
		virtio_pci_fini(&m->vsock_pci);
		virtio_vsock_fini(&m->vsock);
	}
	if (m->memctl.balloon) {
		memctl_detach(&m->memctl);
		virtio_pci_fini(&m->balloon_pci);
		virtio_balloon_fini(&m->balloon);
	}
	for (unsigned i = 0; i < m->n_disks; i++) {
		virtio_pci_fini(&m->disk[i].pci);
		virtio_blk_fini(&m->disk[i].blk);
		vhost_user_blk_fini(&m->disk[i].remote);
	}
	for (unsigned i = 0; i < m->n_nets; i++) {
		virtio_pci_fini(&m->net[i].pci);
		virtio_net_fini(&m->net[i].net);
	}
	uart_fini(&m->uart);
	ioapic_fini(&m->ioapic);
	pci_fini(&m->pci);
	m->pio = (struct bus){ .n = 0 };
	m->mmio = (struct bus){ .n = 0 };
	m->guest_ok = false;
}

static void press_on_loop(void *arg)
{
	struct machine *m = arg;

	if (m->guest_ok)
		acpi_power_press(&m->power);
}

void machine_power_button(struct machine *m)
{
	/* On the loop, which is also where a restart takes the device away. */
	evloop_call(&m->loop, press_on_loop, m);
}

struct console_size {
	struct machine *m;
	uint16_t cols, rows;
};

static void resize_on_loop(void *arg)
{
	struct console_size *s = arg;
	struct machine *m = s->m;

	m->console_cols = s->cols;
	m->console_rows = s->rows;
	if (m->guest_ok && m->has_vcon)
		virtio_console_resize(&m->vcon, s->cols, s->rows);
}

void machine_console_resize(struct machine *m, uint16_t cols, uint16_t rows)
{
	struct console_size s = { m, cols, rows };

	evloop_call(&m->loop, resize_on_loop, &s);
}

struct disk_refresh {
	struct machine *m;
	unsigned index;
	struct tvmm_error *err;
	int ret;
};

static void refresh_on_loop(void *arg)
{
	struct disk_refresh *r = arg;
	struct machine_disk *d = &r->m->disk[r->index];

	if (d->server) {
		vhost_user_refresh(d->server);
		return;
	}
	r->ret = d->disk->ops->refresh(d->disk, d->name, r->err);
	if (!r->ret && r->m->guest_ok)
		virtio_blk_resized(&d->blk);
}

int machine_disk_refresh(struct machine *m, unsigned index, struct tvmm_error *err)
{
	struct disk_refresh r = { .m = m, .index = index, .err = err };

	if (index >= m->n_disks)
		return err_set(err, TVMM_E_CONFIG, 0, NULL, "there is no disk %u", index);
	evloop_call(&m->loop, refresh_on_loop, &r);
	return r.ret;
}

void guest_describe(const struct machine *m, char *buf, size_t len)
{
	int n = snprintf(buf, len, "kernel    %s %s%s\nentry     %s at %#lx, kernel at %#lx-%#lx\ncmdline   %s\n", m->kernel_path,
			 m->kernel.format == KERNEL_BZIMAGE ? "bzImage " : "ELF", m->kernel.release,
			 m->kernel.protocol == KERNEL_PVH ? "PVH" : "64-bit", m->kernel.entry.addr, m->kernel.start, m->kernel.end,
			 m->cmdline.text);

#define more(...) (n += (size_t)n < len ? snprintf(buf + n, len - (size_t)n, __VA_ARGS__) : 0)
	if (m->initrd.size)
		more("initrd    %lu KiB at %#lx\n", m->initrd.size >> 10, m->initrd.addr.addr);
	more("memory    %lu MiB\ncpus      %u\nnested    %s\n", gmem_size(&m->mem) >> 20, m->n_cpus, m->nested_text);
	if ((size_t)n < len) {
		profile_describe(&m->profile, buf + n, len - (size_t)n);
		n += (int)strlen(buf + n);
	}
	for (unsigned i = 0; i < m->map.n; i++)
		more("map       %#014lx-%#014lx %s\n", m->map.mem[i].base, m->map.mem[i].base + m->map.mem[i].size - 1,
		     m->map.mem[i].type == BOOT_MEM_RAM ? "RAM" : "reserved");
	for (unsigned i = 0; i < PCI_MAX_FUNCS; i++)
		if (m->pci.func[i])
			more("pci       00:%02x.0 %s\n", i, m->pci.func[i]->name);
	if ((size_t)n < len) {
		machine_disks_describe(m, buf + n, len - (size_t)n);
		n += (int)strlen(buf + n);
	}
	if ((size_t)n < len)
		machine_nets_describe(m, buf + n, len - (size_t)n);
#undef more
}
