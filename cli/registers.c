// SPDX-License-Identifier: BSD-2-Clause
/*
 * Names of registers, those of setpci(8): PCI Local Bus 3.0 (6.1), PCI-to-PCI Bridge 1.2 (3.2),
 * and capabilities by what they are, of which an offset counts from. All numbers are hexadecimal.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "number.h"
#include "registers.h"

static const struct {
	uint8_t offset, width;
	const char *name;
} header[] = {
	{0x00, 2, "VENDOR_ID"},
	{0x02, 2, "DEVICE_ID"},
	{0x04, 2, "COMMAND"},
	{0x06, 2, "STATUS"},
	{0x08, 1, "REVISION"},
	{0x09, 1, "CLASS_PROG"},
	{0x0a, 2, "CLASS_DEVICE"},
	{0x0c, 1, "CACHE_LINE_SIZE"},
	{0x0d, 1, "LATENCY_TIMER"},
	{0x0e, 1, "HEADER_TYPE"},
	{0x0f, 1, "BIST"},
	{0x10, 4, "BASE_ADDRESS_0"},
	{0x14, 4, "BASE_ADDRESS_1"},
	{0x18, 4, "BASE_ADDRESS_2"},
	{0x1c, 4, "BASE_ADDRESS_3"},
	{0x20, 4, "BASE_ADDRESS_4"},
	{0x24, 4, "BASE_ADDRESS_5"},
	{0x28, 4, "CARDBUS_CIS"},
	{0x2c, 2, "SUBSYSTEM_VENDOR_ID"},
	{0x2e, 2, "SUBSYSTEM_ID"},
	{0x30, 4, "ROM_ADDRESS"},
	{0x34, 1, "CAPABILITIES"},
	{0x3c, 1, "INTERRUPT_LINE"},
	{0x3d, 1, "INTERRUPT_PIN"},
	{0x3e, 1, "MIN_GNT"},
	{0x3f, 1, "MAX_LAT"},
	{0x18, 1, "PRIMARY_BUS"},
	{0x19, 1, "SECONDARY_BUS"},
	{0x1a, 1, "SUBORDINATE_BUS"},
	{0x1b, 1, "SEC_LATENCY_TIMER"},
	{0x1c, 1, "IO_BASE"},
	{0x1d, 1, "IO_LIMIT"},
	{0x1e, 2, "SEC_STATUS"},
	{0x20, 2, "MEMORY_BASE"},
	{0x22, 2, "MEMORY_LIMIT"},
	{0x24, 2, "PREF_MEMORY_BASE"},
	{0x26, 2, "PREF_MEMORY_LIMIT"},
	{0x28, 4, "PREF_BASE_UPPER32"},
	{0x2c, 4, "PREF_LIMIT_UPPER32"},
	{0x30, 2, "IO_BASE_UPPER16"},
	{0x32, 2, "IO_LIMIT_UPPER16"},
	{0x38, 4, "BRIDGE_ROM_ADDRESS"},
	{0x3e, 2, "BRIDGE_CONTROL"},
	{0x10, 4, "CB_CARDBUS_BASE"},
	{0x14, 2, "CB_CAPABILITIES"},
	{0x16, 2, "CB_SEC_STATUS"},
	{0x18, 1, "CB_BUS_NUMBER"},
	{0x19, 1, "CB_CARDBUS_NUMBER"},
	{0x1a, 1, "CB_SUBORDINATE_BUS"},
	{0x1b, 1, "CB_CARDBUS_LATENCY"},
	{0x1c, 4, "CB_MEMORY_BASE_0"},
	{0x20, 4, "CB_MEMORY_LIMIT_0"},
	{0x24, 4, "CB_MEMORY_BASE_1"},
	{0x28, 4, "CB_MEMORY_LIMIT_1"},
	{0x2c, 2, "CB_IO_BASE_0"},
	{0x2e, 2, "CB_IO_BASE_0_HI"},
	{0x30, 2, "CB_IO_LIMIT_0"},
	{0x32, 2, "CB_IO_LIMIT_0_HI"},
	{0x34, 2, "CB_IO_BASE_1"},
	{0x36, 2, "CB_IO_BASE_1_HI"},
	{0x38, 2, "CB_IO_LIMIT_1"},
	{0x3a, 2, "CB_IO_LIMIT_1_HI"},
	{0x40, 2, "CB_SUBSYSTEM_VENDOR_ID"},
	{0x42, 2, "CB_SUBSYSTEM_ID"},
	{0x44, 4, "CB_LEGACY_MODE_BASE"},
};

static const struct {
	uint8_t id;
	const char *name;
} capabilities[] =
	{
		{0x01, "CAP_PM"},     {0x02, "CAP_AGP"},  {0x03, "CAP_VPD"},
		{0x04, "CAP_SLOTID"}, {0x05, "CAP_MSI"},  {0x06, "CAP_CHSWP"},
		{0x07, "CAP_PCIX"},   {0x08, "CAP_HT"},   {0x09, "CAP_VNDR"},
		{0x0a, "CAP_DBG"},    {0x0b, "CAP_CCRC"}, {0x0c, "CAP_HOTPLUG"},
		{0x0d, "CAP_SSVID"},  {0x0e, "CAP_AGP3"}, {0x0f, "CAP_SECURE"},
		{0x10, "CAP_EXP"},    {0x11, "CAP_MSIX"}, {0x12, "CAP_SATA"},
		{0x13, "CAP_AF"},     {0x14, "CAP_EA"},
},
  extended[] = {
	  {0x01, "ECAP_AER"},      {0x02, "ECAP_VC"},      {0x03, "ECAP_DSN"},
	  {0x04, "ECAP_PB"},       {0x05, "ECAP_RCLINK"},  {0x06, "ECAP_RCILINK"},
	  {0x07, "ECAP_RCEC"},     {0x08, "ECAP_MFVC"},    {0x09, "ECAP_VC2"},
	  {0x0a, "ECAP_RBCB"},     {0x0b, "ECAP_VNDR"},    {0x0d, "ECAP_ACS"},
	  {0x0e, "ECAP_ARI"},      {0x0f, "ECAP_ATS"},     {0x10, "ECAP_SRIOV"},
	  {0x11, "ECAP_MRIOV"},    {0x12, "ECAP_MCAST"},   {0x13, "ECAP_PRI"},
	  {0x15, "ECAP_REBAR"},    {0x16, "ECAP_DPA"},     {0x17, "ECAP_TPH"},
	  {0x18, "ECAP_LTR"},      {0x19, "ECAP_SECPCI"},  {0x1a, "ECAP_PMUX"},
	  {0x1b, "ECAP_PASID"},    {0x1c, "ECAP_LNR"},     {0x1d, "ECAP_DPC"},
	  {0x1e, "ECAP_L1PM"},     {0x1f, "ECAP_PTM"},     {0x20, "ECAP_M_PCIE"},
	  {0x21, "ECAP_FRS"},      {0x22, "ECAP_RTR"},     {0x23, "ECAP_DVSEC"},
	  {0x24, "ECAP_VF_REBAR"}, {0x25, "ECAP_DLNK"},    {0x26, "ECAP_16GT"},
	  {0x27, "ECAP_LMR"},      {0x28, "ECAP_HIER_ID"}, {0x29, "ECAP_NPEM"},
};

static const char *register_word(const void *data, size_t index)
{
	if (index < ARRAY_SIZE(header))
		return header[index].name;
	index -= ARRAY_SIZE(header);
	if (index < ARRAY_SIZE(capabilities))
		return capabilities[index].name;
	index -= ARRAY_SIZE(capabilities);
	return index < ARRAY_SIZE(extended) ? extended[index].name : NULL;
}

/* What was written, in its parts: "CAP_MSI@1+2.w". */
struct parts {
	char base[24];
	uint64_t add, instance;
	unsigned int width; /* 0: not said */
};

static const char width_letters[] = {[1] = 'b', [2] = 'w', [4] = 'l', [8] = 'q'};

char width_letter(unsigned int width)
{
	return width_letters[width];
}

/* Returns 0 for what is no width's letter. */
static unsigned int width_of(char letter)
{
	for (unsigned int width = 1; width < sizeof(width_letters); width *= 2)
		if (width_letters[width] == (letter | 0x20))
			return width;
	return 0;
}

static bool split(const char *text, struct parts *parts)
{
	size_t length = strcspn(text, "+.@");

	memset(parts, 0, sizeof(*parts));
	if (length == 0 || length >= sizeof(parts->base))
		return false;
	memcpy(parts->base, text, length);
	for (text += length; *text; text += length) {
		char part[16], kind = *text++;

		length = strcspn(text, "+.@");
		if (length == 0 || length >= sizeof(part))
			return false;
		snprintf(part, sizeof(part), "%.*s", (int)length, text);
		if (kind == '.' && length == 1)
			parts->width = width_of(*part);
		if (kind == '.' && !parts->width)
			return false;
		if (kind == '+' && !parse_number(part, 16, 0xfff, &parts->add))
			return false;
		if (kind == '@' && !parse_number(part, 10, USRPCI_CAPS_MAX, &parts->instance))
			return false;
	}
	return true;
}

/* Capabilities also go by number: CAP05, ECAP0001. */
static bool parse_capability(const char *name, struct usrpci_cap *cap)
{
	uint64_t id;

	for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++)
		if (!strcasecmp(name, capabilities[i].name)) {
			*cap = (struct usrpci_cap){.id = capabilities[i].id};
			return true;
		}
	for (size_t i = 0; i < ARRAY_SIZE(extended); i++)
		if (!strcasecmp(name, extended[i].name)) {
			*cap = (struct usrpci_cap){.id = extended[i].id, .extended = true};
			return true;
		}
	if (!strncasecmp(name, "CAP", 3) && parse_number(name + 3, 16, 0xff, &id)) {
		*cap = (struct usrpci_cap){.id = (uint16_t)id};
		return true;
	}
	if (!strncasecmp(name, "ECAP", 4) && parse_number(name + 4, 16, 0xffff, &id)) {
		*cap = (struct usrpci_cap){.id = (uint16_t)id, .extended = true};
		return true;
	}
	return false;
}

/* Finds the instance-th capability that is like wanted. */
static int find_capability(struct usrpci_dev *dev, const struct usrpci_cap *wanted,
			   const struct parts *parts, struct reg *reg)
{
	struct usrpci_cap *caps = calloc(USRPCI_CAPS_MAX, sizeof(*caps));
	uint64_t left = parts->instance;
	int status = STATUS_USAGE, count;

	if (!caps)
		return out_of_memory();
	count = usrpci_cap_list(dev, caps, USRPCI_CAPS_MAX);
	for (int i = 0; i < count && status; i++) {
		if (caps[i].id != wanted->id || caps[i].extended != wanted->extended || left--)
			continue;
		reg->offset = caps[i].offset;
		status = STATUS_DONE;
	}
	free(caps);
	if (count < 0)
		return STATUS_FAILED;
	if (status && parts->instance)
		return failed(usrpci_dev_name(dev), NULL, "has no capability %s@%" PRIu64,
			      parts->base, parts->instance);
	if (status)
		return failed(usrpci_dev_name(dev), NULL, "has no capability %s", parts->base);
	return STATUS_DONE;
}

static int unknown_register(struct cli *cli, const char *name)
{
	const char *meant = did_you_mean(name, register_word, NULL);
	char hint[64] = "a hexadecimal offset, or a name of \"setpci --dumpregs\"";

	if (meant)
		snprintf(hint, sizeof(hint), "did you mean %s?", meant);
	return usage_error(cli, hint, "unknown register \"%s\"", name);
}

static int find_base(struct cli *cli, struct usrpci_dev *dev, const struct parts *parts,
		     struct reg *reg)
{
	struct usrpci_cap cap;
	uint64_t offset;

	for (size_t i = 0; i < ARRAY_SIZE(header); i++)
		if (!strcasecmp(parts->base, header[i].name)) {
			*reg = (struct reg){header[i].offset, header[i].width};
			return STATUS_DONE;
		}
	*reg = (struct reg){.width = 4};
	if (parse_capability(parts->base, &cap))
		return find_capability(dev, &cap, parts, reg);
	if (!parse_number(parts->base, 16, UINT32_MAX, &offset))
		return unknown_register(cli, parts->base);
	reg->offset = (unsigned int)offset;
	return STATUS_DONE;
}

int register_find(struct cli *cli, struct usrpci_dev *dev, const char *text, struct reg *reg)
{
	unsigned int size = (unsigned int)usrpci_config_size(dev);
	struct parts parts;
	int status;

	if (!split(text, &parts) || parts.width == 8)
		return usage_error(cli, "for example COMMAND, 04.w or CAP_MSI+2.w",
				   "\"%s\" is not a register", text);
	status = find_base(cli, dev, &parts, reg);
	if (status)
		return status;
	reg->offset += (unsigned int)parts.add;
	if (parts.width)
		reg->width = parts.width;
	if (reg->offset >= size || reg->width > size - reg->offset)
		return failed(usrpci_dev_name(dev),
			      size < USRPCI_CONFIG_SIZE ? "root sees all of it" : NULL,
			      "register %s at 0x%x lies outside of its %u bytes of configuration "
			      "space",
			      text, reg->offset, size);
	if (reg->offset % reg->width)
		return failed(usrpci_dev_name(dev), "add .b or .w for a narrower access",
			      "register %s at 0x%x is not aligned to %u bytes", text, reg->offset,
			      reg->width);
	return STATUS_DONE;
}

int register_offset(struct cli *cli, const char *text, uint64_t *offset, unsigned int *width)
{
	struct parts parts;

	if (!split(text, &parts) || parts.instance ||
	    !parse_number(parts.base, 16, UINT64_MAX - 0xfff, offset))
		return usage_error(cli, "for example 10, 0x10.l or 8.b",
				   "\"%s\" is not an offset in a BAR", text);
	*offset += parts.add;
	*width = parts.width ? parts.width : 4;
	return STATUS_DONE;
}

int register_value(struct cli *cli, const char *text, unsigned int width, uint64_t *value)
{
	uint64_t max = UINT64_MAX >> (64 - 8 * width);

	if (parse_number(text, 16, max, value))
		return STATUS_DONE;
	return usage_error(cli, "values are hexadecimal, without a sign",
			   "\"%s\" is not a value of %u bits", text, 8 * width);
}
