/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * t_end.c - the ways in which a guest ends: each gives its own reason, and words for a person where it is a crash.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "harness.h"

static bool run(struct guest *g, const char *mode, const char *key, const char *value, int reason)
{
	char append[64];

	snprintf(append, sizeof(append), "mode=%s", mode);
	if (!ok(guest_new(g, "payload_end", "append", append, key, value, NULL) && guest_start(g), "%s: started", mode))
		return false;
	guest_finish(g, LIMIT_MS);
	return guest_ended(g, reason, mode);
}

static void simple(const char *mode, const char *key, const char *value, int reason)
{
	struct guest g;

	run(&g, mode, key, value, reason);
	ok(g.result.detail[0] != 0, "%s: has a sentence (%s)", mode, g.result.detail);
	guest_free(&g);
}

/* Boots until the counter on the disk says enough.  The descriptors that are open when it has ended, not yet freed. */
static unsigned boots(const char *disk, const char *first, unsigned expected)
{
	struct tvmm_result r = { .size = sizeof(r) };
	unsigned fds = 0, n = 0;
	struct guest g;

	if (ok(guest_new(&g, "payload_end", "append", "mode=boots", "on-reboot", "restart", "disk", disk, NULL) && guest_start(&g),
	       "restart: started")) {
		tvmm_vm_wait(g.vm, LIMIT_MS, &r);
		fds = count_entries("/proc/self/fd");
		guest_finish(&g, 0);
		guest_ended(&g, TVMM_POWEROFF, "restart");
		n = count_text(g.text, "BOOT ");
		ok(n == expected && strstr(g.text, first), "it booted %u times", n);
		ok(count_text(g.text, "not ok - ") == 0 && count_text(g.text, "ok - ") == 4 * n, "each time all was well");
	}
	guest_free(&g);
	return fds;
}

static void restart(void)
{
	char path[] = "/tmp/t_end_XXXXXX", zero[4096] = "";
	int fd = mkstemp(path);
	unsigned three, one;

	if (!ok(fd >= 0 && write(fd, zero, sizeof(zero)) == sizeof(zero), "disk image"))
		return;
	close(fd);
	three = boots(path, "BOOT 1\n", 3);
	one = boots(path, "BOOT 4\n", 1);
	ok(three == one && one > 0, "restarts hold no more descriptors than one boot (%u, %u)", three, one);
	unlink(path);
}

static void emulation(const char *mode, const char *insn)
{
	struct guest g;

	if (!kvm_is_software()) {
		skip(mode, "this KVM runs ring 0 natively");
		return;
	}
	if (run(&g, mode, "memory", "64", TVMM_KVM_ERROR)) {
		ok(strcasestr(g.result.detail, insn), "%s: the sentence names the instruction: %s", mode, g.result.detail);
		ok(g.result.hint[0] != 0, "%s: and says what to do: %s", mode, g.result.hint);
		ok(count_text(g.text, "SURVIVED") == 0, "%s: the guest did not go on", mode);
	}
	guest_free(&g);
}

static void debug_exit(void)
{
	struct guest g;

	run(&g, "exit", "debug-exit", "on", TVMM_DEBUG_EXIT);
	ok(g.result.exit_status == 0x21, "exit: the status is what the guest wrote (%#x)", (unsigned)g.result.exit_status);
	ok(strstr(g.result.detail, "0x80000010"), "exit: the sentence tells it too: %s", g.result.detail);
	guest_free(&g);
	ok(!guest_new(&g, "payload_end", "append", "mode=exit", "debug-exit", "0x3f6", NULL) && g.err.code == TVMM_E_CONFIG &&
	   !strcmp(g.err.object, "debug-exit") && strstr(g.err.message, "COM1"), "a port of COM1's is refused: %s", g.err.message);
	guest_free(&g);
}

static void button(void)
{
	struct guest g;

	if (ok(guest_new(&g, "payload_end", "append", "mode=button", NULL) && guest_start(&g), "button: started")) {
		ok(guest_says(&g, "READY\n") && tvmm_vm_request(g.vm, TVMM_REQ_POWER_BUTTON, &g.err) == 0, "pressed");
		ok(guest_says(&g, "PRESSED\n") && tvmm_vm_request(g.vm, TVMM_REQ_POWER_BUTTON, &g.err) == 0, "pressed again");
		guest_finish(&g, LIMIT_MS);
		guest_ended(&g, TVMM_POWEROFF, "button");
		guest_results(&g);
	}
	guest_free(&g);
}

/* A panic for want of a root: the hint tells what this machine lacks. */
static void hinted(const char *append, const char *key, const char *value, const char *disk, const char *hint)
{
	struct guest g;

	if (ok(guest_new(&g, "payload_end", "append", append, key, value, disk ? "disk" : NULL, disk, NULL) && guest_start(&g), "%s: started",
	       append)) {
		guest_finish(&g, LIMIT_MS);
		guest_ended(&g, TVMM_PANIC, append);
		ok(strstr(g.result.hint, hint), "%s: the hint: %s", append, g.result.hint);
		ok(!strstr(g.log_last, "find its root"), "and no second word about it");
	}
	guest_free(&g);
}

static void no_root(void)
{
	char path[] = "/tmp/t_end_XXXXXX";
	int fd = mkstemp(path);
	struct guest g;

	if (!ok(fd >= 0 && ftruncate(fd, 1 << 20) == 0, "disk image"))
		return;
	close(fd);
	hinted("mode=noroot", "memory", "64", NULL, "given no disk");
	hinted("mode=noroot", "no-defaults", "off", path, "the modules of this kernel were not found");
	hinted("mode=noroot root=/dev/vda", "no-defaults", "off", path, "need an initramfs");
	hinted("mode=noroot", "initrd", path, path, "this initrd may be of another kernel");
	unlink(path);

	run(&g, "waits", "memory", "64", TVMM_POWEROFF);
	ok(g.log_lines && strstr(g.log_last, "the guest does not find its root: this machine was given no disk"),
	   "waits: told at once: %s", g.log_last);
	ok(g.log_lines == 1 && !g.result.hint[0], "and told once (%u)", g.log_lines);
	guest_free(&g);
}

int main(void)
{
	struct guest g;

	tests_begin();
	simple("poweroff", "memory", "64", TVMM_POWEROFF);
	simple("reboot", "on-reboot", "exit", TVMM_REBOOT);
	simple("triple", "memory", "64", TVMM_TRIPLE_FAULT);
	simple("pvpanic", "on-panic", "exit", TVMM_PANIC);
	run(&g, "pvpanic", "on-panic", "stay", TVMM_POWEROFF);
	ok(count_text(g.text, "SURVIVED") == 1, "on-panic=stay: the guest goes on");
	guest_free(&g);
	debug_exit();
	no_root();
	restart();
	button();
	emulation("xsave", "xsave");
	emulation("cmpxchg16b", "cmpxchg16b");
	return tests_end();
}
