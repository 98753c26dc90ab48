/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * metrics.c - the text, family by family.  A machine's name and KVM's counters are of letters that need no quoting
 * (config.c, kvm_stats.c).
 */
#include "metrics.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "bits.h"

struct text {
	char *buf;
	size_t size, len;
	const char *name; /* of the machine */
	bool full;
};

static void put(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (t->full)
		return;
	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, t->size - t->len, fmt, ap);
	va_end(ap);
	t->full = n < 0 || (size_t)n >= t->size - t->len;
	t->len += t->full ? 0 : (size_t)n;
}

static void family(struct text *t, const char *what, const char *type, const char *unit, const char *help)
{
	put(t, "# TYPE tinyvmm_%s %s\n", what, type);
	if (unit)
		put(t, "# UNIT tinyvmm_%s %s\n", what, unit);
	put(t, "# HELP tinyvmm_%s %s\n", what, help);
}

/* LABEL NULL: none but the machine's name. */
static void sample(struct text *t, const char *what, const char *label, const char *value, uint64_t v)
{
	if (label)
		put(t, "tinyvmm_%s{name=\"%s\",%s=\"%s\"} %lu\n", what, t->name, label, value, v);
	else
		put(t, "tinyvmm_%s{name=\"%s\"} %lu\n", what, t->name, v);
}

static void put_memory(struct text *t, const struct tvmm_memory *m)
{
	static const struct {
		const char *name, *help;
		size_t at;
	} gauges[] = {
		{ "configured", "Memory that the guest was given.", offsetof(struct tvmm_memory, configured) },
		{ "min", "What the guest is left with at least.", offsetof(struct tvmm_memory, min) },
		{ "target", "What the guest is asked to keep within.", offsetof(struct tvmm_memory, target) },
		{ "actual", "What the guest has.", offsetof(struct tvmm_memory, actual) },
		{ "resident", "Guest memory in the host's memory.", offsetof(struct tvmm_memory, resident) },
		{ "swapped", "Guest memory in the host's swap.", offsetof(struct tvmm_memory, swapped) },
		{ "huge", "Resident guest memory in huge pages.", offsetof(struct tvmm_memory, huge) },
		{ "guest_free", "By the guest's own word: memory in no use.", offsetof(struct tvmm_memory, guest_free) },
		{ "guest_available", "By the guest's own word: memory to be had without swapping.",
		  offsetof(struct tvmm_memory, guest_available) },
	}, totals[] = {
		{ "reported", "Memory that the guest reported free.", offsetof(struct tvmm_memory, reported) },
		{ "trimmed", "Memory that trims gave.", offsetof(struct tvmm_memory, trimmed) },
		{ "discarded", "Memory given back to the host in any way.", offsetof(struct tvmm_memory, discarded) },
		{ "paged_out", "Memory that the host was asked to swap out.", offsetof(struct tvmm_memory, paged_out) },
	};
	char what[64];
	uint64_t v;

	for (unsigned i = 0; i < ARRAY_SIZE(gauges) + ARRAY_SIZE(totals); i++) {
		bool total = i >= ARRAY_SIZE(gauges);
		unsigned k = total ? i - (unsigned)ARRAY_SIZE(gauges) : i;

		memcpy(&v, (const char *)m + (total ? totals[k].at : gauges[k].at), sizeof(v));
		snprintf(what, sizeof(what), "memory_%s_bytes", total ? totals[k].name : gauges[k].name);
		family(t, what, total ? "counter" : "gauge", "bytes", total ? totals[k].help : gauges[k].help);
		if (total)
			snprintf(what, sizeof(what), "memory_%s_bytes_total", totals[k].name);
		sample(t, what, NULL, NULL, v);
	}
	family(t, "memory_driver", "gauge", NULL, "Whether the guest runs a balloon driver.");
	sample(t, "memory_driver", NULL, NULL, m->driver);
}

static void put_stats(struct text *t, const struct tvmm_stats *s)
{
	family(t, "user_exits", "counter", NULL, "Returns of KVM_RUN to user space.");
	sample(t, "user_exits_total", "reason", "port", s->exits_pio);
	sample(t, "user_exits_total", "reason", "memory", s->exits_mmio);
	sample(t, "user_exits_total", "reason", "other", s->exits_user - MIN(s->exits_user, s->exits_pio + s->exits_mmio));
	family(t, "io_wakeups", "counter", NULL, "Times the I/O thread came out of its wait.");
	sample(t, "io_wakeups_total", NULL, NULL, s->io_wakeups);
	family(t, "guest_faults", "counter", NULL, "Times the guest broke a device's rules.");
	sample(t, "guest_faults_total", NULL, NULL, s->guest_faults);
	family(t, "disk_errors", "counter", NULL, "Requests of the guest's that the host's storage failed.");
	sample(t, "disk_errors_total", NULL, NULL, s->disk_errors);
	family(t, "net_dropped_packets", "counter", NULL, "Packets that were lost on this side of the network's interfaces.");
	sample(t, "net_dropped_packets_total", NULL, NULL, s->net_dropped);
	family(t, "net_links_down", "gauge", NULL, "Network interfaces that are gone.");
	sample(t, "net_links_down", NULL, NULL, s->links_down);
}

/* The stem of "io_exits", or NULL for what is no kind of exit. */
static bool exit_reason(const char *counter, char reason[32])
{
	size_t len = strlen(counter);

	if (len <= strlen("_exits") || strcmp(counter + len - strlen("_exits"), "_exits"))
		return false;
	snprintf(reason, 32, "%.*s", (int)(len - strlen("_exits")), counter);
	return true;
}

static void put_counters(struct text *t, const struct tvmm_counters *k)
{
	char reason[32];

	family(t, "vcpu_exits", "counter", NULL, "Exits of the guest to KVM by their reason, as far as KVM counts them apart.");
	for (unsigned i = 0; i < k->count; i++)
		if (exit_reason(k->counter[i].name, reason))
			sample(t, "vcpu_exits_total", "reason", reason, k->counter[i].total);
	family(t, "vcpu_events", "counter", NULL, "What else KVM counts of the vCPUs; exits are all of them.");
	for (unsigned i = 0; i < k->count; i++)
		if (!exit_reason(k->counter[i].name, reason))
			sample(t, "vcpu_events_total", "event", k->counter[i].name, k->counter[i].total);
}

int metrics_text(struct tvmm_vm *vm, const char *name, char *buf, size_t len)
{
	struct tvmm_memory m = { .size = sizeof(m) };
	struct tvmm_stats s = { .size = sizeof(s) };
	struct tvmm_counters k = { .size = sizeof(k) };
	struct text t = { .buf = buf, .size = len, .name = name };

	if (!len)
		return -ENOBUFS;
	buf[0] = '\0';
	tvmm_vm_memory(vm, &m);
	put_memory(&t, &m);
	tvmm_vm_stats(vm, &s);
	put_stats(&t, &s);
	if (!tvmm_vm_kvm_counters(vm, &k, NULL))
		put_counters(&t, &k);
	put(&t, "# EOF\n");
	return t.full ? -ENOBUFS : 0;
}
