// SPDX-License-Identifier: GPL-2.0
/*
 * What the tests of exchanged memory share.
 *
 * Coherent memory is judged without asking the driver: the page tables say which
 * frame is behind each of its pages, and the frames have to be what the bus
 * address promises. The linear mapping of the whole domain is judged likewise.
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/kfence.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

#include <asm/xen/hypercall.h>
#include <asm/xen/page.h>

#include <xen/interface/memory.h>
#include <xen/interface/xen.h>

#include "xdt.h"
#include "xdt_memory.h"

/* Odd numbers far from each other, so that sums of multiples don't meet. */
#define XDT_WORD_STEP	0x9e3779b97f4a7c15ULL
#define XDT_SEED_STEP	0xd1342543de82ef95ULL

/* How much of an area the device reads, in bytes. */
#define XDT_SEEN	8

/* How often memory is looked at that does not seem sound. */
#define XDT_LOOKS	5

/*
 * What scripts tell the tests. Older kernels run the cases of a module before they
 * read its own parameters.
 */
unsigned int xdt_low_bits = 32;
module_param_named(low_bits, xdt_low_bits, uint, 0644);
MODULE_PARM_DESC(low_bits, "width of the addresses of a device that takes all there is");
EXPORT_SYMBOL_GPL(xdt_low_bits);

unsigned int xdt_seed;
module_param_named(seed, xdt_seed, uint, 0644);
MODULE_PARM_DESC(seed, "of random sequences; 0: a random one");
EXPORT_SYMBOL_GPL(xdt_seed);

/**
 * xdt_take() - allocate coherent memory, quietly
 * @dev: the device
 * @area: where it is noted; left without memory when there is none
 * @size: bytes, whole pages
 * @gfp: allocation flags
 *
 * Return: true when there was some.
 */
bool xdt_take(struct device *dev, struct xdt_area *area, size_t size, gfp_t gfp)
{
	area->size = size;
	area->addr = dma_alloc_coherent(dev, size, &area->bus,
					gfp | __GFP_NOWARN);
	return area->addr;
}
EXPORT_SYMBOL_GPL(xdt_take);

/**
 * xdt_give() - free coherent memory
 * @dev: the device
 * @area: what is freed; may be without memory
 */
void xdt_give(struct device *dev, struct xdt_area *area)
{
	if (area->addr)
		dma_free_coherent(dev, area->size, area->addr, area->bus);
	area->addr = NULL;
}
EXPORT_SYMBOL_GPL(xdt_give);

/* The page table entry of a kernel address; 0 when there is none. */
static unsigned long pte_of(const void *addr)
{
	unsigned int level;
	pte_t *pte = lookup_address((unsigned long)addr, &level);

	return pte && level == PG_LEVEL_4K ? READ_ONCE(pte->pte) : 0;
}

static bool names_frame(unsigned long pte, unsigned long mfn)
{
	return (pte & _PAGE_PRESENT) && pte_mfn(__pte_ma(pte)) == mfn;
}

/**
 * xdt_area_lies() - whether memory is where its bus address says
 * @area: the memory
 *
 * Return: true when each page has the frame that it should have.
 */
bool xdt_area_lies(const struct xdt_area *area)
{
	size_t i;

	for (i = 0; i < area->size; i += PAGE_SIZE)
		if (!names_frame(pte_of(area->addr + i),
				 PFN_DOWN(area->bus + i)))
			return false;
	return true;
}
EXPORT_SYMBOL_GPL(xdt_area_lies);

/**
 * xdt_area_flaw() - what is wrong with memory that was just allocated
 * @dev: its device
 * @area: the memory
 *
 * Return: words for it; NULL when it is zeroed, aligned on the bus, below the
 * device's coherent mask and contiguous.
 */
const char *xdt_area_flaw(struct device *dev, const struct xdt_area *area)
{
	if (area->bus & ((PAGE_SIZE << get_order(area->size)) - 1))
		return "not aligned";
	if (area->bus + area->size - 1 > dev->coherent_dma_mask)
		return "above the mask";
	if (!xdt_area_lies(area))
		return "not at its bus address";
	if (memchr_inv(area->addr, 0, area->size))
		return "not zeroed";
	return NULL;
}
EXPORT_SYMBOL_GPL(xdt_area_flaw);

/**
 * xdt_stamp() - fill memory
 * @addr: the memory
 * @size: bytes, whole words
 * @seed: which pattern
 */
void xdt_stamp(void *addr, size_t size, u64 seed)
{
	u64 *word = addr, value = (seed + 1) * XDT_SEED_STEP;
	size_t i;

	for (i = 0; i < size / sizeof(*word); i++) {
		value += XDT_WORD_STEP;
		word[i] = value;
	}
}
EXPORT_SYMBOL_GPL(xdt_stamp);

/**
 * xdt_stamped() - compare memory with what xdt_stamp() wrote
 * @addr: the memory
 * @size: bytes, whole words
 * @seed: which pattern
 *
 * Return: offset of the first word that differs, @size when none does.
 */
size_t xdt_stamped(const void *addr, size_t size, u64 seed)
{
	u64 value = (seed + 1) * XDT_SEED_STEP;
	const u64 *word = addr;
	size_t i;

	for (i = 0; i < size / sizeof(*word); i++) {
		value += XDT_WORD_STEP;
		if (word[i] != value)
			break;
	}
	return i * sizeof(*word);
}
EXPORT_SYMBOL_GPL(xdt_stamped);

/**
 * xdt_device_sees() - whether the device sees what the CPU does
 * @areas: memory that holds some pattern; some may be without memory
 * @nr: number of @areas, XDT_MAX_SEEN at most
 *
 * Their last bytes are looked at, which lie right only if all of it is in one
 * piece.
 *
 * Context: may sleep.
 * Return: true when it does.
 */
bool xdt_device_sees(const struct xdt_area *areas, unsigned int nr)
{
	struct xdt_op ops[XDT_MAX_SEEN] = { };
	u8 seen[XDT_MAX_SEEN][XDT_SEEN];
	const u8 *addr[XDT_MAX_SEEN];
	unsigned int i, n = 0;

	for (i = 0; i < min(nr, XDT_MAX_SEEN); i++) {
		size_t at = areas[i].size - XDT_SEEN;

		if (!areas[i].addr)
			continue;
		addr[n] = areas[i].addr + at;
		ops[n].bus = areas[i].bus + at;
		ops[n].buf = seen[n];
		ops[n].len = XDT_SEEN;
		n++;
	}
	if (xdt_run(ops, n))
		return false;
	for (i = 0; i < n; i++)
		if (memcmp(seen[i], addr[i], XDT_SEEN))
			return false;
	return true;
}
EXPORT_SYMBOL_GPL(xdt_device_sees);

static void look_at(struct xdt_domain *domain, unsigned long pfn,
		    unsigned long pte)
{
	unsigned long mfn = READ_ONCE(xen_p2m_addr[pfn]);
	unsigned long m2p = INVALID_P2M_ENTRY;

	if (mfn == INVALID_P2M_ENTRY && !(pte & _PAGE_PRESENT)) {
		domain->absent++;
		return;
	}
	if (mfn != INVALID_P2M_ENTRY) {
		/* Not the domain's own. */
		if (mfn & (FOREIGN_FRAME_BIT | IDENTITY_FRAME_BIT))
			return;
		m2p = mfn_to_pfn_no_overrides(mfn);
	}
	if (m2p == pfn && names_frame(pte, mfn)) {
		domain->mapped++;
		return;
	}

	if (!domain->wrong++) {
		domain->pfn = pfn;
		domain->p2m = mfn;
		domain->pte = pte;
		domain->m2p = m2p;
	}
}

/**
 * xdt_look() - look at every page of the domain
 * @domain: what was found
 *
 * What is being exchanged meanwhile is found absent or wrong; see xdt_is_sound().
 *
 * Context: may sleep.
 */
void xdt_look(struct xdt_domain *domain)
{
	domid_t domid = DOMID_SELF;
	unsigned long pfn, i;

	memset(domain, 0, sizeof(*domain));
	for (pfn = 0; pfn + PTRS_PER_PTE <= xen_p2m_size; pfn += PTRS_PER_PTE) {
		unsigned int level;
		pte_t *pte = NULL;

		cond_resched();
		if (pfn_valid(pfn))
			pte = lookup_address((unsigned long)__va(PFN_PHYS(pfn)),
					     &level);
		if (!pte || level != PG_LEVEL_4K)
			continue;
		for (i = 0; i < PTRS_PER_PTE; i++) {
			/* KFENCE takes its pages out of the mapping as it likes. */
			if (!is_kfence_address(__va(PFN_PHYS(pfn + i))))
				look_at(domain, pfn + i, READ_ONCE(pte[i].pte));
		}
	}
	domain->owned = HYPERVISOR_memory_op(XENMEM_current_reservation,
					     &domid);
}
EXPORT_SYMBOL_GPL(xdt_look);

/**
 * xdt_is_sound() - whether all tables agree about every page of the domain
 * @now: what was found
 * @before: found earlier: the domain has to have as much memory; NULL for no matter
 *
 * Looks again when not, for others may just have some pages exchanged.
 *
 * Context: may sleep.
 * Return: true when they do.
 */
bool xdt_is_sound(struct xdt_domain *now, const struct xdt_domain *before)
{
	unsigned int tries = XDT_LOOKS;

	for (;;) {
		xdt_look(now);
		if (now->mapped && !now->wrong &&
		    (!before || (now->mapped == before->mapped &&
				 now->absent == before->absent &&
				 now->owned == before->owned)))
			return true;
		if (!--tries)
			return false;
		msleep(50);
	}
}
EXPORT_SYMBOL_GPL(xdt_is_sound);

/**
 * xdt_say_sound() - look at the domain's memory, and say what it is like
 * @first: what the first look found; filled by that one
 * @answer: where the words go: "sound", or "wrong: WHY"
 * @size: room for them
 */
void xdt_say_sound(struct xdt_domain *first, char *answer, size_t size)
{
	struct xdt_domain now;

	if (xdt_is_sound(&now, first->mapped ? first : NULL))
		snprintf(answer, size, "sound\n");
	else if (now.wrong)
		snprintf(answer, size, "wrong: %lu pages, first %#lx: P2M %#lx PTE %#lx M2P %#lx\n",
			 now.wrong, now.pfn, now.p2m, now.pte, now.m2p);
	else
		snprintf(answer, size, "wrong: %lu pages mapped, %ld owned, once %lu and %ld\n",
			 now.mapped, now.owned, first->mapped, first->owned);
	if (!first->mapped)
		*first = now;
}
EXPORT_SYMBOL_GPL(xdt_say_sound);

static ssize_t hands_write(struct file *filp, const char __user *from, size_t len,
			   loff_t *pos)
{
	struct xdt_hands *hands = filp->private_data;
	char line[32];

	if (len >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, from, len))
		return -EFAULT;
	line[len] = 0;
	return hands->obey(line) ? len : -EINVAL;
}

static ssize_t hands_read(struct file *filp, char __user *to, size_t len, loff_t *pos)
{
	struct xdt_hands *hands = filp->private_data;

	return simple_read_from_buffer(to, len, pos, hands->answer,
				       strlen(hands->answer));
}

static const struct file_operations hands_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.read = hands_read,
	.write = hands_write,
};

/**
 * xdt_start_hands() - make the file to which a script writes
 * @hands: with what obeys
 * @name: the file's, in debugfs
 *
 * Return: 0, or an error.
 */
int xdt_start_hands(struct xdt_hands *hands, const char *name)
{
	xdt_say(hands, "nothing yet\n");
	hands->file = debugfs_create_file(name, 0600, NULL, hands, &hands_fops);
	return PTR_ERR_OR_ZERO(hands->file);
}
EXPORT_SYMBOL_GPL(xdt_start_hands);

/**
 * xdt_stop_hands() - remove the file, when nobody is at it any more
 * @hands: of xdt_start_hands()
 */
void xdt_stop_hands(struct xdt_hands *hands)
{
	debugfs_remove(hands->file);
}
EXPORT_SYMBOL_GPL(xdt_stop_hands);

MODULE_DESCRIPTION("DMA tests: what tests of exchanged memory share");
MODULE_LICENSE("GPL");
