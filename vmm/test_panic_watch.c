/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_panic_watch.c - the lines that Linux prints, in every dress, split anywhere; and text that only looks like them. */
#include "panic_watch.h"
#include <string.h>
#include "test.h"

static struct panic_watch feed(const char *text, size_t step)
{
	struct panic_watch w = { .len = 0 };
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i += step)
		panic_watch_feed(&w, (const uint8_t *)text + i, n - i < step ? n - i : step);
	return w;
}

START_TEST(seen)
{
	static const char text[] = "hello\r\n"
		"[    2.345678] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n"
		"[    2.345678] CPU: 0 PID: 1 Comm: swapper/0\r\n"
		"[    2.345678] ---[ end Kernel panic - not syncing: VFS: Unable to mount root fs ]---\r\n";

	for (size_t step = 1; step < sizeof(text); step++) {
		struct panic_watch w = feed(text, step);

		ck_assert(w.seen);
		ck_assert(w.ended);
		ck_assert_str_eq(w.why, "VFS: Unable to mount root fs on unknown-block(0,0)");
	}
}
END_TEST

START_TEST(dresses)
{
	ck_assert(feed("Kernel panic - not syncing: x\n", 1).seen);
	ck_assert(!feed("Kernel panic - not syncing: x\n", 1).ended);
	ck_assert(feed("<0>[    0.1][    T1] Kernel panic - not syncing: x\n", 1).seen);
	ck_assert(feed("---[ end Kernel panic - not syncing: x ]---\n", 1).ended);
}
END_TEST

START_TEST(no_root)
{
	struct panic_watch w = feed("[    2.3] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n", 7);

	ck_assert(w.no_root && w.seen && !w.waits);
	w = feed("[    2.3][    T1] Waiting for root device /dev/vda...\r\n", 5);
	ck_assert(w.no_root && w.waits && !w.seen);
	w = feed("Gave up waiting for root file system device.  Common problems:\n", 1);
	ck_assert(w.no_root && w.waits && !w.seen);
	w = feed("tinyvmm-init: there is no disk; on the PCI bus are 2 virtio devices, a driver runs 0 of them\n"
		 "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100\n", 3);
	ck_assert(w.no_root && !w.waits && w.seen);
	w = feed("tinyvmm-init: no root file system on the first disk; this is what there is:\n", 1);
	ck_assert(w.no_root && !w.waits && !w.seen);
	/* The first word on it counts; a panic for another reason is none. */
	w = feed("Waiting for root device /dev/vda...\nKernel panic - not syncing: VFS: Unable to mount root fs\n", 9);
	ck_assert(w.no_root && w.waits && w.seen);
	ck_assert(!feed("Kernel panic - not syncing: Attempted to kill init!\n", 1).no_root);
	ck_assert(!feed("echo Waiting for root device /dev/vda...\n", 1).no_root);
}
END_TEST

START_TEST(lookalikes)
{
	char big[100000];

	ck_assert(!feed("echo Kernel panic - not syncing\n", 1).seen);
	ck_assert(!feed("Kernel panic - not syncing: no newline yet", 1).seen);
	ck_assert(!feed("Kernel panic\n", 1).seen);
	ck_assert(!feed("[[[[[[[[\n", 1).seen);
	memset(big, '[', sizeof(big) - 1);
	big[sizeof(big) - 1] = 0;
	ck_assert(!feed(big, 977).seen);
}
END_TEST

int main(void)
{
	return test_main("panic_watch", (const TTest *const[]){ seen, dresses, no_root, lookalikes, NULL });
}
