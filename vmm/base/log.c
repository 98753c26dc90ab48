/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * log.c - lines for the operator, and the token bucket that keeps a guest from flooding them.  Any thread, lock-free.
 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>

#define BURST     10
#define REFILL_NS 1000000000ull

void log_init(struct log *log, const struct host *host, tvmm_log_fn *fn, void *arg, int level)
{
	*log = (struct log){ .fn = fn, .arg = arg, .level = level, .host = host };
}

static void log_v(struct log *log, int level, const char *prefix, const char *fmt, va_list ap)
{
	char line[512];
	int n = snprintf(line, sizeof(line), "%s", prefix);

	vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
	log->fn(log->arg, level, line);
}

void log_line(struct log *log, int level, const char *fmt, ...)
{
	va_list ap;

	if (!log || !log->fn || level > log->level)
		return;
	va_start(ap, fmt);
	log_v(log, level, "", fmt, ap);
	va_end(ap);
}

/*
 * The bucket is one number: the time up to which its tokens are spent.  It is never more than BURST refills behind now;
 * taking a token moves it one refill ahead, and a token is there while that is not past now.
 */
static bool take_token(struct log *log)
{
	uint64_t now = log->host->now_ns(log->host), spent = atomic_load(&log->bucket_ns), from;

	do {
		uint64_t floor = now > BURST * REFILL_NS ? now - BURST * REFILL_NS : 0;

		from = spent < floor ? floor : spent;
		if (from + REFILL_NS > now)
			return false;
	} while (!atomic_compare_exchange_weak(&log->bucket_ns, &spent, from + REFILL_NS));
	return true;
}

static void limited(struct log *log, const char *who, const char *fmt, va_list ap)
{
	char prefix[96];
	uint64_t swallowed;

	if (!log->fn || log->level < TVMM_LOG_WARN)
		return;
	if (!take_token(log)) {
		atomic_fetch_add(&log->swallowed, 1);
		return;
	}
	swallowed = atomic_exchange(&log->swallowed, 0);
	if (swallowed)
		snprintf(prefix, sizeof(prefix), "(%lu like it not shown) %s: ", swallowed, who);
	else
		snprintf(prefix, sizeof(prefix), "%s: ", who);
	log_v(log, TVMM_LOG_WARN, prefix, fmt, ap);
}

void log_event(struct log *log, const char *who, const char *fmt, ...)
{
	va_list ap;

	if (!log)
		return;
	va_start(ap, fmt);
	limited(log, who, fmt, ap);
	va_end(ap);
}

void log_guest(struct log *log, const char *who, const char *fmt, ...)
{
	va_list ap;

	if (!log)
		return;
	atomic_fetch_add(&log->guest_faults, 1);
	va_start(ap, fmt);
	limited(log, who, fmt, ap);
	va_end(ap);
}
