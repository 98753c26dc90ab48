/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * machine_ports.c - opening and closing what a machine's named ports lead to (machine_ports.h).
 *
 * Lifecycle thread, before the loop runs and after it has ended.
 */
#include "machine_ports.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include "bits.h"
#include "error.h"

static int open_peer(struct machine_port *p, const struct config_port *cfg, const struct host *host, struct evloop *loop,
		     struct log *log, struct tvmm_error *err)
{
	int in = -1, out = -1, ret;

	if (cfg->kind == CONFIG_PORT_FD) {
		in = cfg->in_fd;
		out = cfg->out_fd;
	} else if (cfg->kind == CONFIG_PORT_FILE) {
		p->fd = out = host->open(host, cfg->path, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY, 0666);
		if (out < 0)
			return err_set(err, TVMM_E_IO, -out, cfg->path, "cannot open the file of %s", p->label);
	}
	ret = chardev_init(&p->chr, p->label, loop, log, in, out, -1, err);
	if (ret || cfg->kind != CONFIG_PORT_SOCKET)
		return ret;
	ret = chardev_listen_init(&p->listen, &p->chr, cfg->path, err);
	if (ret)
		chardev_fini(&p->chr);
	return ret;
}

int machine_ports_open(struct machine_port **ports, unsigned *n, const struct tvmm_config *cfg, const struct host *host,
		       struct evloop *loop, struct log *log, struct tvmm_error *err)
{
	struct machine_port *all;

	if (!cfg->port_count)
		return 0;
	all = calloc(cfg->port_count, sizeof(*all));
	if (!all)
		return err_set(err, TVMM_E_MEMORY, ENOMEM, NULL, "out of memory");
	*ports = all;
	for (unsigned i = 0; i < cfg->port_count; i++) {
		struct machine_port *p = &all[i];
		int ret;

		snprintf(p->label, sizeof(p->label), "port %s", cfg->ports[i].name);
		p->name = p->label + 5;
		p->fd = p->listen.src.fd = -1;
		ret = open_peer(p, &cfg->ports[i], host, loop, log, err);
		if (ret) {
			if (p->fd >= 0)
				host->close(host, p->fd);
			return ret;
		}
		++*n;
	}
	return 0;
}

void machine_ports_drain(struct machine_port *ports, unsigned n, int timeout_ms)
{
	const struct host *h;
	uint64_t end;

	if (!n)
		return;
	h = ports->chr.host;
	end = h->now_ns(h) + (uint64_t)timeout_ms * 1000000;
	for (unsigned i = 0; i < n; i++) {
		uint64_t now = h->now_ns(h);

		chardev_drain(&ports[i].chr, now < end ? (int)((end - now) / 1000000) : 0);
	}
}

void machine_ports_close(struct machine_port *ports, unsigned n, const struct host *host)
{
	for (unsigned i = 0; i < n; i++) {
		chardev_listen_fini(&ports[i].listen);
		chardev_fini(&ports[i].chr);
		if (ports[i].fd >= 0)
			host->close(host, ports[i].fd);
	}
	free(ports);
}
