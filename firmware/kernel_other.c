/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kernel_other.c - names what was given in place of a kernel.  A mistake between two files on a command line is the
 * commonest one there is, so the answer says what the file is and what it would be good for.
 */
#include <string.h>
#include "bits.h"
#include "kernel_image.h"

struct signature {
	unsigned off, len;
	const char *bytes;
	const char *what, *hint; /* hint may be NULL */
};

#define UNPACK(tool) "unpack it first: " tool " < FILE > vmlinux; a distribution's vmlinuz needs no unpacking"
#define SIG(off, bytes, what, hint)                                                                                    \
	{                                                                                                              \
		off, sizeof(bytes) - 1, bytes, what, hint                                                              \
	}

static const struct signature known[] = {
	SIG(0, "\x1f\x8b", "a gzip file", UNPACK("gzip -dc")),
	SIG(0, "\x28\xb5\x2f\xfd", "a zstd file", UNPACK("zstd -dc")),
	SIG(0, "\xfd\x37zXZ\0", "an xz file", UNPACK("xz -dc")),
	SIG(0, "BZh", "a bzip2 file", UNPACK("bzip2 -dc")),
	SIG(0, "\x02\x21\x4c\x18", "an lz4 file", UNPACK("lz4 -dc")),
	SIG(0, "\x04\x22\x4d\x18", "an lz4 file", UNPACK("lz4 -dc")),
	SIG(0, "\x89LZO", "an lzop file", UNPACK("lzop -dc")),
	SIG(0, "\x5d\0\0", "an lzma file", UNPACK("lzma -dc")),
	SIG(0x38, "ARM\x64", "an arm64 kernel", "take a kernel built for x86-64 (amd64)"),
	SIG(0x38, "RSC\x05", "a RISC-V kernel", "take a kernel built for x86-64 (amd64)"),
	SIG(4, "zimg", "a compressed EFI kernel of another architecture", "take a kernel built for x86-64 (amd64)"),
	SIG(0, "\x27\x05\x19\x56", "a U-Boot image", "take the kernel it was made from"),
	SIG(0, "070701", "a cpio archive", "an initramfs is given with --initrd"),
	SIG(0, "070702", "a cpio archive", "an initramfs is given with --initrd"),
	SIG(0, "QFI\xfb", "a qcow2 disk image", "convert it with qemu-img convert -O raw, then give it with --disk"),
	SIG(0, "!<arch>\n", "a Debian package or an archive",
	    "unpack it: dpkg -x FILE DIR; the kernel is DIR/boot/vmlinuz-*"),
	SIG(0, "\xed\xab\xee\xdb", "an RPM package", "unpack it: rpm2cpio FILE | cpio -id"),
	SIG(257, "ustar", "a tar archive", "unpack it"),
	SIG(0, "#!", "a script", NULL),
	SIG(0x438, "\x53\xef", "an ext2/3/4 file system", "a disk is given with --disk"),
	SIG(0, "XFSB", "an XFS file system", "a disk is given with --disk"),
	SIG(0, "hsqs", "a squashfs file system", "a disk is given with --disk"),
	SIG(512, "EFI PART", "a partitioned disk", "a disk is given with --disk"),
	SIG(0, "MZ", "an EFI or Windows program, not a Linux kernel for x86",
	    "out of a unified kernel image: objcopy -O binary --only-section=.linux FILE bzImage"),
	SIG(510, "\x55\xaa", "a boot sector or a disk with an MBR", "a disk is given with --disk"),
};

int other_refuse(const struct image *img, struct tvmm_error *err)
{
	if (!img->size)
		return image_refuse(img, err, "the kernel image is empty");
	for (unsigned i = 0; i < ARRAY_SIZE(known); i++) {
		const struct signature *s = &known[i];

		if (memcmp(img->head + s->off, s->bytes, s->len))
			continue;
		image_refuse(img, err, "this is %s: a bzImage or an ELF vmlinux is needed", s->what);
		if (s->hint)
			err_hint(err, "%s", s->hint);
		return -EINVAL;
	}
	image_refuse(img, err, "this is not a kernel: neither a bzImage nor an ELF file");
	err_hint(err, "the kernel is /boot/vmlinuz-* of a distribution, or arch/x86/boot/bzImage of a kernel tree");
	return -EINVAL;
}
