/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tinyvmm.h - the public interface of libtinyvmm, and the only header that is installed.
 *
 * A program describes a virtual machine with a tvmm_config, makes one from it, starts it, and waits for its end:
 *
 *	config_new -> config_set... -> vm_create -> vm_start -> vm_wait -> vm_free
 *
 * Several machines can live in one process.  The library has no process-wide state: it installs no signal handler,
 * never exits, never prints, never touches a terminal, and owns no memory that a caller must free but the two handles.
 *
 * Errors: a function that can fail returns 0 or a negative errno and fills the caller's struct tvmm_error (NULL is
 * allowed).  Threads: every function may be called from any thread, except that a handle must not be in use elsewhere
 * while it is freed, and a config belongs to one thread at a time.
 */
#ifndef TINYVMM_H
#define TINYVMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TVMM_API __attribute__((visibility("default")))

/* What went wrong, coarsely: the value of tvmm_error.code.  Numbers are never reused. */
enum tvmm_code {
	TVMM_E_NONE = 0,
	TVMM_E_CONFIG = 1,      /* an option, key or value is wrong, missing or contradicts another */
	TVMM_E_NO_KVM = 2,      /* /dev/kvm is missing or cannot be used on this host */
	TVMM_E_PERM_KVM = 3,    /* /dev/kvm exists, this user may not open it */
	TVMM_E_CAPABILITY = 4,  /* KVM lacks something that is needed; the object names it */
	TVMM_E_KERNEL = 5,      /* the kernel or initrd image cannot be booted */
	TVMM_E_IO = 6,          /* a host file or descriptor failed */
	TVMM_E_MEMORY = 7,      /* host memory could not be had */
	TVMM_E_BUSY = 8,        /* the object is in use, or the call came in the wrong state */
	TVMM_E_HOST = 9,        /* any other failure of the host */
	TVMM_E_UNSUPPORTED = 10 /* this build or this host cannot do that */
};

/*
 * One error.  The caller owns the storage; nothing in it needs to be freed.  Shown to a person it reads
 * "MESSAGE: OBJECT: strerror(SYS_ERRNO)", and the hint, if any, on a line of its own.
 */
struct tvmm_error {
	int32_t code;      /* enum tvmm_code */
	int32_t sys_errno; /* positive errno, or 0 where no system call failed */
	char object[160];  /* what it happened to: a path, "disk 1", "KVM_CAP_IRQCHIP"; may be empty */
	char message[256]; /* what happened, one sentence, no newline */
	char hint[384];    /* what to do about it; may be empty */
};

/* The library's version, as "0.1.0".  The string is constant. */
TVMM_API const char *tvmm_version(void);

/*
 * TEXT as a JSON string, quotes included: what the library gives out as text, for who writes JSON.  A byte that is not
 * UTF-8 becomes U+FFFD.  0, or -ENOSPC where it does not fit in SIZE bytes with its NUL; 6 * strlen(TEXT) + 3 always do.
 */
TVMM_API int tvmm_json_quote(char *buf, size_t size, const char *text);

/* ---- configuration ---------------------------------------------------------------------------------------------- */

struct tvmm_config;

/* A new configuration with every key at its default.  NULL only when out of memory.  Free with tvmm_config_free(). */
TVMM_API struct tvmm_config *tvmm_config_new(void);
TVMM_API void tvmm_config_free(struct tvmm_config *cfg); /* NULL is fine */

/*
 * Sets KEY to VALUE; keys and values are those of the command line's long options (tinyvmm(1)), without the dashes:
 *
 *	kernel PATH             bzImage or ELF vmlinux
 *	initrd PATH             repeatable; the files are handed over concatenated
 *	append TEXT             repeatable; joined with spaces, after the defaults
 *	disk PATH[,ro][,root[=N]][,serial=S][,direct][,ephemeral[=DIR]][,bw=SIZE/s][,iops=N][,burst=TIME]
 *	                        repeatable; a raw image or a block device
 *	disk PATH,format=vhost-user[,root[=N]]
 *	                        likewise; PATH is the socket of a vhost-user-blk server, with which RAM is shared
 *	net user[,fwd=tcp|udp:HOST:GUEST]|tap=NAME[,queues=N]|fd=N|none[,mac=MAC][,mtu=N][,vhost=auto|on|off][,bw=SIZE/s][,pps=N][,burst=TIME]
 *	                        repeatable; user starts passt, tap is an existing interface, fd that of a tap or of a stream
 *	                        socket (which is made non-blocking, and stays the caller's)
 *	memory SIZE[,min=SIZE][,reclaim=off|report|auto][,weight=N]
 *	                        bytes the guest sees; a bare number is MiB; K, M, G, T are binary
 *	cpus N                  virtual CPUs
 *	console stdio|file=PATH|fd=IN[:OUT]|none
 *	port NAME,socket=PATH|file=PATH|fd=IN[:OUT]
 *	                        repeatable; a named virtio port, /dev/virtio-ports/NAME in Linux
 *	console-log PATH        a copy of all console output, appended to the file
 *	vsock uds=PATH[,cid=N]  a socket device; PATH is its unix socket, CID the guest's address, 3 unless given.  A client that
 *	                        writes "CONNECT PORT\n" to PATH reaches a port of the guest, and a guest's connection to
 *	                        port N of CID 2 goes to PATH_N
 *	name NAME               letters, digits, '-', '_', '.'
 *	on-reboot exit|restart  what a guest's reboot does
 *	on-panic exit|stay      what a guest kernel's panic does
 *	modules DIR             kernel modules for the initramfs that is made when a disk is given and no initrd and no root=;
 *	                        default: the host's /lib/modules for the kernel's release
 *	debug-exit on|off|PORT  a port by which the guest ends the machine with an exit status; on: 0xf4
 *	profile auto|off[,KEY[=on|off|N]]...  settings that follow the host: huge-pages, pre-fault, plain-cpu,
 *	                        plain-strings; pv, or pv-eoi, pv-ipi, pv-tlb-flush, pv-yield, pv-spinlocks, async-pf,
 *	                        steal-time; io-batch, io-poll (N us), discard-batch (N ranges)
 *	nested off|auto|require whether the guest gets VMX or SVM; require: or is not made
 *	no-defaults on|off      pass the kernel command line exactly as given
 *	control PATH|none       a unix socket by which other processes see and steer the machine (tvmm_client_open());
 *	                        the folder it is in is made if it is missing, those above are not
 *
 * Returns 0, or -EINVAL with the object naming the key.  Paths are not opened here.
 */
TVMM_API int tvmm_config_set(struct tvmm_config *cfg, const char *key, const char *value, struct tvmm_error *err);

enum tvmm_log_level { TVMM_LOG_ERROR, TVMM_LOG_WARN, TVMM_LOG_INFO, TVMM_LOG_DEBUG };

/*
 * Where the machine's log lines go.  FN is called with one line without newline, from any thread of the machine, and
 * must not call back into the library.  Lines a guest can cause are rate-limited.  Without this call nothing is logged.
 */
typedef void tvmm_log_fn(void *arg, int level, const char *line);
TVMM_API void tvmm_config_set_log(struct tvmm_config *cfg, tvmm_log_fn *fn, void *arg, int level);

/* ---- a virtual machine ------------------------------------------------------------------------------------------ */

struct tvmm_vm;

/*
 * Opens, maps, loads and checks everything that CFG names; no guest code runs.  On success *OUT is the caller's, to
 * free with tvmm_vm_free(); on failure nothing is left behind.  CFG is only read, and may be freed afterwards.
 */
TVMM_API int tvmm_vm_create(struct tvmm_vm **out, const struct tvmm_config *cfg, struct tvmm_error *err);

/* Starts the vCPU threads and returns.  -EBUSY if it was started or stopped before. */
TVMM_API int tvmm_vm_start(struct tvmm_vm *vm, struct tvmm_error *err);

enum tvmm_request {
	TVMM_REQ_STOP = 1,     /* end now; what the guest has flushed stays on its disks */
	TVMM_REQ_POWER_BUTTON, /* press the ACPI power button; a guest that listens shuts down */
};
/* Posts a request.  Idempotent, and harmless after the end.  -EINVAL for an unknown one. */
TVMM_API int tvmm_vm_request(struct tvmm_vm *vm, int request, struct tvmm_error *err);

/* Why a machine ended. */
enum tvmm_reason {
	TVMM_RUNNING = 0,
	TVMM_POWEROFF = 1,     /* the guest powered off */
	TVMM_REBOOT = 2,       /* the guest rebooted, and on-reboot is exit */
	TVMM_PANIC = 3,        /* the guest kernel panicked */
	TVMM_TRIPLE_FAULT = 4, /* the guest crashed its CPU */
	TVMM_KVM_ERROR = 5,    /* KVM could not go on: an instruction it cannot emulate, a failed entry */
	TVMM_STOPPED = 6,      /* TVMM_REQ_STOP */
	TVMM_HOST_ERROR = 7,   /* the host failed the machine; detail says how */
	TVMM_DEBUG_EXIT = 8,   /* the guest wrote to its debug-exit port; exit_status says what */
};

struct tvmm_result {
	size_t size;       /* the caller sets sizeof(struct tvmm_result) */
	int32_t reason;    /* enum tvmm_reason */
	char detail[1024]; /* one or two sentences for a person */
	char hint[512];    /* what to do about it; may be empty */
	int32_t exit_status; /* with TVMM_DEBUG_EXIT: (V << 1) | 1 for the V that the guest wrote, 32 bits of it; else 0 */
};

/*
 * The size of the terminal that the console is shown on, in characters; 0: unknown.  A guest that uses its virtio console
 * (console=hvc0) learns of it, also after a restart; a serial port has no size.  -EINVAL above 65535.
 */
TVMM_API int tvmm_vm_console_resize(struct tvmm_vm *vm, unsigned cols, unsigned rows);

/*
 * The image of the INDEXth disk (from 0) has another size by now: looks, and tells the guest, whose requests beyond the new
 * end fail from then on.  Fails where a disk of the new size could not have been given; then the old one holds.
 */
TVMM_API int tvmm_vm_disk_refresh(struct tvmm_vm *vm, unsigned index, struct tvmm_error *err);

/*
 * Waits for the end, at most TIMEOUT_MS milliseconds (-1: for ever; 0: only looks).  Returns 0 with *RESULT filled
 * when the machine has ended and its console output is written out, -ETIMEDOUT if it still runs (reason TVMM_RUNNING).
 */
TVMM_API int tvmm_vm_wait(struct tvmm_vm *vm, int timeout_ms, struct tvmm_result *result);

/* A descriptor that polls readable once the machine has ended, for an event loop.  The machine's: do not close it. */
TVMM_API int tvmm_vm_fd(const struct tvmm_vm *vm);

/*
 * Figures of a machine, all totals since it was started.  Fields grow at the end only; a larger caller's tail is
 * zeroed, a smaller caller gets what it knows.
 */
struct tvmm_stats {
	size_t size;                /* the caller sets sizeof(struct tvmm_stats) */
	uint64_t exits_user;        /* returns of KVM_RUN to this process, all vCPUs */
	uint64_t exits_pio;         /* of these: port I/O */
	uint64_t exits_mmio;        /* of these: memory-mapped I/O */
	uint64_t io_wakeups;        /* times the I/O thread came out of its wait */
	uint64_t guest_faults;      /* times a guest broke a device's rules; nothing else was harmed */
	uint64_t ns_to_run;         /* from tvmm_vm_create() to the first KVM_RUN, nanoseconds */
	uint64_t memory_configured; /* bytes of RAM that the guest was given */
	uint64_t disk_errors;       /* requests of the guest's that the host's storage failed; not those that a server failed */
	uint64_t net_dropped;       /* packets that were lost here: their interface is gone or down, or the host has no memory */
	uint64_t links_down;        /* interfaces that are gone: deleted, or their other side ended */
};
TVMM_API int tvmm_vm_stats(struct tvmm_vm *vm, struct tvmm_stats *stats);

/*
 * Memory.  Sizes are always what the guest sees.  With reclaim=report memory that the guest frees returns to the host;
 * with reclaim=auto the machine also decides by itself how much of its memory to give up and to take back.
 */
#define TVMM_MEMORY_AUTO 0

/*
 * Asks the guest to keep within BYTES, from now on; TVMM_MEMORY_AUTO ends that.  The guest may take its time: read
 * tvmm_vm_memory() for the truth.  -EINVAL below the minimum or above the size; -EOPNOTSUPP with reclaim=off.
 */
TVMM_API int tvmm_vm_set_memory(struct tvmm_vm *vm, uint64_t bytes, struct tvmm_error *err);

/* Asks the guest to hand all its free memory over at once; it keeps the right to use it.  Returns before that is done. */
TVMM_API int tvmm_vm_trim_memory(struct tvmm_vm *vm, struct tvmm_error *err);

/* In bytes unless said otherwise.  Grows at the end only, as struct tvmm_stats does. */
struct tvmm_memory {
	size_t size;              /* the caller sets sizeof(struct tvmm_memory) */
	uint64_t configured;      /* what the guest was given */
	uint64_t min;             /* what it is left with at least */
	uint64_t target;          /* what it is asked to keep within */
	uint64_t actual;          /* what it has: configured less what it gave, by our count */
	uint64_t resident;        /* of guest memory in the host's memory now */
	uint64_t swapped;         /* of guest memory in the host's swap */
	uint64_t huge;            /* of resident: in huge pages */
	uint64_t reported;        /* total that the guest reported free, and the host got back */
	uint64_t trimmed;         /* total that trims gave */
	uint64_t discarded;       /* total given back to the host, by whatever way */
	uint64_t discard_failed;  /* total that the host refused to take back */
	uint64_t guest_total;     /* the guest's own word, 0 where it did not tell: all its memory ... */
	uint64_t guest_free;      /* ... not in use at all ... */
	uint64_t guest_available; /* ... to be had without swapping ... */
	uint64_t guest_caches;    /* ... in its page cache */
	uint64_t guest_told_ms;   /* milliseconds since it told */
	uint32_t weight;
	int32_t reclaim;          /* 0 off, 1 report, 2 auto */
	bool driver;              /* the guest runs a balloon driver */
	bool fixed;               /* tvmm_vm_set_memory() holds the target */
	/* With reclaim=auto: what the latest decision saw and why it was taken. */
	uint64_t host_total;      /* of the host, or of our control group: whichever is nearer to its end */
	uint64_t host_available;
	uint64_t paged_out;       /* total of guest memory that the host was asked to swap out */
	uint64_t decided_ms;      /* milliseconds since then */
	uint32_t stall_permille;  /* of the time, some task waited for memory */
	char pressure[12];        /* "green", "yellow", "orange" or "red"; empty before the first decision */
	char decision[84];        /* the reason, in words */
};
TVMM_API int tvmm_vm_memory(struct tvmm_vm *vm, struct tvmm_memory *memory);

/*
 * What KVM itself counts of a machine's vCPUs, all of them together, since the guest was last built: exits by their
 * reasons, interrupts, emulated instructions.  Names and meanings are the host kernel's; "exits" is the sum of all exits.
 */
#define TVMM_COUNTERS_MAX 64
struct tvmm_counter {
	char name[32];
	uint64_t total;
};
struct tvmm_counters {
	size_t size;    /* the caller sets sizeof(struct tvmm_counters) */
	uint32_t count; /* how many there are */
	struct tvmm_counter counter[TVMM_COUNTERS_MAX];
};
/* -EOPNOTSUPP where this host's KVM gives none (Linux has them since 5.14), -EINVAL with another size. */
TVMM_API int tvmm_vm_kvm_counters(struct tvmm_vm *vm, struct tvmm_counters *counters, struct tvmm_error *err);

/* All figures as one text in the OpenMetrics format, NULL-terminated in BUF; 32 KiB are enough.  -ENOBUFS if they are not. */
TVMM_API int tvmm_vm_metrics(struct tvmm_vm *vm, char *buf, size_t len);

/* A description of what was built (kernel command line, memory map, devices), text lines; NULL-terminated in BUF. */
TVMM_API int tvmm_vm_describe(struct tvmm_vm *vm, char *buf, size_t len);

/*
 * Stops it if it runs, joins its threads, releases everything.  A stop waits for nobody, but memory that the host still
 * reads a disk into cannot be released: then this waits for the disk.  Never from the log callback.  NULL is fine.
 */
TVMM_API void tvmm_vm_free(struct tvmm_vm *vm);

/*
 * ---- a machine in another process -------------------------------------------------------------------------------
 *
 * A machine with a control socket (configuration key "control") can be seen and steered from any process of the same
 * user.  The socket speaks varlink: JSON objects, each with a NUL behind it; tvmm_client_call() sends any call of the
 * interface org.tinyvmm.VM, which the machine itself describes, and the functions after it are the same as those on a
 * machine in this process.  A client belongs to one thread at a time.  It waits for an answer at most ten seconds unless told otherwise; then,
 * and whenever the connection is lost, -ETIMEDOUT or -EPIPE is returned and the client is of no further use.
 */
struct tvmm_client;

/* Connects to the socket at PATH.  -ENOENT or -ECONNREFUSED where no machine listens. */
TVMM_API int tvmm_client_open(struct tvmm_client **out, const char *path, struct tvmm_error *err);
TVMM_API void tvmm_client_close(struct tvmm_client *client); /* NULL is fine */

/* How long an answer is waited for from now on. */
TVMM_API void tvmm_client_set_timeout(struct tvmm_client *client, unsigned ms);

/*
 * One call of METHOD, a name with or without its interface, with PARAMETERS, a JSON object, or NULL for none.  *REPLY is
 * the answer's parameters, a JSON object that is the client's and holds until its next call.
 */
TVMM_API int tvmm_client_call(struct tvmm_client *client, const char *method, const char *parameters, const char **reply,
			      struct tvmm_error *err);

enum tvmm_state { TVMM_STATE_CREATED, TVMM_STATE_RUNNING, TVMM_STATE_ENDED };

/* Grows at the end only, as struct tvmm_stats does. */
struct tvmm_info {
	size_t size;        /* the caller sets sizeof(struct tvmm_info) */
	char name[64];
	char version[32];   /* of the library that runs it */
	int32_t pid;        /* of the process that it runs in */
	int32_t state;      /* enum tvmm_state */
	uint32_t cpus;
	uint64_t uptime_ms; /* milliseconds since it was created */
};
TVMM_API int tvmm_client_info(struct tvmm_client *client, struct tvmm_info *info, struct tvmm_error *err);
TVMM_API int tvmm_client_stats(struct tvmm_client *client, struct tvmm_stats *stats, struct tvmm_error *err);
TVMM_API int tvmm_client_describe(struct tvmm_client *client, char *buf, size_t len, struct tvmm_error *err);
TVMM_API int tvmm_client_memory(struct tvmm_client *client, struct tvmm_memory *memory, struct tvmm_error *err);
TVMM_API int tvmm_client_kvm_counters(struct tvmm_client *client, struct tvmm_counters *counters, struct tvmm_error *err);
TVMM_API int tvmm_client_metrics(struct tvmm_client *client, char *buf, size_t len, struct tvmm_error *err);
TVMM_API int tvmm_client_set_memory(struct tvmm_client *client, uint64_t bytes, struct tvmm_error *err);
TVMM_API int tvmm_client_trim_memory(struct tvmm_client *client, struct tvmm_error *err);
TVMM_API int tvmm_client_disk_refresh(struct tvmm_client *client, unsigned index, struct tvmm_error *err);
TVMM_API int tvmm_client_request(struct tvmm_client *client, int request, struct tvmm_error *err);

/*
 * As tvmm_vm_wait(); the first call asks, so that later ones only listen, and no other call can be made until one has
 * returned 0.  A machine whose process died without a word gives -EPIPE.
 */
TVMM_API int tvmm_client_wait(struct tvmm_client *client, int timeout_ms, struct tvmm_result *result, struct tvmm_error *err);

/* ---- the host --------------------------------------------------------------------------------------------------- */

/* What /dev/kvm runs guests with. */
enum tvmm_backend { TVMM_BACKEND_NONE, TVMM_BACKEND_VMX, TVMM_BACKEND_SVM, TVMM_BACKEND_SOFTWARE, TVMM_BACKEND_UNKNOWN };

/* Whose guest this host is. */
enum tvmm_platform {
	TVMM_ON_UNKNOWN, /* somebody's, who does not tell */
	TVMM_ON_METAL,   /* nobody's */
	TVMM_ON_KVM,
	TVMM_ON_TINYVMM,
	TVMM_ON_FIRECRACKER,
	TVMM_ON_NITRO,   /* AWS */
	TVMM_ON_QEMU_TCG,
	TVMM_ON_HYPERV,
	TVMM_ON_VMWARE,
	TVMM_ON_XEN,
	TVMM_ON_OTHER    /* platform_name has it */
};

/* By what exits and faults were measured to cost. */
enum tvmm_cost { TVMM_COST_UNKNOWN, TVMM_COST_NATIVE, TVMM_COST_NESTED, TVMM_COST_EMULATED };

enum tvmm_verdict { TVMM_PASS, TVMM_WARN, TVMM_FAIL, TVMM_SKIP };

/* One verdict with what it rests on, and what to do about it ("": nothing). */
struct tvmm_finding {
	int32_t verdict; /* enum tvmm_verdict */
	char name[12];   /* "host", "/dev/kvm", ... */
	char text[300];
	char fix[384];
};

/* What this host can do for guests.  Fields grow at the end only, as struct tvmm_stats does. */
struct tvmm_probe {
	size_t size;             /* the caller sets sizeof(struct tvmm_probe) */
	int32_t backend;         /* enum tvmm_backend */
	int32_t platform;        /* enum tvmm_platform */
	int32_t depth;           /* hypervisors below this kernel: 0 on bare metal, else at least so many */
	int32_t cost;            /* enum tvmm_cost */
	int32_t kvm_api;         /* KVM_GET_API_VERSION, or -1 */
	bool kvm_usable;         /* /dev/kvm opens and makes a VM */
	bool runs_stock_kernel;  /* a probe guest executed what a stock kernel needs in ring 0 */
	bool nested;             /* guests can have VMX or SVM */
	bool cached;             /* found earlier in this boot, by this program */
	uint32_t exit_ns;        /* measured, 0 where that was not possible: an exit that KVM handles ... */
	uint32_t exit_user_ns;   /* ... one that comes to this process and goes back ... */
	uint32_t fault_ns;       /* ... the first touch of 4 KiB of guest memory */
	uint32_t took_us;        /* to find all this */
	char backend_name[16];   /* the module: "kvm_amd", "kvm_pvm" ...; "kvm" when it is not known */
	char platform_name[64];  /* for a person: "KVM (QEMU Standard PC)" */
	char features[160];      /* words: "npt avic tsc-scaling dirty-ring pre-fault memory-fault-exits" */
	uint32_t n_findings;
	struct tvmm_finding finding[8];
};

#define TVMM_PROBE_FRESH 1u /* look anew, whatever is known from earlier */

/*
 * Looks at the host: reads what it tells, then measures with a guest of some dozen instructions, as flags lie.  Within
 * some milliseconds, and 150 at most; what an earlier call in this boot has found is kept in a file of this user's
 * under XDG_RUNTIME_DIR or /run and saves the measuring.  0 when KVM is usable; else negative errno, *ERR saying why;
 * *OUT is filled in any case.
 */
TVMM_API int tvmm_probe(struct tvmm_probe *out, unsigned flags, struct tvmm_error *err);

#ifdef __cplusplus
}
#endif
#endif
