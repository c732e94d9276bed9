// SPDX-License-Identifier: BSD-2-Clause
/* The program above a network card, see nic.h. */

#include "fake/fake.h"
#include "nic.h"

static uintptr_t buffer_of(const struct usrpci_nic_frame *frame)
{
	return (uintptr_t)frame->data / USRPCI_NIC_BUFFER_SIZE;
}

static void hold(struct nic_program *program, const struct usrpci_nic_frame *frame)
{
	HOLDS(frame->size >= program->least && frame->size <= USRPCI_NIC_BUFFER_SIZE);
	HOLDS(usrpci_dma_contains(program->ctx, frame->data, frame->size));
	for (unsigned int i = 0; i < program->held_count; i++)
		HOLDS(buffer_of(&program->held[i]) != buffer_of(frame));
	program->held[program->held_count++] = *frame;
}

static unsigned int queue_of(struct nic_program *program)
{
	return program->queues > 1 ? take(&program->input, 1) % program->queues : 0;
}

static void receive(struct nic_program *program, struct usrpci_nic *nic)
{
	struct usrpci_nic_frame frames[HELD_MAX];
	unsigned int room = HELD_MAX - program->held_count, n;

	n = usrpci_nic_receive(nic, queue_of(program), frames, room);
	HOLDS(n <= room);
	for (unsigned int i = 0; i < n; i++)
		hold(program, &frames[i]);
}

static void transmit(struct nic_program *program, struct usrpci_nic *nic)
{
	unsigned int n = take(&program->input, 1) % 8;
	unsigned int sent = n < program->held_count ? n : program->held_count;

	sent = usrpci_nic_transmit(nic, queue_of(program), program->held, sent);
	program->held_count -= sent;
	memmove(program->held, program->held + sent,
		program->held_count * sizeof(program->held[0]));
}

static void take_buffer(struct nic_program *program, struct usrpci_nic *nic)
{
	struct usrpci_nic_frame frame = {
		.size = (uint16_t)(USRPCI_NIC_FRAME_MIN + take(&program->input, 1)),
		.more = program->scatters && take(&program->input, 1) % 4 == 0,
	};

	if (program->held_count == HELD_MAX)
		return;
	frame.data = usrpci_nic_get(nic);
	if (frame.data)
		hold(program, &frame);
}

static void put_all(struct nic_program *program, struct usrpci_nic *nic)
{
	while (program->held_count > 0)
		usrpci_nic_put(nic, program->held[--program->held_count].data);
}

static void control(struct nic_program *program, struct usrpci_nic *nic, uint32_t which)
{
	struct usrpci_nic_stats stats;
	struct usrpci_nic_link link;

	switch (which) {
	case 0:
		usrpci_nic_start(nic);
		break;
	case 1:
		usrpci_nic_stop(nic);
		break;
	case 2:
		usrpci_nic_link(nic, &link);
		break;
	case 3:
		usrpci_nic_link_wait(nic, take(&program->input, 1));
		break;
	case 4:
		usrpci_nic_stats(nic, &stats);
		break;
	case 5:
		fake_unplug(program->dev);
		program->unplugged = true;
		break;
	}
}

static void call(struct nic_program *program, struct usrpci_nic *nic)
{
	uint32_t which = take(&program->input, 1) % 16;
	uint64_t before = fake_time_us();

	if (which < 6)
		control(program, nic, which);
	else if (which < 8)
		program->act();
	else if (which < 10)
		receive(program, nic);
	else if (which < 12)
		transmit(program, nic);
	else if (which == 12)
		take_buffer(program, nic);
	else if (which == 13)
		put_all(program, nic);
	else if (which == 14)
		program->scribble();
	else
		usrpci_nic_wait(nic, 0, (int)take(&program->input, 1));
	HOLDS(fake_time_us() - before < program->deadline_us);
}

UNCOVERED uint64_t nic_answer(struct nic_program *program, uint32_t how, uint32_t kinds,
			      void (*writes)(void), uint64_t honest)
{
	if (how & 0x80)
		fake_intx(program->dev, how & 1);
	if (how & 0x40)
		writes();
	switch (how % kinds) {
	case 1:
		return UINT32_MAX;
	case 2:
		return take(&program->input, 4);
	case 3:
		return 0;
	}
	return honest;
}

static void run(struct nic_program *program, const struct usrpci_nic_options *options)
{
	struct usrpci_nic *nic;
	size_t all;

	if (usrpci_nic_open(program->dev, options, &nic))
		return;
	all = usrpci_nic_available(nic);
	usrpci_nic_start(nic);
	while (program->input.size > 0)
		call(program, nic);
	put_all(program, nic);
	usrpci_nic_stop(nic);
	HOLDS(usrpci_nic_available(nic) == all);
	usrpci_nic_close(nic);
}

void nic_run(struct nic_program *program, const struct usrpci_nic_options *options)
{
	struct usrpci_dma_stats stats;

	run(program, options);
	usrpci_dma_stats(program->ctx, &stats);
	HOLDS(stats.blocks == 0);
	HOLDS(program->unplugged || !(fake_config(program->dev)[4] & 4)); /* bus mastering */
	usrpci_dev_close(program->dev);
}
