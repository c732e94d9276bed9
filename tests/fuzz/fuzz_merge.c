// SPDX-License-Identifier: BSD-2-Clause
/*
 * Received frames that are merged: segments of a connection, in which the input changes bytes, and
 * after that, if it says so, makes their checksums right again. What comes out lies in the frames
 * that went in, and has the length that its headers say.
 */

#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>

#include "fake/checksum.h"
#include "pump/merge.h"

#define FRAMES 4
#define DATA   100
#define SIZE   (ETH_HLEN + 20 + 20 + DATA)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *frames[FRAMES];

static void put16(uint8_t *at, unsigned int value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static unsigned int get16(const uint8_t *at)
{
	return (unsigned int)at[0] << 8 | at[1];
}

static void make_right(uint8_t *frame)
{
	uint8_t *ip = frame + ETH_HLEN, *tcp = ip + 20;
	unsigned int length = get16(ip + 2) - 20;

	if (length < 20 || length > 20 + DATA)
		return;
	put16(ip + 10, 0);
	put16(ip + 10, ~checksum(0, ip, 20));
	put16(tcp + 16, 0);
	put16(tcp + 16, ~checksum(checksum(6 + length, ip + 12, 8), tcp, length));
}

static void make_frame(unsigned int n)
{
	uint8_t *frame = memset(frames[n], 0x33, SIZE), *ip = frame + ETH_HLEN, *tcp = ip + 20;

	put16(frame + 12, ETH_P_IP);
	put16(ip, 0x4500);
	put16(ip + 2, SIZE - ETH_HLEN);
	put16(ip + 6, 0x4000);
	put16(ip + 8, 0x4006);
	put16(tcp + 4, 0);
	put16(tcp + 6, n * DATA);
	put16(tcp + 12, 0x5010);
	make_right(frame);
}

static void check(struct merge *merge)
{
	unsigned int bytes = 0;

	merge_end(merge);
	for (unsigned int i = 0; i < merge->count; i++) {
		const uint8_t *at = merge->pieces[i].data;
		unsigned int inside = 0;

		for (unsigned int n = 0; n < FRAMES; n++)
			inside += at >= frames[n] && at + merge->pieces[i].size <= frames[n] + SIZE;
		if (inside != 1)
			abort();
		bytes += merge->pieces[i].size;
	}
	if (merge->count > 1 && bytes != merge->size)
		abort();
	if (merge->count > 1 && merge->header.hdr_len + merge->header.gso_size > bytes)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct merge merge;

	/* Memory of their own: a byte beyond one is found. */
	for (unsigned int n = 0; n < FRAMES; n++) {
		frames[n] = malloc(SIZE);
		if (!frames[n])
			abort();
		make_frame(n);
	}
	for (; size >= 3; size -= 3, data += 3) {
		uint8_t *frame = frames[data[0] % FRAMES];

		frame[data[1] % SIZE] = data[2];
		if (data[0] & 0x80)
			make_right(frame);
	}
	for (unsigned int n = 0; n < FRAMES; n++) {
		const struct usrpci_nic_frame frame = {.data = frames[n], .size = SIZE};

		if (n > 0 && merge_add(&merge, &frame))
			continue;
		if (n > 0)
			check(&merge);
		merge_begin(&merge, &frame);
	}
	check(&merge);
	for (unsigned int n = 0; n < FRAMES; n++)
		free(frames[n]);
	return 0;
}
