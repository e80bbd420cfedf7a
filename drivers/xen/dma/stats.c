// SPDX-License-Identifier: GPL-2.0
/*
 * What was bounced for each device, and what it holds of the aperture.
 *
 * A device gets a place for its figures with the first mapping that is bounced for it. The
 * descriptor of a mapping's first slot names that place. So it costs a mapping no more than
 * storing a byte, and whoever wants to know who holds what looks at all descriptors.
 *
 * A place is known by the device's address, and holds no reference. When the device is
 * removed, or another driver has it, its place gets no more figures, and what comes next at
 * that address has a place of its own. The name stays until places run short and nothing is
 * mapped for it any more: a driver that has gone without unmapping is one of those that people
 * look for.
 */
#define pr_fmt(fmt) "xen-dma: " fmt

#include <linux/amba/bus.h>
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/ctype.h>
#include <linux/device.h>
#include <linux/init.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/pci.h>
#include <linux/percpu.h>
#include <linux/platform_device.h>
#include <linux/ratelimit.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "addr.h"
#include "pool.h"
#include "stats.h"

const char * const xen_bounce_names[XEN_BOUNCE_REASONS] = {
	[XEN_BOUNCE_MASK]	= "mask",
	[XEN_BOUNCE_STRADDLE]	= "straddle",
	[XEN_BOUNCE_ALIGN]	= "align",
	[XEN_BOUNCE_BOUNDARY]	= "boundary",
	[XEN_BOUNCE_FORCED]	= "forced",
	[XEN_BOUNCE_KMALLOC]	= "kmalloc-align",
	[XEN_BOUNCE_FOREIGN]	= "foreign-noncoherent",
	[XEN_BOUNCE_MOVED]	= "moved",
};

static DEFINE_PER_CPU(struct xen_bounce_counts, counts_of_others);

/*
 * The first is of all devices that have none of their own. The rest are taken in this order,
 * under the lock, and found without it.
 */
static struct xen_device_stats places[XEN_MAX_STATS] = {
	{ .counts = &counts_of_others, .name = "others", .driver = "-" },
};

static unsigned int nr_places = 1;
static DEFINE_RAW_SPINLOCK(places_lock);

/* There is one place before there is memory for the figures of more. */
static unsigned int max_places = 1;
static bool places_full;

/* Where places are given back before they run short. */
#define MANY_PLACES	(XEN_MAX_STATS * 3 / 4)

DEFINE_PER_CPU(struct xen_device_stats *, xen_last_stats) = places;

/* The last device for which there was no place: it is not looked for each time. */
static DEFINE_PER_CPU(const struct device *, last_other);

/* Figures of devices whose places were given to others; and who adds to them, or sums up. */
static struct xen_bounce_counts counts_of_gone;
static DEFINE_MUTEX(sums_mutex);

/* Has a device been removed since places were last given to others? */
static bool any_gone;

/* How soon a place that could not be given to others is looked at again; jiffies. */
#define RECLAIM_AGAIN	(10 * HZ)

static void reclaim(struct work_struct *work);
static DECLARE_DELAYED_WORK(reclaim_work, reclaim);

static void name_holder(struct work_struct *work);
static DECLARE_WORK(holder_work, name_holder);

static struct xen_device_stats *look_for(const struct device *dev,
					 unsigned int nr)
{
	unsigned int i;

	for (i = 1; i < nr; i++)
		if (READ_ONCE(places[i].dev) == dev)
			return &places[i];
	return NULL;
}

/* Its driver's name, or NULL. */
static const char *driver_of(const struct device *dev)
{
	return dev->driver ? dev_driver_string(dev) : NULL;
}

/* One word, whatever it is; a device that nobody has registered has no name. */
static void set_word(char *word, const char *from, size_t size)
{
	strscpy(word, from && *from ? from : "-", size);
	for (; *word; word++)
		if (isspace(*word))
			*word = '_';
}

/* A place without a name is nobody's. Under the lock. */
static struct xen_device_stats *take_place(const struct device *dev)
{
	struct xen_device_stats *stats;
	unsigned int i;

	for (i = 1; i < max_places; i++) {
		stats = &places[i];
		if (stats->name[0])
			continue;
		set_word(stats->name, dev_name(dev), sizeof(stats->name));
		set_word(stats->driver, driver_of(dev), sizeof(stats->driver));
		WRITE_ONCE(stats->dev, dev);
		if (i == nr_places)
			WRITE_ONCE(nr_places, i + 1);
		return stats;
	}
	WRITE_ONCE(places_full, true);
	return NULL;
}

/**
 * xen_find_stats() - find the figures of a device, or a place for them
 * @dev:	device that a mapping is made for
 *
 * Context: Any.
 * Return: Its figures, or those of all others when there is no place left.
 */
struct xen_device_stats *xen_find_stats(const struct device *dev)
{
	struct xen_device_stats *stats;
	unsigned long flags;

	if (READ_ONCE(places_full) && !READ_ONCE(any_gone) &&
	    this_cpu_read(last_other) == dev)
		return places;

	stats = look_for(dev, READ_ONCE(nr_places));
	if (unlikely(!stats) && !READ_ONCE(places_full)) {
		raw_spin_lock_irqsave(&places_lock, flags);
		stats = look_for(dev, nr_places) ?: take_place(dev);
		raw_spin_unlock_irqrestore(&places_lock, flags);
	}
	if (READ_ONCE(any_gone) && (!stats || stats->id >= MANY_PLACES))
		queue_delayed_work(system_freezable_wq, &reclaim_work, 0);
	if (unlikely(!stats)) {
		this_cpu_write(last_other, dev);
		return places;
	}

	this_cpu_write(xen_last_stats, stats);
	return stats;
}

/* Is it the driver's that the place has? Under the lock. */
static bool has_driver(const struct xen_device_stats *stats, const char *driver)
{
	char word[sizeof(stats->driver)];

	set_word(word, driver, sizeof(word));
	return !strcmp(stats->driver, word);
}

/* The device at that address is no more, or has another driver than @driver from now on. */
static void forget_device(const struct device *dev, const char *driver)
{
	struct xen_device_stats *stats;
	unsigned long flags;

	raw_spin_lock_irqsave(&places_lock, flags);
	stats = look_for(dev, nr_places);
	if (stats && driver && has_driver(stats, driver))
		stats = NULL;
	if (stats) {
		WRITE_ONCE(stats->dev, NULL);
		WRITE_ONCE(any_gone, true);
	}
	raw_spin_unlock_irqrestore(&places_lock, flags);
	/* Not when another place is looked at again, which may be in a while. */
	if (stats && READ_ONCE(nr_places) >= MANY_PLACES)
		mod_delayed_work(system_freezable_wq, &reclaim_work, 0);
}

/* A CPU of 32 bits counts in two steps; who has read between them reads once more. */
static u64 read_count(const u64 *count)
{
	u64 value;

	do {
		/* Each CPU goes on counting; a sum is never more exact than that. */
		value = data_race(READ_ONCE(*count));
		/* likewise */
	} while (!IS_ENABLED(CONFIG_64BIT) && value != data_race(READ_ONCE(*count)));
	return value;
}

static void add_counts(struct xen_bounce_counts *sum,
		       const struct xen_device_stats *stats)
{
	enum xen_bounce_reason why;
	int cpu;

	for_each_possible_cpu(cpu) {
		const struct xen_bounce_counts *counts =
			per_cpu_ptr(stats->counts, cpu);

		for (why = 0; why < XEN_BOUNCE_REASONS; why++) {
			sum->by[why].mappings += read_count(&counts->by[why].mappings);
			sum->by[why].bytes += read_count(&counts->by[why].bytes);
		}
	}
}

/* Gives back a place, of a device that is no more and for which nothing is mapped. */
static void give_back(struct xen_device_stats *stats)
{
	unsigned long flags;
	int cpu;

	add_counts(&counts_of_gone, stats);
	for_each_possible_cpu(cpu)
		memset(per_cpu_ptr(stats->counts, cpu), 0, sizeof(*stats->counts));
	raw_spin_lock_irqsave(&places_lock, flags);
	stats->name[0] = 0;
	WRITE_ONCE(places_full, false);
	raw_spin_unlock_irqrestore(&places_lock, flags);
}

/* Places whose devices are no more: what they hold does not become more. */
static void find_gone(unsigned long *gone)
{
	unsigned long flags;
	unsigned int i;

	raw_spin_lock_irqsave(&places_lock, flags);
	WRITE_ONCE(any_gone, false);
	for (i = 1; i < nr_places; i++)
		if (!places[i].dev && places[i].name[0])
			__set_bit(i, gone);
	raw_spin_unlock_irqrestore(&places_lock, flags);
}

static void reclaim(struct work_struct *work)
{
	DECLARE_BITMAP(gone, XEN_MAX_STATS) = {};
	struct xen_pool_used used;
	bool any_kept = false;
	unsigned int i;

	mutex_lock(&sums_mutex);
	find_gone(gone);
	xen_pool_count_used(&used);
	for_each_set_bit(i, gone, XEN_MAX_STATS) {
		if (used.held[i])
			any_kept = true;
		else
			give_back(&places[i]);
	}
	mutex_unlock(&sums_mutex);
	if (any_kept && READ_ONCE(nr_places) >= MANY_PLACES)
		queue_delayed_work(system_freezable_wq, &reclaim_work, RECLAIM_AGAIN);
}

/**
 * xen_bounces_of_all() - what was bounced since boot, for all devices
 * @sum:	where the figures go
 *
 * Context: Process, may sleep.
 */
void xen_bounces_of_all(struct xen_bounce_counts *sum)
{
	unsigned int i;

	mutex_lock(&sums_mutex);
	*sum = counts_of_gone;
	for (i = 0; i < READ_ONCE(nr_places); i++)
		add_counts(sum, &places[i]);
	mutex_unlock(&sums_mutex);
}

static void show_counts(struct seq_file *s, const struct xen_bounce_counts *sum)
{
	enum xen_bounce_reason why;

	for (why = XEN_BOUNCE_NONE + 1; why < XEN_BOUNCE_REASONS; why++)
		if (sum->by[why].mappings)
			seq_printf(s, " %s %llu %llu", xen_bounce_names[why],
				   sum->by[why].mappings, sum->by[why].bytes);
	seq_putc(s, '\n');
}

/* What a place is called now; false when it is nobody's. */
static bool copy_place(unsigned int i, struct xen_device_stats *copy)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&places_lock, flags);
	*copy = places[i];
	raw_spin_unlock_irqrestore(&places_lock, flags);
	return copy->name[0];
}

/**
 * xen_stats_show() - list the devices that had something bounced
 * @s:	debugfs file
 *
 * Context: Process, may sleep.
 */
void xen_stats_show(struct seq_file *s)
{
	struct xen_device_stats stats;
	struct xen_pool_used used;
	unsigned int i;

	seq_puts(s, "# device driver id state slots-held [reason mappings bytes]...\n");
	mutex_lock(&sums_mutex);
	xen_pool_count_used(&used);
	for (i = 0; i < READ_ONCE(nr_places); i++) {
		struct xen_bounce_counts sum = {};

		if (!copy_place(i, &stats))
			continue;
		seq_printf(s, "%s %s %u %s %u", stats.name, stats.driver, i,
			   !i || stats.dev ? "present" : "removed", used.held[i]);
		add_counts(&sum, &stats);
		show_counts(s, &sum);
	}
	seq_puts(s, "forgotten - - removed 0");
	show_counts(s, &counts_of_gone);
	mutex_unlock(&sums_mutex);
}

static void name_holder(struct work_struct *work)
{
	struct xen_device_stats stats;
	struct xen_pool_used used;
	unsigned int i, most = 0;

	mutex_lock(&sums_mutex);
	xen_pool_count_used(&used);
	for (i = 1; i < XEN_MAX_STATS; i++)
		if (used.held[i] > used.held[most])
			most = i;
	if (used.held[most] && copy_place(most, &stats))
		pr_info("of %u slots in mappings, %s %s has %u%s\n", used.mapped,
			stats.driver, stats.name, used.held[most],
			most && !stats.dev ? ", and has been removed" : "");
	mutex_unlock(&sums_mutex);
}

/**
 * xen_stats_name_holder() - say soon which device holds most of the aperture
 *
 * Context: Any.
 */
void xen_stats_name_holder(void)
{
	/* Nobody needs to know how often it was not said. */
	static struct ratelimit_state rs =
		RATELIMIT_STATE_INIT_FLAGS("xen_dma_holder", DEFAULT_RATELIMIT_INTERVAL,
					   1, RATELIMIT_MSG_ON_RELEASE);

	if (__ratelimit(&rs))
		schedule_work(&holder_work);
}

static int device_changes(struct notifier_block *nb, unsigned long event,
			  void *dev)
{
	if (event == BUS_NOTIFY_REMOVED_DEVICE)
		forget_device(dev, NULL);
	else if (event == BUS_NOTIFY_BIND_DRIVER)
		forget_device(dev, driver_of(dev));
	return NOTIFY_OK;
}

static struct notifier_block platform_nb = { .notifier_call = device_changes };
static struct notifier_block pci_nb __maybe_unused = { .notifier_call = device_changes };
static struct notifier_block amba_nb __maybe_unused = { .notifier_call = device_changes };

/* On others a device that comes after one that is gone may be taken for that one. */
static int __init watch_buses(void)
{
	int rc;

	if (!xen_dma_domain())
		return 0;
	rc = bus_register_notifier(&platform_bus_type, &platform_nb);
#ifdef CONFIG_PCI
	rc = rc ?: bus_register_notifier(&pci_bus_type, &pci_nb);
#endif
#ifdef CONFIG_ARM_AMBA
	rc = rc ?: bus_register_notifier(&amba_bustype, &amba_nb);
#endif
	if (rc)
		pr_warn("devices that are removed can't be told from others: error %d\n", rc);
	return rc;
}

/* When there are buses. */
subsys_initcall(watch_buses);

static int start(void)
{
	struct xen_bounce_counts __percpu *counts;
	unsigned int i;

	counts = __alloc_percpu(sizeof(*counts) * (XEN_MAX_STATS - 1),
				__alignof__(*counts));
	if (!counts)
		return -ENOMEM;
	for (i = 1; i < XEN_MAX_STATS; i++) {
		places[i].id = i;
		places[i].counts = counts + (i - 1);
	}
	raw_spin_lock_irq(&places_lock);
	max_places = XEN_MAX_STATS;
	WRITE_ONCE(places_full, false);
	raw_spin_unlock_irq(&places_lock);
	return 0;
}

/* Nothing but these figures depends on it. */
static int __init xen_stats_init(void)
{
	return xen_dma_domain() ? start() : 0;
}
core_initcall(xen_stats_init);

#if IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST)
/* For the tests: nothing was ever bounced. */
int xen_stats_reset(void)
{
	unsigned int i;

	if (max_places == 1 && start())
		return -ENOMEM;
	for (i = 0; i < XEN_MAX_STATS; i++) {
		places[i].dev = NULL;
		give_back(&places[i]);
	}
	nr_places = 1;
	strscpy(places[0].name, "others", sizeof(places[0].name));
	memset(&counts_of_gone, 0, sizeof(counts_of_gone));
	return 0;
}

/* A device is removed. */
void xen_stats_forget(const struct device *dev)
{
	forget_device(dev, NULL);
}

/* A driver gets a device. */
void xen_stats_bind(const struct device *dev)
{
	forget_device(dev, driver_of(dev));
}

/* What was to be done soon is done. */
void xen_stats_flush(void)
{
	flush_delayed_work(&reclaim_work);
	flush_work(&holder_work);
}
#endif
