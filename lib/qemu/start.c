// SPDX-License-Identifier: BSD-2-Clause
/*
 * Starts and ends a context's QEMU. It ends together with the context's DMA memory.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "qemu/qemu.h"

#define QTEST_TIMEOUT 20 /* seconds */

void qemu_stop(struct qemu *qemu)
{
	qemu_process_end(&qemu->process);
	qemu_doorbell_free(qemu);
	qemu_ram_free(qemu);
	free(qemu->first);
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

/* A device that is unplugged and plugged again has lost its children. */
static bool has_children(const struct qemu_model *model)
{
	for (size_t i = 1; i < model->words.we_wordc; i++)
		if (!strcmp(model->words.we_wordv[i], "-device") ||
		    !strcmp(model->words.we_wordv[i], "--device"))
			return true;
	return false;
}

static int boot(struct qemu *qemu, const struct qemu_model *model)
{
	int error = qemu_ram_create(qemu, model->object)
			    ?: qemu_process_spawn(model, qemu->ram, qemu->ram_size, &qemu->process);

	if (error)
		return error;
	error = qtest_init(&qemu->qtest, qemu->process.qtest, QTEST_TIMEOUT) ?:
		qemu_map_config(qemu) ?:
		qemu_slot_on(qemu, 0);
	qemu->first = strdup(model->text);
	qemu->first_waits = true;
	qemu->first_stays = has_children(model) || !qemu_can_unplug(qemu, 0);
	return error || qemu->first ? error : -ENOMEM;
}

int qemu_start(const struct qemu_model *model, struct qemu **result)
{
	struct qemu *qemu = calloc(1, sizeof(*qemu));
	int error;

	if (!qemu)
		return -ENOMEM;
	qemu->domain = (struct dma_domain){.ops = &domain_qemu, .ctx = model->ctx};
	qemu->ram = -1;
	qemu->process = QEMU_NO_PROCESS;
	pthread_mutex_init(&qemu->lock, NULL);
	pthread_mutex_init(&qemu->watch_lock, NULL);
	error = boot(qemu, model);
	if (error)
		qemu_stop(qemu);
	else
		*result = qemu;
	return error;
}
