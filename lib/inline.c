// SPDX-License-Identifier: BSD-2-Clause
/*
 * The inline functions of the public headers as functions that the library exports. Programs in C
 * and C++ compile them into their own code; Python and Rust find symbols alone.
 */

#include <usrpci/usrpci.h>

extern void usrpci_log_stderr(void *data, const struct usrpci_log_entry *entry);

extern usrpci_dma_t usrpci_dma_addr(const struct usrpci_ctx *ctx, const void *va);
extern void *usrpci_dma_va(const struct usrpci_ctx *ctx, usrpci_dma_t addr);

extern void usrpci_dma_wmb(void);
extern void usrpci_dma_rmb(void);
extern void usrpci_dma_mb(void);
extern void usrpci_wc_flush(void);

extern uint8_t usrpci_read8(struct usrpci_bar *bar, size_t offset);
extern uint16_t usrpci_read16(struct usrpci_bar *bar, size_t offset);
extern uint32_t usrpci_read32(struct usrpci_bar *bar, size_t offset);
extern uint64_t usrpci_read64(struct usrpci_bar *bar, size_t offset);

extern void usrpci_write8(struct usrpci_bar *bar, size_t offset, uint8_t value);
extern void usrpci_write16(struct usrpci_bar *bar, size_t offset, uint16_t value);
extern void usrpci_write32(struct usrpci_bar *bar, size_t offset, uint32_t value);
extern void usrpci_write64(struct usrpci_bar *bar, size_t offset, uint64_t value);

extern uint64_t usrpci_read64_lo_hi(struct usrpci_bar *bar, size_t offset);
extern void usrpci_write64_lo_hi(struct usrpci_bar *bar, size_t offset, uint64_t value);
