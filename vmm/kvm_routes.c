/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kvm_routes.c - KVM_IRQFD and KVM_SET_GSI_ROUTING (Linux Documentation/virt/kvm/api.rst, 4.75 and 4.52).
 *
 * An irqfd names an entry of the routing table, and that the message.  A slot of ours is such an entry, and its index the
 * entry's number.  Taking an irqfd away waits until what it raised is delivered; adding one raises what its eventfd held.
 */
#include "kvm_routes.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include "bits.h"

void kvm_routes_init(struct kvm_routes *r, const struct host *host, int vm_fd)
{
	*r = (struct kvm_routes){ .host = host, .vm_fd = vm_fd, .lock = PTHREAD_MUTEX_INITIALIZER };
	for (unsigned i = 0; i < KVM_ROUTES_MAX; i++)
		r->slot[i].fd = -1;
}

static bool says(const struct kvm_route *s, uint64_t addr, uint32_t data)
{
	return s->said && s->addr == addr && s->data == data;
}

/* FD's slot, or NULL. */
static struct kvm_route *find(struct kvm_routes *r, int fd)
{
	for (unsigned i = 0; i < KVM_ROUTES_MAX; i++)
		if (r->slot[i].fd == fd)
			return &r->slot[i];
	return NULL;
}

/* A free one; best one that says this already, then one that says nothing yet. */
static struct kvm_route *choose(struct kvm_routes *r, uint64_t addr, uint32_t data)
{
	struct kvm_route *best = NULL;

	for (unsigned i = 0; i < KVM_ROUTES_MAX; i++) {
		struct kvm_route *s = &r->slot[i];

		if (s->fd >= 0)
			continue;
		if (says(s, addr, data))
			return s;
		if (!best || (best->said && !s->said))
			best = s;
	}
	return best;
}

/* The kernel's struct ends in an array without a length. */
struct routing_table {
	struct kvm_irq_routing head;
	struct kvm_irq_routing_entry entry[KVM_ROUTES_MAX];
};

/* Tells KVM all that the slots say. */
static int set_table(struct kvm_routes *r)
{
	struct routing_table t = { .head.nr = 0 };
	int ret;

	for (unsigned i = 0; i < KVM_ROUTES_MAX; i++) {
		const struct kvm_route *s = &r->slot[i];
		struct kvm_irq_routing_entry *e = &t.entry[t.head.nr];

		if (!s->said)
			continue;
		t.head.nr++;
		e->gsi = i;
		e->type = KVM_IRQ_ROUTING_MSI;
		e->u.msi.address_lo = (uint32_t)s->addr;
		e->u.msi.address_hi = (uint32_t)(s->addr >> 32);
		e->u.msi.data = s->data;
	}
	ret = r->host->ioctl(r->host, r->vm_fd, KVM_SET_GSI_ROUTING, (uintptr_t)&t);
	return ret < 0 ? ret : 0;
}

/* Has S say this.  What KVM refuses is not said; the table then is as before. */
static int say(struct kvm_routes *r, struct kvm_route *s, uint64_t addr, uint32_t data)
{
	struct kvm_route before = *s;
	int ret;

	if (says(s, addr, data))
		return 0;
	s->said = true;
	s->addr = addr;
	s->data = data;
	ret = set_table(r);
	if (ret)
		*s = before;
	return ret;
}

static int set_irqfd(struct kvm_routes *r, const struct kvm_route *s, int fd, unsigned flags)
{
	struct kvm_irqfd i = { .fd = (uint32_t)fd, .gsi = (uint32_t)(s - r->slot), .flags = flags };
	int ret = r->host->ioctl(r->host, r->vm_fd, KVM_IRQFD, (uintptr_t)&i);

	return ret < 0 ? ret : 0;
}

static void drop(struct kvm_routes *r, struct kvm_route *s)
{
	if (r->vm_fd >= 0)
		set_irqfd(r, s, s->fd, KVM_IRQFD_FLAG_DEASSIGN);
	s->fd = -1;
}

/* Under the lock. */
static int set(struct kvm_routes *r, int fd, uint64_t addr, uint32_t data)
{
	struct kvm_route *s = find(r, fd);
	int ret;

	if (r->vm_fd < 0)
		return -ENODEV;
	if (s) {
		ret = say(r, s, addr, data);
		if (ret)
			drop(r, s);
		return ret;
	}
	s = choose(r, addr, data);
	if (!s)
		return -ENOSPC;
	ret = say(r, s, addr, data);
	if (!ret)
		ret = set_irqfd(r, s, fd, 0);
	if (!ret)
		s->fd = fd;
	return ret;
}

int kvm_routes_set(struct kvm_routes *r, int fd, uint64_t addr, uint32_t data)
{
	int ret;

	if (fd < 0)
		return -EBADF;
	pthread_mutex_lock(&r->lock);
	ret = set(r, fd, addr, data);
	pthread_mutex_unlock(&r->lock);
	return ret;
}

void kvm_routes_drop(struct kvm_routes *r, int fd)
{
	struct kvm_route *s;

	if (fd < 0)
		return;
	pthread_mutex_lock(&r->lock);
	s = find(r, fd);
	if (s)
		drop(r, s);
	pthread_mutex_unlock(&r->lock);
}
