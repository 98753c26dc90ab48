/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * config_port.h - reading the key "port", and the fd=IN[:OUT] that console and port have in common.
 */
#ifndef TVMM_CONFIG_PORT_H
#define TVMM_CONFIG_PORT_H

#include "config.h"

/* Fills *PORT, whose path the caller frees.  On failure there is nothing to free. */
int config_port_parse(const char *value, struct config_port *port, struct tvmm_error *err);

/* "IN" or "IN:OUT"; changes VALUE. */
int value_fds(const char *key, char *value, int *in, int *out, struct tvmm_error *err);

#endif
