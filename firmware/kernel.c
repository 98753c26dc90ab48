/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kernel.c - see kernel.h.  Opens the file's head, asks the format that knows it, and later reads the segments that the
 * format has found into guest RAM.  It trusts nothing but struct kernel's segments, which the formats have checked
 * against the file, and checks those against guest RAM.
 */
#include "kernel.h"

#include <string.h>
#include "bits.h"
#include "kernel_image.h"

static double mib(uint64_t bytes)
{
	return (double)bytes / (1 << 20);
}

int image_read(const struct image *img, void *buf, uint64_t len, uint64_t off, const char *what, struct tvmm_error *err)
{
	int ret;

	if (off > img->size || len > img->size - off) {
		image_refuse(img, err, "the kernel image is damaged: its %s lies outside the file (%lu bytes)", what,
			     img->size);
		err_hint(err, "the file may be the start of a download or copy that broke off");
		return -EINVAL;
	}
	ret = host_pread_all(img->host, img->fd, buf, len, (off_t)off);
	if (ret == -ENODATA)
		return image_refuse(img, err, "the kernel image became shorter while it was read");
	return ret < 0 ? err_set(err, TVMM_E_IO, -ret, img->name, "cannot read the kernel image") : 0;
}

static int image_open(struct image *img, const struct host *host, int fd, const char *name, struct tvmm_error *err)
{
	struct stat st;
	int ret;

	memset(img, 0, sizeof(*img));
	img->host = host;
	img->fd = fd;
	img->name = name;
	ret = host->fstat(host, fd, &st);
	if (ret < 0)
		return err_set(err, TVMM_E_IO, -ret, name, "cannot look at the kernel image");
	if (S_ISDIR(st.st_mode)) {
		image_refuse(img, err, "the kernel is a directory");
		err_hint(err, "name the image: in a kernel tree that is arch/x86/boot/bzImage");
		return -EINVAL;
	}
	if (!S_ISREG(st.st_mode)) {
		image_refuse(img, err, "the kernel is not a regular file");
		err_hint(err, "copy it into a file first");
		return -EINVAL;
	}
	img->size = (uint64_t)st.st_size;
	return image_read(img, img->head, MIN(img->size, sizeof(img->head)), 0, "header", err);
}

int kernel_probe(struct kernel *k, const struct host *host, int fd, const char *name, struct tvmm_error *err)
{
	struct kernel found = { .n_segments = 0 };
	struct image img;
	int ret;

	ret = image_open(&img, host, fd, name, err);
	if (ret < 0)
		return ret;
	if (bzimage_match(&img))
		ret = bzimage_probe(&found, &img, err);
	else if (elf_match(&img))
		ret = elf_probe(&found, &img, err);
	else
		ret = other_refuse(&img, err);
	if (ret == 0)
		*k = found;
	return ret;
}

/* A relocatable bzImage moves up where its favourite place is not free; an ELF image stays where it was linked. */
static void choose_place(struct kernel *k, uint64_t floor)
{
	struct kernel_segment *s = &k->segment[0];
	uint64_t at;

	if (!k->relocatable || s->addr >= floor)
		return;
	at = align_up(floor, k->align);
	k->entry.addr += at - s->addr;
	s->addr = at;
}

static int check_place(const struct kernel *k, const struct gmem *mem, uint64_t floor, const char *name,
		       struct tvmm_error *err)
{
	for (unsigned i = 0; i < k->n_segments; i++) {
		const struct kernel_segment *s = &k->segment[i];

		if (s->addr < floor)
			return err_set(
				err, TVMM_E_KERNEL, 0, name,
				"the kernel wants to lie at %#lx, where the machine keeps its tables (up to %#lx)",
				s->addr, floor);
		if (!gmem_range(mem, GPA(s->addr), s->size)) {
			err_set(err, TVMM_E_KERNEL, 0, name,
				"the kernel needs guest memory from %.1f to %.1f MiB, the guest has %.1f MiB in all",
				mib(k->start), mib(k->end), mib(gmem_size(mem)));
			err_hint(err, "give the guest more memory (--memory)");
			return -EINVAL;
		}
	}
	return 0;
}

int kernel_load(struct kernel *k, const struct gmem *mem, struct gpa floor, const struct host *host, int fd,
		const char *name, struct tvmm_error *err)
{
	const struct kernel_segment *last = &k->segment[k->n_segments - 1];
	int ret;

	choose_place(k, floor.addr);
	k->start = k->segment[0].addr;
	k->end = last->addr + last->size;
	ret = check_place(k, mem, floor.addr, name, err);
	if (ret < 0)
		return ret;
	for (unsigned i = 0; i < k->n_segments; i++) {
		const struct kernel_segment *s = &k->segment[i];
		void *dst = gmem_range(mem, GPA(s->addr), s->size);

		ret = host_pread_all(host, fd, dst, s->file_size, (off_t)s->file_off);
		if (ret == -ENODATA)
			return err_set(err, TVMM_E_IO, 0, name, "the kernel image became shorter while it was read");
		if (ret < 0)
			return err_set(err, TVMM_E_IO, -ret, name, "cannot read the kernel image");
	}
	return 0;
}
