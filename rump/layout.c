// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which devices a rump kernel gets and where on its bus it finds them.
 *
 * The kernel side probes bus 0 alone, without bridges. So devices of any domain and bus are laid
 * out on it side by side, and a function 0 is always there, because NetBSD looks at the others only
 * then.
 *
 * Hypercalls carry no context: the bus is global state of this component.
 */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <sys/io.h>
#endif

#include "layout.h"

#define MESSAGE_SIZE 512

static struct rump_bus the_bus;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Where the next message of the library goes; NULL: it is printed. */
static char *kept_message;
static bool said_why;

static void print_message(const char *text)
{
	if (!*text)
		return;
	said_why = true;
	rump_message("%s", text);
}

static void print_failure(void *data, const struct usrpci_log_entry *entry)
{
	char text[MESSAGE_SIZE];

	(void)data;
	if (rump_memory_is_short() && !strcmp(entry->subject, "dma"))
		return;
	snprintf(text, sizeof(text), "%s: %s%s%s", entry->object ? entry->object : entry->subject,
		 entry->text, entry->hint ? "; " : "", entry->hint ? entry->hint : "");
	if (!kept_message)
		print_message(text);
	else if (!*kept_message)
		memcpy(kept_message, text, sizeof(text));
}

static bool same_device(const struct usrpci_addr *a, const struct usrpci_addr *b)
{
	return a->domain == b->domain && a->bus == b->bus && a->dev == b->dev;
}

/* The slot that holds functions of the same device, or the first empty one. */
static struct rump_function *find_slot(const struct usrpci_addr *addr)
{
	for (unsigned int i = 0; i < RUMP_SLOTS; i++) {
		struct rump_function *slot = the_bus.slots[i];

		if (!slot[0].dev || same_device(&usrpci_dev_info(slot[0].dev)->addr, addr))
			return slot;
	}
	return NULL;
}

/*
 * Functions of one device stand in the order of their numbers, whatever order they were named in.
 */
static void insert_function(struct rump_function *slot, const struct rump_function *new)
{
	const struct usrpci_addr *addr = &usrpci_dev_info(new->dev)->addr;
	unsigned int at = 0, end = 0;

	while (slot[end].dev)
		end++;
	while (at < end && usrpci_addr_compare(&usrpci_dev_info(slot[at].dev)->addr, addr) < 0)
		at++;
	memmove(&slot[at + 1], &slot[at], (end - at) * sizeof(*slot));
	slot[at] = *new;
	for (unsigned int i = 0; i <= end; i++)
		slot[i].first = i == 0 && end > 0;
}

static bool has_device(const struct usrpci_addr *addr)
{
	struct rump_function *slot = find_slot(addr);

	for (unsigned int i = 0; slot && i < RUMP_FUNCTIONS && slot[i].dev; i++)
		if (!usrpci_addr_compare(&usrpci_dev_info(slot[i].dev)->addr, addr))
			return true;
	return false;
}

/*
 * The driver that had the device before may have been killed, which only switches bus mastering
 * off. NetBSD's drivers allow that again long before they reset the device, which would meanwhile
 * go on with rings in memory that is somebody else's by now.
 */
static void bring_to_rest(struct usrpci_dev *dev)
{
	usrpci_dev_set_bus_master(dev, false);
	if (usrpci_dev_features(dev) & USRPCI_FEATURE_RESET)
		usrpci_dev_reset(dev, USRPCI_RESET_FUNCTION);
}

static int add_device(const char *name)
{
	struct rump_function added = {0};
	struct rump_function *slot;
	int error = usrpci_dev_open(the_bus.ctx, name, &added.dev);

	if (error)
		return error;
	slot = find_slot(&usrpci_dev_info(added.dev)->addr);
	if (!slot || slot[RUMP_FUNCTIONS - 1].dev) {
		rump_message("%s: left out: the rump kernel's bus has %d slots of %d functions",
			     name, RUMP_SLOTS, RUMP_FUNCTIONS);
		usrpci_dev_close(added.dev);
		return -ENOSPC;
	}
	for (unsigned int i = 0; i < USRPCI_BARS; i++) {
		if (usrpci_bar_info(added.dev, i, &added.bar_info[i]))
			continue;
		added.bar_value[i] = (uint32_t)added.bar_info[i].address;
		if ((added.bar_info[i].flags & USRPCI_BAR_64BIT) && i + 1 < USRPCI_BARS)
			added.bar_value[i + 1] = (uint32_t)(added.bar_info[i].address >> 32);
	}
	bring_to_rest(added.dev);
	insert_function(slot, &added);
	the_bus.functions++;
	return 0;
}

static void add_named(const char *names)
{
	char *copy = strdup(names), *rest = copy;
	const char *name;

	while (copy && (name = strsep(&rest, ", "))) {
		struct usrpci_addr addr;

		if (!*name)
			continue;
		if (!usrpci_dev_find(the_bus.ctx, name, &addr) && !has_device(&addr))
			add_device(name);
	}
	free(copy);
}

/* Devices that this process may not open are other programs': that is said when all of them are. */
static void add_unless_denied(const struct usrpci_addr *addr, char denied[MESSAGE_SIZE])
{
	char name[USRPCI_ADDR_STRLEN], said[MESSAGE_SIZE] = "";
	int error;

	kept_message = said;
	error = add_device(usrpci_addr_format(addr, name));
	kept_message = NULL;
	if (error != -EACCES && error != -EPERM)
		print_message(said);
	else if (!*denied)
		memcpy(denied, said, sizeof(said));
}

static void add_all(void)
{
	char denied[MESSAGE_SIZE] = "";
	struct usrpci_dev_info *list;
	int count = usrpci_dev_list(the_bus.ctx, &list);

	for (int i = 0; i < count; i++) {
		if (list[i].driver_kind == USRPCI_DRIVER_UIO ||
		    list[i].driver_kind == USRPCI_DRIVER_VFIO)
			add_unless_denied(&list[i].addr, denied);
	}
	usrpci_dev_list_free(list);
	if (!the_bus.functions)
		print_message(denied);
}

/*
 * The kernel side does port I/O by instructions, in any of its threads; threads inherit the
 * permission from the one that runs here, the first. Without it, each instruction is a fault that
 * ports.c sees to, which takes some microseconds.
 */
static void allow_ports(void)
{
	const char *wanted = getenv("USRPCI_RUMP_PORTS");

	if (wanted && !strcmp(wanted, "0"))
		return;
#if defined(__x86_64__)
	if (wanted && !iopl(3)) {
		the_bus.ports = true;
		return;
	}
	if (wanted)
		rump_message("I/O ports: %s (CAP_SYS_RAWIO is needed, and no kernel lockdown): "
			     "each access is slower without",
			     strerror(errno));
#endif
	the_bus.ports = rump_ports_emulate();
}

static void open_bus(void)
{
	const struct usrpci_ctx_options options = {
		.log = print_failure,
		.log_level = USRPCI_LOG_WARNING,
	};
	const char *names = getenv("USRPCI_RUMP");
	int error = usrpci_ctx_open(&options, &the_bus.ctx);

	the_bus.owner = getpid();
	if (error) {
		rump_message("cannot start: %s", strerror(-error));
		return;
	}
	if (names)
		add_named(names);
	else
		add_all();
	if (!the_bus.functions && !said_why)
		rump_message("no device: bind one (usrpci bind ADDR), or name it in USRPCI_RUMP");
	allow_ports();
}

struct rump_bus *rump_bus(void)
{
	pthread_once(&once, open_bus);
	return the_bus.functions ? &the_bus : NULL;
}

bool rump_ports_allowed(void)
{
	struct rump_bus *bus = rump_bus();

	return bus && bus->ports;
}

struct rump_function *rump_function(unsigned int bus, unsigned int device, unsigned int function)
{
	struct rump_bus *known = rump_bus();

	if (!known || bus != 0 || device >= RUMP_SLOTS || function >= RUMP_FUNCTIONS)
		return NULL;
	return known->slots[device][function].dev ? &known->slots[device][function] : NULL;
}

/*
 * The process ends: no device may go on writing to memory that the kernel is about to take back. A
 * child that ends leaves its parent's devices alone.
 */
__attribute__((destructor)) static void stop_devices(void)
{
	if (the_bus.owner != getpid())
		return;
	for (unsigned int i = 0; i < RUMP_SLOTS; i++) {
		for (unsigned int f = 0; f < RUMP_FUNCTIONS && the_bus.slots[i][f].dev; f++)
			usrpci_dev_set_bus_master(the_bus.slots[i][f].dev, false);
	}
}
