/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * disks.c - reads /proc/partitions, /sys and the first bytes of each block device; and tells a person about it all.
 */
#include "disks.h"

#include <string.h>
#include "sys.h"

struct disk disks[DISKS_MAX];
unsigned n_disks;

struct dirent64 {
	uint64_t ino;
	int64_t off;
	unsigned short len;
	unsigned char type;
	char name[];
};

static bool starts_with(const char *s, const char *start)
{
	return !strncmp(s, start, strlen(start));
}

/* Memory, loops and what is made of other devices: never a disk that tinyvmm gave. */
static bool is_ignored(const char *name)
{
	static const char *const kinds[] = { "ram", "loop", "zram", "sr", "fd", "dm-", "md", "nbd", NULL };

	for (const char *const *k = kinds; *k; k++) {
		if (starts_with(name, *k))
			return true;
	}
	return false;
}

/* Reads /sys/class/block/NAME/FILE. */
static bool sys_block(const char *name, const char *file, char *buf, size_t size)
{
	char path[128];

	format(path, sizeof(path), "/sys/class/block/%s/%s", name, file);
	return read_text(path, buf, size) >= 0;
}

static void read_contents(struct disk *d)
{
	static uint8_t buf[FSID_BYTES];
	char path[64];
	size_t len = 0;
	long n = 0;
	int fd;

	format(path, sizeof(path), "/dev/%s", d->name);
	fd = sys_open(path, O_RDONLY);
	if (fd < 0) {
		format(d->result, sizeof(d->result), "cannot be opened: %s", why(fd));
		return;
	}
	while (len < sizeof(buf) && (n = sys_read(fd, buf + len, sizeof(buf) - len)) > 0)
		len += (size_t)n;
	sys_close(fd);
	d->has_fs = fsid_read(&d->fs, buf, len);
	if (n < 0)
		format(d->result, sizeof(d->result), "cannot be read: %s", why((int)n));
}

/* PARTNAME=, the rest of its line. */
static void read_part_name(struct disk *d)
{
	char uevent[512];
	const char *s = uevent;

	if (!sys_block(d->name, "uevent", uevent, sizeof(uevent)))
		return;
	while (*s && !starts_with(s, "PARTNAME=")) {
		while (*s && *s++ != '\n')
			;
	}
	if (!*s)
		return;
	s += strlen("PARTNAME=");
	for (size_t i = 0; i + 1 < sizeof(d->part_name) && *s && *s != '\n'; i++)
		d->part_name[i] = *s++;
}

/* VIRTIO: take virtio disks alone, or the others alone. */
static void scan_kind(const char *list, bool virtio)
{
	char major[16], minor[16], blocks[24], name[32], part[8];
	unsigned parent = 0;

	while (n_disks < DISKS_MAX && next_word(&list, major, sizeof(major)) && next_word(&list, minor, sizeof(minor)) &&
	       next_word(&list, blocks, sizeof(blocks)) && next_word(&list, name, sizeof(name))) {
		struct disk *d = &disks[n_disks];

		if (!number(major) || is_ignored(name) || starts_with(name, "vd") != virtio)
			continue;
		memset(d, 0, sizeof(*d));
		format(d->name, sizeof(d->name), "%s", name);
		d->kib = number(blocks);
		if (sys_block(name, "partition", part, sizeof(part))) {
			d->part = (unsigned)number(part);
			disks[parent].parts++;
			read_part_name(d);
		} else {
			parent = n_disks;
		}
		d->parent = parent;
		read_contents(d);
		n_disks++;
	}
}

void disks_scan(void)
{
	static char list[16384];

	n_disks = 0;
	if (read_text("/proc/partitions", list, sizeof(list)) < 0)
		return;
	scan_kind(list, true);
	scan_kind(list, false);
}

/* How many entries DIR has; with VENDOR, how many of them have that in their file "vendor". */
static unsigned count(const char *dir, const char *vendor)
{
	static char buf[4096] __attribute__((aligned(8)));
	char path[320], text[16];
	int fd = sys_open(dir, O_RDONLY | O_DIRECTORY);
	unsigned n = 0;
	long got;

	if (fd < 0)
		return 0;
	while ((got = sys3(__NR_getdents64, fd, (long)buf, sizeof(buf))) > 0) {
		for (long at = 0; at < got;) {
			const struct dirent64 *e = (const void *)(buf + at);

			at += e->len;
			if (e->name[0] == '.')
				continue;
			format(path, sizeof(path), "%s/%s/vendor", dir, e->name);
			if (!vendor || (read_text(path, text, sizeof(text)) >= 0 && !strcmp(text, vendor)))
				n++;
		}
	}
	sys_close(fd);
	return n;
}

static void report_nothing(void)
{
	unsigned pci = count("/sys/bus/pci/devices", "0x1af4"), virtio = count("/sys/bus/virtio/devices", NULL);

	say("there is no disk; on the PCI bus are %u virtio devices, a driver runs %u of them", pci, virtio);
	if (pci && !virtio)
		say("virtio_pci is neither built into this kernel nor loaded: see tinyvmm's --modules");
	else if (pci)
		say("virtio_blk is neither built into this kernel nor loaded: see tinyvmm's --modules");
}

void disks_report(void)
{
	if (!n_disks)
		report_nothing();
	for (unsigned i = 0; i < n_disks; i++) {
		const struct disk *d = &disks[i];
		bool fs = d->has_fs;

		say("%s%s: %u MiB, %s%s%s%s%s%s%s%s%s", d->part ? "  " : "", d->name, (unsigned)(d->kib / 1024),
		    fs ? d->fs.name : d->parts ? "partitioned" : "no known file system",
		    fs && d->fs.label[0] ? " LABEL=" : "", fs ? d->fs.label : "",
		    fs && d->fs.uuid[0] ? " UUID=" : "", fs ? d->fs.uuid : "",
		    d->part_name[0] ? " PARTLABEL=" : "", d->part_name,
		    d->result[0] ? "; " : "", d->result);
	}
}
