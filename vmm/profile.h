/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * profile.h - what a machine does differently on different hosts, and why.
 *
 * Pure: facts and wishes in, settings with their reasons out.  Only what was measured to help is here; what was tried and
 * did not is told in profile.c.  tools/bench/profile measures.
 */
#ifndef TVMM_PROFILE_H
#define TVMM_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "config.h"

struct profile_setting {
	bool on;
	unsigned n; /* of a setting that is a number; 0 where it is off */
	const char *why;
};

struct profile {
	struct profile_setting set[CONFIG_PROFILE_SETTINGS];
};

/* What it depends on. */
struct profile_facts {
	bool huge_pages; /* the host gives them: transparent_hugepage/enabled is not "never" */
	bool dear;       /* exits are: there is a hypervisor below this host */
	bool interpreted; /* the guest's ring 0 is: this KVM works without VMX and SVM */
	bool emulated; /* this host's CPU is: one instruction is no faster than what it does */
	unsigned cpus, host_cpus; /* the machine's, and those of the host that it may use */
};

/* What is best, but for what WISH says. */
void profile_choose(struct profile *p, const struct profile_facts *f, const struct config_wish wish[CONFIG_PROFILE_SETTINGS]);

/* Of what KVM could offer the guest (CPUID 0x40000001, EAX), what the profile hides. */
uint32_t profile_hides(const struct profile *p);

/* A line for each setting, into BUF, cut off at its end. */
void profile_describe(const struct profile *p, char *buf, size_t len);

#endif
