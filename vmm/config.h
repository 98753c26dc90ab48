/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * config.h - what a caller asked for: the value behind tinyvmm.h's opaque struct tvmm_config.
 *
 * Filled by tvmm_config_set() (config.c), one key at a time, each value checked as far as it can be alone and without
 * the host: no file is opened, no KVM limit is known here.  config_check() then looks at the keys together; the machine
 * calls it first and only reads the configuration after that.  A config belongs to one thread at a time.
 */
#ifndef TVMM_CONFIG_H
#define TVMM_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include "config_net.h"
#include "tinyvmm.h"

enum {
	CONFIG_DISKS_MAX = 16,
	CONFIG_INITRDS_MAX = 16,
	CONFIG_CPUS_MAX = 255,   /* an 8-bit APIC id, less the broadcast; KVM may allow fewer */
	CONFIG_SERIAL_MAX = 20,  /* virtio 1.2, 5.2.6: VIRTIO_BLK_T_GET_ID */
	CONFIG_PORTS_MAX = 7,    /* two queues each, and two for control, of the 16 that a device has */
	CONFIG_PORT_NAME_MAX = 63,
	CONFIG_SOCKET_PATH_MAX = 107,
	CONFIG_NAME_MAX = 63,    /* fits a thread name's prefix, a file name and a host name */
	CONFIG_ROOT_PART_MAX = 128,
};
#define CONFIG_MEMORY_MIN     (UINT64_C(64) << 20)
#define CONFIG_MEMORY_MAX     (UINT64_C(1) << 40)
#define CONFIG_MEMORY_STEP    (UINT64_C(2) << 20) /* whole huge pages */
#define CONFIG_WEIGHT_MAX     10000u
#define CONFIG_WEIGHT_DEFAULT 100u
#define CONFIG_DEBUG_EXIT_PORT 0xf4u /* as tests written for QEMU have it */
#define CONFIG_DEBUG_EXIT_MAX  0xfffcu /* it is the first of four ports */
#define CONFIG_MEMORY_DEFAULT (UINT64_C(1) << 30)

enum config_console_kind { CONFIG_CONSOLE_STDIO, CONFIG_CONSOLE_FILE, CONFIG_CONSOLE_FD, CONFIG_CONSOLE_NONE };
enum config_reboot { CONFIG_REBOOT_EXIT, CONFIG_REBOOT_RESTART };
enum config_reclaim { CONFIG_RECLAIM_OFF, CONFIG_RECLAIM_REPORT, CONFIG_RECLAIM_AUTO };
/* Settings that follow the host unless the user says otherwise (profile.h); in the order of config_profile_names. */
enum config_profile {
	CONFIG_PROFILE_HUGE_PAGES, CONFIG_PROFILE_PRE_FAULT, CONFIG_PROFILE_PLAIN_CPU, CONFIG_PROFILE_PLAIN_STRINGS,
	/* These together are "pv". */
	CONFIG_PROFILE_PV_EOI, CONFIG_PROFILE_PV_IPI, CONFIG_PROFILE_PV_TLB_FLUSH, CONFIG_PROFILE_PV_YIELD, CONFIG_PROFILE_PV_SPINLOCKS,
	CONFIG_PROFILE_ASYNC_PF, CONFIG_PROFILE_STEAL_TIME,
	CONFIG_PROFILE_IO_BATCH, CONFIG_PROFILE_IO_POLL /* us */, CONFIG_PROFILE_DISCARD_BATCH /* ranges */, CONFIG_PROFILE_SETTINGS
};
enum config_switch { CONFIG_SWITCH_AUTO, CONFIG_SWITCH_ON, CONFIG_SWITCH_OFF };
struct config_wish {
	enum config_switch sw;
	unsigned n; /* of a setting that is a number: 0, the usual one */
};
enum config_nested { CONFIG_NESTED_OFF, CONFIG_NESTED_AUTO, CONFIG_NESTED_REQUIRE };
enum config_panic { CONFIG_PANIC_DEFAULT, CONFIG_PANIC_EXIT, CONFIG_PANIC_STAY };

/* In the order of config_disk.c's words. */
enum config_disk_format { CONFIG_DISK_RAW, CONFIG_DISK_VHOST_USER };

struct config_disk {
	char *path;            /* VHOST_USER: of the server's socket */
	enum config_disk_format format;
	bool ro;
	bool root;             /* at most one disk is; the kernel is told root=/dev/vdX[N] */
	unsigned root_part;    /* 0: the whole disk */
	char serial[CONFIG_SERIAL_MAX + 1]; /* "" unless given */
	bool direct;
	bool ephemeral;
	char *ephemeral_dir;   /* NULL: what is written is kept in memory */
	uint64_t bw, iops;     /* a second; 0: no limit */
	uint64_t burst_ns;
};

/* In the order of config_port.c's words. */
enum config_port_kind { CONFIG_PORT_SOCKET, CONFIG_PORT_FILE, CONFIG_PORT_FD };

struct config_port {
	char name[CONFIG_PORT_NAME_MAX + 1];
	enum config_port_kind kind;
	char *path;        /* SOCKET: listened at; FILE: appended to */
	int in_fd, out_fd; /* FD: the caller's, never closed; -1 otherwise */
};

struct config_console {
	enum config_console_kind kind;
	char *path;  /* FILE: output only */
	int in_fd;   /* FD: the caller's, never closed; -1 otherwise */
	int out_fd;
};

struct tvmm_config {
	char *kernel; /* NULL until given; config_check() insists */
	char *initrds[CONFIG_INITRDS_MAX];
	unsigned initrd_count;
	char *append; /* NULL unless given; occurrences joined with one space */
	struct config_disk disks[CONFIG_DISKS_MAX];
	unsigned disk_count;
	struct config_net nets[CONFIG_NETS_MAX];
	unsigned net_count;
	uint64_t memory; /* bytes, a multiple of CONFIG_MEMORY_STEP */
	uint64_t memory_min; /* likewise, at most memory; 0 unless given */
	enum config_reclaim reclaim;
	unsigned weight;     /* 1..CONFIG_WEIGHT_MAX */
	unsigned cpus;
	struct config_console console;
	struct config_port ports[CONFIG_PORTS_MAX];
	unsigned port_count;
	char *console_log;                  /* NULL unless given */
	char *modules;                      /* where kernel modules are sought; NULL: the host's own */
	char *control;                      /* path of the control socket; NULL: none */
	char *vsock;                        /* path of the vsock's unix socket; NULL: no vsock */
	unsigned vsock_cid;
	char name[CONFIG_NAME_MAX + 1];     /* "" unless given */
	enum config_reboot on_reboot;
	enum config_panic on_panic;
	unsigned debug_exit;                /* the port; 0: none */
	bool no_defaults;
	enum config_nested nested;          /* is the guest to have VMX or SVM? */
	struct config_wish profile[CONFIG_PROFILE_SETTINGS];

	tvmm_log_fn *log_fn;
	void *log_arg;
	int log_level;
};

/* Of the settings of the profile; the highest number of those that are one, else 0. */
extern const char *const config_profile_names[CONFIG_PROFILE_SETTINGS + 1];
extern const unsigned config_profile_max[CONFIG_PROFILE_SETTINGS];

/* The setters of keys that have a file of their own; as tvmm_config_set() calls them. */
int config_set_vsock(struct tvmm_config *cfg, const char *value, struct tvmm_error *err);
int config_set_profile(struct tvmm_config *cfg, const char *value, struct tvmm_error *err);
int config_set_disk(struct tvmm_config *cfg, const char *value, struct tvmm_error *err);
void config_disk_free(struct config_disk *disk);

/* The keys taken together: is anything missing, does one contradict another?  0, or -EINVAL with *ERR filled. */
int config_check(const struct tvmm_config *cfg, struct tvmm_error *err);

#endif
