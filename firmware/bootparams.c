/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bootparams.c - see bootparams.h.  The map is decided first and is the same for both protocols; the two writers then
 * only lay it out.  Formats: Linux Documentation/arch/x86/boot.rst and zero-page.rst; Xen misc/pvh.pandoc and
 * arch-x86/hvm/start_info.h.
 */
#include "bootparams.h"

#include <assert.h>
#include <string.h>
#include "bits.h"

#define PAGE		    4096
#define SETUP_DATA_RNG_SEED 9	 /* SETUP_RNG_SEED of Linux 6.1 */
#define LOADER_UNDEFINED    0xff /* type_of_loader of those who have no number */

static_assert(sizeof(struct boot_params) == PAGE, "the zero page is one page");
static_assert(BOOT_MAP_MAX <= E820_MAX_ENTRIES_ZEROPAGE, "the map fits in the zero page");

/* Puts a range where it belongs; false if the map is full or the range overlaps another. */
static bool map_add(struct boot_map *map, uint64_t base, uint64_t size, enum boot_mem_type type)
{
	struct boot_mem *m = map->mem;
	unsigned i;

	if (map->n == BOOT_MAP_MAX)
		return false;
	for (i = map->n; i && m[i - 1].base > base; i--)
		;
	if (i && base - m[i - 1].base < m[i - 1].size)
		return false;
	if (i < map->n && m[i].base - base < size)
		return false;
	memmove(&m[i + 1], &m[i], (map->n - i) * sizeof(*m));
	m[i] = (struct boot_mem){ .base = base, .size = size, .type = type };
	map->n++;
	return true;
}

/* The parts of RAM in [base, end) that nothing in KEPT (sorted) covers. */
static bool map_add_ram(struct boot_map *map, const struct boot_map *kept, uint64_t base, uint64_t end)
{
	for (unsigned i = 0; i < kept->n && base < end; i++) {
		const struct boot_mem *k = &kept->mem[i];

		if (k->base + k->size <= base)
			continue;
		if (k->base >= end)
			break;
		if (k->base > base && !map_add(map, base, k->base - base, BOOT_MEM_RAM))
			return false;
		base = k->base + k->size;
	}
	return base >= end || map_add(map, base, end - base, BOOT_MEM_RAM);
}

static void map_join(struct boot_map *map)
{
	struct boot_mem *m = map->mem;
	unsigned out = 0;

	for (unsigned i = 1; i < map->n; i++) {
		if (m[out].type == m[i].type && m[out].base + m[out].size == m[i].base)
			m[out].size += m[i].size;
		else
			m[++out] = m[i];
	}
	if (map->n)
		map->n = out + 1;
}

int boot_map_build(struct boot_map *map, const struct gmem *mem, const struct boot_mem *keep, unsigned n,
		   struct tvmm_error *err)
{
	struct boot_map kept = { .n = 0 }, all;

	for (unsigned i = 0; i < n; i++)
		if (!keep[i].size || keep[i].size > UINT64_MAX - keep[i].base ||
		    !map_add(&kept, keep[i].base, keep[i].size, keep[i].type))
			return err_set(err, TVMM_E_CONFIG, 0, "memory map", "cannot keep %#lx bytes at %#lx (range %u)",
				       keep[i].size, keep[i].base, i);
	all = kept;
	for (unsigned i = 0; i < mem->n; i++)
		if (!map_add_ram(&all, &kept, mem->region[i].base, mem->region[i].base + mem->region[i].size))
			return err_set(err, TVMM_E_CONFIG, 0, "memory map", "more than %d ranges", BOOT_MAP_MAX);
	map_join(&all);
	*map = all;
	return 0;
}

/* struct setup_data { next, type, len, data }: one entry, behind the zero page. */
static uint64_t put_seed(uint8_t *at, uint64_t addr, const struct boot_desc *d)
{
	if (!d->seed || !d->seed_len)
		return 0;
	store_le64(at, 0);
	store_le32(at + 8, SETUP_DATA_RNG_SEED);
	store_le32(at + 12, (uint32_t)d->seed_len);
	memcpy(at + 16, d->seed, d->seed_len);
	return addr;
}

static void put_boot_params(uint8_t *info, const struct boot_desc *d)
{
	struct boot_params *bp = (struct boot_params *)info;
	struct setup_header *h = &bp->hdr;

	*h = d->kernel->setup;
	h->type_of_loader = LOADER_UNDEFINED;
	h->loadflags = LOADED_HIGH;
	h->code32_start = (uint32_t)d->kernel->start;
	h->cmd_line_ptr = (uint32_t)d->cmdline_at.addr;
	h->ramdisk_image = (uint32_t)d->initrd.addr.addr;
	h->ramdisk_size = (uint32_t)d->initrd.size;
	bp->ext_cmd_line_ptr = (uint32_t)(d->cmdline_at.addr >> 32);
	bp->ext_ramdisk_image = (uint32_t)(d->initrd.addr.addr >> 32);
	bp->ext_ramdisk_size = (uint32_t)(d->initrd.size >> 32);
	bp->acpi_rsdp_addr = d->rsdp.addr;
	h->setup_data = put_seed(info + PAGE, d->info.addr + PAGE, d);
	bp->e820_entries = (uint8_t)d->map->n;
	for (unsigned i = 0; i < d->map->n; i++) {
		const struct boot_mem *m = &d->map->mem[i];

		bp->e820_table[i] = (struct boot_e820_entry){ .addr = m->base, .size = m->size, .type = m->type };
	}
}

/* struct hvm_start_info version 1, then its module list of one, then the memory map. */
#define PVH_MAGIC	 0x336ec578
#define PVH_MODULES	 0x40
#define PVH_MEMMAP	 0x80
#define PVH_MEMMAP_ENTRY 24

static_assert(PVH_MEMMAP + BOOT_MAP_MAX * PVH_MEMMAP_ENTRY <= PAGE, "the map fits behind the start info");

static void put_start_info(uint8_t *info, const struct boot_desc *d)
{
	uint64_t at = d->info.addr;

	store_le32(info, PVH_MAGIC);
	store_le32(info + 4, 1); /* version: with a memory map */
	if (d->initrd.size) {
		store_le32(info + 12, 1);
		store_le64(info + 16, at + PVH_MODULES);
		store_le64(info + PVH_MODULES, d->initrd.addr.addr);
		store_le64(info + PVH_MODULES + 8, d->initrd.size);
	}
	store_le64(info + 24, d->cmdline_at.addr);
	store_le64(info + 32, d->rsdp.addr);
	store_le64(info + 40, at + PVH_MEMMAP);
	store_le32(info + 48, d->map->n);
	for (unsigned i = 0; i < d->map->n; i++) {
		uint8_t *e = info + PVH_MEMMAP + i * PVH_MEMMAP_ENTRY;

		store_le64(e, d->map->mem[i].base);
		store_le64(e + 8, d->map->mem[i].size);
		store_le32(e + 16, d->map->mem[i].type);
	}
}

int boot_info_write(const struct boot_desc *d, const struct gmem *mem, struct tvmm_error *err)
{
	uint8_t *info = gmem_range(mem, d->info, BOOT_INFO_SIZE);
	int ret;

	ret = cmdline_check(d->cmdline, d->kernel->cmdline_max, err);
	if (ret < 0)
		return ret;
	if (!info || d->info.addr % PAGE || d->info.addr >= MIB(1))
		return err_set(err, TVMM_E_CONFIG, 0, "boot parameters", "no room for them at %#lx", d->info.addr);
	if (d->seed_len > BOOT_SEED_MAX)
		return err_set(err, TVMM_E_CONFIG, 0, "boot parameters", "a seed of %zu bytes is too long",
			       d->seed_len);
	if (d->cmdline_at.addr >= GIB(4) || !gmem_write(mem, d->cmdline_at, d->cmdline->text, d->cmdline->len + 1))
		return err_set(err, TVMM_E_CONFIG, 0, "kernel command line", "no room for it at %#lx",
			       d->cmdline_at.addr);
	memset(info, 0, BOOT_INFO_SIZE);
	if (d->kernel->protocol == KERNEL_PVH)
		put_start_info(info, d);
	else
		put_boot_params(info, d);
	return 0;
}
