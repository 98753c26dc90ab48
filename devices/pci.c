/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pci.c - configuration space of bus 0 (PCI 3.0, chapter 6; PCI Express 7.2.2 for its window).
 *
 * Called by the machine while it is built, then by vCPU threads through the bus.  The guest may read the same pages
 * through a read-only memory slot while a write is under way here, so each write is worked out aside and lands in the
 * page as one whole doubleword: no reader ever sees what the registers did not hold.
 *
 * There is no PCI Express capability: without one, kernels take the first 256 bytes for all there is, which is true.
 * There are no expansion ROMs, no I/O BARs, no INTx; BARs do not move.
 */
#include "pci.h"

#include <linux/pci_regs.h>
#include "bits.h"

#define ALL_ONES UINT64_MAX

void pci_init(struct pci *pci, uint8_t *ecam_pages)
{
	*pci = (struct pci){ .ecam = ecam_pages };
	pthread_mutex_init(&pci->lock, NULL);
	memset(ecam_pages, 0xff, (size_t)PCI_MAX_FUNCS * PCI_CFG_SIZE);
}

void pci_fini(struct pci *pci)
{
	pthread_mutex_destroy(&pci->lock);
}

/* ---- building ----------------------------------------------------------------------------------------------------- */

void pci_func_init(struct pci *pci, struct pci_func *f, unsigned dev, const char *name, uint16_t vendor,
		   uint16_t device, uint32_t class_code, uint8_t revision, uint16_t sub_vendor, uint16_t sub_device)
{
	uint8_t *cfg = pci->ecam + (size_t)dev * PCI_CFG_SIZE;

	*f = (struct pci_func){ .pci = pci, .devfn = dev << 3, .cfg = cfg, .cap_next = PCI_STD_HEADER_SIZEOF,
				.name = name };
	memset(cfg, 0, PCI_CFG_SIZE);
	store_le16(cfg + PCI_VENDOR_ID, vendor);
	store_le16(cfg + PCI_DEVICE_ID, device);
	store_le32(cfg + PCI_CLASS_REVISION, class_code << 8 | revision);
	store_le16(cfg + PCI_SUBSYSTEM_VENDOR_ID, sub_vendor);
	store_le16(cfg + PCI_SUBSYSTEM_ID, sub_device);
	/* Kept, and without effect: windows are always decoded, and there is no INTx to disable. */
	store_le16(f->wmask + PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	f->wmask[PCI_CACHE_LINE_SIZE] = 0xff;
	f->wmask[PCI_INTERRUPT_LINE] = 0xff;
	pci->func[dev] = f;
}

static uint32_t bar_flags(const struct pci_bar *b)
{
	return b->is64 ? PCI_BASE_ADDRESS_MEM_TYPE_64 : PCI_BASE_ADDRESS_MEM_TYPE_32;
}

void pci_bar_set(struct pci_func *f, unsigned bar, uint64_t addr, uint64_t size, bool is64)
{
	uint8_t *reg = f->cfg + PCI_BASE_ADDRESS_0 + 4 * bar;

	f->bar[bar] = (struct pci_bar){ .addr = addr, .size = size, .is64 = is64 };
	store_le32(reg, (uint32_t)addr | bar_flags(&f->bar[bar]));
	if (is64)
		store_le32(reg + 4, (uint32_t)(addr >> 32));
}

unsigned pci_cap_add(struct pci_func *f, uint8_t id, const void *body, unsigned body_len)
{
	unsigned off = f->cap_next;

	f->cfg[off] = id;
	memcpy(f->cfg + off + 2, body, body_len);
	f->cfg[f->cap_last ? f->cap_last : PCI_CAPABILITY_LIST] = (uint8_t)off;
	f->cap_last = off + 1;
	f->cap_next = (unsigned)align_up(off + 2 + body_len, 4);
	f->cfg[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	return off;
}

/* ---- the guest's accesses ----------------------------------------------------------------------------------------- */

/* The function at OFF of the window, if all SIZE bytes are its own; *REG is where in its page. */
static struct pci_func *find(struct pci *pci, uint64_t off, unsigned size, unsigned *reg)
{
	unsigned devfn = (unsigned)(off / PCI_CFG_SIZE);

	*reg = (unsigned)(off % PCI_CFG_SIZE);
	if (devfn % 8 || devfn / 8 >= PCI_MAX_FUNCS || *reg + size > PCI_CFG_SIZE)
		return NULL;
	return pci->func[devfn / 8];
}

static uint64_t ecam_read(void *dev, uint64_t off, unsigned size)
{
	struct pci *pci = dev;
	unsigned reg;
	struct pci_func *f = find(pci, off, size, &reg);
	uint64_t val = 0;

	if (!f)
		return ALL_ONES;
	pthread_mutex_lock(&pci->lock);
	memcpy(&val, f->cfg + reg, size);
	pthread_mutex_unlock(&pci->lock);
	return le64toh(val);
}

/*
 * What BAR register BAR holds after VAL was written.  All ones asks for the size (PCI 3.0, 6.2.5.1); the low four bits
 * are read-only and do not count.  Any other value is refused by putting the assigned address back.
 */
static uint32_t bar_written(const struct pci_func *f, unsigned bar, uint32_t val)
{
	bool hi = bar && f->bar[bar - 1].is64;
	const struct pci_bar *b = &f->bar[hi ? bar - 1 : bar];
	uint64_t now = (val | (hi ? 0 : 0xf)) == UINT32_MAX ? ~(b->size - 1) : b->addr;

	if (!b->size)
		return 0;
	return hi ? (uint32_t)(now >> 32) : (uint32_t)now | bar_flags(b);
}

/* Merges the bytes of VAL that LANES covers into the doubleword at REG. */
static void write_dword(struct pci_func *f, unsigned reg, uint32_t val, uint32_t lanes)
{
	uint32_t old = load_le32(f->cfg + reg), mask = lanes & load_le32(f->wmask + reg), now;

	if (reg >= PCI_BASE_ADDRESS_0 && reg <= PCI_BASE_ADDRESS_5)
		now = bar_written(f, (reg - PCI_BASE_ADDRESS_0) / 4, (old & ~lanes) | (val & lanes));
	else
		now = (old & ~mask) | (val & mask);
	/* One store: a guest that reads the page meanwhile sees the old value or the new. */
	__atomic_store_n((uint32_t *)(void *)(f->cfg + reg), htole32(now), __ATOMIC_RELAXED);
}

static void ecam_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	struct pci *pci = dev;
	unsigned reg;
	struct pci_func *f = find(pci, off, size, &reg);

	/* Extended configuration space has no registers. */
	if (!f || reg + size > sizeof(f->wmask))
		return;
	pthread_mutex_lock(&pci->lock);
	for (unsigned at = reg & ~3u; at < reg + size; at += 4) {
		uint32_t part = 0, lanes = 0;

		for (unsigned i = MAX(at, reg); i < MIN(at + 4, reg + size); i++) {
			part |= (uint32_t)(uint8_t)(val >> 8 * (i - reg)) << 8 * (i - at);
			lanes |= 0xffu << 8 * (i - at);
		}
		write_dword(f, at, part, lanes);
	}
	if (f->cfg_written)
		f->cfg_written(f, reg, size);
	pthread_mutex_unlock(&pci->lock);
}

const struct bus_ops pci_ecam_ops = { .read = ecam_read, .write = ecam_write };
