/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * opts.h - the command line: one table of verbs and one of options, that parsing, --help and tools/check-docs share.
 *
 * Grammar: "--name VALUE", "--name=VALUE", "-x VALUE"; a flag is "--name" or "--name=on|off", and a flag that takes a
 * value "--name" or "--name=VALUE".  Nothing is abbreviated
 * and short options are not run together: "-kernel" is a slip of "--kernel", and must not mean "-k ernel".
 */
#ifndef TVMM_OPTS_H
#define TVMM_OPTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "tinyvmm.h"

enum opts_verb { VERB_NONE, VERB_RUN, VERB_LIST, VERB_INFO, VERB_MEM, VERB_STOP, VERB_DISK, VERB_METRICS, VERB_CHECK, VERB_VERSION, VERB_HELP };

enum opts_id {
	OPT_CONFIG,  /* the library's: goes to tvmm_config_set() under its long name */
	OPT_TIMEOUT,
	OPT_RESULT_FILE,
	OPT_DRY_RUN,
	OPT_LOG_LEVEL,
	OPT_QUIET,
	OPT_ESCAPE,
	OPT_CONTROL,
	OPT_WAIT,
	OPT_FORCE,
	OPT_JSON,
	OPT_HELP,
};

struct opt {
	enum opts_id id;
	char letter;            /* 0: no short form */
	const char *name;       /* without dashes */
	const char *aliases[2]; /* other long names */
	const char *arg;        /* what --help calls the value; NULL: a flag; "[=...]": a flag that takes one */
	const char *group;      /* heading in --help */
	const char *help;       /* one or two lines, separated by a newline */
	unsigned verbs;         /* bit per enum opts_verb */
};

enum { OPTS_WORDS_MAX = 3 };

/* A walk over arguments: ARGV is NULL-terminated, NEXT the next one to look at. */
struct opts_walk {
	enum opts_verb verb;
	char *const *argv;
	unsigned next;
	unsigned max_words;               /* that the verb takes beside its options */
	unsigned n_words;                 /* seen so far */
	const char *word[OPTS_WORDS_MAX];
};

/*
 * The next option of the walk.  Returns 1 with *OPT and *VALUE ("on" or "off" for a flag), 0 at the end, or -EINVAL with
 * *ERR; the walk may go on after an error.
 */
int opts_next(struct opts_walk *walk, const struct opt **opt, const char **value, struct tvmm_error *err);

/* VERB_NONE if there is no verb of this name; then *NEAR is the most likely one meant, or NULL. */
enum opts_verb opts_find_verb(const char *name, const char **near);

/* Writes "--" before an object that names an option, so that a library error speaks the command line's language. */
void opts_dash_object(struct tvmm_error *err);

/* The full help of a verb, to OUT. */
void opts_help(enum opts_verb verb, FILE *out);
/* The twelve lines for who has typed nothing. */
void opts_help_short(FILE *out);

/* "5", "1.5s", "2m", "1h" to nanoseconds; OPTION for what is said of anything else. */
int opts_duration(const char *option, const char *value, uint64_t *ns, struct tvmm_error *err);
/* "512" (MiB), "512M", "2G" to bytes. */
int opts_size(const char *value, uint64_t *bytes, struct tvmm_error *err);
/* "^]" or "none" to the key's code or -1. */
int opts_escape(const char *value, int *key, struct tvmm_error *err);
int opts_log_level(const char *value, int *level, struct tvmm_error *err);

#endif
