/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * init.h - our init: the first program of a guest whose initramfs tinyvmm made.  What its files say to each other.
 *
 * Freestanding: raw system calls (sys.h), one thread, static memory, under 16 KiB.  It loads the modules it finds
 * beside itself, mounts the root and becomes the root's own init.  It never hangs: what cannot be done is said on the
 * console, with what was seen, and then it ends, which makes the kernel panic and tinyvmm report that.
 */
#ifndef TVMM_FIRMWARE_INIT_INIT_H
#define TVMM_FIRMWARE_INIT_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NEWROOT "/newroot"
#define OPTION_MAX 256

/* text.c */
#define PRINTF_LIKE(n) __attribute__((format(printf, n, n + 1)))
/* %s, %u and %d alone.  Cuts at SIZE, ends with NUL. */
void format(char *buf, size_t size, const char *fmt, ...) PRINTF_LIKE(3);
/* A line on the console; where there is none, in the kernel's log. */
void say(const char *fmt, ...) PRINTF_LIKE(1);
/* A line in the kernel's log, which a quiet boot does not show. */
void note(const char *fmt, ...) PRINTF_LIKE(1);
/* Says what ended us, waits until the console has shown it, and ends. */
_Noreturn void give_up(const char *fmt, ...) PRINTF_LIKE(1);
/* A word or two for -errno; never NULL. */
const char *why(int err);
/* Opens /dev/console as standard input, output and error, if it can be opened by now. */
void console_open(void);
/* Reads a small file, NUL-terminated; blanks and line ends behind it are dropped.  Its length, or -errno. */
int read_text(const char *path, char *buf, size_t size);
/* Takes the next line or blank-separated word off *TEXT (cut at SIZE); false: there is none. */
bool next_word(const char **text, char *word, size_t size);
uint64_t number(const char *s); /* decimal digits up to something else */
/* The value of NAME= on the kernel's command line, the last one, into VALUE; "" for a bare NAME.  Returns which word it
 * was, counted from 1; 0: there is none, and VALUE is left alone.  SIZE 0: no value is wanted. */
unsigned option(const char *name, char *value, size_t size);

/* modules.c: loads what /tinyvmm/modules lists up to a line "--"; and what comes behind it, by a process of its own,
 * which goes on when this one has become the root's init. */
void modules_load(void);
void modules_load_late(void);

/* root.c: mounts the root on NEWROOT, or gives up.  INIT: what the user wants run there, "" for the usual. */
void root_mount(const char *init);

/* What is run in the root, in this order, as the kernel does it. */
extern const char *const usual_inits[];

#endif
