/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * control_fields.c - the tables and the two walks over them.
 */
#include "control_fields.h"

#include <string.h>
#include "bits.h"
#include "tinyvmm.h"

#define F(type, form, member) { #member, form, offsetof(struct type, member), sizeof(((struct type *)0)->member), NULL }
#define W(type, member, list) { #member, FIELD_WORD, offsetof(struct type, member), sizeof(int32_t), list }

static const char *const reclaim_words[] = { "off", "report", "auto", NULL };
static const char *const state_words[] = { "created", "running", "ended", NULL };
static const char *const reason_words[] = { "running", "poweroff", "reboot", "panic", "triple-fault", "kvm-error", "killed",
					    "vmm-error", "debug-exit", NULL };

const struct field fields_memory[] = {
	F(tvmm_memory, FIELD_U64, configured), F(tvmm_memory, FIELD_U64, min), F(tvmm_memory, FIELD_U64, target),
	F(tvmm_memory, FIELD_U64, actual), F(tvmm_memory, FIELD_U64, resident), F(tvmm_memory, FIELD_U64, swapped),
	F(tvmm_memory, FIELD_U64, huge), F(tvmm_memory, FIELD_U64, reported), F(tvmm_memory, FIELD_U64, trimmed),
	F(tvmm_memory, FIELD_U64, discarded), F(tvmm_memory, FIELD_U64, discard_failed),
	F(tvmm_memory, FIELD_U64, guest_total), F(tvmm_memory, FIELD_U64, guest_free),
	F(tvmm_memory, FIELD_U64, guest_available), F(tvmm_memory, FIELD_U64, guest_caches),
	F(tvmm_memory, FIELD_U64, guest_told_ms), F(tvmm_memory, FIELD_U32, weight),
	W(tvmm_memory, reclaim, reclaim_words), F(tvmm_memory, FIELD_BOOL, driver), F(tvmm_memory, FIELD_BOOL, fixed),
	F(tvmm_memory, FIELD_U64, host_total), F(tvmm_memory, FIELD_U64, host_available),
	F(tvmm_memory, FIELD_U64, paged_out), F(tvmm_memory, FIELD_U64, decided_ms),
	F(tvmm_memory, FIELD_U32, stall_permille), F(tvmm_memory, FIELD_TEXT, pressure),
	F(tvmm_memory, FIELD_TEXT, decision), { 0 },
};

const struct field fields_stats[] = {
	F(tvmm_stats, FIELD_U64, exits_user), F(tvmm_stats, FIELD_U64, exits_pio), F(tvmm_stats, FIELD_U64, exits_mmio),
	F(tvmm_stats, FIELD_U64, io_wakeups), F(tvmm_stats, FIELD_U64, guest_faults),
	F(tvmm_stats, FIELD_U64, ns_to_run), F(tvmm_stats, FIELD_U64, memory_configured),
	F(tvmm_stats, FIELD_U64, disk_errors), F(tvmm_stats, FIELD_U64, net_dropped), F(tvmm_stats, FIELD_U64, links_down),
	{ 0 },
};

const struct field fields_info[] = {
	F(tvmm_info, FIELD_TEXT, name), F(tvmm_info, FIELD_TEXT, version), F(tvmm_info, FIELD_I32, pid),
	W(tvmm_info, state, state_words), F(tvmm_info, FIELD_U32, cpus), F(tvmm_info, FIELD_U64, uptime_ms), { 0 },
};

const struct field fields_result[] = {
	W(tvmm_result, reason, reason_words), F(tvmm_result, FIELD_I32, exit_status), F(tvmm_result, FIELD_TEXT, detail),
	F(tvmm_result, FIELD_TEXT, hint), { 0 },
};

const struct field fields_error[] = {
	F(tvmm_error, FIELD_I32, code), F(tvmm_error, FIELD_I32, sys_errno), F(tvmm_error, FIELD_TEXT, object),
	F(tvmm_error, FIELD_TEXT, message), F(tvmm_error, FIELD_TEXT, hint), { 0 },
};

static int32_t as_i32(const void *p)
{
	int32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void write_one(struct json_out *o, const struct field *f, const char *p)
{
	unsigned n = 0;
	uint64_t v = 0;

	switch ((enum field_form)f->form) {
	case FIELD_U64:
	case FIELD_U32: /* little-endian: the low half */
		memcpy(&v, p, f->size);
		json_put_u64(o, f->name, v);
		break;
	case FIELD_I32:
		json_put_i64(o, f->name, as_i32(p));
		break;
	case FIELD_BOOL:
		json_put_bool(o, f->name, *p);
		break;
	case FIELD_TEXT:
		json_put_text(o, f->name, p, strnlen(p, f->size));
		break;
	case FIELD_WORD:
		while (f->words[n])
			n++;
		json_put_string(o, f->name, as_i32(p) >= 0 && (uint32_t)as_i32(p) < n ? f->words[as_i32(p)] : "unknown");
		break;
	}
}

void fields_write(struct json_out *o, const char *key, const struct field *f, const void *from)
{
	bool own = !key || *key;

	if (own)
		json_open(o, key, '{');
	for (; f->name; f++)
		write_one(o, f, (const char *)from + f->at);
	if (own)
		json_close(o, '}');
}

static void read_word(const struct json *j, int i, const struct field *f, char *p)
{
	char word[32];

	if (!json_decode(j, i, word, sizeof(word)))
		return;
	for (int32_t n = 0; f->words[n]; n++) {
		if (!strcmp(f->words[n], word))
			memcpy(p, &n, sizeof(n));
	}
}

/* A text that is too long for its place is left out: better none than half of one. */
static void read_text(const struct json *j, int i, const struct field *f, char *p)
{
	if (json_is(j, i, JSON_STRING) && !json_decode(j, i, p, f->size))
		p[0] = '\0';
}

static void read_one(const struct json *j, int i, const struct field *f, char *p)
{
	int64_t s;
	uint64_t v;
	bool b;

	switch ((enum field_form)f->form) {
	case FIELD_U64:
	case FIELD_U32:
		if (json_u64(j, i, &v) && (f->size == sizeof(v) || v <= UINT32_MAX))
			memcpy(p, &v, f->size);
		break;
	case FIELD_I32:
		if (json_i64(j, i, &s) && s >= INT32_MIN && s <= INT32_MAX)
			memcpy(p, &(int32_t){ (int32_t)s }, sizeof(int32_t));
		break;
	case FIELD_BOOL:
		if (json_bool(j, i, &b))
			memcpy(p, &b, sizeof(b));
		break;
	case FIELD_TEXT:
		read_text(j, i, f, p);
		break;
	case FIELD_WORD:
		read_word(j, i, f, p);
		break;
	}
}

void fields_read(const struct json *j, int obj, const struct field *f, void *to)
{
	for (; f->name; f++)
		read_one(j, json_get(j, obj, f->name), f, (char *)to + f->at);
}
