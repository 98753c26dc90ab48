/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * result.c - exit codes and the result file.  Main thread.
 */
#include "result.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "say.h"

/* ---- outcomes --------------------------------------------------------------------------------------------------- */

static const struct {
	enum tvmm_reason from;
	const char *reason;
	int exit_status;
	const char *detail; /* where the machine gives none */
} endings[] = {
	{ TVMM_POWEROFF, "poweroff", CODE_OK, "the guest powered off" },
	{ TVMM_REBOOT, "reboot", CODE_OK, "the guest rebooted" },
	{ TVMM_PANIC, "panic", CODE_PANIC, "the guest kernel panicked" },
	{ TVMM_TRIPLE_FAULT, "triple-fault", CODE_CRASH, "the guest crashed its CPU with a triple fault" },
	{ TVMM_KVM_ERROR, "kvm-error", CODE_CRASH, "KVM could not go on with the guest" },
	{ TVMM_STOPPED, "killed", CODE_FAILED, "the machine was stopped" },
	{ TVMM_DEBUG_EXIT, "debug-exit", CODE_FAILED, "the guest wrote to its debug-exit port" },
};

void outcome_of_machine(struct outcome *o, const struct tvmm_result *result)
{
	const char *detail = "the host failed the machine";

	*o = (struct outcome){ .exit_status = CODE_FAILED, .reason = "vmm-error" };
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		if ((int32_t)endings[i].from == result->reason) {
			o->exit_status = endings[i].exit_status;
			o->reason = endings[i].reason;
			detail = endings[i].detail;
		}
	}
	if (result->reason == TVMM_DEBUG_EXIT)
		o->exit_status = result->exit_status & 0xff; /* all that a parent process gets to see */
	snprintf(o->detail, sizeof(o->detail), "%s", *result->detail ? result->detail : detail);
	snprintf(o->hint, sizeof(o->hint), "%s", result->hint);
}

void outcome_of_error(struct outcome *o, const struct tvmm_error *err)
{
	*o = (struct outcome){ .exit_status = CODE_FAILED, .reason = "vmm-error" };
	say_describe(err, o->detail, sizeof(o->detail));
	snprintf(o->hint, sizeof(o->hint), "%s", err->hint);
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

void json_string(FILE *out, const char *text)
{
	size_t size = 6 * strlen(text) + 3;
	char *quoted = malloc(size);

	fputs(quoted && !tvmm_json_quote(quoted, size, text) ? quoted : "\"\"", out);
	free(quoted);
}

/* ---- the file --------------------------------------------------------------------------------------------------- */

enum { TEMPORARY_MAX = PATH_MAX + sizeof(".XXXXXX") };

static int cannot_write(const char *path, int sys_errno, struct tvmm_error *err)
{
	return say_fill(err, TVMM_E_IO, sys_errno, path, "cannot write the result file");
}

/*
 * Where to put it: a device or a pipe (/dev/stderr, /dev/fd/3) is written in place, *DIRECT; a link is followed, so that
 * the file it points to is replaced and not the link.
 */
static int find_place(const char *path, char place[PATH_MAX], bool *direct)
{
	struct stat st;

	*direct = false;
	if (strlen(path) + sizeof(".XXXXXX") > PATH_MAX)
		return -ENAMETOOLONG;
	snprintf(place, PATH_MAX, "%s", path);
	if (stat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	*direct = !S_ISREG(st.st_mode);
	if (!*direct && !realpath(path, place))
		return -errno;
	return strlen(place) + sizeof(".XXXXXX") > PATH_MAX ? -ENAMETOOLONG : 0;
}

static int open_beside(const char *place, char temporary[TEMPORARY_MAX])
{
	mode_t mask;
	int fd;

	snprintf(temporary, TEMPORARY_MAX, "%s.XXXXXX", place);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	mask = umask(0);
	umask(mask);
	if (fchmod(fd, 0666 & ~mask) < 0) {
		int e = errno;

		close(fd);
		unlink(temporary);
		return -e;
	}
	return fd;
}

int result_prepare(const char *path, struct tvmm_error *err)
{
	char place[PATH_MAX], temporary[TEMPORARY_MAX];
	bool direct;
	int ret = find_place(path, place, &direct);

	if (ret)
		return cannot_write(path, -ret, err);
	if (direct)
		return access(path, W_OK) < 0 ? cannot_write(path, errno, err) : 0;
	ret = open_beside(place, temporary);
	if (ret < 0)
		return cannot_write(path, -ret, err);
	close(ret);
	unlink(temporary);
	if (unlink(place) < 0 && errno != ENOENT)
		return cannot_write(path, errno, err);
	return 0;
}

/* Takes FD. */
static int write_json(int fd, const struct outcome *o)
{
	FILE *out = fdopen(fd, "w");
	int failed;

	if (!out) {
		failed = errno;
		close(fd);
		return -failed;
	}
	fprintf(out, "{\"reason\":");
	json_string(out, o->reason);
	fprintf(out, ",\"exit_status\":%d,\"detail\":", o->exit_status);
	json_string(out, o->detail);
	if (*o->hint) {
		fprintf(out, ",\"hint\":");
		json_string(out, o->hint);
	}
	fprintf(out, "}\n");
	failed = ferror(out) ? EIO : 0;
	if (fclose(out))
		failed = errno;
	return -failed;
}

int result_write(const char *path, const struct outcome *o, struct tvmm_error *err)
{
	char place[PATH_MAX], temporary[TEMPORARY_MAX];
	bool direct;
	int fd, ret = find_place(path, place, &direct);

	if (ret)
		return cannot_write(path, -ret, err);
	if (direct) {
		fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		ret = fd < 0 ? -errno : write_json(fd, o);
		return ret ? cannot_write(path, -ret, err) : 0;
	}
	fd = open_beside(place, temporary);
	if (fd < 0)
		return cannot_write(path, -fd, err);
	ret = write_json(fd, o);
	if (!ret && rename(temporary, place) < 0)
		ret = -errno;
	if (ret) {
		unlink(temporary);
		return cannot_write(path, -ret, err);
	}
	return 0;
}
