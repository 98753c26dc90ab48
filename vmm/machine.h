/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * machine.h - one virtual machine: what it is made of, and how the parts are wired.
 *
 * Two halves.  The host's half (RAM, files, the I/O loop, the console's stream) lives from machine_create() to
 * machine_destroy().  The guest's half (KVM's VM, vCPUs, buses, devices, firmware tables) is all that a guest can see
 * or change; a restart throws it away whole and builds it anew, so no state of the old guest can survive.
 *
 * Threads: created, started, stopped and destroyed by the lifecycle thread (vm.c).  machine_end() comes from anywhere.
 */
#ifndef TVMM_MACHINE_H
#define TVMM_MACHINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "acpi_power.h"
#include "bootparams.h"
#include "bus.h"
#include "chardev.h"
#include "config.h"
#include "debug_exit.h"
#include "disk.h"
#include "disk_engine.h"
#include "evloop.h"
#include "hostmem.h"
#include "initramfs.h"
#include "ioapic.h"
#include "kernel.h"
#include "kvm.h"
#include "kvm_stats.h"
#include "log.h"
#include "machine_ports.h"
#include "memctl.h"
#include "panic_watch.h"
#include "passt.h"
#include "pci.h"
#include "profile.h"
#include "pvpanic.h"
#include "uart16550.h"
#include "vcpu.h"
#include "vhost_user_blk.h"
#include "virtio_balloon.h"
#include "virtio_blk.h"
#include "virtio_console.h"
#include "virtio_net.h"
#include "virtio_pci.h"
#include "virtio_rng.h"
#include "virtio_vsock.h"

struct machine_disk {
	struct disk *disk;         /* NULL: a server has it */
	struct vhost_user *server; /* NULL: it is ours */
	char name[16]; /* "disk 0" */
	char serial[CONFIG_SERIAL_MAX + 1];
	char shown[128]; /* the image's name and what was asked of it, for people */
	struct ratelimit limit; /* as it starts */
	struct virtio_blk blk;         /* one of these two */
	struct vhost_user_blk remote;
	struct virtio_pci pci;
};

static inline struct virtio_dev *machine_disk_dev(struct machine_disk *d)
{
	return d->server ? &d->remote.dev : &d->blk.dev;
}

struct machine_net {
	struct netif *nif;
	struct vhost_net *vhost; /* NULL: packets go through us */
	char why_here[80];       /* if so: " (the reason)", or nothing where there is no other way */
	struct passt passt; /* of a "user" interface; else zeroed */
	char name[16];      /* "net 0" */
	uint8_t mac[6];
	uint16_t mtu;       /* 0: not told */
	uint64_t bandwidth, packets, burst_ns; /* limits of each direction; 0: none */
	struct virtio_net net;
	struct virtio_pci pci;
};

struct machine {
	/* The host's half. */
	const struct host *host;
	struct log log;
	char name[CONFIG_NAME_MAX + 1];
	unsigned n_cpus;
	enum config_reboot on_reboot;
	enum config_panic on_panic;
	unsigned debug_exit_port; /* 0: none */
	bool nested;    /* the guest gets VMX or SVM */
	bool on_vmx;    /* the host's CPU has VMX, else SVM or nothing */
	unsigned depth; /* hypervisors below it, our KVM included */
	char nested_text[480]; /* what it got, for people */
	struct profile profile;
	struct hostmem ram[2]; /* below and above the hole */
	uint64_t ram_base[2];
	struct gmem mem;
	struct hostmem ecam;   /* the guest's PCI configuration pages */
	struct evloop loop;
	struct memctl memctl;
	struct kvm_stats kvm_stats; /* its descriptors are the guest's half */
	struct chardev console;
	uint16_t console_cols, console_rows; /* 0: not known.  The loop's, and they outlive a guest */
	int console_fd, log_fd; /* opened by us; -1: not */
	int kernel_fd;
	char *kernel_path;
	int initrd_fd[CONFIG_INITRDS_MAX];
	char *initrd_path[CONFIG_INITRDS_MAX];
	unsigned n_initrds;
	struct cmdline cmdline;
	struct initramfs initramfs; /* made by us, for a disk without an initrd; else empty */
	const char *root_hint;      /* why the guest may not find its root */
	struct disk_engine disk_engine; /* when there are disks */
	struct machine_disk *disk;
	unsigned n_disks;
	struct machine_port *port;
	unsigned n_ports;
	struct machine_net *net;
	unsigned n_nets;
	struct vsock_hub *vsock_hub; /* NULL: no vsock */
	bool loop_ok, console_ok;
	struct vcpu *vcpu;     /* the array; what is in it is the guest's half, but for the counters */
	char description[16384]; /* what was built first, for people */

	/* The guest's half. */
	bool guest_ok;
	struct kvm kvm;
	struct ioapic ioapic;
	struct bus pio, mmio;
	struct pci pci;
	struct pci_func host_bridge;
	struct uart uart;
	struct acpi_power power;
	struct pvpanic pvpanic;
	struct debug_exit debug_exit;
	bool has_vcon;
	struct virtio_console vcon;
	struct virtio_pci vcon_pci;
	struct virtio_console ports; /* if n_ports */
	struct virtio_pci ports_pci;
	struct virtio_rng rng;
	struct virtio_pci rng_pci;
	struct virtio_vsock vsock;
	struct virtio_pci vsock_pci;
	struct virtio_balloon balloon;
	struct virtio_pci balloon_pci;
	struct kernel kernel;
	struct boot_map map;
	struct initrd initrd;
	struct vcpu_env env;
	_Atomic uint64_t first_run_ns;

	/* The end. */
	pthread_mutex_t lock; /* guards what follows; leaf */
	pthread_cond_t changed;
	struct panic_watch panic;
	bool root_told; /* that the guest does not find its root */
	struct tvmm_result result; /* reason TVMM_RUNNING until it has ended */
};

/* Builds a machine that has not run.  CFG was checked; it is only read, and not kept. */
int machine_create(struct machine **out, const struct tvmm_config *cfg, const struct host *host, struct tvmm_error *err);

/* Starts the loop, if it does not run, and the vCPUs. */
int machine_start(struct machine *m, struct tvmm_error *err);

/* Waits for the guest's end and stops the vCPUs.  The loop runs on. */
void machine_wait(struct machine *m);

/* After machine_wait(): a fresh guest on the same host resources, not yet started. */
int machine_restart(struct machine *m, struct tvmm_error *err);

/* After the last machine_wait(): devices let go of their requests, the console is written out, the loop ends. */
void machine_finish(struct machine *m);

/* The guest is over, for this reason; the first one counts.  Any thread. */
void machine_end(struct machine *m, enum tvmm_reason reason, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Presses the ACPI power button.  Any thread, while the machine runs. */
void machine_power_button(struct machine *m);

/* The terminal's size.  Any thread, but not while the loop is started. */
void machine_console_resize(struct machine *m, uint16_t cols, uint16_t rows);

/* The image of disk INDEX changed its size.  Threads as above. */
int machine_disk_refresh(struct machine *m, unsigned index, struct tvmm_error *err);

void machine_destroy(struct machine *m);

/* What KVM counts of the vCPUs.  Any thread. */
int machine_kvm_counters(struct machine *m, struct tvmm_counters *out, struct tvmm_error *err);

/* Totals of all vCPUs and the loop. */
void machine_stats(struct machine *m, struct tvmm_stats *s);

#endif
