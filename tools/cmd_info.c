/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_info.c - "tinyvmm info NAME": what a running machine is made of and how it fares; "tinyvmm metrics NAME".  Main
 * thread.
 */
#include <stdio.h>

#include "cmd.h"
#include "machines.h"
#include "opts.h"
#include "result.h"
#include "say.h"

enum { TEXT_MAX = 32768, RATE_MS = 500 };

static int print_json(struct tvmm_client *client, struct tvmm_error *err)
{
	const char *reply;
	int ret = tvmm_client_call(client, "Describe", NULL, &reply, err);

	if (!ret)
		printf("%s\n", reply);
	return ret;
}

static void print_stats(const struct tvmm_stats *s)
{
	printf("exits     %llu to user space: %llu port, %llu memory\n", (unsigned long long)s->exits_user,
	       (unsigned long long)s->exits_pio, (unsigned long long)s->exits_mmio);
	if (s->guest_faults)
		printf("faults    the guest broke a device's rules %llu times\n", (unsigned long long)s->guest_faults);
	if (s->disk_errors)
		printf("faults    the host's storage failed %llu of its requests\n", (unsigned long long)s->disk_errors);
	if (s->links_down || s->net_dropped)
		printf("faults    %llu links down, %llu packets lost\n", (unsigned long long)s->links_down,
		       (unsigned long long)s->net_dropped);
}

/*
 * KVM's counters, by what they grew in half a second; those that never counted anything are left out.  A guest that was
 * built anew in between counts from nothing.
 */
static void print_counters(struct tvmm_client *client)
{
	struct tvmm_counters a = { .size = sizeof(a) }, b = { .size = sizeof(b) };
	struct tvmm_error err;
	uint64_t began = now_ns();
	double seconds;

	if (tvmm_client_kvm_counters(client, &a, &err)) {
		printf("kvm       %s\n", err.message);
		return;
	}
	pause_ms(RATE_MS);
	if (tvmm_client_kvm_counters(client, &b, &err) || a.count != b.count)
		return;
	seconds = (double)(now_ns() - began) / 1e9;
	for (unsigned i = 0; i < b.count; i++) {
		uint64_t more = b.counter[i].total >= a.counter[i].total ? b.counter[i].total - a.counter[i].total : 0;

		if (b.counter[i].total)
			printf("kvm       %-28s %10.0f/s %14llu\n", b.counter[i].name, (double)more / seconds,
			       (unsigned long long)b.counter[i].total);
	}
}

static int print_text(struct tvmm_client *client, struct tvmm_error *err)
{
	static const char *const states[] = { "created", "running", "ended" };
	struct tvmm_info i = { .size = sizeof(i) };
	struct tvmm_memory m = { .size = sizeof(m) };
	struct tvmm_stats s = { .size = sizeof(s) };
	static char text[TEXT_MAX];
	int ret = tvmm_client_info(client, &i, err);

	if (!ret)
		ret = tvmm_client_describe(client, text, sizeof(text), err);
	if (!ret)
		ret = tvmm_client_memory(client, &m, err);
	if (!ret)
		ret = tvmm_client_stats(client, &s, err);
	if (ret)
		return ret;
	printf("name      %s\nstate     %s, %s\nprocess   %d, tinyvmm %s\n%s", i.name,
	       i.state >= 0 && i.state <= TVMM_STATE_ENDED ? states[i.state] : "unknown", show_time(i.uptime_ms).s, i.pid, i.version,
	       text);
	printf("usage     ");
	machine_print_memory(&m);
	printf("\n");
	print_stats(&s);
	print_counters(client);
	return 0;
}

int cmd_metrics(char *const argv[])
{
	struct opts_walk walk = { .verb = VERB_METRICS, .argv = argv };
	struct tvmm_client *client;
	static char text[TEXT_MAX];
	struct tvmm_error err;
	int code, ret;

	if (!machine_args(&walk, 1, "metrics NAME", NULL, &code))
		return code;
	ret = machine_connect(&client, walk.word[0], &err);
	if (ret)
		return machine_failed(&err);
	ret = tvmm_client_metrics(client, text, sizeof(text), &err);
	tvmm_client_close(client);
	if (ret)
		return machine_failed(&err);
	printf("%s", text);
	return machine_printed();
}

int cmd_info(char *const argv[])
{
	struct opts_walk walk = { .verb = VERB_INFO, .argv = argv };
	struct tvmm_client *client;
	struct tvmm_error err;
	bool json = false;
	int code, ret;

	if (!machine_args(&walk, 1, "info NAME", &json, &code))
		return code;
	ret = machine_connect(&client, walk.word[0], &err);
	if (ret)
		return machine_failed(&err);
	ret = json ? print_json(client, &err) : print_text(client, &err);
	tvmm_client_close(client);
	return ret ? machine_failed(&err) : machine_printed();
}
