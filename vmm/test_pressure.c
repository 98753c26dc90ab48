/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_pressure.c - figures of made-up hosts (v1, v2, no PSI, no control groups, files cut or gone), and parsers on text
 * that no kernel writes.
 */
#include "pressure.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bits.h"
#include "test.h"

static char root[64];

static void put(const char *path, const char *text)
{
	char full[512];
	int fd;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *s = full + strlen(root) + 1; (s = strchr(s, '/')); s++) {
		*s = '\0';
		mkdir(full, 0755);
		*s = '/';
	}
	fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void new_root(void)
{
	strcpy(root, "/tmp/test_pressure.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
}

static void drop_root(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", root);
	ck_assert_int_eq(system(cmd), 0);
}

#define MEMINFO "MemTotal:        8000000 kB\nMemFree:  1000 kB\nMemAvailable:    2000000 kB\nSwapTotal: 5 kB\nSwapFree: 4 kB\n"
#define PSI     "some avg10=1.00 avg60=0.00 avg300=0.00 total=123456\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=789\n"

START_TEST(fields)
{
	uint64_t v = 7;
	static const char *const bad[] = { "", "\n\n", "MemFree", "MemFree:", "MemFree: ", "MemFree: x", "MemFree: -1",
					   "XMemFree: 1", "MemFree: 99999999999999999999999 kB", "MemFree: 18446744073709551615 kB",
					   "MemFreeX: 1" };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert(!pressure_field(bad[i], "MemFree:", &v));
		ck_assert_uint_eq(v, 7);
	}
	ck_assert(pressure_field("a 1\nMemFree:\t  12 kB\nb 2", "MemFree:", &v));
	ck_assert_uint_eq(v, 12288);
	ck_assert(pressure_field("a 1\nMemFree:\t  12 kB\nb 2", "b", &v));
	ck_assert_uint_eq(v, 2);
	ck_assert(pressure_number("max\n", &v));
	ck_assert_uint_eq(v, UINT64_MAX);
	ck_assert(pressure_number("42", &v) && v == 42);
	ck_assert(!pressure_number("maximum", &v) && !pressure_number("", &v) && !pressure_number("1 2", &v) &&
		  !pressure_number("-1", &v));
}
END_TEST

START_TEST(psi_text)
{
	struct psi p = { 0 };

	ck_assert(pressure_psi(PSI, &p));
	ck_assert(p.known);
	ck_assert_uint_eq(p.some_us, 123456);
	ck_assert_uint_eq(p.full_us, 789);
	ck_assert(pressure_psi("some total=5", &p));
	ck_assert_uint_eq(p.full_us, 0);
	p.known = false;
	ck_assert(!pressure_psi("", &p) && !pressure_psi("some", &p) && !pressure_psi("some avg10=1\nfull total=4\n", &p) &&
		  !pressure_psi("awesome total=3", &p) && !pressure_psi("some total=", &p) && !pressure_psi("full total=3", &p));
	ck_assert(!p.known);
}
END_TEST

START_TEST(group_paths)
{
	static const char both[] = "9:name=systemd:/s\n4:cpu,memory:/a/b\n1:cpu:/c\n0::/v2/x\n";
	char out[16];

	ck_assert(pressure_group_path(both, false, out, sizeof(out)));
	ck_assert_str_eq(out, "/a/b");
	ck_assert(pressure_group_path(both, true, out, sizeof(out)));
	ck_assert_str_eq(out, "/v2/x");
	ck_assert(!pressure_group_path("0::/a-path-that-is-too-long\n", true, out, sizeof(out)));
	ck_assert(!pressure_group_path("0::/../x\n", true, out, sizeof(out)));
	ck_assert(!pressure_group_path("0::x\n", true, out, sizeof(out)));
	ck_assert(!pressure_group_path("4:memory2,xmemory:/a\n", false, out, sizeof(out)));
	ck_assert(!pressure_group_path("", true, out, sizeof(out)));
	ck_assert(!pressure_group_path(":::::\n\n::\n", false, out, sizeof(out)));
}
END_TEST

START_TEST(plain_host)
{
	struct pressure p;
	struct pressure_sample s;

	new_root();
	put("/proc/meminfo", MEMINFO);
	put("/proc/self/status", "Name:\ttest\nVmRSS:\t   10 kB\nVmSwap:\t      84 kB\nThreads:\t1\n");
	pressure_open(&p, host_linux(), root);
	pressure_read(&p, &s);
	ck_assert_uint_eq(s.own_swap, 84 << 10);
	ck_assert(s.host.known && !s.host.psi.known && !s.group.known && s.swap_known);
	ck_assert_uint_eq(s.host.total, 8000000ull << 10);
	ck_assert_uint_eq(s.host.available, 2000000ull << 10);
	ck_assert_uint_eq(s.swap_free, 4096);
	/* Read anew each time, through the same descriptor; and nonsense is "not known". */
	put("/proc/meminfo", "MemTotal: 10 kB\nMemAvailable: 11 kB\n");
	pressure_read(&p, &s);
	ck_assert(!s.host.known);
	put("/proc/meminfo", "");
	put("/proc/self/status", "VmSwap:\t many\n");
	pressure_read(&p, &s);
	ck_assert(!s.host.known && !s.swap_known && !s.own_swap);
	pressure_close(&p);
	pressure_close(&p);
	drop_root();
	/* No files at all. */
	pressure_open(&p, host_linux(), "/nonexistent");
	pressure_read(&p, &s);
	ck_assert(!s.host.known && !s.group.known);
	pressure_close(&p);
}
END_TEST

START_TEST(groups_v2)
{
	struct pressure p;
	struct pressure_sample s;

	new_root();
	put("/proc/meminfo", MEMINFO);
	put("/proc/pressure/memory", PSI);
	put("/proc/self/cgroup", "0::/slice/vm\n");
	put("/sys/fs/cgroup/slice/vm/memory.max", "max\n");
	put("/sys/fs/cgroup/slice/vm/memory.high", "max\n");
	put("/sys/fs/cgroup/slice/vm/memory.current", "500\n");
	put("/sys/fs/cgroup/slice/vm/memory.pressure", "some total=11\nfull total=2\n");
	put("/sys/fs/cgroup/slice/memory.max", "1000000\n");
	put("/sys/fs/cgroup/slice/memory.high", "800000\n");
	put("/sys/fs/cgroup/slice/memory.current", "700000\n");
	put("/sys/fs/cgroup/slice/memory.stat", "anon 5\ninactive_file 200000\n");
	pressure_open(&p, host_linux(), root);
	pressure_read(&p, &s);
	ck_assert(s.host.psi.known && s.group.known);
	ck_assert_uint_eq(s.group.total, 800000);
	ck_assert_uint_eq(s.group.available, 300000);
	ck_assert_uint_eq(s.group.psi.some_us, 11);
	/* Our own group gets a tighter one, and is over it. */
	put("/sys/fs/cgroup/slice/vm/memory.max", "400\n");
	pressure_read(&p, &s);
	ck_assert_uint_eq(s.group.total, 400);
	ck_assert_uint_eq(s.group.available, 0);
	/* A limit above what the host has limits nothing. */
	put("/sys/fs/cgroup/slice/vm/memory.max", "9223372036854771712\n");
	put("/sys/fs/cgroup/slice/memory.max", "max\n");
	put("/sys/fs/cgroup/slice/memory.high", "max\n");
	pressure_read(&p, &s);
	ck_assert(!s.group.known);
	pressure_close(&p);
	drop_root();
}
END_TEST

START_TEST(groups_v1)
{
	struct pressure p;
	struct pressure_sample s;

	new_root();
	put("/proc/meminfo", MEMINFO);
	put("/proc/self/cgroup", "4:memory:/gone/deeper\n0::/\n"); /* as in a container: only the root is there */
	put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "1000000\n");
	put("/sys/fs/cgroup/memory/memory.usage_in_bytes", "600000\n");
	put("/sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 100000\n");
	pressure_open(&p, host_linux(), root);
	pressure_read(&p, &s);
	ck_assert(s.group.known);
	ck_assert_uint_eq(s.group.total, 1000000);
	ck_assert_uint_eq(s.group.available, 500000);
	pressure_close(&p);
	drop_root();
}
END_TEST

/* Every byte cut off, every byte replaced: no parser leaves its text, and none is sure of what is not there. */
START_TEST(spoiled)
{
	static const char *const texts[] = { MEMINFO, PSI, "0::/slice/vm\n4:memory:/a\n", "800000\n" };

	for (unsigned t = 0; t < ARRAY_SIZE(texts); t++) {
		size_t n = strlen(texts[t]);

		for (size_t i = 0; i <= n; i++)
			for (unsigned k = 0; k < 6; k++) {
				char *copy = strdup(texts[t]), out[20]; /* its own allocation, so that ASan sees an overrun */
				struct psi psi;
				uint64_t v;

				copy[i] = "\0\n: =\xff"[k];
				if (i == n)
					copy[i] = '\0';
				pressure_field(copy, "MemAvailable:", &v);
				pressure_number(copy, &v);
				pressure_psi(copy, &psi);
				pressure_group_path(copy, k & 1, out, sizeof(out));
				free(copy);
			}
	}
}
END_TEST

/* This very host: whatever it is, the figures hang together. */
START_TEST(real)
{
	struct pressure p;
	struct pressure_sample s;

	pressure_open(&p, host_linux(), "");
	pressure_read(&p, &s);
	ck_assert(s.host.known);
	ck_assert_uint_le(s.host.available, s.host.total);
	if (s.group.known)
		ck_assert_uint_le(s.group.total, s.host.total);
	pressure_close(&p);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { fields, psi_text, group_paths, plain_host, groups_v2, groups_v1, spoiled, real, NULL };

	return test_main("pressure", tests);
}
