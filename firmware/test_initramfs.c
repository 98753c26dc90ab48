/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_initramfs.c - the archive that tinyvmm makes: what is in it, what is said, and a host that fails. */
#include "initramfs.h"

#include <fcntl.h>
#include "bits.h"
#include "fsid.h"
#include "initramfs_init.h"
#include "test_tree.h"

static char dir[64], warning[1024];
static struct initramfs out;
static struct tvmm_error err;

static int build(const struct host *host, struct initramfs_desc *d)
{
	if (!d->modules_dir)
		d->modules_dir = dir;
	return initramfs_build(&out, host, d, warning, sizeof(warning), &err);
}

static void check_text(const char *name, const char *want)
{
	struct cpio_entry e;

	ck_assert(cpio_find(out.data, out.len, name, &e));
	ck_assert_uint_eq(e.len, strlen(want));
	ck_assert_mem_eq(e.data, want, e.len);
}

/* The warning to the letter, with the folder's name where WANT has an '@'. */
static void check_warning(const char *want)
{
	char text[1024], *s = text;

	for (; *want; want++)
		s += *want == '@' ? sprintf(s, "%s", dir) : sprintf(s, "%c", *want);
	*s = 0;
	ck_assert_str_eq(warning, text);
}

static void plain_modules(void)
{
	tree_make(dir);
	tree_text(dir, "modules.dep", "k/virtio_ring.ko:\nk/virtio_pci.ko: k/virtio_ring.ko\nk/virtio_blk.ko: k/virtio_ring.ko\n"
				      "k/virtio_net.ko: k/failover.ko\nk/failover.ko:\nk/xfs.ko:\nk/btrfs.ko:\n");
	tree_text(dir, "modules.builtin", "kernel/fs/ext4/ext4.ko\n");
	tree_text(dir, "k/virtio_ring.ko", "ring");
	tree_text(dir, "k/virtio_pci.ko", "pci");
	tree_text(dir, "k/virtio_blk.ko", "blk");
	tree_text(dir, "k/virtio_net.ko", "net");
	tree_text(dir, "k/failover.ko", "over");
	tree_text(dir, "k/xfs.ko", "xfs");
	tree_text(dir, "k/btrfs.ko", "btrfs");
}

START_TEST(whole)
{
	static const char *const drivers[] = { "no_such_driver", "virtio_blk", NULL };
	static const char *const late[] = { "virtio_net", "no_such_driver", "virtio_pci", NULL };
	struct initramfs_desc d = { .release = "6.1.0", .root_fd = -1, .drivers = drivers, .late_drivers = late, .root = "LABEL=x" };
	struct cpio_entry e;
	struct initramfs first;

	plain_modules();
	ck_assert_int_eq(build(host_linux(), &d), 0);
	check_warning("");
	ck_assert_uint_eq(out.modules, 5);
	check_text("tinyvmm/modules", "virtio_ring.ko\nvirtio_pci.ko\nvirtio_blk.ko\n--\nfailover.ko\nvirtio_net.ko\n");
	check_text("tinyvmm/virtio_blk.ko", "blk");
	check_text("tinyvmm/failover.ko", "over");
	check_text("tinyvmm/root", "LABEL=x");
	ck_assert(!cpio_find(out.data, out.len, "tinyvmm/xfs.ko", &e));
	ck_assert(cpio_find(out.data, out.len, "init", &e));
	ck_assert_uint_eq(e.mode, S_IFREG | 0755);
	ck_assert_uint_eq(e.len, initramfs_init_size);
	ck_assert_mem_eq(e.data, "\177ELF\2\1", 6);
	ck_assert_uint_le(initramfs_init_size, 16384);
	ck_assert(cpio_find(out.data, out.len, "dev/console", &e));
	ck_assert(cpio_find(out.data, out.len, "newroot", &e));

	first = out;
	ck_assert_int_eq(build(host_linux(), &d), 0);
	ck_assert_uint_eq(first.len, out.len);
	ck_assert(!memcmp(first.data, out.data, out.len));
	initramfs_free(&first);
	initramfs_free(&out);
	initramfs_free(&out);
	ck_assert_ptr_null(out.data);
	tree_remove(dir);
}
END_TEST

START_TEST(nothing_found)
{
	struct initramfs_desc d = { .release = "6.1.0", .root_fd = -1 };
	struct cpio_entry e;

	tree_make(dir);
	ck_assert_int_eq(build(host_linux(), &d), 0);
	check_warning("kernel 6.1.0 has no modules here (looked in @, @/6.1.0, @/lib/modules/6.1.0, @/usr/lib/modules/6.1.0); "
		      "the guest finds no root unless virtio_pci, virtio_blk and the disk's file system are built in");
	ck_assert_uint_eq(out.modules, 0);
	check_text("tinyvmm/modules", "");
	ck_assert(cpio_find(out.data, out.len, "init", &e));
	initramfs_free(&out);

	d.release = "";
	ck_assert_int_eq(build(host_linux(), &d), 0);
	check_warning("the kernel does not say its release, so its modules are sought in one place only: @; "
		      "the guest finds no root unless virtio_pci, virtio_blk and the disk's file system are built in");
	initramfs_free(&out);
	/* Whatever the buffer's size, the warning ends in it. */
	for (size_t size = 1; size < 40; size++) {
		ck_assert_int_eq(initramfs_build(&out, host_linux(), &d, warning, size, &err), 0);
		ck_assert_uint_eq(strlen(warning), size - 1);
		initramfs_free(&out);
	}
	tree_remove(dir);
}
END_TEST

START_TEST(some_missing)
{
	struct initramfs_desc d = { .release = "6.1.0", .root_fd = -1 };

	tree_make(dir);
	tree_text(dir, "modules.dep", "k/virtio_blk.ko: k/virtio_ring.ko\nk/virtio_ring.ko:\n");
	tree_text(dir, "k/virtio_blk.ko", "blk");
	ck_assert_int_eq(build(host_linux(), &d), 0);
	check_warning("'@' has no module virtio_pci and does not list it as built in; '@/k/virtio_ring.ko' is listed but does not exist");
	check_text("tinyvmm/modules", "virtio_blk.ko\n");
	initramfs_free(&out);
	tree_text(dir, "k/virtio_ring.ko", ""); /* empty: a damaged folder, not a missing module */
	ck_assert_int_eq(build(host_linux(), &d), -EINVAL);
	ck_assert_str_eq(err.message, "this is no kernel module: not a file, empty or too large");
	tree_remove(dir);
}
END_TEST

START_TEST(another_kernels_modules)
{
	char path[100];
	struct initramfs_desc d = { .release = "6.1.0", .root_fd = -1, .modules_dir = path };

	tree_make(dir);
	tree_text(dir, "6.2.0/modules.order", "");
	tree_text(dir, "6.2.0/modules.builtin", "k/virtio_pci.ko\nk/virtio_blk.ko");
	snprintf(path, sizeof(path), "%s/6.2.0", dir);
	ck_assert_int_eq(build(host_linux(), &d), 0);
	check_warning("'@/6.2.0' looks like the modules of another kernel than this one, 6.1.0");
	initramfs_free(&out);
	d.release = "6.2.0";
	ck_assert_int_eq(build(host_linux(), &d), 0);
	check_warning("");
	initramfs_free(&out);
	tree_remove(dir);
}
END_TEST

START_TEST(bad_root)
{
	char big[300];
	struct initramfs_desc d = { .release = "", .root_fd = -1, .root = "LABEL=a b" };

	tree_make(dir);
	ck_assert_int_eq(build(host_linux(), &d), -EINVAL);
	ck_assert_str_eq(err.message, "a root is named by one word of at most 255 characters");
	memset(big, 'a', sizeof(big));
	big[256] = 0;
	d.root = big;
	ck_assert_int_eq(build(host_linux(), &d), -EINVAL);
	big[255] = 0;
	ck_assert_int_eq(build(host_linux(), &d), 0);
	initramfs_free(&out);
	tree_remove(dir);
}
END_TEST

/* Says what it was asked for, and unpacks everything to the same bytes. */
static char asked[100];

static int fake_unpack(const char *tool, int fd, size_t max, void **data, size_t *len)
{
	strcat(strcat(asked, tool), " ");
	*data = strdup("unpacked");
	*len = 8;
	return 0;
}

static int no_tool(const char *tool, int fd, size_t max, void **data, size_t *len)
{
	return -ENOENT;
}

static void packed_modules(const char *suffix)
{
	char text[200], name[100];

	tree_make(dir);
	snprintf(text, sizeof(text), "k/virtio_pci.ko%s:\nk/virtio_blk.ko%s:\n", suffix, suffix);
	tree_text(dir, "modules.dep", text);
	snprintf(name, sizeof(name), "k/virtio_pci.ko%s", suffix);
	tree_text(dir, name, "packed pci");
	snprintf(name, sizeof(name), "k/virtio_blk.ko%s", suffix);
	tree_text(dir, name, "packed blk");
}

START_TEST(compressed)
{
	static const struct {
		const char *suffix, *release, *config;
		const char *asked; /* "": passed as it is */
	} t[] = {
		{ ".xz", "6.12.1", NULL, "" },
		{ ".xz", "5.17.0", NULL, "" },
		{ ".xz", "5.16.9", NULL, "xz xz " },
		{ ".zst", "4.18.0-553.el8", NULL, "zstd zstd " },
		{ ".gz", "nonsense", NULL, "gzip gzip " },
		{ ".xz", "6.12.1", "# CONFIG_MODULE_DECOMPRESS is not set\nCONFIG_MODULE_COMPRESS_XZ=y\n", "xz xz " },
		{ ".xz", "5.10.0", "CONFIG_MODULE_COMPRESS_XZ=y\nCONFIG_MODULE_DECOMPRESS=y\n", "" },
		{ ".xz", "6.12.1", "CONFIG_MODULE_COMPRESS_ZSTD=y\nCONFIG_MODULE_DECOMPRESS=y\n", "xz xz " },
		{ ".ko", "5.10.0", NULL, "" }, /* ".ko.ko" is nothing that we would unpack */
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct initramfs_desc d = { .release = t[i].release, .root_fd = -1, .unpack = fake_unpack };
		char name[32], list[100];

		packed_modules(t[i].suffix);
		if (t[i].config)
			tree_text(dir, "config", t[i].config);
		asked[0] = 0;
		ck_assert_int_eq(build(host_linux(), &d), 0);
		check_warning("");
		ck_assert_str_eq(asked, t[i].asked);
		snprintf(name, sizeof(name), "virtio_blk.ko%s", asked[0] ? "" : t[i].suffix);
		snprintf(list, sizeof(list), "virtio_pci.ko%s\n%s\n", asked[0] ? "" : t[i].suffix, name);
		check_text("tinyvmm/modules", list);
		snprintf(list, sizeof(list), "tinyvmm/%s", name);
		check_text(list, asked[0] ? "unpacked" : "packed blk");
		initramfs_free(&out);
		tree_remove(dir);
	}
}
END_TEST

START_TEST(not_unpacked)
{
	struct initramfs_desc d = { .release = "5.10.0", .root_fd = -1, .unpack = no_tool };

	packed_modules(".xz");
	ck_assert_int_eq(build(host_linux(), &d), 0);
	check_warning("@/k/virtio_pci.ko.xz is left out: kernel 5.10.0 does not unpack it, and here there is no tool to do it (xz); "
		      "@/k/virtio_blk.ko.xz is left out: kernel 5.10.0 does not unpack it, and here there is no tool to do it (xz)");
	ck_assert_uint_eq(out.modules, 0);
	initramfs_free(&out);
	d.unpack = NULL;
	ck_assert_int_eq(build(host_linux(), &d), 0);
	ck_assert_ptr_nonnull(strstr(warning, "and here it was not asked to be (xz)"));
	initramfs_free(&out);
	tree_remove(dir);
}
END_TEST

/* A package as it is unpacked: lib/modules below the root, boot/ beside it, names in modules.order without suffix. */
START_TEST(package)
{
	struct initramfs_desc d = { .release = "5.10.0-x", .root_fd = -1, .unpack = fake_unpack };

	tree_make(dir);
	tree_text(dir, "usr/lib/modules/5.10.0-x/modules.order", "kernel/virtio_pci.ko\nkernel/virtio_blk.ko\n");
	tree_text(dir, "usr/lib/modules/5.10.0-x/kernel/virtio_pci.ko", "pci");
	tree_text(dir, "usr/lib/modules/5.10.0-x/kernel/virtio_blk.ko.zst", "blk");
	asked[0] = 0;
	ck_assert_int_eq(build(host_linux(), &d), 0);
	ck_assert_str_eq(asked, "zstd ");
	check_text("tinyvmm/modules", "virtio_pci.ko\nvirtio_blk.ko\n");
	initramfs_free(&out);
	tree_text(dir, "boot/config-5.10.0-x", "x=y\nCONFIG_MODULE_COMPRESS_ZSTD=y\nCONFIG_MODULE_DECOMPRESS=y\n");
	ck_assert_int_eq(build(host_linux(), &d), 0);
	check_text("tinyvmm/modules", "virtio_pci.ko\nvirtio_blk.ko.zst\n");
	check_warning("");
	initramfs_free(&out);
	tree_remove(dir);
}
END_TEST

static int disk_fd(const uint8_t *data, size_t len)
{
	char path[100];

	tree_put(dir, "disk", data, len);
	snprintf(path, sizeof(path), "%s/disk", dir);
	return open(path, O_RDONLY | O_CLOEXEC);
}

START_TEST(filesystem_of_the_disk)
{
	struct initramfs_desc d = { .release = "6.1.0" };
	uint8_t *data = calloc(1, MIB(2));

	plain_modules();
	memcpy(data, "XFSB", 4);
	d.root_fd = disk_fd(data, MIB(1));
	ck_assert_int_eq(build(host_linux(), &d), 0);
	check_warning("");
	check_text("tinyvmm/xfs.ko", "xfs");
	ck_assert_uint_eq(out.modules, 4);
	initramfs_free(&out);
	close(d.root_fd);

	/* Two partitions: an EFI one, and btrfs.  A third lies behind the end. */
	memset(data, 0, 4);
	data[510] = 0x55;
	data[511] = 0xaa;
	for (unsigned i = 0; i < 3; i++) {
		data[446 + 16 * i + 4] = 0x83;
		store_le32(data + 446 + 16 * i + 8, 1024 * (i + 1));
		store_le32(data + 446 + 16 * i + 12, 1024);
	}
	memcpy(data + KIB(512) + 82, "FAT32   ", 8);
	memcpy(data + MIB(1) + 65600, "_BHRfS_M", 8);
	d.root_fd = disk_fd(data, MIB(1) + KIB(500));
	ck_assert_int_eq(build(host_linux(), &d), 0);
	check_warning("");
	check_text("tinyvmm/btrfs.ko", "btrfs");
	ck_assert_uint_eq(out.modules, 4);
	initramfs_free(&out);
	close(d.root_fd);

	/* Built in: nothing to say.  Neither: a sentence.  An empty disk and one that cannot be read: only our guess, ext4. */
	memset(data, 0, MIB(2));
	store_le16(data + 1080, 0xef53);
	d.root_fd = disk_fd(data, MIB(1));
	ck_assert_int_eq(build(host_linux(), &d), 0);
	check_warning("");
	initramfs_free(&out);
	close(d.root_fd);
	memcpy(data + 1080, "\0\0", 2);
	memcpy(data, "hsqs", 4);
	d.root_fd = disk_fd(data, MIB(1));
	ck_assert_int_eq(build(host_linux(), &d), 0);
	check_warning("'@' has no module squashfs and does not list it as built in");
	initramfs_free(&out);
	close(d.root_fd);
	d.root_fd = disk_fd(data, 0);
	ck_assert_int_eq(build(host_linux(), &d), 0);
	check_warning("");
	initramfs_free(&out);
	close(d.root_fd);
	free(data);
	tree_remove(dir);
}
END_TEST

/* The Nth call fails. */
struct failing {
	struct host host;
	unsigned calls, fail_at;
	int open_fds;
};

static bool fails(const struct host *h)
{
	struct failing *f = h->ctx;

	return ++f->calls == f->fail_at;
}

static int f_open(const struct host *h, const char *path, int flags, mode_t mode)
{
	int fd = fails(h) ? -EMFILE : host_linux()->open(h, path, flags, mode);

	((struct failing *)h->ctx)->open_fds += fd >= 0;
	return fd;
}

static int f_close(const struct host *h, int fd)
{
	((struct failing *)h->ctx)->open_fds--;
	return host_linux()->close(h, fd);
}

static int f_fstat(const struct host *h, int fd, struct stat *st)
{
	return fails(h) ? -EIO : host_linux()->fstat(h, fd, st);
}

static ssize_t f_preadv(const struct host *h, int fd, const struct iovec *iov, int n, off_t off)
{
	return fails(h) ? -EIO : host_linux()->preadv(h, fd, iov, n, off);
}

START_TEST(host_fails)
{
	struct initramfs_desc d = { .release = "6.1.0", .unpack = fake_unpack };
	uint8_t xfs[8192] = "XFSB";
	unsigned refused = 0;

	plain_modules();
	d.root_fd = disk_fd(xfs, sizeof(xfs));
	for (unsigned n = 1;; n++) {
		struct failing f = { .fail_at = n };
		int r;

		f.host = *host_linux();
		f.host.open = f_open;
		f.host.close = f_close;
		f.host.fstat = f_fstat;
		f.host.preadv = f_preadv;
		f.host.ctx = &f;
		err = (struct tvmm_error){ 0 };
		r = build(&f.host, &d);
		ck_assert_int_eq(f.open_fds, 0);
		if (r == 0) {
			initramfs_free(&out);
		} else {
			ck_assert_int_eq(err.code, TVMM_E_IO);
			ck_assert_int_eq(err.sys_errno, -r);
			ck_assert(err.message[0] && err.object[0]);
			refused++;
		}
		if (f.calls < n) {
			ck_assert_int_eq(r, 0);
			break;
		}
	}
	ck_assert_uint_ge(refused, 15); /* two lists and four modules: each opened, looked at and read */
	close(d.root_fd);
	tree_remove(dir);
}
END_TEST

int main(void)
{
	return test_main("initramfs",
			 (const TTest *const[]){ whole, nothing_found, some_missing, another_kernels_modules, bad_root,
						 compressed, not_unpacked, package, filesystem_of_the_disk, host_fails, NULL });
}
