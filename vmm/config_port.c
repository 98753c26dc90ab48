/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * config_port.c - the key "port": a named stream between guest and host, NAME,socket=PATH|file=PATH|fd=IN[:OUT].
 *
 * Called by config.c.  Opens nothing.  A name becomes a file's name under /dev/virtio-ports in Linux, so it has the
 * characters that a file's name can have everywhere.
 */
#include "config_port.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "error.h"
#include "config_words.h"

static const char *const kinds[] = { "socket", "file", "fd", NULL };
#define KNOWN "socket=PATH, file=PATH, fd=IN[:OUT]"

int value_fds(const char *key, char *value, int *in, int *out, struct tvmm_error *err)
{
	char *second = strchr(value, ':');
	unsigned in_fd, out_fd;

	if (second)
		*second++ = '\0';
	if (!value_uint(value, INT_MAX, &in_fd) || (second && !value_uint(second, INT_MAX, &out_fd)))
		return err_set(err, TVMM_E_CONFIG, 0, key, "fd needs one or two descriptor numbers, fd=IN[:OUT]");
	*in = (int)in_fd;
	*out = (int)(second ? out_fd : in_fd);
	return 0;
}

static int check_name(const char *name, struct tvmm_error *err)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
	size_t len = strlen(name);

	if (!len || len > CONFIG_PORT_NAME_MAX)
		return err_set(err, TVMM_E_CONFIG, 0, "port", "a port's name has 1 to %d characters", CONFIG_PORT_NAME_MAX);
	if (strspn(name, allowed) != len || *name == '-' || *name == '.')
		return err_set(err, TVMM_E_CONFIG, 0, "port", "'%s' is no name of letters, digits, '-', '_' and '.'",
			       word_show(name).s);
	return 0;
}

static int parse_peer(struct config_port *port, char *kind, struct tvmm_error *err)
{
	char *value = value_split(kind);
	unsigned i = 0;

	while (kinds[i] && strcmp(kinds[i], kind))
		i++;
	if (!kinds[i])
		return word_unknown(err, "port", "unknown key", kind, kinds, KNOWN);
	if (!value)
		return err_set(err, TVMM_E_CONFIG, 0, "port", "key '%s' needs a value", kind);
	port->kind = (enum config_port_kind)i;
	if (port->kind == CONFIG_PORT_FD)
		return value_fds("port", value, &port->in_fd, &port->out_fd, err);
	if (port->kind == CONFIG_PORT_SOCKET && strlen(value) > CONFIG_SOCKET_PATH_MAX)
		return err_set(err, TVMM_E_CONFIG, 0, "port", "the socket's path has %zu bytes; the most is %d", strlen(value),
			       CONFIG_SOCKET_PATH_MAX);
	return value_path("port", value, &port->path, err);
}

static int parse(struct config_port *port, char *copy, struct tvmm_error *err)
{
	char *rest = copy, *name = value_next(&rest), *kind;
	int ret = check_name(name, err);

	if (ret)
		return ret;
	memcpy(port->name, name, strlen(name) + 1);
	kind = value_next(&rest);
	if (!kind) {
		ret = err_set(err, TVMM_E_CONFIG, 0, "port", "port '%s' has no other end", port->name);
		err_hint(err, "add one of " KNOWN);
		return ret;
	}
	ret = parse_peer(port, kind, err);
	if (!ret && rest)
		ret = err_set(err, TVMM_E_CONFIG, 0, "port", "port '%s' has more than one other end: '%s'", port->name,
			      word_show(rest).s);
	return ret;
}

int config_port_parse(const char *value, struct config_port *port, struct tvmm_error *err)
{
	char *copy = NULL;
	int ret = value_dup("port", value, &copy, err);

	*port = (struct config_port){ .in_fd = -1, .out_fd = -1 };
	if (ret)
		return ret;
	ret = parse(port, copy, err);
	free(copy);
	if (ret)
		free(port->path);
	return ret;
}
