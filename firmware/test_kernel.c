/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_kernel.c - images made here, small and right, then spoiled one field at a time, cut at every length, and at
 * random.  What is accepted must lie in the file and in guest RAM; what is refused must say why.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "bits.h"
#include "kernel.h"
#include "test.h"

#define RAM MIB(64)
#define IMAGE_MAX 16384

/* bzImage: four setup sectors, then 0x1000 bytes of code, then a signature that must not be loaded. */
#define BZ_SETUP (5 * 512)
#define BZ_CODE 0x1000
#define BZ_SIZE (BZ_SETUP + BZ_CODE)
#define BZ_SIGNED (BZ_SIZE + 100)

/* ELF: header, four program headers, notes, text, data. */
#define ELF_NOTES 0x400
#define ELF_TEXT 0x1000
#define ELF_DATA 0x2000
#define ELF_SIZE 0x2800

struct bytes {
	size_t size;
	uint8_t b[IMAGE_MAX];
};

static struct gmem mem;
static uint8_t *ram;

static void map_ram(void)
{
	if (!ram) {
		ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		ck_assert_ptr_ne(ram, MAP_FAILED);
		ck_assert_int_eq(gmem_add(&mem, GPA(0), RAM, ram, NULL), 0);
	}
	ck_assert_int_eq(madvise(ram, RAM, MADV_DONTNEED), 0);
}

static int file_of(const struct bytes *f)
{
	int fd = memfd_create("kernel", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, f->b, f->size), (ssize_t)f->size);
	return fd;
}

static void make_bzimage(struct bytes *f)
{
	memset(f, 0, sizeof(*f));
	f->size = BZ_SIGNED;
	f->b[0x1f1] = 4;
	store_le32(f->b + 0x1f4, BZ_CODE / 16);
	store_le16(f->b + 0x1fe, 0xaa55);
	f->b[0x200] = 0xeb;
	f->b[0x201] = 0x6a;
	memcpy(f->b + 0x202, "HdrS", 4);
	store_le16(f->b + 0x206, 0x20f);
	store_le16(f->b + 0x20e, 0x400 - 0x200);
	strcpy((char *)f->b + 0x400, "6.1.0-test (someone@somewhere) #1");
	f->b[0x211] = LOADED_HIGH;
	store_le32(f->b + 0x22c, 0x7fffffff);
	store_le32(f->b + 0x230, 0x200000);
	f->b[0x234] = 1;
	store_le16(f->b + 0x236, XLF_KERNEL_64);
	store_le32(f->b + 0x238, 2047);
	store_le64(f->b + 0x258, MIB(16));
	store_le32(f->b + 0x260, MIB(4));
	for (size_t i = BZ_SETUP; i < BZ_SIZE; i++)
		f->b[i] = (uint8_t)(i * 7 + 1);
	memset(f->b + BZ_SIZE, 0xaa, BZ_SIGNED - BZ_SIZE);
}

static size_t put_note(uint8_t *at, const char *name, uint32_t type, uint64_t desc, uint32_t descsz)
{
	uint32_t namesz = (uint32_t)strlen(name) + 1;
	size_t body = 12 + align_up(namesz, 4);

	store_le32(at, namesz);
	store_le32(at + 4, descsz);
	store_le32(at + 8, type);
	memcpy(at + 12, name, namesz);
	memcpy(at + body, &desc, MIN(descsz, sizeof(desc)));
	return body + align_up(descsz, 4);
}

static Elf64_Phdr *phdr(struct bytes *f, unsigned i)
{
	return (Elf64_Phdr *)(void *)(f->b + sizeof(Elf64_Ehdr)) + i;
}

static Elf64_Ehdr *ehdr(struct bytes *f)
{
	return (Elf64_Ehdr *)(void *)f->b;
}

static void make_elf(struct bytes *f, bool pvh)
{
	size_t notes;

	memset(f, 0, sizeof(*f));
	f->size = ELF_SIZE;
	*ehdr(f) = (Elf64_Ehdr){
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = 1, .e_entry = MIB(16) + 0x40,
		.e_phoff = sizeof(Elf64_Ehdr), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 4,
	};
	notes = put_note(f->b + ELF_NOTES, "Linux", 0x100, 0, 0);
	notes += put_note(f->b + ELF_NOTES + notes, "Xen", pvh ? 18 : 17, MIB(16) + 0x80, 8);
	notes += put_note(f->b + ELF_NOTES + notes, "GNU", NT_GNU_BUILD_ID, 0x1234567, 20);
	*phdr(f, 0) = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = ELF_DATA, .p_vaddr = 0xffffffff81200000,
				    .p_paddr = MIB(18), .p_filesz = 0x800, .p_memsz = MIB(1) };
	*phdr(f, 1) = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = ELF_TEXT, .p_vaddr = 0xffffffff81000000,
				    .p_paddr = MIB(16), .p_filesz = 0x1000, .p_memsz = MIB(2) };
	*phdr(f, 2) = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = ELF_NOTES, .p_filesz = notes, .p_memsz = notes,
				    .p_align = 4 };
	*phdr(f, 3) = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = 0, .p_paddr = MIB(17), .p_memsz = 0 };
	for (size_t i = ELF_TEXT; i < ELF_SIZE; i++)
		f->b[i] = (uint8_t)(i * 5 + 3);
}

/* Probes and loads; whatever the file says, an accepted one obeys these. */
static int try(const struct bytes *f, struct kernel *k, const struct host *host, struct tvmm_error *err)
{
	int fd = file_of(f), ret;

	memset(err, 0, sizeof(*err));
	ret = kernel_probe(k, host, fd, "image", err);
	if (ret == 0)
		ret = kernel_load(k, &mem, GPA(MIB(1)), host, fd, "image", err);
	close(fd);
	if (ret < 0) {
		ck_assert_str_eq(err->object, "image");
		ck_assert_int_ne(err->message[0], '\0');
		return ret;
	}
	ck_assert_uint_ge(k->n_segments, 1);
	ck_assert_uint_ge(k->start, MIB(1));
	ck_assert_uint_le(k->end, RAM);
	ck_assert(k->entry.addr >= k->start && k->entry.addr < k->end);
	for (unsigned i = 0; i < k->n_segments; i++) {
		const struct kernel_segment *s = &k->segment[i];

		ck_assert(s->file_off <= f->size && s->file_size <= f->size - s->file_off);
		ck_assert_uint_le(s->file_size, s->size);
		ck_assert(s->addr >= k->start && s->size <= k->end - s->addr);
		ck_assert_mem_eq(ram + s->addr, f->b + s->file_off, s->file_size);
	}
	return 0;
}

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

struct spoil {
	unsigned off, size;
	uint64_t value;
	const char *message; /* NULL: still fine */
};

static void spoil(struct bytes *f, const struct spoil *s)
{
	uint8_t v[8];

	store_le64(v, s->value);
	memcpy(f->b + s->off, v, s->size);
}

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

START_TEST(elf)
{
	static struct bytes f;
	struct tvmm_error e;
	struct kernel k;

	map_ram();
	make_elf(&f, false);
	ck_assert_int_eq(try(&f, &k, host_linux(), &e), 0);
	ck_assert_int_eq(k.format, KERNEL_ELF);
	ck_assert_int_eq(k.protocol, KERNEL_LINUX_64);
	ck_assert_uint_eq(k.entry.addr, MIB(16) + 0x40);
	ck_assert_uint_eq(k.start, MIB(16));
	ck_assert_uint_eq(k.end, MIB(19));
	ck_assert_uint_eq(k.n_segments, 2);
	ck_assert_mem_eq(ram + MIB(16), f.b + ELF_TEXT, 0x1000);
	ck_assert_uint_eq(ram[MIB(16) + 0x1000], 0);
	ck_assert_mem_eq(ram + MIB(18), f.b + ELF_DATA, 0x800);
	ck_assert_uint_eq(k.cmdline_max, 2047);
	ck_assert_str_eq(k.release, "");
	ck_assert_uint_eq(k.setup.boot_flag, 0xaa55);

	make_elf(&f, true);
	ck_assert_int_eq(try(&f, &k, host_linux(), &e), 0);
	ck_assert_int_eq(k.protocol, KERNEL_PVH);
	ck_assert_uint_eq(k.entry.addr, MIB(16) + 0x80);

	/* A PVH entry of four bytes, the only note, in a segment aligned to 8. */
	phdr(&f, 2)->p_filesz = put_note(f.b + ELF_NOTES, "Xen", 18, MIB(16) + 0x90, 4);
	phdr(&f, 2)->p_align = 8;
	ck_assert_int_eq(try(&f, &k, host_linux(), &e), 0);
	ck_assert_uint_eq(k.entry.addr, MIB(16) + 0x90);
}
END_TEST

#define EH(field) offsetof(Elf64_Ehdr, field), sizeof(((Elf64_Ehdr *)0)->field)
#define PH(n, field) \
	sizeof(Elf64_Ehdr) + (n) * sizeof(Elf64_Phdr) + offsetof(Elf64_Phdr, field), sizeof(((Elf64_Phdr *)0)->field)

START_TEST(elf_fields)
{
	static const struct spoil t[] = {
		{ EI_CLASS, 1, ELFCLASS32, "32-bit)" },
		{ EI_DATA, 1, ELFDATA2MSB, "big-endian" },
		{ EH(e_machine), EM_AARCH64, "for arm64" },
		{ EH(e_machine), EM_386, "for 32-bit x86" },
		{ EH(e_machine), 0x1234, "for another machine (machine 4660" },
		{ EH(e_type), ET_REL, "an object file or a kernel module" },
		{ EH(e_type), ET_CORE, "not an executable (type 4)" },
		{ EH(e_type), ET_DYN, NULL },
		{ EH(e_phnum), 0, "0 program headers" },
		{ EH(e_phnum), 0xffff, "65535 program headers" },
		{ EH(e_phnum), 65, "65 program headers" },
		{ EH(e_phentsize), 55, "of 55 bytes" },
		{ EH(e_phoff), ELF_SIZE, "program header table lies outside" },
		{ EH(e_phoff), UINT64_MAX, "program header table lies outside" },
		{ EH(e_phoff), UINT64_MAX - 200, "program header table lies outside" },
		{ EH(e_entry), 0, "entry 0 is in none" },
		{ EH(e_entry), MIB(16) - 1, "is in none" },
		{ EH(e_entry), MIB(16) + 0xfff, NULL },
		{ EH(e_entry), MIB(16) + 0x1000, "is in none" },
		{ EH(e_entry), 0xffffffff81000040, "is in none" },
		{ PH(0, p_filesz), MIB(1) + 1, "damaged or cut short" },
		{ PH(0, p_filesz), UINT64_MAX, "damaged or cut short" },
		{ PH(0, p_filesz), 0x801, "damaged or cut short" },
		{ PH(0, p_filesz), 0, NULL },
		{ PH(0, p_offset), ELF_SIZE, "damaged or cut short" },
		{ PH(0, p_offset), UINT64_MAX, "damaged or cut short" },
		{ PH(0, p_offset), UINT64_MAX - 0x7ff, "damaged or cut short" },
		{ PH(0, p_memsz), 0x7ff, "damaged or cut short" },
		{ PH(0, p_memsz), 0x800, NULL },
		{ PH(0, p_memsz), UINT64_MAX, "beyond 4 GiB" },
		{ PH(0, p_memsz), GIB(4) - MIB(18) + 1, "beyond 4 GiB" },
		{ PH(0, p_memsz), GIB(4) - MIB(18), "from 16.0 to 4096.0 MiB" },
		{ PH(0, p_memsz), RAM - MIB(18), NULL },
		{ PH(0, p_memsz), RAM - MIB(18) + 1, "the guest has 64.0 MiB" },
		{ PH(0, p_paddr), GIB(4), "beyond 4 GiB" },
		{ PH(0, p_paddr), UINT64_MAX - 5, "beyond 4 GiB" },
		{ PH(0, p_paddr), MIB(18) - 1, "overlap" },
		{ PH(0, p_paddr), MIB(16), "overlap" },
		{ PH(0, p_paddr), MIB(1), NULL },
		{ PH(0, p_paddr), MIB(1) - 1, "wants to lie at 0xfffff" },
		{ PH(0, p_paddr), 0, "wants to lie at 0" },
		{ PH(0, p_type), PT_INTERP, "a program that runs on Linux" },
		{ PH(1, p_type), PT_NULL, "is in none" },
		{ PH(2, p_offset), UINT64_MAX, "notes lie outside" },
		{ PH(2, p_filesz), ELF_SIZE, "notes lie outside" },
		{ PH(2, p_filesz), 40, "runs over its segment's end" },
		{ PH(2, p_filesz), 11, NULL },
		{ PH(2, p_filesz), 0, NULL },
		{ PH(2, p_align), 0, NULL },
		{ PH(2, p_align), UINT64_MAX, NULL },
		{ PH(3, p_memsz), MIB(1), "overlap" },
		{ ELF_NOTES, 4, UINT32_MAX, "runs over its segment's end" },
		{ ELF_NOTES + 4, 4, UINT32_MAX, "runs over its segment's end" },
		{ ELF_NOTES, 8, UINT64_MAX, "runs over its segment's end" },
		{ ELF_NOTES + 20 + 8, 4, NT_GNU_ABI_TAG, NULL }, /* of Xen, so no mark of a program */
		{ ELF_NOTES + 44 + 8, 4, NT_GNU_ABI_TAG, "a program that runs on Linux" },
	};
	static struct bytes f;

	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		struct tvmm_error e;
		struct kernel k;
		int ret;

		map_ram();
		make_elf(&f, false);
		spoil(&f, &t[i]);
		ret = try(&f, &k, host_linux(), &e);
		ck_assert_msg(ret == (t[i].message ? -EINVAL : 0), "row %u: %d %s", i, ret, e.message);
		ck_assert_msg(!t[i].message || strstr(e.message, t[i].message), "row %u: %s", i, e.message);
	}
}
END_TEST

START_TEST(elf_crowds)
{
	static struct bytes f;
	struct tvmm_error e;
	struct kernel k;

	map_ram();
	make_elf(&f, true);
	phdr(&f, 0)->p_memsz = 0;
	phdr(&f, 1)->p_memsz = 0;
	ck_assert_int_eq(try(&f, &k, host_linux(), &e), -EINVAL);
	ck_assert_str_eq(e.message, "the ELF file has nothing to load");

	/* As many segments as there may be, given from the highest down, and one more. */
	make_elf(&f, false);
	ehdr(&f)->e_phoff = ELF_TEXT;
	for (unsigned n = KERNEL_MAX_SEGMENTS; n <= KERNEL_MAX_SEGMENTS + 1; n++) {
		Elf64_Phdr *p = (Elf64_Phdr *)(void *)(f.b + ELF_TEXT);

		for (unsigned i = 0; i < n; i++)
			p[i] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_paddr = MIB(16) + 0x1000 * (n - 1 - i),
					     .p_filesz = 0x100, .p_memsz = 0x1000 };
		ehdr(&f)->e_phnum = (uint16_t)n;
		ck_assert_int_eq(try(&f, &k, host_linux(), &e), n > KERNEL_MAX_SEGMENTS ? -EINVAL : 0);
	}
	ck_assert_ptr_nonnull(strstr(e.message, "more than 16 segments"));

	make_elf(&f, false);
	memset(f.b + ELF_NOTES, 0, sizeof(f.b) - ELF_NOTES);
	f.size = IMAGE_MAX;
	phdr(&f, 2)->p_filesz = 1024 * 12;
	ck_assert_int_eq(try(&f, &k, host_linux(), &e), 0);
	phdr(&f, 2)->p_filesz += 12;
	ck_assert_int_eq(try(&f, &k, host_linux(), &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.message, "more than 1024 notes"));

	/* A PVH entry outside of what is loaded. */
	make_elf(&f, true);
	put_note(f.b + ELF_NOTES + 20, "Xen", 18, UINT64_MAX, 8);
	ck_assert_int_eq(try(&f, &k, host_linux(), &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.message, "entry 0xffffffffffffffff"));
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
	const TTest *const tests[] = { bzimage,	   bzimage_fields, releases,	   truncated,
				       elf,	   elf_fields,	   elf_crowds,	   other_files,
				       not_a_file, failing_reads,  random_headers, NULL };

	return test_main("kernel", tests);
}
