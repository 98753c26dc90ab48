/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * config.c - tvmm_config_new(), _free(), _set(), _set_log() (tinyvmm.h) and config_check(): the grammar of values.
 *
 * One table gives each key its function.  A list value is "PATH[,key[=value]]...": the first element is the path, ",,"
 * stands for a comma, "key" is "key=on".  What is unknown is refused, with the nearest known word as the hint.  A key
 * given again adds to the list keys (initrd, append, disk, net, port) and replaces the others.  A call that fails changes nothing.
 *
 * Called by the embedder on its own thread, before the machine exists.  Opens no file and asks the host nothing.
 */
#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bits.h"
#include "config.h"
#include "config_port.h"
#include "config_words.h"
#include "error.h"

/* ---- keys ------------------------------------------------------------------------------------------------------- */

static int set_kernel(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	return value_path("kernel", value, &cfg->kernel, err);
}

static int set_initrd(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	int ret;

	if (cfg->initrd_count == CONFIG_INITRDS_MAX)
		return err_set(err, TVMM_E_CONFIG, 0, "initrd", "more than %d initrds", CONFIG_INITRDS_MAX);
	ret = value_path("initrd", value, &cfg->initrds[cfg->initrd_count], err);
	if (!ret)
		cfg->initrd_count++;
	return ret;
}

static int set_append(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	size_t had = cfg->append ? strlen(cfg->append) : 0, more = strlen(value);
	char *joined;

	if (!had)
		return value_dup("append", value, &cfg->append, err);
	joined = realloc(cfg->append, had + 1 + more + 1);
	if (!joined)
		return err_set(err, TVMM_E_MEMORY, ENOMEM, "append", "no memory for the configuration");
	joined[had] = ' ';
	memcpy(joined + had + 1, value, more + 1);
	cfg->append = joined;
	return 0;
}

static int set_net(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	struct config_net net;
	int ret = config_net_parse(value, &net, err);

	if (ret || net.kind == CONFIG_NET_NONE)
		return ret;
	if (cfg->net_count == CONFIG_NETS_MAX)
		return err_set(err, TVMM_E_CONFIG, 0, "net", "more than %d network interfaces", CONFIG_NETS_MAX);
	cfg->nets[cfg->net_count++] = net;
	return 0;
}

/* A size in the bounds of guest memory. */
static int memory_size(const char *value, uint64_t *out, struct tvmm_error *err)
{
	uint64_t bytes;
	bool too_big;
	int ret;

	if (!value_size(value, CONFIG_MEMORY_MAX, &bytes, &too_big)) {
		ret = err_set(err, TVMM_E_CONFIG, 0, "memory", "'%s' is not a size", word_show(value).s);
		err_hint(err, "write a whole number of MiB, or one with K, M, G or T: 512, 512M, 2G");
		return ret;
	}
	if (too_big)
		return err_set(err, TVMM_E_CONFIG, 0, "memory", "'%s' is more than the maximum of 1T", word_show(value).s);
	if (bytes < CONFIG_MEMORY_MIN) {
		ret = err_set(err, TVMM_E_CONFIG, 0, "memory", "'%s' is less than the minimum of 64M", word_show(value).s);
		if (strspn(value, "0123456789") == strlen(value))
			err_hint(err, "a bare number counts MiB");
		return ret;
	}
	if (bytes % CONFIG_MEMORY_STEP) {
		uint64_t below = align_down(bytes, CONFIG_MEMORY_STEP) >> 20;

		ret = err_set(err, TVMM_E_CONFIG, 0, "memory", "'%s' is not a multiple of 2M", word_show(value).s);
		err_hint(err, "the nearest are %lluM and %lluM", (unsigned long long)below,
			 (unsigned long long)below + (CONFIG_MEMORY_STEP >> 20));
		return ret;
	}
	*out = bytes;
	return 0;
}

struct memory_value {
	uint64_t size, min;
	enum config_reclaim reclaim;
	unsigned weight;
};

static int memory_reclaim(struct memory_value *m, const char *value, struct tvmm_error *err)
{
	static const char *const modes[] = { "off", "report", "auto", NULL };

	for (unsigned i = 0; modes[i]; i++) {
		if (!strcmp(value, modes[i])) {
			m->reclaim = (enum config_reclaim)i;
			return 0;
		}
	}
	return word_unknown(err, "memory", "unknown way to reclaim", value, modes, "off, report, auto");
}

static int memory_key(struct memory_value *m, const char *key, const char *value, unsigned *seen, struct tvmm_error *err)
{
	static const char *const keys[] = { "min", "reclaim", "weight", NULL };
	unsigned i = 0;

	while (keys[i] && strcmp(keys[i], key))
		i++;
	if (!keys[i])
		return word_unknown(err, "memory", "unknown key", key, keys, "min=SIZE, reclaim=off|report|auto, weight=N");
	if (!value)
		return err_set(err, TVMM_E_CONFIG, 0, "memory", "key '%s' needs a value", key);
	if (*seen & BIT(i))
		return err_set(err, TVMM_E_CONFIG, 0, "memory", "key '%s' is given twice", key);
	*seen |= BIT(i);
	switch (i) {
	case 0:
		return memory_size(value, &m->min, err);
	case 1:
		return memory_reclaim(m, value, err);
	default:
		if (value_uint(value, CONFIG_WEIGHT_MAX, &m->weight) && m->weight)
			return 0;
		return err_set(err, TVMM_E_CONFIG, 0, "memory", "weight '%s' is not a number from 1 to %u",
			       word_show(value).s, CONFIG_WEIGHT_MAX);
	}
}

static int set_memory(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	struct memory_value m = { .reclaim = CONFIG_RECLAIM_REPORT, .weight = CONFIG_WEIGHT_DEFAULT };
	char *copy = NULL, *rest, *element;
	unsigned seen = 0;
	int ret = value_dup("memory", value, &copy, err);

	if (ret)
		return ret;
	rest = copy;
	ret = memory_size(value_next(&rest), &m.size, err);
	while (!ret && (element = value_next(&rest))) {
		char *v = value_split(element);

		ret = memory_key(&m, element, v, &seen, err);
	}
	free(copy);
	if (!ret && m.min > m.size)
		ret = err_set(err, TVMM_E_CONFIG, 0, "memory", "min is more than the memory itself");
	if (ret)
		return ret;
	cfg->memory = m.size;
	cfg->memory_min = m.min;
	cfg->reclaim = m.reclaim;
	cfg->weight = m.weight;
	return 0;
}

static int set_cpus(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	unsigned n;

	if (!value_uint(value, CONFIG_CPUS_MAX, &n) || !n)
		return err_set(err, TVMM_E_CONFIG, 0, "cpus", "'%s' is not a number from 1 to %d", word_show(value).s,
			       CONFIG_CPUS_MAX);
	cfg->cpus = n;
	return 0;
}

static int console_parse(struct config_console *console, char *copy, struct tvmm_error *err)
{
	static const char *const kinds[] = { "stdio", "file", "fd", "none", NULL };
	char *rest = copy, *kind = value_next(&rest);
	char *value = value_split(kind);
	unsigned i = 0;

	while (kinds[i] && strcmp(kinds[i], kind))
		i++;
	if (!kinds[i])
		return word_unknown(err, "console", "unknown kind", kind, kinds, "stdio, file=PATH, fd=IN[:OUT], none");
	if (rest)
		return word_unknown(err, "console", "unknown key", rest, &kinds[ARRAY_SIZE(kinds) - 1],
				"none after the kind; write a comma that belongs to a path twice");
	console->kind = (enum config_console_kind)i;
	switch (console->kind) {
	case CONFIG_CONSOLE_FILE:
		return value_path("console", value ? value : "", &console->path, err);
	case CONFIG_CONSOLE_FD:
		return value_fds("console", value ? value : copy + strlen(copy), &console->in_fd, &console->out_fd, err);
	case CONFIG_CONSOLE_STDIO:
	case CONFIG_CONSOLE_NONE:
		break;
	}
	return value ? err_set(err, TVMM_E_CONFIG, 0, "console", "'%s' takes no value", kind) : 0;
}

static int set_console(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	struct config_console console = { .in_fd = -1, .out_fd = -1 };
	char *copy = NULL;
	int ret = value_dup("console", value, &copy, err);

	if (ret)
		return ret;
	ret = console_parse(&console, copy, err);
	free(copy);
	if (ret) {
		free(console.path);
	} else {
		free(cfg->console.path);
		cfg->console = console;
	}
	return ret;
}

static int set_port(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	struct config_port port;
	int ret = config_port_parse(value, &port, err);

	if (ret)
		return ret;
	if (cfg->port_count == CONFIG_PORTS_MAX)
		ret = err_set(err, TVMM_E_CONFIG, 0, "port", "more than %d ports", CONFIG_PORTS_MAX);
	for (unsigned i = 0; !ret && i < cfg->port_count; i++) {
		if (!strcmp(cfg->ports[i].name, port.name))
			ret = err_set(err, TVMM_E_CONFIG, 0, "port", "there is a port '%s' already", port.name);
	}
	if (ret)
		free(port.path);
	else
		cfg->ports[cfg->port_count++] = port;
	return ret;
}

static int set_console_log(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	return value_list_path("console-log", value, &cfg->console_log, err);
}

static int set_modules(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	return value_list_path("modules", value, &cfg->modules, err);
}

static int set_control(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	if (strcmp(value, "none"))
		return value_list_path("control", value, &cfg->control, err);
	free(cfg->control);
	cfg->control = NULL;
	return 0;
}

static int set_name(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
	size_t len = strlen(value);

	if (!len || len > CONFIG_NAME_MAX)
		return err_set(err, TVMM_E_CONFIG, 0, "name", "a name has 1 to %d characters", CONFIG_NAME_MAX);
	if (strspn(value, allowed) != len)
		return err_set(err, TVMM_E_CONFIG, 0, "name", "'%s' has a character other than letters, digits, '-', '_', '.'",
			       word_show(value).s);
	if (*value == '-' || *value == '.')
		return err_set(err, TVMM_E_CONFIG, 0, "name", "'%s' does not begin with a letter, a digit or '_'",
			       word_show(value).s);
	memcpy(cfg->name, value, len + 1);
	return 0;
}

/* Index of VALUE in the NULL-terminated list, or a negative errno with *ERR filled. */
static int choose(const char *key, const char *value, const char *const *words, const char *known,
		  struct tvmm_error *err)
{
	for (int i = 0; words[i]; i++) {
		if (!strcmp(words[i], value))
			return i;
	}
	return word_unknown(err, key, "unknown value", value, words, known);
}

static int set_on_reboot(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	static const char *const words[] = { "exit", "restart", NULL };
	int i = choose("on-reboot", value, words, "exit, restart", err);

	if (i < 0)
		return i;
	cfg->on_reboot = i ? CONFIG_REBOOT_RESTART : CONFIG_REBOOT_EXIT;
	return 0;
}

static int set_on_panic(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	static const char *const words[] = { "exit", "stay", NULL };
	int i = choose("on-panic", value, words, "exit, stay", err);

	if (i < 0)
		return i;
	cfg->on_panic = i ? CONFIG_PANIC_STAY : CONFIG_PANIC_EXIT;
	return 0;
}

static int set_nested(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	static const char *const words[] = { "off", "auto", "require", NULL };
	int i = choose("nested", value, words, "off, auto, require", err);

	if (i < 0)
		return i;
	cfg->nested = (enum config_nested)i;
	return 0;
}

/* A port in the notation that ports have, hexadecimal with 0x, or in decimal. */
static bool parse_port(const char *s, unsigned *port)
{
	unsigned v = 0;

	if (s[0] != '0' || (s[1] | 0x20) != 'x')
		return value_uint(s, UINT16_MAX, port);
	for (s += 2; *s && v <= UINT16_MAX; s++) {
		const char *digits = "0123456789abcdef", *d = strchr(digits, *s >= 'A' && *s <= 'F' ? *s | 0x20 : *s);

		if (!d)
			return false;
		v = v << 4 | (unsigned)(d - digits);
	}
	*port = v;
	return s[-1] != 'x' && s[-1] != 'X' && v <= UINT16_MAX;
}

/* Whether the ports are another device's, the machine finds out. */
static int set_debug_exit(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	unsigned port = CONFIG_DEBUG_EXIT_PORT;
	int ret;

	if (value && !strcmp(value, "off")) {
		cfg->debug_exit = 0;
		return 0;
	}
	if (value && strcmp(value, "on") && (!parse_port(value, &port) || !port || port > CONFIG_DEBUG_EXIT_MAX)) {
		ret = err_set(err, TVMM_E_CONFIG, 0, "debug-exit", "'%s' is not a port", word_show(value).s);
		err_hint(err, "write on, off, or a number from 1 to %#x, for instance %#x", CONFIG_DEBUG_EXIT_MAX,
			 CONFIG_DEBUG_EXIT_PORT);
		return ret;
	}
	cfg->debug_exit = port;
	return 0;
}

static int set_no_defaults(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	return value_bool("no-defaults", value, &cfg->no_defaults, err);
}

/* The names stand apart so that word_unknown() can look through them; the order of the two lists is the same. */
static const char *const key_names[] = { "kernel",	"initrd", "append",    "disk",	   "net", "memory",	  "cpus", "console",
					 "port", "console-log", "name",	  "on-reboot", "on-panic", "no-defaults",
					 "modules",	"debug-exit", "control", "nested", "vsock", "profile", NULL };
static int (*const key_setters[])(struct tvmm_config *cfg, const char *value, struct tvmm_error *err) = {
	set_kernel,  set_initrd,      set_append, config_set_disk,	 set_net, set_memory,   set_cpus,
	set_console, set_port, set_console_log, set_name,	  set_on_reboot, set_on_panic, set_no_defaults,
	set_modules, set_debug_exit,  set_control,
	set_nested, config_set_vsock, config_set_profile,
};
static_assert(ARRAY_SIZE(key_names) == ARRAY_SIZE(key_setters) + 1, "every key has its function");

/* ---- tinyvmm.h -------------------------------------------------------------------------------------------------- */

struct tvmm_config *tvmm_config_new(void)
{
	struct tvmm_config *cfg = calloc(1, sizeof(*cfg));

	if (!cfg)
		return NULL;
	cfg->memory = CONFIG_MEMORY_DEFAULT;
	cfg->reclaim = CONFIG_RECLAIM_REPORT;
	cfg->weight = CONFIG_WEIGHT_DEFAULT;
	cfg->cpus = 1;
	cfg->console = (struct config_console){ .kind = CONFIG_CONSOLE_STDIO, .in_fd = -1, .out_fd = -1 };
	return cfg;
}

void tvmm_config_free(struct tvmm_config *cfg)
{
	if (!cfg)
		return;
	for (unsigned i = 0; i < cfg->initrd_count; i++)
		free(cfg->initrds[i]);
	for (unsigned i = 0; i < cfg->disk_count; i++)
		config_disk_free(&cfg->disks[i]);
	free(cfg->kernel);
	free(cfg->append);
	for (unsigned i = 0; i < cfg->port_count; i++)
		free(cfg->ports[i].path);
	free(cfg->console.path);
	free(cfg->console_log);
	free(cfg->modules);
	free(cfg->control);
	free(cfg->vsock);
	free(cfg);
}

int tvmm_config_set(struct tvmm_config *cfg, const char *key, const char *value, struct tvmm_error *err)
{
	unsigned i = 0;

	if (!cfg || !key)
		return err_set(err, TVMM_E_CONFIG, 0, NULL, "tvmm_config_set() needs a configuration and a key");
	while (key_names[i] && strcmp(key_names[i], key))
		i++;
	if (!key_names[i])
		return word_unknown(err, word_show(key).s, "unknown key", key, key_names,
				"kernel, initrd, append, disk, net, memory, cpus, console, port, console-log, name, on-reboot, "
				"on-panic, no-defaults, modules, debug-exit, control, nested, vsock, profile");
	if (!value && key_setters[i] != set_no_defaults && key_setters[i] != set_debug_exit)
		return err_set(err, TVMM_E_CONFIG, 0, key, "a value is missing");
	return key_setters[i](cfg, value, err);
}

void tvmm_config_set_log(struct tvmm_config *cfg, tvmm_log_fn *fn, void *arg, int level)
{
	cfg->log_fn = fn;
	cfg->log_arg = arg;
	cfg->log_level = level;
}

int config_check(const struct tvmm_config *cfg, struct tvmm_error *err)
{
	int ret;

	if (!cfg->kernel) {
		ret = err_set(err, TVMM_E_CONFIG, 0, "kernel", "no kernel is given");
		err_hint(err, "name a bzImage or a vmlinux, for instance /boot/vmlinuz-$(uname -r)");
		return ret;
	}
	for (unsigned i = 0; cfg->no_defaults && i < cfg->disk_count; i++) {
		if (cfg->disks[i].root) {
			ret = err_set(err, TVMM_E_CONFIG, 0, "disk", "the key 'root' contradicts no-defaults");
			err_hint(err, "write root= into append yourself");
			return ret;
		}
	}
	return 0;
}
