/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_initrd.c - pieces of an initrd, from memory and from a file, put into whatever room there is.
 *
 * What is loaded lies in its room, page aligned, as high as it can, every piece on a multiple of four with zeroes between,
 * and no other byte of guest memory has changed.
 */
#include "fuzz_host.h"
#include "gmem.h"
#include "initrd.h"

const char fuzz_name[] = "initrd";

#define BASE     0x100000ull
#define RAM      0x8000ull
#define PIECES   4
#define DATA_MAX 0x3000

static struct fuzz_host fh;
static struct gmem mem;
static uint8_t *ram;
static uint8_t bytes[DATA_MAX];

static void build(void)
{
	ram = calloc(1, RAM);
	FUZZ_ASSERT(ram);
	FUZZ_ASSERT(!gmem_add(&mem, GPA(BASE), RAM, ram, NULL));
	gmem_freeze(&mem);
	for (unsigned i = 0; i < DATA_MAX; i++)
		bytes[i] = (uint8_t)(i % 255 + 1);
}

static uint64_t some_size(struct fuzz *in)
{
	uint8_t b = fuzz_u8(in);

	return b & 128 ? fuzz_value(in) : fuzz_uint(in, 1 + (b & 1)) % (DATA_MAX + 1);
}

static uint64_t some_address(struct fuzz *in)
{
	uint8_t b = fuzz_u8(in);

	return b & 128 ? fuzz_value(in) : BASE - 0x100 + fuzz_u16(in) % (RAM + 0x200);
}

static void check(const struct initrd *out, const struct initrd_room *room, const struct initrd_piece *piece, unsigned n)
{
	uint8_t *p = gmem_range(&mem, out->addr, out->size);
	uint64_t at = 0;

	FUZZ_ASSERT(p && out->addr.addr % 4096 == 0);
	FUZZ_ASSERT(out->addr.addr >= room->floor && out->addr.addr + out->size <= room->limit);
	FUZZ_ASSERT(room->limit - (out->addr.addr + out->size) < 4096);
	for (unsigned i = 0; i < n; i++) {
		uint64_t len = piece[i].data ? piece[i].len : fh.file_size;

		FUZZ_ASSERT(at + len <= out->size && !memcmp(p + at, bytes, len));
		memset(p + at, 0, len);
		at = align_up(at + len, 4);
	}
	FUZZ_ASSERT(at == out->size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct initrd_piece piece[PIECES];
	struct fuzz in = { data, data + size };
	uint8_t how = fuzz_u8(&in);
	unsigned n = how & 3;
	struct initrd_room room;
	struct initrd out;
	struct tvmm_error err = { 0 };
	int ret;

	if (!ram)
		build();
	fuzz_host_init(&fh);
	fh.file = bytes;
	fh.file_size = some_size(&in);
	fh.file_len = how & 16 ? fuzz_u16(&in) % DATA_MAX : MIN(fh.file_size, DATA_MAX);
	fh.max_io = how & 32 ? 64 + fuzz_u8(&in) * 8 : 0;
	if (how & 64) {
		fh.fail_at = 1 + fuzz_below(&in, 8);
		fh.fail_errno = how & 128 ? EINTR : EIO;
	}
	if (how & 8)
		fh.file_mode = fuzz_u8(&in) & 1 ? S_IFDIR : S_IFREG;
	room.floor = some_address(&in);
	room.limit = how & 4 ? some_address(&in) : BASE + RAM;
	for (unsigned i = 0; i < n; i++) {
		bool is_file = fuzz_u8(&in) & 1;

		piece[i] = (struct initrd_piece){ .name = "piece", .data = is_file ? NULL : bytes, .fd = FUZZ_FD_FILE,
						  .len = is_file ? 0 : fuzz_u16(&in) % (DATA_MAX + 1) };
	}
	ret = initrd_load(&out, &mem, &room, &fh.h, piece, n, &err);
	if (ret) {
		FUZZ_ASSERT(ret < 0 && err.message[0] && !strchr(err.message, '\n'));
		memset(ram, 0, RAM);
		return 0;
	}
	if (!n)
		FUZZ_ASSERT(!out.size);
	else
		check(&out, &room, piece, n);
	for (unsigned i = 0; i < RAM; i += 8)
		FUZZ_ASSERT(!load_le64(ram + i));
	return 0;
}
