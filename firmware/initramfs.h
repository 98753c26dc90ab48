/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * initramfs.h - the initial RAM file system that tinyvmm makes itself, when it is given a disk and no initrd.
 *
 * In it: our init program (firmware/init/), the modules which the kernel needs to reach the disk and its file system,
 * in the order they are to be loaded, and what to take for the root.  Same input, same bytes.  Modules are read from
 * the host's files; what cannot be found is left out and said in a warning, for a kernel may have it all built in.
 * Called while the machine is built, on the builder's thread; nothing here runs once the guest does.
 */
#ifndef TVMM_FIRMWARE_INITRAMFS_H
#define TVMM_FIRMWARE_INITRAMFS_H

#include <stddef.h>
#include <stdint.h>
#include "error.h"
#include "host.h"
#include "unpack.h"

struct initramfs_desc {
	const char *release;     /* of the kernel (struct kernel's); "": unknown, then MODULES_DIR must be the very folder */
	const char *modules_dir; /* a folder of modules, or a root with lib/modules/RELEASE in it; NULL: the host's own */
	/*
	 * Drivers of further devices, "virtio_net" and so on, NULL-terminated; NULL: none.  virtio_pci and virtio_blk
	 * are always there.  One that does not exist or is built in is skipped without a word.  DRIVERS are loaded before
	 * the root is looked for: for a console.  LATE_DRIVERS are loaded beside the root's own init, for a module can
	 * cost 50 million instructions (its signature), and the boot need not wait for a balloon.
	 */
	const char *const *drivers, *const *late_drivers;
	/*
	 * The root: NULL or "": the first disk, or the first of its partitions that has an init; "/dev/vdb": the same
	 * with that disk; "/dev/vdb2", "PARTN=2" (of the first disk), "LABEL=..", "UUID=..", "PARTLABEL=..": that one.
	 * tinyvmm.root= on the kernel's command line overrides it.
	 */
	const char *root;
	int root_fd;      /* the image with the root, to see which file system needs a module; borrowed; -1: unknown */
	unpack_fn unpack; /* for kernels that take no compressed modules: unpack_with_tool; NULL: leave such modules out */
};

struct initramfs {
	void *data;
	uint64_t len;
	unsigned modules; /* how many it carries */
};

/*
 * Builds *OUT; free it once the kernel has its copy.  WARNING (SIZE bytes, NUL-terminated) gets one or more sentences
 * about what may be missing and where it was sought, or "".  Fails for lack of memory, and for files that are there
 * but cannot be read or are absurdly large; never because there are no modules.
 */
int initramfs_build(struct initramfs *out, const struct host *host, const struct initramfs_desc *desc, char *warning,
		    size_t size, struct tvmm_error *err);
void initramfs_free(struct initramfs *i); /* twice is harmless */

#endif
