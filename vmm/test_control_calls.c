/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_control_calls.c - what is answered to which call, on a machine that is none and without a socket: messages to the
 * letter, the description of the interface, metrics.  The socket: test_control.c.
 */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "bits.h"
#include "control_calls.h"
#include "control_fields.h"
#include "host.h"
#include "metrics.h"
#include "test.h"
#include "test_stub_vm.h"

static struct control_calls calls;
static char out[CONTROL_REPLY_MAX];

static void set_up_calls(struct tvmm_vm *vm)
{
	calls = (struct control_calls){ .vm = vm, .host = host_linux(), .name = "web", .cpus = 2 };
}

static enum control_next answer(const char *msg)
{
	size_t len = 0;
	enum control_next next = control_answer(&calls, msg, strlen(msg), out, &len);

	if (next == CONTROL_REPLY || next == CONTROL_CLOSE)
		ck_assert_uint_eq(len, strlen(out) + 1);
	return next;
}

START_TEST(messages)
{
	static const struct {
		const char *call, *reply;
	} cases[] = {
		{ "{\"method\":\"org.tinyvmm.VM.SetMemory\",\"parameters\":{\"bytes\":4096}}", "{\"parameters\":{}}" },
		{ "{\"method\":\"org.tinyvmm.VM.SetMemory\",\"parameters\":{\"bytes\":1}}",
		  "{\"error\":\"org.tinyvmm.VM.Refused\",\"parameters\":{\"code\":1,\"sys_errno\":22,\"object\":\"memory\","
		  "\"message\":\"too small\",\"hint\":\"\"}}" },
		{ "{\"method\":\"org.tinyvmm.VM.SetMemory\",\"parameters\":{\"bytes\":2}}",
		  "{\"error\":\"org.tinyvmm.VM.Unsupported\",\"parameters\":{\"code\":10,\"sys_errno\":95,\"object\":\"memory\","
		  "\"message\":\"reclaim is off\",\"hint\":\"\"}}" },
		{ "{\"method\":\"org.tinyvmm.VM.SetMemory\",\"parameters\":{\"bytes\":3}}",
		  "{\"error\":\"org.tinyvmm.VM.HostFailed\",\"parameters\":{\"code\":9,\"sys_errno\":5,\"object\":\"\","
		  "\"message\":\"the host failed\",\"hint\":\"\"}}" },
		{ "{\"method\":\"org.tinyvmm.VM.RefreshDisk\",\"parameters\":{\"index\":7}}",
		  "{\"error\":\"org.tinyvmm.VM.Busy\",\"parameters\":{\"code\":8,\"sys_errno\":0,\"object\":\"\","
		  "\"message\":\"there is no disk 7\",\"hint\":\"\"}}" },
		{ "{\"method\":\"org.tinyvmm.VM.SetMemory\"}",
		  "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"bytes\"}}" },
		{ "{\"method\":\"org.tinyvmm.VM.SetMemory\",\"parameters\":{\"bytes\":-4}}",
		  "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"bytes\"}}" },
		{ "{\"method\":\"org.tinyvmm.VM.SetMemory\",\"parameters\":{\"bytes\":\"4096\"}}",
		  "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"bytes\"}}" },
		{ "{\"method\":\"org.tinyvmm.VM.SetMemory\",\"parameters\":{\"bytes\":4096,\"now\":true}}",
		  "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"now\"}}" },
		{ "{\"method\":\"org.tinyvmm.VM.Stop\",\"parameters\":{\"x\":1}}",
		  "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"x\"}}" },
		{ "{\"method\":\"org.tinyvmm.VM.Stop\",\"parameters\":[]}",
		  "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"parameters\"}}" },
		{ "{\"method\":\"org.tinyvmm.VM.TrimMemory\",\"parameters\":null}", "{\"parameters\":{}}" },
		{ "{\"method\":\"org.tinyvmm.VM.stop\"}",
		  "{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{\"method\":\"org.tinyvmm.VM.stop\"}}" },
		{ "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{\"interface\":\"a.b\"}}",
		  "{\"error\":\"org.varlink.service.InterfaceNotFound\",\"parameters\":{\"interface\":\"a.b\"}}" },
		{ "{\"method\":\"org.varlink.service.GetInfo\"}",
		  "{\"parameters\":{\"vendor\":\"tinyvmm\",\"product\":\"tinyvmm\",\"version\":\"1.2.3\",\"url\":\"\","
		  "\"interfaces\":[\"org.varlink.service\",\"org.tinyvmm.VM\"]}}" },
	};
	struct tvmm_vm vm = { .end_fd = -1 };

	set_up_calls(&vm);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		ck_assert_int_eq(answer(cases[i].call), CONTROL_REPLY);
		ck_assert_str_eq(out, cases[i].reply);
	}
	ck_assert_uint_eq(vm.bytes, 4096);
	ck_assert_uint_eq(vm.trims, 1);
	ck_assert_int_eq(vm.request, 0);
}
END_TEST

START_TEST(what_is_no_call)
{
	static const char *const bad[] = { "", "x", "{}", "[]", "{\"method\":1}", "{\"method\":\"a\"", "{\"Method\":\"a.b\"}" };
	struct tvmm_vm vm = { .end_fd = -1 };
	static char large[CONTROL_MESSAGE_MAX + 2];

	set_up_calls(&vm);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_int_eq(answer(bad[i]), CONTROL_CLOSE);
		ck_assert_ptr_nonnull(strstr(out, "org.tinyvmm.VM.BadMessage"));
	}
	memset(large, ' ', CONTROL_MESSAGE_MAX + 1);
	memcpy(large, "{\"method\":\"a.b\"}", 16);
	ck_assert_int_eq(answer(large), CONTROL_CLOSE);
	large[CONTROL_MESSAGE_MAX] = '\0';
	ck_assert_int_eq(answer(large), CONTROL_REPLY);
}
END_TEST

START_TEST(no_answer_wanted_or_not_yet)
{
	struct tvmm_vm vm = { .end_fd = -1 };
	size_t len;

	set_up_calls(&vm);
	ck_assert_int_eq(answer("{\"method\":\"org.tinyvmm.VM.Stop\",\"oneway\":true}"), CONTROL_SILENT);
	ck_assert_int_eq(vm.request, TVMM_REQ_STOP);
	ck_assert_int_eq(answer("{\"method\":\"org.tinyvmm.VM.PowerButton\"}"), CONTROL_REPLY);
	ck_assert_int_eq(vm.request, TVMM_REQ_POWER_BUTTON);
	ck_assert_int_eq(answer("{\"method\":\"org.tinyvmm.VM.Wait\"}"), CONTROL_WAIT);
	vm.ended = true;
	ck_assert_int_eq(answer("{\"method\":\"org.tinyvmm.VM.Wait\"}"), CONTROL_REPLY);
	ck_assert_str_eq(out, "{\"parameters\":{\"reason\":\"poweroff\",\"exit_status\":0,\"detail\":\"the guest powered off\",\"hint\":\"\"}}");
	control_end_reply(&calls, out, &len);
	ck_assert_str_eq(out, "{\"parameters\":{\"reason\":\"poweroff\",\"exit_status\":0,\"detail\":\"the guest powered off\",\"hint\":\"\"}}");
}
END_TEST

/* What the machine says of itself: each method named there exists, each member of a structure is named there. */
START_TEST(interface)
{
	static const struct field *const tables[] = { fields_memory, fields_stats, fields_info, fields_result, fields_error };
	struct tvmm_vm vm = { .end_fd = -1 };
	static struct json j;
	static char text[8192];
	unsigned n = 0;

	set_up_calls(&vm);
	ck_assert_int_eq(answer("{\"method\":\"org.varlink.service.GetInterfaceDescription\","
				"\"parameters\":{\"interface\":\"org.tinyvmm.VM\"}}"), CONTROL_REPLY);
	ck_assert_int_eq(json_parse(&j, out, strlen(out)), 0);
	ck_assert(json_decode(&j, json_get(&j, json_get(&j, 0, "parameters"), "description"), text, sizeof(text)));
	for (unsigned t = 0; t < ARRAY_SIZE(tables); t++)
		for (const struct field *f = tables[t]; f->name; f++) {
			char member[64];

			snprintf(member, sizeof(member), "%s: ", f->name);
			ck_assert_msg(strstr(text, member), "not described: %s", f->name);
		}
	for (const char *p = text; (p = strstr(p, "\nmethod ")); n++) {
		char msg[256];

		p += strlen("\nmethod ");
		snprintf(msg, sizeof(msg), "{\"method\":\"org.tinyvmm.VM.%.*s\"}", (int)strcspn(p, "("), p);
		out[0] = '\0';
		answer(msg);
		ck_assert_msg(!strstr(out, "MethodNotFound"), "%s", msg);
	}
	ck_assert_uint_ge(n, 8);
}
END_TEST

/* By the rules of the format: a family before its samples, once, each sample after its family, the end at the end. */
START_TEST(metrics_are_well_formed)
{
	static const struct tvmm_counters k = { sizeof(k), 3, { { "exits", 9 }, { "io_exits", 2 }, { "fpu_reload", 3 } } };
	struct tvmm_vm vm = { .end_fd = -1, .counters = k, .memory = { .configured = 1 << 30, .resident = 4096 },
			      .stats = { .exits_user = 10, .exits_pio = 3, .exits_mmio = 4 } };
	static char text[METRICS_MAX], tiny[64];
	char name[80] = "none", *save = NULL;
	unsigned families = 0, samples = 0;
	bool ended = false;

	ck_assert_int_eq(metrics_text(&vm, "web", text, sizeof(text)), 0);
	ck_assert_ptr_nonnull(strstr(text, "\ntinyvmm_memory_configured_bytes{name=\"web\"} 1073741824\n"));
	ck_assert_ptr_nonnull(strstr(text, "\ntinyvmm_user_exits_total{name=\"web\",reason=\"other\"} 3\n"));
	ck_assert_ptr_nonnull(strstr(text, "\ntinyvmm_vcpu_events_total{name=\"web\",event=\"exits\"} 9\n"));
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		ck_assert(!ended);
		if (!strncmp(line, "# TYPE ", 7)) {
			ck_assert_ptr_null(strstr(line + 7, name));
			ck_assert_int_eq(sscanf(line + 7, "%79s", name), 1);
			families++;
		} else if (!strcmp(line, "# EOF")) {
			ended = true;
		} else {
			ck_assert_ptr_nonnull(strstr(line, name));
			samples += line[0] != '#';
		}
	}
	ck_assert(ended && families > 15 && samples > families);
	ck_assert_int_eq(metrics_text(&vm, "web", tiny, sizeof(tiny)), -ENOBUFS);
	ck_assert_int_eq(metrics_text(&vm, "web", tiny, 0), -ENOBUFS);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { messages, what_is_no_call, no_answer_wanted_or_not_yet, interface, metrics_are_well_formed,
				       NULL };

	return test_main("control_calls", tests);
}
