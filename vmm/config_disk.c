/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * config_disk.c - the value of the key "disk": PATH[,key[=value]]...
 *
 * Called by config.c, on the embedder's thread.  Opens nothing: whether the path is an image, and the host can do what is
 * asked of it, is found out when the machine is made.
 */
#include <stdlib.h>
#include <string.h>
#include "bits.h"
#include "config.h"
#include "config_words.h"
#include "error.h"
#include "ratelimit.h"

static int disk_serial(struct config_disk *disk, const char *value, struct tvmm_error *err)
{
	size_t len = value ? strlen(value) : 0;

	if (!len || len > CONFIG_SERIAL_MAX)
		return err_set(err, TVMM_E_CONFIG, 0, "disk", "serial needs 1 to %d characters", CONFIG_SERIAL_MAX);
	for (size_t i = 0; i < len; i++) {
		if (value[i] <= ' ' || value[i] > '~')
			return err_set(err, TVMM_E_CONFIG, 0, "disk", "serial '%s' has a character that is not printable ASCII",
				       word_show(value).s);
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
	if (!value_uint(value, CONFIG_ROOT_PART_MAX, &disk->root_part) || !disk->root_part)
		return err_set(err, TVMM_E_CONFIG, 0, "disk", "root '%s' is not a partition number from 1 to %d",
			       word_show(value).s, CONFIG_ROOT_PART_MAX);
	return 0;
}

/* On, off, or a folder. */
static int disk_ephemeral(struct config_disk *disk, const char *value, struct tvmm_error *err)
{
	int ret;

	disk->ephemeral = !value || strcmp(value, "off");
	if (!value || !strcmp(value, "on") || !strcmp(value, "off"))
		return 0;
	if (strchr(value, '/'))
		return value_path("disk", value, &disk->ephemeral_dir, err);
	ret = err_set(err, TVMM_E_CONFIG, 0, "disk", "ephemeral '%s' is neither on, off nor a folder", word_show(value).s);
	err_hint(err, "a folder is written with a slash: ephemeral=/var/tmp");
	return ret;
}

static int disk_format(struct config_disk *disk, const char *value, struct tvmm_error *err)
{
	static const char *const words[] = { "raw", "vhost-user", NULL };
	unsigned i = 0;

	while (words[i] && strcmp(words[i], value ? value : ""))
		i++;
	disk->format = (enum config_disk_format)i;
	return words[i] ? 0 : word_unknown(err, "disk", "unknown format", value ? value : "", words,
					    "raw, and vhost-user, by which qemu-storage-daemon serves all others");
}

enum { KEY_RO, KEY_ROOT, KEY_SERIAL, KEY_DIRECT, KEY_EPHEMERAL, KEY_BW, KEY_IOPS, KEY_BURST, KEY_FORMAT };
static const char *const keys[] = { "ro", "root", "serial", "direct", "ephemeral", "bw", "iops", "burst", "format", NULL };
#define KNOWN "ro, root[=PARTITION], serial=TEXT, direct, ephemeral[=DIR], bw=SIZE/s, iops=N, burst=TIME, format=raw|vhost-user"

static int disk_key(struct config_disk *disk, const char *key, const char *value, unsigned *seen, struct tvmm_error *err)
{
	unsigned i = 0;

	while (keys[i] && strcmp(keys[i], key))
		i++;
	if (!keys[i]) {
		if (!strncmp(key, "no-", 3))
			return err_set(err, TVMM_E_CONFIG, 0, "disk", "'%s' is not a key; to turn one off write key=off",
				       word_show(key).s);
		return word_unknown(err, "disk", "unknown key", key, keys, KNOWN);
	}
	if (*seen & BIT(i))
		return err_set(err, TVMM_E_CONFIG, 0, "disk", "key '%s' is given twice", key);
	*seen |= BIT(i);
	switch (i) {
	case KEY_RO:
		return value_bool("disk", value, &disk->ro, err);
	case KEY_ROOT:
		return disk_root(disk, value, err);
	case KEY_SERIAL:
		return disk_serial(disk, value, err);
	case KEY_DIRECT:
		return value_bool("disk", value, &disk->direct, err);
	case KEY_EPHEMERAL:
		return disk_ephemeral(disk, value, err);
	case KEY_BW:
		return value_bandwidth("disk", value, &disk->bw, err);
	case KEY_IOPS:
		return value_ops("disk", "iops", value, &disk->iops, err);
	case KEY_FORMAT:
		return disk_format(disk, value, err);
	default:
		return value_burst("disk", value, &disk->burst_ns, err);
	}
}

/* What is the server's affair.  The root's partition is the guest's. */
static int vhost_user_check(unsigned seen, struct tvmm_error *err)
{
	unsigned wrong = seen & ~(BIT(KEY_FORMAT) | BIT(KEY_ROOT));
	int ret;

	if (!wrong)
		return 0;
	ret = err_set(err, TVMM_E_CONFIG, 0, "disk", "'%s' is not for us to decide with format=vhost-user",
		      keys[__builtin_ctz(wrong)]);
	err_hint(err, "the server has the disk: tell it");
	return ret;
}

/* The keys of one disk together. */
static int disk_check(const struct config_disk *disk, unsigned seen, struct tvmm_error *err)
{
	if (disk->format == CONFIG_DISK_VHOST_USER)
		return vhost_user_check(seen, err);
	if (disk->ro && disk->ephemeral)
		return err_set(err, TVMM_E_CONFIG, 0, "disk", "ro and ephemeral contradict each other: nothing can be written to the one, "
			       "and nothing of it is kept of the other");
	if (seen & BIT(KEY_BURST) && !disk->bw && !disk->iops)
		return err_set(err, TVMM_E_CONFIG, 0, "disk", "burst needs a limit: bw, iops or both");
	return 0;
}

static int disk_parse(struct tvmm_config *cfg, char *value, struct config_disk *disk, struct tvmm_error *err)
{
	char *rest = value, *element = value_next(&rest);
	unsigned seen = 0;
	int ret;

	ret = value_path("disk", !strncmp(element, "path=", 5) ? element + 5 : element, &disk->path, err);
	while (!ret && (element = value_next(&rest))) {
		char *v = value_split(element);

		ret = disk_key(disk, element, v, &seen, err);
	}
	if (!ret)
		ret = disk_check(disk, seen, err);
	for (unsigned i = 0; !ret && disk->root && i < cfg->disk_count; i++) {
		if (cfg->disks[i].root)
			ret = err_set(err, TVMM_E_CONFIG, 0, "disk", "disk %u is the root already", i);
	}
	return ret;
}

int config_set_disk(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	struct config_disk disk = { .burst_ns = RATELIMIT_BURST_NS };
	char *copy = NULL;
	int ret;

	if (cfg->disk_count == CONFIG_DISKS_MAX)
		return err_set(err, TVMM_E_CONFIG, 0, "disk", "more than %d disks", CONFIG_DISKS_MAX);
	ret = value_dup("disk", value, &copy, err);
	if (ret)
		return ret;
	ret = disk_parse(cfg, copy, &disk, err);
	free(copy);
	if (ret)
		config_disk_free(&disk);
	else
		cfg->disks[cfg->disk_count++] = disk;
	return ret;
}

void config_disk_free(struct config_disk *disk)
{
	free(disk->path);
	free(disk->ephemeral_dir);
}
