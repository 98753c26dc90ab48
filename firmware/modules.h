/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * modules.h - a folder of kernel modules: which file is a module, what must be loaded before it, what is built in.
 *
 * Reads modules.dep and modules.builtin, as depmod writes them.  An unpacked kernel package has no modules.dep yet (its
 * installation makes it); then modules.order says which modules there are, and a table of our own what the few that we
 * ever want depend on.  The files are not trusted: a path that would leave the folder is not taken, loops end, and all
 * is bounded.  Called while the machine is built, on the builder's thread.
 */
#ifndef TVMM_FIRMWARE_MODULES_H
#define TVMM_FIRMWARE_MODULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "error.h"
#include "host.h"

#define MODULES_MAX 64 /* that one initramfs takes, with all they depend on */
#define MODULES_DIR_MAX 512

struct modules_entry {
	const char *path; /* below the folder: "kernel/drivers/virtio/virtio.ko.xz" */
	const char *deps; /* paths, separated by blanks; "" if there are none */
	uint8_t state;
};

struct modules {
	char dir[MODULES_DIR_MAX];
	bool has_dep; /* there is a modules.dep; else a PATH may want .xz, .zst or .gz behind it */
	char *text, *builtin; /* the files; entries point into TEXT */
	struct modules_entry *entry;
	size_t n_entries;
	const struct modules_entry *order[MODULES_MAX]; /* to be loaded, in this order */
	unsigned n_order;
};

/*
 * Finds the folder: DIR itself, DIR/RELEASE or DIR/lib/modules/RELEASE (also below usr/); with DIR NULL the host's own.
 * -ENOENT: there is none, and LOOKED (SIZE bytes) names the places.  Otherwise what reading said, or -ENOMEM.  M is to
 * be closed on success only.
 */
int modules_open(struct modules *m, const struct host *host, const char *dir, const char *release, char *looked,
		 size_t size, struct tvmm_error *err);
void modules_close(struct modules *m);

enum modules_found { MODULES_ABSENT, MODULES_BUILTIN, MODULES_FILE };

/*
 * Puts NAME ('-' and '_' are the same) into the order, behind what it depends on; nothing comes twice.  -E2BIG:
 * MODULES_MAX is reached.  Dependencies that do not exist are left out: the guest's kernel will say what it misses.
 */
int modules_want(struct modules *m, const char *name, enum modules_found *found, struct tvmm_error *err);

/* Reads a whole text file of at most MAX bytes, NUL-terminated, NULs inside made blanks; to be freed.  -EFBIG, or what the
 * host said. */
int modules_read_text(const struct host *host, const char *path, size_t max, char **out);

#endif
