/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd.h - the command's verbs.  Each takes its arguments, NULL-terminated and without the verb, and returns the exit code.
 */
#ifndef TVMM_CMD_H
#define TVMM_CMD_H

int cmd_run(char *const argv[]);
int cmd_list(char *const argv[]);
int cmd_info(char *const argv[]);
int cmd_mem(char *const argv[]);
int cmd_metrics(char *const argv[]);
int cmd_stop(char *const argv[]);
int cmd_disk(char *const argv[]);
int cmd_check(char *const argv[]);

#endif
