/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Registers and descriptors of Intel's gigabit Ethernet controllers, with the names and sections of
 *   [SDM]   PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual,
 *           317453, revision 4.0 (82540EM, 82545EM and others)
 *   [82574] 82574 GbE Controller Family Datasheet, 317694 (82574L)
 * Offsets are bytes in BAR 0; registers have 32 bits. Only what the driver uses is here.
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define E1000_VENDOR  0x8086
#define E1000_82540EM 0x100e
#define E1000_82545EM 0x100f
#define E1000_82574L  0x10d3

/* Device Control, [SDM] 13.4.1, [82574] 10.2.2.1 */
#define CTRL                    0x0000
#define CTRL_FD                 (1u << 0)
#define CTRL_GIO_MASTER_DISABLE (1u << 2) /* 82574L only */
#define CTRL_LRST               (1u << 3)
#define CTRL_ASDE               (1u << 5) /* speed as the PHY negotiates it */
#define CTRL_SLU                (1u << 6) /* set link up */
#define CTRL_ILOS               (1u << 7)
#define CTRL_FRCSPD             (1u << 11)
#define CTRL_FRCDPLX            (1u << 12)
#define CTRL_RST                (1u << 26) /* clears itself */
#define CTRL_RFCE               (1u << 27)
#define CTRL_TFCE               (1u << 28)
#define CTRL_VME                (1u << 30)
#define CTRL_PHY_RST            (1u << 31)

/* Device Status, [SDM] 13.4.2, [82574] 10.2.2.2 */
#define STATUS                   0x0008
#define STATUS_FD                (1u << 0)
#define STATUS_LU                (1u << 1)
#define STATUS_SPEED_SHIFT       6 /* 2 bits: 10, 100, 1000, 1000 Mb/s */
#define STATUS_GIO_MASTER_ENABLE (1u << 19)

/* EEPROM Read, [SDM] 13.4.4, [82574] 10.2.2.4: the two families place the fields differently. */
#define EERD            0x0014
#define EERD_START      (1u << 0)
#define EERD_DATA_SHIFT 16

/* Extended Device Control, [SDM] 13.4.6, [82574] 10.2.2.5 */
#define CTRL_EXT          0x0018
#define CTRL_EXT_DRV_LOAD (1u << 28) /* 82574L: tells its firmware that a driver is there */

/* MDI Control: the PHY's registers, [SDM] 13.4.7, [82574] 10.2.2.7 */
#define MDIC           0x0020
#define MDIC_REG_SHIFT 16
#define MDIC_PHY_1     (1u << 21)
#define MDIC_WRITE     (1u << 26)
#define MDIC_READ      (2u << 26)
#define MDIC_READY     (1u << 28)
#define MDIC_ERROR     (1u << 30)

/* PHY Control, IEEE 802.3, 22.2.4.1 */
#define PHY_CONTROL         0
#define PHY_CONTROL_RESTART (1u << 9) /* auto-negotiation */
#define PHY_CONTROL_ISOLATE (1u << 10)
#define PHY_CONTROL_DOWN    (1u << 11)
#define PHY_CONTROL_AUTO    (1u << 12)

/* Interrupts, [SDM] 13.4.17 to 13.4.21, [82574] 10.2.4 */
#define ICR        0x00c0 /* causes; cleared by reading */
#define ITR        0x00c4 /* least time between interrupts, in units of 256 ns */
#define IMS        0x00d0 /* writing 1 enables */
#define IMC        0x00d8 /* writing 1 disables */
#define IVAR       0x00e4 /* 82574L: which MSI-X vector a cause takes, 10.2.4.9 */
#define INT_TXDW   (1u << 0)
#define INT_TXQE   (1u << 1)
#define INT_LSC    (1u << 2)
#define INT_RXSEQ  (1u << 3)
#define INT_RXDMT0 (1u << 4)
#define INT_RXO    (1u << 6)
#define INT_RXT0   (1u << 7)
#define INT_RXQ0   (1u << 20) /* 82574L: these three are what goes to the MSI-X vectors */
#define INT_TXQ0   (1u << 22)
#define INT_OTHER  (1u << 24)

/* Receive Control, [SDM] 13.4.22, [82574] 10.2.5.1 */
#define RCTL       0x0100
#define RCTL_EN    (1u << 1)
#define RCTL_UPE   (1u << 3) /* every unicast frame */
#define RCTL_MPE   (1u << 4) /* every multicast frame */
#define RCTL_BAM   (1u << 15)
#define RCTL_SECRC (1u << 26) /* leaves the frame check sequence out; BSIZE 0: 2048 bytes */

/* Receive ring, [SDM] 13.4.25 to 13.4.30, [82574] 10.2.5 */
#define RDBAL 0x2800
#define RDBAH 0x2804
#define RDLEN 0x2808
#define RDH   0x2810
#define RDT   0x2818
#define RDTR  0x2820 /* delay of the interrupt, in units of 1.024 us */
#define RADV  0x282c

/* 82574L: other descriptors, several queues; [82574] 10.2.5. */
#define RFCTL 0x5008
#define MRQC  0x5818

/* Transmit Control, [SDM] 13.4.33, [82574] 10.2.6.1 */
#define TCTL            0x0400
#define TCTL_EN         (1u << 1)
#define TCTL_PSP        (1u << 3) /* pads short frames */
#define TCTL_CT_SHIFT   4         /* collision threshold */
#define TCTL_COLD_SHIFT 12        /* collision distance, byte times */
#define TCTL_RTLC       (1u << 24)

/* Transmit Inter Packet Gap, [SDM] 13.4.34, [82574] 10.2.6.2 */
#define TIPG             0x0410
#define TIPG_IPGT        10u
#define TIPG_IPGR1_SHIFT 10
#define TIPG_IPGR1       8u
#define TIPG_IPGR2_SHIFT 20
#define TIPG_IPGR2       6u

/* Transmit ring, [SDM] 13.4.36 to 13.4.42, [82574] 10.2.6 */
#define TDBAL        0x3800
#define TDBAH        0x3804
#define TDLEN        0x3808
#define TDH          0x3810
#define TDT          0x3818
#define TXDCTL       0x3828
#define TXDCTL_BIT22 (1u << 22) /* 82574L: must be set, [82574] 10.2.6.9 */
#define TXDCTL_GRAN  (1u << 24) /* thresholds count descriptors */

/* Addresses, [SDM] 13.5, [82574] 10.2.5.10 */
#define MTA         0x5200 /* hash filter of multicast addresses */
#define MTA_ENTRIES 128
#define RAL         0x5400
#define RAH         0x5404
#define RAH_AV      (1u << 31)

/* Statistics, [SDM] 13.7, [82574] 10.2.7: cleared by reading; those of 64 bits by the high half. */
#define CRCERRS 0x4000
#define RXERRC  0x400c
#define MPC     0x4010
#define RLEC    0x4040
#define GPRC    0x4074
#define GPTC    0x4080
#define GORCL   0x4088
#define GOTCL   0x4090
#define RNBC    0x40a0

/* Legacy Receive Descriptor, [SDM] 3.2.3, [82574] 7.1.4 */
struct e1000_rx_desc {
	uint64_t address;
	uint16_t length;
	uint16_t checksum;
	uint8_t status;
	uint8_t errors;
	uint16_t special;
};

#define RXD_STATUS_DD  (1u << 0)
#define RXD_STATUS_EOP (1u << 1)
#define RXD_ERRORS     0x97 /* CE, SE, SEQ, CXE and RXE; not the checksums of layers above */

/* Legacy Transmit Descriptor, [SDM] 3.3.3, [82574] 7.2.10.1 */
struct e1000_tx_desc {
	uint64_t address;
	uint16_t length;
	uint8_t cso;
	uint8_t cmd;
	uint8_t status;
	uint8_t css;
	uint16_t special;
};

#define TXD_CMD_EOP   (1u << 0)
#define TXD_CMD_IFCS  (1u << 1) /* insert the frame check sequence */
#define TXD_CMD_RS    (1u << 3) /* report status: DD */
#define TXD_STATUS_DD (1u << 0)

static_assert(sizeof(struct e1000_rx_desc) == 16, "[SDM] 3.2.3");
static_assert(offsetof(struct e1000_rx_desc, status) == 12, "[SDM] 3.2.3");
static_assert(sizeof(struct e1000_tx_desc) == 16, "[SDM] 3.3.3");
static_assert(offsetof(struct e1000_tx_desc, status) == 12, "[SDM] 3.3.3");
