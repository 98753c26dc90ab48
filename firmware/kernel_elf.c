/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kernel_elf.c - an ELF64 executable as a kernel: vmlinux, or whatever else has a PVH note.
 *
 * Segments go to their physical addresses.  The entry is the one of the XEN_ELFNOTE_PHYS32_ENTRY note (PVH) if there is
 * one, else the header's, taken for the 64-bit entry of the Linux boot protocol, which is what it is in vmlinux.
 */
#include <elf.h>
#include <string.h>
#include "bits.h"
#include "kernel_image.h"

#define MAX_PHDRS	 64
#define MAX_NOTES	 1024
#define XEN_PHYS32_ENTRY 18

/* What the notes say that matters here. */
struct notes {
	uint64_t pvh;	 /* the PVH entry, 0 without */
	bool is_program; /* a C library's mark: made for an operating system */
};

/* What an image without a setup header is told in one, and held to: the limits of every x86-64 Linux. */
#define CMDLINE_MAX	2047
#define INITRD_ADDR_MAX 0x7fffffff

bool elf_match(const struct image *img)
{
	return !memcmp(img->head, ELFMAG, SELFMAG);
}

static const char *machine_name(unsigned machine)
{
	switch (machine) {
	case EM_386:
		return "32-bit x86";
	case EM_AARCH64:
		return "arm64";
	case EM_ARM:
		return "arm";
	case EM_RISCV:
		return "RISC-V";
	case EM_PPC64:
		return "PowerPC";
	case EM_S390:
		return "s390";
	default:
		return "another machine";
	}
}

static int check_header(const Elf64_Ehdr *h, const struct image *img, struct tvmm_error *err)
{
	/* The first 20 bytes of a header are the same for 32 bits; for the other byte order the type reads swapped. */
	if (h->e_ident[EI_DATA] != ELFDATA2LSB)
		return image_refuse(img, err, "this ELF file is big-endian, for another machine than x86-64");
	if (h->e_machine != EM_X86_64 || h->e_ident[EI_CLASS] != ELFCLASS64) {
		image_refuse(img, err, "this ELF file is for %s (machine %u, %s-bit)", machine_name(h->e_machine),
			     h->e_machine, h->e_ident[EI_CLASS] == ELFCLASS64 ? "64" : "32");
		err_hint(err, "take a kernel built for x86-64 (amd64)");
		return -EINVAL;
	}
	if (h->e_type == ET_REL) {
		image_refuse(img, err, "this is an object file or a kernel module, not a kernel");
		err_hint(err, "the kernel is arch/x86/boot/bzImage or vmlinux in the build tree");
		return -EINVAL;
	}
	if (h->e_type != ET_EXEC && h->e_type != ET_DYN)
		return image_refuse(img, err, "this ELF file is not an executable (type %u)", h->e_type);
	if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum == 0 || h->e_phnum > MAX_PHDRS)
		return image_refuse(img, err,
				    "the ELF file has %u program headers of %u bytes; 1 to %d of %zu are possible",
				    h->e_phnum, h->e_phentsize, MAX_PHDRS, sizeof(Elf64_Phdr));
	return 0;
}

/* Adds one PT_LOAD where it belongs among the others. */
static int add_segment(struct kernel *k, const Elf64_Phdr *p, const struct image *img, struct tvmm_error *err)
{
	struct kernel_segment s = {
		.file_off = p->p_offset, .file_size = p->p_filesz, .addr = p->p_paddr, .size = p->p_memsz
	};
	unsigned i;

	if (!s.size)
		return 0;
	if (s.file_size > s.size || s.file_off > img->size || s.file_size > img->size - s.file_off) {
		image_refuse(img, err,
			     "the ELF file is damaged or cut short: the segment at %#lx wants %#lx bytes from %#lx",
			     s.addr, s.file_size, s.file_off);
		err_hint(err, "the file has %lu bytes; it may be the start of a copy that broke off", img->size);
		return -EINVAL;
	}
	if (s.addr >= GIB(4) || s.size > GIB(4) - s.addr) {
		image_refuse(img, err, "the ELF file wants %#lx bytes at the physical address %#lx, beyond 4 GiB",
			     s.size, s.addr);
		err_hint(err,
			 "a kernel's physical addresses (readelf -lW) are low; this may be a program, not a kernel");
		return -EINVAL;
	}
	if (k->n_segments == KERNEL_MAX_SEGMENTS)
		return image_refuse(img, err, "the ELF file has more than %d segments to load", KERNEL_MAX_SEGMENTS);
	for (i = k->n_segments; i && k->segment[i - 1].addr > s.addr; i--)
		k->segment[i] = k->segment[i - 1];
	k->segment[i] = s;
	k->n_segments++;
	return 0;
}

static bool inside_segment(const struct kernel *k, uint64_t addr)
{
	for (unsigned i = 0; i < k->n_segments; i++)
		if (addr >= k->segment[i].addr && addr - k->segment[i].addr < k->segment[i].file_size)
			return true;
	return false;
}

static int check_segments(const struct kernel *k, const struct image *img, struct tvmm_error *err)
{
	if (!k->n_segments)
		return image_refuse(img, err, "the ELF file has nothing to load");
	for (unsigned i = 1; i < k->n_segments; i++) {
		const struct kernel_segment *a = &k->segment[i - 1], *b = &k->segment[i];

		if (b->addr - a->addr < a->size)
			return image_refuse(img, err, "the ELF file is damaged: segments at %#lx and %#lx overlap",
					    a->addr, b->addr);
	}
	return 0;
}

/* One note at *POS of a segment that ends at END; moves on. */
static int read_note(const struct image *img, uint64_t *pos, uint64_t end, uint64_t align, struct notes *notes,
		     struct tvmm_error *err)
{
	uint8_t body[16] = { 0 }; /* name and value, of those we know */
	uint64_t desc, next, off;
	Elf64_Nhdr h;
	int ret;

	ret = image_read(img, &h, sizeof(h), *pos, "note", err);
	if (ret < 0)
		return ret;
	desc = align_up(sizeof(h) + (uint64_t)h.n_namesz, align);
	next = align_up(desc + h.n_descsz, align);
	if (desc + h.n_descsz > end - *pos)
		return image_refuse(img, err, "the ELF file is damaged: the note at %#lx runs over its segment's end",
				    *pos);
	off = desc - sizeof(h);
	if (h.n_namesz == 4) {
		ret = image_read(img, body, MIN(off + h.n_descsz, sizeof(body)), *pos + sizeof(h), "note", err);
		if (ret < 0)
			return ret;
		if (h.n_type == XEN_PHYS32_ENTRY && !memcmp(body, "Xen", 4) && (h.n_descsz == 4 || h.n_descsz == 8))
			notes->pvh = h.n_descsz == 8 ? load_le64(body + off) : load_le32(body + off);
		if (h.n_type == NT_GNU_ABI_TAG && !memcmp(body, "GNU", 4))
			notes->is_program = true;
	}
	*pos = next > end - *pos ? end : *pos + next;
	return 0;
}

static int read_notes(const struct image *img, const Elf64_Phdr *p, struct notes *notes, struct tvmm_error *err)
{
	uint64_t pos = p->p_offset, end = p->p_offset + p->p_filesz;
	uint64_t align = p->p_align == 8 ? 8 : 4;
	int ret;

	if (p->p_offset > img->size || p->p_filesz > img->size - p->p_offset)
		return image_refuse(img, err, "the ELF file is damaged or cut short: its notes lie outside the file");
	for (unsigned n = 0; end - pos >= sizeof(Elf64_Nhdr); n++) {
		if (n == MAX_NOTES)
			return image_refuse(img, err, "the ELF file has more than %d notes in one segment", MAX_NOTES);
		ret = read_note(img, &pos, end, align, notes, err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int read_phdrs(struct kernel *k, const struct image *img, const Elf64_Phdr *p, unsigned n, struct notes *notes,
		      struct tvmm_error *err)
{
	int ret = 0;

	for (; n && ret == 0; n--, p++) {
		if (p->p_type == PT_INTERP)
			notes->is_program = true;
		else if (p->p_type == PT_LOAD)
			ret = add_segment(k, p, img, err);
		else if (p->p_type == PT_NOTE)
			ret = read_notes(img, p, notes, err);
	}
	if (ret == 0 && notes->is_program) {
		image_refuse(img, err, "this is a program that runs on Linux, not a kernel");
		err_hint(err, "the kernel is /boot/vmlinuz-* of a distribution, or arch/x86/boot/bzImage");
		return -EINVAL;
	}
	return ret < 0 ? ret : check_segments(k, img, err);
}

static void make_setup_header(struct setup_header *h)
{
	h->boot_flag = 0xaa55;
	memcpy(&h->header, "HdrS", 4);
	h->version = 0x20c;
	h->loadflags = LOADED_HIGH;
	h->initrd_addr_max = INITRD_ADDR_MAX;
	h->cmdline_size = CMDLINE_MAX;
	h->kernel_alignment = MIB(2);
	h->xloadflags = XLF_KERNEL_64;
}

int elf_probe(struct kernel *k, const struct image *img, struct tvmm_error *err)
{
	Elf64_Phdr phdr[MAX_PHDRS];
	Elf64_Ehdr h;
	struct notes notes = { .pvh = 0 };
	int ret;

	if (img->size < sizeof(h))
		return image_refuse(img, err, "the ELF file ends within its header: it has %lu bytes", img->size);
	memcpy(&h, img->head, sizeof(h));
	ret = check_header(&h, img, err);
	if (ret == 0)
		ret = image_read(img, phdr, h.e_phnum * sizeof(phdr[0]), h.e_phoff, "program header table", err);
	if (ret == 0)
		ret = read_phdrs(k, img, phdr, h.e_phnum, &notes, err);
	if (ret < 0)
		return ret;
	k->format = KERNEL_ELF;
	k->protocol = notes.pvh ? KERNEL_PVH : KERNEL_LINUX_64;
	k->entry = GPA(notes.pvh ? notes.pvh : h.e_entry);
	if (!inside_segment(k, k->entry.addr)) {
		image_refuse(img, err, "the ELF file's entry %#lx is in none of its segments' physical ranges",
			     k->entry.addr);
		err_hint(err, "vmlinux's entry is a physical address; this may be a program, not a kernel");
		return -EINVAL;
	}
	k->start = k->segment[0].addr;
	k->end = k->segment[k->n_segments - 1].addr + k->segment[k->n_segments - 1].size;
	k->cmdline_max = CMDLINE_MAX;
	k->initrd_max = INITRD_ADDR_MAX;
	make_setup_header(&k->setup);
	return 0;
}
