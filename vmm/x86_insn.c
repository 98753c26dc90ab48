/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * x86_insn.c - names of the instructions that an interpreting KVM lacks.  Sources: Intel SDM volume 2, chapter 2 and
 * appendix A (opcode maps).
 */
#include "x86_insn.h"

#include <stdbool.h>
#include "bits.h"

struct insn {
	const uint8_t *p, *end;
	bool rex_w, opsize, rep, repne;
};

/* Legacy prefixes in any order, then REX. */
static void skip_prefixes(struct insn *in)
{
	for (; in->p < in->end; in->p++) {
		switch (*in->p) {
		case 0x66:
			in->opsize = true;
			continue;
		case 0xf3:
			in->rep = true;
			continue;
		case 0xf2:
			in->repne = true;
			continue;
		case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: case 0x67: case 0xf0:
			continue;
		default:
			break;
		}
		break;
	}
	if (in->p < in->end && (*in->p & 0xf0) == 0x40)
		in->rex_w = *in->p++ & 8;
}

/* 0F AE: group 15. */
static const char *group15(const struct insn *in, uint8_t modrm)
{
	static const char *const mem32[] = { "FXSAVE", "FXRSTOR", "LDMXCSR", "STMXCSR", "XSAVE", "XRSTOR", "XSAVEOPT", "CLFLUSH" };
	static const char *const mem64[] = { "FXSAVE64", "FXRSTOR64", "LDMXCSR", "STMXCSR", "XSAVE64", "XRSTOR64",
					     "XSAVEOPT64", "CLFLUSH" };
	unsigned reg = modrm >> 3 & 7;

	if (modrm >> 6 == 3)
		return in->rep ? (reg < 4 ? "RDFSBASE/WRFSBASE" : NULL) : (reg >= 5 ? "a memory fence" : NULL);
	if (in->opsize && reg >= 6)
		return reg == 6 ? "CLWB" : "CLFLUSHOPT";
	return in->rex_w ? mem64[reg] : mem32[reg];
}

/* 0F 01 with a register form: each is an instruction of its own. */
static const char *group7(uint8_t modrm)
{
	static const struct {
		uint8_t modrm;
		const char *name;
	} names[] = { { 0xc8, "MONITOR" }, { 0xc9, "MWAIT" }, { 0xca, "CLAC" }, { 0xcb, "STAC" }, { 0xd0, "XGETBV" },
		      { 0xd1, "XSETBV" }, { 0xee, "RDPKRU" }, { 0xef, "WRPKRU" }, { 0xf9, "RDTSCP" }, { 0xfc, "CLZERO" } };

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].modrm == modrm)
			return names[i].name;
	return NULL;
}

/* 0F 38: OP is the third byte. */
static const char *map38(const struct insn *in, uint8_t op)
{
	switch (op) {
	case 0x82:
		return in->opsize ? "INVPCID" : NULL;
	case 0xf0:
	case 0xf1:
		return in->repne ? "CRC32" : "MOVBE";
	case 0xf6:
		return in->opsize ? "ADCX" : in->rep ? "ADOX" : NULL;
	case 0xf8:
	case 0xf9:
		return "a direct store (MOVDIRI, MOVDIR64B)";
	default:
		return "an SSE instruction";
	}
}

/* 0F C7: group 9. */
static const char *group9(const struct insn *in, uint8_t modrm)
{
	unsigned reg = modrm >> 3 & 7;

	if (modrm >> 6 == 3)
		return reg == 6 ? "RDRAND" : reg == 7 ? "RDSEED" : NULL;
	switch (reg) {
	case 1:
		return in->rex_w ? "CMPXCHG16B" : "CMPXCHG8B";
	case 3:
		return "XRSTORS";
	case 4:
		return "XSAVEC";
	case 5:
		return "XSAVES";
	default:
		return NULL;
	}
}

static const char *two_byte(const struct insn *in)
{
	uint8_t op = in->p < in->end ? in->p[0] : 0;
	uint8_t modrm = in->p + 1 < in->end ? in->p[1] : 0;

	switch (op) {
	case 0xae:
		return group15(in, modrm);
	case 0xc7:
		return group9(in, modrm);
	case 0x01:
		return group7(modrm);
	case 0xb8:
		return in->rep ? "POPCNT" : NULL;
	case 0xbc:
		return in->rep ? "TZCNT" : NULL;
	case 0xbd:
		return in->rep ? "LZCNT" : NULL;
	case 0x38:
		return map38(in, modrm);
	case 0x3a:
		return "an SSE instruction";
	default:
		if ((op >= 0x10 && op <= 0x17) || (op >= 0x28 && op <= 0x2f) || (op >= 0x50 && op <= 0x7f) ||
		    (op >= 0xc2 && op <= 0xc6) || op >= 0xd0)
			return "an SSE instruction";
		return NULL;
	}
}

/* C4 m-map ... / C5: VEX.  Map 2 holds BMI1, BMI2 and AVX together. */
static const char *vex(const struct insn *in)
{
	unsigned map = in->p[0] == 0xc4 && in->p + 1 < in->end ? in->p[1] & 0x1f : 1;
	unsigned pp = in->p[0] == 0xc4 && in->p + 2 < in->end ? in->p[2] & 3 : 0;
	uint8_t op = in->p[0] == 0xc4 && in->p + 3 < in->end ? in->p[3] : 0;
	static const char *const f7[] = { "BEXTR", "SHLX", "SARX", "SHRX" };
	static const char *const f5[] = { "BZHI", NULL, "PEXT", "PDEP" };

	if (map == 2 && op == 0xf2)
		return "ANDN";
	if (map == 2 && op == 0xf3)
		return "a BMI1 instruction (BLSR, BLSMSK, BLSI)";
	if (map == 2 && op == 0xf5)
		return f5[pp] ? f5[pp] : "a BMI2 instruction";
	if (map == 2 && op == 0xf6)
		return "MULX";
	if (map == 2 && op == 0xf7)
		return f7[pp];
	if (map == 3 && op == 0xf0)
		return "RORX";
	return "an AVX instruction";
}

const char *x86_insn_name(const uint8_t *insn, size_t len)
{
	struct insn in = { .p = insn, .end = insn + len };

	skip_prefixes(&in);
	if (in.p >= in.end)
		return NULL;
	switch (*in.p) {
	case 0x0f:
		in.p++;
		return two_byte(&in);
	case 0xc4:
	case 0xc5:
		return vex(&in);
	case 0x62:
		return "an AVX-512 instruction";
	case 0xcc:
		return "INT3";
	case 0xcd:
		return "INT n";
	case 0xd8: case 0xd9: case 0xda: case 0xdb: case 0xdc: case 0xdd: case 0xde: case 0xdf:
		return "an x87 instruction";
	default:
		return NULL;
	}
}
