/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_bootparams.c - the memory map against a byte-for-byte model, and both entry structures, field by field. */
#include <errno.h>
#include <string.h>
#include "bits.h"
#include "bootparams.h"
#include "test.h"

#define INFO 0x7000
#define CMDLINE_AT 0x20000

static uint8_t low[MIB(1)], high[0x1000];
static struct gmem mem;

static void setup_ram(void)
{
	memset(low, 0xee, sizeof(low));
	memset(&mem, 0, sizeof(mem));
	ck_assert_int_eq(gmem_add(&mem, GPA(0), sizeof(low), low, NULL), 0);
	ck_assert_int_eq(gmem_add(&mem, GPA(GIB(4)), sizeof(high), high, NULL), 0);
}

static void map_is(const struct boot_map *map, const struct boot_mem *want, unsigned n)
{
	ck_assert_uint_eq(map->n, n);
	for (unsigned i = 0; i < n; i++) {
		ck_assert_uint_eq(map->mem[i].base, want[i].base);
		ck_assert_uint_eq(map->mem[i].size, want[i].size);
		ck_assert_uint_eq(map->mem[i].type, want[i].type);
	}
}

START_TEST(pc_map)
{
	static const struct boot_mem keep[] = { { 0xe0000000, MIB(1), BOOT_MEM_RESERVED },
						{ 0x9fc00, 0x60400, BOOT_MEM_RESERVED } };
	static const struct boot_mem want[] = { { 0, 0x9fc00, BOOT_MEM_RAM },
						{ 0x9fc00, 0x60400, BOOT_MEM_RESERVED },
						{ 0x100000, MIB(3071), BOOT_MEM_RAM },
						{ 0xe0000000, MIB(1), BOOT_MEM_RESERVED },
						{ GIB(4), GIB(1), BOOT_MEM_RAM } };
	struct gmem m = { .n = 2, .region = { { 0, GIB(3), low }, { GIB(4), GIB(1), high } } };
	struct boot_map map;

	ck_assert_int_eq(boot_map_build(&map, &m, keep, 2, NULL), 0);
	map_is(&map, want, ARRAY_SIZE(want));
	m.n = 0;
	ck_assert_int_eq(boot_map_build(&map, &m, NULL, 0, NULL), 0);
	ck_assert_uint_eq(map.n, 0);
}
END_TEST

/* All ways to keep two ranges in a small space, against a table with a type for each byte. */
START_TEST(map_model)
{
	struct gmem m = { .n = 2, .region = { { 1, 4, low }, { 6, 3, high } } };

	for (unsigned code = 0; code < 10 * 5 * 10 * 5; code++) {
		struct boot_mem keep[2] = { { code % 10, code / 10 % 5, BOOT_MEM_RESERVED },
					    { code / 50 % 10, code / 500, BOOT_MEM_ACPI } };
		unsigned want[16] = { 0, 1, 1, 1, 1, 0, 1, 1, 1 }, got[16] = { 0 };
		bool legal = true;
		struct boot_map map;
		uint64_t end = 0;

		for (unsigned k = 0; k < 2; k++) {
			legal = legal && keep[k].size;
			for (uint64_t i = keep[k].base; i < keep[k].base + keep[k].size; i++) {
				legal = legal && want[i] < 2;
				want[i] = keep[k].type;
			}
		}
		ck_assert_int_eq(boot_map_build(&map, &m, keep, 2, NULL), legal ? 0 : -EINVAL);
		if (!legal)
			continue;
		for (unsigned i = 0; i < map.n; i++) {
			ck_assert_uint_ge(map.mem[i].base, end); /* sorted, disjoint */
			if (i && map.mem[i].base == end)
				ck_assert_int_ne(map.mem[i].type, map.mem[i - 1].type); /* else joined */
			end = map.mem[i].base + map.mem[i].size;
			for (uint64_t b = map.mem[i].base; b < end; b++)
				got[b] = map.mem[i].type;
		}
		ck_assert_mem_eq(got, want, sizeof(got));
	}
}
END_TEST

START_TEST(map_refusals)
{
	static const struct boot_mem bad[] = { { 0, 0, BOOT_MEM_RESERVED },
					       { UINT64_MAX, 2, BOOT_MEM_RESERVED },
					       { 1, UINT64_MAX, BOOT_MEM_RESERVED } };
	struct boot_mem many[BOOT_MAP_MAX + 1];
	struct tvmm_error e;
	struct boot_map map;

	setup_ram();
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_int_eq(boot_map_build(&map, &mem, &bad[i], 1, &e), -EINVAL);
		ck_assert_ptr_nonnull(strstr(e.message, "(range 0)"));
	}
	for (unsigned i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct boot_mem){ 0x1000 + i * 0x200, 0x100, BOOT_MEM_RESERVED };
	ck_assert_int_eq(boot_map_build(&map, &mem, many, BOOT_MAP_MAX + 1, &e), -EINVAL);
	ck_assert_int_eq(boot_map_build(&map, &mem, many, BOOT_MAP_MAX / 2, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.message, "more than 32 ranges"));
	ck_assert_int_eq(boot_map_build(&map, &mem, many, BOOT_MAP_MAX / 2 - 1, &e), 0);
	ck_assert_uint_eq(map.n, BOOT_MAP_MAX);
}
END_TEST

static struct kernel kernel;
static struct boot_map map;
static struct cmdline cmdline;

static struct boot_desc describe(void)
{
	static const struct boot_mem keep = { 0x9fc00, 0x60400, BOOT_MEM_RESERVED };

	setup_ram();
	memset(&kernel, 0, sizeof(kernel));
	kernel.cmdline_max = 100;
	kernel.start = MIB(16);
	kernel.setup.version = 0x20f;
	kernel.setup.boot_flag = 0xaa55;
	kernel.setup.loadflags = 0xff;
	ck_assert_int_eq(boot_map_build(&map, &mem, &keep, 1, NULL), 0);
	cmdline_init(&cmdline);
	ck_assert_int_eq(cmdline_append(&cmdline, "console=ttyS0", NULL), 0);
	return (struct boot_desc){
		.kernel = &kernel,
		.map = &map,
		.cmdline = &cmdline,
		.initrd = { GPA(0x123456000), 0x1890000 },
		.rsdp = GPA(0xe0000),
		.info = GPA(INFO),
		.cmdline_at = GPA(CMDLINE_AT),
		.seed = "0123456789abcdef",
		.seed_len = 16,
	};
}

START_TEST(zero_page)
{
	struct boot_desc d = describe();
	const struct boot_params *bp = (const struct boot_params *)(low + INFO);

	ck_assert_int_eq(boot_info_write(&d, &mem, NULL), 0);
	ck_assert_str_eq((char *)low + CMDLINE_AT, "console=ttyS0");
	ck_assert_uint_eq(bp->hdr.version, 0x20f);
	ck_assert_uint_eq(bp->hdr.boot_flag, 0xaa55);
	ck_assert_uint_eq(bp->hdr.type_of_loader, 0xff);
	ck_assert_uint_eq(bp->hdr.loadflags, LOADED_HIGH);
	ck_assert_uint_eq(bp->hdr.code32_start, MIB(16));
	ck_assert_uint_eq(bp->hdr.cmd_line_ptr, CMDLINE_AT);
	ck_assert_uint_eq(bp->hdr.ramdisk_image, 0x23456000);
	ck_assert_uint_eq(bp->ext_ramdisk_image, 1);
	ck_assert_uint_eq(bp->hdr.ramdisk_size, 0x1890000);
	ck_assert_uint_eq(load_le64(low + INFO + 0x70), 0xe0000); /* acpi_rsdp_addr */
	ck_assert_uint_eq(bp->sentinel, 0);
	ck_assert_uint_eq(low[INFO + 0x1e8], 3);
	ck_assert_uint_eq(load_le64(low + INFO + 0x2d0 + 20), 0x9fc00);
	ck_assert_uint_eq(load_le64(low + INFO + 0x2d0 + 28), 0x60400);
	ck_assert_uint_eq(load_le32(low + INFO + 0x2d0 + 36), BOOT_MEM_RESERVED);
	ck_assert_uint_eq(load_le64(low + INFO + 0x2d0 + 40), GIB(4));
	ck_assert_uint_eq(bp->hdr.setup_data, INFO + 4096);
	ck_assert_uint_eq(load_le64(low + INFO + 4096), 0);
	ck_assert_uint_eq(load_le32(low + INFO + 4096 + 8), 9);
	ck_assert_uint_eq(load_le32(low + INFO + 4096 + 12), 16);
	ck_assert_mem_eq(low + INFO + 4096 + 16, "0123456789abcdef", 16);
	ck_assert_uint_eq(low[INFO + BOOT_INFO_SIZE], 0xee);
	ck_assert_uint_eq(low[INFO - 1], 0xee);

	d.seed = NULL;
	d.initrd.size = 0;
	d.initrd.addr = GPA(0);
	ck_assert_int_eq(boot_info_write(&d, &mem, NULL), 0);
	ck_assert_uint_eq(bp->hdr.setup_data, 0);
	ck_assert_uint_eq(bp->hdr.ramdisk_size, 0);
	ck_assert_uint_eq(low[INFO + 4096 + 16], 0); /* nothing of the seed stays */
}
END_TEST

START_TEST(start_info)
{
	struct boot_desc d = describe();
	const uint8_t *p = low + INFO;
	uint64_t mods, list;

	kernel.protocol = KERNEL_PVH;
	ck_assert_int_eq(boot_info_write(&d, &mem, NULL), 0);
	ck_assert_uint_eq(load_le32(p), 0x336ec578);
	ck_assert_uint_eq(load_le32(p + 4), 1);
	ck_assert_uint_eq(load_le32(p + 8), 0);
	ck_assert_uint_eq(load_le32(p + 12), 1);
	mods = load_le64(p + 16);
	ck_assert_uint_eq(load_le64(low + mods), 0x123456000);
	ck_assert_uint_eq(load_le64(low + mods + 8), 0x1890000);
	ck_assert_uint_eq(load_le64(low + mods + 16), 0);
	ck_assert_uint_eq(load_le64(p + 24), CMDLINE_AT);
	ck_assert_uint_eq(load_le64(p + 32), 0xe0000);
	list = load_le64(p + 40);
	ck_assert_uint_eq(load_le32(p + 48), 3);
	ck_assert_uint_eq(load_le64(low + list), 0);
	ck_assert_uint_eq(load_le64(low + list + 8), 0x9fc00);
	ck_assert_uint_eq(load_le32(low + list + 16), BOOT_MEM_RAM);
	ck_assert_uint_eq(load_le64(low + list + 48), GIB(4));

	d.initrd.size = 0;
	ck_assert_int_eq(boot_info_write(&d, &mem, NULL), 0);
	ck_assert_uint_eq(load_le32(p + 12), 0);
	ck_assert_uint_eq(load_le64(p + 16), 0);
}
END_TEST

START_TEST(info_refusals)
{
	struct boot_desc good = describe(), d;
	struct tvmm_error e;

	d = good;
	kernel.cmdline_max = 12;
	ck_assert_int_eq(boot_info_write(&d, &mem, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.message, "13 bytes are too many, this kernel takes 12"));
	kernel.cmdline_max = 13;
	ck_assert_int_eq(boot_info_write(&d, &mem, &e), 0);

	static const uint64_t bad_info[] = { MIB(1), MIB(1) - 4096, 0x7001, GIB(4), GIB(8), UINT64_MAX };
	for (unsigned i = 0; i < ARRAY_SIZE(bad_info); i++) {
		d = good;
		d.info = GPA(bad_info[i]);
		ck_assert_int_eq(boot_info_write(&d, &mem, &e), -EINVAL);
		ck_assert_str_eq(e.object, "boot parameters");
	}
	d = good;
	d.info = GPA(MIB(1) - BOOT_INFO_SIZE);
	ck_assert_int_eq(boot_info_write(&d, &mem, &e), 0);

	static const uint64_t bad_line[] = { MIB(1) - 13, MIB(1), GIB(4), UINT64_MAX };
	for (unsigned i = 0; i < ARRAY_SIZE(bad_line); i++) {
		d = good;
		d.cmdline_at = GPA(bad_line[i]);
		ck_assert_int_eq(boot_info_write(&d, &mem, &e), -EINVAL);
		ck_assert_str_eq(e.object, "kernel command line");
	}
	d = good;
	d.seed_len = BOOT_SEED_MAX + 1;
	ck_assert_int_eq(boot_info_write(&d, &mem, &e), -EINVAL);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { pc_map,	  map_model,  map_refusals,
					      zero_page, start_info, info_refusals, NULL };

	return test_main("bootparams", tests);
}
