/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How two domains, one of which has granted pages to the other, tell each other
 * what to look at: by a page that is granted first and lists the others.
 *
 * The one that maps the pages has its device write a pattern, and asks; the one that
 * has granted them looks, answers, and fills them anew for the device to read.
 */
#ifndef XDT_ARM_OFFER_H
#define XDT_ARM_OFFER_H

#include <linux/types.h>

#define OFFER_MAGIC	0x7864742d6f666665ULL
#define OFFER_PAGES	16U

/* The pattern of a page that one domain has filled for the other. */
#define OFFER_SEED(round, i)	(1000 * (round) + (i))
/* The pattern of a page that the device has written. */
#define OFFER_WRITTEN(round, i)	(1000 * (round) + 500 + (i))

/**
 * struct offer - the first page
 * @magic: OFFER_MAGIC, written last
 * @refs: grant references of the other pages
 * @asked: how many rounds the device has written
 * @answered: how many of them were looked at
 * @wrong: how many bytes were not what the device should have written, so far
 * @ended: set when there will be no more
 */
struct offer {
	u64 magic;
	u32 refs[OFFER_PAGES];
	u32 asked;
	u32 answered;
	u64 wrong;
	u32 ended;
};

#endif /* XDT_ARM_OFFER_H */
