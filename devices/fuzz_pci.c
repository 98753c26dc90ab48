/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_pci.c - configuration space and MSI-X: two functions with BARs of all kinds, reached by ECAM; signals in between.
 *
 * What must hold: nothing that is read-only ever changes, whatever is written; a BAR holds its address or its size's mask;
 * what the bus says and what the page holds are the same; a masked or switched-off vector sends nothing, and one that
 * waited is sent once when the last mask goes.  The host sends for a call exactly while its vector is open, and what the
 * table says.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include "bus.h"
#include "fuzz_input.h"
#include "pci.h"

const char fuzz_name[] = "pci";

#define ECAM    0xe0000000ull
#define FUNCS   2
#define VECTORS 5

static struct pci pci;
static struct pci_func func[FUNCS];
static struct pci_msix msix[FUNCS];
static struct msi_sink sink;
static struct bus mmio;
static uint8_t *ecam, *first; /* the pages, and what they held at first */
static struct fuzz in;

static struct {
	unsigned sent;
	uint64_t addr;
	uint32_t data;
} t;

static const unsigned slots[FUNCS] = { 0, 31 };

/* What the host sends at a signal of descriptor 100 and on: a few calls of each function. */
#define CALLS 3
static struct route {
	bool on;
	uint64_t addr;
	uint32_t data;
} routes[FUNCS * CALLS];

static struct route *route_of(int fd)
{
	FUZZ_ASSERT(fd >= 100 && fd < 100 + FUNCS * CALLS);
	return &routes[fd - 100];
}

static bool is_refused(uint64_t addr)
{
	return addr >> 32 & 0xff; /* as KVM does */
}

static int route(struct msi_sink *s, int fd, uint64_t addr, uint32_t data)
{
	*route_of(fd) = (struct route){ !is_refused(addr), addr, data };
	return is_refused(addr) ? -EINVAL : 0;
}

static void unroute(struct msi_sink *s, int fd)
{
	route_of(fd)->on = false;
}

static void message(struct msi_sink *s, uint64_t addr, uint32_t data)
{
	FUZZ_ASSERT(addr % 4 == 0);
	t.sent++;
	t.addr = addr;
	t.data = data;
}

static void cfg_written(struct pci_func *f, unsigned off, unsigned size)
{
	FUZZ_ASSERT(off + size <= 256);
	pci_msix_cfg_written(&msix[f - func], off, size);
}

static void init_funcs(void)
{
	static const uint8_t body[13] = { 16, 1 };

	sink = (struct msi_sink){ .signal = message, .route = route, .unroute = unroute };
	for (unsigned i = 0; i < FUNCS; i++) {
		pci_func_init(&pci, &func[i], slots[i], "function", 0x1af4, 0x1042, 0x010000, 1, 0x1af4, 0x42);
		pci_bar_set(&func[i], 0, 0xfe000000 + i * 0x10000, 0x8000, false);
		pci_bar_set(&func[i], 1, 0x800000000ull << i, 0x200000000ull, true);
		pci_bar_set(&func[i], 4 + i, 0xfd000000, 0x100, false);
		pci_cap_add(&func[i], PCI_CAP_ID_VNDR, body, sizeof(body));
		pci_msix_init(&msix[i], &func[i], &sink, i ? PCI_MSIX_MAX : VECTORS, 0, 0x4000, 0x5000);
		func[i].cfg_written = cfg_written;
	}
}

static void build(void)
{
	size_t len = (size_t)PCI_MAX_FUNCS * PCI_CFG_SIZE;

	ecam = aligned_alloc(PCI_CFG_SIZE, len);
	first = malloc(len);
	FUZZ_ASSERT(ecam && first);
	pci_init(&pci, ecam);
	init_funcs();
	memcpy(first, ecam, len);
	FUZZ_ASSERT(!bus_add(&mmio, ECAM, MIB(1), &pci_ecam_ops, &pci, "ecam", NULL));
	bus_freeze(&mmio);
}

/* All bits of the first 256 bytes that WMASK does not give away are as at first. */
static void check_page(unsigned i)
{
	const uint8_t *now = func[i].cfg, *was = first + slots[i] * (size_t)PCI_CFG_SIZE;

	for (unsigned reg = 0; reg < 256; reg += 8)
		if (reg < PCI_BASE_ADDRESS_0 || reg > PCI_BASE_ADDRESS_4)
			FUZZ_ASSERT(!((load_le64(now + reg) ^ load_le64(was + reg)) & ~load_le64(func[i].wmask + reg)));
	for (unsigned bar = 0; bar < 6; bar++) {
		bool hi = bar && func[i].bar[bar - 1].is64;
		const struct pci_bar *b = &func[i].bar[bar - hi];
		uint32_t val = load_le32(now + PCI_BASE_ADDRESS_0 + 4 * bar);
		uint64_t mask = ~(b->size - 1);

		if (!b->size)
			FUZZ_ASSERT(!val);
		else if (hi)
			FUZZ_ASSERT(val == (uint32_t)(b->addr >> 32) || val == (uint32_t)(mask >> 32));
		else
			FUZZ_ASSERT((val & ~0xfu) == (uint32_t)b->addr || (val & ~0xfu) == ((uint32_t)mask & ~0xfu));
	}
}

/* Is there anything that waits with nothing in its way?  Then it was lost. */
static void check_msix(const struct pci_msix *m)
{
	uint16_t control = load_le16(m->func->cfg + m->cap + PCI_MSIX_FLAGS);

	FUZZ_ASSERT(m->enabled == !!(control & PCI_MSIX_FLAGS_ENABLE));
	FUZZ_ASSERT(m->masked == !!(control & PCI_MSIX_FLAGS_MASKALL));
	FUZZ_ASSERT(!(m->pending >> m->n));
	for (unsigned v = 0; v < m->n && m->enabled && !m->masked; v++)
		FUZZ_ASSERT(!(m->pending & BIT_ULL(v)) || m->entry[v].ctrl & 1);
}

static void check_calls(const struct pci_msix *m)
{
	for (unsigned i = 0; i < CALLS; i++) {
		const struct pci_msix_call *c = &m->call[i];
		const struct route *r = &routes[(m - msix) * CALLS + i];
		unsigned v = c->vector;
		bool open = c->fd >= 0 && v < m->n && m->enabled && !m->masked && !(m->entry[v].ctrl & 1);

		FUZZ_ASSERT(r->on == (open && !is_refused(m->entry[v].addr)));
		FUZZ_ASSERT(!r->on || (r->addr == m->entry[v].addr && r->data == m->entry[v].data));
	}
}

/* A worker comes or goes, or the driver chooses another vector. */
static void op_call(struct pci_msix *m, uint8_t what)
{
	unsigned call = what % CALLS;

	if (what & 64)
		pci_msix_call_vector(m, call, what & 128 ? 0xffff : fuzz_u8(&in) % (PCI_MSIX_MAX + 2));
	else
		FUZZ_ASSERT(!pci_msix_call_fd(m, call, what & 128 ? -1 : 100 + (int)((unsigned)(m - msix) * CALLS + call)));
}

static void op_signal(struct pci_msix *m, unsigned v)
{
	bool open = m->enabled && !m->masked && v < m->n && !(m->entry[v].ctrl & 1);
	unsigned before = t.sent;

	pci_msix_signal(m, v);
	FUZZ_ASSERT(t.sent - before == open);
	FUZZ_ASSERT(!open || (t.addr == m->entry[v].addr && t.data == m->entry[v].data));
}

static void op(void)
{
	uint8_t b = fuzz_u8(&in);
	unsigned size = 1u << (b >> 3 & 3), i = b >> 5 & 1;
	uint64_t off = fuzz_u8(&in);

	switch (b & 7) {
	case 0:
	case 1:
		bus_write(&mmio, ECAM + (slots[i] << 15) + off, size, fuzz_value(&in));
		check_page(i);
		break;
	case 2: /* anywhere in the window, and around it */
		if (b & 64)
			bus_write(&mmio, ECAM - 8 + fuzz_uint(&in, 3) % (MIB(1) + 16), size, fuzz_value(&in));
		else
			bus_read(&mmio, ECAM - 8 + fuzz_uint(&in, 3) % (MIB(1) + 16), size);
		break;
	case 3:
		off %= 257 - size;
		FUZZ_ASSERT(!memcmp(&(uint64_t){ htole64(bus_read(&mmio, ECAM + (slots[i] << 15) + off, size)) },
				    func[i].cfg + off, size));
		break;
	case 4:
	case 5:
		if (b & 64)
			pci_msix_table_write(&msix[i], off * 4, 4u << (b >> 3 & 1), fuzz_value(&in));
		else
			pci_msix_table_write(&msix[i], fuzz_u16(&in), size, fuzz_value(&in));
		break;
	case 6:
		if (b & 64)
			op_call(&msix[i], (uint8_t)off);
		else
			op_signal(&msix[i], (unsigned)off % (PCI_MSIX_MAX + 2));
		break;
	default:
		if (b & 64)
			pci_msix_pba_read(&msix[i], off, size);
		else
			pci_msix_table_read(&msix[i], off, size);
		break;
	}
	check_msix(&msix[i]);
	check_calls(&msix[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!ecam)
		build();
	init_funcs();
	memset(&t, 0, sizeof(t));
	memset(routes, 0, sizeof(routes));
	in = (struct fuzz){ data, data + size };
	while (fuzz_more(&in))
		op();
	for (unsigned i = 0; i < FUNCS; i++) {
		check_page(i);
		FUZZ_ASSERT(!memcmp(func[i].cfg + 256, first + slots[i] * (size_t)PCI_CFG_SIZE + 256, PCI_CFG_SIZE - 256));
		pci_msix_fini(&msix[i]);
	}
	/* The pages of functions that are not there. */
	for (unsigned s = 1; s < 31; s += 29)
		FUZZ_ASSERT(!memcmp(ecam + s * (size_t)PCI_CFG_SIZE, first + s * (size_t)PCI_CFG_SIZE, PCI_CFG_SIZE));
	return 0;
}
