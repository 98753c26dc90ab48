/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * opts.c - the table of options, the walk over argv, the help that is made from the table, and the values that are the
 * command's own.  Called on the main thread before anything else runs.  Opens nothing, prints only where it is told to.
 */
#include "opts.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "say.h"

#define RUN (1u << VERB_RUN)
#define CHECK (1u << VERB_CHECK)
#define LIST (1u << VERB_LIST)
#define INFO (1u << VERB_INFO)
#define MEM (1u << VERB_MEM)
#define STOP (1u << VERB_STOP)
#define EVERY ~0u

static const struct opt table[] = {
	{ OPT_CONFIG, 'k', "kernel", {}, "FILE", "Machine", "the kernel: a bzImage or an ELF vmlinux", RUN },
	{ OPT_CONFIG, 'i', "initrd", {}, "FILE", "Machine", "an initramfs; repeated ones are joined", RUN },
	{ OPT_CONFIG, 'a', "append", { "cmdline", "params" }, "TEXT", "Machine",
	  "added to the kernel's command line; repeatable", RUN },
	{ OPT_CONFIG, 'd', "disk", {}, "FILE[,ro][,root[=N]][,KEY=VALUE...]", "Machine",
	  "a raw image or a block device; repeatable", RUN },
	{ OPT_CONFIG, 'n', "net", {}, "user[,fwd=tcp:H:G]|tap=NAME[,queues=N]|fd=N|none", "Machine",
	  "a network interface, also with mac= and mtu=;\nrepeatable; default none", RUN },
	{ OPT_CONFIG, 0, "vsock", {}, "uds=FILE[,cid=N]", "Machine",
	  "sockets between guest and host; clients of FILE say\nCONNECT PORT", RUN },
	{ OPT_CONFIG, 'm', "memory", {}, "SIZE[,min=S][,reclaim=off|report|auto][,weight=N]", "Machine",
	  "guest memory: 512 (MiB), 512M, 2G; default 1G", RUN },
	{ OPT_CONFIG, 'c', "cpus", {}, "N", "Machine", "virtual CPUs; default 1", RUN },
	{ OPT_CONFIG, 0, "profile", {}, "auto|off[,KEY[=on|off|N]]...", "Machine",
	  "settings that follow the host: huge-pages, pre-fault,\nplain-cpu, pv, io-poll and more; default auto", RUN },
	{ OPT_CONFIG, 0, "nested", {}, "off|auto|require", "Machine",
	  "let the guest run virtual machines itself; default off", RUN },
	{ OPT_CONFIG, 0, "name", {}, "NAME", "Machine", "a name, by which the other commands find the machine", RUN },
	{ OPT_CONFIG, 0, "modules", {}, "DIR", "Machine", "the kernel's modules, for a disk without an initrd", RUN },
	{ OPT_CONFIG, 0, "no-defaults", {}, NULL, "Machine", "pass the kernel's command line exactly as given", RUN },
	{ OPT_CONFIG, 0, "console", {}, "stdio|file=FILE|fd=IN[:OUT]|none", "Console",
	  "where the guest's console goes; default stdio", RUN },
	{ OPT_CONFIG, 0, "port", {}, "NAME,socket=PATH|file=FILE|fd=IN[:OUT]", "Console",
	  "a named stream to the guest, /dev/virtio-ports/NAME;\nrepeatable", RUN },
	{ OPT_CONFIG, 0, "console-log", {}, "FILE", "Console", "append a copy of the console's output", RUN },
	{ OPT_ESCAPE, 0, "escape", {}, "^X|none", "Console", "the key that talks to tinyvmm; default ^]", RUN },
	{ OPT_TIMEOUT, 0, "timeout", {}, "TIME", "Run", "end the machine after 5, 1.5s, 2m or 1h; exit code 124", RUN },
	{ OPT_TIMEOUT, 0, "timeout", {}, "TIME", "Stop", "wait for so long, not for ever; exit code 124", STOP },
	{ OPT_FORCE, 'f', "force", {}, NULL, "Stop", "end it without the guest's help: at once, or after --timeout", STOP },
	{ OPT_CONFIG, 0, "on-reboot", {}, "exit|restart", "Run", "when the guest reboots; default exit", RUN },
	{ OPT_CONFIG, 0, "on-panic", {}, "exit|stay", "Run",
	  "when the guest kernel panics; default exit,\nbut stay when stdin and stdout are a terminal", RUN },
	{ OPT_CONFIG, 0, "debug-exit", {}, "[=PORT]", "Run",
	  "let the guest end the machine by a write to a port,\n0xf4 unless given; exit code value * 2 + 1", RUN },
	{ OPT_RESULT_FILE, 0, "result-file", {}, "FILE", "Run", "write why and how the run ended, as JSON", RUN },
	{ OPT_CONTROL, 0, "control", {}, "FILE|none", "Run", "the control socket; default: one for each machine with a name", RUN },
	{ OPT_DRY_RUN, 0, "dry-run", {}, NULL, "Run", "build the machine, describe it on stdout, do not start it", RUN },
	{ OPT_LOG_LEVEL, 0, "log-level", {}, "error|warn|info|debug", "Run", "how much to say on stderr; default warn",
	  RUN },
	{ OPT_QUIET, 'q', "quiet", {}, NULL, "Run", "errors only", RUN },
	{ OPT_WAIT, 0, "wait", {}, "[=TIME]", "Memory", "until the guest has come to its target, TIME at most; exit code 124", MEM },
	{ OPT_JSON, 0, "json", {}, NULL, "Output", "the same, for programs", CHECK | LIST | INFO | MEM },
	{ OPT_HELP, 'h', "help", {}, NULL, "Help", "this text", EVERY },
};

static const struct {
	enum opts_verb verb;
	const char *name;
	const char *usage;
	const char *help;
} verbs[] = {
	{ VERB_RUN, "run", "[run] --kernel FILE [OPTION]...", "boot a Linux kernel in a virtual machine" },
	{ VERB_LIST, "list", "list [--json]", "the machines that run (also ps)" },
	{ VERB_INFO, "info", "info NAME [--json]", "all there is to know of a running machine" },
	{ VERB_MEM, "mem", "mem NAME [SIZE|auto|trim] [OPTION]...", "see or set what a machine's guest has of its memory" },
	{ VERB_METRICS, "metrics", "metrics NAME", "a machine's figures, in the OpenMetrics format" },
	{ VERB_STOP, "stop", "stop NAME [OPTION]...", "shut a machine's guest down" },
	{ VERB_DISK, "disk", "disk NAME INDEX refresh", "tell a machine that the image of a disk has another size" },
	{ VERB_CHECK, "check", "check [--json]", "can this machine run virtual machines, and if not, why?" },
	{ VERB_VERSION, "version", "version", "print the version (also --version, -V)" },
	{ VERB_HELP, "help", "help [COMMAND]", "explain a command" },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- slips ------------------------------------------------------------------------------------------------------ */

/* Letters to change, add, drop or swap with their neighbour to make A into B; UINT_MAX if one is longer than any name. */
static unsigned slips(const char *a, const char *b)
{
	enum { LONGEST = 16 };
	unsigned d[LONGEST + 1][LONGEST + 1];
	size_t la = strlen(a), lb = strlen(b);

	if (la > LONGEST || lb > LONGEST)
		return UINT_MAX;
	for (size_t i = 0; i <= la; i++) {
		for (size_t j = 0; j <= lb; j++) {
			unsigned best = (unsigned)(i + j);

			if (i && j) {
				best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
				best = d[i - 1][j] + 1 < best ? d[i - 1][j] + 1 : best;
				best = d[i][j - 1] + 1 < best ? d[i][j - 1] + 1 : best;
			}
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[la][lb];
}

/* Takes CANDIDATE if it is nearer to WORD than what *FOUND holds, and near enough at all. */
static void consider(const char *word, const char *candidate, unsigned *best, const char **found)
{
	unsigned d = candidate ? slips(word, candidate) : UINT_MAX;

	if (d < *best) {
		*best = d;
		*found = candidate;
	}
}

static unsigned slips_allowed(const char *word)
{
	return strlen(word) <= 3 ? 1 : 2;
}

static const char *nearest_option(const char *word, enum opts_verb verb)
{
	unsigned best = slips_allowed(word) + 1;
	const char *found = NULL;

	for (size_t i = 0; i < COUNT(table); i++) {
		if (!(table[i].verbs & 1u << verb))
			continue;
		consider(word, table[i].name, &best, &found);
		for (size_t j = 0; j < COUNT(table[i].aliases); j++)
			consider(word, table[i].aliases[j], &best, &found);
	}
	return found;
}

enum opts_verb opts_find_verb(const char *name, const char **near)
{
	unsigned best = slips_allowed(name) + 1;

	*near = NULL;
	if (!strcmp(name, "ps"))
		return VERB_LIST;
	for (size_t i = 0; i < COUNT(verbs); i++) {
		if (!strcmp(verbs[i].name, name))
			return verbs[i].verb;
		consider(name, verbs[i].name, &best, near);
	}
	return VERB_NONE;
}

/* ---- the walk --------------------------------------------------------------------------------------------------- */

static bool is_named(const struct opt *opt, const char *name, size_t len)
{
	if (strlen(opt->name) == len && !memcmp(opt->name, name, len))
		return true;
	for (size_t i = 0; i < COUNT(opt->aliases); i++) {
		const char *alias = opt->aliases[i];

		if (alias && strlen(alias) == len && !memcmp(alias, name, len))
			return true;
	}
	return false;
}

static const struct opt *find_long(const char *name, size_t len, enum opts_verb verb)
{
	for (size_t i = 0; i < COUNT(table); i++) {
		if (table[i].verbs & 1u << verb && is_named(&table[i], name, len))
			return &table[i];
	}
	return NULL;
}

static const struct opt *find_short(char letter, enum opts_verb verb)
{
	for (size_t i = 0; i < COUNT(table); i++) {
		if (table[i].verbs & 1u << verb && letter && table[i].letter == letter)
			return &table[i];
	}
	return NULL;
}

static const struct opt *find_opt(const char *arg, enum opts_verb verb)
{
	if (arg[0] == '-' && arg[1] == '-')
		return find_long(arg + 2, strcspn(arg + 2, "="), verb);
	return arg[0] == '-' && arg[1] && !arg[2] ? find_short(arg[1], verb) : NULL;
}

static int not_an_option(const struct opts_walk *walk, const char *arg, struct tvmm_error *err)
{
	const char *command = walk->argv[walk->next];
	int ret;

	if (strcmp(arg, "--")) {
		ret = say_fill(err, TVMM_E_CONFIG, 0, arg, "unexpected argument");
		if (walk->verb == VERB_RUN)
			say_fill_hint(err, "name what it is: --kernel %s, --disk %s, --append '%s'", arg, arg, arg);
		return ret;
	}
	ret = say_fill(err, TVMM_E_UNSUPPORTED, 0, command, "running a command in the guest is not supported yet");
	say_fill_hint(err, "start it from the guest's init, which the kernel finds by --append init=PATH");
	return ret;
}

static int unknown_option(const struct opts_walk *walk, const char *arg, struct tvmm_error *err)
{
	const char *word = arg + strspn(arg, "-"), *near;
	size_t len = strcspn(word, "=");
	char name[32];
	int ret = say_fill(err, TVMM_E_CONFIG, 0, arg, "unknown option");

	snprintf(name, sizeof(name), "%.*s", (int)(len < sizeof(name) ? len : sizeof(name) - 1), word);
	near = nearest_option(name, walk->verb);
	if (near)
		say_fill_hint(err, "did you mean --%s?", near);
	else if (!strncmp(name, "no-", 3) && find_long(name + 3, strlen(name + 3), walk->verb))
		say_fill_hint(err, "to turn it off write --%s=off", name + 3);
	else if (arg[1] != '-' && find_short(arg[1], walk->verb) && find_short(arg[1], walk->verb)->arg)
		say_fill_hint(err, "write the value apart: -%c %s", arg[1], arg + 2);
	else
		say_fill_hint(err, "tinyvmm --help lists the options");
	return ret;
}

static int flag_value(const struct opt *opt, const char *text, const char **value, struct tvmm_error *err)
{
	*value = text ? text : "on";
	if (strcmp(*value, "on") && strcmp(*value, "off")) {
		say_fill(err, TVMM_E_CONFIG, 0, opt->name, "'%.60s' is neither on nor off", *value);
		opts_dash_object(err);
		return -EINVAL;
	}
	return 1;
}

int opts_next(struct opts_walk *walk, const struct opt **out, const char **value, struct tvmm_error *err)
{
	const char *arg = walk->argv[walk->next], *eq, *next;
	const struct opt *opt;

	while (arg && arg[0] != '-' && walk->n_words < walk->max_words) {
		walk->word[walk->n_words++] = arg;
		arg = walk->argv[++walk->next];
	}
	if (!arg)
		return 0;
	walk->next++;
	if (arg[0] != '-' || !arg[1] || !strcmp(arg, "--")) {
		int ret = not_an_option(walk, arg, err);

		while (!strcmp(arg, "--") && walk->argv[walk->next])
			walk->next++; /* the command's own options are not ours */
		return ret;
	}
	opt = find_opt(arg, walk->verb);
	if (!opt)
		return unknown_option(walk, arg, err);
	*out = opt;
	eq = arg[1] == '-' ? strchr(arg, '=') : NULL;
	if (!opt->arg)
		return flag_value(opt, eq ? eq + 1 : NULL, value, err);
	if (opt->arg[0] == '[') { /* what follows is never its value: it may be left out */
		*value = eq ? eq + 1 : "on";
		return 1;
	}
	next = walk->argv[walk->next];
	if (eq) {
		*value = eq + 1;
		return 1;
	}
	if (!next || (next[0] == '-' && next[1] && (find_opt(next, walk->verb) || !strcmp(next, "--")))) {
		int ret = say_fill(err, TVMM_E_CONFIG, 0, arg, "a value is missing");

		if (next)
			say_fill_hint(err, "if '%s' is the value, write --%s=%s", next, opt->name, next);
		else
			say_fill_hint(err, "write --%s %s", opt->name, opt->arg);
		return ret;
	}
	*value = next;
	walk->next++;
	return 1;
}

void opts_dash_object(struct tvmm_error *err)
{
	char dashed[sizeof(err->object)];

	if (!find_long(err->object, strlen(err->object), VERB_RUN) &&
	    !find_long(err->object, strlen(err->object), VERB_CHECK))
		return;
	snprintf(dashed, sizeof(dashed), "--%.150s", err->object);
	memcpy(err->object, dashed, sizeof(dashed));
}

/* ---- help ------------------------------------------------------------------------------------------------------- */

enum { HELP_COLUMN = 28 };

static void help_option(const struct opt *opt, FILE *out)
{
	char left[80];
	const char *text = opt->help, *end;
	int n;

	n = snprintf(left, sizeof(left), "  %c%c%s--%s%s%s", opt->letter ? '-' : ' ', opt->letter ? opt->letter : ' ',
		     opt->letter ? ", " : "  ", opt->name, opt->arg && opt->arg[0] != '[' ? " " : "", opt->arg ? opt->arg : "");
	fprintf(out, "%s", left);
	if (n >= HELP_COLUMN) {
		fputc('\n', out);
		n = 0;
	}
	for (; text; text = end ? end + 1 : NULL, n = 0) {
		end = strchr(text, '\n');
		fprintf(out, "%*s%.*s\n", HELP_COLUMN - n, "", (int)(end ? end - text : (long)strlen(text)), text);
	}
	if (opt->aliases[0])
		fprintf(out, "%*s(also --%s, --%s)\n", HELP_COLUMN, "", opt->aliases[0], opt->aliases[1]);
}

void opts_help(enum opts_verb verb, FILE *out)
{
	const char *group = "";

	for (size_t i = 0; i < COUNT(verbs); i++) {
		if (verbs[i].verb == verb)
			fprintf(out, "usage: tinyvmm %s\n\n%s\n", verbs[i].usage, verbs[i].help);
	}
	if (verb == VERB_RUN)
		fprintf(out, "The word run may be left out when an option comes first.\n");
	if (verb == VERB_RUN || verb == VERB_HELP) {
		fprintf(out, "\nCommands:\n");
		for (size_t i = 0; i < COUNT(verbs); i++)
			fprintf(out, "  %-10s%s\n", verbs[i].name, verbs[i].help);
	}
	for (size_t i = 0; i < COUNT(table); i++) {
		if (!(table[i].verbs & 1u << verb))
			continue;
		if (strcmp(table[i].group, group))
			fprintf(out, "\n%s:\n", table[i].group);
		group = table[i].group;
		help_option(&table[i], out);
	}
	if (verb == VERB_RUN)
		fprintf(out,
			"\nIn a value made of parts, \",,\" is a comma.  On a terminal, Ctrl-] three times\n"
			"within a second ends the machine, Ctrl-] . presses its power button, Ctrl-] ?\n"
			"shows these keys.  Exit codes: 0 powered off or rebooted, 124 timeout, 125\n"
			"tinyvmm failed, 128+N killed by signal N, 254 guest crashed, 255 guest kernel\n"
			"panicked.  tinyvmm(1) tells all.\n");
}

void opts_help_short(FILE *out)
{
	fputs("tinyvmm boots a Linux kernel in a virtual machine, on /dev/kvm.\n"
	      "\n"
	      "usage: tinyvmm [run] --kernel FILE [OPTION]...\n"
	      "       tinyvmm list | info | mem | stop | check | help [COMMAND]\n"
	      "\n"
	      "  tinyvmm check                                   # can this machine run virtual machines?\n"
	      "  tinyvmm --kernel bzImage --disk rootfs.img      # boot a kernel and a disk\n"
	      "  tinyvmm -k bzImage -i initrd.img -a debug -m 2G --timeout 60\n"
	      "\n"
	      "Ctrl-] pressed three times ends a machine.\n"
	      "\n"
	      "tinyvmm --help lists the options, tinyvmm(1) explains them.\n",
	      out);
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

static int bad_duration(const char *option, const char *value, const char *what, struct tvmm_error *err)
{
	int ret = say_fill(err, TVMM_E_CONFIG, 0, option, "'%.60s' is %s", value, what);

	say_fill_hint(err, "write seconds, or a number with s, m or h: 5, 1.5s, 2m, 1h");
	return ret;
}

int opts_duration(const char *option, const char *value, uint64_t *ns, struct tvmm_error *err)
{
	static const uint64_t second = 1000000000, longest = 365 * 24 * 3600ull;
	uint64_t whole = 0, fraction = 0, unit = 1, scale = second;
	const char *s = value;

	if (*s < '0' || *s > '9')
		return bad_duration(option, value, "not a time", err);
	for (; *s >= '0' && *s <= '9'; s++)
		whole = whole > longest ? whole : whole * 10 + (uint64_t)(*s - '0');
	if (*s == '.') {
		if (s[1] < '0' || s[1] > '9')
			return bad_duration(option, value, "not a time", err);
		for (s++; *s >= '0' && *s <= '9'; s++) {
			scale /= 10; /* digits below a nanosecond count nothing */
			fraction += (uint64_t)(*s - '0') * scale;
		}
	}
	if (*s) {
		if (!strchr("smh", *s) || s[1])
			return bad_duration(option, value, "not a time", err);
		unit = *s == 's' ? 1 : *s == 'm' ? 60 : 3600;
	}
	if (whole > longest / unit)
		return bad_duration(option, value, "more than a year", err);
	*ns = whole * unit * second + fraction * unit;
	return *ns ? 0 : bad_duration(option, value, "no time at all", err);
}

int opts_size(const char *value, uint64_t *bytes, struct tvmm_error *err)
{
	static const char suffixes[] = "KMGT";
	const char *s = value, *suffix;
	unsigned shift = 20;
	uint64_t v = 0;
	int ret;

	for (; *s >= '0' && *s <= '9'; s++)
		v = v >> 40 ? v : v * 10 + (uint64_t)(*s - '0');
	suffix = *s ? strchr(suffixes, *s & ~0x20) : NULL;
	if (suffix)
		shift = 10 * (unsigned)(suffix - suffixes + 1);
	if (s > value && (!*s || (suffix && !s[1])) && v && v <= UINT64_MAX >> shift) {
		*bytes = v << shift;
		return 0;
	}
	ret = say_fill(err, TVMM_E_CONFIG, 0, NULL, "'%.60s' is not a size", value);
	say_fill_hint(err, "write a whole number of MiB, or one with K, M, G or T: 512, 512M, 2G");
	return ret;
}

int opts_escape(const char *value, int *key, struct tvmm_error *err)
{
	int ret;

	if (!strcmp(value, "none")) {
		*key = -1;
		return 0;
	}
	if (value[0] == '^' && value[1] && !value[2]) {
		char c = value[1] >= 'a' && value[1] <= 'z' ? (char)(value[1] - 'a' + 'A') : value[1];

		if (c >= 'A' && c <= '_') {
			*key = c - '@';
			return 0;
		}
	}
	ret = say_fill(err, TVMM_E_CONFIG, 0, "--escape", "'%.60s' is not a control key", value);
	say_fill_hint(err, "write a caret and a letter or one of [ \\ ] ^ _, such as '^]' or '^A', or none");
	return ret;
}

int opts_log_level(const char *value, int *level, struct tvmm_error *err)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };
	int ret;

	for (int i = 0; i <= TVMM_LOG_DEBUG; i++) {
		if (!strcmp(names[i], value)) {
			*level = i;
			return 0;
		}
	}
	ret = say_fill(err, TVMM_E_CONFIG, 0, "--log-level", "unknown value '%.60s'", value);
	say_fill_hint(err, "known are: error, warn, info, debug");
	return ret;
}
