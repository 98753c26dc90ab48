/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_check.c - "tinyvmm check": what this host can do, as rows of PASS, WARN or FAIL, each with its remedy.
 *
 * The verdict on /dev/kvm is the library's (tvmm_check_host(), the same words that a failing run gives); the rest is read
 * from /proc and /sys.  Exit code 0 when virtual machines can run here, 1 when not.  Changes nothing on the host.
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

enum verdict { PASS, WARN, FAIL, SKIP };
static const char *const verdict_names[] = { "PASS", "WARN", "FAIL", "SKIP" };

struct row {
	const char *name;
	enum verdict verdict;
	char text[512];
	char fix[384];
};

struct checks {
	struct row rows[10];
	unsigned count;
};

static struct row *add(struct checks *c, const char *name, enum verdict verdict, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static struct row *add(struct checks *c, const char *name, enum verdict verdict, const char *fmt, ...)
{
	struct row *row = &c->rows[c->count++];
	va_list ap;

	*row = (struct row){ .name = name, .verdict = verdict };
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

static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list; (p = strstr(p, word)); p += len) {
		if ((p == list || p[-1] == ' ') && (p[len] == ' ' || !p[len]))
			return true;
	}
	return false;
}

static void check_cpu(struct checks *c)
{
	char model[128], flags[4096];
	const char *virt;

	read_field("/proc/cpuinfo", "model name", model, sizeof(model));
	read_field("/proc/cpuinfo", "flags", flags, sizeof(flags));
	virt = has_word(flags, "vmx") ? "vmx" : has_word(flags, "svm") ? "svm" : NULL;
	add(c, "CPU", virt ? PASS : WARN, "%s (%s)%s", *model ? model : "unknown",
	    virt ? virt : "neither vmx nor svm is visible",
	    has_word(flags, "hypervisor") ? "; this host is itself a virtual machine" : "");
}

static void check_kvm(struct checks *c, const struct tvmm_host *host, const struct tvmm_error *err, int ret)
{
	static const char *const backends[] = { "none", "Intel VMX", "AMD SVM", "software (page tables only)", "unknown" };
	struct row *row;
	char text[512];

	if (ret) {
		say_describe(err, text, sizeof(text));
		row = add(c, "/dev/kvm", FAIL, "%s", text);
		snprintf(row->fix, sizeof(row->fix), "%s", err->hint);
		add(c, "guests", SKIP, "needs /dev/kvm");
		return;
	}
	add(c, "/dev/kvm", PASS, "API version %d", host->kvm_api);
	add(c, "backend", host->backend == TVMM_BACKEND_VMX || host->backend == TVMM_BACKEND_SVM ? PASS : WARN, "%s%s%s",
	    backends[host->backend >= 0 && host->backend <= TVMM_BACKEND_UNKNOWN ? host->backend : TVMM_BACKEND_UNKNOWN],
	    *host->backend_name ? ", " : "", host->backend_name);
	if (host->runs_stock_kernel) {
		add(c, "guests", PASS, "stock Linux kernels can run%s%s", *host->evidence ? ": " : "", host->evidence);
		return;
	}
	row = add(c, "guests", WARN, "stock Linux kernels cannot run here%s%s", *host->evidence ? ": " : "", host->evidence);
	snprintf(row->fix, sizeof(row->fix),
		 "use a host whose CPU offers VMX or SVM (for a cloud machine: one with nested virtualization)");
}

static void check_memory(struct checks *c)
{
	char total[64], available[64], overcommit[16], thp[64];
	unsigned long long total_mib, available_mib;
	const char *mode;
	bool tight;
	struct row *row;

	read_field("/proc/meminfo", "MemTotal", total, sizeof(total));
	read_field("/proc/meminfo", "MemAvailable", available, sizeof(available));
	read_field("/proc/sys/vm/overcommit_memory", "", overcommit, sizeof(overcommit));
	read_field("/sys/kernel/mm/transparent_hugepage/enabled", "", thp, sizeof(thp));
	mode = strchr(thp, '[') ? strchr(thp, '[') + 1 : "absent]";
	total_mib = strtoull(total, NULL, 10) >> 10;
	available_mib = strtoull(available, NULL, 10) >> 10;
	tight = available_mib < 256;
	row = add(c, "memory", tight ? WARN : PASS, "%llu MiB, %llu available; overcommit %s; huge pages %.*s", total_mib,
		  available_mib, *overcommit ? overcommit : "unknown", (int)strcspn(mode, "]"), mode);
	if (tight)
		snprintf(row->fix, sizeof(row->fix), "stop something, or give guests less: --memory 128M");
	else if (!strncmp(mode, "never", 5)) {
		row->verdict = WARN;
		snprintf(row->fix, sizeof(row->fix),
			 "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled   (guests run faster)");
	}
}

static void check_limits(struct checks *c)
{
	struct rlimit files;
	bool low = !getrlimit(RLIMIT_NOFILE, &files) && files.rlim_cur < 256;
	struct row *row = add(c, "limits", low ? WARN : PASS, "%llu open files", (unsigned long long)files.rlim_cur);

	if (low)
		snprintf(row->fix, sizeof(row->fix), "ulimit -n 1024");
}

static unsigned count(const struct checks *c, enum verdict verdict)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->count; i++)
		n += c->rows[i].verdict == verdict;
	return n;
}

static void print_text(const struct checks *c, const struct tvmm_host *host)
{
	unsigned warnings = count(c, WARN);

	for (unsigned i = 0; i < c->count; i++) {
		const struct row *row = &c->rows[i];

		printf("%-10s %s  %s\n", row->name, verdict_names[row->verdict], row->text);
		if (*row->fix)
			printf("%-10s fix:  %s\n", "", row->fix);
	}
	if (!host->kvm_usable)
		printf("Result: virtual machines cannot run here yet; see above.\n");
	else if (!host->runs_stock_kernel)
		printf("Result: virtual machines can run, stock Linux kernels cannot.\n");
	else
		printf("Result: virtual machines can run%s.\n", warnings ? "; see the warnings above" : "");
}

static void print_json(const struct checks *c, const struct tvmm_host *host)
{
	static const char *const backends[] = { "none", "vmx", "svm", "software", "unknown" };

	printf("{\"usable\":%s,\"runs_stock_kernel\":%s,\"kvm_api\":%d,\"backend\":\"%s\",\"backend_name\":",
	       host->kvm_usable ? "true" : "false", host->runs_stock_kernel ? "true" : "false", host->kvm_api,
	       backends[host->backend >= 0 && host->backend <= TVMM_BACKEND_UNKNOWN ? host->backend : TVMM_BACKEND_UNKNOWN]);
	json_string(stdout, host->backend_name);
	printf(",\"evidence\":");
	json_string(stdout, host->evidence);
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
	struct tvmm_host host = { .size = sizeof(host) };
	struct tvmm_error err = { 0 };
	struct checks c = { .count = 0 };
	int ret = tvmm_check_host(&host, &err);

	check_cpu(&c);
	check_kvm(&c, &host, &err, ret);
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
