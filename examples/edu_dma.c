// SPDX-License-Identifier: BSD-2-Clause
/*
 * A factorial, an interrupt, and DMA to QEMU's educational device and back:
 *   edu_dma [DEVICE [LIMIT]]
 * DEVICE is "qemu:edu" when none is named: a device in a process of its own, which needs neither
 * hardware nor privileges. LIMIT is the highest address that the device reaches, its dma_mask. A
 * device whose interrupts cannot be had is polled.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <edu/edu.h>

#define SIZE ((size_t)4000) /* bytes to copy */

static int compute(struct edu *edu)
{
	uint32_t result;
	int error = edu_factorial(edu, 10, &result);

	if (!error)
		printf("10! = %u\n", result);
	return error;
}

static int interrupt(struct edu *edu)
{
	uint32_t causes;
	int error = edu_raise(edu, 0x42);

	if (!error)
		error = edu_wait(edu, 1000, &causes);
	if (!error)
		printf("interrupt: causes 0x%x\n", causes);
	return error;
}

/* One half of the block goes to the device, which writes it to the other half. */
static int copy(struct usrpci_ctx *ctx, struct edu *edu)
{
	uint8_t *block;
	int error = edu_alloc(edu, 2 * SIZE, (void **)&block);

	if (error)
		return error;
	for (unsigned int i = 0; i < SIZE; i++)
		block[i] = (uint8_t)(i * 7 + 1);
	memset(block + SIZE, 0, SIZE);
	error = edu_write(edu, 0, block, SIZE);
	if (!error)
		error = edu_read(edu, 0, block + SIZE, SIZE);
	if (!error && memcmp(block, block + SIZE, SIZE) != 0)
		error = -EIO;
	if (!error)
		printf("DMA: %zu bytes to the device and back, address 0x%llx, equal\n", SIZE,
		       (unsigned long long)usrpci_dma_addr(ctx, block));
	usrpci_dma_free(ctx, block);
	return error;
}

static int run(struct usrpci_ctx *ctx, const char *name, struct edu_options *options)
{
	struct usrpci_dev *dev;
	struct edu *edu;
	int error = usrpci_dev_open(ctx, name, &dev);

	if (error)
		return error;
	options->poll = !(usrpci_dev_features(dev) & (USRPCI_FEATURE_INTX | USRPCI_FEATURE_MSI));
	error = edu_open(dev, options, &edu);
	if (!error) {
		printf("%s: edu, through the backend %s\n", usrpci_dev_name(dev),
		       usrpci_dev_backend(dev));
		error = compute(edu);
		if (!error && !options->poll)
			error = interrupt(edu);
		if (!error)
			error = copy(ctx, edu);
		edu_close(edu);
	}
	usrpci_dev_close(dev);
	return error;
}

int main(int argc, char **argv)
{
	struct usrpci_ctx_options log = {.log = usrpci_log_stderr};
	struct edu_options options = {.limit = argc > 2 ? strtoull(argv[2], NULL, 0) : 0};
	const char *name = argc > 1 ? argv[1] : "qemu:edu";
	struct usrpci_ctx *ctx;
	int error = usrpci_ctx_open(&log, &ctx);

	if (!error) {
		error = run(ctx, name, &options);
		usrpci_ctx_close(ctx);
	}
	if (error)
		fprintf(stderr, "%s: %s\n", name, strerror(-error));
	return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
