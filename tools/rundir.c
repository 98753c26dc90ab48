/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rundir.c - the folder of control sockets.
 */
#include "rundir.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "say.h"

#define SOCKET "control.sock"

/* The folder, not made yet.  Its parent is the system's business. */
static int base_of(char base[PATH_MAX], struct tvmm_error *err)
{
	const char *own = getenv("TINYVMM_RUNTIME_DIR"), *xdg = getenv("XDG_RUNTIME_DIR");
	int n, ret;

	if (own && *own) {
		n = snprintf(base, PATH_MAX, "%s", own);
	} else if (geteuid() == 0) {
		n = snprintf(base, PATH_MAX, "/run/tinyvmm");
	} else if (xdg && *xdg == '/') {
		n = snprintf(base, PATH_MAX, "%s/tinyvmm", xdg);
	} else {
		ret = say_fill(err, TVMM_E_HOST, 0, "XDG_RUNTIME_DIR", "there is no folder for control sockets");
		say_fill_hint(err, "log in through the system's login, or set XDG_RUNTIME_DIR to a folder of your own");
		return ret;
	}
	return n >= PATH_MAX - 128 ? say_fill(err, TVMM_E_HOST, ENAMETOOLONG, own, "the folder's name is too long") : 0;
}

/* A folder that is ours alone to write to. */
static int make_folder(const char *path, struct tvmm_error *err)
{
	struct stat st;
	int ret;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return say_fill(err, TVMM_E_HOST, errno, path, "cannot make the folder for control sockets");
	if (lstat(path, &st) < 0)
		return say_fill(err, TVMM_E_HOST, errno, path, "cannot look at the folder for control sockets");
	if (S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 022))
		return 0;
	ret = say_fill(err, TVMM_E_HOST, EPERM, path, "others can write to the folder for control sockets");
	say_fill_hint(err, "it must be a folder of yours, with mode 0700");
	return ret;
}

int rundir_make(struct rundir_place *p, const char *name, struct tvmm_error *err)
{
	char base[PATH_MAX], *out = p->config;
	int ret = base_of(base, err);

	p->dir[0] = '\0';
	if (!ret)
		ret = make_folder(base, err);
	if (ret)
		return ret;
	/* Made by the library together with the socket: another machine that ends may remove it until then. */
	snprintf(p->dir, sizeof(p->dir), "%.3900s/%.64s", base, name);
	for (const char *s = p->dir; *s; s++) {
		*out++ = *s;
		if (*s == ',')
			*out++ = ',';
	}
	memcpy(out, "/" SOCKET, sizeof("/" SOCKET));
	return 0;
}

void rundir_remove(struct rundir_place *p)
{
	if (p->dir[0])
		rmdir(p->dir); /* not empty: another machine of this name has come */
	p->dir[0] = '\0';
}

int rundir_socket(const char *name, char path[PATH_MAX], struct tvmm_error *err)
{
	char base[PATH_MAX];
	int ret;

	if (strchr(name, '/')) {
		if (snprintf(path, PATH_MAX, "%s", name) >= PATH_MAX)
			return say_fill(err, TVMM_E_CONFIG, ENAMETOOLONG, NULL, "the path is too long");
		return 0;
	}
	ret = base_of(base, err);
	if (!ret && snprintf(path, PATH_MAX, "%s/%s/" SOCKET, base, name) >= PATH_MAX)
		ret = say_fill(err, TVMM_E_CONFIG, ENAMETOOLONG, NULL, "the name is too long");
	return ret;
}

static int not_hidden(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

int rundir_each(bool (*fn)(void *arg, const char *name), void *arg, struct tvmm_error *err)
{
	struct dirent **list;
	char base[PATH_MAX];
	int n, ret = base_of(base, err);
	bool more = true;

	if (ret)
		return ret;
	n = scandir(base, &list, not_hidden, alphasort);
	if (n < 0)
		return errno == ENOENT ? 0 : say_fill(err, TVMM_E_HOST, errno, base, "cannot read the folder of control sockets");
	for (int i = 0; i < n; i++) {
		more = more && fn(arg, list[i]->d_name);
		free(list[i]);
	}
	free(list);
	return 0;
}
