// SPDX-License-Identifier: BSD-2-Clause
/*
 * Control of the controllers 82540EM, 82545EM and 82574L: reset, MAC address, link, start and stop,
 * interrupts, statistics. The order of initialization is that of [SDM] 14.3 to 14.5.
 *
 * Each wait has a deadline, and registers that read as all ones mean that the device is gone. Not
 * supported: fiber links, forced speeds, wake-up, flow control, multicast filters.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <net/nic.h>

#include "deadline.h"
#include "e1000_private.h"

#define ALL_ONES    UINT32_MAX
#define RESET_MS    100
#define EEPROM_MS   10
#define MDIC_MS     10
#define MASTER_MS   100
#define DRAIN_MS    100
#define IRQ_GAP_NS  256  /* unit of ITR */
#define THROTTLE_US 1000 /* QEMU's EITR is never less than 128 us */

/*
 * Controllers of parallel PCI use memory below 4 GiB, because not all of their buses carry longer
 * addresses.
 */
static const struct e1000_model models[] = {
	{"82540EM", E1000_82540EM, 8, 4, UINT32_MAX, false},
	{"82545EM", E1000_82545EM, 8, 4, UINT32_MAX, false},
	{"82574L", E1000_82574L, 2, 1, UINT64_MAX, true},
};

static const struct e1000_model *find_model(const struct usrpci_dev_info *info)
{
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
		if (info->vendor == E1000_VENDOR && info->device == models[i].device)
			return &models[i];
	return NULL;
}

bool e1000_matches(const struct usrpci_dev_info *info)
{
	return find_model(info) != NULL;
}

static int set_options(struct e1000 *nic, const struct usrpci_nic_options *options)
{
	int error = nic_options(options, &nic->options);

	if (!error && nic->options.irq == USRPCI_NIC_IRQ_MSIX && !nic->model->express)
		error = -EINVAL;
	return error;
}

/* Registers of a card that was pulled out read as ones on most buses, as 0 on some. */
static int read_status(struct e1000 *nic, uint32_t *status)
{
	uint16_t vendor;

	*status = reg_read(nic, STATUS);
	if (*status == ALL_ONES)
		return -ENODEV;
	if (*status == 0 && usrpci_config_read16(nic->dev, 0, &vendor) == -ENODEV)
		return -ENODEV;
	return 0;
}

/*
 * A reset in the middle of a transfer can hang the 82574L: [82574] 5.5.3. A controller that does
 * not stop is reset nevertheless.
 */
static void disable_master(struct e1000 *nic)
{
	reg_write(nic, CTRL, reg_read(nic, CTRL) | CTRL_GIO_MASTER_DISABLE);
	usrpci_bar_wait32(&nic->bar, STATUS, STATUS_GIO_MASTER_ENABLE, 0, MASTER_MS, NULL);
}

/*
 * [SDM] 14.3, 13.4.1. The rings are disabled by hand too, since emulations of the controller leave
 * them as they are.
 */
static int reset(struct e1000 *nic)
{
	uint32_t status;
	int error = read_status(nic, &status);

	if (error)
		return error;
	reg_write(nic, IMC, ALL_ONES);
	reg_write(nic, RCTL, 0);
	reg_write(nic, TCTL, TCTL_PSP);
	if (nic->model->express)
		disable_master(nic);
	reg_write(nic, CTRL, reg_read(nic, CTRL) | CTRL_RST);
	nap_us(5000); /* registers are loaded from the EEPROM */
	error = usrpci_bar_wait32(&nic->bar, CTRL, CTRL_RST, 0, RESET_MS, NULL);
	if (error)
		return error;
	reg_write(nic, IMC, ALL_ONES);
	reg_read(nic, ICR);
	return 0;
}

/* [SDM] 13.4.4, 5.6 */
static int read_eeprom(struct e1000 *nic, size_t word, uint16_t *value)
{
	uint32_t done = 1u << nic->model->eerd_done_bit, eerd;
	int error;

	reg_write(nic, EERD, EERD_START | (uint32_t)word << nic->model->eerd_address_shift);
	error = usrpci_bar_wait32(&nic->bar, EERD, done, done, EEPROM_MS, &eerd);
	if (!error)
		*value = (uint16_t)(eerd >> EERD_DATA_SHIFT);
	return error;
}

static bool is_station_address(const uint8_t mac[6])
{
	static const uint8_t none[6];

	return memcmp(mac, none, 6) != 0 && !(mac[0] & 1);
}

static int read_mac_from_eeprom(struct e1000 *nic)
{
	uint16_t word;
	int error;

	for (size_t i = 0; i < 3; i++) {
		error = read_eeprom(nic, i, &word);
		if (error)
			return error;
		nic->mac[2 * i] = (uint8_t)word;
		nic->mac[2 * i + 1] = (uint8_t)(word >> 8);
	}
	return is_station_address(nic->mac) ? 0 : -EIO;
}

/*
 * The controller loads receive address 0 from its EEPROM at reset. If it has not, the driver does.
 */
static int read_mac(struct e1000 *nic)
{
	uint32_t low = reg_read(nic, RAL), high = reg_read(nic, RAH);
	int error = 0;

	if (high == ALL_ONES)
		return -ENODEV;
	for (unsigned int i = 0; i < 4; i++)
		nic->mac[i] = (uint8_t)(low >> 8 * i);
	nic->mac[4] = (uint8_t)high;
	nic->mac[5] = (uint8_t)(high >> 8);
	if (!(high & RAH_AV) || !is_station_address(nic->mac))
		error = read_mac_from_eeprom(nic);
	if (error)
		return error == -ETIMEDOUT ? -EIO : error;
	reg_write(nic, RAL,
		  nic->mac[0] | nic->mac[1] << 8 | nic->mac[2] << 16 | (uint32_t)nic->mac[3] << 24);
	reg_write(nic, RAH, nic->mac[4] | nic->mac[5] << 8 | RAH_AV);
	return 0;
}

/* [SDM] 13.4.7 */
static int phy_access(struct e1000 *nic, uint32_t command, uint32_t *result)
{
	int error;

	reg_write(nic, MDIC, MDIC_PHY_1 | command);
	error = usrpci_bar_wait32(&nic->bar, MDIC, MDIC_READY, MDIC_READY, MDIC_MS, result);
	return error ?: *result & MDIC_ERROR ? -EIO : 0;
}

/*
 * Kernel drivers send the PHY to sleep when they leave, and the controller's reset does not wake
 * it. A PHY that does not answer shows as a link that stays down.
 */
static void wake_phy(struct e1000 *nic)
{
	uint32_t value, reg = PHY_CONTROL << MDIC_REG_SHIFT;

	if (phy_access(nic, MDIC_READ | reg, &value))
		return;
	if (value & (PHY_CONTROL_DOWN | PHY_CONTROL_ISOLATE))
		phy_access(nic, MDIC_WRITE | reg | PHY_CONTROL_AUTO | PHY_CONTROL_RESTART, &value);
}

/* [SDM] 14.3 */
static void set_link_up(struct e1000 *nic)
{
	uint32_t ctrl = reg_read(nic, CTRL);

	ctrl &= ~(CTRL_LRST | CTRL_ILOS | CTRL_FRCSPD | CTRL_FRCDPLX | CTRL_VME | CTRL_PHY_RST |
		  CTRL_RFCE | CTRL_TFCE | CTRL_GIO_MASTER_DISABLE);
	reg_write(nic, CTRL, ctrl | CTRL_SLU | CTRL_ASDE | CTRL_FD);
	wake_phy(nic);
	for (size_t i = 0; i < MTA_ENTRIES; i++)
		reg_write(nic, MTA + 4 * i, 0);
}

static int read_stats(struct e1000 *nic, struct usrpci_nic_stats *stats);

int e1000_open(struct usrpci_dev *dev, const struct usrpci_nic_options *options,
	       struct e1000 **result)
{
	const struct e1000_model *model = find_model(usrpci_dev_info(dev));
	struct usrpci_nic_stats before;
	struct e1000 *nic;
	int error;

	if (!model)
		return -ENOTSUP;
	nic = aligned_alloc(64, sizeof(*nic));
	if (!nic)
		return -ENOMEM;
	memset(nic, 0, sizeof(*nic));
	nic->dev = dev;
	nic->ctx = usrpci_dev_ctx(dev);
	nic->model = model;
	error = set_options(nic, options) ?: usrpci_bar_map(dev, 0, &nic->bar);
	if (error)
		goto free_nic;
	error = reset(nic) ?: read_mac(nic);
	if (!error)
		error = read_stats(nic, &before); /* clears what was counted for an earlier user */
	if (error)
		goto unmap_bar;
	error = e1000_rings_alloc(nic);
	if (error)
		goto unmap_bar;
	set_link_up(nic);
	*result = nic;
	return 0;

unmap_bar:
	usrpci_bar_unmap(&nic->bar);
free_nic:
	free(nic);
	return error;
}

void e1000_close(struct e1000 *nic)
{
	if (!nic)
		return;
	e1000_stop(nic);
	reset(nic);
	e1000_rings_free(nic);
	usrpci_bar_unmap(&nic->bar);
	free(nic);
}

static enum usrpci_irq_type choose_irq(struct e1000 *nic)
{
	switch (nic->options.irq) {
	case USRPCI_NIC_IRQ_MSIX:
		return USRPCI_IRQ_MSIX;
	case USRPCI_NIC_IRQ_MSI:
		return USRPCI_IRQ_MSI;
	case USRPCI_NIC_IRQ_AUTO:
		if (usrpci_irq_count(nic->dev, USRPCI_IRQ_MSI) > 0)
			return USRPCI_IRQ_MSI;
		/* fall through */
	default:
		return USRPCI_IRQ_INTX;
	}
}

/*
 * Each of the 82574L's five causes of MSI-X interrupts takes 4 bits: a vector and whether it is
 * valid, [82574] 10.2.4.9. All of ours go to vector 0.
 */
#define IVAR_ALL_TO_VECTOR_0 0x00088888u

static int enable_irq(struct e1000 *nic)
{
	uint32_t causes = INT_RXT0 | INT_RXO | INT_RXDMT0 | INT_LSC;
	int error;

	if (nic->options.irq == USRPCI_NIC_IRQ_NONE)
		return 0;
	nic->irq = choose_irq(nic);
	error = usrpci_irq_enable(nic->dev, nic->irq, 1);
	if (error)
		return error;
	nic->has_irq = true;
	if (nic->irq == USRPCI_IRQ_MSIX) {
		causes |= INT_RXQ0 | INT_OTHER;
		reg_write(nic, IVAR, IVAR_ALL_TO_VECTOR_0);
	}
	reg_write(nic, ITR, nic->options.irq_gap_us * 1000 / IRQ_GAP_NS);
	reg_read(nic, ICR);
	reg_write(nic, IMS, causes);
	return 0;
}

/*
 * The controller sends a delayed interrupt when its throttling timer ends. Its vectors must stay
 * enabled until then: QEMU 7.2 aborts if MSI-X is already off.
 */
static void disable_irq(struct e1000 *nic)
{
	reg_write(nic, IMC, ALL_ONES);
	if (nic->has_irq) {
		reg_read(nic, STATUS);
		nap_us(nic->options.irq_gap_us + THROTTLE_US);
		usrpci_irq_disable(nic->dev, nic->irq);
	}
	nic->has_irq = false;
}

/* [SDM] 14.5, 13.4.33, 13.4.34 */
static void enable_transmit(struct e1000 *nic)
{
	reg_write(nic, TIPG,
		  TIPG_IPGT | TIPG_IPGR1 << TIPG_IPGR1_SHIFT | TIPG_IPGR2 << TIPG_IPGR2_SHIFT);
	if (nic->model->express)
		reg_write(nic, TXDCTL, TXDCTL_GRAN | TXDCTL_BIT22);
	reg_write(nic, TCTL,
		  TCTL_EN | TCTL_PSP | TCTL_RTLC | 15u << TCTL_CT_SHIFT | 64u << TCTL_COLD_SHIFT);
}

/*
 * [SDM] 14.4. Descriptors are given to a ring that runs already. Linux's driver chooses other ones,
 * and emulations of the 82574L keep that when they are reset.
 */
static void enable_receive(struct e1000 *nic)
{
	if (nic->model->express) {
		reg_write(nic, RFCTL, 0);
		reg_write(nic, MRQC, 0);
	}
	reg_write(nic, RDTR, 0);
	reg_write(nic, RADV, 0);
	reg_write(nic, RCTL,
		  RCTL_EN | RCTL_BAM | RCTL_SECRC |
			  (nic->options.promiscuous ? RCTL_UPE | RCTL_MPE : 0));
	reg_write(nic, RDT, nic->rx.mask);
}

int e1000_start(struct e1000 *nic)
{
	int error;

	if (nic->started)
		return 0;
	error = e1000_rings_start(nic);
	if (error)
		return error;
	error = usrpci_dev_set_bus_master(nic->dev, true) ?: enable_irq(nic);
	if (error)
		goto clear_master;
	enable_transmit(nic);
	enable_receive(nic);
	nic->started = true;
	return 0;

clear_master:
	usrpci_dev_set_bus_master(nic->dev, false);
	e1000_rings_empty(nic);
	return error;
}

static int drain(struct e1000 *nic)
{
	deadline_t deadline = deadline_in_ms(DRAIN_MS);
	uint32_t status;
	int error;

	while (e1000_transmit_reclaim(nic) > 0) {
		error = read_status(nic, &status);
		if (error)
			return error;
		if (!(status & STATUS_LU) || deadline_left_ms(deadline) == 0)
			return -ETIMEDOUT;
		nap_us(50);
	}
	return 0;
}

int e1000_stop(struct e1000 *nic)
{
	int error, cleared;

	if (!nic->started)
		return 0;
	reg_write(nic, RCTL, 0);
	error = drain(nic);
	reg_write(nic, TCTL, TCTL_PSP);
	disable_irq(nic);
	cleared = usrpci_dev_set_bus_master(nic->dev, false);
	e1000_rings_empty(nic);
	nic->started = false;
	return error ?: cleared;
}

struct usrpci_pool *e1000_pool(struct e1000 *nic)
{
	return nic->pool;
}

const char *e1000_name(const struct e1000 *nic)
{
	return nic->model->name;
}

const uint8_t *e1000_mac(const struct e1000 *nic)
{
	return nic->mac;
}

int e1000_link(struct e1000 *nic, struct usrpci_nic_link *link)
{
	static const uint16_t speeds[] = {10, 100, 1000, 1000};
	uint32_t status;
	int error = read_status(nic, &status);

	memset(link, 0, sizeof(*link));
	if (error)
		return error;
	link->up = status & STATUS_LU;
	link->full_duplex = status & STATUS_FD;
	link->speed = link->up ? speeds[status >> STATUS_SPEED_SHIFT & 3] : 0;
	return 0;
}

int e1000_link_wait(struct e1000 *nic, unsigned int timeout_ms)
{
	return usrpci_bar_wait32(&nic->bar, STATUS, STATUS_LU, STATUS_LU, timeout_ms, NULL);
}

int e1000_irq_fd(struct e1000 *nic)
{
	return nic->has_irq ? usrpci_irq_fd(nic->dev, nic->irq, 0) : -EINVAL;
}

int e1000_wait(struct e1000 *nic, int timeout_ms)
{
	uint32_t causes;
	int error, events = 0;

	if (!nic->has_irq)
		return -EINVAL;
	error = usrpci_irq_wait(nic->dev, nic->irq, 0, timeout_ms);
	if (error < 0)
		return error;
	causes = reg_read(nic, ICR);
	if (causes == ALL_ONES)
		return -ENODEV;
	if (nic->irq == USRPCI_IRQ_MSIX)
		reg_write(nic, ICR, causes); /* reading does not clear the causes with MSI-X */
	error = usrpci_irq_done(nic->dev, nic->irq, 0);
	if (error)
		return error;
	if (causes & (INT_RXT0 | INT_RXO | INT_RXDMT0 | INT_RXQ0))
		events |= USRPCI_NIC_RECEIVE;
	if (causes & INT_LSC)
		events |= USRPCI_NIC_LINK;
	return events;
}

/* A counter of 64 bits is latched by its low half and cleared by its high one. */
static int read_stats(struct e1000 *nic, struct usrpci_nic_stats *stats)
{
	uint32_t status;

	*stats = (struct usrpci_nic_stats){
		.rx_frames = reg_read(nic, GPRC),
		.rx_bytes = usrpci_read64_lo_hi(&nic->bar, GORCL),
		.tx_frames = reg_read(nic, GPTC),
		.tx_bytes = usrpci_read64_lo_hi(&nic->bar, GOTCL),
		.rx_missed = reg_read(nic, MPC),
		.rx_no_buffer = reg_read(nic, RNBC),
		.rx_crc_errors = reg_read(nic, CRCERRS),
	};
	stats->rx_errors = (uint64_t)reg_read(nic, RXERRC) + reg_read(nic, RLEC);
	return read_status(nic, &status);
}

int e1000_stats(struct e1000 *nic, struct usrpci_nic_stats *stats)
{
	struct usrpci_nic_stats *sum = &nic->stats, more;
	int error = read_stats(nic, &more);

	if (!error) {
		sum->rx_frames += more.rx_frames;
		sum->rx_bytes += more.rx_bytes;
		sum->tx_frames += more.tx_frames;
		sum->tx_bytes += more.tx_bytes;
		sum->rx_missed += more.rx_missed;
		sum->rx_no_buffer += more.rx_no_buffer;
		sum->rx_crc_errors += more.rx_crc_errors;
		sum->rx_errors += more.rx_errors;
	}
	*stats = *sum;
	stats->rx_dropped = __atomic_load_n(&nic->rx.dropped, __ATOMIC_RELAXED);
	return error;
}
