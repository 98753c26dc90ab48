/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe_snapshot.c - reads the host.  What cannot be read stays empty: nothing here fails.
 */
#include "probe_snapshot.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bits.h"
#include "x86_cpu.h"

/* Newer than the headers that we build with. */
#define CAP_MEMORY_FAULT_INFO 232
#define CAP_PRE_FAULT_MEMORY  236

static const int caps[SNAPSHOT_CAPS] = {
	[SNAPSHOT_NESTED_STATE] = KVM_CAP_NESTED_STATE,
	[SNAPSHOT_TSC_CONTROL] = KVM_CAP_TSC_CONTROL,
	[SNAPSHOT_DIRTY_RING] = KVM_CAP_DIRTY_LOG_RING,
	[SNAPSHOT_PRE_FAULT] = CAP_PRE_FAULT_MEMORY,
	[SNAPSHOT_MEMORY_FAULT] = CAP_MEMORY_FAULT_INFO,
	[SNAPSHOT_DISABLE_EXITS] = KVM_CAP_X86_DISABLE_EXITS,
	[SNAPSHOT_HALT_POLL] = KVM_CAP_HALT_POLL,
};

static const char *const modules[SNAPSHOT_MODULES] = {
	[SNAPSHOT_KVM] = "kvm",           [SNAPSHOT_KVM_INTEL] = "kvm_intel", [SNAPSHOT_KVM_AMD] = "kvm_amd",
	[SNAPSHOT_KVM_PVM] = "kvm_pvm",   [SNAPSHOT_VBOX] = "vboxdrv",        [SNAPSHOT_VMWARE] = "vmmon",
};

static const struct {
	enum snapshot_module module;
	const char *name;
} params[SNAPSHOT_PARAMS] = {
	[SNAPSHOT_P_TDP_MMU] = { SNAPSHOT_KVM, "tdp_mmu" },
	[SNAPSHOT_P_MMIO_CACHING] = { SNAPSHOT_KVM, "mmio_caching" },
	[SNAPSHOT_P_NX_HUGE_PAGES] = { SNAPSHOT_KVM, "nx_huge_pages" },
	[SNAPSHOT_P_HALT_POLL] = { SNAPSHOT_KVM, "halt_poll_ns" },
	[SNAPSHOT_P_INTEL_NESTED] = { SNAPSHOT_KVM_INTEL, "nested" },
	[SNAPSHOT_P_EPT] = { SNAPSHOT_KVM_INTEL, "ept" },
	[SNAPSHOT_P_VPID] = { SNAPSHOT_KVM_INTEL, "vpid" },
	[SNAPSHOT_P_APICV] = { SNAPSHOT_KVM_INTEL, "enable_apicv" },
	[SNAPSHOT_P_UNRESTRICTED] = { SNAPSHOT_KVM_INTEL, "unrestricted_guest" },
	[SNAPSHOT_P_AMD_NESTED] = { SNAPSHOT_KVM_AMD, "nested" },
	[SNAPSHOT_P_NPT] = { SNAPSHOT_KVM_AMD, "npt" },
	[SNAPSHOT_P_AVIC] = { SNAPSHOT_KVM_AMD, "avic" },
};

static void put_le32(char *to, uint32_t v)
{
	memcpy(to, &v, sizeof(v));
}

static void signature(uint32_t leaf, char out[13])
{
	unsigned a, b, c, d;

	__cpuid(leaf, a, b, c, d);
	put_le32(out, b);
	put_le32(out + 4, c);
	put_le32(out + 8, d);
	out[12] = '\0';
}

static void cpu_model(char out[49])
{
	unsigned a, b, c, d;

	for (unsigned i = 0; i < 3; i++) {
		__cpuid(0x80000002 + i, a, b, c, d);
		put_le32(out + 16 * i, a);
		put_le32(out + 16 * i + 4, b);
		put_le32(out + 16 * i + 8, c);
		put_le32(out + 16 * i + 12, d);
	}
	out[48] = '\0';
	for (size_t n = strlen(out); n && out[n - 1] == ' '; n--)
		out[n - 1] = '\0';
}

void snapshot_cpu(struct snapshot *s)
{
	unsigned a, b, c, d, top;

	__cpuid(0, a, b, c, d);
	put_le32(s->cpu_vendor, b);
	put_le32(s->cpu_vendor + 4, d);
	put_le32(s->cpu_vendor + 8, c);
	__cpuid(1, a, b, c, d);
	s->vmx = c & BIT(5);
	s->hypervisor = c & BIT(31);
	__cpuid(0x80000000, top, b, c, d);
	if (top >= 0x80000001) {
		__cpuid(0x80000001, a, b, c, d);
		s->svm = c & BIT(2);
	}
	if (top >= 0x80000004)
		cpu_model(s->cpu_model);
	if (!s->hypervisor) /* these leaves mean nothing then */
		return;
	signature(0x40000000, s->hv);
	if (!memcmp(s->hv, "Microsoft Hv", 12)) {
		signature(0x40000100, s->hv_second); /* KVM's, when it dresses as Hyper-V */
		__cpuid(0x40000003, a, b, c, d);
		s->hyperv_root = b & BIT(0);
	}
	__cpuid(X86_TINYVMM_LEAF, a, b, c, d);
	if (b == X86_TINYVMM_EBX && c == X86_TINYVMM_ECX && a && a < 100)
		s->tinyvmm_depth = a;
}

/* The beginning of a file, without the newline at its end; "" where it cannot be read. */
static void read_text(const struct host *h, const char *path, char *buf, size_t len)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len - 1 };
	int fd = h->open(h, path, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0);
	ssize_t n = 0;

	if (fd >= 0) {
		n = h->readv(h, fd, &iov, 1);
		h->close(h, fd);
	}
	buf[n > 0 ? n : 0] = '\0';
	for (n = (ssize_t)strlen(buf); n && (buf[n - 1] == '\n' || buf[n - 1] == ' '); n--)
		buf[n - 1] = '\0';
}

unsigned snapshot_usable_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 1 : (unsigned)CPU_COUNT(&set);
}

bool snapshot_huge_pages(const struct host *host)
{
	char text[64];

	read_text(host, "/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text));
	return *text && !strstr(text, "[never]");
}

static bool exists(const struct host *h, const char *path)
{
	int fd = h->open(h, path, O_PATH, 0);

	if (fd >= 0)
		h->close(h, fd);
	return fd >= 0;
}

bool snapshot_interprets(const struct snapshot *s, const struct host *host)
{
	if (!s->vmx && !s->svm)
		return true;
	return exists(host, "/sys/module/kvm_pvm") && !exists(host, s->vmx ? "/sys/module/kvm_intel" : "/sys/module/kvm_amd");
}

static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = text; (p = strstr(p, word)); p += len)
		if (p > text && p[-1] == ' ' && (p[len] == ' ' || p[len] == '\n' || !p[len]))
			return true;
	return false;
}

static void read_modules(struct snapshot *s, const struct host *h)
{
	char path[96];

	for (unsigned i = 0; i < SNAPSHOT_MODULES; i++) {
		snprintf(path, sizeof(path), "/sys/module/%s", modules[i]);
		s->module[i] = exists(h, path);
	}
	for (unsigned i = 0; i < SNAPSHOT_PARAMS; i++) {
		if (!s->module[params[i].module])
			continue;
		snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", modules[params[i].module], params[i].name);
		read_text(h, path, s->param[i], sizeof(s->param[i]));
	}
}

/* The table's header has its maker in bytes 10 to 15.  Only root may read it. */
static void read_acpi(struct snapshot *s, const struct host *h)
{
	char head[24];
	struct iovec iov = { .iov_base = head, .iov_len = sizeof(head) };
	int fd = h->open(h, "/sys/firmware/acpi/tables/FACP", O_RDONLY, 0);

	if (fd < 0)
		return;
	if (h->readv(h, fd, &iov, 1) == sizeof(head))
		memcpy(s->acpi_oem, head + 10, 6);
	h->close(h, fd);
}

static void read_machine(struct snapshot *s, const struct host *h)
{
	char text[4096];
	char *flags;

	read_text(h, "/proc/sys/kernel/osrelease", s->release, sizeof(s->release));
	read_text(h, "/proc/sys/kernel/version", s->version, sizeof(s->version));
	read_text(h, "/proc/cpuinfo", text, sizeof(text)); /* the first CPU is within the first page */
	flags = strstr(text, "\nflags");
	if (flags) {
		flags[1 + strcspn(flags + 1, "\n")] = '\0';
		s->has_flags = true;
		s->flag_vmx = has_word(flags, "vmx");
		s->flag_svm = has_word(flags, "svm");
	}
	/* Also where CPUID tells of no hypervisor: a hidden one may have left its maker's name here. */
	read_text(h, "/sys/class/dmi/id/sys_vendor", s->sys_vendor, sizeof(s->sys_vendor));
	read_text(h, "/sys/class/dmi/id/product_name", s->product, sizeof(s->product));
	if (s->hypervisor && !*s->sys_vendor) { /* no firmware of a PC's: a minimal VMM */
		read_acpi(s, h);
		read_text(h, "/proc/cmdline", text, sizeof(text));
		s->mmio_cmdline = strstr(text, "virtio_mmio.device=");
	}
}

static void find_container(struct snapshot *s, const struct host *h)
{
	static const struct {
		const char *file, *name;
	} signs[] = { { "/.dockerenv", "docker" }, { "/run/.containerenv", "podman" }, { "/dev/.lxc", "lxc" },
		      { "/run/systemd/container", "systemd" }, { "/var/run/secrets/kubernetes.io", "kubernetes" } };

	for (unsigned i = 0; i < ARRAY_SIZE(signs); i++) {
		if (exists(h, signs[i].file)) {
			snprintf(s->container, sizeof(s->container), "%s", signs[i].name);
			return;
		}
	}
}

/* The Nth field of a line of /etc/passwd or /etc/group, as a string in the line itself; "" if there is none. */
static char *field(char *line, unsigned n)
{
	char *p = line;

	for (; n && p; n--)
		p = strchr(p, ':') ? strchr(p, ':') + 1 : NULL;
	return p;
}

/* The line of FILE whose third field is ID, cut off at its end; NULL if there is none in its first 32 KiB. */
static char *line_of(const struct host *h, const char *file, uint32_t id, char *buf, size_t len)
{
	char *line, *next;

	read_text(h, file, buf, len);
	for (line = buf; line; line = next) {
		char *number;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		number = field(line, 2);
		if (number && *number >= '0' && *number <= '9' && strtoul(number, NULL, 10) == id)
			return line;
	}
	return NULL;
}

static bool listed(const char *members, const char *user)
{
	size_t len = strlen(user);

	for (const char *p = members; len && p && *p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
		if (!strncmp(p, user, len) && (!p[len] || p[len] == ','))
			return true;
	return false;
}

static void read_group(struct snapshot *s, const struct host *h)
{
	enum { LARGE = 32768 };
	char *buf = malloc(LARGE), *line, *members, user[32] = "";

	if (!buf)
		return;
	line = line_of(h, "/etc/passwd", s->euid, buf, LARGE);
	if (line)
		snprintf(user, sizeof(user), "%.*s", (int)strcspn(line, ":"), line);
	line = line_of(h, "/etc/group", s->group, buf, LARGE);
	members = line ? field(line, 3) : NULL;
	if (line)
		snprintf(s->group_name, sizeof(s->group_name), "%.*s", (int)strcspn(line, ":"), line);
	if (members)
		s->in_group_file = listed(members, user);
	free(buf);
}

static void read_node(struct snapshot *s, const struct host *h)
{
	int fd = h->open(h, "/dev/kvm", O_PATH, 0);
	struct stat st;

	if (fd < 0)
		return;
	s->exists = true;
	if (!h->fstat(h, fd, &st)) {
		s->mode = st.st_mode & 07777;
		s->owner = st.st_uid;
		s->group = st.st_gid;
	}
	h->close(h, fd);
	if (s->open_errno == EACCES || s->open_errno == EPERM)
		read_group(s, h);
}

static void read_kvm(struct snapshot *s, const struct host *h, int fd)
{
	struct kvm_cpuid2 *t = calloc(1, sizeof(*t) + X86_CPUID_MAX * sizeof(t->entries[0]));

	s->exists = true;
	s->api = h->ioctl(h, fd, KVM_GET_API_VERSION, 0);
	for (unsigned i = 0; i < SNAPSHOT_CAPS; i++) {
		int ret = h->ioctl(h, fd, KVM_CHECK_EXTENSION, (uintptr_t)caps[i]);

		s->cap[i] = ret < 0 ? 0 : ret;
	}
	if (!t)
		return;
	t->nent = X86_CPUID_MAX;
	if (h->ioctl(h, fd, KVM_GET_SUPPORTED_CPUID, (uintptr_t)t) < 0)
		t->nent = 0;
	for (unsigned i = 0; i < MIN(t->nent, (uint32_t)X86_CPUID_MAX); i++) {
		s->guest_vmx |= t->entries[i].function == 1 && t->entries[i].ecx & BIT(5);
		s->guest_svm |= t->entries[i].function == 0x80000001 && t->entries[i].ecx & BIT(2);
	}
	free(t);
}

void snapshot_take(struct snapshot *s, const struct host *host, int kvm_fd)
{
	*s = (struct snapshot){ .api = -1, .euid = geteuid(), .open_errno = kvm_fd < 0 ? -kvm_fd : 0 };
	snapshot_cpu(s);
	read_machine(s, host);
	read_modules(s, host);
	if (kvm_fd >= 0) {
		read_kvm(s, host, kvm_fd);
	} else {
		read_node(s, host);
		find_container(s, host);
	}
}
