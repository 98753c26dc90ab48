/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_check.c - "tinyvmm check": what this host can do, as rows of PASS, WARN or FAIL, each with its remedy.
 *
 * The verdict on /dev/kvm is the library's (tvmm_probe(), the same words that a failing run gives); the rest is read from
 * /proc and /sys.  Exit code 0 when virtual machines can run here, 1 when not.  Changes nothing on the host.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cmd.h"
#include "opts.h"
#include "result.h"
#include "say.h"

static const char *const verdict_names[] = { "PASS", "WARN", "FAIL", "SKIP" };

struct checks {
	struct tvmm_finding rows[16];
	unsigned count;
};

static struct tvmm_finding *add(struct checks *c, const char *name, enum tvmm_verdict verdict, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static struct tvmm_finding *add(struct checks *c, const char *name, enum tvmm_verdict verdict, const char *fmt, ...)
{
	struct tvmm_finding *row = &c->rows[c->count++];
	va_list ap;

	*row = (struct tvmm_finding){ .verdict = verdict };
	snprintf(row->name, sizeof(row->name), "%s", name);
	va_start(ap, fmt);
	vsnprintf(row->text, sizeof(row->text), fmt, ap);
	va_end(ap);
	return row;
}

/* The first line of FILE that begins with KEY, from its value on; "" if there is none.  KEY "" takes the first line. */
static void read_field(const char *file, const char *key, char *value, size_t len)
{
	char line[4096];
	FILE *f = fopen(file, "re");

	*value = '\0';
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		const char *v = line + strlen(key);

		if (strncmp(line, key, strlen(key)))
			continue;
		v += strspn(v, " \t:");
		snprintf(value, len, "%.*s", (int)strcspn(v, "\n"), v);
		break;
	}
	fclose(f);
}

/* What the library found, as it is. */
static void check_host(struct checks *c, const struct tvmm_probe *host)
{
	for (unsigned i = 0; i < host->n_findings && c->count < sizeof(c->rows) / sizeof(c->rows[0]) - 4; i++) {
		const struct tvmm_finding *f = &host->finding[i];

		c->rows[c->count] = *f;
		if (f->verdict < TVMM_PASS || f->verdict > TVMM_SKIP)
			c->rows[c->count].verdict = TVMM_WARN;
		c->count++;
	}
}

static void check_memory(struct checks *c)
{
	char total[64], available[64], overcommit[16], thp[64];
	unsigned long long total_mib, available_mib;
	const char *mode;
	bool tight;
	struct tvmm_finding *row;

	read_field("/proc/meminfo", "MemTotal", total, sizeof(total));
	read_field("/proc/meminfo", "MemAvailable", available, sizeof(available));
	read_field("/proc/sys/vm/overcommit_memory", "", overcommit, sizeof(overcommit));
	read_field("/sys/kernel/mm/transparent_hugepage/enabled", "", thp, sizeof(thp));
	mode = strchr(thp, '[') ? strchr(thp, '[') + 1 : "absent]";
	total_mib = strtoull(total, NULL, 10) >> 10;
	available_mib = strtoull(available, NULL, 10) >> 10;
	tight = available_mib < 256;
	row = add(c, "memory", tight ? TVMM_WARN : TVMM_PASS, "%llu MiB, %llu available; overcommit %s; huge pages %.*s", total_mib,
		  available_mib, *overcommit ? overcommit : "unknown", (int)strcspn(mode, "]"), mode);
	if (tight)
		snprintf(row->fix, sizeof(row->fix), "stop something, or give guests less: --memory 128M");
	else if (!strncmp(mode, "never", 5)) {
		row->verdict = TVMM_WARN;
		snprintf(row->fix, sizeof(row->fix),
			 "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled   (guests run faster)");
	}
}

static void check_limits(struct checks *c)
{
	struct rlimit files;
	bool low = !getrlimit(RLIMIT_NOFILE, &files) && files.rlim_cur < 256;
	struct tvmm_finding *row = add(c, "limits", low ? TVMM_WARN : TVMM_PASS, "%llu open files", (unsigned long long)files.rlim_cur);

	if (low)
		snprintf(row->fix, sizeof(row->fix), "ulimit -n 1024");
}

static unsigned count(const struct checks *c, enum tvmm_verdict verdict)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->count; i++)
		n += c->rows[i].verdict == (int32_t)verdict;
	return n;
}

static void print_text(const struct checks *c, const struct tvmm_probe *host)
{
	unsigned warnings = count(c, TVMM_WARN);

	for (unsigned i = 0; i < c->count; i++) {
		const struct tvmm_finding *row = &c->rows[i];

		printf("%-10s %s  %s\n", row->name, verdict_names[row->verdict], row->text);
		if (*row->fix)
			printf("%-10s fix:  %s\n", "", row->fix);
	}
	if (!host->kvm_usable)
		printf("Result: virtual machines cannot run here yet; see above.\n");
	else if (!host->runs_stock_kernel && host->cost == TVMM_COST_UNKNOWN)
		printf("Result: virtual machines can run; whether stock Linux kernels can could not be measured.\n");
	else if (!host->runs_stock_kernel)
		printf("Result: virtual machines can run, stock Linux kernels cannot.\n");
	else
		printf("Result: virtual machines can run%s.\n", warnings ? "; see the warnings above" : "");
}

static const char *word_of(const char *const *words, int n, int i)
{
	return words[i >= 0 && i < n ? i : n - 1];
}

static void print_json(const struct checks *c, const struct tvmm_probe *host)
{
	static const char *const backends[] = { "none", "vmx", "svm", "software", "unknown" };
	static const char *const platforms[] = { "unknown", "metal", "kvm", "tinyvmm", "firecracker", "nitro", "qemu-tcg", "hyperv",
						 "vmware", "xen", "other" };
	static const char *const costs[] = { "unknown", "native", "nested", "emulated", "unknown" };

	printf("{\"usable\":%s,\"runs_stock_kernel\":%s,\"kvm_api\":%d,\"backend\":\"%s\",\"backend_name\":",
	       host->kvm_usable ? "true" : "false", host->runs_stock_kernel ? "true" : "false", host->kvm_api,
	       word_of(backends, 5, host->backend));
	json_string(stdout, host->backend_name);
	printf(",\"features\":");
	json_string(stdout, host->features);
	printf(",\"platform\":\"%s\",\"platform_name\":", word_of(platforms, 11, host->platform));
	json_string(stdout, host->platform_name);
	printf(",\"depth\":%d,\"nested\":%s,\"cost\":\"%s\",\"exit_ns\":%u,\"exit_user_ns\":%u,\"fault_ns\":%u", host->depth,
	       host->nested ? "true" : "false", word_of(costs, 5, host->cost), host->exit_ns, host->exit_user_ns, host->fault_ns);
	printf(",\"checks\":[");
	for (unsigned i = 0; i < c->count; i++) {
		printf("%s{\"name\":", i ? "," : "");
		json_string(stdout, c->rows[i].name);
		printf(",\"verdict\":\"%s\",\"text\":", verdict_names[c->rows[i].verdict]);
		json_string(stdout, c->rows[i].text);
		printf(",\"fix\":");
		json_string(stdout, c->rows[i].fix);
		printf("}");
	}
	printf("]}\n");
}

static int check(bool json)
{
	struct tvmm_probe host = { .size = sizeof(host) };
	struct tvmm_error err = { 0 };
	struct checks c = { .count = 0 };

	tvmm_probe(&host, TVMM_PROBE_FRESH, &err); /* why it failed is among its findings */
	check_host(&c, &host);
	check_memory(&c);
	check_limits(&c);
	if (json)
		print_json(&c, &host);
	else
		print_text(&c, &host);
	if (fflush(stdout)) {
		say_fill(&err, TVMM_E_IO, errno, "stdout", "cannot write");
		say_error(&err);
		return CODE_FAILED;
	}
	return host.kvm_usable ? 0 : 1;
}

int cmd_check(char *const argv[])
{
	struct opts_walk walk = { .verb = VERB_CHECK, .argv = argv };
	const struct opt *opt;
	const char *value;
	struct tvmm_error err;
	bool json = false;
	int ret;

	while ((ret = opts_next(&walk, &opt, &value, &err)) > 0) {
		if (opt->id == OPT_HELP) {
			opts_help(VERB_CHECK, stdout);
			return fflush(stdout) ? CODE_FAILED : CODE_OK;
		}
		json = !strcmp(value, "on");
	}
	if (ret < 0) {
		say_error(&err);
		return CODE_FAILED;
	}
	return check(json);
}
