/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_config.c - the grammar of configuration values: what is taken, and the exact sentence for what is refused.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bits.h"
#include "config.h"
#include "test.h"

static struct tvmm_config *cfg;
static struct tvmm_error err;

static void fresh(void)
{
	tvmm_config_free(cfg);
	cfg = tvmm_config_new();
	ck_assert_ptr_nonnull(cfg);
	memset(&err, 0, sizeof(err));
}

static void done(void)
{
	tvmm_config_free(cfg);
	cfg = NULL;
}

static void takes(const char *key, const char *value)
{
	int ret = tvmm_config_set(cfg, key, value, &err);

	ck_assert_msg(!ret, "%s %s: %d %s", key, value, ret, err.message);
}

/* KEY=VALUE is refused, with this message about OBJECT and this hint. */
static void refuses(const char *key, const char *value, const char *object, const char *message, const char *hint)
{
	memset(&err, 0, sizeof(err));
	ck_assert_int_eq(tvmm_config_set(cfg, key, value, &err), -EINVAL);
	ck_assert_int_eq(err.code, TVMM_E_CONFIG);
	ck_assert_int_eq(err.sys_errno, 0);
	ck_assert_str_eq(err.message, message);
	ck_assert_str_eq(err.object, object);
	ck_assert_str_eq(err.hint, hint);
	ck_assert_int_eq(tvmm_config_set(cfg, key, value, NULL), -EINVAL);
}

START_TEST(defaults)
{
	fresh();
	ck_assert_ptr_null(cfg->kernel);
	ck_assert_uint_eq(cfg->initrd_count, 0);
	ck_assert_uint_eq(cfg->disk_count, 0);
	ck_assert_ptr_null(cfg->append);
	ck_assert_uint_eq(cfg->memory, GIB(1));
	ck_assert_uint_eq(cfg->cpus, 1);
	ck_assert_int_eq(cfg->console.kind, CONFIG_CONSOLE_STDIO);
	ck_assert_int_eq(cfg->on_reboot, CONFIG_REBOOT_EXIT);
	ck_assert_int_eq(cfg->on_panic, CONFIG_PANIC_DEFAULT);
	ck_assert(!cfg->no_defaults);
	ck_assert_uint_eq(cfg->debug_exit, 0);
	done();
	tvmm_config_free(NULL);
}
END_TEST

START_TEST(scalars)
{
	fresh();
	takes("kernel", "a,b=c");
	takes("kernel", "/boot/k");
	ck_assert_str_eq(cfg->kernel, "/boot/k");
	takes("cpus", "255");
	ck_assert_uint_eq(cfg->cpus, 255);
	takes("name", "_web-1.example");
	ck_assert_str_eq(cfg->name, "_web-1.example");
	takes("on-reboot", "restart");
	ck_assert_int_eq(cfg->on_reboot, CONFIG_REBOOT_RESTART);
	takes("on-reboot", "exit");
	ck_assert_int_eq(cfg->on_reboot, CONFIG_REBOOT_EXIT);
	takes("on-panic", "stay");
	ck_assert_int_eq(cfg->on_panic, CONFIG_PANIC_STAY);
	takes("on-panic", "exit");
	ck_assert_int_eq(cfg->on_panic, CONFIG_PANIC_EXIT);
	takes("no-defaults", NULL);
	ck_assert(cfg->no_defaults);
	takes("no-defaults", "off");
	ck_assert(!cfg->no_defaults);
	takes("no-defaults", "on");
	ck_assert(cfg->no_defaults);
	takes("console-log", "a,,b");
	ck_assert_str_eq(cfg->console_log, "a,b");
	takes("console-log", "c");
	ck_assert_str_eq(cfg->console_log, "c");
	takes("control", "/run/a,,b");
	ck_assert_str_eq(cfg->control, "/run/a,b");
	takes("control", "none");
	ck_assert_ptr_null(cfg->control);
	takes("control", "s");
	refuses("kernel", "", "kernel", "the path is empty", "");
	refuses("cpus", "0", "cpus", "'0' is not a number from 1 to 255", "");
	refuses("cpus", "256", "cpus", "'256' is not a number from 1 to 255", "");
	refuses("cpus", "-1", "cpus", "'-1' is not a number from 1 to 255", "");
	refuses("cpus", "4x", "cpus", "'4x' is not a number from 1 to 255", "");
	refuses("cpus", "", "cpus", "'' is not a number from 1 to 255", "");
	refuses("name", "", "name", "a name has 1 to 63 characters", "");
	refuses("name", "a b", "name", "'a b' has a character other than letters, digits, '-', '_', '.'", "");
	refuses("name", "../x", "name", "'../x' has a character other than letters, digits, '-', '_', '.'", "");
	refuses("name", "..", "name", "'..' does not begin with a letter, a digit or '_'", "");
	refuses("on-reboot", "exti", "on-reboot", "unknown value 'exti'", "did you mean 'exit'?");
	refuses("on-panic", "dance", "on-panic", "unknown value 'dance'", "known are: exit, stay");
	refuses("no-defaults", "yes", "no-defaults", "'yes' is neither on nor off", "");
	refuses("console-log", "f,timestamps", "console-log", "nothing may follow the path; found 'timestamps'",
		"write a comma that belongs to the path twice");
	refuses("control", "", "control", "the path is empty", "");
	ck_assert_str_eq(cfg->kernel, "/boot/k");
	ck_assert_str_eq(cfg->control, "s");
	ck_assert_uint_eq(cfg->cpus, 255);
	done();
}
END_TEST

static void wishes(unsigned setting, enum config_switch sw, unsigned n)
{
	ck_assert_msg(cfg->profile[setting].sw == sw && cfg->profile[setting].n == n, "%s", config_profile_names[setting]);
}

START_TEST(words)
{
	fresh();
	takes("profile", "off,pv");
	for (unsigned k = 0; k < CONFIG_PROFILE_SETTINGS; k++)
		wishes(k, k >= CONFIG_PROFILE_PV_EOI && k <= CONFIG_PROFILE_STEAL_TIME ? CONFIG_SWITCH_ON : CONFIG_SWITCH_OFF, 0);
	for (unsigned k = 0; k < CONFIG_PROFILE_SETTINGS; k++) {
		takes("profile", config_profile_names[k]);
		for (unsigned i = 0; i < CONFIG_PROFILE_SETTINGS; i++)
			wishes(i, i == k ? CONFIG_SWITCH_ON : CONFIG_SWITCH_AUTO, 0);
	}
	takes("profile", "pre-fault,huge-pages=off,pv=off,pv-eoi=on");
	wishes(CONFIG_PROFILE_PRE_FAULT, CONFIG_SWITCH_ON, 0);
	wishes(CONFIG_PROFILE_HUGE_PAGES, CONFIG_SWITCH_OFF, 0);
	wishes(CONFIG_PROFILE_PV_EOI, CONFIG_SWITCH_ON, 0);
	wishes(CONFIG_PROFILE_PV_IPI, CONFIG_SWITCH_OFF, 0);
	wishes(CONFIG_PROFILE_STEAL_TIME, CONFIG_SWITCH_OFF, 0);
	wishes(CONFIG_PROFILE_IO_BATCH, CONFIG_SWITCH_AUTO, 0);
	takes("profile", "off,io-poll=1000,discard-batch=1");
	wishes(CONFIG_PROFILE_IO_POLL, CONFIG_SWITCH_ON, 1000);
	wishes(CONFIG_PROFILE_DISCARD_BATCH, CONFIG_SWITCH_ON, 1);
	takes("profile", "auto");
	wishes(CONFIG_PROFILE_IO_POLL, CONFIG_SWITCH_AUTO, 0);
	refuses("profile", "pv,fast", "profile", "unknown setting 'fast'",
		"known are: auto, off, pv, huge-pages, pre-fault, plain-cpu, plain-strings, pv-eoi, pv-ipi, pv-tlb-flush, pv-yield, "
		"pv-spinlocks, async-pf, steal-time, io-batch, io-poll, discard-batch");
	refuses("profile", "io-poll=1001", "profile", "io-poll '1001' is not a number from 1 to 1000", "");
	refuses("profile", "discard-batch=0", "profile", "discard-batch '0' is not a number from 1 to 256", "");
	refuses("profile", "io-poll=20us", "profile", "io-poll '20us' is not a number from 1 to 1000", "");
	refuses("profile", "io-batch=1", "profile", "'1' is neither on nor off", "");
	takes("nested", "require");
	ck_assert_int_eq(cfg->nested, CONFIG_NESTED_REQUIRE);
	takes("nested", "auto");
	ck_assert_int_eq(cfg->nested, CONFIG_NESTED_AUTO);
	takes("nested", "off");
	ck_assert_int_eq(cfg->nested, CONFIG_NESTED_OFF);
	refuses("nested", "maybe", "nested", "unknown value 'maybe'", "known are: off, auto, require");
	takes("vsock", "uds=/run/v,,w");
	ck_assert_str_eq(cfg->vsock, "/run/v,w");
	ck_assert_uint_eq(cfg->vsock_cid, 3);
	takes("vsock", "cid=4294967294,uds=v");
	ck_assert_uint_eq(cfg->vsock_cid, 4294967294u);

	refuses("vsock", "cid=5", "vsock", "the path of its unix socket is missing", "write uds=PATH");
	refuses("vsock", "v", "vsock", "unknown key 'v'", "known are: uds=PATH, cid=N");
	refuses("vsock", "uds", "vsock", "key 'uds' needs a value", "");
	refuses("vsock", "uds=a,uds=b", "vsock", "key 'uds' is given twice", "");
	refuses("vsock", "uds=a,cid=2", "vsock", "cid '2' is not a number from 3 to 4294967294", "");
	ck_assert_str_eq(cfg->vsock, "v");
	done();
}
END_TEST

START_TEST(keys)
{
	fresh();
	refuses("kernal", "x", "kernal", "unknown key 'kernal'", "did you mean 'kernel'?");
	refuses("mmeory", "x", "mmeory", "unknown key 'mmeory'", "did you mean 'memory'?");
	refuses("kernel", NULL, "kernel", "a value is missing", "");
	refuses("\x1b[zz\n", "x", "?[zz?", "unknown key '?[zz?'",
		"known are: kernel, initrd, append, disk, net, memory, cpus, console, port, console-log, name, on-reboot, on-panic, "
		"no-defaults, modules, debug-exit, control, nested, vsock, profile");
	ck_assert_int_eq(tvmm_config_set(NULL, "kernel", "x", &err), -EINVAL);
	ck_assert_int_eq(tvmm_config_set(cfg, NULL, "x", &err), -EINVAL);
	done();
}
END_TEST

START_TEST(sizes)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "64", MIB(64) },     { "512", MIB(512) }, { "65536K", MIB(64) }, { "512M", MIB(512) }, { "2G", GIB(2) },
		{ "3g", GIB(3) },      { "1T", GIB(1024) }, { "01G", GIB(1) },	   { "66m", MIB(66) },	 { "1048576", GIB(1024) },
	};
	static const char *const forms[] = { "", "M", "x", "-1G", "1.5G", "1 G", " 1G", "1GB", "1GiB", "0x100", "1@", "+5" };
	static const char *const big[] = { "2T", "1048577", "1025G", "99999999999999999999999T", "18446744073709551616" };

	fresh();
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		takes("memory", good[i].text);
		ck_assert_uint_eq(cfg->memory, good[i].bytes);
	}
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		char message[80];

		snprintf(message, sizeof(message), "'%s' is not a size", forms[i]);
		refuses("memory", forms[i], "memory", message,
			"write a whole number of MiB, or one with K, M, G or T: 512, 512M, 2G");
	}
	for (size_t i = 0; i < ARRAY_SIZE(big); i++) {
		char message[80];

		snprintf(message, sizeof(message), "'%s' is more than the maximum of 1T", big[i]);
		refuses("memory", big[i], "memory", message, "");
	}
	refuses("memory", "0", "memory", "'0' is less than the minimum of 64M", "a bare number counts MiB");
	refuses("memory", "62M", "memory", "'62M' is less than the minimum of 64M", "");
	refuses("memory", "65M", "memory", "'65M' is not a multiple of 2M", "the nearest are 64M and 66M");
	refuses("memory", "1048575K", "memory", "'1048575K' is not a multiple of 2M", "the nearest are 1022M and 1024M");
	done();
}
END_TEST

START_TEST(memory_keys)
{
	fresh();
	ck_assert_uint_eq(cfg->reclaim, CONFIG_RECLAIM_REPORT);
	ck_assert_uint_eq(cfg->weight, 100);
	ck_assert_uint_eq(cfg->memory_min, 0);
	takes("memory", "2G,min=256M,reclaim=auto,weight=7");
	ck_assert_uint_eq(cfg->memory, GIB(2));
	ck_assert_uint_eq(cfg->memory_min, MIB(256));
	ck_assert_uint_eq(cfg->reclaim, CONFIG_RECLAIM_AUTO);
	ck_assert_uint_eq(cfg->weight, 7);
	takes("memory", "512,reclaim=off"); /* replaces all of it */
	ck_assert_uint_eq(cfg->memory, MIB(512));
	ck_assert_uint_eq(cfg->memory_min, 0);
	ck_assert_uint_eq(cfg->reclaim, CONFIG_RECLAIM_OFF);
	ck_assert_uint_eq(cfg->weight, 100);
	refuses("memory", "1G,min=2G", "memory", "min is more than the memory itself", "");
	refuses("memory", "1G,min=1M", "memory", "'1M' is less than the minimum of 64M", "");
	refuses("memory", "1G,min", "memory", "key 'min' needs a value", "");
	refuses("memory", "1G,reclaim=aut", "memory", "unknown way to reclaim 'aut'", "did you mean 'auto'?");
	refuses("memory", "1G,rclaim=auto", "memory", "unknown key 'rclaim'", "did you mean 'reclaim'?");
	refuses("memory", "1G,weight=0", "memory", "weight '0' is not a number from 1 to 10000", "");
	refuses("memory", "1G,weight=1,weight=2", "memory", "key 'weight' is given twice", "");
	ck_assert_uint_eq(cfg->memory, MIB(512));
	done();
}
END_TEST

START_TEST(lists)
{
	fresh();
	takes("append", "a");
	takes("append", "");
	takes("append", "b=\"c d\"");
	ck_assert_str_eq(cfg->append, "a  b=\"c d\"");
	for (unsigned i = 0; i < CONFIG_INITRDS_MAX; i++) {
		char path[8];

		snprintf(path, sizeof(path), "i%u", i);
		takes("initrd", path);
	}
	ck_assert_uint_eq(cfg->initrd_count, 16);
	ck_assert_str_eq(cfg->initrds[15], "i15");
	refuses("initrd", "x", "initrd", "more than 16 initrds", "");
	for (unsigned i = 0; i < CONFIG_DISKS_MAX; i++)
		takes("disk", "d");
	refuses("disk", "x", "disk", "more than 16 disks", "");
	done();
}
END_TEST

START_TEST(disks)
{
	fresh();
	takes("disk", "a.img");
	takes("disk", "path=b,,c,,,ro,serial=S-1");
	takes("disk", "x=y.img,ro=off,root=2");
	takes("disk", "d,ro=on,root=off,serial=12345678901234567890");
	ck_assert_uint_eq(cfg->disk_count, 4);
	ck_assert_str_eq(cfg->disks[0].path, "a.img");
	ck_assert(!cfg->disks[0].ro && !cfg->disks[0].root);
	ck_assert_str_eq(cfg->disks[0].serial, "");
	ck_assert_str_eq(cfg->disks[1].path, "b,c,");
	ck_assert(cfg->disks[1].ro);
	ck_assert_str_eq(cfg->disks[1].serial, "S-1");
	ck_assert_str_eq(cfg->disks[2].path, "x=y.img");
	ck_assert(!cfg->disks[2].ro && cfg->disks[2].root);
	ck_assert_uint_eq(cfg->disks[2].root_part, 2);
	ck_assert(cfg->disks[3].ro && !cfg->disks[3].root);
	ck_assert_str_eq(cfg->disks[3].serial, "12345678901234567890");

	refuses("disk", "", "disk", "the path is empty", "");
	refuses("disk", ",ro", "disk", "the path is empty", "");
	refuses("disk", "d,", "disk", "unknown key ''", "known are: ro, root[=PARTITION], serial=TEXT, direct, ephemeral[=DIR], bw=SIZE/s, iops=N, burst=TIME, "
		"format=raw|vhost-user");
	refuses("disk", "d,r0", "disk", "unknown key 'r0'", "did you mean 'ro'?");
	refuses("disk", "d,rot", "disk", "unknown key 'rot'", "did you mean 'ro'?");
	refuses("disk", "d,seral=1", "disk", "unknown key 'seral'", "did you mean 'serial'?");
	refuses("disk", "d,cache=none", "disk", "unknown key 'cache'",
		"known are: ro, root[=PARTITION], serial=TEXT, direct, ephemeral[=DIR], bw=SIZE/s, iops=N, burst=TIME, format=raw|vhost-user");
	refuses("disk", "d,no-ro", "disk", "'no-ro' is not a key; to turn one off write key=off", "");
	refuses("disk", "d,ro=1", "disk", "'1' is neither on nor off", "");
	refuses("disk", "d,ro,ro", "disk", "key 'ro' is given twice", "");
	refuses("disk", "d,root", "disk", "disk 2 is the root already", "");
	refuses("disk", "d,root=0", "disk", "root '0' is not a partition number from 1 to 128", "");
	refuses("disk", "d,root=sda1", "disk", "root 'sda1' is not a partition number from 1 to 128", "");
	refuses("disk", "d,serial", "disk", "serial needs 1 to 20 characters", "");
	refuses("disk", "d,serial=123456789012345678901", "disk", "serial needs 1 to 20 characters", "");
	refuses("disk", "d,serial=a b", "disk", "serial 'a b' has a character that is not printable ASCII", "");
	ck_assert_uint_eq(cfg->disk_count, 4);
	done();
}
END_TEST

/* How a disk is reached, how fast it may be, and who has it. */
START_TEST(disk_ways)
{
	fresh();
	takes("disk", "a.img");
	takes("disk", "e,direct,ephemeral=/var/tmp,bw=100M/s,iops=5000,burst=2s");
	ck_assert(cfg->disks[1].direct && cfg->disks[1].ephemeral && !cfg->disks[0].direct && !cfg->disks[0].ephemeral);
	ck_assert_str_eq(cfg->disks[1].ephemeral_dir, "/var/tmp");
	ck_assert_uint_eq(cfg->disks[1].bw, 100 << 20);
	ck_assert_uint_eq(cfg->disks[1].iops, 5000);
	ck_assert_uint_eq(cfg->disks[1].burst_ns, 2000000000);
	takes("disk", "f,ephemeral,bw=64K,burst=0ms");
	ck_assert(cfg->disks[2].ephemeral && !cfg->disks[2].ephemeral_dir && !cfg->disks[2].burst_ns && !cfg->disks[2].iops);
	ck_assert_uint_eq(cfg->disks[2].bw, 64 << 10);
	refuses("disk", "d,ephemeral=yes", "disk", "ephemeral 'yes' is neither on, off nor a folder",
		"a folder is written with a slash: ephemeral=/var/tmp");
	refuses("disk", "d,ro,ephemeral", "disk", "ro and ephemeral contradict each other: nothing can be written to the one, "
		"and nothing of it is kept of the other", "");
	refuses("disk", "d,bw=0", "disk", "bw '0' is not a size a second from 1K to 1T",
		"write a whole number of MiB, or one with K, M, G or T: bw=100M/s");
	refuses("disk", "d,bw", "disk", "bw '' is not a size a second from 1K to 1T",
		"write a whole number of MiB, or one with K, M, G or T: bw=100M/s");
	refuses("disk", "d,iops=1k", "disk", "iops '1k' is not a number from 1 to 1000000000", "");
	refuses("disk", "d,iops=1,burst=11s", "disk", "burst '11s' is not a time from 0ms to 10s",
		"the time whose unused allowance may be used at once: burst=100ms");
	refuses("disk", "d,burst=1s", "disk", "burst needs a limit: bw, iops or both", "");
	takes("disk", "g,format=raw,ro");
	takes("disk", "/run/h,format=vhost-user");
	ck_assert_uint_eq(cfg->disks[3].format, CONFIG_DISK_RAW);
	ck_assert_uint_eq(cfg->disks[4].format, CONFIG_DISK_VHOST_USER);
	refuses("disk", "d,format=qcow2", "disk", "unknown format 'qcow2'",
		"known are: raw, and vhost-user, by which qemu-storage-daemon serves all others");
	refuses("disk", "d,format", "disk", "unknown format ''",
		"known are: raw, and vhost-user, by which qemu-storage-daemon serves all others");
	refuses("disk", "d,ro=off,format=vhost-user", "disk", "'ro' is not for us to decide with format=vhost-user",
		"the server has the disk: tell it");
	refuses("disk", "d,format=vhost-user,serial=x,bw=1G/s", "disk", "'serial' is not for us to decide with format=vhost-user",
		"the server has the disk: tell it");
	ck_assert_uint_eq(cfg->disk_count, 5);
	done();
}
END_TEST

START_TEST(consoles)
{
	fresh();
	takes("console", "file=/tmp/a,,b");
	ck_assert_int_eq(cfg->console.kind, CONFIG_CONSOLE_FILE);
	ck_assert_str_eq(cfg->console.path, "/tmp/a,b");
	takes("console", "fd=5:6");
	ck_assert_int_eq(cfg->console.kind, CONFIG_CONSOLE_FD);
	ck_assert_ptr_null(cfg->console.path);
	ck_assert_int_eq(cfg->console.in_fd, 5);
	ck_assert_int_eq(cfg->console.out_fd, 6);
	takes("console", "fd=7");
	ck_assert_int_eq(cfg->console.in_fd, 7);
	ck_assert_int_eq(cfg->console.out_fd, 7);
	takes("console", "none");
	ck_assert_int_eq(cfg->console.kind, CONFIG_CONSOLE_NONE);
	ck_assert_int_eq(cfg->console.in_fd, -1);
	takes("console", "stdio");

	refuses("console", "", "console", "unknown kind ''", "known are: stdio, file=PATH, fd=IN[:OUT], none");
	refuses("console", "sdtio", "console", "unknown kind 'sdtio'", "did you mean 'stdio'?");
	refuses("console", "pty", "console", "unknown kind 'pty'", "known are: stdio, file=PATH, fd=IN[:OUT], none");
	refuses("console", "file", "console", "the path is empty", "");
	refuses("console", "file=", "console", "the path is empty", "");
	refuses("console", "file=a,b", "console", "unknown key 'b'",
		"known are: none after the kind; write a comma that belongs to a path twice");
	refuses("console", "none=1", "console", "'none' takes no value", "");
	refuses("console", "fd", "console", "fd needs one or two descriptor numbers, fd=IN[:OUT]", "");
	refuses("console", "fd=", "console", "fd needs one or two descriptor numbers, fd=IN[:OUT]", "");
	refuses("console", "fd=1:", "console", "fd needs one or two descriptor numbers, fd=IN[:OUT]", "");
	refuses("console", "fd=-1", "console", "fd needs one or two descriptor numbers, fd=IN[:OUT]", "");
	refuses("console", "fd=4294967296", "console", "fd needs one or two descriptor numbers, fd=IN[:OUT]", "");
	ck_assert_int_eq(cfg->console.kind, CONFIG_CONSOLE_STDIO);
	done();
}
END_TEST

START_TEST(debug_exit)
{
	static const char *const bad[] = { "", "0", "0x", "0x0", "65533", "0xfffd", "0x100000000000000f4", "f4", "0xg", "-1", " 1",
					   "1 ", "0x1 ", "ON", "1,2" };

	fresh();
	takes("debug-exit", NULL);
	ck_assert_uint_eq(cfg->debug_exit, 0xf4);
	takes("debug-exit", "0xFfFc");
	ck_assert_uint_eq(cfg->debug_exit, 0xfffc);
	takes("debug-exit", "off");
	ck_assert_uint_eq(cfg->debug_exit, 0);
	takes("debug-exit", "1281");
	ck_assert_uint_eq(cfg->debug_exit, 0x501);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(tvmm_config_set(cfg, "debug-exit", bad[i], &err) == -EINVAL, "'%s' was taken", bad[i]);
	ck_assert_uint_eq(cfg->debug_exit, 0x501);
	refuses("debug-exit", "com1", "debug-exit", "'com1' is not a port",
		"write on, off, or a number from 1 to 0xfffc, for instance 0xf4");
	takes("debug-exit", "on");
	ck_assert_uint_eq(cfg->debug_exit, 0xf4);
	done();
}
END_TEST

START_TEST(long_values)
{
	static char path[5000];

	fresh();
	memset(path, 'p', sizeof(path) - 1);
	refuses("kernel", path, "kernel", "the path has 4999 bytes; the most is 4095", "");
	path[4095] = '\0';
	takes("kernel", path);
	refuses("name", path, "name", "a name has 1 to 63 characters", "");
	refuses("cpus", path, "cpus",
		"'pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp...' is not a number from 1 to 255", "");
	done();
}
END_TEST

START_TEST(together)
{
	fresh();
	ck_assert_int_eq(config_check(cfg, &err), -EINVAL);
	ck_assert_str_eq(err.object, "kernel");
	ck_assert_str_eq(err.message, "no kernel is given");
	takes("kernel", "k");
	ck_assert_int_eq(config_check(cfg, &err), 0);
	takes("disk", "a");
	takes("disk", "b,root");
	ck_assert_int_eq(config_check(cfg, &err), 0);
	takes("no-defaults", NULL);
	ck_assert_int_eq(config_check(cfg, &err), -EINVAL);
	ck_assert_str_eq(err.message, "the key 'root' contradicts no-defaults");
	done();
}
END_TEST

START_TEST(ports)
{
	static const char others[] = "known are: socket=PATH, file=PATH, fd=IN[:OUT]";
	char name[8], deep[160] = "p,socket=";

	fresh();
	takes("port", "org.qemu.guest_agent.0,socket=/tmp/qga");
	takes("port", "log,file=a,,b");
	takes("port", "pair,fd=3:4");
	ck_assert_uint_eq(cfg->port_count, 3);
	ck_assert_str_eq(cfg->ports[1].path, "a,b");
	ck_assert_int_eq(cfg->ports[2].in_fd, 3);
	ck_assert_int_eq(cfg->ports[2].out_fd, 4);
	refuses("port", "log,file=c", "port", "there is a port 'log' already", "");
	refuses("port", ",file=c", "port", "a port's name has 1 to 63 characters", "");
	refuses("port", "a/b,file=c", "port", "'a/b' is no name of letters, digits, '-', '_' and '.'", "");
	refuses("port", "..,file=c", "port", "'..' is no name of letters, digits, '-', '_' and '.'", "");
	refuses("port", "p", "port", "port 'p' has no other end", "add one of socket=PATH, file=PATH, fd=IN[:OUT]");
	refuses("port", "p,sock=x", "port", "unknown key 'sock'", "did you mean 'socket'?");
	refuses("port", "p,zzzzzzzz", "port", "unknown key 'zzzzzzzz'", others);
	refuses("port", "p,file", "port", "key 'file' needs a value", "");
	refuses("port", "p,file=", "port", "the path is empty", "");
	refuses("port", "p,fd=x", "port", "fd needs one or two descriptor numbers, fd=IN[:OUT]", "");
	refuses("port", "p,file=a,fd=1", "port", "port 'p' has more than one other end: 'fd=1'", "");
	memset(deep + 9, 'x', 108);
	refuses("port", deep, "port", "the socket's path has 108 bytes; the most is 107", "");
	for (unsigned i = 3; i < CONFIG_PORTS_MAX; i++) {
		snprintf(name, sizeof(name), "p%u,fd=0", i);
		takes("port", name);
	}
	refuses("port", "one,fd=0", "port", "more than 7 ports", "");
	done();
}
END_TEST

START_TEST(nets)
{
	static const uint8_t mac[6] = { 2, 0xab, 0xcd, 0xef, 0, 1 };

	fresh();
	takes("net", "none");
	ck_assert_uint_eq(cfg->net_count, 0);
	takes("net", "user");
	takes("net", "tap=tap0,mac=02:AB:cd:ef:00:01,mtu=9000,queues=4");
	takes("net", "fd=7,vhost=off,bw=100M/s,pps=1000,burst=50ms");
	takes("net", "user,fwd=tcp:8080:80,fwd=udp:5353:53,mtu=1400");
	ck_assert_uint_eq(cfg->net_count, 4);
	ck_assert_int_eq(cfg->nets[0].kind, CONFIG_NET_USER);
	ck_assert(!cfg->nets[0].has_mac && !cfg->nets[0].mtu && cfg->nets[0].pairs == 1);
	ck_assert_int_eq(cfg->nets[1].kind, CONFIG_NET_TAP);
	ck_assert_str_eq(cfg->nets[1].ifname, "tap0");
	ck_assert(cfg->nets[1].has_mac && !memcmp(cfg->nets[1].mac, mac, 6));
	ck_assert_uint_eq(cfg->nets[1].mtu, 9000);
	ck_assert_uint_eq(cfg->nets[1].pairs, 4);
	ck_assert_int_eq(cfg->nets[2].fd, 7);
	ck_assert_int_eq(cfg->nets[1].vhost, CONFIG_VHOST_AUTO);
	ck_assert_int_eq(cfg->nets[2].vhost, CONFIG_VHOST_OFF);
	ck_assert_uint_eq(cfg->nets[2].bandwidth, MIB(100));
	ck_assert_uint_eq(cfg->nets[2].packets, 1000);
	ck_assert_uint_eq(cfg->nets[2].burst_ns, 50000000);
	ck_assert_uint_eq(cfg->nets[0].bandwidth, 0);
	ck_assert_uint_eq(cfg->nets[3].n_forwards, 2);
	ck_assert_uint_eq(cfg->nets[3].forward[0].host, 8080);
	ck_assert_uint_eq(cfg->nets[3].forward[0].guest, 80);
	ck_assert(!cfg->nets[3].forward[0].udp && cfg->nets[3].forward[1].udp);
	for (unsigned i = 4; i < CONFIG_NETS_MAX; i++)
		takes("net", "user");
	refuses("net", "user", "net", "more than 8 network interfaces", "");
	done();
}
END_TEST

START_TEST(nets_refused)
{
	static const char mac_hint[] = "write six bytes of which the first is even, for instance 02:00:00:00:00:01";
	static const char fwd_hint[] = "write tcp or udp, the host's port, the guest's: fwd=tcp:8080:80";

	fresh();
	refuses("net", "", "net", "unknown kind ''", "known are: user[,fwd=tcp:PORT:PORT], tap=NAME, fd=N, none");
	refuses("net", "usr", "net", "unknown kind 'usr'", "did you mean 'user'?");
	refuses("net", "user=1", "net", "'user' takes no value", "");
	refuses("net", "tap", "net", "tap needs an interface's name, 1 to 15 characters", "");
	refuses("net", "tap=", "net", "tap needs an interface's name, 1 to 15 characters", "");
	refuses("net", "tap=1234567890123456", "net", "tap needs an interface's name, 1 to 15 characters", "");
	refuses("net", "tap=a/b", "net", "'a/b' is no interface's name", "");
	refuses("net", "tap=tap%d", "net", "'tap%d' is no interface's name", "");
	refuses("net", "fd=-1", "net", "fd needs a descriptor's number", "");
	refuses("net", "none,mtu=1500", "net", "key 'mtu' has no meaning for this kind", "");
	refuses("net", "tap=a,fwd=tcp:1:1", "net", "key 'fwd' has no meaning for this kind", "");
	refuses("net", "user,queues=2", "net", "key 'queues' has no meaning for this kind", "");
	refuses("net", "user,vhost=off", "net", "key 'vhost' has no meaning for this kind", "");
	refuses("net", "tap=a,vhost=1", "net", "unknown value '1'", "known are: auto, on, off");
	refuses("net", "tap=a,vhost=on,pps=1", "net", "vhost=on contradicts a limit: the kernel knows of none", "");
	refuses("net", "tap=a,burst=1s", "net", "burst needs a limit: bw, pps or both", "");
	refuses("net", "tap=a,queues=8", "net", "queues '8' is not a number from 1 to 7", "");
	refuses("net", "tap=a,queues=0", "net", "queues '0' is not a number from 1 to 7", "");
	refuses("net", "tap=a,mtu=67", "net", "mtu '67' is not a number from 68 to 65521", "");
	refuses("net", "tap=a,mtu", "net", "key 'mtu' needs a value", "");
	refuses("net", "tap=a,mtu=100,mtu=100", "net", "key 'mtu' is given twice", "");
	refuses("net", "tap=a,mta=100", "net", "unknown key 'mta'", "did you mean 'mtu'?");
	refuses("net", "tap=a,mac=1:2", "net", "mac '1:2' is no address of one interface", mac_hint);
	refuses("net", "tap=a,mac=03:00:00:00:00:01", "net", "mac '03:00:00:00:00:01' is no address of one interface", mac_hint);
	refuses("net", "tap=a,mac=00:00:00:00:00:00", "net", "mac '00:00:00:00:00:00' is no address of one interface", mac_hint);
	refuses("net", "tap=a,mac=02:00:00:00:00:0g", "net", "mac '02:00:00:00:00:0g' is no address of one interface", mac_hint);
	refuses("net", "user,fwd=80", "net", "'80' is no port to forward", fwd_hint);
	refuses("net", "user,fwd=tcp:80", "net", "'tcp:80' is no port to forward", fwd_hint);
	refuses("net", "user,fwd=tcp:0:80", "net", "'tcp:0:80' is no port to forward", fwd_hint);
	refuses("net", "user,fwd=tcp:80:65536", "net", "'tcp:80:65536' is no port to forward", fwd_hint);
	refuses("net", "user,fwd=sctp:80:80", "net", "'sctp:80:80' is no port to forward", fwd_hint);
	ck_assert_uint_eq(cfg->net_count, 0);
	done();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { defaults, scalars, words, keys, sizes, memory_keys, lists, disks, disk_ways, consoles, debug_exit,
				       long_values, together, nets, ports, nets_refused, NULL };

	return test_main("config", tests);
}
