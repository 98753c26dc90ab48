/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * backend.c - finds the KVM backend.  A loaded vendor module whose CPU flag is missing does not serve /dev/kvm, so the
 * flag decides between what is loaded.
 */
#include "backend.h"

#include <cpuid.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "bits.h"

static bool exists(const struct host *host, const char *path)
{
	int fd = host->open(host, path, O_PATH, 0);

	if (fd >= 0)
		host->close(host, fd);
	return fd >= 0;
}

enum tvmm_backend backend_find(const struct host *host, char *module, size_t len)
{
	static const char *const software[] = { "kvm_pvm" };
	unsigned a, b, c = 0, d;
	bool vmx = __get_cpuid(1, &a, &b, &c, &d) && c & BIT(5);
	bool svm = __get_cpuid(0x80000001, &a, &b, &c, &d) && c & BIT(2);

	if (vmx && exists(host, "/sys/module/kvm_intel")) {
		snprintf(module, len, "kvm_intel");
		return TVMM_BACKEND_VMX;
	}
	if (svm && exists(host, "/sys/module/kvm_amd")) {
		snprintf(module, len, "kvm_amd");
		return TVMM_BACKEND_SVM;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(software); i++) {
		char path[64];

		snprintf(path, sizeof(path), "/sys/module/%s", software[i]);
		if (exists(host, path)) {
			snprintf(module, len, "%s", software[i]);
			return TVMM_BACKEND_SOFTWARE;
		}
	}
	snprintf(module, len, "kvm");
	if (!exists(host, "/dev/kvm"))
		return TVMM_BACKEND_NONE;
	return vmx || svm ? TVMM_BACKEND_UNKNOWN : TVMM_BACKEND_SOFTWARE;
}
