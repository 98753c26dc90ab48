/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * late.c - makes of the program steer one whose machine has a fault: hinted memory is discarded one notification late.
 *
 * Linked with the inside of the library and --wrap=discard_init, so that nothing in the product knows of it.  The torture
 * of memory.sh runs on it to show that it finds such a device.  Called on vCPU threads, under the balloon's lock.
 */
#include "discard.h"

#define MOST 64

int __real_discard_init(struct discard *d, const struct gmem *mem, const struct discard_backing *back,
			const struct host *host, struct tvmm_error *err);
int __wrap_discard_init(struct discard *d, const struct gmem *mem, const struct discard_backing *back,
			const struct host *host, struct tvmm_error *err);

static const struct gmem_reclaim_ops *right;
static struct gmem_reclaim_ops wrong;
static struct iovec kept[MOST];
static unsigned n_kept;

/* What came the last time is discarded now; of this time's, that it was. */
static uint64_t drop_late(struct gmem_reclaim *r, const struct iovec *iov, unsigned n)
{
	uint64_t sum = 0;

	if (n_kept)
		right->drop(r, kept, n_kept);
	for (n_kept = 0; n_kept < n && n_kept < MOST; n_kept++) {
		kept[n_kept] = iov[n_kept];
		sum += iov[n_kept].iov_len;
	}
	return sum;
}

int __wrap_discard_init(struct discard *d, const struct gmem *mem, const struct discard_backing *back,
			const struct host *host, struct tvmm_error *err)
{
	int ret = __real_discard_init(d, mem, back, host, err);

	if (ret)
		return ret;
	right = d->reclaim.ops;
	wrong = *right;
	wrong.drop = drop_late;
	d->reclaim.ops = &wrong;
	return 0;
}
