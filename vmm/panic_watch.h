/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * panic_watch.h - sees in the console's output that a Linux kernel panicked, or that there is no root to be found.
 *
 * A stock kernel reports a panic to a pvpanic device only once that driver's module is loaded, and after a panic it
 * resets the machine as a reboot does.  What always tells the two apart is the line it prints first.  A guest can print
 * that line itself: it then fools the exit status of its own machine, and nothing else.  Pure, bounded, any text.
 *
 * A root that is not found is what most often goes wrong at a first boot, and whoever reads the guest's words does not
 * see what the machine could have been given: hence NO_ROOT, for a hint.
 */
#ifndef TVMM_PANIC_WATCH_H
#define TVMM_PANIC_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PANIC_LINE 256

struct panic_watch {
	char line[PANIC_LINE]; /* the line being printed; what is longer is cut */
	size_t len;
	bool seen;             /* a line said that the kernel panicked */
	bool ended;            /* ... and that it has stopped for good */
	char why[PANIC_LINE];  /* the kernel's words after "not syncing: " */
	bool no_root;          /* a line said that the root is not there */
	bool waits;            /* ... and that the guest stays like that, without a panic */
};

/* Looks at the next bytes of output.  True when one of the four has just become true. */
bool panic_watch_feed(struct panic_watch *w, const uint8_t *buf, size_t len);

#endif
