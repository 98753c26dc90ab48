/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * aml.c - see aml.h.  A length stands before what it counts and its own size depends on it (PkgLength, ACPI 6.4,
 * 20.2.4): one byte is left free for it, and when the package is closed its content moves up if more are needed.
 */
#include "aml.h"

#include <string.h>
#include "bits.h"

enum {
	OP_ZERO = 0x00,
	OP_ONE = 0x01,
	OP_NAME = 0x08,
	OP_BYTE = 0x0a,
	OP_WORD = 0x0b,
	OP_DWORD = 0x0c,
	OP_STRING = 0x0d,
	OP_QWORD = 0x0e,
	OP_SCOPE = 0x10,
	OP_BUFFER = 0x11,
	OP_PACKAGE = 0x12,
	OP_METHOD = 0x14,
	OP_DUAL_NAME = 0x2e,
	OP_MULTI_NAME = 0x2f,
	OP_EXT = 0x5b,
	OP_EXT_DEVICE = 0x82,
	OP_ARG0 = 0x68,
	OP_NOTIFY = 0x86,
	OP_EQUAL = 0x93,
	OP_IF = 0xa0,
	OP_RETURN = 0xa4,
};

void aml_bytes(struct aml *a, const void *data, size_t len)
{
	if (a->full || len > a->cap - a->len) {
		a->full = true;
		return;
	}
	if (len)
		memcpy(a->buf + a->len, data, len);
	a->len += len;
}

/* Makes room for LEN bytes at AT and puts DATA there. */
static void insert(struct aml *a, size_t at, const void *data, size_t len)
{
	if (a->full || len > a->cap - a->len) {
		a->full = true;
		return;
	}
	memmove(a->buf + at + len, a->buf + at, a->len - at);
	memcpy(a->buf + at, data, len);
	a->len += len;
}

void aml_u8(struct aml *a, uint8_t v)
{
	aml_bytes(a, &v, 1);
}

void aml_u16(struct aml *a, uint16_t v)
{
	uint8_t b[2];

	store_le16(b, v);
	aml_bytes(a, b, sizeof(b));
}

void aml_u32(struct aml *a, uint32_t v)
{
	uint8_t b[4];

	store_le32(b, v);
	aml_bytes(a, b, sizeof(b));
}

void aml_u64(struct aml *a, uint64_t v)
{
	uint8_t b[8];

	store_le64(b, v);
	aml_bytes(a, b, sizeof(b));
}

/* The shortest form of V into B (9 bytes); its length. */
static size_t encode_int(uint8_t *b, uint64_t v)
{
	if (v <= 1) {
		b[0] = v ? OP_ONE : OP_ZERO;
		return 1;
	}
	store_le64(b + 1, v);
	if (v <= UINT8_MAX) {
		b[0] = OP_BYTE;
		return 2;
	}
	if (v <= UINT16_MAX) {
		b[0] = OP_WORD;
		return 3;
	}
	if (v <= UINT32_MAX) {
		b[0] = OP_DWORD;
		return 5;
	}
	b[0] = OP_QWORD;
	return 9;
}

void aml_int(struct aml *a, uint64_t v)
{
	uint8_t b[9];

	aml_bytes(a, b, encode_int(b, v));
}

void aml_string(struct aml *a, const char *s)
{
	aml_u8(a, OP_STRING);
	aml_bytes(a, s, strlen(s) + 1);
}

void aml_path(struct aml *a, const char *path)
{
	unsigned segs = 1;

	for (; *path == '\\'; path++)
		aml_u8(a, '\\');
	for (const char *p = path; *p; p++)
		segs += *p == '.';
	if (segs == 2)
		aml_u8(a, OP_DUAL_NAME);
	if (segs > 2) {
		aml_u8(a, OP_MULTI_NAME);
		aml_u8(a, (uint8_t)segs);
	}
	for (; segs; segs--) {
		char seg[4] = { '_', '_', '_', '_' };

		for (unsigned i = 0; i < 4 && *path && *path != '.'; i++)
			seg[i] = *path++;
		path += *path == '.';
		aml_bytes(a, seg, 4);
	}
}

static uint32_t hex_digit(char c)
{
	return (uint32_t)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* Three letters of five bits, four hexadecimal digits; big-endian, as EISA had it. */
void aml_eisa_id(struct aml *a, const char *id)
{
	uint32_t v = ((uint32_t)(id[0] - '@') << 26) | ((uint32_t)(id[1] - '@') << 21) |
		     ((uint32_t)(id[2] - '@') << 16) | (hex_digit(id[3]) << 12) | (hex_digit(id[4]) << 8) |
		     (hex_digit(id[5]) << 4) | hex_digit(id[6]);

	aml_u8(a, OP_DWORD);
	aml_u32(a, __builtin_bswap32(v));
}

void aml_name(struct aml *a, const char *name)
{
	aml_u8(a, OP_NAME);
	aml_path(a, name);
}

void aml_arg(struct aml *a, unsigned n)
{
	aml_u8(a, (uint8_t)(OP_ARG0 + n));
}

void aml_return(struct aml *a)
{
	aml_u8(a, OP_RETURN);
}

void aml_equal(struct aml *a)
{
	aml_u8(a, OP_EQUAL);
}

void aml_notify(struct aml *a, const char *path, uint8_t value)
{
	aml_u8(a, OP_NOTIFY);
	aml_path(a, path);
	aml_int(a, value);
}

/* The operator, and the byte that aml_end() makes the length of. */
static size_t open_package(struct aml *a, uint8_t op)
{
	aml_u8(a, op);
	aml_u8(a, 0);
	return a->len - (a->full ? 0 : 1);
}

void aml_end(struct aml *a, size_t mark)
{
	uint8_t more[3] = { 0 };
	size_t len, n;

	if (a->full)
		return;
	len = a->len - mark; /* the content and a length of one byte, which counts itself */
	if (len < 0x40) {
		a->buf[mark] = (uint8_t)len;
		return;
	}
	n = len + 1 < 0x1000 ? 1 : len + 2 < 0x100000 ? 2 : 3;
	len += n;
	a->buf[mark] = (uint8_t)((n << 6) | (len & 0xf));
	for (size_t i = 0; i < n; i++)
		more[i] = (uint8_t)(len >> (4 + 8 * i));
	insert(a, mark + 1, more, n);
}

size_t aml_scope(struct aml *a, const char *path)
{
	size_t mark = open_package(a, OP_SCOPE);

	aml_path(a, path);
	return mark;
}

size_t aml_device(struct aml *a, const char *name)
{
	size_t mark;

	aml_u8(a, OP_EXT);
	mark = open_package(a, OP_EXT_DEVICE);
	aml_path(a, name);
	return mark;
}

size_t aml_method(struct aml *a, const char *name, unsigned args, bool serialized)
{
	size_t mark = open_package(a, OP_METHOD);

	aml_path(a, name);
	aml_u8(a, (uint8_t)(args | (serialized ? 8 : 0)));
	return mark;
}

size_t aml_if(struct aml *a)
{
	return open_package(a, OP_IF);
}

size_t aml_package(struct aml *a, unsigned elements)
{
	size_t mark = open_package(a, OP_PACKAGE);

	aml_u8(a, (uint8_t)elements);
	return mark;
}

size_t aml_buffer(struct aml *a)
{
	return open_package(a, OP_BUFFER);
}

void aml_buffer_end(struct aml *a, size_t mark)
{
	uint8_t size[9];

	if (a->full)
		return;
	insert(a, mark + 1, size, encode_int(size, a->len - mark - 1));
	aml_end(a, mark);
}

size_t aml_crs(struct aml *a)
{
	aml_name(a, "_CRS");
	return aml_buffer(a);
}

void aml_crs_end(struct aml *a, size_t mark)
{
	aml_u16(a, 0x0079); /* end tag; checksum 0 counts as right */
	aml_buffer_end(a, mark);
}

/* Resource descriptors, ACPI 6.4, 6.4.2 and 6.4.3. */
void aml_res_io(struct aml *a, uint16_t port, uint8_t len)
{
	aml_u8(a, 0x47);
	aml_u8(a, 1); /* decodes 16 bits */
	aml_u16(a, port);
	aml_u16(a, port);
	aml_u8(a, 1);
	aml_u8(a, len);
}

void aml_res_irq(struct aml *a, uint32_t gsi)
{
	aml_u8(a, 0x89);
	aml_u16(a, 6);
	aml_u8(a, 0x03); /* consumer, edge, active high, exclusive */
	aml_u8(a, 1);
	aml_u32(a, gsi);
}

enum { ADDR_CONSUMER = 0x01, ADDR_FIXED = 0x0c }; /* minimum and maximum are what they are */
enum { ADDR_MEMORY = 0, ADDR_BUS = 2, MEM_READ_WRITE = 1 };

void aml_res_bus(struct aml *a, uint16_t first, uint16_t last)
{
	aml_u8(a, 0x88);
	aml_u16(a, 13);
	aml_u8(a, ADDR_BUS);
	aml_u8(a, ADDR_FIXED);
	aml_u8(a, 0);
	aml_u16(a, 0);
	aml_u16(a, first);
	aml_u16(a, last);
	aml_u16(a, 0);
	aml_u16(a, (uint16_t)(last - first + 1));
}

void aml_res_mem32(struct aml *a, uint32_t base, uint32_t size, bool producer)
{
	aml_u8(a, 0x87);
	aml_u16(a, 23);
	aml_u8(a, ADDR_MEMORY);
	aml_u8(a, ADDR_FIXED | (producer ? 0 : ADDR_CONSUMER));
	aml_u8(a, MEM_READ_WRITE);
	aml_u32(a, 0);
	aml_u32(a, base);
	aml_u32(a, base + (size - 1));
	aml_u32(a, 0);
	aml_u32(a, size);
}

void aml_res_mem64(struct aml *a, uint64_t base, uint64_t size, bool producer)
{
	aml_u8(a, 0x8a);
	aml_u16(a, 43);
	aml_u8(a, ADDR_MEMORY);
	aml_u8(a, ADDR_FIXED | (producer ? 0 : ADDR_CONSUMER));
	aml_u8(a, MEM_READ_WRITE);
	aml_u64(a, 0);
	aml_u64(a, base);
	aml_u64(a, base + (size - 1));
	aml_u64(a, 0);
	aml_u64(a, size);
}
