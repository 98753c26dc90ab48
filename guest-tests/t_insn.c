/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * t_insn.c - what CPUID tells a kernel of, this KVM can run: also where it interprets ring 0 (profile: plain-cpu).
 *
 * "t_insn table" tries each instruction by itself, whatever CPUID says, and prints what became of it: by that x86_cpu.c's
 * table was made.
 */
#include <stdio.h>
#include <string.h>
#include "harness.h"

/* Runs what CPUID tells of, with PROFILE; how many instructions it began with in *TRIED. */
static bool honour(const char *profile, int reason, unsigned *tried, struct guest *g)
{
	bool up = guest_new(g, "payload_insn", "profile", profile, "no-defaults", "off", NULL) && guest_start(g);

	ok(up, "%s: created and started", profile);
	guest_finish(g, up ? LIMIT_MS : 0);
	*tried = count_text(g->text, "# try ");
	return up && guest_ended(g, reason, profile);
}

static void compare(void)
{
	unsigned with, without;
	struct guest g;

	if (honour("auto", TVMM_POWEROFF, &with, &g))
		guest_results(&g);
	guest_free(&g);
	if (!kvm_is_software()) {
		skip("without plain-cpu", "this KVM runs ring 0 natively");
		return;
	}
	if (honour("auto,plain-cpu=off", TVMM_KVM_ERROR, &without, &g))
		ok(strstr(g.result.detail, "lacks that instruction") && strstr(g.result.hint, "--profile plain-cpu"),
		   "it says why, and what helps: %s; %s", g.result.detail, g.result.hint);
	ok(without < with, "a guest that goes by CPUID gets further: %u instructions, %u without", with, without);
	guest_free(&g);
}

static void table(void)
{
	char append[32], name[64];
	bool more = true;

	for (unsigned i = 0; more; i++) {
		struct guest g;

		snprintf(append, sizeof(append), "only=%u", i);
		if (guest_new(&g, "payload_insn", "append", append, NULL) && guest_start(&g))
			guest_finish(&g, LIMIT_MS);
		more = sscanf(g.text, "# try %63[^\r\n]", name) == 1;
		if (more && strstr(g.text, "not ok - "))
			printf("| %s | %s |\n", name, strstr(g.text, "exception") ? "exception" : "wrong");
		else if (more)
			printf("| %s | %s |\n", name, strstr(g.text, "ok - ") ? "right" : g.result.reason == TVMM_KVM_ERROR ? "stops" : "lost");
		guest_free(&g);
	}
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "table")) {
		table();
		return 0;
	}
	tests_begin();
	compare();
	return tests_end();
}
