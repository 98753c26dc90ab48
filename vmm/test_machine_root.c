/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_machine_root.c - which command line, and which hint, follows from which configuration.  No machine is built. */
#include "machine_root.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "test.h"
#include "x86_cpu.h"

static char disk[] = "d", initrd[] = "i";

/* With N disks, of which ROOT (-1: none) is said to hold the root, in partition PART. */
static struct tvmm_config config(unsigned n, int root, unsigned part)
{
	struct tvmm_config cfg = { .disk_count = n };

	for (unsigned i = 0; i < n; i++)
		cfg.disks[i].path = disk;
	if (root >= 0) {
		cfg.disks[root].root = true;
		cfg.disks[root].root_part = (uint8_t)part;
	}
	return cfg;
}

static const char *line(struct tvmm_config *cfg, const char *append, bool plain_cpu)
{
	static struct cmdline c;
	static char buf[512];

	snprintf(buf, sizeof(buf), "%s", append);
	cfg->append = *append ? buf : NULL;
	ck_assert_int_eq(machine_root_cmdline(&c, cfg, plain_cpu, NULL), 0);
	return c.text;
}

#define DEFAULTS "console=ttyS0 8250.nr_uarts=1 panic=-1 reboot=a"

/* Each default gives way to the user's own word, and only to that. */
START_TEST(defaults)
{
	struct tvmm_config cfg = config(0, -1, 0);

	ck_assert_str_eq(line(&cfg, "", false), DEFAULTS);
	ck_assert_str_eq(line(&cfg, "", true), DEFAULTS " " X86_PLAIN_LINUX);
	ck_assert_str_eq(line(&cfg, "quiet", false), DEFAULTS " quiet");
	ck_assert_str_eq(line(&cfg, "console=hvc0", false), "8250.nr_uarts=1 panic=-1 reboot=a console=hvc0");
	ck_assert_str_eq(line(&cfg, "panic=5", false), "console=ttyS0 8250.nr_uarts=1 reboot=a panic=5");
	ck_assert_str_eq(line(&cfg, "reboot=t", false), "console=ttyS0 8250.nr_uarts=1 panic=-1 reboot=t");
	ck_assert_str_eq(line(&cfg, "clearcpuid=128", true), DEFAULTS " clearcpuid=128");
	ck_assert_str_eq(line(&cfg, "panic_print=1", false), DEFAULTS " panic_print=1");
	cfg.on_panic = CONFIG_PANIC_STAY;
	ck_assert_str_eq(line(&cfg, "", false), "console=ttyS0 8250.nr_uarts=1 reboot=a");
	cfg.no_defaults = true;
	ck_assert_str_eq(line(&cfg, "", true), "");
	ck_assert_str_eq(line(&cfg, "a b", true), "a b");
}
END_TEST

/* root= is ours to say where a disk was marked and no initramfs of ours looks for it. */
START_TEST(root)
{
	struct tvmm_config cfg = config(2, 1, 0);

	ck_assert_str_eq(line(&cfg, "", false), DEFAULTS); /* the initramfs is told another way */
	cfg.initrds[cfg.initrd_count++] = initrd;
	ck_assert_str_eq(line(&cfg, "", false), DEFAULTS " root=/dev/vdb rw");
	ck_assert_str_eq(line(&cfg, "root=/dev/vda", false), DEFAULTS " root=/dev/vda");
	ck_assert_str_eq(line(&cfg, "tinyvmm.root=x", false), DEFAULTS " root=/dev/vdb rw tinyvmm.root=x");
	cfg.disks[1].root_part = 3;
	cfg.disks[1].ro = true;
	ck_assert_str_eq(line(&cfg, "", false), DEFAULTS " root=/dev/vdb3 ro");
	cfg = config(2, 0, 12);
	cfg.initrds[cfg.initrd_count++] = initrd;
	ck_assert_str_eq(line(&cfg, "", false), DEFAULTS " root=/dev/vda12 rw");
	cfg = config(2, -1, 0);
	cfg.initrds[cfg.initrd_count++] = initrd;
	ck_assert_str_eq(line(&cfg, "", false), DEFAULTS);
}
END_TEST

START_TEST(bad_line)
{
	static struct cmdline c;
	struct tvmm_config cfg = config(0, -1, 0);
	struct tvmm_error err = { 0 };
	char open_quote[] = "a=\"b";

	cfg.append = open_quote;
	ck_assert_int_eq(machine_root_cmdline(&c, &cfg, false, &err), -EINVAL);
	ck_assert_uint_gt(strlen(err.message), 0);
}
END_TEST

/* The hint for CFG, where the kernel cannot be read: so no initramfs is made, and RET says whether one was wanted. */
static const char *hint(const struct tvmm_config *cfg, bool wanted)
{
	struct machine *m = calloc(1, sizeof(*m));
	char kernel[] = "k";
	const char *text;
	int ret;

	ck_assert_ptr_nonnull(m);
	m->host = host_linux();
	m->kernel_fd = -1;
	m->kernel_path = kernel;
	ret = machine_root_initramfs(m, cfg, NULL);
	ck_assert(wanted ? ret < 0 : ret == 0);
	text = m->root_hint;
	free(m);
	return text;
}

START_TEST(hints)
{
	struct tvmm_config cfg = config(0, -1, 0);
	char theirs[] = "root=/dev/vda", other[] = "rootwait";

	ck_assert_ptr_nonnull(strstr(hint(&cfg, false), "given no disk"));
	cfg = config(1, -1, 0);
	ck_assert_ptr_nonnull(strstr(hint(&cfg, true), "on the first disk"));
	cfg.append = other;
	ck_assert_ptr_nonnull(strstr(hint(&cfg, true), "on the first disk"));
	cfg.append = theirs;
	ck_assert_ptr_nonnull(strstr(hint(&cfg, false), "without root="));
	cfg.append = NULL;
	cfg.no_defaults = true;
	ck_assert_ptr_nonnull(strstr(hint(&cfg, false), "no-defaults"));
	cfg.no_defaults = false;
	cfg.initrds[cfg.initrd_count++] = initrd;
	ck_assert_ptr_nonnull(strstr(hint(&cfg, false), "this initrd"));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { defaults, root, bad_line, hints, NULL };

	return test_main("machine_root", tests);
}
