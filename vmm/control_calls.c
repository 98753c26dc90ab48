/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * control_calls.c - the table of methods.  A new one is a function, a line in the table and a line in the interface.
 */
#include "control_calls.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "bits.h"
#include "control_fields.h"
#include "error.h"
#include "metrics.h"

#define VM "org.tinyvmm.VM"
#define SERVICE "org.varlink.service"

static const char interface_vm[] =
	"# One virtual machine of tinyvmm: to see it and to steer it.  Sizes are bytes, as the guest sees them.\n"
	"interface org.tinyvmm.VM\n"
	"\n"
	"# As struct tvmm_memory of tinyvmm.h.\n"
	"type Memory (configured: int, min: int, target: int, actual: int, resident: int, swapped: int, huge: int,\n"
	"  reported: int, trimmed: int, discarded: int, discard_failed: int, guest_total: int, guest_free: int,\n"
	"  guest_available: int, guest_caches: int, guest_told_ms: int, weight: int, reclaim: (off, report, auto),\n"
	"  driver: bool, fixed: bool, host_total: int, host_available: int, paged_out: int, decided_ms: int,\n"
	"  stall_permille: int, pressure: string, decision: string)\n"
	"\n"
	"# As struct tvmm_stats.\n"
	"type Stats (exits_user: int, exits_pio: int, exits_mmio: int, io_wakeups: int, guest_faults: int,\n"
	"  ns_to_run: int, memory_configured: int, disk_errors: int, net_dropped: int, links_down: int)\n"
	"\n"
	"# Everything there is to know; kvm: what KVM counts of the vCPUs, empty where it does not; description: a line for\n"
	"# each part that was built.\n"
	"method Describe() -> (name: string, version: string, pid: int, state: (created, running, ended), cpus: int,\n"
	"  uptime_ms: int, memory: Memory, stats: Stats, kvm: [string]int, description: []string)\n"
	"\n"
	"# All figures, in the OpenMetrics format.\n"
	"method GetMetrics() -> (text: string)\n"
	"\n"
	"method GetMemory() -> (name: string, memory: Memory)\n"
	"\n"
	"# What the guest is to keep within, from now on; 0: the machine decides.\n"
	"method SetMemory(bytes: int) -> ()\n"
	"\n"
	"# The guest hands over all its free memory once.\n"
	"method TrimMemory() -> ()\n"
	"\n"
	"# The image of the disk of this number, from 0, has another size by now.\n"
	"method RefreshDisk(index: int) -> ()\n"
	"\n"
	"# Presses the power button: a guest that listens shuts down.\n"
	"method PowerButton() -> ()\n"
	"\n"
	"# Ends the machine at once.\n"
	"method Stop() -> ()\n"
	"\n"
	"# Answers when the machine has ended.\n"
	"method Wait() -> (reason: string, exit_status: int, detail: string, hint: string)\n"
	"\n"
	"# As struct tvmm_error; the name says of what kind it is.\n"
	"error Refused (code: int, sys_errno: int, object: string, message: string, hint: string)\n"
	"error Busy (code: int, sys_errno: int, object: string, message: string, hint: string)\n"
	"error Unsupported (code: int, sys_errno: int, object: string, message: string, hint: string)\n"
	"error HostFailed (code: int, sys_errno: int, object: string, message: string, hint: string)\n"
	"\n"
	"# Not a message of varlink's; the connection is closed.\n"
	"error BadMessage (message: string)\n"
	"error TooManyClients (message: string)\n";

static const char interface_service[] =
	"interface org.varlink.service\n"
	"\n"
	"method GetInfo() -> (vendor: string, product: string, version: string, url: string, interfaces: []string)\n"
	"method GetInterfaceDescription(interface: string) -> (description: string)\n"
	"\n"
	"error InterfaceNotFound (interface: string)\n"
	"error MethodNotFound (method: string)\n"
	"error InvalidParameter (parameter: string)\n";

/* ---- methods ---------------------------------------------------------------------------------------------------- */

/*
 * Writes the members of the answer's parameters, or fails with *ERR filled; TVMM_E_NONE there means that the parameter
 * that it names as its object is missing or wrong.
 */
typedef int method_fn(struct control_calls *c, int params, struct json_out *o, struct tvmm_error *err);

static int bad_parameter(struct tvmm_error *err, const char *name)
{
	return err_set(err, TVMM_E_NONE, 0, name, "the parameter is missing or wrong");
}

static void read_info(struct control_calls *c, struct tvmm_info *info)
{
	struct tvmm_stats s = { .size = sizeof(s) };

	*info = (struct tvmm_info){ .pid = getpid(), .cpus = c->cpus, .uptime_ms = (c->host->now_ns(c->host) - c->since_ns) / 1000000 };
	snprintf(info->name, sizeof(info->name), "%s", c->name);
	snprintf(info->version, sizeof(info->version), "%s", tvmm_version());
	tvmm_vm_stats(c->vm, &s);
	info->state = control_has_ended(c) ? TVMM_STATE_ENDED : s.ns_to_run ? TVMM_STATE_RUNNING : TVMM_STATE_CREATED;
}

static void write_memory(struct control_calls *c, struct json_out *o)
{
	struct tvmm_memory m = { .size = sizeof(m) };

	tvmm_vm_memory(c->vm, &m);
	fields_write(o, "memory", fields_memory, &m);
}

static void write_description(struct control_calls *c, struct json_out *o)
{
	char text[8192], *line = text;

	tvmm_vm_describe(c->vm, text, sizeof(text));
	json_open(o, "description", '[');
	while (*line) {
		size_t len = strcspn(line, "\n");

		json_put_text(o, NULL, line, len);
		line += len + (line[len] == '\n');
	}
	json_close(o, ']');
}

static void write_counters(struct control_calls *c, struct json_out *o)
{
	struct tvmm_counters k = { .size = sizeof(k) };

	if (tvmm_vm_kvm_counters(c->vm, &k, NULL))
		k.count = 0;
	json_open(o, "kvm", '{');
	for (unsigned i = 0; i < k.count; i++)
		json_put_u64(o, k.counter[i].name, k.counter[i].total);
	json_close(o, '}');
}

static int get_metrics(struct control_calls *c, int params, struct json_out *o, struct tvmm_error *err)
{
	if (metrics_text(c->vm, c->name, c->text, sizeof(c->text)))
		return err_set(err, TVMM_E_HOST, ENOBUFS, NULL, "the metrics are too long");
	json_put_string(o, "text", c->text);
	return 0;
}

static int describe(struct control_calls *c, int params, struct json_out *o, struct tvmm_error *err)
{
	struct tvmm_info info;
	struct tvmm_stats s = { .size = sizeof(s) };

	read_info(c, &info);
	fields_write(o, "", fields_info, &info);
	write_memory(c, o);
	tvmm_vm_stats(c->vm, &s);
	fields_write(o, "stats", fields_stats, &s);
	write_counters(c, o);
	write_description(c, o);
	return 0;
}

static int get_memory(struct control_calls *c, int params, struct json_out *o, struct tvmm_error *err)
{
	json_put_string(o, "name", c->name);
	write_memory(c, o);
	return 0;
}

static int set_memory(struct control_calls *c, int params, struct json_out *o, struct tvmm_error *err)
{
	uint64_t bytes;

	if (!json_u64(&c->doc, json_get(&c->doc, params, "bytes"), &bytes))
		return bad_parameter(err, "bytes");
	return tvmm_vm_set_memory(c->vm, bytes, err);
}

static int trim_memory(struct control_calls *c, int params, struct json_out *o, struct tvmm_error *err)
{
	return tvmm_vm_trim_memory(c->vm, err);
}

static int refresh_disk(struct control_calls *c, int params, struct json_out *o, struct tvmm_error *err)
{
	uint64_t index;

	if (!json_u64(&c->doc, json_get(&c->doc, params, "index"), &index) || index > UINT32_MAX)
		return bad_parameter(err, "index");
	return tvmm_vm_disk_refresh(c->vm, (unsigned)index, err);
}

static int power_button(struct control_calls *c, int params, struct json_out *o, struct tvmm_error *err)
{
	return tvmm_vm_request(c->vm, TVMM_REQ_POWER_BUTTON, err);
}

static int stop(struct control_calls *c, int params, struct json_out *o, struct tvmm_error *err)
{
	return tvmm_vm_request(c->vm, TVMM_REQ_STOP, err);
}

static int wait_end(struct control_calls *c, int params, struct json_out *o, struct tvmm_error *err)
{
	struct tvmm_result r = { .size = sizeof(r) };

	tvmm_vm_wait(c->vm, 0, &r);
	fields_write(o, "", fields_result, &r);
	return 0;
}

static int get_info(struct control_calls *c, int params, struct json_out *o, struct tvmm_error *err)
{
	json_put_string(o, "vendor", "tinyvmm");
	json_put_string(o, "product", "tinyvmm");
	json_put_string(o, "version", tvmm_version());
	json_put_string(o, "url", "");
	json_open(o, "interfaces", '[');
	json_put_string(o, NULL, SERVICE);
	json_put_string(o, NULL, VM);
	json_close(o, ']');
	return 0;
}

static int get_interface(struct control_calls *c, int params, struct json_out *o, struct tvmm_error *err)
{
	char name[64];
	int i = json_get(&c->doc, params, "interface");

	if (!json_is(&c->doc, i, JSON_STRING))
		return bad_parameter(err, "interface");
	if (!json_decode(&c->doc, i, name, sizeof(name)) || (strcmp(name, VM) && strcmp(name, SERVICE)))
		return -ENOENT; /* a reply of its own */
	json_put_string(o, "description", strcmp(name, VM) ? interface_service : interface_vm);
	return 0;
}

static const struct method {
	const char *name;
	method_fn *fn;
	const char *parameter; /* the only one it takes, or NULL */
} methods[] = {
	{ VM ".Describe", describe, NULL },
	{ VM ".GetMetrics", get_metrics, NULL },
	{ VM ".GetMemory", get_memory, NULL },
	{ VM ".SetMemory", set_memory, "bytes" },
	{ VM ".TrimMemory", trim_memory, NULL },
	{ VM ".RefreshDisk", refresh_disk, "index" },
	{ VM ".PowerButton", power_button, NULL },
	{ VM ".Stop", stop, NULL },
	{ VM ".Wait", wait_end, NULL },
	{ SERVICE ".GetInfo", get_info, NULL },
	{ SERVICE ".GetInterfaceDescription", get_interface, "interface" },
};

/* ---- answers ---------------------------------------------------------------------------------------------------- */

/* With its NUL.  What does not fit is never sent: a message too long for its buffer is a mistake of ours. */
static size_t finish(struct json_out *o)
{
	json_close(o, '}');
	json_close(o, '}');
	if (o->full) {
		static const char large[] = "{\"error\":\"" VM ".HostFailed\",\"parameters\":{\"message\":\"the answer is too long\"}}";

		memcpy(o->buf, large, sizeof(large));
		return sizeof(large);
	}
	return o->len + 1;
}

static void begin_error(struct json_out *o, char *out, const char *name)
{
	json_begin(o, out, CONTROL_REPLY_MAX);
	json_open(o, NULL, '{');
	json_put_string(o, "error", name);
	json_open(o, "parameters", '{');
}

static size_t simple_error(char *out, const char *name, const char *key, const char *value)
{
	struct json_out o;

	begin_error(&o, out, name);
	json_put_string(&o, key, value);
	return finish(&o);
}

void control_error_reply(const char *name, const char *message, char *out, size_t *out_len)
{
	*out_len = simple_error(out, name, "message", message);
}

static const char *error_name(const struct tvmm_error *err)
{
	switch (err->code) {
	case TVMM_E_CONFIG:
		return VM ".Refused";
	case TVMM_E_BUSY:
		return VM ".Busy";
	case TVMM_E_UNSUPPORTED:
		return VM ".Unsupported";
	default:
		return VM ".HostFailed";
	}
}

static size_t error_reply(char *out, const struct tvmm_error *err)
{
	struct json_out o;

	if (err->code == TVMM_E_NONE)
		return simple_error(out, SERVICE ".InvalidParameter", "parameter", err->object);
	begin_error(&o, out, error_name(err));
	fields_write(&o, "", fields_error, err);
	return finish(&o);
}

/* The first parameter that METHOD does not take; -1: there is none such. */
static bool has_unknown(const struct json *j, int params, const struct method *m, char *name, size_t size)
{
	if (params < 0)
		return false;
	for (uint32_t k = (uint32_t)params + 1; k < j->value[params].next; k = j->value[k + 1].next) {
		if (!json_decode(j, (int)k, name, size) || !m->parameter || strcmp(name, m->parameter))
			return true;
	}
	return false;
}

static size_t call(struct control_calls *c, const struct method *m, int params, char *out)
{
	struct tvmm_error err = { 0 };
	struct json_out o;
	int ret;

	if (has_unknown(&c->doc, params, m, err.object, sizeof(err.object)))
		return error_reply(out, &err);
	json_begin(&o, out, CONTROL_REPLY_MAX);
	json_open(&o, NULL, '{');
	json_open(&o, "parameters", '{');
	ret = m->fn(c, params, &o, &err);
	if (!ret)
		return finish(&o);
	if (m->fn == get_interface && ret == -ENOENT) {
		char name[64] = "";

		json_decode(&c->doc, json_get(&c->doc, params, "interface"), name, sizeof(name));
		return simple_error(out, SERVICE ".InterfaceNotFound", "interface", name);
	}
	return error_reply(out, &err);
}

bool control_has_ended(struct control_calls *c)
{
	struct tvmm_result r = { .size = sizeof(r) };

	return tvmm_vm_wait(c->vm, 0, &r) == 0;
}

void control_end_reply(struct control_calls *c, char *out, size_t *out_len)
{
	static const struct method wait = { VM ".Wait", wait_end, NULL };

	*out_len = call(c, &wait, -1, out);
}

static enum control_next answer_method(struct control_calls *c, const char *name, int params, char *out, size_t *out_len)
{
	for (unsigned i = 0; i < ARRAY_SIZE(methods); i++) {
		if (strcmp(methods[i].name, name))
			continue;
		if (methods[i].fn == wait_end && !has_unknown(&c->doc, params, &methods[i], out, CONTROL_REPLY_MAX) &&
		    !control_has_ended(c))
			return CONTROL_WAIT;
		*out_len = call(c, &methods[i], params, out);
		return CONTROL_REPLY;
	}
	*out_len = simple_error(out, SERVICE ".MethodNotFound", "method", name);
	return CONTROL_REPLY;
}

enum control_next control_answer(struct control_calls *c, const char *msg, size_t len, char *out, size_t *out_len)
{
	enum control_next next;
	char name[128];
	int params;
	bool oneway = false;

	if (len > CONTROL_MESSAGE_MAX || json_parse(&c->doc, msg, len) ||
	    !json_decode(&c->doc, json_get(&c->doc, 0, "method"), name, sizeof(name))) {
		control_error_reply(VM ".BadMessage", "a call is one JSON object with a \"method\", and a NUL after it", out, out_len);
		return CONTROL_CLOSE;
	}
	params = json_get(&c->doc, 0, "parameters");
	json_bool(&c->doc, json_get(&c->doc, 0, "oneway"), &oneway);
	if (json_is(&c->doc, params, JSON_NULL))
		params = -1;
	if (params >= 0 && !json_is(&c->doc, params, JSON_OBJECT)) {
		*out_len = simple_error(out, SERVICE ".InvalidParameter", "parameter", "parameters");
		next = CONTROL_REPLY;
	} else {
		next = answer_method(c, name, params, out, out_len);
	}
	return oneway ? CONTROL_SILENT : next;
}
