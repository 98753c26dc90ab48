/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * initramfs.c - puts together what the guest needs to reach its root: our init, the modules, and two small lists.
 *
 * Which modules: the drivers of the disk and of what else the machine has, and of the file systems seen on the disk.
 * Compressed ones go in as they are if the guest's kernel unpacks them (CONFIG_MODULE_DECOMPRESS), which its
 * configuration says where that is at hand, else its version.  Builder's thread.
 */
#include "initramfs.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bits.h"
#include "cpio.h"
#include "fsid.h"
#include "initramfs_init.h"
#include "modules.h"

#define ARCHIVE_MAX MIB(256)
#define MODULE_MAX MIB(64)
#define CONFIG_MAX MIB(1)
#define PARTS_MAX 128
#define ROOT_MAX 255

struct builder {
	const struct host *host;
	const struct initramfs_desc *desc;
	struct modules modules;
	struct cpio cpio;
	char *config; /* the kernel's, as text; NULL: not found */
	char *list; /* what init reads: a name a line, "--" before those that can wait */
	size_t list_len;
	unsigned n_modules;
	char *warning;
	size_t warning_size;
	struct tvmm_error *err;
};

static void warn(struct builder *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void warn(struct builder *b, const char *fmt, ...)
{
	size_t len = strlen(b->warning);
	va_list ap;

	if (len && len + 1 < b->warning_size) {
		snprintf(b->warning + len, b->warning_size - len, "; ");
		len = strlen(b->warning);
	}
	va_start(ap, fmt);
	vsnprintf(b->warning + len, b->warning_size - len, fmt, ap);
	va_end(ap);
}

/* 5.17 was the first that could. */
static bool is_5_17(const char *release)
{
	unsigned major = 0, minor = 0;

	return sscanf(release, "%u.%u", &major, &minor) == 2 && (major > 5 || (major == 5 && minor >= 17));
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static const char *release_of(const struct builder *b)
{
	return b->desc->release[0] ? b->desc->release : base_name(b->modules.dir);
}

/* Beside the modules, or in the boot/ of the root that they lie in. */
static void find_config(struct builder *b)
{
	const char *dir = b->modules.dir, *lib = strstr(dir, "/lib/modules/");
	char path[MODULES_DIR_MAX + 128];
	int root_len = lib ? (int)(lib - dir) : 0;

	if (root_len >= 4 && !strncmp(lib - 4, "/usr", 4))
		root_len -= 4;
	snprintf(path, sizeof(path), "%s/config", dir);
	if (modules_read_text(b->host, path, CONFIG_MAX, &b->config) == 0 || !lib)
		return;
	snprintf(path, sizeof(path), "%.*s/boot/config-%s", root_len, dir, release_of(b));
	if (modules_read_text(b->host, path, CONFIG_MAX, &b->config) < 0)
		b->config = NULL;
}

static bool config_has(const struct builder *b, const char *line)
{
	const char *at = strstr(b->config, line);

	return at && (at == b->config || at[-1] == '\n');
}

static const struct packing {
	const char *suffix, *tool, *config;
} packings[] = {
	{ ".xz", "xz", "CONFIG_MODULE_COMPRESS_XZ=y\n" },
	{ ".zst", "zstd", "CONFIG_MODULE_COMPRESS_ZSTD=y\n" },
	{ ".gz", "gzip", "CONFIG_MODULE_COMPRESS_GZIP=y\n" },
};

static const struct packing *packing_of(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < ARRAY_SIZE(packings); i++) {
		size_t n = strlen(packings[i].suffix);

		if (len > n && !strcmp(name + len - n, packings[i].suffix))
			return &packings[i];
	}
	return NULL;
}

static bool kernel_unpacks(const struct builder *b, const struct packing *p)
{
	if (b->config)
		return config_has(b, "CONFIG_MODULE_DECOMPRESS=y\n") && config_has(b, p->config);
	return is_5_17(release_of(b));
}

/* One more line in the list of modules; without memory for it the archive has failed. */
static void add_line(struct builder *b, const char *line)
{
	size_t n = strlen(line) + 1;
	char *list = realloc(b->list, b->list_len + n);

	if (!list) {
		b->cpio.failed = true;
		return;
	}
	memcpy(list + b->list_len, line, n);
	list[b->list_len + n - 1] = '\n';
	b->list = list;
	b->list_len += n;
}

/* One more file for init to load; NULL: no memory, and the archive has failed. */
static void *add_name(struct builder *b, const char *name, size_t len)
{
	char path[MODULES_DIR_MAX + 16];

	add_line(b, name);
	b->n_modules++;
	snprintf(path, sizeof(path), "tinyvmm/%s", name);
	return cpio_reserve(&b->cpio, path, 0644, len);
}

static void add_unpacked(struct builder *b, const char *path, int fd, const struct packing *p)
{
	char name[MODULES_DIR_MAX];
	void *data = NULL, *to;
	size_t len = 0;
	int r = b->desc->unpack ? b->desc->unpack(p->tool, fd, MODULE_MAX, &data, &len) : -EOPNOTSUPP;

	if (r < 0) {
		warn(b, "%s is left out: kernel %s does not unpack it, and here %s (%s)", path, release_of(b),
		     r == -ENOENT ? "there is no tool to do it" : r == -EOPNOTSUPP ? "it was not asked to be" : "it does not unpack",
		     p->tool);
		return;
	}
	snprintf(name, sizeof(name), "%.*s", (int)(strlen(base_name(path)) - strlen(p->suffix)), base_name(path));
	to = add_name(b, name, len);
	if (to)
		memcpy(to, data, len);
	free(data);
}

static int open_module(struct builder *b, const struct modules_entry *e, char *path, size_t size)
{
	int fd;

	snprintf(path, size, "%s/%s", b->modules.dir, e->path);
	fd = b->host->open(b->host, path, O_RDONLY, 0);
	/* modules.order gives the names that the build had, before its files were compressed. */
	for (size_t i = 0; fd == -ENOENT && !b->modules.has_dep && i < ARRAY_SIZE(packings); i++) {
		snprintf(path, size, "%s/%s%s", b->modules.dir, e->path, packings[i].suffix);
		fd = b->host->open(b->host, path, O_RDONLY, 0);
	}
	return fd;
}

static int add_module(struct builder *b, const struct modules_entry *e)
{
	char path[2 * MODULES_DIR_MAX + 8];
	const struct packing *p;
	int fd = open_module(b, e, path, sizeof(path)), r;
	struct stat st;
	void *to;

	if (fd == -ENOENT) {
		warn(b, "'%s/%s' is listed but does not exist", b->modules.dir, e->path);
		return 0;
	}
	if (fd < 0)
		return err_set(b->err, TVMM_E_IO, -fd, path, "cannot open a kernel module");
	r = b->host->fstat(b->host, fd, &st);
	p = packing_of(path);
	if (r < 0) {
		err_set(b->err, TVMM_E_IO, -r, path, "cannot look at a kernel module");
	} else if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (uint64_t)st.st_size > MODULE_MAX) {
		r = err_set(b->err, TVMM_E_IO, EINVAL, path, "this is no kernel module: not a file, empty or too large");
	} else if (p && !kernel_unpacks(b, p)) {
		add_unpacked(b, path, fd, p);
	} else {
		to = add_name(b, base_name(path), (size_t)st.st_size);
		r = to ? host_pread_all(b->host, fd, to, (size_t)st.st_size, 0) : 0;
		if (r < 0)
			err_set(b->err, TVMM_E_IO, -r, path, "cannot read a kernel module");
	}
	b->host->close(b->host, fd);
	return r;
}

static int want(struct builder *b, const char *name, bool needed)
{
	enum modules_found found;
	int r = modules_want(&b->modules, name, &found, b->err);

	if (r == 0 && found == MODULES_ABSENT && needed)
		warn(b, "'%s' has no module %s and does not list it as built in", b->modules.dir, name);
	return r;
}

/* Reads up to LEN bytes; how many there were.  A disk that cannot be read will be reported by those who need it. */
static size_t peek(const struct builder *b, void *buf, size_t len, uint64_t off)
{
	size_t n = 0;

	while (n < len) {
		struct iovec iov = { .iov_base = (uint8_t *)buf + n, .iov_len = len - n };
		ssize_t got = b->host->preadv(b->host, b->desc->root_fd, &iov, 1, (off_t)(off + n));

		if (got == -EINTR)
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	return n;
}

/* The modules of the file systems on the disk: which partition is the root, only init will know. */
static int want_filesystems(struct builder *b)
{
	uint64_t part[PARTS_MAX] = { 0 };
	unsigned n = 1, seen = 0;
	size_t len;
	uint8_t *buf = malloc(FSID_BYTES);
	struct fsid id;
	int r = 0;

	if (!buf)
		return err_set(b->err, TVMM_E_MEMORY, ENOMEM, NULL, "no memory to look at a disk");
	len = b->desc->root_fd >= 0 ? peek(b, buf, FSID_BYTES, 0) : 0;
	if (!fsid_read(&id, buf, len))
		n = fsid_partitions(part, PARTS_MAX, buf, len);
	for (unsigned i = 0; i < n && r == 0; i++) {
		len = part[i] <= INT64_MAX - FSID_BYTES ? peek(b, buf, FSID_BYTES, part[i]) : 0;
		/* Nobody's root is FAT: that is the partition of an EFI loader. */
		if (!fsid_read(&id, buf, len) || !id.mountable || !strcmp(id.name, "vfat"))
			continue;
		seen++;
		r = want(b, id.name, true);
	}
	free(buf);
	return seen || r < 0 ? r : want(b, "ext4", false);
}

static int want_all(struct builder *b, const char *const *names, bool needed)
{
	int r = 0;

	for (; names && *names && r == 0; names++)
		r = want(b, *names, needed);
	return r;
}

static int add_modules(struct builder *b)
{
	static const char *const always[] = { "virtio_pci", "virtio_blk", NULL };
	const char *name = base_name(b->modules.dir);
	unsigned early = 0;
	int r;

	/* Folders of modules are called by their kernel's release; one with another kind of name tells us nothing. */
	if (b->desc->release[0] && is_digit(name[0]) && strcmp(name, b->desc->release))
		warn(b, "'%s' looks like the modules of another kernel than this one, %s", b->modules.dir, b->desc->release);
	find_config(b);
	r = want_all(b, always, true);
	if (r == 0)
		r = want_all(b, b->desc->drivers, false);
	if (r == 0)
		r = want_filesystems(b);
	early = b->modules.n_order;
	if (r == 0)
		r = want_all(b, b->desc->late_drivers, false);
	for (unsigned i = 0; i < b->modules.n_order && r == 0; i++) {
		if (i == early)
			add_line(b, "--");
		r = add_module(b, b->modules.order[i]);
	}
	free(b->config);
	modules_close(&b->modules);
	return r;
}

static int find_and_add_modules(struct builder *b)
{
	const struct initramfs_desc *d = b->desc;
	char looked[4 * MODULES_DIR_MAX];
	int r = modules_open(&b->modules, b->host, d->modules_dir, d->release, looked, sizeof(looked), b->err);

	if (r == 0)
		return add_modules(b);
	if (r != -ENOENT)
		return r;
	if (!d->release[0])
		warn(b, "the kernel does not say its release, so its modules %s%s",
		     looked[0] ? "are sought in one place only: " : "cannot be sought", looked);
	else
		warn(b, "kernel %s has no modules here (looked in %s)", d->release, looked);
	warn(b, "the guest finds no root unless virtio_pci, virtio_blk and the disk's file system are built in");
	return 0;
}

int initramfs_build(struct initramfs *out, const struct host *host, const struct initramfs_desc *desc, char *warning,
		    size_t size, struct tvmm_error *err)
{
	struct builder b = { .host = host, .desc = desc, .warning = warning, .warning_size = size, .err = err };
	const char *root = desc->root ? desc->root : "";
	struct cpio *c = &b.cpio;
	int r;

	warning[0] = 0;
	if (strlen(root) > ROOT_MAX || strpbrk(root, " \t\n\""))
		return err_set(err, TVMM_E_CONFIG, 0, root, "a root is named by one word of at most %d characters", ROOT_MAX);
	c->max = ARCHIVE_MAX;
	cpio_dir(c, "dev", 0755);
	/* The kernel opens the console before our init could make it; the log is for when there is no console yet. */
	cpio_chardev(c, "dev/console", 0600, 5, 1);
	cpio_chardev(c, "dev/kmsg", 0600, 1, 11);
	cpio_dir(c, "newroot", 0755);
	cpio_dir(c, "proc", 0755);
	cpio_dir(c, "sys", 0755);
	cpio_dir(c, "tinyvmm", 0755);
	cpio_file(c, "init", 0755, initramfs_init, initramfs_init_size);
	cpio_file(c, "tinyvmm/root", 0644, root, strlen(root));
	r = find_and_add_modules(&b);
	cpio_file(c, "tinyvmm/modules", 0644, b.list, b.list_len);
	cpio_end(c);
	if (r == 0 && c->failed)
		r = err_set(err, TVMM_E_MEMORY, ENOMEM, NULL, "no memory for the initramfs, or over %u MiB of modules",
			    (unsigned)(ARCHIVE_MAX >> 20));
	if (r == 0) {
		*out = (struct initramfs){ .data = c->buf, .len = c->len, .modules = b.n_modules };
	} else {
		free(c->buf);
	}
	free(b.list);
	return r;
}

void initramfs_free(struct initramfs *i)
{
	free(i->data);
	*i = (struct initramfs){ 0 };
}
