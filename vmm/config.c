/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * config.c - tvmm_config_new(), _free(), _set(), _set_log() (tinyvmm.h) and config_check(): the grammar of values.
 *
 * One table gives each key its function.  A list value is "PATH[,key[=value]]...": the first element is the path, ",,"
 * stands for a comma, "key" is "key=on".  What is unknown is refused, with the nearest known word as the hint.  A key
 * given again adds to the list keys (initrd, append, disk) and replaces the others.  A call that fails changes nothing.
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
#include "error.h"

/* ---- words ------------------------------------------------------------------------------------------------------ */

/* A value as a message may quote it: short, one line, no control characters. */
struct shown {
	char s[64];
};

static struct shown show(const char *value)
{
	struct shown out;
	size_t n = 0;

	for (; value[n] && n < sizeof(out.s) - 4; n++)
		out.s[n] = (value[n] < ' ' && value[n] >= 0) || value[n] == 0x7f ? '?' : value[n];
	snprintf(out.s + n, sizeof(out.s) - n, "%s", value[n] ? "..." : "");
	return out;
}

enum { WORD_MAX = 24 };

/* How many letters must be changed, added, dropped or swapped with their neighbour to make A into B. */
static unsigned edit_distance(const char *a, const char *b)
{
	unsigned d[WORD_MAX + 1][WORD_MAX + 1];
	size_t la = strlen(a), lb = strlen(b);

	if (la > WORD_MAX || lb > WORD_MAX)
		return UINT_MAX;
	for (size_t i = 0; i <= la; i++) {
		for (size_t j = 0; j <= lb; j++) {
			if (!i || !j) {
				d[i][j] = (unsigned)(i + j);
				continue;
			}
			d[i][j] = MIN(MIN(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = MIN(d[i][j], d[i - 2][j - 2] + 1);
		}
	}
	return d[la][lb];
}

/* The word of the NULL-terminated list that WORD is most likely a slip of; NULL if none is near. */
static const char *nearest(const char *word, const char *const *words)
{
	unsigned best = strlen(word) <= 3 ? 1 : 2;
	const char *found = NULL;

	for (; *words; words++) {
		unsigned d = edit_distance(word, *words);

		if (d < best + !found) {
			best = d;
			found = *words;
		}
	}
	return found;
}

static int bad_word(struct tvmm_error *err, const char *object, const char *what, const char *word,
		    const char *const *words, const char *known)
{
	const char *near = nearest(word, words);
	int ret = err_set(err, TVMM_E_CONFIG, 0, object, "%s '%s'", what, show(word).s);

	if (near)
		err_hint(err, "did you mean '%s'?", near);
	else
		err_hint(err, "known are: %s", known);
	return ret;
}

/* ---- parts of values -------------------------------------------------------------------------------------------- */

/* A decimal number of at most MAX.  Signs, spaces and other bases are refused: a typing error must not become a value. */
static bool parse_uint(const char *s, unsigned max, unsigned *out)
{
	uint64_t v = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		v = v * 10 + (uint64_t)(*s - '0');
		if (v > max)
			return false;
	}
	*out = (unsigned)v;
	return true;
}

static int parse_bool(const char *key, const char *value, bool *out, struct tvmm_error *err)
{
	if (!value || !strcmp(value, "on"))
		*out = true;
	else if (!strcmp(value, "off"))
		*out = false;
	else
		return err_set(err, TVMM_E_CONFIG, 0, key, "'%s' is neither on nor off", show(value).s);
	return 0;
}

static int dup_string(const char *key, const char *value, char **out, struct tvmm_error *err)
{
	char *copy = strdup(value);

	if (!copy)
		return err_set(err, TVMM_E_MEMORY, ENOMEM, key, "no memory for the configuration");
	free(*out);
	*out = copy;
	return 0;
}

static int check_path(const char *key, const char *path, struct tvmm_error *err)
{
	if (!*path)
		return err_set(err, TVMM_E_CONFIG, 0, key, "the path is empty");
	if (strlen(path) >= PATH_MAX)
		return err_set(err, TVMM_E_CONFIG, 0, key, "the path has %zu bytes; the most is %d", strlen(path),
			       PATH_MAX - 1);
	return 0;
}

static int set_path(const char *key, const char *path, char **out, struct tvmm_error *err)
{
	int ret = check_path(key, path, err);

	return ret ? ret : dup_string(key, path, out, err);
}

/* Cuts the next element off *REST, in place, making ",," a comma.  NULL at the end. */
static char *next_element(char **rest)
{
	char *start = *rest, *from = start, *to = start;

	if (!start)
		return NULL;
	while (*from && (*from != ',' || from[1] == ',')) {
		if (*from == ',')
			from++;
		*to++ = *from++;
	}
	*rest = *from ? from + 1 : NULL;
	*to = '\0';
	return start;
}

/* Splits "key=value" in place; VALUE is NULL where there is no '='. */
static char *split_value(char *element)
{
	char *eq = strchr(element, '=');

	if (!eq)
		return NULL;
	*eq = '\0';
	return eq + 1;
}

/* A value that is one path, in list form, so that keys can be added to it some day. */
static int set_list_path(const char *key, const char *value, char **out, struct tvmm_error *err)
{
	char *copy = NULL, *rest, *path;
	int ret = dup_string(key, value, &copy, err);

	if (ret)
		return ret;
	rest = copy;
	path = next_element(&rest);
	if (rest) {
		ret = err_set(err, TVMM_E_CONFIG, 0, key, "nothing may follow the path; found '%s'", show(rest).s);
		err_hint(err, "write a comma that belongs to the path twice");
	} else {
		ret = set_path(key, path, out, err);
	}
	free(copy);
	return ret;
}

/* ---- keys ------------------------------------------------------------------------------------------------------- */

static int set_kernel(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	return set_path("kernel", value, &cfg->kernel, err);
}

static int set_initrd(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	int ret;

	if (cfg->initrd_count == CONFIG_INITRDS_MAX)
		return err_set(err, TVMM_E_CONFIG, 0, "initrd", "more than %d initrds", CONFIG_INITRDS_MAX);
	ret = set_path("initrd", value, &cfg->initrds[cfg->initrd_count], err);
	if (!ret)
		cfg->initrd_count++;
	return ret;
}

static int set_append(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	size_t had = cfg->append ? strlen(cfg->append) : 0, more = strlen(value);
	char *joined;

	if (!had)
		return dup_string("append", value, &cfg->append, err);
	joined = realloc(cfg->append, had + 1 + more + 1);
	if (!joined)
		return err_set(err, TVMM_E_MEMORY, ENOMEM, "append", "no memory for the configuration");
	joined[had] = ' ';
	memcpy(joined + had + 1, value, more + 1);
	cfg->append = joined;
	return 0;
}

static int disk_serial(struct config_disk *disk, const char *value, struct tvmm_error *err)
{
	size_t len = value ? strlen(value) : 0;

	if (!len || len > CONFIG_SERIAL_MAX)
		return err_set(err, TVMM_E_CONFIG, 0, "disk", "serial needs 1 to %d characters", CONFIG_SERIAL_MAX);
	for (size_t i = 0; i < len; i++) {
		if (value[i] <= ' ' || value[i] > '~')
			return err_set(err, TVMM_E_CONFIG, 0, "disk", "serial '%s' has a character that is not printable ASCII",
				       show(value).s);
	}
	memcpy(disk->serial, value, len + 1);
	return 0;
}

static int disk_root(struct config_disk *disk, const char *value, struct tvmm_error *err)
{
	disk->root_part = 0;
	disk->root = !value || strcmp(value, "off");
	if (!value || !strcmp(value, "on") || !strcmp(value, "off"))
		return 0;
	if (!parse_uint(value, CONFIG_ROOT_PART_MAX, &disk->root_part) || !disk->root_part)
		return err_set(err, TVMM_E_CONFIG, 0, "disk", "root '%s' is not a partition number from 1 to %d",
			       show(value).s, CONFIG_ROOT_PART_MAX);
	return 0;
}

static int disk_key(struct config_disk *disk, const char *key, const char *value, unsigned *seen, struct tvmm_error *err)
{
	static const char *const keys[] = { "ro", "root", "serial", NULL };
	unsigned i = 0;

	while (keys[i] && strcmp(keys[i], key))
		i++;
	if (!keys[i]) {
		if (!strncmp(key, "no-", 3))
			return err_set(err, TVMM_E_CONFIG, 0, "disk", "'%s' is not a key; to turn one off write key=off",
				       show(key).s);
		return bad_word(err, "disk", "unknown key", key, keys, "ro, root[=PARTITION], serial=TEXT");
	}
	if (*seen & BIT(i))
		return err_set(err, TVMM_E_CONFIG, 0, "disk", "key '%s' is given twice", key);
	*seen |= BIT(i);
	switch (i) {
	case 0:
		return parse_bool("disk", value, &disk->ro, err);
	case 1:
		return disk_root(disk, value, err);
	default:
		return disk_serial(disk, value, err);
	}
}

static int disk_parse(struct tvmm_config *cfg, char *value, struct config_disk *disk, struct tvmm_error *err)
{
	char *rest = value, *element = next_element(&rest);
	unsigned seen = 0;
	int ret;

	ret = set_path("disk", !strncmp(element, "path=", 5) ? element + 5 : element, &disk->path, err);
	while (!ret && (element = next_element(&rest))) {
		char *v = split_value(element);

		ret = disk_key(disk, element, v, &seen, err);
	}
	for (unsigned i = 0; !ret && disk->root && i < cfg->disk_count; i++) {
		if (cfg->disks[i].root)
			ret = err_set(err, TVMM_E_CONFIG, 0, "disk", "disk %u is the root already", i);
	}
	return ret;
}

static int set_disk(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	struct config_disk disk = { 0 };
	char *copy = NULL;
	int ret;

	if (cfg->disk_count == CONFIG_DISKS_MAX)
		return err_set(err, TVMM_E_CONFIG, 0, "disk", "more than %d disks", CONFIG_DISKS_MAX);
	ret = dup_string("disk", value, &copy, err);
	if (ret)
		return ret;
	ret = disk_parse(cfg, copy, &disk, err);
	free(copy);
	if (ret)
		free(disk.path);
	else
		cfg->disks[cfg->disk_count++] = disk;
	return ret;
}

/* Digits and one optional suffix to bytes.  False if it is not of that form; *TOO_BIG if it is but does not fit. */
static bool parse_size(const char *s, uint64_t *out, bool *too_big)
{
	static const char suffixes[] = "KMGT";
	uint64_t v = 0, limit = CONFIG_MEMORY_MAX;
	unsigned shift = 20;
	const char *suffix;

	*too_big = false;
	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (v <= limit)
			v = v * 10 + (uint64_t)(*s - '0');
	}
	if (*s) {
		suffix = strchr(suffixes, *s & ~0x20);
		if (!suffix || s[1])
			return false;
		shift = 10 * (unsigned)(suffix - suffixes + 1);
	}
	*too_big = v > limit >> shift;
	*out = *too_big ? 0 : v << shift;
	return true;
}

/* A size in the bounds of guest memory. */
static int memory_size(const char *value, uint64_t *out, struct tvmm_error *err)
{
	uint64_t bytes;
	bool too_big;
	int ret;

	if (!parse_size(value, &bytes, &too_big)) {
		ret = err_set(err, TVMM_E_CONFIG, 0, "memory", "'%s' is not a size", show(value).s);
		err_hint(err, "write a whole number of MiB, or one with K, M, G or T: 512, 512M, 2G");
		return ret;
	}
	if (too_big)
		return err_set(err, TVMM_E_CONFIG, 0, "memory", "'%s' is more than the maximum of 1T", show(value).s);
	if (bytes < CONFIG_MEMORY_MIN) {
		ret = err_set(err, TVMM_E_CONFIG, 0, "memory", "'%s' is less than the minimum of 64M", show(value).s);
		if (strspn(value, "0123456789") == strlen(value))
			err_hint(err, "a bare number counts MiB");
		return ret;
	}
	if (bytes % CONFIG_MEMORY_STEP) {
		uint64_t below = align_down(bytes, CONFIG_MEMORY_STEP) >> 20;

		ret = err_set(err, TVMM_E_CONFIG, 0, "memory", "'%s' is not a multiple of 2M", show(value).s);
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
	return bad_word(err, "memory", "unknown way to reclaim", value, modes, "off, report, auto");
}

static int memory_key(struct memory_value *m, const char *key, const char *value, unsigned *seen, struct tvmm_error *err)
{
	static const char *const keys[] = { "min", "reclaim", "weight", NULL };
	unsigned i = 0;

	while (keys[i] && strcmp(keys[i], key))
		i++;
	if (!keys[i])
		return bad_word(err, "memory", "unknown key", key, keys, "min=SIZE, reclaim=off|report|auto, weight=N");
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
		if (parse_uint(value, CONFIG_WEIGHT_MAX, &m->weight) && m->weight)
			return 0;
		return err_set(err, TVMM_E_CONFIG, 0, "memory", "weight '%s' is not a number from 1 to %u",
			       show(value).s, CONFIG_WEIGHT_MAX);
	}
}

static int set_memory(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	struct memory_value m = { .reclaim = CONFIG_RECLAIM_REPORT, .weight = CONFIG_WEIGHT_DEFAULT };
	char *copy = NULL, *rest, *element;
	unsigned seen = 0;
	int ret = dup_string("memory", value, &copy, err);

	if (ret)
		return ret;
	rest = copy;
	ret = memory_size(next_element(&rest), &m.size, err);
	while (!ret && (element = next_element(&rest))) {
		char *v = split_value(element);

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

	if (!parse_uint(value, CONFIG_CPUS_MAX, &n) || !n)
		return err_set(err, TVMM_E_CONFIG, 0, "cpus", "'%s' is not a number from 1 to %d", show(value).s,
			       CONFIG_CPUS_MAX);
	cfg->cpus = n;
	return 0;
}

static int console_fds(struct config_console *console, char *value, struct tvmm_error *err)
{
	char *out = strchr(value, ':');
	unsigned in_fd, out_fd;

	if (out)
		*out++ = '\0';
	if (!parse_uint(value, INT_MAX, &in_fd) || (out && !parse_uint(out, INT_MAX, &out_fd)))
		return err_set(err, TVMM_E_CONFIG, 0, "console", "fd needs one or two descriptor numbers, fd=IN[:OUT]");
	console->in_fd = (int)in_fd;
	console->out_fd = (int)(out ? out_fd : in_fd);
	return 0;
}

static int console_parse(struct config_console *console, char *copy, struct tvmm_error *err)
{
	static const char *const kinds[] = { "stdio", "file", "fd", "none", NULL };
	char *rest = copy, *kind = next_element(&rest);
	char *value = split_value(kind);
	unsigned i = 0;

	while (kinds[i] && strcmp(kinds[i], kind))
		i++;
	if (!kinds[i])
		return bad_word(err, "console", "unknown kind", kind, kinds, "stdio, file=PATH, fd=IN[:OUT], none");
	if (rest)
		return bad_word(err, "console", "unknown key", rest, &kinds[ARRAY_SIZE(kinds) - 1],
				"none after the kind; write a comma that belongs to a path twice");
	console->kind = (enum config_console_kind)i;
	switch (console->kind) {
	case CONFIG_CONSOLE_FILE:
		return set_path("console", value ? value : "", &console->path, err);
	case CONFIG_CONSOLE_FD:
		return console_fds(console, value ? value : copy + strlen(copy), err);
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
	int ret = dup_string("console", value, &copy, err);

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

static int set_console_log(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	return set_list_path("console-log", value, &cfg->console_log, err);
}

static int set_modules(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	return set_list_path("modules", value, &cfg->modules, err);
}

static int set_name(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
	size_t len = strlen(value);

	if (!len || len > CONFIG_NAME_MAX)
		return err_set(err, TVMM_E_CONFIG, 0, "name", "a name has 1 to %d characters", CONFIG_NAME_MAX);
	if (strspn(value, allowed) != len)
		return err_set(err, TVMM_E_CONFIG, 0, "name", "'%s' has a character other than letters, digits, '-', '_', '.'",
			       show(value).s);
	if (*value == '-' || *value == '.')
		return err_set(err, TVMM_E_CONFIG, 0, "name", "'%s' does not begin with a letter, a digit or '_'",
			       show(value).s);
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
	return bad_word(err, key, "unknown value", value, words, known);
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

static int set_no_defaults(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	return parse_bool("no-defaults", value, &cfg->no_defaults, err);
}

/* The names stand apart so that nearest() can look through them; the order of the two lists is the same. */
static const char *const key_names[] = { "kernel",	"initrd", "append",    "disk",	   "memory",	  "cpus", "console",
					 "console-log", "name",	  "on-reboot", "on-panic", "no-defaults",
					 "modules",	NULL };
static int (*const key_setters[])(struct tvmm_config *cfg, const char *value, struct tvmm_error *err) = {
	set_kernel,  set_initrd,      set_append, set_disk,	 set_memory,   set_cpus,
	set_console, set_console_log, set_name,	  set_on_reboot, set_on_panic, set_no_defaults,
	set_modules,
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
		free(cfg->disks[i].path);
	free(cfg->kernel);
	free(cfg->append);
	free(cfg->console.path);
	free(cfg->console_log);
	free(cfg->modules);
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
		return bad_word(err, show(key).s, "unknown key", key, key_names,
				"kernel, initrd, append, disk, memory, cpus, console, console-log, name, on-reboot, "
				"on-panic, no-defaults, modules");
	if (!value && key_setters[i] != set_no_defaults)
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
