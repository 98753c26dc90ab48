/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe.c - tvmm_probe(): read, measure, judge, remember.
 */
#include "probe.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "bits.h"
#include "classify.h"
#include "probe_cache.h"
#include "probe_guest.h"
#include "probe_snapshot.h"

/* The one thing that may have changed since: may we still open it? */
static bool opens(const struct host *host)
{
	int fd = host->open(host, "/dev/kvm", O_RDWR, 0);

	if (fd >= 0)
		host->close(host, fd);
	return fd >= 0;
}

int probe_host(struct tvmm_probe *out, const struct host *host, const char *cache, bool fresh, struct tvmm_error *err)
{
	uint64_t begin = host->now_ns(host);
	struct tvmm_error why = { .code = TVMM_E_NONE };
	struct measurement m = { .ran = false };
	struct snapshot s;
	int fd, ret;

	if (!fresh && opens(host) && probe_cache_load(host, cache, out)) {
		out->cached = true;
		out->took_us = (uint32_t)((host->now_ns(host) - begin) / 1000);
		return 0;
	}
	memset(out, 0, sizeof(*out));
	out->size = sizeof(*out);
	fd = host->open(host, "/dev/kvm", O_RDWR, 0);
	snapshot_take(&s, host, fd);
	if (fd >= 0)
		host->close(host, fd);
	ret = fd < 0 ? classify_no_kvm(&s, &why) : probe_guest_run(&m, host, &why);
	if (!ret)
		why.code = TVMM_E_NONE;
	classify(out, &s, &m, &why);
	out->took_us = (uint32_t)((host->now_ns(host) - begin) / 1000);
	if (!ret && (!m.late || out->runs_stock_kernel)) /* what was not found out this time may be the next */
		probe_cache_save(host, cache, out);
	if (ret && err)
		*err = why;
	return ret;
}

int tvmm_probe(struct tvmm_probe *out, unsigned flags, struct tvmm_error *err)
{
	struct tvmm_probe found;
	char cache[512];
	int ret;

	if (out->size <= sizeof(size_t))
		return err_set(err, TVMM_E_CONFIG, 0, "tvmm_probe", "size is not set");
	if (flags & ~TVMM_PROBE_FRESH)
		return err_set(err, TVMM_E_CONFIG, 0, "tvmm_probe", "flags %#x are not known", flags);
	probe_cache_path(cache, sizeof(cache));
	ret = probe_host(&found, host_linux(), cache, flags & TVMM_PROBE_FRESH, err);
	memset((char *)out + sizeof(size_t), 0, out->size - sizeof(size_t));
	memcpy((char *)out + sizeof(size_t), (char *)&found + sizeof(size_t), MIN(out->size, sizeof(found)) - sizeof(size_t));
	return ret;
}

enum tvmm_backend probe_backend(const struct host *host, char *module, size_t len)
{
	enum tvmm_backend backend;
	struct snapshot s;
	const char *name;

	snapshot_take(&s, host, -ENOENT);
	backend = classify_backend(&s, &name);
	snprintf(module, len, "%s", name);
	return backend;
}

int probe_explain_open(const struct host *host, int ret, struct tvmm_error *err)
{
	struct snapshot s;

	snapshot_take(&s, host, ret);
	classify_no_kvm(&s, err);
	return ret;
}

int probe_nested(const struct host *host, int kvm_fd, char *warning, size_t len, struct tvmm_error *err)
{
	char version[64];
	struct snapshot s;
	int ret, fix;

	snapshot_take(&s, host, kvm_fd);
	ret = classify_nested(&s, err);
	fix = classify_nested_fix(&s, version, sizeof(version));
	*warning = '\0';
	if (!ret && fix != 1)
		snprintf(warning, len, "the guest has %s, and this host's kernel (%s) %s CVE-2026-53359, by which it can escape",
			 s.guest_vmx ? "VMX" : "SVM", version, fix ? "may lack the fix of" : "is older than the fix of");
	return ret;
}
