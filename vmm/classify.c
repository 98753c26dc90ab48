/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * classify.c - the verdict, and its findings one by one.
 */
#include "classify.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "bits.h"
#include "classify_platform.h"

/* Nanoseconds: what an exit costs on hardware, on a hypervisor that itself has one below, and more is emulation. */
#define EXIT_NATIVE  1500u
#define EXIT_NESTED  50000u
#define FAULT_NATIVE 10000u

static struct tvmm_finding *find(struct tvmm_probe *p, enum tvmm_verdict verdict, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static struct tvmm_finding *find(struct tvmm_probe *p, enum tvmm_verdict verdict, const char *name, const char *fmt, ...)
{
	struct tvmm_finding *f = &p->finding[p->n_findings];
	va_list ap;

	if (p->n_findings + 1 < ARRAY_SIZE(p->finding))
		p->n_findings++;
	*f = (struct tvmm_finding){ .verdict = verdict };
	snprintf(f->name, sizeof(f->name), "%s", name);
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	return f;
}

/* A library error as a finding: the same words in both places. */
static void find_error(struct tvmm_probe *p, enum tvmm_verdict verdict, const char *name, const struct tvmm_error *err)
{
	struct tvmm_finding *f = find(p, verdict, name, "%s%s%s%s%s", err->message, *err->object ? ": " : "", err->object,
				      err->sys_errno ? ": " : "",
				      err->sys_errno ? strerror(err->sys_errno) : "");

	snprintf(f->fix, sizeof(f->fix), "%s", err->hint);
}

/* A module whose CPU flag is missing does not serve /dev/kvm, so the flag decides between what is loaded. */
enum tvmm_backend classify_backend(const struct snapshot *s, const char **module)
{
	*module = "kvm_intel";
	if (s->vmx && s->module[SNAPSHOT_KVM_INTEL])
		return TVMM_BACKEND_VMX;
	*module = "kvm_amd";
	if (s->svm && s->module[SNAPSHOT_KVM_AMD])
		return TVMM_BACKEND_SVM;
	*module = "kvm_pvm";
	if (s->module[SNAPSHOT_KVM_PVM])
		return TVMM_BACKEND_SOFTWARE;
	*module = "kvm";
	if (!s->exists)
		return TVMM_BACKEND_NONE;
	return s->vmx || s->svm ? TVMM_BACKEND_UNKNOWN : TVMM_BACKEND_SOFTWARE;
}

enum tvmm_cost classify_cost(const struct measurement *m)
{
	if (!m->exit_ns || !m->exit_user_ns)
		return TVMM_COST_UNKNOWN;
	if (m->exit_ns >= EXIT_NESTED)
		return TVMM_COST_EMULATED;
	return m->exit_ns >= EXIT_NATIVE || m->fault_ns >= FAULT_NATIVE ? TVMM_COST_NESTED : TVMM_COST_NATIVE;
}

static bool is_on(const char *param)
{
	return *param == 'Y' || (*param >= '1' && *param <= '9');
}

static bool is_off(const char *param)
{
	return *param == 'N' || *param == '0';
}

static void list_features(struct tvmm_probe *p, const struct snapshot *s)
{
	bool vmx = p->backend == TVMM_BACKEND_VMX, svm = p->backend == TVMM_BACKEND_SVM;
	const struct {
		bool there;
		const char *word;
	} all[] = {
		{ vmx && is_on(s->param[SNAPSHOT_P_EPT]), "ept" },
		{ vmx && is_on(s->param[SNAPSHOT_P_VPID]), "vpid" },
		{ vmx && is_on(s->param[SNAPSHOT_P_APICV]), "apicv" },
		{ vmx && is_on(s->param[SNAPSHOT_P_UNRESTRICTED]), "unrestricted-guest" },
		{ svm && is_on(s->param[SNAPSHOT_P_NPT]), "npt" },
		{ svm && is_on(s->param[SNAPSHOT_P_AVIC]), "avic" },
		{ !is_on(s->param[SNAPSHOT_P_NX_HUGE_PAGES]) && p->kvm_usable, "huge-pages" },
		{ s->cap[SNAPSHOT_TSC_CONTROL] > 0, "tsc-scaling" },
		{ s->cap[SNAPSHOT_DIRTY_RING] > 0, "dirty-ring" },
		{ s->cap[SNAPSHOT_PRE_FAULT] > 0, "pre-fault" },
		{ s->cap[SNAPSHOT_MEMORY_FAULT] > 0, "memory-fault-exits" },
	};
	size_t n = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i].there)
			n += (size_t)snprintf(p->features + n, sizeof(p->features) - n, "%s%s", n ? " " : "", all[i].word);
}

static void find_host(struct tvmm_probe *p, const struct snapshot *s)
{
	char evidence[160] = "";

	p->platform = classify_platform(s, p->platform_name, sizeof(p->platform_name), evidence, sizeof(evidence));
	p->depth = classify_depth(s);
	if (p->platform == TVMM_ON_METAL && (p->cost == TVMM_COST_NESTED || p->cost == TVMM_COST_EMULATED) &&
	    p->backend != TVMM_BACKEND_SOFTWARE) {
		/* Flags lie, measurements do not. */
		p->platform = TVMM_ON_UNKNOWN;
		p->depth = 1;
		snprintf(p->platform_name, sizeof(p->platform_name), "a hypervisor that hides");
		find(p, TVMM_WARN, "host", "a guest, it seems, of %s: %s, but exits cost as much as in a guest (%u ns)", p->platform_name,
		     evidence, p->exit_ns);
		return;
	}
	if (!p->depth)
		find(p, TVMM_PASS, "host", "bare metal: %s", evidence);
	else
		find(p, TVMM_PASS, "host", "a guest of %s, %d hypervisor%s below at least: %s", p->platform_name, p->depth,
		     p->depth > 1 ? "s" : "", evidence);
}

static void find_backend(struct tvmm_probe *p, const struct snapshot *s)
{
	static const char *const names[] = { "none", "Intel VMX", "AMD SVM", "software, without VMX and SVM", "unknown" };
	bool vmx = p->backend == TVMM_BACKEND_VMX, svm = p->backend == TVMM_BACKEND_SVM;
	bool shadow = (vmx && is_off(s->param[SNAPSHOT_P_EPT])) || (svm && is_off(s->param[SNAPSHOT_P_NPT]));
	struct tvmm_finding *f = find(p, (vmx || svm) && !shadow ? TVMM_PASS : TVMM_WARN, "backend", "%s, by %s%s%s%s",
				      names[p->backend], p->backend_name, *p->features ? " (" : "", p->features,
				      *p->features ? ")" : "");

	if (shadow) {
		size_t n = strlen(f->text);

		snprintf(f->text + n, sizeof(f->text) - n, "; nested paging is off, and memory slow");
		snprintf(f->fix, sizeof(f->fix), "load %s with %s=1", p->backend_name, vmx ? "ept" : "npt");
	}
}

static void find_guests(struct tvmm_probe *p, const struct snapshot *s, const struct measurement *m)
{
	struct tvmm_finding *f;

	if (p->runs_stock_kernel && m->late) {
		find(p, TVMM_PASS, "guests", "stock Linux kernels can run, by the CPU's %s: the probe guest was too slow to try all of it",
		     p->backend == TVMM_BACKEND_VMX ? "VMX" : "SVM");
		return;
	}
	if (m->late) {
		find(p, TVMM_WARN, "guests", "it is not known whether stock Linux kernels can run: the probe guest was lost (%s)", m->why);
		return;
	}
	if (m->stock) {
		find(p, TVMM_PASS, "guests", "stock Linux kernels can run: a probe guest ran FXSAVE64 and CMPXCHG16B in ring 0");
		return;
	}
	f = find(p, TVMM_WARN, "guests", "stock Linux kernels cannot run here: a probe guest could not run FXSAVE64 and CMPXCHG16B in "
		 "ring 0 (%s)", m->why);
	snprintf(f->fix, sizeof(f->fix), "use a host whose CPU offers VMX or SVM: %s", classify_l0_fix(s));
}

static void find_cost(struct tvmm_probe *p)
{
	static const char *const as[] = { "", "as on bare metal", "as with a hypervisor below: exits and page faults are dear",
					  "as on an emulated CPU: everything is slow" };

	if (p->cost == TVMM_COST_UNKNOWN)
		find(p, TVMM_WARN, "cost", "not measured");
	else
		find(p, p->cost == TVMM_COST_NATIVE ? TVMM_PASS : TVMM_WARN, "cost",
		     "exit to KVM %.1f us, to this process %.1f us, first touch of a page %.1f us: %s", p->exit_ns / 1e3,
		     p->exit_user_ns / 1e3, p->fault_ns / 1e3, as[p->cost]);
}

static void find_nested(struct tvmm_probe *p, const struct snapshot *s)
{
	struct tvmm_finding *f;
	struct tvmm_error err;
	char version[64];
	int fix;

	if (classify_nested(s, &err)) {
		find_error(p, TVMM_WARN, "nested", &err);
		return;
	}
	p->nested = true;
	fix = classify_nested_fix(s, version, sizeof(version));
	if (fix == 1) {
		find(p, TVMM_PASS, "nested", "guests can have %s, with --nested auto or require%s", s->guest_vmx ? "VMX" : "SVM",
		     s->cap[SNAPSHOT_NESTED_STATE] > 0 ? "" : " (but such a machine's state cannot be saved)");
		return;
	}
	f = find(p, TVMM_WARN, "nested", "guests can have %s, but this host's kernel (%s) %s, by which such a guest escapes",
		 s->guest_vmx ? "VMX" : "SVM", version, fix ? "may lack the fix of CVE-2026-53359" : "is older than the fix of CVE-2026-53359");
	snprintf(f->fix, sizeof(f->fix), "update the host's kernel (fixed in 6.1.177, 6.6.144, 6.12.95, 6.18.38, 7.1.3), or leave --nested off");
}

void classify(struct tvmm_probe *p, const struct snapshot *s, const struct measurement *m, const struct tvmm_error *kvm_err)
{
	const char *module, *flag = s->vmx ? "vmx" : s->svm ? "svm" : NULL;
	bool hardware;

	p->backend = classify_backend(s, &module);
	snprintf(p->backend_name, sizeof(p->backend_name), "%s", module);
	p->kvm_api = s->api;
	p->kvm_usable = m->ran;
	/* Hardware runs what kernels run; a probe that got somewhere on it, and no further in its time, was only slow. */
	hardware = p->backend == TVMM_BACKEND_VMX || p->backend == TVMM_BACKEND_SVM;
	p->runs_stock_kernel = m->stock || (m->late && m->exit_user_ns && hardware);
	p->exit_ns = m->exit_ns;
	p->exit_user_ns = m->exit_user_ns;
	p->fault_ns = m->fault_ns;
	p->cost = classify_cost(m);
	list_features(p, s);

	find(p, flag ? TVMM_PASS : TVMM_WARN, "CPU", "%s (%s)", *s->cpu_model ? s->cpu_model : s->cpu_vendor,
	     flag ? flag : "neither vmx nor svm is visible");
	find_host(p, s);
	if (kvm_err->code != TVMM_E_NONE) {
		find_error(p, TVMM_FAIL, "/dev/kvm", kvm_err);
		find(p, TVMM_SKIP, "guests", "needs /dev/kvm");
		find(p, TVMM_SKIP, "nested", "needs /dev/kvm");
		return;
	}
	find(p, TVMM_PASS, "/dev/kvm", "API version %d", s->api);
	find_backend(p, s);
	find_guests(p, s, m);
	find_cost(p);
	find_nested(p, s);
}
