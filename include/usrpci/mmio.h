/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, the usrpci authors */
#ifndef USRPCI_MMIO_H
#define USRPCI_MMIO_H

/*
 * Register accessors and the barriers that DMA needs.
 *
 * Registers are little-endian; the accessors convert. Offsets are aligned to the width of the
 * access. An access outside the window reads as all ones or is dropped, and is logged: a bug of the
 * driver. A device that is gone reads as all ones too; usrpci_bar_read() tells the two apart.
 *
 * Ordering: stores to DMA memory that come before a register write in the program are seen by the
 * device before the write (a doorbell needs no barrier of its own), and a register read completes
 * before loads that follow it. Between DMA memory and DMA memory use the barriers. A driver that
 * reads a buffer and then gives it back to the device needs usrpci_dma_rmb() between the two: no
 * other one but usrpci_dma_mb() orders a load before a store.
 */

#include <stdint.h>

#include <usrpci/bar.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Why these are enough for a descriptor and its doorbell. The driver stores the descriptor, then
 * the doorbell; the device that sees the doorbell reads the descriptor. It reads an old one only if
 * the second store overtakes the first.
 *
 * x86-64 keeps stores in the program's order, uncacheable ones too, so the compiler alone is held
 * (Intel SDM 3A, 9.2.2); so does s390x. arm64: dmb oshst orders the stores before it and those
 * after it for all observers of the outer shareable domain, where devices are (Arm ARM, B2.3).
 * RISC-V: the fence names memory before it, and memory and devices after it ("w, ow"); a release
 * fence names memory alone. POWER: lwsync leaves out caching-inhibited stores, sync does not.
 * LoongArch: dbar 0 is complete.
 *
 * The way back: the device writes data, then a flag, in this order (PCIe Base, 2.4); the driver
 * loads the flag, then the data, which on all but x86-64 and s390x the processor may have loaded
 * before. USRPCI_RMB() stands between the two. It also orders loads before later stores, as arm64's
 * dmb oshld does.
 */

/*
 * What a processor needs to order memory and registers, as Linux has it in arch/X/include/asm for
 * wmb(), rmb(), readl() and writel(). The barriers for C11 atomics are not enough on most: they
 * order memory alone.
 */
#if defined(__x86_64__) || defined(__s390x__)
#define USRPCI_WMB() __atomic_thread_fence(__ATOMIC_RELEASE)
#define USRPCI_RMB() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define USRPCI_MB()  __atomic_thread_fence(__ATOMIC_SEQ_CST)
#if defined(__x86_64__)
#define USRPCI_FLUSH() __asm__ volatile("sfence" ::: "memory")
#endif
#elif defined(__aarch64__)
#define USRPCI_WMB()   __asm__ volatile("dmb oshst" ::: "memory")
#define USRPCI_RMB()   __asm__ volatile("dmb oshld" ::: "memory")
#define USRPCI_MB()    __asm__ volatile("dmb osh" ::: "memory")
#define USRPCI_FLUSH() __asm__ volatile("dsb st" ::: "memory")
#elif defined(__riscv)
#define USRPCI_WMB() __asm__ volatile("fence w, ow" ::: "memory")
#define USRPCI_RMB() __asm__ volatile("fence ir, iorw" ::: "memory")
#define USRPCI_MB()  __asm__ volatile("fence iorw, iorw" ::: "memory")
#elif defined(__powerpc64__)
#define USRPCI_WMB() __asm__ volatile("sync" ::: "memory")
#define USRPCI_RMB() __asm__ volatile("sync" ::: "memory")
#define USRPCI_MB()  __asm__ volatile("sync" ::: "memory")
#elif defined(__loongarch64)
#define USRPCI_WMB() __asm__ volatile("dbar 0" ::: "memory")
#define USRPCI_RMB() __asm__ volatile("dbar 0" ::: "memory")
#define USRPCI_MB()  __asm__ volatile("dbar 0" ::: "memory")
#else
#error "usrpci does not know the barriers of this processor: mmio.h needs them"
#endif

#ifndef USRPCI_FLUSH
#define USRPCI_FLUSH() USRPCI_MB()
#endif

/** Stores to DMA memory before it are seen by the device before stores after it. */
inline void usrpci_dma_wmb(void)
{
	USRPCI_WMB();
}

/** Loads from DMA memory before it are done before loads and stores after it. */
inline void usrpci_dma_rmb(void)
{
	USRPCI_RMB();
}

/** Everything before it, stores included, is done before anything after it. */
inline void usrpci_dma_mb(void)
{
	USRPCI_MB();
}

/**
 * Stores to a window that combines them (USRPCI_BAR_WC) leave the processor before anything after
 * it: call it between such stores and the doorbell that speaks of them.
 */
inline void usrpci_wc_flush(void)
{
	USRPCI_FLUSH();
}

#undef USRPCI_FLUSH
#undef USRPCI_WMB
#undef USRPCI_RMB
#undef USRPCI_MB

/** An access that is not a plain load or store. The accessors below call it. */
uint64_t usrpci_mmio_read_slow(struct usrpci_bar *bar, size_t offset, unsigned int width);
void usrpci_mmio_write_slow(struct usrpci_bar *bar, size_t offset, unsigned int width,
			    uint64_t value);

#define USRPCI_MMIO_ACCESSORS(bits)                                                            \
	inline uint##bits##_t usrpci_read##bits(struct usrpci_bar *bar, size_t offset)         \
	{                                                                                      \
		uint##bits##_t value;                                                          \
                                                                                               \
		if (__builtin_expect(offset >= bar->direct_size, 0))                           \
			return (uint##bits##_t)usrpci_mmio_read_slow(bar, offset, (bits) / 8); \
		value = *(volatile uint##bits##_t *)(bar->base + offset);                      \
		usrpci_dma_rmb();                                                              \
		return usrpci_le##bits(value);                                                 \
	}                                                                                      \
	inline void usrpci_write##bits(struct usrpci_bar *bar, size_t offset,                  \
				       uint##bits##_t value)                                   \
	{                                                                                      \
		if (__builtin_expect(offset >= bar->direct_size, 0)) {                         \
			usrpci_mmio_write_slow(bar, offset, (bits) / 8, value);                \
			return;                                                                \
		}                                                                              \
		usrpci_dma_wmb();                                                              \
		*(volatile uint##bits##_t *)(bar->base + offset) = usrpci_le##bits(value);     \
	}

/* To little-endian and back are the same exchange of bytes. */
#define usrpci_le8(value) (value)
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define usrpci_le16(value) (value)
#define usrpci_le32(value) (value)
#define usrpci_le64(value) (value)
#else
#define usrpci_le16(value) __builtin_bswap16(value)
#define usrpci_le32(value) __builtin_bswap32(value)
#define usrpci_le64(value) __builtin_bswap64(value)
#endif

USRPCI_MMIO_ACCESSORS(8)
USRPCI_MMIO_ACCESSORS(16)
USRPCI_MMIO_ACCESSORS(32)
USRPCI_MMIO_ACCESSORS(64)

#undef USRPCI_MMIO_ACCESSORS

/**
 * Reads a register of 64 bits as two of 32, the low half first: for devices that take no wider
 * accesses, and for I/O ports. The device can change the register between the two.
 */
inline uint64_t usrpci_read64_lo_hi(struct usrpci_bar *bar, size_t offset)
{
	uint64_t low = usrpci_read32(bar, offset);

	return low | (uint64_t)usrpci_read32(bar, offset + 4) << 32;
}

/** Writes a register of 64 bits as two of 32, the low half first. */
inline void usrpci_write64_lo_hi(struct usrpci_bar *bar, size_t offset, uint64_t value)
{
	usrpci_write32(bar, offset, (uint32_t)value);
	usrpci_write32(bar, offset + 4, (uint32_t)(value >> 32));
}

#ifdef __cplusplus
}
#endif

#endif
