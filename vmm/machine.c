/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * machine.c - the host's half of a machine, and its life: start, end, restart, destruction.
 *
 * The guest's half is wired in guest.c.  Everything that a machine needs of the host is opened here, before the guest
 * runs: a restart opens no file and looks up no path.
 */
#include "machine.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "bits.h"
#include "classify.h"
#include "guest.h"
#include "machine_disks.h"
#include "machine_nets.h"
#include "machine_root.h"
#include "probe.h"
#include "x86_layout.h"

#define DRAIN_MS 2000 /* the longest that the end waits for a console that does not read */

static int open_file(const struct host *h, const char *path, int flags, enum tvmm_code code, const char *what,
		     struct tvmm_error *err)
{
	int fd = h->open(h, path, flags | O_NOCTTY, 0666);

	return fd < 0 ? err_set(err, code, -fd, path, "cannot open the %s", what) : fd;
}

static int open_boot_files(struct machine *m, const struct tvmm_config *cfg, struct tvmm_error *err)
{
	m->kernel_path = strdup(cfg->kernel);
	if (!m->kernel_path)
		return err_set(err, TVMM_E_MEMORY, ENOMEM, NULL, "out of memory");
	m->kernel_fd = open_file(m->host, cfg->kernel, O_RDONLY, TVMM_E_KERNEL, "kernel", err);
	if (m->kernel_fd < 0)
		return m->kernel_fd;
	for (unsigned i = 0; i < cfg->initrd_count; i++) {
		int fd = open_file(m->host, cfg->initrds[i], O_RDONLY, TVMM_E_KERNEL, "initrd", err);

		if (fd < 0)
			return fd;
		m->initrd_fd[m->n_initrds] = fd;
		m->initrd_path[m->n_initrds++] = strdup(cfg->initrds[i]);
	}
	return 0;
}

static int open_vsock(struct machine *m, const struct tvmm_config *cfg, struct tvmm_error *err)
{
	if (!cfg->vsock)
		return 0;
	m->vsock_hub = malloc(sizeof(*m->vsock_hub));
	if (!m->vsock_hub)
		return err_set(err, TVMM_E_MEMORY, ENOMEM, NULL, "out of memory");
	return vsock_hub_init(m->vsock_hub, cfg->vsock, cfg->vsock_cid, &m->loop, &m->log, err);
}

/* Below and above the hole under 4 GiB.  SHARED: with a disk's server. */
static int map_ram(struct machine *m, uint64_t size, bool shared, struct tvmm_error *err)
{
	uint64_t part[2] = { MIN(size, LAYOUT_LOW_RAM_END), size - MIN(size, LAYOUT_LOW_RAM_END) };

	m->ram_base[0] = 0;
	m->ram_base[1] = LAYOUT_HIGH_RAM;
	for (unsigned i = 0; i < 2; i++) {
		int ret = part[i] ? hostmem_map(&m->ram[i], m->host, part[i], shared, err) : 0;

		if (!ret && part[i] && !m->profile.set[CONFIG_PROFILE_HUGE_PAGES].on)
			m->host->madvise(m->host, m->ram[i].ram, part[i], MADV_NOHUGEPAGE); /* hostmem.c wishes for them */
		if (!ret && part[i])
			ret = gmem_add(&m->mem, GPA(m->ram_base[i]), part[i], m->ram[i].ram, err);
		if (ret)
			return ret;
	}
	gmem_freeze(&m->mem);
	return hostmem_map(&m->ecam, m->host, PCI_MAX_FUNCS * PCI_CFG_SIZE, false, err);
}

/* Of each region of m->mem, which are made of m->ram[] in its order. */
static void what_backs_ram(const struct machine *m, struct discard_backing back[GMEM_MAX_REGIONS])
{
	for (unsigned i = 0; i < m->mem.n; i++)
		back[i] = (struct discard_backing){ m->ram[i].fd < 0 ? BACKING_PRIVATE : BACKING_MEMFD, m->ram[i].fd, 0 };
}

/* What the console's output shows of a panic, or of a root that is not there.  Under the console's lock, on any thread. */
static void watch_console(void *arg, const uint8_t *buf, size_t len)
{
	struct machine *m = arg;
	bool news, over, stalls;

	pthread_mutex_lock(&m->lock);
	news = panic_watch_feed(&m->panic, buf, len);
	over = news && m->panic.ended;
	/* Where the machine ends, its result has the hint.  Told once, however often the guest is restarted. */
	stalls = news && m->panic.no_root && !m->root_told && (m->panic.waits || m->on_panic == CONFIG_PANIC_STAY);
	m->root_told |= stalls;
	pthread_mutex_unlock(&m->lock);
	if (stalls)
		log_line(&m->log, TVMM_LOG_WARN, "the guest does not find its root: %s", m->root_hint);
	/* It stands still from here on, or reboots: the next line would be the last. */
	if (over && m->on_panic != CONFIG_PANIC_STAY)
		machine_end(m, TVMM_PANIC, "the guest kernel panicked: %s", m->panic.why);
}

static int open_console(struct machine *m, const struct tvmm_config *cfg, struct tvmm_error *err)
{
	int in = -1, out = -1, ret;

	switch (cfg->console.kind) {
	case CONFIG_CONSOLE_STDIO:
		in = STDIN_FILENO;
		out = STDOUT_FILENO;
		break;
	case CONFIG_CONSOLE_FD:
		in = cfg->console.in_fd;
		out = cfg->console.out_fd;
		break;
	case CONFIG_CONSOLE_FILE:
		m->console_fd = open_file(m->host, cfg->console.path, O_WRONLY | O_CREAT | O_TRUNC, TVMM_E_IO, "console file", err);
		if (m->console_fd < 0)
			return m->console_fd;
		out = m->console_fd;
		break;
	case CONFIG_CONSOLE_NONE:
		break;
	}
	if (cfg->console_log) {
		m->log_fd = open_file(m->host, cfg->console_log, O_WRONLY | O_CREAT | O_APPEND, TVMM_E_IO, "console log", err);
		if (m->log_fd < 0)
			return m->log_fd;
	}
	ret = chardev_init(&m->console, "console", &m->loop, &m->log, in, out, m->log_fd, err);
	if (ret)
		return ret;
	m->console_ok = true;
	m->console.watch = watch_console;
	m->console.watch_arg = m;
	return 0;
}

/* Without the I/O thread no device works: better the end than a guest that waits for ever. */
static void loop_failed(void *arg, int err)
{
	machine_end(arg, TVMM_HOST_ERROR, "the I/O thread cannot wait for events: %s", strerror(-err));
}

static int create_host_half(struct machine *m, const struct tvmm_config *cfg, struct tvmm_error *err)
{
	struct discard_backing backing[GMEM_MAX_REGIONS];
	int ret = open_boot_files(m, cfg, err);

	if (!ret)
		ret = machine_root_cmdline(&m->cmdline, cfg, m->profile.set[CONFIG_PROFILE_PLAIN_CPU].on, err);
	if (!ret)
		ret = machine_disks_open(m, cfg, err);
	if (!ret)
		ret = machine_root_initramfs(m, cfg, err);
	if (!ret)
		ret = map_ram(m, cfg->memory, machine_disks_share(m), err);
	if (!ret)
		ret = evloop_init(&m->loop, m->host, err);
	if (ret)
		return ret;
	what_backs_ram(m, backing);
	m->loop_ok = true;
	m->loop.failed = loop_failed;
	m->loop.failed_arg = m;
	ret = m->n_disks ? disk_engine_init(&m->disk_engine, m->host, &m->loop, &m->log, err) : 0;
	if (!ret)
		ret = machine_disks_attach(m, err);
	if (!ret)
		ret = memctl_init(&m->memctl, cfg, &m->mem, backing, &m->loop, &m->log, err);
	m->memctl.discard.batch_max = MAX(m->profile.set[CONFIG_PROFILE_DISCARD_BATCH].n, 1u);
	if (!ret)
		ret = machine_nets_open(m, cfg, err);
	if (!ret)
		ret = open_vsock(m, cfg, err);
	if (!ret)
		ret = open_console(m, cfg, err);
	return ret ? ret : machine_ports_open(&m->port, &m->n_ports, cfg, m->host, &m->loop, &m->log, err);
}

/* What this host is decides how the machine is built. */
static void choose_profile(struct machine *m, const struct tvmm_config *cfg)
{
	struct snapshot s = { .hypervisor = false };
	struct profile_facts f;

	snapshot_cpu(&s);
	m->on_vmx = s.vmx;
	m->depth = (unsigned)classify_depth(&s) + 1;
	f = (struct profile_facts){ .huge_pages = snapshot_huge_pages(m->host), .dear = s.hypervisor, .cpus = cfg->cpus,
				    .interpreted = snapshot_interprets(&s, m->host), .emulated = classify_emulated(&s),
				    .host_cpus = snapshot_usable_cpus() };
	profile_choose(&m->profile, &f, cfg->profile);
}

/* VMX or SVM for the guest: as asked for, as far as this host can.  KVM is open. */
static int decide_nested(struct machine *m, enum config_nested wanted, struct tvmm_error *err)
{
	struct tvmm_error why;
	char warning[256];
	int ret;

	snprintf(m->nested_text, sizeof(m->nested_text), "off: the guest has neither VMX nor SVM");
	if (wanted == CONFIG_NESTED_OFF)
		return 0;
	ret = probe_nested(m->host, m->kvm.dev_fd, warning, sizeof(warning), &why);
	m->nested = !ret;
	if (ret && wanted == CONFIG_NESTED_REQUIRE) {
		if (err)
			*err = why;
		return ret;
	}
	if (ret)
		snprintf(m->nested_text, sizeof(m->nested_text), "auto: not to be had; %s: %s", why.message, why.object);
	else
		snprintf(m->nested_text, sizeof(m->nested_text), "%s: the guest has %s", wanted == CONFIG_NESTED_AUTO ? "auto" : "require",
			 m->on_vmx ? "VMX" : "SVM");
	if (*warning)
		log_line(&m->log, TVMM_LOG_WARN, "%s", warning);
	return 0;
}

int machine_create(struct machine **out, const struct tvmm_config *cfg, const struct host *host, struct tvmm_error *err)
{
	struct machine *m = calloc(1, sizeof(*m));
	int ret;

	if (!m)
		return err_set(err, TVMM_E_MEMORY, ENOMEM, NULL, "out of memory");
	m->host = host;
	m->console_fd = m->log_fd = m->kernel_fd = -1;
	m->kvm.dev_fd = m->kvm.vm_fd = -1;
	m->n_cpus = cfg->cpus;
	m->on_reboot = cfg->on_reboot;
	m->on_panic = cfg->on_panic;
	m->debug_exit_port = cfg->debug_exit;
	snprintf(m->name, sizeof(m->name), "%s", cfg->name[0] ? cfg->name : "tinyvmm");
	log_init(&m->log, host, cfg->log_fn, cfg->log_arg, cfg->log_level);
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->changed, NULL);

	choose_profile(m, cfg);
	m->vcpu = calloc(cfg->cpus, sizeof(*m->vcpu));
	ret = kvm_stats_init(&m->kvm_stats, host, cfg->cpus, err);
	if (!ret)
		ret = m->vcpu ? create_host_half(m, cfg, err) : err_set(err, TVMM_E_MEMORY, ENOMEM, NULL, "out of memory");
	if (!ret)
		ret = kvm_open(&m->kvm, host, err);
	if (!ret)
		ret = decide_nested(m, cfg->nested, err);
	if (!ret)
		ret = guest_build(m, err);
	if (ret) {
		machine_destroy(m);
		return ret;
	}
	guest_describe(m, m->description, sizeof(m->description));
	*out = m;
	return 0;
}

void machine_destroy(struct machine *m)
{
	if (!m)
		return;
	machine_finish(m);
	guest_destroy(m);
	kvm_close(&m->kvm);
	machine_ports_close(m->port, m->n_ports, m->host);
	if (m->console_ok)
		chardev_fini(&m->console);
	memctl_fini(&m->memctl);
	if (m->vsock_hub) {
		vsock_hub_fini(m->vsock_hub);
		free(m->vsock_hub);
	}
	disk_engine_fini(&m->disk_engine);
	machine_nets_close(m);
	machine_disks_close(m);
	if (m->loop_ok)
		evloop_fini(&m->loop);
	free(m->vcpu);
	kvm_stats_fini(&m->kvm_stats);
	for (unsigned i = 0; i < m->n_initrds; i++) {
		m->host->close(m->host, m->initrd_fd[i]);
		free(m->initrd_path[i]);
	}
	initramfs_free(&m->initramfs);
	if (m->kernel_fd >= 0)
		m->host->close(m->host, m->kernel_fd);
	free(m->kernel_path);
	if (m->console_fd >= 0)
		m->host->close(m->host, m->console_fd);
	if (m->log_fd >= 0)
		m->host->close(m->host, m->log_fd);
	for (unsigned i = 0; i < 2; i++)
		hostmem_unmap(&m->ram[i], m->host);
	hostmem_unmap(&m->ecam, m->host);
	pthread_cond_destroy(&m->changed);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

void machine_end(struct machine *m, enum tvmm_reason reason, const char *fmt, ...)
{
	struct tvmm_result r = { .size = sizeof(r), .reason = (int32_t)reason };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r.detail, sizeof(r.detail), fmt, ap);
	va_end(ap);
	guest_ended(m, &r);
}

void guest_ended(void *arg, const struct tvmm_result *why)
{
	struct machine *m = arg;

	pthread_mutex_lock(&m->lock);
	if (m->result.reason == TVMM_RUNNING) {
		m->result = *why;
		/* After a panic, a kernel resets the machine in whatever way it has. */
		if (m->panic.seen && m->on_panic != CONFIG_PANIC_STAY &&
		    (why->reason == TVMM_REBOOT || why->reason == TVMM_TRIPLE_FAULT)) {
			m->result.reason = TVMM_PANIC;
			snprintf(m->result.detail, sizeof(m->result.detail), "the guest kernel panicked: %s", m->panic.why);
		}
		if (m->panic.no_root && m->result.reason == TVMM_PANIC)
			snprintf(m->result.hint, sizeof(m->result.hint), "%s", m->root_hint);
		pthread_cond_broadcast(&m->changed);
	}
	pthread_mutex_unlock(&m->lock);
}

int machine_start(struct machine *m, struct tvmm_error *err)
{
	char name[16];
	int ret;

	if (!m->loop.started) {
		snprintf(name, sizeof(name), "%.12s/io", m->name);
		ret = evloop_start(&m->loop, name, err);
		if (ret)
			return ret;
		memctl_start(&m->memctl);
	}
	for (unsigned i = 0; i < m->n_cpus; i++) {
		ret = vcpu_start(&m->vcpu[i], err);
		if (ret) {
			machine_end(m, TVMM_HOST_ERROR, "the vCPUs could not be started");
			machine_wait(m);
			return ret;
		}
	}
	return 0;
}

void machine_wait(struct machine *m)
{
	pthread_mutex_lock(&m->lock);
	while (m->result.reason == TVMM_RUNNING)
		pthread_cond_wait(&m->changed, &m->lock);
	pthread_mutex_unlock(&m->lock);

	/* All are told before any is waited for. */
	for (unsigned i = 0; i < m->n_cpus; i++)
		vcpu_kick_stop(&m->vcpu[i]);
	for (unsigned i = 0; i < m->n_cpus; i++)
		vcpu_join(&m->vcpu[i]);
}

struct restart {
	struct machine *m;
	struct tvmm_error *err;
	int ret;
};

/* On the loop's thread, so that no device works while it is taken away. */
static void restart_on_loop(void *arg)
{
	struct restart *r = arg;
	struct machine *m = r->m;

	/* The new guest's memory must not be written to by requests of the old one. */
	guest_quiesce(m);
	for (unsigned i = 0; !r->ret && i < m->n_disks; i++)
		if (!virtio_is_quiet(machine_disk_dev(&m->disk[i])))
			r->ret = err_set(r->err, TVMM_E_IO, EBUSY, m->disk[i].name, "the host still holds requests of the old guest's");
	if (r->ret)
		return;
	guest_destroy(m);
	for (unsigned i = 0; !r->ret && i < 2; i++)
		if (m->ram[i].size)
			r->ret = hostmem_clear(&m->ram[i], m->host, r->err);
	if (!r->ret)
		r->ret = hostmem_clear(&m->ecam, m->host, r->err);
	if (!r->ret)
		r->ret = guest_build(m, r->err);
}

int machine_restart(struct machine *m, struct tvmm_error *err)
{
	struct restart r = { .m = m, .err = err };

	evloop_call(&m->loop, restart_on_loop, &r);
	if (r.ret)
		return r.ret;
	pthread_mutex_lock(&m->lock);
	m->result = (struct tvmm_result){ .size = sizeof(m->result) };
	m->panic = (struct panic_watch){ .len = 0 };
	pthread_mutex_unlock(&m->lock);
	return 0;
}

static void finish_on_loop(void *arg)
{
	struct machine *m = arg;

	guest_quiesce(m);
	chardev_drain(&m->console, DRAIN_MS);
	machine_ports_drain(m->port, m->n_ports, DRAIN_MS);
}

void machine_finish(struct machine *m)
{
	if (!m->loop.started)
		return;
	evloop_call(&m->loop, finish_on_loop, m);
	evloop_stop(&m->loop);
}

struct counters_call {
	struct machine *m;
	struct tvmm_counters *out;
	struct tvmm_error *err;
	int ret;
};

static void counters_on_loop(void *arg)
{
	struct counters_call *r = arg;

	r->ret = kvm_stats_read(&r->m->kvm_stats, r->out, r->err);
}

int machine_kvm_counters(struct machine *m, struct tvmm_counters *out, struct tvmm_error *err)
{
	struct counters_call r = { .m = m, .out = out, .err = err };

	evloop_call(&m->loop, counters_on_loop, &r); /* where a restart takes the vCPUs away */
	return r.ret;
}

void machine_stats(struct machine *m, struct tvmm_stats *s)
{
	for (unsigned i = 0; m->vcpu && i < m->n_cpus; i++) {
		s->exits_user += atomic_load_explicit(&m->vcpu[i].exits, memory_order_relaxed);
		s->exits_pio += atomic_load_explicit(&m->vcpu[i].exits_pio, memory_order_relaxed);
		s->exits_mmio += atomic_load_explicit(&m->vcpu[i].exits_mmio, memory_order_relaxed);
	}
	s->io_wakeups = atomic_load_explicit(&m->loop.wakeups, memory_order_relaxed);
	s->guest_faults = atomic_load_explicit(&m->log.guest_faults, memory_order_relaxed);
	s->memory_configured = gmem_size(&m->mem);
	for (unsigned i = 0; i < m->n_disks; i++)
		if (m->disk[i].disk)
			s->disk_errors += atomic_load_explicit(&m->disk[i].disk->errors, memory_order_relaxed);
	for (unsigned i = 0; i < m->n_nets; i++) {
		s->net_dropped += atomic_load_explicit(&m->net[i].nif->dropped, memory_order_relaxed);
		s->links_down += !atomic_load_explicit(&m->net[i].nif->up, memory_order_relaxed);
	}
}
