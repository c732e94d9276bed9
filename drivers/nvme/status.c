// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a completion's status means: [NVMe] 4.6.1.2, figures 126 to 132.
 */

#include <errno.h>

#include "nvme_private.h"

static const struct {
	uint16_t status;
	int error; /* 0: -EIO */
	const char *text;
} meanings[] = {
	{0x000, 0, "Successful Completion"},
	{0x001, 0, "Invalid Command Opcode"},
	{0x002, 0, "Invalid Field in Command"},
	{0x003, 0, "Command ID Conflict"},
	{0x004, 0, "Data Transfer Error"},
	{0x005, 0, "Commands Aborted due to Power Loss Notification"},
	{0x006, 0, "Internal Error"},
	{STATUS_ABORTED, 0, "Command Abort Requested"},
	{0x008, 0, "Command Aborted due to SQ Deletion"},
	{STATUS_INVALID_NS, 0, "Invalid Namespace or Format"},
	{0x00c, 0, "Command Sequence Error"},
	{0x013, 0, "PRP Offset Invalid"},
	{0x015, 0, "Operation Denied"},
	{0x01c, 0, "Sanitize Failed"},
	{0x01d, 0, "Sanitize In Progress"},
	{STATUS_WRITE_PROTECTED, -EROFS, "Namespace is Write Protected"},
	{0x080, 0, "LBA Out of Range"},
	{STATUS_CAPACITY, -ENOSPC, "Capacity Exceeded"},
	{0x082, 0, "Namespace Not Ready"},
	{0x083, 0, "Reservation Conflict"},
	{0x084, 0, "Format In Progress"},
	{0x100, 0, "Completion Queue Invalid"},
	{0x101, 0, "Invalid Queue Identifier"},
	{0x102, 0, "Invalid Queue Size"},
	{0x103, 0, "Abort Command Limit Exceeded"},
	{0x106, 0, "Invalid Firmware Slot"},
	{0x107, 0, "Invalid Firmware Image"},
	{0x108, 0, "Invalid Interrupt Vector"},
	{0x109, 0, "Invalid Log Page"},
	{0x10a, 0, "Invalid Format"},
	{0x10d, 0, "Feature Identifier Not Saveable"},
	{0x10e, 0, "Feature Not Changeable"},
	{0x180, 0, "Conflicting Attributes"},
	{STATUS_READ_ONLY_RANGE, -EROFS, "Attempted Write to Read Only Range"},
	{STATUS_WRITE_FAULT, 0, "Write Fault"},
	{STATUS_UNRECOVERED_READ, -EBADMSG, "Unrecovered Read Error"},
	{STATUS_COMPARE_FAILURE, -EILSEQ, "Compare Failure"},
	{0x286, 0, "Access Denied"},
	{0x287, -EBADMSG, "Deallocated or Unwritten Logical Block"},
};

#define MEANINGS (sizeof(meanings) / sizeof(meanings[0]))

int nvme_status_errno(uint16_t status)
{
	for (size_t i = 0; i < MEANINGS; i++)
		if (meanings[i].status == STATUS_CODE(status) && meanings[i].error)
			return meanings[i].error;
	return status ? -EIO : 0;
}

const char *usrpci_nvme_status_text(uint16_t status)
{
	for (size_t i = 0; i < MEANINGS; i++)
		if (meanings[i].status == STATUS_CODE(status))
			return meanings[i].text;
	return "a status that this driver has no name for";
}
