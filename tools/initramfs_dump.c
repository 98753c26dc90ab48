/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * initramfs_dump.c - writes the initramfs that tinyvmm would make into a file, to look at it or to boot it elsewhere.
 * A test's helper, never installed: initramfs-dump OUT KERNEL [MODULES-DIR|- [DISK|- [ROOT|- [LATE-DRIVER]...]]].
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "initramfs.h"
#include "kernel.h"

static int fail(const struct tvmm_error *err)
{
	fprintf(stderr, "%s: %s\n", err->object, err->message);
	return EXIT_FAILURE;
}

static const char *argument(char **argv, int argc, int i)
{
	return i < argc && strcmp(argv[i], "-") ? argv[i] : NULL;
}

int main(int argc, char **argv)
{
	const struct host *host = host_linux();
	struct initramfs_desc desc = { .root_fd = -1, .unpack = unpack_with_tool };
	struct initramfs out = { 0 };
	struct kernel kernel;
	struct tvmm_error err = { 0 };
	char warning[1024];
	uint64_t start;
	FILE *f;
	int fd;

	if (argc < 3) {
		fprintf(stderr, "usage: initramfs-dump OUT KERNEL [MODULES-DIR|- [DISK|- [ROOT|- [LATE-DRIVER]...]]]\n");
		return EXIT_FAILURE;
	}
	fd = host->open(host, argv[2], O_RDONLY, 0);
	if (fd < 0 || kernel_probe(&kernel, host, fd, argv[2], &err) < 0)
		return fail(&err);
	host->close(host, fd);
	desc.release = kernel.release;
	desc.modules_dir = argument(argv, argc, 3);
	if (argument(argv, argc, 4))
		desc.root_fd = host->open(host, argv[4], O_RDONLY, 0);
	desc.root = argument(argv, argc, 5);
	if (argc > 6)
		desc.late_drivers = (const char *const *)&argv[6];
	start = host->now_ns(host);
	if (initramfs_build(&out, host, &desc, warning, sizeof(warning), &err) < 0)
		return fail(&err);
	printf("%s: %llu bytes, %u modules, %llu us\n", kernel.release, (unsigned long long)out.len, out.modules,
	       (unsigned long long)(host->now_ns(host) - start) / 1000);
	if (warning[0])
		printf("warning: %s\n", warning);
	if (desc.root_fd >= 0)
		host->close(host, desc.root_fd);
	f = fopen(argv[1], "wb");
	if (!f || fwrite(out.data, 1, out.len, f) != out.len || fclose(f)) {
		perror(argv[1]);
		return EXIT_FAILURE;
	}
	initramfs_free(&out);
	return EXIT_SUCCESS;
}
