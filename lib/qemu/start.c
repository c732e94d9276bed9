// SPDX-License-Identifier: BSD-2-Clause
/*
 * A context's QEMU: its start and its end, which is that of the context's DMA memory.
 */

#include <errno.h>
#include <stdlib.h>

#include "qemu/qemu.h"

#define QTEST_TIMEOUT 20 /* seconds */

void qemu_stop(struct qemu *qemu)
{
	qemu_process_end(&qemu->process);
	qemu_doorbell_free(qemu);
	qemu_ram_free(qemu);
	pthread_mutex_destroy(&qemu->lock);
	pthread_mutex_destroy(&qemu->watch_lock);
	free(qemu);
}

static void qemu_domain_destroy(struct dma_domain *domain)
{
	qemu_stop((struct qemu *)domain);
}

const struct dma_domain_ops domain_qemu = {
	.name = "qemu",
	.grow = qemu_ram_grow,
	.shrink = qemu_ram_shrink,
	.destroy = qemu_domain_destroy,
};

static int boot(struct qemu *qemu, const char *object)
{
	struct usrpci_ctx *ctx = qemu->domain.ctx;
	int error = qemu_ram_create(qemu, object);

	if (!error)
		error = qemu_process_spawn(ctx, object, qemu->ram, qemu->ram_size, &qemu->process);
	if (error)
		return error;
	error = qtest_init(&qemu->qtest, qemu->process.qtest, QTEST_TIMEOUT);
	return error ? error : qemu_map_config(qemu);
}

int qemu_start(struct usrpci_ctx *ctx, const char *object, struct qemu **result)
{
	struct qemu *qemu = calloc(1, sizeof(*qemu));
	int error;

	if (!qemu)
		return -ENOMEM;
	qemu->domain = (struct dma_domain){.ops = &domain_qemu, .ctx = ctx};
	qemu->ram = -1;
	qemu->process = QEMU_NO_PROCESS;
	pthread_mutex_init(&qemu->lock, NULL);
	pthread_mutex_init(&qemu->watch_lock, NULL);
	error = boot(qemu, object);
	if (error) {
		qemu_stop(qemu);
		return error;
	}
	*result = qemu;
	return 0;
}
