// SPDX-License-Identifier: BSD-2-Clause
/*
 * Decodes capabilities: PCI Local Bus 3.0 (chapter 6), PCI Power Management 1.2 (3.2), PCI Express
 * Base 4.0 (7.5 to 7.9), Virtio 1.1 (4.1.4). Registers are read one by one and only those that are
 * needed, because some devices don't bear reading of all. What lies outside of the configuration
 * space reads as all ones, as from a bus.
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "capability.h"

struct decoder {
	struct usrpci_dev *dev;
	unsigned int offset; /* of the capability */
	struct field *fields;
	size_t count;
};

static uint8_t get8(const struct decoder *d, unsigned int at)
{
	uint8_t value = 0xff;

	if (d->offset + at + 1 <= (unsigned int)usrpci_config_size(d->dev))
		usrpci_config_read8(d->dev, d->offset + at, &value);
	return value;
}

static uint16_t get16(const struct decoder *d, unsigned int at)
{
	uint16_t value = 0xffff;

	if (d->offset + at + 2 <= (unsigned int)usrpci_config_size(d->dev))
		usrpci_config_read16(d->dev, d->offset + at, &value);
	return value;
}

static uint32_t get32(const struct decoder *d, unsigned int at)
{
	uint32_t value = 0xffffffff;

	if (d->offset + at + 4 <= (unsigned int)usrpci_config_size(d->dev))
		usrpci_config_read32(d->dev, d->offset + at, &value);
	return value;
}

static void add(struct decoder *d, const char *name, enum field_kind kind, uint64_t number)
{
	if (d->count < FIELDS_MAX)
		d->fields[d->count++] = (struct field){name, kind, number, ""};
}

static void flag(struct decoder *d, const char *name, uint64_t bit)
{
	add(d, name, FIELD_FLAG, bit != 0);
}

static void number(struct decoder *d, const char *name, uint64_t value)
{
	add(d, name, FIELD_NUMBER, value);
}

static void hex(struct decoder *d, const char *name, uint64_t value)
{
	add(d, name, FIELD_HEX, value);
}

__attribute__((format(printf, 3, 4))) static void text(struct decoder *d, const char *name,
						       const char *format, ...)
{
	struct field *field = &d->fields[d->count];
	va_list args;

	if (d->count == FIELDS_MAX)
		return;
	add(d, name, FIELD_TEXT, 0);
	va_start(args, format);
	vsnprintf(field->text, sizeof(field->text), format, args);
	va_end(args);
}

/* A BAR and an offset in it, packed in one register (MSI-X). */
static void window(struct decoder *d, const char *name, uint32_t value)
{
	text(d, name, "BAR %u + 0x%x", value & 7, value & ~7u);
}

static void power(struct decoder *d)
{
	static const char *const events[] = {"D0 ", "D1 ", "D2 ", "D3hot ", "D3cold "};
	uint16_t capabilities = get16(d, 2), control = get16(d, 4);
	char list[32] = "";

	text(d, "state", "D%u", control & 3);
	flag(d, "d1", capabilities & (1 << 9));
	flag(d, "d2", capabilities & (1 << 10));
	for (size_t i = 0; i < 5; i++)
		if (capabilities & (0x800 << i))
			strcat(list, events[i]);
	list[*list ? strlen(list) - 1 : 0] = '\0';
	text(d, "wakes_from", "%s", *list ? list : "none");
	flag(d, "wake", control & (1 << 8));
	flag(d, "no_soft_reset", control & (1 << 3));
}

static void vital_product_data(struct decoder *d)
{
	hex(d, "address", get16(d, 2) & 0x7fff);
}

static void msi(struct decoder *d)
{
	uint16_t control = get16(d, 2);
	unsigned int data = control & 0x80 ? 12 : 8;

	flag(d, "enable", control & 1);
	number(d, "vectors", 1u << (control >> 1 & 7));
	number(d, "enabled_vectors", 1u << (control >> 4 & 7));
	flag(d, "64bit", control & 0x80);
	flag(d, "maskable", control & 0x100);
	if (!(control & 1))
		return;
	hex(d, "address", get32(d, 4) | (control & 0x80 ? (uint64_t)get32(d, 8) << 32 : 0));
	hex(d, "data", get16(d, data));
}

static void msix(struct decoder *d)
{
	uint16_t control = get16(d, 2);

	flag(d, "enable", control & 0x8000);
	flag(d, "masked", control & 0x4000);
	number(d, "vectors", (control & 0x7ff) + 1u);
	window(d, "table", get32(d, 4));
	window(d, "pending", get32(d, 8));
}

/* Virtio's structures are vendor capabilities: which one, and where it lies. */
static void vendor(struct decoder *d)
{
	static const char *const structures[] = {"unknown", "common", "notify",  "isr",
						 "device",  "access", "unknown", "unknown",
						 "memory",  "vendor"};
	uint8_t type = get8(d, 3);

	number(d, "length", get8(d, 2));
	if (usrpci_dev_info(d->dev)->vendor != 0x1af4)
		return;
	text(d, "virtio", "%s",
	     type < sizeof(structures) / sizeof(structures[0]) ? structures[type] : "unknown");
	text(d, "at", "BAR %u + 0x%x", get8(d, 4), get32(d, 8));
	hex(d, "size", get32(d, 12));
}

static void subsystem(struct decoder *d)
{
	text(d, "id", "%04x:%04x", get16(d, 4), get16(d, 6));
}

static const char *link_speed(unsigned int code)
{
	static const char *const speeds[] = {"unknown", "2.5 GT/s", "5 GT/s", "8 GT/s",
					     "16 GT/s", "32 GT/s",  "64 GT/s"};

	return speeds[code < sizeof(speeds) / sizeof(speeds[0]) ? code : 0];
}

static void express(struct decoder *d)
{
	static const char *const types[16] = {
		[0] = "endpoint",           [1] = "legacy endpoint",     [4] = "root port",
		[5] = "upstream port",      [6] = "downstream port",     [7] = "PCIe to PCI bridge",
		[8] = "PCI to PCIe bridge", [9] = "integrated endpoint", [10] = "event collector",
	};
	uint16_t flags = get16(d, 2), control = get16(d, 8);
	uint32_t capabilities = get32(d, 4), link = get32(d, 12);
	uint16_t status = get16(d, 18);
	unsigned int type = flags >> 4 & 15;

	number(d, "version", flags & 15);
	text(d, "type", "%s", types[type] ? types[type] : "unknown");
	if (flags & 0x100 && (type == 4 || type == 6))
		number(d, "slot", get32(d, 20) >> 19);
	number(d, "payload", 128u << (control >> 5 & 7));
	number(d, "max_payload", 128u << (capabilities & 7));
	number(d, "read_request", 128u << (control >> 12 & 7));
	if (type < 2 || type == 9) /* endpoints */
		flag(d, "function_reset", capabilities & (1 << 28));
	if (type == 9 || type == 10)
		return; /* integrated in the root complex: no link */
	text(d, "speed", "%s", link_speed(status & 15));
	text(d, "max_speed", "%s", link_speed(link & 15));
	text(d, "width", "x%u", status >> 4 & 63);
	text(d, "max_width", "x%u", link >> 4 & 63);
}

static void advanced_features(struct decoder *d)
{
	flag(d, "function_reset", get8(d, 3) & 2);
	flag(d, "transactions_pending", get8(d, 5) & 1);
}

static void error_reporting(struct decoder *d)
{
	hex(d, "uncorrectable", get32(d, 4));
	hex(d, "uncorrectable_mask", get32(d, 8));
	hex(d, "uncorrectable_severity", get32(d, 12));
	hex(d, "correctable", get32(d, 16));
	hex(d, "correctable_mask", get32(d, 20));
}

static void serial(struct decoder *d)
{
	uint32_t low = get32(d, 4), high = get32(d, 8);

	text(d, "number", "%02x-%02x-%02x-%02x-%02x-%02x-%02x-%02x", high >> 24, high >> 16 & 0xff,
	     high >> 8 & 0xff, high & 0xff, low >> 24, low >> 16 & 0xff, low >> 8 & 0xff,
	     low & 0xff);
}

static void access_control(struct decoder *d)
{
	static const char *const names[] = {"source_validation",    "translation_blocking",
					    "p2p_request_redirect", "p2p_completion_redirect",
					    "upstream_forwarding",  "p2p_egress_control",
					    "direct_translated_p2p"};
	uint16_t can = get16(d, 4), control = get16(d, 6);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (can & (1 << i))
			flag(d, names[i], control & (1 << i));
}

static void alternative_routing(struct decoder *d)
{
	number(d, "next_function", get16(d, 4) >> 8);
}

static void translation(struct decoder *d)
{
	flag(d, "enable", get16(d, 6) & 0x8000);
	number(d, "queue_depth", get16(d, 4) & 31 ? get16(d, 4) & 31 : 32);
}

static void virtualization(struct decoder *d)
{
	uint16_t control = get16(d, 8);

	flag(d, "enable", control & 1);
	flag(d, "memory", control & 8);
	number(d, "functions", get16(d, 16));
	number(d, "max_functions", get16(d, 14));
	number(d, "offset", get16(d, 20));
	number(d, "stride", get16(d, 22));
	hex(d, "device", get16(d, 26));
}

static void page_request(struct decoder *d)
{
	flag(d, "enable", get16(d, 4) & 1);
	number(d, "capacity", get32(d, 8));
}

static void resizable_bar(struct decoder *d)
{
	uint32_t control = get32(d, 8);

	number(d, "bar", control & 7);
	number(d, "size_mib", 1ull << (control >> 8 & 63));
	hex(d, "sizes", get32(d, 4) >> 4);
}

static void latency(struct decoder *d)
{
	static const uint32_t scale[8] = {1, 32, 1024, 32768, 1048576, 33554432, 0, 0};
	uint16_t snoop = get16(d, 4), no_snoop = get16(d, 6);

	number(d, "max_snoop_ns", (uint64_t)(snoop & 0x3ff) * scale[snoop >> 10 & 7]);
	number(d, "max_no_snoop_ns", (uint64_t)(no_snoop & 0x3ff) * scale[no_snoop >> 10 & 7]);
}

static void process_id(struct decoder *d)
{
	flag(d, "enable", get16(d, 6) & 1);
	number(d, "bits", get16(d, 4) >> 8 & 31);
}

static void containment(struct decoder *d)
{
	flag(d, "enable", get16(d, 6) & 3);
	flag(d, "triggered", get16(d, 8) & 1);
}

static void time_measurement(struct decoder *d)
{
	uint32_t can = get32(d, 4);

	flag(d, "enable", get32(d, 8) & 1);
	flag(d, "requester", can & 1);
	flag(d, "responder", can & 2);
	flag(d, "root", can & 4);
}

static void designated_vendor(struct decoder *d)
{
	text(d, "vendor", "%04x", get32(d, 4) & 0xffff);
	hex(d, "id", get16(d, 8));
	number(d, "length", get32(d, 4) >> 20);
}

static const struct {
	uint16_t id;
	bool extended;
	void (*decode)(struct decoder *d);
} decoders[] = {
	{0x01, false, power},
	{0x03, false, vital_product_data},
	{0x05, false, msi},
	{0x09, false, vendor},
	{0x0d, false, subsystem},
	{0x10, false, express},
	{0x11, false, msix},
	{0x13, false, advanced_features},
	{0x01, true, error_reporting},
	{0x03, true, serial},
	{0x0d, true, access_control},
	{0x0e, true, alternative_routing},
	{0x0f, true, translation},
	{0x10, true, virtualization},
	{0x13, true, page_request},
	{0x15, true, resizable_bar},
	{0x18, true, latency},
	{0x1b, true, process_id},
	{0x1d, true, containment},
	{0x1f, true, time_measurement},
	{0x23, true, designated_vendor},
};

size_t capability_decode(struct usrpci_dev *dev, const struct usrpci_cap *cap,
			 struct field fields[FIELDS_MAX])
{
	struct decoder d = {.dev = dev, .offset = cap->offset, .fields = fields};

	for (size_t i = 0; i < sizeof(decoders) / sizeof(decoders[0]); i++)
		if (decoders[i].id == cap->id && decoders[i].extended == cap->extended)
			decoders[i].decode(&d);
	return d.count;
}
