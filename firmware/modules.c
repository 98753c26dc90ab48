/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * modules.c - modules.dep, modules.order and modules.builtin, read into memory and searched by name.  A few dozen
 * look-ups among a few thousand lines: no index is worth its code.  Builder's thread.
 */
#include "modules.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bits.h"

#define TEXT_MAX MIB(8)
#define DEPTH_MAX 32

enum { NEW, VISITED };

/*
 * What depmod would find out: used where there is no modules.dep.  With one it still adds what a file system asks for
 * at run time only, which no dependency says (crc32c, by its alias).  A name that does not exist is skipped.
 */
static const struct {
	const char *name, *needs;
} known[] = {
	{ "virtio", "virtio_ring" },
	{ "virtio_pci", "virtio_pci_modern_dev virtio_pci_legacy_dev virtio" },
	{ "virtio_blk", "virtio" },
	{ "virtio_console", "virtio" },
	{ "virtio_balloon", "virtio" },
	{ "virtio_mem", "virtio" },
	{ "virtio_rng", "rng_core virtio" },
	{ "net_failover", "failover" },
	{ "virtio_net", "net_failover dim virtio" },
	{ "vmw_vsock_virtio_transport_common", "vsock" },
	{ "vmw_vsock_virtio_transport", "vmw_vsock_virtio_transport_common virtio" },
	{ "virtiofs", "fuse virtio" },
	{ "pvpanic_mmio", "pvpanic" },
	{ "jbd2", "crc32c_generic" },
	{ "ext4", "crc16 mbcache jbd2 crc32c_generic" },
	{ "libcrc32c", "crc32c_generic" },
	{ "xfs", "libcrc32c exportfs" },
	{ "btrfs", "libcrc32c raid6_pq xor zlib_deflate lzo_compress zstd_compress blake2b_generic xxhash_generic" },
	{ "squashfs", "xz_dec lz4_decompress zstd_decompress" },
	{ "erofs", "libcrc32c netfs lz4_decompress" },
	{ "f2fs", "crc32_generic lz4_compress lz4hc_compress" },
	{ "vfat", "fat nls_cp437 nls_ascii nls_iso8859_1" },
};

int modules_read_text(const struct host *host, const char *path, size_t max, char **out)
{
	int fd = host->open(host, path, O_RDONLY, 0);
	struct stat st;
	char *text = NULL;
	int r;

	if (fd < 0)
		return fd;
	r = host->fstat(host, fd, &st);
	if (r == 0 && !S_ISREG(st.st_mode))
		r = -EINVAL;
	if (r == 0 && (st.st_size < 0 || (uint64_t)st.st_size > max))
		r = -EFBIG;
	if (r == 0) {
		text = malloc((size_t)st.st_size + 1);
		r = text ? host_pread_all(host, fd, text, (size_t)st.st_size, 0) : -ENOMEM;
	}
	host->close(host, fd);
	if (r < 0) {
		free(text);
		return r;
	}
	text[st.st_size] = 0;
	for (char *nul = text; (nul = memchr(nul, 0, (size_t)(text + st.st_size - nul))); )
		*nul = ' ';
	*out = text;
	return 0;
}

/* The length of the module's name in a path "a/b/name.ko.xz"; 0: this is not one.  *NAME is its start. */
static size_t name_in(const char *path, size_t len, const char **name)
{
	const char *slash = memrchr(path, '/', len);
	const char *start = slash ? slash + 1 : path;
	size_t n = (size_t)(path + len - start);
	const char *ko = memmem(start, n, ".ko", 3);

	*name = start;
	return ko ? (size_t)(ko - start) : 0;
}

static bool same_name(const char *a, size_t len, const char *b, size_t b_len)
{
	if (len != b_len)
		return false;
	for (size_t i = 0; i < len; i++) {
		if ((a[i] == '-' ? '_' : a[i]) != (b[i] == '-' ? '_' : b[i]))
			return false;
	}
	return true;
}

/* Relative, never up, and one word in a list. */
static bool is_safe(const char *path)
{
	for (const char *s = path; *s; s++) {
		if (*s <= ' ' || *s == '"' || *s == 0x7f)
			return false;
	}
	return path[0] && path[0] != '/' && strcmp(path, "..") && strncmp(path, "../", 3) && !strstr(path, "/../") &&
	       strlen(path) < MODULES_DIR_MAX;
}

/* Cuts TEXT into entries: "path: deps" a line, or "path" alone in modules.order. */
static int parse(struct modules *m)
{
	size_t n = 1;
	char *line, *rest = NULL;

	for (const char *s = m->text; (s = strchr(s, '\n')); s++)
		n++;
	m->entry = calloc(n, sizeof(*m->entry));
	if (!m->entry)
		return -ENOMEM;
	for (line = strtok_r(m->text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *colon = strchr(line, ':');
		const char *name;

		if (colon)
			*colon = 0;
		else if (m->has_dep)
			continue;
		if (is_safe(line) && name_in(line, strlen(line), &name))
			m->entry[m->n_entries++] = (struct modules_entry){ .path = line, .deps = colon ? colon + 1 : "" };
	}
	return 0;
}

/* 0: DIR is a folder of modules and M has it. */
static int try_dir(struct modules *m, const struct host *host, const char *dir)
{
	char path[MODULES_DIR_MAX + 32];
	int r;

	memset(m, 0, sizeof(*m));
	if (snprintf(m->dir, sizeof(m->dir), "%s", dir) >= (int)sizeof(m->dir))
		return -ENOENT;
	snprintf(path, sizeof(path), "%s/modules.dep", dir);
	r = modules_read_text(host, path, TEXT_MAX, &m->text);
	m->has_dep = r == 0;
	if (r == -ENOENT) {
		snprintf(path, sizeof(path), "%s/modules.order", dir);
		r = modules_read_text(host, path, TEXT_MAX, &m->text);
	}
	if (r < 0)
		return r == -ENOTDIR ? -ENOENT : r;
	r = parse(m);
	if (r == 0) {
		snprintf(path, sizeof(path), "%s/modules.builtin", dir);
		r = modules_read_text(host, path, TEXT_MAX, &m->builtin);
	}
	if (r < 0 && r != -ENOENT) {
		modules_close(m);
		return r;
	}
	return 0;
}

int modules_open(struct modules *m, const struct host *host, const char *dir, const char *release, char *looked,
		 size_t size, struct tvmm_error *err)
{
	static const char *const below[] = { "", "/", "/lib/modules/", "/usr/lib/modules/" };
	char path[MODULES_DIR_MAX];
	size_t len = 0;

	looked[0] = 0;
	/* The folder itself, and what would be "DIR/release", can only be meant when a DIR was given. */
	for (size_t i = dir ? 0 : 2; i < ARRAY_SIZE(below); i++) {
		int r;

		/* A release is one part of a path; nothing else comes from a sane kernel. */
		if (i > 0 && (!release[0] || release[0] == '.' || strchr(release, '/')))
			break;
		r = snprintf(path, sizeof(path), "%s%s%s", dir ? dir : "", below[i], i > 0 ? release : "");
		if (r >= (int)sizeof(path))
			continue;
		r = try_dir(m, host, path);
		if (r == 0)
			return 0;
		if (r != -ENOENT)
			return err_set(err, TVMM_E_IO, -r, path, "cannot read the list of modules");
		r = snprintf(looked + len, size - len, "%s%s", len ? ", " : "", path);
		len = MIN(len + (size_t)r, size - 1);
	}
	return -ENOENT;
}

void modules_close(struct modules *m)
{
	free(m->text);
	free(m->builtin);
	free(m->entry);
	memset(m, 0, sizeof(*m));
}

static struct modules_entry *find(struct modules *m, const char *name, size_t len)
{
	for (size_t i = 0; i < m->n_entries; i++) {
		const char *path = m->entry[i].path, *have;
		size_t n = name_in(path, strlen(path), &have);

		if (same_name(have, n, name, len))
			return &m->entry[i];
	}
	return NULL;
}

static bool is_builtin(const struct modules *m, const char *name, size_t len)
{
	const char *line = m->builtin;

	while (line && *line) {
		const char *end = strchrnul(line, '\n'), *have;
		size_t n = name_in(line, (size_t)(end - line), &have);

		if (same_name(have, n, name, len))
			return true;
		line = *end ? end + 1 : end;
	}
	return false;
}

static const char *known_needs(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (same_name(known[i].name, strlen(known[i].name), name, len))
			return known[i].needs;
	}
	return "";
}

static int add(struct modules *m, struct modules_entry *e, unsigned depth);

/*
 * A list of paths (modules.dep) or of names (ours).  depmod writes what must be loaded last first, and all of it;
 * other tools may write less or otherwise, so each one's own line is followed as well.
 */
static int add_all(struct modules *m, const char *list, bool are_paths, unsigned depth)
{
	const char *end = list + strlen(list);
	int r = 0;

	while (end > list && r == 0) {
		const char *word, *name;
		size_t len;

		while (end > list && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
			end--;
		for (word = end; word > list && word[-1] != ' ' && word[-1] != '\t'; )
			word--;
		name = word;
		len = are_paths ? name_in(word, (size_t)(end - word), &name) : (size_t)(end - word);
		if (len) {
			struct modules_entry *e = find(m, name, len);

			if (e)
				r = add(m, e, depth + 1);
		}
		end = word;
	}
	return r;
}

static int add(struct modules *m, struct modules_entry *e, unsigned depth)
{
	const char *name;
	size_t len = name_in(e->path, strlen(e->path), &name);
	int r;

	/* Visited: in the order, or on the way there, which is a loop: whoever closes it goes first. */
	if (e->state == VISITED)
		return 0;
	if (depth > DEPTH_MAX)
		return -E2BIG;
	e->state = VISITED;
	r = add_all(m, known_needs(name, len), false, depth);
	if (r == 0)
		r = add_all(m, e->deps, true, depth);
	if (r == 0 && m->n_order == MODULES_MAX)
		r = -E2BIG;
	if (r == 0)
		m->order[m->n_order++] = e;
	return r;
}

int modules_want(struct modules *m, const char *name, enum modules_found *found, struct tvmm_error *err)
{
	struct modules_entry *e = find(m, name, strlen(name));
	int r;

	*found = e ? MODULES_FILE : is_builtin(m, name, strlen(name)) ? MODULES_BUILTIN : MODULES_ABSENT;
	if (!e)
		return 0;
	r = add(m, e, 0);
	if (r < 0)
		return err_set(err, TVMM_E_IO, -r, m->dir, "'%s': module %s depends on too many others (%d are taken)", m->dir, name,
			       MODULES_MAX);
	return 0;
}
