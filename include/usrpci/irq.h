/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, the usrpci authors */
#ifndef USRPCI_IRQ_H
#define USRPCI_IRQ_H

/*
 * Interrupts. Each vector has a file descriptor, which a program polls together with its others, or
 * waits for.
 *
 * INTx is level-triggered: the kernel masks it when it fires, and it stays masked until the driver
 * has silenced the device and calls usrpci_irq_unmask(). MSI and MSI-X need no unmasking.
 */

#include <stdbool.h>
#include <stdint.h>

#include <usrpci/device.h>

#ifdef __cplusplus
extern "C" {
#endif

enum usrpci_irq_type {
	USRPCI_IRQ_INTX,
	USRPCI_IRQ_MSI,
	USRPCI_IRQ_MSIX,
	USRPCI_IRQ_ERROR,   /**< the device reported an uncorrectable error (AER) */
	USRPCI_IRQ_REQUEST, /**< the kernel wants the device back, as for an unplug */
};

/** How many vectors of a type the device and the backend have; 0: none. */
int usrpci_irq_count(struct usrpci_dev *dev, enum usrpci_irq_type type);

/**
 * Enables count vectors of a type. INTx, MSI and MSI-X exclude each other; the two events can be
 * enabled beside any of them. INTx starts unmasked.
 *
 * Errors: -EOPNOTSUPP (the backend cannot: uio has INTx only; or the device has no such interrupt);
 * -EINVAL (count is 0 or more than usrpci_irq_count()); -EBUSY (one is enabled already); -ENOSPC
 * (the machine has fewer vectors left; the message says how many); -EMFILE; -EPERM.
 */
int usrpci_irq_enable(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int count);

/**
 * Enables the best interrupt that device and backend have: MSI-X, else MSI, else INTx.
 *
 * @count	vectors that the driver can use; if the device has fewer, or the machine has fewer
 *		left, those are enabled
 * @type	stores which type it is
 *
 * Returns how many vectors are enabled. Errors: -EOPNOTSUPP (it has no interrupt at all); those of
 * usrpci_irq_enable().
 */
int usrpci_irq_enable_best(struct usrpci_dev *dev, unsigned int count, enum usrpci_irq_type *type);

/**
 * Disables a type; a type that is not enabled is no error. The descriptors of its vectors are
 * invalid afterwards.
 */
int usrpci_irq_disable(struct usrpci_dev *dev, enum usrpci_irq_type type);

/**
 * The descriptor that becomes readable when the vector fires, owned by the device and valid until
 * the type is disabled. After poll(2) says so, usrpci_irq_wait() takes the interrupt without
 * blocking.
 *
 * Errors: -EINVAL (no such vector is enabled).
 */
int usrpci_irq_fd(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector);

/**
 * Waits for a vector and takes its interrupt: one read(2) when the time is unlimited, a poll(2)
 * before it otherwise.
 *
 * @timeout_ms	milliseconds; 0 only looks; negative waits without limit
 *
 * Returns how many interrupts came since the last wait. Errors: -ETIMEDOUT; -EINTR (a signal came);
 * -EINVAL (no such vector is enabled); -ENODEV (the device is gone).
 */
int usrpci_irq_wait(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector,
		    int timeout_ms);

/**
 * Masks a vector: it stays pending. Errors: -EINVAL; -EOPNOTSUPP (MSI without per-vector masks).
 */
int usrpci_irq_mask(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector);

/**
 * Ends the handling of an interrupt, whatever its type: called after each wait, when the driver has
 * silenced the device. Unmasks INTx; MSI and MSI-X need nothing. Errors: -EINVAL; -ENODEV.
 */
int usrpci_irq_done(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector);

/** Unmasks a vector: needed after each INTx. Errors: as usrpci_irq_mask(); -ENODEV. */
int usrpci_irq_unmask(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector);

#ifdef __cplusplus
}
#endif

#endif
