/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pci_msix.c - MSI-X: a table of messages, masks, and bits for what waits behind them (PCI 3.0, 6.8.2).
 *
 * Registers are used by vCPU threads, vectors signalled from any thread.  Messages are sent under the lock, so that
 * once a guest's write of a mask has returned, nothing more comes from behind it.  The same holds for messages that the
 * host sends at an eventfd's signal: a mask takes them from it, and the end of the mask gives them back.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include "bits.h"
#include "pci.h"

#define ALL_ONES UINT64_MAX

_Static_assert(PCI_MSIX_MAX <= 64, "pending bits are one quadword");

/* What follows the capability's id and next. */
struct msix_cap {
	uint16_t control;
	uint32_t table, pba;
} __attribute__((packed));

void pci_msix_init(struct pci_msix *m, struct pci_func *f, struct msi_sink *sink, unsigned n, unsigned bar,
		   uint32_t table_off, uint32_t pba_off)
{
	struct msix_cap cap = { .control = htole16((uint16_t)(n - 1)), .table = htole32(table_off | bar),
				.pba = htole32(pba_off | bar) };

	*m = (struct pci_msix){ .func = f, .sink = sink, .n = n };
	pthread_mutex_init(&m->lock, NULL);
	for (unsigned v = 0; v < n; v++)
		m->entry[v].ctrl = PCI_MSIX_ENTRY_CTRL_MASKBIT;
	for (unsigned i = 0; i < PCI_MSIX_CALLS; i++)
		m->call[i] = (struct pci_msix_call){ .fd = -1, .vector = PCI_MSIX_MAX };
	m->cap = pci_cap_add(f, PCI_CAP_ID_MSIX, &cap, sizeof(cap));
	store_le16(f->wmask + m->cap + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
}

void pci_msix_fini(struct pci_msix *m)
{
	pthread_mutex_destroy(&m->lock);
}

static bool is_open(const struct pci_msix *m, unsigned v)
{
	return v < m->n && m->enabled && !m->masked && !(m->entry[v].ctrl & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

/* Sends V if it waits and nothing masks it any more. */
static void send_pending(struct pci_msix *m, unsigned v)
{
	if (!is_open(m, v) || !(m->pending & BIT_ULL(v)))
		return;
	m->pending &= ~BIT_ULL(v);
	m->sink->signal(m->sink, m->entry[v].addr, m->entry[v].data);
}

void pci_msix_signal(struct pci_msix *m, unsigned v)
{
	pthread_mutex_lock(&m->lock);
	if (m->enabled && v < m->n) {
		m->pending |= BIT_ULL(v);
		send_pending(m, v);
	}
	pthread_mutex_unlock(&m->lock);
}

/* ---- calls -------------------------------------------------------------------------------------------------------- */

/* Who sends C's messages, and which. */
static void route(struct pci_msix *m, struct pci_msix_call *c)
{
	if (c->fd >= 0 && is_open(m, c->vector)) {
		c->routed = !m->sink->route(m->sink, c->fd, m->entry[c->vector].addr, m->entry[c->vector].data);
	} else if (c->routed) {
		m->sink->unroute(m->sink, c->fd);
		c->routed = false;
	}
}

/* V's message or mask may have changed. */
static void changed(struct pci_msix *m, unsigned v)
{
	send_pending(m, v);
	for (unsigned i = 0; i < PCI_MSIX_CALLS; i++)
		if (m->call[i].vector == v)
			route(m, &m->call[i]);
}

void pci_msix_call_vector(struct pci_msix *m, unsigned call, unsigned v)
{
	if (call >= PCI_MSIX_CALLS)
		return;
	pthread_mutex_lock(&m->lock);
	m->call[call].vector = v;
	route(m, &m->call[call]);
	pthread_mutex_unlock(&m->lock);
}

int pci_msix_call_fd(struct pci_msix *m, unsigned call, int fd)
{
	struct pci_msix_call *c;

	if (call >= PCI_MSIX_CALLS || !m->sink->route)
		return -ENOTSUP;
	c = &m->call[call];
	pthread_mutex_lock(&m->lock);
	if (c->routed)
		m->sink->unroute(m->sink, c->fd);
	c->routed = false;
	c->fd = fd;
	route(m, c);
	pthread_mutex_unlock(&m->lock);
	return 0;
}

/* ---- message control ---------------------------------------------------------------------------------------------- */

void pci_msix_cfg_written(struct pci_msix *m, unsigned off, unsigned size)
{
	unsigned flags = m->cap + PCI_MSIX_FLAGS;
	uint16_t control;

	if (off >= flags + 2 || off + size <= flags)
		return;
	control = load_le16(m->func->cfg + flags);
	pthread_mutex_lock(&m->lock);
	m->enabled = control & PCI_MSIX_FLAGS_ENABLE;
	m->masked = control & PCI_MSIX_FLAGS_MASKALL;
	for (unsigned v = 0; v < m->n; v++)
		changed(m, v);
	pthread_mutex_unlock(&m->lock);
}

/* ---- table and pending bits: doublewords and quadwords, aligned (6.8.2) ------------------------------------------- */

static bool is_legal(uint64_t off, unsigned size, uint64_t end)
{
	return (size == 4 || size == 8) && off % size == 0 && off < end;
}

/* A table entry's field as the guest sees it: address low, address high, data, control. */
static uint32_t field_get(const struct pci_msix *m, unsigned v, unsigned field)
{
	const uint32_t f[4] = { (uint32_t)m->entry[v].addr, (uint32_t)(m->entry[v].addr >> 32), m->entry[v].data,
				m->entry[v].ctrl };

	return f[field];
}

static void field_set(struct pci_msix *m, unsigned v, unsigned field, uint32_t val)
{
	uint64_t addr = m->entry[v].addr;

	switch (field) {
	case 0:
		m->entry[v].addr = (addr & ~0xffffffffull) | (val & ~3u);
		break;
	case 1:
		m->entry[v].addr = (uint32_t)addr | (uint64_t)val << 32;
		break;
	case 2:
		m->entry[v].data = val;
		break;
	default:
		m->entry[v].ctrl = val & PCI_MSIX_ENTRY_CTRL_MASKBIT;
		break;
	}
}

uint64_t pci_msix_table_read(struct pci_msix *m, uint64_t off, unsigned size)
{
	uint64_t val = 0;

	if (!is_legal(off, size, (uint64_t)m->n * PCI_MSIX_ENTRY_SIZE))
		return ALL_ONES;
	pthread_mutex_lock(&m->lock);
	for (unsigned i = 0; i < size / 4; i++)
		val |= (uint64_t)field_get(m, (unsigned)off / 16, (unsigned)off % 16 / 4 + i) << 32 * i;
	pthread_mutex_unlock(&m->lock);
	return val;
}

void pci_msix_table_write(struct pci_msix *m, uint64_t off, unsigned size, uint64_t val)
{
	if (!is_legal(off, size, (uint64_t)m->n * PCI_MSIX_ENTRY_SIZE))
		return;
	pthread_mutex_lock(&m->lock);
	for (unsigned i = 0; i < size / 4; i++)
		field_set(m, (unsigned)off / 16, (unsigned)off % 16 / 4 + i, (uint32_t)(val >> 32 * i));
	changed(m, (unsigned)off / 16);
	pthread_mutex_unlock(&m->lock);
}

uint64_t pci_msix_pba_read(struct pci_msix *m, uint64_t off, unsigned size)
{
	uint64_t val;

	if (!is_legal(off, size, 8))
		return ALL_ONES;
	pthread_mutex_lock(&m->lock);
	val = m->pending >> 8 * off;
	pthread_mutex_unlock(&m->lock);
	return val;
}
