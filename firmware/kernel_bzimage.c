/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kernel_bzimage.c - the Linux/x86 boot protocol's image (Documentation/arch/x86/boot.rst).
 *
 *	file	0		0x1f1		  (setup_sects + 1) * 512	+ syssize * 16
 *		| boot sector	| setup header ...| protected-mode code		| signature, or nothing
 *	RAM					  pref_address ...		up to pref_address + init_size
 *
 * The protected-mode code unpacks the kernel within init_size bytes from where it lies; its 64-bit entry is 0x200 into
 * it.  The real-mode part before it is not needed, but for its header.
 */
#include <stddef.h>
#include <string.h>
#include "bits.h"
#include "kernel_image.h"

#define HDR	       0x1f1
#define HDR_OFF(field) (HDR + offsetof(struct setup_header, field))
#define ENTRY_64       0x200
#define SECTOR	       512

/* Protocol 2.12 (Linux 3.8) is the first with xloadflags, which tells of the 64-bit entry. */
#define PROTOCOL_MIN 0x20c

bool bzimage_match(const struct image *img)
{
	return load_le16(img->head + HDR_OFF(boot_flag)) == 0xaa55 && !memcmp(img->head + HDR_OFF(header), "HdrS", 4);
}

/* The setup header, in full or as far as this version of it goes. */
static int read_header(struct kernel *k, const struct image *img, struct tvmm_error *err)
{
	uint64_t end = 0x202 + img->head[0x201]; /* the jump at 0x200 leads to the first byte behind the header */
	unsigned version = load_le16(img->head + HDR_OFF(version));
	struct setup_header *h = &k->setup;

	if (img->size < HDR_OFF(init_size) + 4 || img->size < end) {
		image_refuse(img, err, "the kernel image ends within its header: it has %lu bytes", img->size);
		err_hint(err, "the file may be the start of a download or copy that broke off");
		return -EINVAL;
	}
	if (version < PROTOCOL_MIN) {
		image_refuse(img, err, "the kernel speaks Linux boot protocol %u.%02u, 2.12 is needed", version >> 8,
			     version & 0xff);
		err_hint(err, "that is a kernel older than Linux 3.8; take a newer one");
		return -EINVAL;
	}
	if (end < HDR_OFF(init_size) + 4)
		return image_refuse(img, err, "the kernel image is damaged: its header is %lu bytes short",
				    HDR_OFF(init_size) + 4 - end);
	memcpy(h, img->head + HDR, MIN(end, HDR + sizeof(*h)) - HDR);
	if (!(h->xloadflags & XLF_KERNEL_64)) {
		image_refuse(img, err, "the kernel is a 32-bit one: it has no 64-bit entry");
		err_hint(err, "take a kernel built for x86-64 (amd64)");
		return -EINVAL;
	}
	if (!(h->loadflags & LOADED_HIGH))
		return image_refuse(img, err, "the kernel is a zImage, made to lie below 1 MiB; a bzImage is needed");
	return 0;
}

static int check_header(const struct setup_header *h, const struct image *img, struct tvmm_error *err)
{
	if (h->relocatable_kernel && !is_power_of_2(h->kernel_alignment))
		return image_refuse(img, err, "the kernel image is damaged: its alignment %#x is not a power of two",
				    h->kernel_alignment);
	/* A range that wraps or ends above 4 GiB: the entry's identity paging reaches that far, and no kernel asks for
	 * it. */
	if (h->pref_address > UINT32_MAX || h->init_size > GIB(4) - h->pref_address)
		return image_refuse(img, err, "the kernel image is damaged: it wants %#x bytes at %#llx", h->init_size,
				    (unsigned long long)h->pref_address);
	return 0;
}

static int find_code(struct kernel *k, const struct image *img, struct tvmm_error *err)
{
	const struct setup_header *h = &k->setup;
	uint64_t setup = ((uint64_t)(h->setup_sects ? h->setup_sects : 4) + 1) * SECTOR;
	uint64_t code = (uint64_t)h->syssize * 16;

	if (code <= ENTRY_64)
		return image_refuse(img, err, "the kernel image is damaged: %lu bytes of code do not reach the entry",
				    code);
	if (setup > img->size || code > img->size - setup) {
		image_refuse(img, err, "the kernel image is cut short: %lu bytes of %lu are there", img->size,
			     setup + code);
		err_hint(err, "the file may be the start of a download or copy that broke off");
		return -EINVAL;
	}
	if (code > GIB(4) - h->pref_address)
		return image_refuse(img, err, "the kernel image is too large: %lu bytes of code", code);
	k->n_segments = 1;
	k->segment[0] = (struct kernel_segment){
		.file_off = setup,
		.file_size = code,
		.addr = h->pref_address,
		.size = MAX(code, h->init_size),
	};
	return 0;
}

/* The first word of the version text.  It is for people: one that is missing or odd is left out. */
static void find_release(struct kernel *k, const struct image *img)
{
	uint64_t off = (uint64_t)k->setup.kernel_version + 0x200;
	char text[KERNEL_RELEASE_MAX] = "";
	size_t n;

	if (!k->setup.kernel_version || off >= k->segment[0].file_off)
		return;
	if (image_read(img, text, MIN(sizeof(text) - 1, k->segment[0].file_off - off), off, "version", NULL) < 0)
		return;
	for (n = 0; text[n] > ' ' && text[n] < 0x7f; n++)
		;
	if (text[n] && text[n] != ' ')
		return;
	memcpy(k->release, text, n);
}

int bzimage_probe(struct kernel *k, const struct image *img, struct tvmm_error *err)
{
	int ret;

	ret = read_header(k, img, err);
	if (ret == 0)
		ret = check_header(&k->setup, img, err);
	if (ret == 0)
		ret = find_code(k, img, err);
	if (ret < 0)
		return ret;
	find_release(k, img);
	k->format = KERNEL_BZIMAGE;
	k->protocol = KERNEL_LINUX_64;
	k->entry = GPA(k->segment[0].addr + ENTRY_64);
	k->start = k->segment[0].addr;
	k->end = k->start + k->segment[0].size;
	k->cmdline_max = k->setup.cmdline_size;
	k->initrd_max = k->setup.initrd_addr_max;
	k->relocatable = k->setup.relocatable_kernel;
	k->align = k->setup.kernel_alignment;
	return 0;
}
