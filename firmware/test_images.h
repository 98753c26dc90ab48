/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_images.h - kernel images made for tests, small and right, the ways to spoil them, and what must be true of one that
 * is accepted.  One thread.
 */
#ifndef TVMM_FIRMWARE_TEST_IMAGES_H
#define TVMM_FIRMWARE_TEST_IMAGES_H

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

static inline void map_ram(void)
{
	if (!ram) {
		ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		ck_assert_ptr_ne(ram, MAP_FAILED);
		ck_assert_int_eq(gmem_add(&mem, GPA(0), RAM, ram, NULL), 0);
	}
	ck_assert_int_eq(madvise(ram, RAM, MADV_DONTNEED), 0);
}

static inline int file_of(const struct bytes *f)
{
	int fd = memfd_create("kernel", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, f->b, f->size), (ssize_t)f->size);
	return fd;
}

static inline void make_bzimage(struct bytes *f)
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

static inline size_t put_note(uint8_t *at, const char *name, uint32_t type, uint64_t desc, uint32_t descsz)
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

static inline Elf64_Phdr *phdr(struct bytes *f, unsigned i)
{
	return (Elf64_Phdr *)(void *)(f->b + sizeof(Elf64_Ehdr)) + i;
}

static inline Elf64_Ehdr *ehdr(struct bytes *f)
{
	return (Elf64_Ehdr *)(void *)f->b;
}

static inline void make_elf(struct bytes *f, bool pvh)
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
static inline int try(const struct bytes *f, struct kernel *k, const struct host *host, struct tvmm_error *err)
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

struct spoil {
	unsigned off, size;
	uint64_t value;
	const char *message; /* NULL: still fine */
};

static inline void spoil(struct bytes *f, const struct spoil *s)
{
	uint8_t v[8];

	store_le64(v, s->value);
	memcpy(f->b + s->off, v, s->size);
}

#endif
