/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * root.c - finds the root file system and mounts it.
 *
 * What is wanted comes from tinyvmm.root= on the kernel's command line, else from /tinyvmm/root, else it is the first
 * disk.  A candidate is mounted read-only and looked at; only the one that has an init becomes writable, so that a
 * partition with somebody's data is not written to in passing.  A journal may be replayed, as any mount does.
 */
#include "init.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include "disks.h"
#include "sys.h"

#define WAIT_DISK_MS 6000 /* for the first disk to appear */
#define WAIT_MORE_MS 1000  /* for its partitions, or the disk that was asked for, after that */
#define SAY_EVERY_MS 2000
#define STEP_MS 20

const char *const usual_inits[] = { "/sbin/init", "/etc/init", "/bin/init", "/bin/sh", NULL };

struct wanted {
	char spec[OPTION_MAX];
	char type[32], flags[OPTION_MAX]; /* rootfstype=, rootflags= */
	const char *init;
};

/* Is there a program to run?  Looked at from inside the root, for links in it may be absolute. */
static bool has_init(const struct wanted *w)
{
	int top = sys_open("/", O_RDONLY | O_DIRECTORY | O_PATH);
	bool found = false;

	if (top < 0 || sys_chroot(NEWROOT) < 0)
		return false;
	if (w->init[0])
		found = sys3(__NR_access, (long)w->init, 1, 0) == 0;
	for (const char *const *i = usual_inits; !w->init[0] && *i && !found; i++)
		found = sys3(__NR_access, (long)*i, 1, 0) == 0;
	sys3(__NR_fchdir, top, 0, 0);
	sys_chroot(".");
	sys_close(top);
	return found;
}

static int mount_as(const struct wanted *w, const char *dev, const char *type)
{
	char data[OPTION_MAX + 32];
	/* A journal that a read-only disk cannot replay: better the state before it than nothing. */
	const char *skip = !strcmp(type, "ext4") ? "noload" : !strcmp(type, "xfs") ? "norecovery" : NULL;
	int err = sys_mount(dev, NEWROOT, type, MS_RDONLY | MS_SILENT, w->flags);

	if ((err == -EROFS || err == -EACCES) && skip) {
		format(data, sizeof(data), "%s%s%s", w->flags, w->flags[0] ? "," : "", skip);
		err = sys_mount(dev, NEWROOT, type, MS_RDONLY | MS_SILENT, data);
	}
	return err;
}

/* All types that the kernel knows and that live on a disk, for what we do not recognise. */
static int mount_any(const struct wanted *w, const char *dev, char *type, size_t size)
{
	static char list[4096];
	char word[32];
	const char *s = list;
	bool nodev = false;

	if (read_text("/proc/filesystems", list, sizeof(list)) < 0)
		return -ENODEV;
	while (next_word(&s, word, sizeof(word))) {
		if (!strcmp(word, "nodev")) {
			nodev = true;
			continue;
		}
		if (!nodev && mount_as(w, dev, word) == 0) {
			format(type, size, "%s", word);
			return 0;
		}
		nodev = false;
	}
	return -EINVAL;
}

/* Mounts D if it can be the root; else D's result says why not. */
static bool try_disk(const struct wanted *w, struct disk *d)
{
	char dev[64], type[32];
	int err;

	if (d->result[0] || (d->parts && !d->has_fs))
		return false;
	d->tried = d->has_fs;
	if (d->has_fs && !d->fs.mountable) {
		format(d->result, sizeof(d->result), "this is not a file system to mount");
		return false;
	}
	format(dev, sizeof(dev), "/dev/%s", d->name);
	format(type, sizeof(type), "%s", w->type[0] ? w->type : d->has_fs ? d->fs.name : "");
	err = type[0] ? mount_as(w, dev, type) : mount_any(w, dev, type, sizeof(type));
	if (err < 0) {
		if (type[0])
			format(d->result, sizeof(d->result), "mounting it as %s: %s", type, why(err));
		return false;
	}
	d->tried = true;
	if (!has_init(w)) {
		format(d->result, sizeof(d->result), "mounted as %s, but it has no %s", type,
		       w->init[0] ? w->init : "/sbin/init, /etc/init, /bin/init or /bin/sh");
		sys_umount(NEWROOT);
		return false;
	}
	format(d->result, sizeof(d->result), "%s", type);
	return true;
}

static bool same_uuid(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		if ((*a | 0x20) != (*b | 0x20))
			return false;
	}
	return *a == *b;
}

static const char *value_of(const char *spec, const char *key)
{
	size_t n = strlen(key);

	return strncmp(spec, key, n) ? NULL : spec + n;
}

/* The device that the user names is tried alone; a disk of his, or the first one, with its partitions. */
static bool matches(const struct wanted *w, const struct disk *d)
{
	const char *v;

	if ((v = value_of(w->spec, "LABEL=")))
		return d->has_fs && !strcmp(d->fs.label, v);
	if ((v = value_of(w->spec, "UUID=")))
		return d->has_fs && d->fs.uuid[0] && same_uuid(d->fs.uuid, v);
	if ((v = value_of(w->spec, "PARTLABEL=")))
		return d->part && !strcmp(d->part_name, v);
	if ((v = value_of(w->spec, "PARTN=")))
		return d->part && d->parent == 0 && d->part == number(v);
	if ((v = value_of(w->spec, "/dev/")))
		return !strcmp(d->name, v) || !strcmp(disks[d->parent].name, v);
	return d->parent == 0;
}

static struct disk *find(const struct wanted *w)
{
	disks_scan();
	for (unsigned i = 0; i < n_disks; i++) {
		if (matches(w, &disks[i]) && try_disk(w, &disks[i]))
			return &disks[i];
	}
	return NULL;
}

/* Nothing changes by waiting once a file system was found and refused. */
static bool is_settled(const struct wanted *w)
{
	for (unsigned i = 0; i < n_disks; i++) {
		if (disks[i].tried && matches(w, &disks[i]))
			return true;
	}
	return false;
}

static const char *name_of(const struct wanted *w)
{
	return w->spec[0] ? w->spec : "the first disk";
}

static struct disk *wait_for(const struct wanted *w)
{
	unsigned waited = 0, disk_since = 0;

	for (;;) {
		struct disk *d = find(w);

		if (d)
			return d;
		if (!n_disks)
			disk_since = waited;
		if (waited >= WAIT_DISK_MS || waited - disk_since >= WAIT_MORE_MS || is_settled(w))
			break;
		if (waited && waited % SAY_EVERY_MS == 0)
			say("waiting for %s since %u s", name_of(w), waited / 1000);
		sys_sleep_ms(STEP_MS);
		waited += STEP_MS;
	}
	say("no root file system on %s; this is what there is:", name_of(w));
	disks_report();
	give_up("%s", n_disks ? "name the root by tinyvmm.root= (/dev/vda1, PARTN=1, LABEL=.., UUID=.. or PARTLABEL=..)" :
				"this guest cannot start");
}

static bool is_known_spec(const char *spec)
{
	static const char *const forms[] = { "LABEL=", "UUID=", "PARTLABEL=", "PARTN=", "/dev/", NULL };

	for (const char *const *f = forms; *f; f++) {
		if (value_of(spec, *f))
			return true;
	}
	return !spec[0];
}

/* Asked of the file system, for one that is never writable (squashfs) takes a request to become so without a word. */
static bool is_writable(void)
{
	struct statfs s;

	return sys3(__NR_statfs, (long)NEWROOT, (long)&s, 0) == 0 && !(s.f_flags & MS_RDONLY);
}

void root_mount(const char *init)
{
	static struct wanted w;
	const struct disk *d;
	int err = 0;

	w.init = init;
	if (read_text("/tinyvmm/root", w.spec, sizeof(w.spec)) < 0)
		w.spec[0] = 0;
	option("tinyvmm.root", w.spec, sizeof(w.spec));
	option("rootfstype", w.type, sizeof(w.type));
	option("rootflags", w.flags, sizeof(w.flags));
	if (!is_known_spec(w.spec))
		give_up("tinyvmm.root=%s: not /dev/.., LABEL=.., UUID=.., PARTLABEL=.. or PARTN=..", w.spec);

	d = wait_for(&w);
	/* The kernel itself would take "ro" for granted; a disk to boot from is one to write to. */
	if (option("ro", NULL, 0) <= option("rw", NULL, 0))
		err = sys_mount(NULL, NEWROOT, NULL, MS_REMOUNT | MS_SILENT, w.flags);
	if (err < 0 && err != -EROFS && err != -EACCES)
		say("/dev/%s stays read-only: %s", d->name, why(err));
	note("the root is /dev/%s, %s, %s", d->name, d->result, is_writable() ? "writable" : "read-only");
	sys_unlink("/tinyvmm/root");
}
