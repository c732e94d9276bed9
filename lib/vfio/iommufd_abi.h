/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The part of the kernel's iommufd interface (linux/iommufd.h since 6.2, linux/vfio.h since 6.6)
 * that is used here, for the headers of Debian 12 have neither. Names differ from the kernel's, so
 * that both can be included.
 */

#include <linux/vfio.h>
#include <stdint.h>

struct abi_ioas_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t ioas;
};

struct abi_ioas_ranges {
	uint32_t size;
	uint32_t ioas;
	uint32_t count; /* entries of the array; then: ranges that there are */
	uint32_t reserved;
	uint64_t array; /* of first and last, 64 bits each */
	uint64_t alignment;
};

#define ABI_MAP_FIXED (1 << 0)
#define ABI_MAP_WRITE (1 << 1)
#define ABI_MAP_READ  (1 << 2)

struct abi_ioas_map {
	uint32_t size;
	uint32_t flags;
	uint32_t ioas;
	uint32_t reserved;
	uint64_t va;
	uint64_t length;
	uint64_t iova;
};

struct abi_ioas_unmap {
	uint32_t size;
	uint32_t ioas;
	uint64_t iova;
	uint64_t length;
};

struct abi_device_bind {
	uint32_t argsz;
	uint32_t flags;
	int32_t iommufd;
	uint32_t device;
	uint64_t token; /* the address of 16 bytes; since 6.17 */
};

#define ABI_BIND_TOKEN (1 << 0)

struct abi_device_attach {
	uint32_t argsz;
	uint32_t flags;
	uint32_t ioas;
};

_Static_assert(sizeof(struct abi_ioas_alloc) == 12, "layout");
_Static_assert(sizeof(struct abi_ioas_ranges) == 32, "layout");
_Static_assert(sizeof(struct abi_ioas_map) == 40, "layout");
_Static_assert(sizeof(struct abi_ioas_unmap) == 24, "layout");
_Static_assert(sizeof(struct abi_device_bind) == 24, "layout");
_Static_assert(sizeof(struct abi_device_attach) == 12, "layout");

#define ABI_IOAS_ALLOC    _IO(';', 0x81)
#define ABI_IOAS_RANGES   _IO(';', 0x84)
#define ABI_IOAS_MAP      _IO(';', 0x85)
#define ABI_IOAS_UNMAP    _IO(';', 0x86)
#define ABI_DEVICE_BIND   _IO(VFIO_TYPE, VFIO_BASE + 18)
#define ABI_DEVICE_ATTACH _IO(VFIO_TYPE, VFIO_BASE + 19)
