/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * machine_disks.c - the host's side of a machine's disks: images, and the servers of those that others have.
 *
 * All is opened before the guest runs, and outlives a restart of it.  What the guest sees of it is wired in guest.c.
 */
#include "machine_disks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int open_disk(struct machine_disk *d, const struct host *host, const struct config_disk *c, struct tvmm_error *err)
{
	unsigned flags = (c->ro ? DISK_RO : 0u) | (c->direct ? DISK_DIRECT : 0u);

	if (c->format == CONFIG_DISK_VHOST_USER)
		return vhost_user_open(&d->server, host, c->path, err);
	ratelimit_init(&d->limit, c->bw, c->iops, c->burst_ns);
	snprintf(d->shown, sizeof(d->shown), "%.80s%s%s%s", c->path, c->ro ? ", read-only" : "", c->direct ? ", direct" : "",
		 !c->ephemeral ? "" : c->ephemeral_dir ? ", ephemeral in a folder" : ", ephemeral in memory");
	snprintf(d->serial, sizeof(d->serial), "%s", c->serial);
	return c->ephemeral ? disk_ephemeral_open(&d->disk, host, c->path, flags, c->ephemeral_dir, err) :
			      disk_raw_open(&d->disk, host, c->path, flags, err);
}

int machine_disks_open(struct machine *m, const struct tvmm_config *cfg, struct tvmm_error *err)
{
	if (!cfg->disk_count)
		return 0;
	m->disk = calloc(cfg->disk_count, sizeof(*m->disk));
	if (!m->disk)
		return err_set(err, TVMM_E_MEMORY, ENOMEM, NULL, "out of memory");
	for (unsigned i = 0; i < cfg->disk_count; i++) {
		struct machine_disk *d = &m->disk[m->n_disks++];
		int ret = open_disk(d, m->host, &cfg->disks[i], err);

		if (ret)
			return ret;
		snprintf(d->name, sizeof(d->name), "disk %u", i);
	}
	return 0;
}

bool machine_disks_share(const struct machine *m)
{
	bool share = false;

	for (unsigned i = 0; i < m->n_disks; i++)
		share |= m->disk[i].server != NULL;
	return share;
}

int machine_disks_attach(struct machine *m, struct tvmm_error *err)
{
	const int fd[] = { m->ram[0].fd, m->ram[1].fd }; /* of m->mem's regions, in their order */
	int ret = 0;

	for (unsigned i = 0; !ret && i < m->n_disks; i++)
		if (m->disk[i].server)
			ret = vhost_user_attach(m->disk[i].server, &m->loop, &m->log, &m->mem, fd, err);
	return ret;
}

/* Who does what has to wait for the host's storage, and if that is not io_uring, why. */
static void describe_work(const struct machine *m, const struct machine_disk *d, char *buf, size_t len)
{
	int no_uring = m->disk_engine.no_uring;

	if (d->disk->in_memory)
		snprintf(buf, len, "in the host's memory");
	else if (no_uring)
		snprintf(buf, len, "by threads (io_uring: %s)", strerror(-no_uring));
	else
		snprintf(buf, len, "by %s", d->disk->fd < 0 ? "threads" : "io_uring");
}

void machine_disks_describe(const struct machine *m, char *buf, size_t len)
{
	size_t n = 0;

	for (unsigned i = 0; i < m->n_disks && n < len; i++) {
		const struct machine_disk *d = &m->disk[i];
		char work[80], limit[96];

		if (d->server) {
			n += (size_t)snprintf(buf + n, len - n, "disk      %u: vhost-user, %u of its %u queue%s\n", i,
					      d->remote.dev.n_queues, d->server->queues, d->server->queues == 1 ? "" : "s");
			continue;
		}
		describe_work(m, d, work, sizeof(work));
		ratelimit_describe(&d->limit, "requests", limit, sizeof(limit));
		n += (size_t)snprintf(buf + n, len - n, "disk      %u: %s, %lu KiB, %u queue%s, %s%s\n", i, d->shown,
				      d->disk->size >> 10, d->blk.dev.n_queues, d->blk.dev.n_queues == 1 ? "" : "s", work, limit);
	}
}

void machine_disks_close(struct machine *m)
{
	for (unsigned i = 0; i < m->n_disks; i++) {
		struct machine_disk *d = &m->disk[i];

		if (d->disk)
			d->disk->ops->close(d->disk);
		vhost_user_close(d->server);
	}
	free(m->disk);
}
