/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_control.c - any message to the control socket, and any answer from it.
 *
 * A message is bytes of the input's own and words that lead far in.  Whatever it is, the answer is JSON, of the form that
 * varlink wants, and ends in one NUL; and what the reader of structures makes of the message taken as an answer stays
 * within the structures.
 */
#include <sys/types.h>
#include "control_calls.h"
#include "control_fields.h"
#include "fuzz_input.h"
#include "test_stub_vm.h"

const char fuzz_name[] = "control";

static const char *const words[] = {
	"{\"method\":\"", "org.tinyvmm.VM.", "org.varlink.service.", "Describe", "GetMemory", "SetMemory", "TrimMemory", "RefreshDisk",
	"PowerButton", "Stop", "Wait", "GetInfo", "GetInterfaceDescription", "GetMetrics", "\",\"parameters\":", "{\"bytes\":", "{\"index\":",
	"{\"interface\":\"", "org.tinyvmm.VM", "\"}", "}", ",\"oneway\":true", ",\"more\":", "null", "\\u00", "\\ud83d\\ude00", "[", "]", "0",
	"18446744073709551615", "-1", "1e9", "{\"configured\":", ",\"reclaim\":\"auto\"", ",\"driver\":true", ",\"decision\":\"",
	"\"pressure\":\"orange\"", "{\"code\":1,\"message\":\"", "\"weight\":4294967296", "\"reason\":\"panic\"", "\"name\":\"",
};

static uint64_t no_time(const struct host *h)
{
	return 5000000;
}

static size_t take_message(struct fuzz *in, char *buf, size_t size)
{
	size_t n = 0;

	while (n < size - 64 && fuzz_more(in)) {
		uint8_t c = fuzz_u8(in);

		if (c == 0)
			break;
		if (c < 0x80)
			buf[n++] = (char)c;
		else if (c == 0xff)
			buf[n++] = (char)fuzz_u8(in); /* anything, a NUL too */
		else
			n += (size_t)snprintf(buf + n, size - n, "%s", words[c % ARRAY_SIZE(words)]);
	}
	return n;
}

static void check_answer(const char *out, size_t len, enum control_next next)
{
	static struct json j;

	FUZZ_ASSERT(len > 1 && len <= CONTROL_REPLY_MAX && memchr(out, 0, len) == out + len - 1);
	FUZZ_ASSERT(json_parse(&j, out, len - 1) == 0 && json_is(&j, 0, JSON_OBJECT));
	FUZZ_ASSERT(json_is(&j, json_get(&j, 0, "parameters"), JSON_OBJECT));
	FUZZ_ASSERT(next != CONTROL_CLOSE || json_is(&j, json_get(&j, 0, "error"), JSON_STRING));
}

/* What a client makes of it. */
static void read_structures(const char *text, size_t len)
{
	struct {
		struct tvmm_memory memory;
		struct tvmm_info info;
		struct tvmm_stats stats;
		struct tvmm_result result;
		struct tvmm_error error;
		char guard;
	} s = { .guard = 1 };
	static struct json j;

	if (json_parse(&j, text, len))
		return;
	fields_read(&j, 0, fields_memory, &s.memory);
	fields_read(&j, 0, fields_info, &s.info);
	fields_read(&j, 0, fields_stats, &s.stats);
	fields_read(&j, 0, fields_result, &s.result);
	fields_read(&j, 0, fields_error, &s.error);
	FUZZ_ASSERT(s.memory.size == 0 && s.guard == 1);
	FUZZ_ASSERT(memchr(s.memory.decision, 0, sizeof(s.memory.decision)) && memchr(s.error.message, 0, sizeof(s.error.message)) &&
		    memchr(s.result.detail, 0, sizeof(s.result.detail)) && memchr(s.info.name, 0, sizeof(s.info.name)));
	FUZZ_ASSERT(s.memory.reclaim >= 0 && s.memory.reclaim <= 2 && s.result.reason >= 0 && s.result.reason <= TVMM_DEBUG_EXIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct host host = { .now_ns = no_time };
	static struct control_calls calls;
	static char out[CONTROL_REPLY_MAX];
	struct fuzz in = { data, data + size };
	struct tvmm_vm vm = { .end_fd = -1, .description = "kernel    \"k\" \xff\nb\n", .ended = fuzz_u8(&in) & 1 };

	calls.vm = &vm;
	calls.host = &host;
	calls.cpus = 1;
	snprintf(calls.name, sizeof(calls.name), "f");
	while (fuzz_more(&in)) {
		char buf[CONTROL_MESSAGE_MAX + 256];
		size_t n = take_message(&in, buf, sizeof(buf)), len = 0;
		/* Exactly as long as it is, so that a read beyond its end is seen. */
		char *msg = malloc(n ? n : 1);
		enum control_next next;

		FUZZ_ASSERT(msg);
		memcpy(msg, buf, n);
		next = control_answer(&calls, msg, n, out, &len);
		FUZZ_ASSERT(next <= CONTROL_CLOSE && (next != CONTROL_WAIT || !vm.ended));
		if (next == CONTROL_REPLY || next == CONTROL_CLOSE)
			check_answer(out, len, next);
		read_structures(msg, n);
		free(msg);
	}
	return 0;
}
