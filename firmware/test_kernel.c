/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_kernel.c - bzImages spoiled one field at a time, images cut at every length, files that are none, reads that fail,
 * and headers at random.  What is accepted must lie in the file and in guest RAM; what is refused must say why.  ELF:
 * test_kernel_elf.c.
 */
#include "test_images.h"

START_TEST(bzimage)
{
	static struct bytes f;
	struct tvmm_error e;
	struct kernel k;

	map_ram();
	make_bzimage(&f);
	ck_assert_int_eq(try(&f, &k, host_linux(), &e), 0);
	ck_assert_int_eq(k.format, KERNEL_BZIMAGE);
	ck_assert_int_eq(k.protocol, KERNEL_LINUX_64);
	ck_assert_uint_eq(k.entry.addr, MIB(16) + 0x200);
	ck_assert_uint_eq(k.start, MIB(16));
	ck_assert_uint_eq(k.end, MIB(20));
	ck_assert_uint_eq(k.cmdline_max, 2047);
	ck_assert_uint_eq(k.initrd_max, 0x7fffffff);
	ck_assert_str_eq(k.release, "6.1.0-test");
	ck_assert_uint_eq(k.setup.version, 0x20f);
	ck_assert_mem_eq(ram + MIB(16), f.b + BZ_SETUP, BZ_CODE);
	ck_assert_uint_eq(ram[MIB(16) + BZ_CODE], 0); /* the signature is not code */
	ck_assert_uint_eq(ram[MIB(16) - 1], 0);

	/* Setup sectors 0 mean 4; an init_size below the code's own size does not shrink it. */
	f.b[0x1f1] = 0;
	store_le32(f.b + 0x260, 0);
	ck_assert_int_eq(try(&f, &k, host_linux(), &e), 0);
	ck_assert_uint_eq(k.end, MIB(16) + BZ_CODE);
	ck_assert_mem_eq(ram + MIB(16), f.b + BZ_SETUP, BZ_CODE);

	/* A favourite place that is taken: moved up if it can be moved. */
	store_le64(f.b + 0x258, 0x10000);
	ck_assert_int_eq(try(&f, &k, host_linux(), &e), 0);
	ck_assert_uint_eq(k.start, MIB(2));
	ck_assert_uint_eq(k.entry.addr, MIB(2) + 0x200);
	f.b[0x234] = 0;
	ck_assert_int_eq(try(&f, &k, host_linux(), &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.message, "wants to lie at 0x10000"));
}
END_TEST

START_TEST(bzimage_fields)
{
	static const struct spoil t[] = {
		{ 0x206, 2, 0x20b, "Linux boot protocol 2.11, 2.12 is needed" },
		{ 0x206, 2, 0, "Linux boot protocol 0.00" },
		{ 0x206, 2, 0x20c, NULL },
		{ 0x206, 2, 0xffff, NULL },
		{ 0x201, 1, 0x61, "its header is 1 bytes short" },
		{ 0x201, 1, 0x62, NULL },
		{ 0x201, 1, 0x00, "its header is 98 bytes short" },
		{ 0x201, 1, 0xff, NULL },
		{ 0x236, 2, (uint16_t)~XLF_KERNEL_64, "32-bit" },
		{ 0x211, 1, 0, "zImage" },
		{ 0x1f1, 1, 0, NULL },
		{ 0x1f1, 1, 255, "cut short" },
		{ 0x1f1, 1, 5, "cut short" },
		{ 0x1f4, 4, 0, "do not reach the entry" },
		{ 0x1f4, 4, 0x20, "do not reach the entry" },
		{ 0x1f4, 4, 0x21, NULL },
		{ 0x1f4, 4, BZ_CODE / 16 + 7, "cut short: 6756 bytes of 6768" },
		{ 0x1f4, 4, UINT32_MAX, "cut short" },
		{ 0x230, 4, 0, "not a power of two" },
		{ 0x230, 4, 3, "not a power of two" },
		{ 0x230, 4, 1u << 31, NULL },
		{ 0x258, 8, RAM - MIB(4), NULL },
		{ 0x258, 8, RAM - MIB(4) + 1,
		  "the kernel needs guest memory from 60.0 to 64.0 MiB, the guest has 64.0" },
		{ 0x258, 8, RAM, "from 64.0 to 68.0 MiB" },
		{ 0x258, 8, GIB(4) - MIB(4), "from 4092.0 to 4096.0 MiB" },
		{ 0x258, 8, GIB(4) - MIB(4) + 1, "damaged: it wants 0x400000 bytes at 0xffc00001" },
		{ 0x258, 8, GIB(4), "damaged" },
		{ 0x258, 8, UINT64_MAX, "damaged" },
		{ 0x258, 8, UINT64_MAX - MIB(4), "damaged" },
		{ 0x260, 4, UINT32_MAX, "damaged: it wants 0xffffffff bytes" },
		{ 0x260, 4, (uint32_t)(GIB(4) - MIB(16)), "from 16.0 to 4096.0 MiB" },
		{ 0x260, 4, RAM - MIB(16), NULL },
		{ 0x260, 4, RAM - MIB(16) + 1, "the guest has 64.0" },
		{ 0x238, 4, 0, NULL },
		{ 0x22c, 4, 0, NULL },
		{ 0x20e, 2, 0xffff, NULL },
		{ 0x1fe, 2, 0, "not a kernel" },
		{ 0x202, 4, 0, "a boot sector or a disk" },
	};
	static struct bytes f;

	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		struct tvmm_error e;
		struct kernel k;
		int ret;

		map_ram();
		make_bzimage(&f);
		spoil(&f, &t[i]);
		ret = try(&f, &k, host_linux(), &e);
		ck_assert_msg(ret == (t[i].message ? -EINVAL : 0), "row %u: %d %s", i, ret, e.message);
		ck_assert_msg(!t[i].message || strstr(e.message, t[i].message), "row %u: %s", i, e.message);
	}
}
END_TEST

START_TEST(releases)
{
	static const struct {
		const char *text, *release;
	} t[] = {
		{ "", "" }, { " x", "" }, { "6.12", "6.12" }, { "6.12\x1b[31m", "" }, { "6.\xff", "" }, { "a b", "a" },
	};
	static struct bytes f;
	struct tvmm_error e;
	struct kernel k;

	map_ram();
	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		make_bzimage(&f);
		memset(f.b + 0x400, 0, 64);
		strcpy((char *)f.b + 0x400, t[i].text);
		ck_assert_int_eq(try(&f, &k, host_linux(), &e), 0);
		ck_assert_str_eq(k.release, t[i].release);
	}
	make_bzimage(&f);
	memset(f.b + 0x400, 'x', BZ_SETUP - 0x400);
	ck_assert_int_eq(try(&f, &k, host_linux(), &e), 0);
	ck_assert_uint_eq(strlen(k.release), KERNEL_RELEASE_MAX - 1);
	store_le16(f.b + 0x20e, BZ_SETUP - 0x200 - 3); /* the text stops where the code begins */
	ck_assert_int_eq(try(&f, &k, host_linux(), &e), 0);
	ck_assert_str_eq(k.release, "xxx");
}
END_TEST

/* Every shorter file is refused, none with a success or a crash. */
START_TEST(truncated)
{
	static struct bytes f;
	struct tvmm_error e;
	struct kernel k;

	map_ram();
	make_bzimage(&f);
	for (f.size = 0; f.size < BZ_SIZE; f.size++) {
		ck_assert_int_eq(try(&f, &k, host_linux(), &e), -EINVAL);
		ck_assert(f.size < 0x26c || strstr(e.message, "cut short"));
	}
	f.size = 0;
	try(&f, &k, host_linux(), &e);
	ck_assert_str_eq(e.message, "the kernel image is empty");
	f.size = 0x210;
	try(&f, &k, host_linux(), &e);
	ck_assert_str_eq(e.message, "the kernel image ends within its header: it has 528 bytes");
	f.size = BZ_SIZE;
	ck_assert_int_eq(try(&f, &k, host_linux(), &e), 0);

	make_elf(&f, true);
	for (f.size = 0; f.size < ELF_SIZE; f.size++)
		ck_assert_int_eq(try(&f, &k, host_linux(), &e), -EINVAL);
	f.size = ELF_SIZE;
	ck_assert_int_eq(try(&f, &k, host_linux(), &e), 0);
}
END_TEST

START_TEST(other_files)
{
	static const struct {
		unsigned off;
		const char *bytes;
		unsigned len;
		const char *message, *hint;
	} t[] = {
		{ 0, "\x1f\x8b\x08", 3, "this is a gzip file", "gzip -dc" },
		{ 0, "\x28\xb5\x2f\xfd", 4, "this is a zstd file", "zstd -dc" },
		{ 0, "\xfd\x37zXZ\0", 6, "this is an xz file", "xz -dc" },
		{ 0, "\x04\x22\x4d\x18", 4, "this is an lz4 file", "lz4 -dc" },
		{ 0x38, "ARM\x64", 4, "this is an arm64 kernel", "x86-64" },
		{ 0, "MZ", 2, "this is an EFI or Windows program", "objcopy" },
		{ 0, "MZ\0\0zimg", 8, "this is a compressed EFI kernel", "x86-64" },
		{ 0, "QFI\xfb", 4, "this is a qcow2 disk image", "qemu-img" },
		{ 0, "070701", 6, "this is a cpio archive", "--initrd" },
		{ 0, "#!/bin/sh\n", 10, "this is a script", "" },
		{ 510, "\x55\xaa", 2, "this is a boot sector", "--disk" },
		{ 0x438, "\x53\xef", 2, "this is an ext2/3/4 file system", "--disk" },
		{ 0, "hello", 5, "this is not a kernel", "vmlinuz" },
	};
	static struct bytes f;

	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		struct kernel k = { .n_segments = 99 };
		struct tvmm_error e;

		memset(&f, 0, sizeof(f));
		f.size = 8192;
		memcpy(f.b + t[i].off, t[i].bytes, t[i].len);
		ck_assert_int_eq(try(&f, &k, host_linux(), &e), -EINVAL);
		ck_assert_msg(strstr(e.message, t[i].message) == e.message, "row %u: %s", i, e.message);
		ck_assert_msg(strstr(e.hint, t[i].hint) != NULL, "row %u: %s", i, e.hint);
		ck_assert_int_eq(e.code, TVMM_E_KERNEL);
		ck_assert_uint_eq(k.n_segments, 99);
	}
}
END_TEST

START_TEST(not_a_file)
{
	struct tvmm_error e;
	struct kernel k;
	int p[2], dir = open("/", O_RDONLY | O_DIRECTORY);

	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(kernel_probe(&k, host_linux(), p[0], "x", &e), -EINVAL);
	ck_assert_str_eq(e.message, "the kernel is not a regular file");
	ck_assert_int_eq(kernel_probe(&k, host_linux(), dir, "x", &e), -EINVAL);
	ck_assert_str_eq(e.message, "the kernel is a directory");
	ck_assert_int_eq(kernel_probe(&k, host_linux(), -1, "x", &e), -EBADF);
	ck_assert_int_eq(e.code, TVMM_E_IO);
	ck_assert_int_eq(kernel_probe(&k, host_linux(), -1, "x", NULL), -EBADF);
	close(p[0]);
	close(p[1]);
	close(dir);
}
END_TEST

/* A host whose Nth read fails, comes to the end of the file, or is short and interrupted all the way. */
static unsigned reads, fail_at;
static ssize_t fail_with;

static ssize_t odd_preadv(const struct host *h, int fd, const struct iovec *iov, int n, off_t off)
{
	struct iovec part = iov[0];

	reads++;
	if (fail_at) {
		if (reads == fail_at)
			return fail_with;
	} else if (reads % 2) {
		return -EINTR;
	} else if (part.iov_len > 301) {
		part.iov_len = 301;
	}
	return host_linux()->preadv(h, fd, &part, 1, off);
}

START_TEST(failing_reads)
{
	static struct bytes f;
	struct host host = *host_linux();
	struct tvmm_error e;
	struct kernel k;

	map_ram();
	host.preadv = odd_preadv;
	for (int elf_image = 0; elf_image < 2; elf_image++) {
		if (elf_image)
			make_elf(&f, true);
		else
			make_bzimage(&f);
		reads = fail_at = 0;
		map_ram();
		ck_assert_int_eq(try(&f, &k, &host, &e), 0);
		for (fail_at = 1;; fail_at++) {
			int ret;

			reads = 0;
			fail_with = -EIO;
			ret = try(&f, &k, &host, &e);
			if (ret == 0 && (reads < fail_at || !elf_image))
				break; /* only the version text of a bzImage may fail unnoticed */
			ck_assert_int_eq(ret, -EIO);
			reads = 0;
			fail_with = 0;
			ck_assert_int_lt(try(&f, &k, &host, &e), 0);
			ck_assert_ptr_nonnull(strstr(e.message, "became shorter"));
		}
		ck_assert_uint_ge(fail_at, 2);
	}
}
END_TEST

static uint64_t seed = 88172645463325252ull;

static uint32_t rnd(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 20) % below;
}

/* Up to four odd values in the headers: try() holds what is accepted to the rules. */
START_TEST(random_headers)
{
	static const uint64_t odd[] = { 0, 1, 0x7f, 0x80, 0xff, 0x1000, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000,
					0x7fffffffffffffff, 0x8000000000000000, 0xfffffffffffff000, UINT64_MAX };
	static struct bytes f;
	unsigned accepted = 0;

	map_ram();
	for (unsigned n = 0; n < 6000; n++) {
		struct tvmm_error e;
		struct kernel k;
		bool bz = n & 1;

		if (bz)
			make_bzimage(&f);
		else
			make_elf(&f, n & 2);
		for (unsigned i = rnd(4) + 1; i; i--) {
			struct spoil s = { .size = 1u << rnd(4), .value = odd[rnd(ARRAY_SIZE(odd))] };

			s.off = bz ? 0x1f0 + rnd(0x80) : rnd(8) ? rnd(64 + 4 * 56) : ELF_NOTES + rnd(80);
			spoil(&f, &s);
		}
		accepted += try(&f, &k, host_linux(), &e) == 0;
	}
	ck_assert_uint_gt(accepted, 300);
	ck_assert_uint_lt(accepted, 5700);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { bzimage, bzimage_fields, releases, truncated, other_files, not_a_file, failing_reads,
				       random_headers, NULL };

	return test_main("kernel", tests);
}
