/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * classify_nested.c - why there is no KVM, and why guests cannot have VMX or SVM: one sentence and one remedy each.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bits.h"
#include "classify.h"
#include "classify_platform.h"

static int no_permission(const struct snapshot *s, struct tvmm_error *err)
{
	const char *name = *s->group_name ? s->group_name : "kvm";

	err_set(err, TVMM_E_PERM_KVM, s->open_errno, "/dev/kvm", "this user (uid %u) may not open it", s->euid);
	if (!s->exists)
		err_hint(err, "as root: setfacl -m u:$USER:rw /dev/kvm");
	else if ((s->mode & 060) != 060 || !s->group)
		err_hint(err, "its mode is %04o: only root may open it; sudo setfacl -m u:$USER:rw /dev/kvm, or give it a group "
			 "(sudo chgrp kvm /dev/kvm && sudo chmod 0660 /dev/kvm)", s->mode);
	else if (s->in_group_file)
		err_hint(err, "this user is in its group %s, but logged in before that was so: log in again, or run newgrp %s", name,
			 name);
	else if (*s->group_name)
		err_hint(err, "its mode is %04o, its group %s: sudo usermod -aG %s $USER, then log in again; or once: "
			 "sudo setfacl -m u:$USER:rw /dev/kvm", s->mode, name, name);
	else
		err_hint(err, "its mode is %04o, its group %u, which has no name here (in a container: pass --group-add %u); or once: "
			 "sudo setfacl -m u:$USER:rw /dev/kvm", s->mode, s->group, s->group);
	return -s->open_errno;
}

/* Nothing serves /dev/kvm, or it is not there.  From the bottom up: the first thing that is missing is the cause. */
static void no_device(const struct snapshot *s, struct tvmm_error *err)
{
	const char *word = s->vmx ? "VMX (VT-x)" : "SVM (AMD-V)", *module = s->vmx ? "kvm_intel" : "kvm_amd";
	bool served = s->module[SNAPSHOT_KVM_INTEL] || s->module[SNAPSHOT_KVM_AMD] || s->module[SNAPSHOT_KVM_PVM];
	char name[64], evidence[160];
	enum tvmm_platform on = classify_platform(s, name, sizeof(name), evidence, sizeof(evidence));

	if (s->open_errno == ENOENT && *s->container && (served || s->module[SNAPSHOT_KVM])) {
		err_set(err, TVMM_E_NO_KVM, s->open_errno, "/dev/kvm", "this host has KVM, but this container (%s) was not given it",
			s->container);
		err_hint(err, "start the container with --device /dev/kvm");
	} else if (s->open_errno != ENOENT && (s->module[SNAPSHOT_VBOX] || s->module[SNAPSHOT_VMWARE])) {
		err_set(err, TVMM_E_NO_KVM, s->open_errno, "/dev/kvm", "another hypervisor (%s) holds the CPU's virtualization extension",
			s->module[SNAPSHOT_VBOX] ? "VirtualBox" : "VMware");
		err_hint(err, "end its machines, or: sudo modprobe -r %s", s->module[SNAPSHOT_VBOX] ? "vboxnetadp vboxnetflt vboxdrv" : "vmmon");
	} else if (!s->vmx && !s->svm && !served) {
		if (on == TVMM_ON_METAL)
			err_set(err, TVMM_E_NO_KVM, s->open_errno, "/dev/kvm", "this CPU shows neither VMX nor SVM");
		else
			err_set(err, TVMM_E_NO_KVM, s->open_errno, "/dev/kvm",
				"this host is a guest of %s, which gives it neither VMX nor SVM", name);
		err_hint(err, "%s", classify_l0_fix(s));
	} else if (s->has_flags && !served && (s->vmx ? !s->flag_vmx : !s->flag_svm)) {
		err_set(err, TVMM_E_NO_KVM, s->open_errno, "/dev/kvm", "the CPU has %s, but firmware or hypervisor has switched it off", word);
		err_hint(err, "%s", on == TVMM_ON_METAL ? "switch it on in the machine's firmware (often: Virtualization Technology, SVM Mode), "
			 "then power the machine off and on" : classify_l0_fix(s));
	} else if (!served) {
		err_set(err, TVMM_E_NO_KVM, s->open_errno, "/dev/kvm", "the kernel module %s is not loaded", module);
		err_hint(err, "sudo modprobe %s; if it refuses, sudo dmesg | grep -i kvm tells why", module);
	} else if (s->open_errno == ENOENT) {
		err_set(err, TVMM_E_NO_KVM, s->open_errno, "/dev/kvm", "KVM is loaded, but its device node is missing");
		err_hint(err, "sudo mknod -m 0660 /dev/kvm c 10 232 && sudo chgrp kvm /dev/kvm; in a container: --device /dev/kvm");
	} else {
		err_set(err, TVMM_E_NO_KVM, s->open_errno, "/dev/kvm", "the device is there, but nothing serves it");
		err_hint(err, "load kvm_intel or kvm_amd; sudo dmesg | grep -i kvm tells what stands in the way");
	}
}

int classify_no_kvm(const struct snapshot *s, struct tvmm_error *err)
{
	switch (s->open_errno) {
	case EACCES:
	case EPERM:
		return no_permission(s, err);
	case ENOENT:
	case ENXIO:
	case ENODEV:
	case EBUSY:
		no_device(s, err);
		return -s->open_errno;
	case EMFILE:
	case ENFILE:
		err_set(err, TVMM_E_HOST, s->open_errno, "/dev/kvm", "cannot open it");
		err_hint(err, s->open_errno == EMFILE ? "raise the limit of this process: ulimit -n 1024"
						      : "the whole host is out of open files: raise fs.file-max");
		return -s->open_errno;
	default:
		return err_set(err, TVMM_E_NO_KVM, s->open_errno, "/dev/kvm", "cannot open it");
	}
}

static bool is_off(const char *param)
{
	return *param == 'N' || *param == '0';
}

int classify_nested(const struct snapshot *s, struct tvmm_error *err)
{
	const char *module;
	enum tvmm_backend backend = classify_backend(s, &module);
	bool vmx = backend == TVMM_BACKEND_VMX;
	const char *param = s->param[vmx ? SNAPSHOT_P_INTEL_NESTED : SNAPSHOT_P_AMD_NESTED];

	if ((vmx && s->guest_vmx) || (backend == TVMM_BACKEND_SVM && s->guest_svm))
		return 0;
	if (!vmx && backend != TVMM_BACKEND_SVM) {
		err_set(err, TVMM_E_CAPABILITY, 0, module, "this host's KVM works without VMX and SVM, and has neither for guests");
		err_hint(err, "use a host whose CPU has VMX or SVM: %s", classify_l0_fix(s));
		return -ENOTSUP;
	}
	if (is_off(param)) {
		err_set(err, TVMM_E_CAPABILITY, 0, module, "its parameter nested is off: guests cannot have %s", vmx ? "VMX" : "SVM");
		err_hint(err, "echo 'options %s nested=1' | sudo tee /etc/modprobe.d/kvm.conf; then, with no machine running: "
			 "sudo modprobe -r %s && sudo modprobe %s", module, module, module);
		return -ENOTSUP;
	}
	err_set(err, TVMM_E_CAPABILITY, 0, module, "KVM does not offer %s to guests%s", vmx ? "VMX" : "SVM",
		*param ? ", although its parameter nested is on" : "");
	if (is_off(s->param[vmx ? SNAPSHOT_P_EPT : SNAPSHOT_P_NPT]))
		err_hint(err, "its parameter %s is off, which is the likely reason", vmx ? "ept" : "npt");
	else
		err_hint(err, "the CPU, or the hypervisor below, lacks what that takes; sudo dmesg | grep -i kvm may tell");
	return -ENOTSUP;
}

/* Stable series, and their first version with the fix; mainline has it since 7.2. */
static const struct {
	unsigned major, minor, patch;
} fixed[] = { { 6, 1, 177 }, { 6, 6, 144 }, { 6, 12, 95 }, { 6, 18, 38 }, { 7, 1, 3 } };

int classify_nested_fix(const struct snapshot *s, char *name, size_t len)
{
	/* Debian's older kernels are called 6.1.0-N, and tell their real version beside that. */
	const char *debian = strstr(s->version, "Debian "), *v = s->release;
	unsigned long major, minor, patch = 0;
	char *end;

	if (debian)
		v = debian + strlen("Debian ");
	snprintf(name, len, "%.*s", (int)strcspn(v, " "), v);
	major = strtoul(v, &end, 10);
	if (end == v || *end != '.')
		return -1;
	minor = strtoul(end + 1, &end, 10);
	if (*end == '.')
		patch = strtoul(end + 1, &end, 10);
	if (major > 7 || (major == 7 && minor > 1))
		return 1;
	if (!debian && !patch && *end == '-') /* a distribution's own numbers: 5.15.0-91-generic */
		return -1;
	for (unsigned i = 0; i < ARRAY_SIZE(fixed); i++)
		if (major == fixed[i].major && minor == fixed[i].minor)
			return patch >= fixed[i].patch;
	return -1;
}
