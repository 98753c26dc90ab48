/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_config.c - the grammar of configuration values: any keys, any values, in any number.
 *
 * What is refused is refused by one line naming the key, and changes nothing; what is taken is within its bounds.
 */
#include "config.h"
#include "error.h"
#include "fuzz_input.h"

const char fuzz_name[] = "config";

static const char *const keys[] = {
	"kernel",  "initrd",      "append",   "disk",        "memory",   "cpus",        "console", "console-log",
	"name",	   "on-reboot",   "on-panic", "no-defaults", "modules",  "net",  "disk",        "vsock", "port", "memory",
};
static const char *const words[] = {
	",ro", ",root", "=on", "=off", ",serial=", "fd=", "file=", "stdio", "none", "exit", "stay", "restart", "path=",
	",,", "1T", "64M", "128", "0", ":", "image", ",root=1", "no-", "rw", "K",
	"user", "uds=", "tap=", ",fwd=tcp:", ",mac=02:", ",queues=", ",mtu=",
};

static void take_text(struct fuzz *in, char *buf, size_t size)
{
	size_t n = 0;
	uint8_t c;

	while (n < size - 32 && fuzz_more(in) && (c = fuzz_u8(in))) {
		if (c < 0x80 && c >= 0x20)
			buf[n++] = (char)c;
		else if (c >= 0xc0)
			buf[n++] = (char)(c - 0xc0);
		else
			n += (size_t)snprintf(buf + n, size - n, "%s", words[c % ARRAY_SIZE(words)]);
	}
	buf[n] = '\0';
}

static void check(const struct tvmm_config *c)
{
	unsigned roots = 0;

	FUZZ_ASSERT(c->initrd_count <= CONFIG_INITRDS_MAX && c->disk_count <= CONFIG_DISKS_MAX);
	FUZZ_ASSERT(c->memory >= CONFIG_MEMORY_MIN && c->memory <= CONFIG_MEMORY_MAX && c->memory % CONFIG_MEMORY_STEP == 0);
	FUZZ_ASSERT(c->cpus >= 1 && c->cpus <= CONFIG_CPUS_MAX);
	FUZZ_ASSERT(strlen(c->name) <= CONFIG_NAME_MAX);
	for (unsigned i = 0; i < c->disk_count; i++) {
		const struct config_disk *d = &c->disks[i];

		FUZZ_ASSERT(d->path && *d->path && strlen(d->serial) <= CONFIG_SERIAL_MAX);
		FUZZ_ASSERT(d->root_part <= CONFIG_ROOT_PART_MAX && (d->root || !d->root_part));
		roots += d->root;
	}
	FUZZ_ASSERT(roots <= 1);
	FUZZ_ASSERT((c->console.kind == CONFIG_CONSOLE_FILE) == !!c->console.path);
	FUZZ_ASSERT((c->console.kind == CONFIG_CONSOLE_FD) == (c->console.in_fd >= 0));
	FUZZ_ASSERT(!c->kernel || *c->kernel);
}

static void check_refusal(const struct tvmm_error *err)
{
	FUZZ_ASSERT(err->code == TVMM_E_CONFIG && err->message[0]);
	for (const char *p = err->message; *p; p++)
		FUZZ_ASSERT((unsigned char)*p >= ' ' && *p != 0x7f);
	for (const char *p = err->hint; *p; p++)
		FUZZ_ASSERT((unsigned char)*p >= ' ' && *p != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, data + size };
	struct tvmm_config *c = tvmm_config_new();
	char text[256], key[64];

	FUZZ_ASSERT(c);
	while (fuzz_more(&in)) {
		uint8_t b = fuzz_u8(&in);
		unsigned initrds = c->initrd_count, disks = c->disk_count;
		struct tvmm_error err = { 0 };
		int ret;

		if (b == 255)
			take_text(&in, key, sizeof(key));
		else
			snprintf(key, sizeof(key), "%s", keys[b % ARRAY_SIZE(keys)]);
		take_text(&in, text, sizeof(text));
		ret = tvmm_config_set(c, key, b & 64 && b != 255 && fuzz_u8(&in) == 0 ? NULL : text, &err);
		FUZZ_ASSERT(ret == 0 || ret == -EINVAL);
		if (ret) {
			check_refusal(&err);
			FUZZ_ASSERT(initrds == c->initrd_count && disks == c->disk_count);
		}
		check(c);
		err.code = 0;
		ret = config_check(c, &err);
		FUZZ_ASSERT(c->kernel || ret == -EINVAL);
		if (ret)
			check_refusal(&err);
	}
	tvmm_config_free(c);
	return 0;
}
