/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_kernel_elf.c - ELF images: what a right one says, each field of it spoiled, and more segments than there may be.
 */
#include "test_images.h"

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

/* One field of a right image, what it is set to, and what is said of it; NULL: it is accepted. */
static const struct spoil elf_spoils[] = {
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

START_TEST(elf_fields)
{
	static struct bytes f;

	for (unsigned i = 0; i < ARRAY_SIZE(elf_spoils); i++) {
		struct tvmm_error e;
		struct kernel k;
		int ret;

		map_ram();
		make_elf(&f, false);
		spoil(&f, &elf_spoils[i]);
		ret = try(&f, &k, host_linux(), &e);
		ck_assert_msg(ret == (elf_spoils[i].message ? -EINVAL : 0), "row %u: %d %s", i, ret, e.message);
		ck_assert_msg(!elf_spoils[i].message || strstr(e.message, elf_spoils[i].message), "row %u: %s", i, e.message);
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

int main(void)
{
	const TTest *const tests[] = { elf, elf_fields, elf_crowds, NULL };

	return test_main("kernel_elf", tests);
}
