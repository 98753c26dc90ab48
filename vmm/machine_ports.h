/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * machine_ports.h - the host's half of a machine's named ports: their streams, files and sockets.
 *
 * Part of struct machine's host half: opened at its creation, closed at its destruction, and the same across restarts.
 */
#ifndef TVMM_MACHINE_PORTS_H
#define TVMM_MACHINE_PORTS_H

#include "chardev.h"
#include "chardev_listen.h"
#include "config.h"

struct machine_port {
	char label[CONFIG_PORT_NAME_MAX + 8]; /* "port NAME", for messages */
	const char *name;                     /* in LABEL */
	int fd;                               /* a file that we opened, -1: none */
	struct chardev chr;
	struct chardev_listen listen;
};

/* *N ports of CFG in a new array, also on failure as far as it got: machine_ports_close() in any case. */
int machine_ports_open(struct machine_port **ports, unsigned *n, const struct tvmm_config *cfg, const struct host *host,
		       struct evloop *loop, struct log *log, struct tvmm_error *err);

/* On the loop: writes out what the guest said, waiting at most TIMEOUT_MS for all of them together. */
void machine_ports_drain(struct machine_port *ports, unsigned n, int timeout_ms);

void machine_ports_close(struct machine_port *ports, unsigned n, const struct host *host);

#endif
