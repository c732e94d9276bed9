/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Registers, queue entries and data structures of NVM Express controllers, with the names and
 * sections of
 *   [NVMe] NVM Express Base Specification, revision 1.4
 * Offsets are bytes in BAR 0. Only what the driver uses is here.
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* Base class, sub-class and interface, 2.1.5 */
#define NVME_CLASS 0x010802

/* Controller Capabilities, 3.1.1: 64 bits */
#define CAP             0x0000
#define CAP_MQES(cap)   ((unsigned int)((cap)&0xffff))       /* entries - 1 */
#define CAP_TO(cap)     ((unsigned int)((cap) >> 24 & 0xff)) /* units of 500 ms */
#define CAP_DSTRD(cap)  ((unsigned int)((cap) >> 32 & 0xf))
#define CAP_CSS_NVM     (UINT64_C(1) << 37)
#define CAP_MPSMIN(cap) ((unsigned int)((cap) >> 48 & 0xf))

#define VS    0x0008 /* Version, 3.1.2 */
#define INTMS 0x000c /* Interrupt Mask Set, 3.1.3 */

/* Controller Configuration, 3.1.5 */
#define CC            0x0014
#define CC_EN         (1u << 0)
#define CC_MPS_SHIFT  7
#define CC_SHN_MASK   (3u << 14)
#define CC_SHN_NORMAL (1u << 14)
#define CC_IOSQES     (6u << 16) /* entries of 64 bytes */
#define CC_IOCQES     (4u << 20) /* and of 16 */

/* Controller Status, 3.1.6 */
#define CSTS               0x001c
#define CSTS_RDY           (1u << 0)
#define CSTS_CFS           (1u << 1)
#define CSTS_SHST_MASK     (3u << 2)
#define CSTS_SHST_COMPLETE (2u << 2)

/* Admin queues, 3.1.8 to 3.1.10 */
#define AQA 0x0024
#define ASQ 0x0028
#define ACQ 0x0030

/* Doorbells, 3.1.16 and 3.1.17 */
#define DOORBELLS              0x1000
#define SQ_DOORBELL(qid, step) (DOORBELLS + (size_t)(2 * (qid)) * (step))
#define CQ_DOORBELL(qid, step) (DOORBELLS + (size_t)(2 * (qid) + 1) * (step))

/* Submission queue entry, 4.2 */
struct nvme_command {
	uint32_t cdw0; /* opcode 7:0, PSDT 15:14, command identifier 31:16 */
	uint32_t nsid;
	uint64_t reserved;
	uint64_t mptr;
	uint64_t prp1;
	uint64_t prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};
static_assert(sizeof(struct nvme_command) == 64, "size of a submission queue entry");

#define PSDT_SGL (1u << 14)

/* The second half of an SGL data block descriptor, 4.4.1: type 0, subtype 0 */
#define SGL_DATA_BLOCK(length) ((uint64_t)(length))

/* Completion queue entry, 4.6 */
struct nvme_completion {
	uint32_t dw0;
	uint32_t dw1;
	uint32_t dw2; /* submission queue head 15:0, identifier 31:16 */
	uint32_t dw3; /* command identifier 15:0, phase 16, status 31:17 */
};
static_assert(sizeof(struct nvme_completion) == 16, "size of a completion queue entry");

#define CQE_PHASE       (1u << 16)
#define CQE_STATUS(dw3) ((uint16_t)((dw3) >> 17))

/* Status code type and code, 4.6.1; bits above are CRD, more, do not retry */
#define STATUS_CODE(status)     ((status)&0x7ff)
#define STATUS_INVALID_NS       0x00b
#define STATUS_ABORTED          0x007
#define STATUS_WRITE_PROTECTED  0x020
#define STATUS_CAPACITY         0x081
#define STATUS_READ_ONLY_RANGE  0x182
#define STATUS_WRITE_FAULT      0x280
#define STATUS_UNRECOVERED_READ 0x281
#define STATUS_COMPARE_FAILURE  0x285

/* Admin commands, 5 */
#define ADMIN_DELETE_SQ    0x00
#define ADMIN_CREATE_SQ    0x01
#define ADMIN_GET_LOG      0x02
#define ADMIN_DELETE_CQ    0x04
#define ADMIN_CREATE_CQ    0x05
#define ADMIN_IDENTIFY     0x06
#define ADMIN_ABORT        0x08
#define ADMIN_SET_FEATURES 0x09
#define ADMIN_EVENT        0x0c /* Asynchronous Event Request */

/* Create I/O queues, 5.3 and 5.4 */
#define QUEUE_CONTIGUOUS (1u << 0)
#define QUEUE_INTERRUPT  (1u << 1)

/* Identify, 5.15 */
#define IDENTIFY_SIZE      4096
#define CNS_NAMESPACE      0x00
#define CNS_CONTROLLER     0x01
#define CNS_NAMESPACE_LIST 0x02

/* Identify Controller, figure 247: offsets */
#define ID_SN    4
#define ID_MN    24
#define ID_FR    64
#define ID_MDTS  77
#define ID_RTD3E 88 /* time of a shutdown, microseconds */
#define ID_OACS  256
#define ID_NN    516
#define ID_ONCS  520
#define ID_VWC   525
#define ID_SGLS  536

#define OACS_FORMAT       (1u << 1)
#define ONCS_COMPARE      (1u << 0)
#define ONCS_DSM          (1u << 2)
#define ONCS_WRITE_ZEROES (1u << 3)
#define ONCS_VERIFY       (1u << 7)
#define SGLS_SUPPORT      3u

/* Identify Namespace, figure 245: offsets */
#define NS_NSZE    0
#define NS_NLBAF   25
#define NS_FLBAS   26
#define NS_DPS     29
#define NS_DLFEAT  33
#define NS_NOIOB   46
#define NS_NPWG    64
#define NS_NSFEAT  24
#define NS_NSATTR  99
#define NS_LBAF(i) (128 + 4 * (i)) /* metadata size 15:0, data size 23:16 as an exponent */

#define NSFEAT_OPTPERF  (1u << 4)
#define NSATTR_READONLY (1u << 0)
#define DLFEAT_ZEROES   1 /* in bits 2:0 */

/* Set Features, 5.21 */
#define FEATURE_QUEUES 0x07  /* 5.21.1.7 */
#define FEATURE_EVENTS 0x0b  /* 5.21.1.11 */
#define EVENTS_ALL     0x37f /* SMART warnings, namespace attributes, firmware activation */

/* I/O commands, 6 */
#define RW_FUA         (1u << 30) /* of cdw12, 6.9, 6.15, 6.16 */
#define ZEROES_DEAC    (1u << 25)
#define DSM_DEALLOCATE (1u << 2) /* of cdw11, 6.7 */

struct nvme_dsm_range {
	uint32_t attributes;
	uint32_t blocks;
	uint64_t lba;
};
static_assert(sizeof(struct nvme_dsm_range) == 16, "size of a range");
