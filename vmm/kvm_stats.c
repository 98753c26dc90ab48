/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kvm_stats.c - reading KVM's binary statistics.  All that KVM says of its own layout is checked before it is used: the
 * next kernel may have another, and a wrong one must cost the figures, no more.
 */
#include "kvm_stats.h"

#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include "bits.h"

int kvm_stats_init(struct kvm_stats *s, const struct host *host, unsigned n, struct tvmm_error *err)
{
	*s = (struct kvm_stats){ .host = host, .fd = calloc(n, sizeof(*s->fd)) };
	return s->fd ? 0 : err_set(err, TVMM_E_MEMORY, ENOMEM, NULL, "out of memory");
}

void kvm_stats_fini(struct kvm_stats *s)
{
	kvm_stats_close(s);
	free(s->fd);
	s->fd = NULL;
}

void kvm_stats_add(struct kvm_stats *s, int vcpu_fd)
{
	s->fd[s->n_fds++] = s->host->ioctl(s->host, vcpu_fd, KVM_GET_STATS_FD, 0);
}

void kvm_stats_close(struct kvm_stats *s)
{
	for (unsigned i = 0; i < s->n_fds; i++)
		if (s->fd[i] >= 0)
			s->host->close(s->host, s->fd[i]);
	s->n_fds = 0;
}

/* A counter that only grows, of events: not a state, not a histogram, not a time. */
static bool is_counter(const struct kvm_stats_desc *d)
{
	return (d->flags & KVM_STATS_TYPE_MASK) == KVM_STATS_TYPE_CUMULATIVE &&
	       (d->flags & KVM_STATS_UNIT_MASK) == KVM_STATS_UNIT_NONE && d->size == 1 && d->exponent == 0;
}

static void take(struct kvm_stats *s, const struct kvm_stats_desc *d, const char *name, size_t name_size)
{
	size_t len = strnlen(name, name_size);

	if (!is_counter(d) || s->n == TVMM_COUNTERS_MAX || !len || len >= sizeof(s->counter[0].name) ||
	    d->offset > KVM_STATS_BYTES_MAX - sizeof(uint64_t) || d->offset % sizeof(uint64_t))
		return;
	/* They become names of metrics, and KVM's are of this kind. */
	if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != len)
		return;
	memcpy(s->counter[s->n].name, name, len + 1);
	s->counter[s->n++].at = d->offset;
	s->bytes = MAX(s->bytes, d->offset + (uint32_t)sizeof(uint64_t));
}

/* The layout, which all vCPUs of one kernel share. */
static int learn(struct kvm_stats *s)
{
	const struct host *h = s->host;
	struct kvm_stats_header hdr;
	union {
		struct kvm_stats_desc d;
		char bytes[sizeof(struct kvm_stats_desc) + KVM_STATS_NAME_MAX];
	} one;
	int ret = host_pread_all(h, s->fd[0], &hdr, sizeof(hdr), 0);

	s->n = 0;
	s->bytes = 0;
	if (ret)
		return ret;
	if (!hdr.name_size || hdr.name_size > KVM_STATS_NAME_MAX || hdr.num_desc > KVM_STATS_DESCRIPTORS)
		return -EPROTO;
	for (uint32_t i = 0; i < hdr.num_desc; i++) {
		size_t size = sizeof(one.d) + hdr.name_size;

		ret = host_pread_all(h, s->fd[0], &one, size, (off_t)hdr.desc_offset + (off_t)(i * size));
		if (ret)
			return ret;
		take(s, &one.d, one.bytes + sizeof(one.d), hdr.name_size);
	}
	s->data = hdr.data_offset;
	s->known = true;
	return s->n ? 0 : -ENOENT;
}

static int add_vcpu(struct kvm_stats *s, int fd, struct tvmm_counters *out)
{
	uint64_t figures[KVM_STATS_BYTES_MAX / sizeof(uint64_t)];
	int ret = host_pread_all(s->host, fd, figures, s->bytes, (off_t)s->data);

	for (unsigned i = 0; !ret && i < s->n; i++)
		out->counter[i].total += figures[s->counter[i].at / sizeof(uint64_t)];
	return ret;
}

int kvm_stats_read(struct kvm_stats *s, struct tvmm_counters *out, struct tvmm_error *err)
{
	int ret = s->n_fds ? 0 : -EBADF;

	*out = (struct tvmm_counters){ .size = out->size };
	for (unsigned i = 0; !ret && i < s->n_fds; i++)
		ret = s->fd[i] < 0 ? s->fd[i] : 0;
	if (!ret && !s->known)
		ret = learn(s);
	for (unsigned i = 0; !ret && i < s->n; i++)
		memcpy(out->counter[i].name, s->counter[i].name, sizeof(out->counter[i].name));
	for (unsigned i = 0; !ret && i < s->n_fds; i++)
		ret = add_vcpu(s, s->fd[i], out);
	if (!ret) {
		out->count = s->n;
		return 0;
	}
	*out = (struct tvmm_counters){ .size = out->size };
	err_set(err, TVMM_E_UNSUPPORTED, EOPNOTSUPP, "KVM_GET_STATS_FD", "this host's KVM gives no counters");
	err_hint(err, "Linux has them since 5.14");
	return -EOPNOTSUPP;
}
