// SPDX-License-Identifier: GPL-2.0
/*
 * The largest coherent allocation that a device with some mask gets: loading the
 * module tries 2 GiB, then half of that, and so on, and looks at the first that
 * succeeds, also through the edu devices. The parameter "found" tells its bytes.
 *
 * It is wrong to have found memory that is not as it should be; then the module
 * does not load, and the kernel log says why. No test script of the kselftest
 * loads it: what to expect depends on the machine.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/hash.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "xdt.h"

/* Where bytes are compared: at both ends, across boundaries, anywhere. */
#define NR_PLACES	48
#define PLACE		64U

static unsigned int bits = 32;
module_param(bits, uint, 0444);
MODULE_PARM_DESC(bits, "Width of the device's mask");

static unsigned int seed;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "Where it is looked at; 0 for another one each time");

static unsigned long most = SZ_2G;
module_param(most, ulong, 0444);
MODULE_PARM_DESC(most, "Bytes that are tried first");

static unsigned long found;
module_param(found, ulong, 0444);
MODULE_PARM_DESC(found, "Result: the largest allocation in bytes, 0 for none");

static unsigned int choose_places(size_t *places, size_t size)
{
	struct rnd_state rnd;
	unsigned int nr = 0;
	size_t at;

	places[nr++] = 0;
	places[nr++] = size - PLACE;
	for (at = PAGE_SIZE; at < size; at *= 2)
		places[nr++] = at - PLACE / 2;
	prandom_seed_state(&rnd, seed);
	/* In steps of a place, so that no two of these overlap in part. */
	while (nr < NR_PLACES) {
		u64 word = (u64)prandom_u32_state(&rnd) << 32 |
			   prandom_u32_state(&rnd);

		places[nr++] = word % (size / PLACE) * PLACE;
	}
	return nr;
}

/*
 * Both sides write a pattern of the place itself, so that places may lie over each
 * other. @poke: the device writes and the CPU looks, or the other way.
 */
static int compare(u8 *addr, dma_addr_t bus, const size_t *places,
		   struct xdt_op *ops, u8 (*data)[PLACE], unsigned int nr,
		   bool poke)
{
	unsigned int i, j, salt = poke ? 1 : 2;
	int ret;

	for (i = 0; i < nr; i++) {
		u8 *p = poke ? data[i] : addr + places[i];

		for (j = 0; j < PLACE; j++)
			p[j] = hash_64(places[i] + j, 8) + salt;
		ops[i].bus = bus + places[i];
		ops[i].buf = data[i];
		ops[i].len = PLACE;
		ops[i].poke = poke;
	}
	ret = xdt_run(ops, nr);
	if (ret)
		return ret;
	for (i = 0; i < nr; i++) {
		const u8 *p = poke ? addr + places[i] : data[i];

		for (j = 0; j < PLACE; j++) {
			u8 want = hash_64(places[i] + j, 8) + salt;

			if (p[j] == want)
				continue;
			pr_err("byte %#zx is %#x, not %#x, for the %s (seed %u)\n",
			       places[i] + j, p[j], want,
			       poke ? "CPU" : "device", seed);
			return -EIO;
		}
	}
	return 0;
}

static int look_at(u8 *addr, dma_addr_t bus, size_t size)
{
	struct xdt_op *ops;
	size_t *places;
	unsigned int nr;
	u8 (*data)[PLACE];
	int ret = -ENOMEM;
	u8 *dirt;

	if (bus & (size - 1) || bus + size - 1 > DMA_BIT_MASK(bits)) {
		pr_err("%zu bytes lie at %pad\n", size, &bus);
		return -EIO;
	}
	dirt = memchr_inv(addr, 0, size);
	if (dirt) {
		pr_err("byte %#zx is not zeroed\n", (size_t)(dirt - addr));
		return -EIO;
	}
	places = kcalloc(NR_PLACES, sizeof(*places), GFP_KERNEL);
	ops = kcalloc(NR_PLACES, sizeof(*ops), GFP_KERNEL);
	data = kcalloc(NR_PLACES, sizeof(*data), GFP_KERNEL);
	if (places && ops && data) {
		nr = choose_places(places, size);
		ret = compare(addr, bus, places, ops, data, nr, false);
		if (!ret)
			ret = compare(addr, bus, places, ops, data, nr, true);
	}
	kfree(data);
	kfree(ops);
	kfree(places);
	return ret;
}

static int __init xdt_largest_init(void)
{
	struct device *dev;
	dma_addr_t bus;
	u8 *addr = NULL;
	size_t size;
	int ret;

	if (!xdt_engines())
		return -ENODEV;
	if (!seed)
		seed = get_random_u32();
	dev = &xdt_engine(0)->dev;
	ret = dma_set_coherent_mask(dev, DMA_BIT_MASK(bits));
	if (ret)
		return ret;
	for (size = most; size >= PAGE_SIZE; size /= 2) {
		addr = dma_alloc_coherent(dev, size, &bus,
					  GFP_KERNEL | __GFP_NOWARN);
		if (addr)
			break;
	}
	if (addr) {
		found = size;
		ret = look_at(addr, bus, size);
		dma_free_coherent(dev, size, addr, bus);
	}
	dma_set_coherent_mask(dev, DMA_BIT_MASK(64));
	return ret;
}
module_init(xdt_largest_init);

static void __exit xdt_largest_exit(void)
{
}
module_exit(xdt_largest_exit);

MODULE_DESCRIPTION("DMA tests: the largest coherent allocation");
MODULE_LICENSE("GPL");
