/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_opts.c - the command line: any arguments, walked to their end, and the values that the command itself reads.
 *
 * A walk ends, takes every argument once, and either gives an option with a value or one line that says what is wrong.
 */
#include <errno.h>
#include "fuzz_input.h"
#include "opts.h"

const char fuzz_name[] = "opts";

#define ARGS 8

static const char *const words[] = {
	"--kernel", "--disk", "--initrd", "-k", "-m", "--memory=", "--timeout", "--quiet", "--quiet=off", "--", "-", "--no-",
	"=on", "run", "check", "--help", "--append", "--escape", "-i", "-a", "^]", "none", "1.5s", "2m", "--result-file",
};

static void take_text(struct fuzz *in, char *buf, size_t size)
{
	size_t n = 0;
	uint8_t c;

	while (n < size - 32 && fuzz_more(in) && (c = fuzz_u8(in))) {
		if (c < 0x80)
			buf[n++] = (char)c;
		else
			n += (size_t)snprintf(buf + n, size - n, "%s", words[c % ARRAY_SIZE(words)]);
	}
	buf[n] = '\0';
}

static void check_error(const struct tvmm_error *err)
{
	FUZZ_ASSERT(err->code == TVMM_E_CONFIG || err->code == TVMM_E_UNSUPPORTED);
	FUZZ_ASSERT(err->message[0] && memchr(err->message, 0, sizeof(err->message)));
	FUZZ_ASSERT(memchr(err->object, 0, sizeof(err->object)) && memchr(err->hint, 0, sizeof(err->hint)));
}

static void walk(enum opts_verb verb, char *const *argv, unsigned argc)
{
	struct opts_walk w = { .verb = verb, .argv = argv };
	unsigned steps = 0;
	int ret;

	do {
		const struct opt *opt = NULL;
		const char *value = NULL;
		struct tvmm_error err = { 0 };
		unsigned was = w.next;

		ret = opts_next(&w, &opt, &value, &err);
		FUZZ_ASSERT(ret == 0 || ret == 1 || ret < 0);
		FUZZ_ASSERT(w.next <= argc && (w.next > was || !ret));
		FUZZ_ASSERT(ret != 1 || (opt && value && opt->verbs & 1u << verb));
		if (ret < 0) {
			check_error(&err);
			opts_dash_object(&err);
			check_error(&err);
		}
		FUZZ_ASSERT(++steps <= ARGS + 1);
	} while (ret);
	FUZZ_ASSERT(w.next == argc);
}

static void values(const char *text)
{
	static const uint64_t year = 365 * 24 * 3600ull * 1000000000ull;
	struct tvmm_error err = { 0 };
	const char *near = NULL;
	uint64_t ns = 0;
	int v = -99;

	if (!opts_duration("--timeout", text, &ns, &err))
		FUZZ_ASSERT(ns && ns <= year + 3600ull * 1000000000ull);
	else
		check_error(&err);
	if (!opts_escape(text, &v, &err))
		FUZZ_ASSERT(v >= -1 && v < 32);
	else
		check_error(&err);
	if (!opts_log_level(text, &v, &err))
		FUZZ_ASSERT(v >= TVMM_LOG_ERROR && v <= TVMM_LOG_DEBUG);
	else
		check_error(&err);
	if (opts_find_verb(text, &near) != VERB_NONE)
		FUZZ_ASSERT(!near);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum opts_verb verbs[] = { VERB_RUN, VERB_CHECK, VERB_VERSION, VERB_HELP };
	struct fuzz in = { data, data + size };
	enum opts_verb verb = verbs[fuzz_below(&in, ARRAY_SIZE(verbs))];
	char text[ARGS][96];
	char *argv[ARGS + 1];
	unsigned argc = 0;

	while (argc < ARGS && fuzz_more(&in)) {
		take_text(&in, text[argc], sizeof(text[argc]));
		values(text[argc]);
		argv[argc] = text[argc];
		argc++;
	}
	argv[argc] = NULL;
	walk(verb, argv, argc);
	return 0;
}
