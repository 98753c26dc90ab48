/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_kernel.c - kernel images: probed, then loaded into a small guest.
 *
 * The input is either a file as it is, or a right bzImage or ELF image with patches on it; the file may be shorter than it
 * says, and shrink or fail while it is read.  What is refused says why in one line and leaves memory alone; what is
 * loaded lies in guest RAM above the floor, byte for byte what the file holds, and nothing else has changed.
 */
#include <elf.h>
#include "fuzz_host.h"
#include "gmem.h"
#include "kernel.h"

const char fuzz_name[] = "kernel";

#define LOW_SIZE  0x4000ull
#define HIGH      0x1000000ull /* where the made images want to lie */
#define HIGH_SIZE 0x4000ull
#define FLOOR     0x1000ull
#define FILE_MAX  8192
#define BZ_CODE   2560 /* after four setup sectors and the boot sector */

static struct fuzz_host fh;
static struct gmem mem;
static uint8_t *low, *high;
static uint8_t file[FILE_MAX];
static struct fuzz in;

static void build(void)
{
	low = calloc(1, LOW_SIZE);
	high = calloc(1, HIGH_SIZE);
	FUZZ_ASSERT(low && high);
	FUZZ_ASSERT(!gmem_add(&mem, GPA(0), LOW_SIZE, low, NULL) && !gmem_add(&mem, GPA(HIGH), HIGH_SIZE, high, NULL));
	gmem_freeze(&mem);
}

static size_t make_bzimage(void)
{
	file[0x1f1] = 4;
	store_le32(file + 0x1f4, 0x1000 / 16);
	store_le16(file + 0x1fe, 0xaa55);
	file[0x200] = 0xeb;
	file[0x201] = 0x6a;
	memcpy(file + 0x202, "HdrS", 4);
	store_le16(file + 0x206, 0x20f);
	store_le16(file + 0x20e, 0x200);
	memcpy(file + 0x400, "6.1.0-test (x@y)", 17);
	file[0x211] = LOADED_HIGH;
	store_le32(file + 0x22c, 0x7fffffff);
	store_le32(file + 0x230, 0x1000);
	file[0x234] = 1;
	store_le16(file + 0x236, XLF_KERNEL_64);
	store_le32(file + 0x238, 2047);
	store_le64(file + 0x258, HIGH);
	store_le32(file + 0x260, 0x2000);
	return BZ_CODE + 0x1000;
}

static void put_phdr(unsigned i, uint32_t type, uint64_t off, uint64_t addr, uint64_t filesz, uint64_t memsz)
{
	Elf64_Phdr p = { .p_type = type, .p_offset = off, .p_paddr = addr, .p_vaddr = addr, .p_filesz = filesz,
			 .p_memsz = memsz, .p_align = 4 };

	memcpy(file + sizeof(Elf64_Ehdr) + i * sizeof(p), &p, sizeof(p));
}

static size_t make_elf(void)
{
	Elf64_Ehdr h = { .e_ident = ELFMAG, .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = 1, .e_entry = HIGH + 8,
			 .e_phoff = sizeof(h), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 4 };
	Elf64_Nhdr note = { 4, 4, 18 };

	h.e_ident[EI_CLASS] = ELFCLASS64;
	h.e_ident[EI_DATA] = ELFDATA2LSB;
	memcpy(file, &h, sizeof(h));
	put_phdr(0, PT_LOAD, 0x400, HIGH, 0x800, 0x1000);
	put_phdr(1, PT_LOAD, 0xc00, HIGH + 0x1000, 0x200, 0x200);
	put_phdr(2, PT_NOTE, 0x200, 0, 20, 20);
	put_phdr(3, PT_LOAD, 0xe00, 0x2000, 0x100, 0x300);
	memcpy(file + 0x200, &note, sizeof(note));
	memcpy(file + 0x20c, "Xen", 4);
	store_le32(file + 0x210, (uint32_t)HIGH + 16);
	return 0x1000;
}

/* Small changes near the headers, where they count. */
static size_t patch(size_t len)
{
	while (fuzz_more(&in)) {
		uint8_t b = fuzz_u8(&in);
		unsigned size = 1u << (b & 3), at = b & 4 ? fuzz_u8(&in) + 0x1f0u : fuzz_u16(&in) % (FILE_MAX - 8);
		uint64_t val;

		if (b >> 3 == 31)
			return fuzz_u16(&in) % (FILE_MAX + 1);
		if (b & 8)
			at = fuzz_u8(&in);
		val = b & 16 ? HIGH + fuzz_u16(&in) : fuzz_value(&in);
		memcpy(file + at, &val, size);
	}
	return len;
}

static void check_error(const struct tvmm_error *err, int ret)
{
	FUZZ_ASSERT(ret < 0);
	FUZZ_ASSERT(err->code == TVMM_E_KERNEL || err->code == TVMM_E_IO);
	FUZZ_ASSERT(err->message[0] && !strchr(err->message, '\n') && memchr(err->message, 0, sizeof(err->message)));
	FUZZ_ASSERT(!strcmp(err->object, "image"));
}

static void check_loaded(const struct kernel *k)
{
	uint64_t last = FLOOR;
	bool has_entry = false;

	FUZZ_ASSERT(k->n_segments && k->n_segments <= KERNEL_MAX_SEGMENTS);
	for (unsigned i = 0; i < k->n_segments; i++) {
		const struct kernel_segment *s = &k->segment[i];
		uint8_t *p = gmem_range(&mem, GPA(s->addr), s->size);

		FUZZ_ASSERT(p && s->addr >= last && s->file_size <= s->size);
		last = s->addr + s->size;
		FUZZ_ASSERT(!memcmp(p, file + s->file_off, s->file_size));
		memset(p, 0, s->file_size);
		has_entry |= k->entry.addr >= s->addr && k->entry.addr - s->addr < s->file_size;
	}
	FUZZ_ASSERT(has_entry);
	FUZZ_ASSERT(k->start == k->segment[0].addr && k->end == last);
	FUZZ_ASSERT(memchr(k->release, 0, sizeof(k->release)));
}

static void try_image(void)
{
	struct tvmm_error err = { 0 };
	struct kernel k;
	int ret = kernel_probe(&k, &fh.h, FUZZ_FD_FILE, "image", &err);

	if (ret) {
		check_error(&err, ret);
		return;
	}
	ret = kernel_load(&k, &mem, GPA(FLOOR), &fh.h, FUZZ_FD_FILE, "image", &err);
	if (ret) {
		check_error(&err, ret);
		memset(low, 0, LOW_SIZE);
		memset(high, 0, HIGH_SIZE);
		return;
	}
	check_loaded(&k);
	/* What was loaded has been wiped: nothing else may be there. */
	for (unsigned i = 0; i < LOW_SIZE; i += 8)
		FUZZ_ASSERT(!load_le64(low + i));
	for (unsigned i = 0; i < HIGH_SIZE; i += 8)
		FUZZ_ASSERT(!load_le64(high + i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *bytes;
	uint8_t how;
	size_t len;

	if (!low)
		build();
	fuzz_host_init(&fh);
	in = (struct fuzz){ data, data + size };
	how = fuzz_u8(&in);
	fh.max_io = how & 4 ? fuzz_u8(&in) * 8 + 8 : 0;
	if (how & 8) {
		fh.fail_at = 1 + fuzz_below(&in, 8);
		fh.fail_errno = how & 16 ? EINTR : EIO;
	}
	memset(file, 0, sizeof(file));
	if (how & 2) {
		len = patch(how & 1 ? make_elf() : make_bzimage());
	} else {
		bytes = fuzz_bytes(&in, sizeof(file), &len);
		if (len)
			memcpy(file, bytes, len);
	}
	fh.file = file;
	fh.file_len = len;
	fh.file_size = how & 32 ? len * 2 : len; /* it became shorter while it was read */
	if (how & 64)
		fh.file_mode = how & 128 ? S_IFDIR : S_IFIFO;
	try_image();
	return 0;
}
