/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * start.c - "bench-start KERNEL...": the time from the start of a process to its first KVM_RUN, on this machine.
 *
 * For each kernel file, and for one of 20 MiB that it makes, it starts itself again as a process that opens the machine
 * as the command does and ends it at once; with the file in the page cache, best and median of 21.  It needs /dev/kvm but
 * not that stock kernels run.  Prints a table.
 */
#include <elf.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <tinyvmm.h>
#include <unistd.h>

enum { ROUNDS = 21, MADE_MIB = 20 };

extern char **environ;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* The process that is measured.  Tells the moment of the first KVM_RUN on standard output. */
static int child(const char *kernel)
{
	struct tvmm_stats stats = { .size = sizeof(stats) };
	struct tvmm_config *cfg = tvmm_config_new();
	struct tvmm_error err = { 0 };
	struct tvmm_vm *vm = NULL;
	struct timespec pause = { .tv_nsec = 1000000 };
	uint64_t begin = now_ns();
	int ret = cfg ? 0 : -1;

	if (!ret)
		ret = tvmm_config_set(cfg, "kernel", kernel, &err);
	if (!ret)
		ret = tvmm_config_set(cfg, "memory", "256", &err);
	if (!ret)
		ret = tvmm_config_set(cfg, "console", "none", &err);
	begin = now_ns();
	if (!ret)
		ret = tvmm_vm_create(&vm, cfg, &err);
	if (!ret)
		ret = tvmm_vm_start(vm, &err);
	while (!ret && !stats.ns_to_run) {
		nanosleep(&pause, NULL);
		ret = tvmm_vm_stats(vm, &stats);
	}
	if (ret)
		fprintf(stderr, "bench-start: %s: %s %s\n", kernel, err.message, err.object);
	else
		printf("%lu\n", begin + stats.ns_to_run);
	fflush(stdout);
	_exit(ret ? 1 : 0);
}

/* Nanoseconds, or 0. */
static uint64_t measure(const char *kernel)
{
	char *argv[] = { (char *)"bench-start", (char *)"--child", (char *)kernel, NULL };
	posix_spawn_file_actions_t actions;
	uint64_t begin, moment = 0;
	char text[32] = "";
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe(fds))
		return 0;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
	begin = now_ns();
	if (posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ))
		return 0;
	close(fds[1]);
	n = read(fds[0], text, sizeof(text) - 1);
	close(fds[0]);
	posix_spawn_file_actions_destroy(&actions);
	if (waitpid(pid, &status, 0) == pid && !status && n > 0)
		moment = strtoull(text, NULL, 10);
	return moment > begin ? moment - begin : 0;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int report(const char *kernel, const char *name)
{
	uint64_t took[ROUNDS];
	struct stat st;

	if (stat(kernel, &st)) {
		perror(kernel);
		return 1;
	}
	measure(kernel); /* brings the file into the page cache */
	for (unsigned i = 0; i < ROUNDS; i++) {
		took[i] = measure(kernel);
		if (!took[i]) {
			fprintf(stderr, "bench-start: %s: no machine was started\n", kernel);
			return 1;
		}
	}
	qsort(took, ROUNDS, sizeof(took[0]), by_size);
	printf("| %s | %.1f | %.2f | %.2f |\n", name, (double)st.st_size / (1 << 20), (double)took[0] / 1e6,
	       (double)took[ROUNDS / 2] / 1e6);
	return 0;
}

/* An ELF kernel of one segment that was stripped of all but its size.  Its first instruction is HLT. */
static int make_kernel(char *path)
{
	struct {
		Elf64_Ehdr eh;
		Elf64_Phdr ph;
	} h = {
		.eh = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_entry = 16 << 20,
			.e_phoff = sizeof(Elf64_Ehdr), .e_ehsize = sizeof(Elf64_Ehdr), .e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 1 },
		.ph = { .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = 4096, .p_vaddr = 16 << 20, .p_paddr = 16 << 20,
			.p_filesz = (MADE_MIB << 20) - 4096, .p_memsz = (MADE_MIB << 20) - 4096, .p_align = 4096 },
	};
	int fd = mkstemp(path), bad = fd < 0;
	char *page = malloc(1 << 20);

	if (!page)
		bad = 1;
	else
		memset(page, 0xf4, 1 << 20); /* HLT, and no zeros that a file system could leave out */
	for (int i = 0; !bad && i < MADE_MIB; i++)
		bad = write(fd, page, 1 << 20) != 1 << 20;
	if (!bad)
		bad = pwrite(fd, &h, sizeof(h), 0) != sizeof(h);
	free(page);
	if (fd >= 0)
		close(fd);
	return bad;
}

int main(int argc, char *argv[])
{
	char made[] = "/tmp/bench-start.XXXXXX";
	int bad = 0;

	if (argc == 3 && !strcmp(argv[1], "--child"))
		return child(argv[2]);
	printf("Process start to first KVM_RUN, on this machine, the file in the page cache; of %d.\n\n", ROUNDS);
	printf("| kernel | MiB | best ms | median ms |\n|---|---|---|---|\n");
	fflush(stdout);
	if (make_kernel(made)) {
		perror(made);
		return 1;
	}
	bad |= report(made, "ELF of 20 MiB, made for this");
	unlink(made);
	for (int i = 1; i < argc; i++) {
		const char *name = strrchr(argv[i], '/');

		bad |= report(argv[i], name ? name + 1 : argv[i]);
	}
	return bad;
}
