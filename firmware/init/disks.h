/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * disks.h - what block devices the guest has, and what each of them holds.
 */
#ifndef TVMM_FIRMWARE_INIT_DISKS_H
#define TVMM_FIRMWARE_INIT_DISKS_H

#include "fsid.h"
#include "init.h"

#define DISKS_MAX 128

struct disk {
	char name[32]; /* "vda", "vda1" */
	unsigned parent; /* index of a partition's disk; its own of a disk */
	unsigned part;   /* 0: a whole disk */
	unsigned parts;  /* of a whole disk: how many partitions */
	uint64_t kib;
	char part_name[FSID_LABEL]; /* of a GPT partition */
	struct fsid fs;
	bool has_fs;
	bool tried;       /* to mount it: waiting changes nothing any more */
	char result[200]; /* what came of reading or mounting it; "" if there is nothing to say */
};

/* Reads the list again.  Disks come before their partitions; virtio disks before others. */
void disks_scan(void);
extern struct disk disks[DISKS_MAX];
extern unsigned n_disks;

/* Says on the console what there is, what was tried, and, with no disk at all, what the bus says. */
void disks_report(void);

#endif
