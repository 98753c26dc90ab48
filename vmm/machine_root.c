/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * machine_root.c - how the guest comes from its kernel to its root: the command line, an initramfs of ours where nobody gave
 * one, and what is most likely amiss if it does not get there.
 *
 * Decided from the configuration alone.  Of the host, the initramfs takes modules, and the root's first bytes for the name
 * of its file system.
 */
#include "machine_root.h"

#include <fcntl.h>
#include <stdio.h>
#include "x86_cpu.h"

#define DEVICE_MAX 32

/* The disk that was said to hold the root, its device's name in DEVICE; NULL when none was. */
static const struct config_disk *root_disk(const struct tvmm_config *cfg, char device[DEVICE_MAX])
{
	for (unsigned i = 0; i < cfg->disk_count; i++) {
		if (!cfg->disks[i].root)
			continue;
		snprintf(device, DEVICE_MAX, "/dev/vd%c", 'a' + i);
		if (cfg->disks[i].root_part)
			snprintf(device, DEVICE_MAX, "/dev/vd%c%u", 'a' + i, cfg->disks[i].root_part);
		return &cfg->disks[i];
	}
	return NULL;
}

/* A disk, and nobody who said how to find the root on it: then that is our work. */
static bool wants_initramfs(const struct tvmm_config *cfg)
{
	return cfg->disk_count && !cfg->initrd_count && !cfg->no_defaults && !(cfg->append && cmdline_has(cfg->append, "root"));
}

/*
 * The drivers of our devices that a stock kernel has as modules, in the order of their worth.  Only a console is needed
 * before the root's init runs; the others are loaded beside it.
 */
static const char *const drivers[] = { "virtio_console", NULL };
static const char *const late_drivers[] = { "pvpanic_mmio", "button", "virtio_balloon", "virtio_rng", NULL };
static const char *const late_drivers_net[] = { "virtio_net", "pvpanic_mmio", "button", "virtio_balloon", "virtio_rng", NULL };

/* What is most likely amiss if the guest does not find its root. */
static const char *root_hint(const struct tvmm_config *cfg)
{
	if (!cfg->disk_count)
		return "this machine was given no disk";
	if (wants_initramfs(cfg))
		return "it is sought on the first disk, unless a disk is marked root or the kernel's command line has tinyvmm.root=";
	if (cfg->initrd_count)
		return "this initrd may be of another kernel, or lack the drivers virtio_pci and virtio_blk; without an initrd and root= "
		       "one with these is made";
	return "drivers that this kernel has as modules (virtio_pci, virtio_blk, the file system) need an initramfs; without root= and "
	       "no-defaults one is made";
}

int machine_root_initramfs(struct machine *m, const struct tvmm_config *cfg, struct tvmm_error *err)
{
	char device[DEVICE_MAX], warning[1024];
	const struct config_disk *root = root_disk(cfg, device);
	struct initramfs_desc d = {
		.modules_dir = cfg->modules,
		.drivers = drivers,
		.late_drivers = cfg->net_count ? late_drivers_net : late_drivers,
		.unpack = unpack_with_tool,
	};
	struct kernel k;
	int ret;

	m->root_hint = root_hint(cfg);
	if (!wants_initramfs(cfg))
		return 0;
	ret = kernel_probe(&k, m->host, m->kernel_fd, m->kernel_path, err);
	if (ret)
		return ret;
	d.release = k.release;
	d.root = root ? device : NULL;
	/* Only looked at, for its file system's name; the disk's own descriptor is the device's. */
	d.root_fd = m->host->open(m->host, (root ? root : &cfg->disks[0])->path, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0);
	ret = initramfs_build(&m->initramfs, m->host, &d, warning, sizeof(warning), err);
	if (!ret && warning[0] && !m->initramfs.modules)
		m->root_hint = "the modules of this kernel were not found; the option modules says where they are";
	if (d.root_fd >= 0)
		m->host->close(m->host, d.root_fd);
	if (!ret && warning[0])
		log_line(&m->log, TVMM_LOG_WARN, "%s", warning);
	return ret;
}

int machine_root_cmdline(struct cmdline *out, const struct tvmm_config *cfg, bool plain_cpu, struct tvmm_error *err)
{
	const char *user = cfg->append ? cfg->append : "";
	char device[DEVICE_MAX];
	const struct config_disk *root = root_disk(cfg, device);
	int ret = 0;

	cmdline_init(out);
	if (!cfg->no_defaults) {
		/* The serial port, for every kernel has its driver built in: its first line appears whatever is a module. */
		if (!cmdline_has(user, "console"))
			ret = cmdline_append(out, "console=ttyS0", err);
		/* There is one serial port: do not look for more. */
		if (!ret)
			ret = cmdline_append(out, "8250.nr_uarts=1", err);
		if (!ret && cfg->on_panic != CONFIG_PANIC_STAY && !cmdline_has(user, "panic"))
			ret = cmdline_append(out, "panic=-1", err);
		/* By the ACPI reset register; otherwise hardware-reduced kernels go through real mode to the reset vector. */
		if (!ret && !cmdline_has(user, "reboot"))
			ret = cmdline_append(out, "reboot=a", err);
		if (!ret && plain_cpu && !cmdline_has(user, "clearcpuid"))
			ret = cmdline_append(out, X86_PLAIN_LINUX, err);
		if (!ret && root && !cmdline_has(user, "root") && !wants_initramfs(cfg))
			ret = cmdline_appendf(out, err, "root=%s %s", device, root->ro ? "ro" : "rw");
	}
	return ret ? ret : cmdline_append(out, user, err);
}
