/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * aml.h - writes ACPI machine language (ACPI 6.4, chapter 20), as much of it as our DSDT needs.
 *
 * A bounded buffer that grows at its end.  Whatever has a length in front of it is opened, filled and closed; the
 * length is put in when it is closed.  What does not fit sets FULL and writes nothing: check it once, at the end.
 * Names are four characters, given by us and never by a user.
 */
#ifndef TVMM_FIRMWARE_AML_H
#define TVMM_FIRMWARE_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
	uint8_t *buf;
	size_t len, cap;
	bool full;
};

/* Raw bytes; little-endian integers of fixed size; zero bytes. */
void aml_bytes(struct aml *a, const void *data, size_t len);
void aml_u8(struct aml *a, uint8_t v);
void aml_u16(struct aml *a, uint16_t v);
void aml_u32(struct aml *a, uint32_t v);
void aml_u64(struct aml *a, uint64_t v);

/* Terms: an integer in its shortest form, a string, a name path such as "_HID", "\\_SB_" or "\\_SB_.PWRB". */
void aml_int(struct aml *a, uint64_t v);
void aml_string(struct aml *a, const char *s);
void aml_path(struct aml *a, const char *path);
void aml_eisa_id(struct aml *a, const char *id); /* "PNP0501" */
void aml_name(struct aml *a, const char *name);	 /* Name (NAME, what is written next) */
void aml_arg(struct aml *a, unsigned n);
void aml_return(struct aml *a); /* Return (what is written next) */
void aml_equal(struct aml *a);	/* what is written next == what is written after that */
void aml_notify(struct aml *a, const char *path, uint8_t value);

/* Opened here, closed by aml_end() with the mark, innermost first. */
size_t aml_scope(struct aml *a, const char *path);
size_t aml_device(struct aml *a, const char *name);
size_t aml_method(struct aml *a, const char *name, unsigned args, bool serialized);
size_t aml_if(struct aml *a); /* the condition is written next, then the body */
size_t aml_package(struct aml *a, unsigned elements);
void aml_end(struct aml *a, size_t mark);

/* A buffer of bytes; aml_buffer_end() closes it. */
size_t aml_buffer(struct aml *a);
void aml_buffer_end(struct aml *a, size_t mark);

/* Name (_CRS, ResourceTemplate () { ... }), closed by aml_crs_end(), and what goes into it. */
size_t aml_crs(struct aml *a);
void aml_crs_end(struct aml *a, size_t mark);
void aml_res_io(struct aml *a, uint16_t port, uint8_t len);
void aml_res_irq(struct aml *a, uint32_t gsi); /* edge, active high, exclusive */
void aml_res_bus(struct aml *a, uint16_t first, uint16_t last);
/* A memory range; PRODUCER: a bridge passes it on to the devices below, else the device uses it itself. */
void aml_res_mem32(struct aml *a, uint32_t base, uint32_t size, bool producer);
void aml_res_mem64(struct aml *a, uint64_t base, uint64_t size, bool producer);

#endif
