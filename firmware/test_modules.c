/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_modules.c - folders of modules: where they are found, the order of loading, and files that lie. */
#include "modules.h"

#include <fcntl.h>
#include "bits.h"
#include "test_tree.h"

static char dir[64];

static int open_at(struct modules *m, const char *below, const char *release, char *looked, size_t size)
{
	struct tvmm_error err;
	char path[200];

	snprintf(path, sizeof(path), "%s%s", dir, below);
	return modules_open(m, host_linux(), path, release, looked, size, &err);
}

/* Opens DIR itself and wants NAME; the order as "a b c" without folders goes to OUT. */
static enum modules_found order(const char *name, char *out, size_t size)
{
	enum modules_found found;
	struct tvmm_error err;
	struct modules m;
	char looked[200];
	size_t len = 0;

	ck_assert_int_eq(open_at(&m, "", "", looked, sizeof(looked)), 0);
	ck_assert_int_eq(modules_want(&m, name, &found, &err), 0);
	out[0] = 0;
	for (unsigned i = 0; i < m.n_order; i++) {
		const char *slash = strrchr(m.order[i]->path, '/');

		len += (size_t)snprintf(out + len, size - len, "%s%s", i ? " " : "", slash ? slash + 1 : m.order[i]->path);
	}
	modules_close(&m);
	return found;
}

START_TEST(by_modules_dep)
{
	char out[200];

	tree_make(dir);
	tree_text(dir, "modules.dep",
		  "kernel/v/virtio_ring.ko.xz:\n"
		  "kernel/v/virtio.ko.xz: kernel/v/virtio_ring.ko.xz\n"
		  "kernel/b/virtio-blk.ko.xz: kernel/v/virtio.ko.xz kernel/v/virtio_ring.ko.xz\n"
		  "kernel/x/odd.ko:   kernel/v/virtio.ko.xz\t kernel/x/gone.ko  \n");
	tree_text(dir, "modules.builtin", "kernel/fs/ext4/ext4.ko\nkernel/drivers/char/virtio-console.ko\n");
	ck_assert_int_eq(order("virtio_blk", out, sizeof(out)), MODULES_FILE);
	ck_assert_str_eq(out, "virtio_ring.ko.xz virtio.ko.xz virtio-blk.ko.xz");
	ck_assert_int_eq(order("odd", out, sizeof(out)), MODULES_FILE);
	ck_assert_str_eq(out, "virtio_ring.ko.xz virtio.ko.xz odd.ko");
	ck_assert_int_eq(order("ext4", out, sizeof(out)), MODULES_BUILTIN);
	ck_assert_str_eq(out, "");
	ck_assert_int_eq(order("virtio_console", out, sizeof(out)), MODULES_BUILTIN);
	ck_assert_int_eq(order("virtio", out, sizeof(out)), MODULES_FILE);
	ck_assert_int_eq(order("virtio_b", out, sizeof(out)), MODULES_ABSENT);
	ck_assert_int_eq(order("ext", out, sizeof(out)), MODULES_ABSENT);
	ck_assert_int_eq(order("", out, sizeof(out)), MODULES_ABSENT);
	tree_remove(dir);
}
END_TEST

/* An unpacked package: no modules.dep, names as they were before compression. */
START_TEST(by_modules_order)
{
	char out[400];

	tree_make(dir);
	tree_text(dir, "modules.order",
		  "kernel/drivers/block/virtio_blk.ko\nkernel/drivers/virtio/virtio.ko\nkernel/drivers/virtio/virtio_ring.ko\n"
		  "kernel/drivers/virtio/virtio_pci_modern_dev.ko\nkernel/drivers/virtio/virtio_pci_legacy_dev.ko\n"
		  "kernel/drivers/virtio/virtio_pci.ko\nkernel/drivers/misc/pvpanic/pvpanic.ko\n"
		  "kernel/drivers/misc/pvpanic/pvpanic-mmio.ko\n");
	order("virtio_pci", out, sizeof(out));
	ck_assert_str_eq(out, "virtio_ring.ko virtio.ko virtio_pci_legacy_dev.ko virtio_pci_modern_dev.ko virtio_pci.ko");
	order("virtio_blk", out, sizeof(out));
	ck_assert_str_eq(out, "virtio_ring.ko virtio.ko virtio_blk.ko");
	order("pvpanic_mmio", out, sizeof(out));
	ck_assert_str_eq(out, "pvpanic.ko pvpanic-mmio.ko");
	tree_remove(dir);
}
END_TEST

START_TEST(loops_end)
{
	char out[200];

	tree_make(dir);
	tree_text(dir, "modules.dep", "a.ko: b.ko\nb.ko: c.ko\nc.ko: a.ko\nself.ko: self.ko self.ko\n");
	order("a", out, sizeof(out));
	ck_assert_str_eq(out, "c.ko b.ko a.ko");
	order("c", out, sizeof(out));
	ck_assert_str_eq(out, "b.ko a.ko c.ko");
	order("self", out, sizeof(out));
	ck_assert_str_eq(out, "self.ko");
	tree_remove(dir);
}
END_TEST

START_TEST(lies)
{
	static const char text[] =
		"\n\n:\n: a.ko\n/etc/abs.ko:\n../up.ko:\na/../../up2.ko:\nnocolon.ko\n..:\nno_suffix:\n.ko:\n"
		"with blank.ko:\nquote\".ko:\nesc\x1b.ko:\ndir/:\nz\0ero.ko: \nfine.ko: ../up.ko /etc/abs.ko .ko a/ : good.ko\ngood.ko:\nlast.ko: good.ko";
	static const char *const absent[] = { "abs", "up", "up2", "nocolon", "no_suffix", "blank", "with blank", "quote\"",
					      "esc\x1b", "zero", "z ero", "", ".." };
	char out[200];

	tree_make(dir);
	tree_put(dir, "modules.dep", text, sizeof(text) - 1);
	for (size_t i = 0; i < ARRAY_SIZE(absent); i++)
		ck_assert_int_eq(order(absent[i], out, sizeof(out)), MODULES_ABSENT);
	order("fine", out, sizeof(out));
	ck_assert_str_eq(out, "good.ko fine.ko");
	order("last", out, sizeof(out));
	ck_assert_str_eq(out, "good.ko last.ko");
	/* The same text cut anywhere, and of noise. */
	for (size_t len = 0; len < sizeof(text); len++) {
		tree_put(dir, "modules.dep", text, len);
		tree_put(dir, "modules.builtin", text, len);
		order("fine", out, sizeof(out));
	}
	for (unsigned seed = 1; seed <= 200; seed++) {
		static const char alphabet[] = "ab/.:ko \n\t-_";
		char noise[300];
		uint32_t x = seed * 2654435761u;

		for (size_t i = 0; i < sizeof(noise); i++) {
			x = x * 1664525u + 1013904223u;
			noise[i] = alphabet[(x >> 16) % (sizeof(alphabet) - 1)];
		}
		tree_put(dir, "modules.dep", noise, sizeof(noise));
		order("a", out, sizeof(out));
	}
	tree_remove(dir);
}
END_TEST

/* One that needs very many, and a chain that is very long. */
START_TEST(bounded)
{
	char *text = malloc(100000), *s = text, looked[200];
	enum modules_found found;
	struct tvmm_error err;
	struct modules m;

	tree_make(dir);
	s += sprintf(s, "many.ko:");
	for (int i = 0; i < 100; i++)
		s += sprintf(s, " m%d.ko", i);
	s += sprintf(s, "\n");
	for (int i = 0; i < 100; i++)
		s += sprintf(s, "m%d.ko:\n", i);
	for (int i = 0; i < 1000; i++)
		s += sprintf(s, "c%d.ko: c%d.ko\n", i, i + 1);
	tree_put(dir, "modules.dep", text, (size_t)(s - text));
	ck_assert_int_eq(open_at(&m, "", "", looked, sizeof(looked)), 0);
	ck_assert_int_eq(modules_want(&m, "many", &found, &err), -E2BIG);
	ck_assert_ptr_nonnull(strstr(err.message, "module many depends on too many others (64 are taken)"));
	ck_assert_uint_eq(m.n_order, MODULES_MAX);
	modules_close(&m);
	ck_assert_int_eq(open_at(&m, "", "", looked, sizeof(looked)), 0);
	ck_assert_int_eq(modules_want(&m, "c0", &found, &err), -E2BIG);
	ck_assert_int_eq(modules_want(&m, "c990", &found, &err), 0);
	modules_close(&m);
	free(text);
	tree_remove(dir);
}
END_TEST

START_TEST(places)
{
	static const char *const at[] = { "/here", "/in/6.1.0", "/root/lib/modules/6.1.0", "/usrroot/usr/lib/modules/6.1.0" };
	static const char *const ask[] = { "/here", "/in", "/root", "/usrroot" };
	struct modules m;
	char looked[1000], want[1000];

	tree_make(dir);
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		char name[100], full[200];

		snprintf(name, sizeof(name), "%s/modules.dep", at[i] + 1);
		tree_text(dir, name, "a.ko:\n");
		ck_assert_int_eq(open_at(&m, ask[i], "6.1.0", looked, sizeof(looked)), 0);
		snprintf(full, sizeof(full), "%s%s", dir, at[i]);
		ck_assert_str_eq(m.dir, full);
		modules_close(&m);
	}
	ck_assert_int_eq(open_at(&m, "/root", "6.2", looked, sizeof(looked)), -ENOENT);
	snprintf(want, sizeof(want), "%s/root, %s/root/6.2, %s/root/lib/modules/6.2, %s/root/usr/lib/modules/6.2", dir, dir, dir, dir);
	ck_assert_str_eq(looked, want);
	/* A release that is a path, or none: only the very folder is looked at. */
	ck_assert_int_eq(open_at(&m, "/root", "../6.1.0", looked, sizeof(looked)), -ENOENT);
	ck_assert_int_eq(open_at(&m, "/root/lib/modules", "", looked, sizeof(looked)), -ENOENT);
	snprintf(want, sizeof(want), "%s/root/lib/modules", dir);
	ck_assert_str_eq(looked, want);
	ck_assert_int_eq(open_at(&m, "/here/modules.dep", "6.1.0", looked, sizeof(looked)), -ENOENT); /* a file */
	ck_assert_int_eq(open_at(&m, "/root", "6.2", looked, 10), -ENOENT);
	ck_assert_uint_eq(strlen(looked), 9);
	tree_remove(dir);
}
END_TEST

START_TEST(unreadable)
{
	struct tvmm_error err;
	struct modules m;
	char looked[200];

	tree_make(dir);
	tree_text(dir, "modules.dep/a-folder", "");
	ck_assert_int_eq(modules_open(&m, host_linux(), dir, "", looked, sizeof(looked), &err), -EINVAL);
	ck_assert_str_eq(err.message, "cannot read the list of modules");
	ck_assert_str_eq(err.object, dir);
	tree_remove(dir);

	tree_make(dir);
	tree_text(dir, "modules.dep", "");
	char path[100];
	snprintf(path, sizeof(path), "%s/modules.dep", dir);
	ck_assert_int_eq(truncate(path, 1 << 30), 0);
	ck_assert_int_eq(modules_open(&m, host_linux(), dir, "", looked, sizeof(looked), &err), -EFBIG);
	tree_remove(dir);
}
END_TEST

int main(void)
{
	return test_main("modules", (const TTest *const[]){ by_modules_dep, by_modules_order, loops_end, lies, bounded, places,
							    unreadable, NULL });
}
