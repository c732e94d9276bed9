// SPDX-License-Identifier: BSD-2-Clause
/*
 * The virtio-net driver on a model of the device that hangs, lies and vanishes.
 */

#include <errno.h>
#include <linux/virtio_net.h>
#include <string.h>

#include <usrpci/nic.h>

#include "virtio_model.h"

#define HEADER sizeof(struct virtio_net_hdr_v1)
#define ALL    (256 + 256 + 64) /* buffers of the pool, by default */

struct bench {
	struct model model;
	struct usrpci_nic *nic;
	const char *why;
	uint8_t sent[70000]; /* the last frame, header included */
	size_t sent_size;
	unsigned int sent_frames, sent_pieces;
	uint8_t commands[8][4];
	unsigned int command_count;
	bool mute_control, refuse_control, stuck_transmit;
	uint16_t control; /* its queue */
};

static const uint8_t address[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};

static void transmit(struct bench *bench, uint16_t queue)
{
	struct model_piece pieces[256];
	unsigned int count;
	int head;

	while (!bench->stuck_transmit &&
	       (head = model_fetch(&bench->model, queue, pieces, &count)) >= 0) {
		bench->sent_size = 0;
		for (unsigned int i = 0; i < count; i++) {
			assert_false(pieces[i].writable);
			assert_true(bench->sent_size + pieces[i].size <= sizeof(bench->sent));
			memcpy(bench->sent + bench->sent_size, pieces[i].bytes, pieces[i].size);
			bench->sent_size += pieces[i].size;
		}
		bench->sent_frames++;
		bench->sent_pieces = count;
		model_use(&bench->model, queue, (uint32_t)head, 0);
		model_tell(&bench->model, queue);
	}
}

static void execute(struct bench *bench, uint16_t queue)
{
	struct model_piece pieces[256];
	unsigned int count;
	int head = model_fetch(&bench->model, queue, pieces, &count);

	if (head < 0 || bench->mute_control)
		return;
	assert_int_equal(count, 2);
	assert_true(!pieces[0].writable && pieces[1].writable && pieces[1].size == 1);
	assert_true(bench->command_count < 8 && pieces[0].size <= 4);
	memcpy(bench->commands[bench->command_count++], pieces[0].bytes, pieces[0].size);
	pieces[1].bytes[0] = bench->refuse_control ? VIRTIO_NET_ERR : VIRTIO_NET_OK;
	model_use(&bench->model, queue, (uint32_t)head, 1);
	model_tell(&bench->model, queue);
}

static void notify(struct model *model, uint16_t queue)
{
	struct bench *bench = model->data;

	if (queue == bench->control)
		execute(bench, queue);
	else if (queue & 1)
		transmit(bench, queue);
}

static int setup(void **state)
{
	static struct bench bench;

	memset(&bench, 0, sizeof(bench));
	*state = &bench;
	bench.control = 2;
	bench.model.data = &bench;
	bench.model.notify = notify;
	bench.model.offered = VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX) |
			      VIRTIO_BIT(VIRTIO_NET_F_MAC) | VIRTIO_BIT(VIRTIO_NET_F_STATUS) |
			      VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF);
	memcpy(bench.model.config, address, sizeof(address));
	bench.model.config[6] = VIRTIO_NET_S_LINK_UP;
	return usrpci_ctx_open(NULL, &bench.model.ctx);
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	usrpci_nic_close(bench->nic);
	usrpci_dev_close(bench->model.dev);
	usrpci_ctx_close(bench->model.ctx);
	return 0;
}

static int open_nic(struct bench *bench, struct usrpci_nic_options options, unsigned int msix)
{
	int error;

	if (!bench->model.dev)
		model_plug(&bench->model, VIRTIO_TYPE_NET, msix);
	options.why = &bench->why;
	error = usrpci_nic_open(bench->model.dev, &options, &bench->nic);
	if (error)
		bench->nic = NULL;
	return error;
}

static struct usrpci_nic *start(struct bench *bench, struct usrpci_nic_options options)
{
	assert_int_equal(open_nic(bench, options, 8), 0);
	assert_int_equal(usrpci_nic_start(bench->nic), 0);
	return bench->nic;
}

static const struct usrpci_nic_options by_default, with_offload = {.offload = true};

/* A frame of one buffer, whose used entry says length, or as many as it has when that is 0. */
static void receive_raw(struct bench *bench, uint16_t queue, size_t size, uint16_t buffers,
			uint32_t length)
{
	struct virtio_net_hdr_v1 header = {.num_buffers = usrpci_le16(buffers)};
	struct model_piece pieces[256];
	unsigned int count;
	int head = model_fetch(&bench->model, queue, pieces, &count);

	assert_true(head >= 0);
	assert_true(count == 1 && pieces->writable && pieces->size >= size + HEADER);
	memcpy(pieces->bytes, &header, HEADER);
	for (size_t i = 0; i < size; i++)
		pieces->bytes[HEADER + i] = (uint8_t)(size + i);
	model_use(&bench->model, queue, (uint32_t)head,
		  length ? length : (uint32_t)(size + HEADER));
	model_tell(&bench->model, queue);
}

static void receive(struct bench *bench, size_t size)
{
	receive_raw(bench, 0, size, 1, 0);
}

static void expect(struct bench *bench, size_t size)
{
	struct usrpci_nic_frame frame;

	assert_int_equal(usrpci_nic_receive(bench->nic, 0, &frame, 1), 1);
	assert_int_equal(frame.size, size);
	assert_false(frame.more);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(((uint8_t *)frame.data)[i], (uint8_t)(size + i));
	usrpci_nic_put(bench->nic, frame.data);
}

static uint64_t count_dropped(struct bench *bench)
{
	struct usrpci_nic_stats stats;

	assert_int_equal(usrpci_nic_stats(bench->nic, &stats), 0);
	return stats.rx_dropped;
}

static void stop_and_count(struct bench *bench)
{
	usrpci_nic_stop(bench->nic);
	assert_int_equal(usrpci_nic_available(bench->nic), ALL);
}

/* Opening */

static void the_card_is_described(void **state)
{
	struct bench *bench = *state;
	const struct usrpci_nic_info *info;

	assert_int_equal(open_nic(bench, by_default, 8), 0);
	info = usrpci_nic_info(bench->nic);
	assert_string_equal(info->name, "virtio-net");
	assert_memory_equal(info->mac, address, 6);
	assert_int_equal(info->mtu, 1500);
	assert_int_equal(info->frame_max, 1518);
	assert_int_equal(info->queues, 1);
	assert_false(info->offload);
}

static void a_device_that_is_too_old_is_refused_by_the_missing_bit(void **state)
{
	struct bench *bench = *state;

	bench->model.offered &= ~VIRTIO_BIT(VIRTIO_F_VERSION_1);
	assert_int_equal(open_nic(bench, by_default, 8), -ENOTSUP);
	assert_string_equal(bench->why, "it does not offer VIRTIO_F_VERSION_1");
	fake_config(bench->model.dev)[0x40 + VIRTIO_PCI_CAP_CFG_TYPE] = 9;
	assert_int_equal(open_nic(bench, by_default, 8), -ENOTSUP);
	assert_non_null(strstr(bench->why, "VIRTIO_F_VERSION_1 is missing"));
}

static void registers_outside_of_their_window_are_refused(void **state)
{
	static const uint8_t places[] = {0x40, 0x60, 0x80, 0xa0};
	struct bench *bench = *state;

	model_plug(&bench->model, VIRTIO_TYPE_NET, 8);
	for (unsigned int i = 0; i < 4; i++) {
		uint8_t *high = fake_config(bench->model.dev) + places[i] + VIRTIO_PCI_CAP_OFFSET +
				3;

		*high = 0xff;
		assert_int_equal(open_nic(bench, by_default, 8), -EPROTO);
		*high = 0;
	}
	fake_config(bench->model.dev)[0x40 + VIRTIO_PCI_CAP_LENGTH] = 55;
	assert_int_equal(open_nic(bench, by_default, 8), -EPROTO);
}

static void a_doorbell_outside_of_its_window_is_refused(void **state)
{
	struct bench *bench = *state;

	bench->model.notify_offset = MODEL_QUEUES;
	assert_int_equal(open_nic(bench, by_default, 8), 0);
	assert_int_equal(usrpci_nic_start(bench->nic), -EPROTO);
}

static void impossible_options_are_refused(void **state)
{
	static const struct usrpci_nic_options bad[] = {
		{.rx_descriptors = 100}, {.tx_descriptors = 4},       {.queues = 17},
		{.spare_buffers = ~0u},  {.irq = USRPCI_NIC_IRQ_MSI},
	};

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(open_nic(*state, bad[i], 8), -EINVAL);
}

static void a_device_that_contradicts_itself_is_refused(void **state)
{
	struct bench *bench = *state;

	model_plug(&bench->model, VIRTIO_TYPE_NET, 8);
	bench->model.queues[1].size = 0;
	assert_int_equal(open_nic(bench, by_default, 8), -EPROTO);
	bench->model.queues[1].size = 100;
	assert_int_equal(open_nic(bench, by_default, 8), -EPROTO);
	bench->model.queues[1].size = 256;
	bench->model.changes_always = true;
	assert_int_equal(open_nic(bench, by_default, 8), -EPROTO);
	bench->model.changes_always = false;
	bench->model.offered |= VIRTIO_BIT(VIRTIO_NET_F_MTU);
	assert_int_equal(open_nic(bench, by_default, 8), -EPROTO); /* an MTU of 0 */
	bench->model.offered &= ~VIRTIO_BIT(VIRTIO_NET_F_MTU);
	bench->model.stuck_reset = true;
	assert_int_equal(open_nic(bench, by_default, 8), -ETIMEDOUT);
}

static void starting_fails_where_the_device_does_not_agree(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(open_nic(bench, by_default, 8), 0);
	bench->model.refuses_features = true;
	assert_int_equal(usrpci_nic_start(bench->nic), -EPROTO);
	bench->model.refuses_features = false;
	bench->model.takes_no_vector = true;
	assert_int_equal(usrpci_nic_start(bench->nic), -EPROTO);
	bench->model.takes_no_vector = false;
	assert_int_equal(usrpci_nic_start(bench->nic), 0);
	stop_and_count(bench);
}

static void starting_and_opening_survive_the_failure_of_any_call(void **state)
{
	struct bench *bench = *state;
	unsigned int before, calls;
	int error;

	start(bench, by_default);
	usrpci_nic_close(bench->nic);
	before = fake_fail(bench->model.dev, UINT32_MAX, 0);
	start(bench, by_default);
	usrpci_nic_close(bench->nic);
	bench->nic = NULL;
	calls = fake_fail(bench->model.dev, UINT32_MAX, 0) - before;
	assert_true(calls > 5);
	for (unsigned int i = 1; i <= calls; i++) {
		fake_fail(bench->model.dev, i, -EIO);
		error = open_nic(bench, by_default, 8);
		if (!error) {
			error = usrpci_nic_start(bench->nic);
			if (error)
				assert_int_equal(usrpci_nic_available(bench->nic), ALL);
		}
		usrpci_nic_close(bench->nic);
		bench->nic = NULL;
	}
}

/* Frames */

static void frames_go_both_ways_round_after_round(void **state)
{
	struct bench *bench = *state;
	struct usrpci_nic *nic = start(bench, by_default);
	struct usrpci_nic_stats stats;
	struct usrpci_nic_frame frame;

	for (unsigned int i = 0; i < 2000; i++) {
		size_t size = 60 + i % 1455;

		receive(bench, size);
		expect(bench, size);
		frame = (struct usrpci_nic_frame){.data = usrpci_nic_get(nic),
						  .size = (uint16_t)size};
		memset(frame.data, (int)i, size);
		assert_int_equal(usrpci_nic_transmit(nic, 0, &frame, 1), 1);
		assert_int_equal(bench->sent_size, size + HEADER);
		for (unsigned int k = 0; k < HEADER; k++)
			assert_int_equal(bench->sent[k], 0);
		assert_int_equal(bench->sent[HEADER], (uint8_t)i);
	}
	assert_int_equal(usrpci_nic_stats(nic, &stats), 0);
	assert_int_equal(stats.rx_frames, 2000);
	assert_int_equal(stats.tx_frames, 2000);
	assert_int_equal(stats.rx_bytes, stats.tx_bytes);
	stop_and_count(bench);
}

static void a_batch_rings_once_and_not_where_the_device_is_awake(void **state)
{
	struct bench *bench = *state;
	struct usrpci_nic *nic = start(bench, by_default);
	struct model_queue *queue = &bench->model.queues[1];
	struct usrpci_nic_frame frames[32];

	bench->stuck_transmit = true;
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < 32; i++)
			frames[i] = (struct usrpci_nic_frame){.data = usrpci_nic_get(nic),
							      .size = 60};
		assert_int_equal(usrpci_nic_transmit(nic, 0, frames, 32), 32);
		assert_int_equal(queue->doorbells, 1); /* the others are not waited for */
	}
	assert_int_equal(model_available(&bench->model, 1), 96);
}

static void a_full_ring_takes_no_more(void **state)
{
	struct bench *bench = *state;
	struct usrpci_nic *nic =
		start(bench, (struct usrpci_nic_options){.tx_descriptors = 8, .rx_descriptors = 8});
	struct usrpci_nic_frame frames[10];

	bench->stuck_transmit = true;
	for (unsigned int i = 0; i < 10; i++)
		frames[i] = (struct usrpci_nic_frame){.data = usrpci_nic_get(nic), .size = 60};
	assert_int_equal(usrpci_nic_transmit(nic, 0, frames, 10), 8);
	assert_int_equal(usrpci_nic_reclaim(nic, 0), 8);
	bench->stuck_transmit = false;
	transmit(bench, 1);
	assert_int_equal(usrpci_nic_transmit(nic, 0, frames + 8, 2), 2);
	assert_int_equal(bench->sent_frames, 10);
}

static void a_frame_of_an_impossible_size_is_not_sent(void **state)
{
	static const struct usrpci_nic_frame bad[] = {
		{.size = 13}, {.size = 1519}, {.size = 60, .more = true}};
	struct usrpci_nic *nic = start(*state, by_default);

	for (unsigned int i = 0; i < 3; i++) {
		struct usrpci_nic_frame frame = bad[i];

		frame.data = usrpci_nic_get(nic);
		assert_int_equal(usrpci_nic_transmit(nic, 0, &frame, 1), 0);
		usrpci_nic_put(nic, frame.data);
	}
	stop_and_count(*state);
}

/* Offloads */

static void offloads_are_taken_as_they_depend_on_each_other(void **state)
{
	struct bench *bench = *state;
	const uint64_t cut = VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4) |
			     VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO6);
	const uint64_t merged = VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4) |
				VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6);

	bench->model.offered |= cut | merged;
	start(bench, with_offload);
	assert_int_equal(bench->model.taken & (cut | merged), 0); /* without checksums */
	usrpci_nic_close(bench->nic);
	bench->model.offered |= VIRTIO_BIT(VIRTIO_NET_F_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM);
	start(bench, with_offload);
	assert_true((bench->model.taken & (cut | merged)) == (cut | merged));
	assert_true(usrpci_nic_info(bench->nic)->offload_segments4);
	usrpci_nic_close(bench->nic);
	bench->model.offered &= ~VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF);
	start(bench, with_offload);
	assert_true((bench->model.taken & (cut | merged)) == cut);
	usrpci_nic_close(bench->nic);
	start(bench, by_default);
	assert_int_equal(bench->model.taken & (cut | merged), 0);
}

static void a_large_frame_is_sent_in_pieces_behind_the_programs_header(void **state)
{
	struct bench *bench = *state;
	struct usrpci_nic *nic = start(bench, with_offload);
	struct usrpci_nic_frame pieces[33];

	for (unsigned int round = 0; round < 50; round++) {
		for (unsigned int i = 0; i < 33; i++) {
			pieces[i] = (struct usrpci_nic_frame){
				.data = usrpci_nic_get(nic),
				.size = i ? 2000 : 1400,
				.more = i < 32,
			};
			memset(pieces[i].data, (int)i, pieces[i].size);
		}
		((uint8_t *)pieces[0].data)[-(int)HEADER] = 77;
		assert_int_equal(usrpci_nic_transmit(nic, 0, pieces, 32), 0); /* not whole */
		assert_int_equal(usrpci_nic_transmit(nic, 0, pieces, 33), 33);
		assert_int_equal(bench->sent_pieces, 33);
		assert_int_equal(bench->sent_size, HEADER + 1400 + 32 * 2000);
		assert_int_equal(bench->sent[0], 77);
		assert_int_equal(bench->sent[bench->sent_size - 1], 32);
	}
	stop_and_count(bench);
}

static void a_merged_frame_comes_in_pieces(void **state)
{
	struct bench *bench = *state;
	struct usrpci_nic *nic = start(bench, with_offload);
	struct usrpci_nic_frame frames[4];

	receive_raw(bench, 0, 2000, 3, 2048);
	receive_raw(bench, 0, 2000, 999, 2048); /* which is no header */
	assert_int_equal(usrpci_nic_receive(nic, 0, frames, 4), 2);
	receive_raw(bench, 0, 500, 0, 512);
	receive(bench, 60);
	assert_int_equal(usrpci_nic_receive(nic, 0, frames + 2, 2), 2);
	assert_int_equal(frames[0].size, 2048 - HEADER);
	assert_int_equal(frames[1].size, 2048);
	assert_int_equal(frames[2].size, 512);
	assert_int_equal(frames[3].size, 60);
	assert_true(frames[0].more && frames[1].more && !frames[2].more && !frames[3].more);
	for (unsigned int i = 0; i < 4; i++)
		usrpci_nic_put(nic, frames[i].data);
	stop_and_count(bench);
}

/* Queues and commands */

static void several_queues_are_asked_for_and_used(void **state)
{
	static const uint8_t pairs[4] = {VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 2, 0};
	struct bench *bench = *state;
	struct usrpci_nic_frame frame;

	bench->model.offered |= VIRTIO_BIT(VIRTIO_NET_F_MQ) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ);
	bench->model.config[8] = 3;
	bench->control = 6;
	bench->model.queues_later = true;
	start(bench, (struct usrpci_nic_options){.queues = 2});
	assert_int_equal(usrpci_nic_info(bench->nic)->queues, 2);
	assert_memory_equal(bench->commands[0], pairs, 4);
	receive_raw(bench, 2, 100, 1, 0);
	assert_int_equal(usrpci_nic_receive(bench->nic, 0, &frame, 1), 0);
	assert_int_equal(usrpci_nic_wait(bench->nic, 1, 0), USRPCI_NIC_RECEIVE);
	assert_int_equal(usrpci_nic_receive(bench->nic, 1, &frame, 1), 1);
	assert_int_equal(usrpci_nic_transmit(bench->nic, 1, &frame, 1), 1);
	assert_int_equal(bench->sent_size, 100 + HEADER);
	assert_int_equal(usrpci_nic_receive(bench->nic, 2, &frame, 1), 0);
	assert_int_equal(usrpci_nic_wait(bench->nic, 2, 0), -EINVAL);
}

static void promiscuity_is_a_command(void **state)
{
	static const uint8_t on[3] = {VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 1};
	struct bench *bench = *state;

	bench->model.offered |= VIRTIO_BIT(VIRTIO_NET_F_CTRL_RX) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ);
	start(bench, (struct usrpci_nic_options){.promiscuous = true});
	assert_memory_equal(bench->commands[0], on, 3);
	usrpci_nic_stop(bench->nic);
	bench->refuse_control = true;
	assert_int_equal(usrpci_nic_start(bench->nic), -EPROTO);
	bench->mute_control = true;
	assert_int_equal(usrpci_nic_start(bench->nic), -EPROTO);
	assert_int_equal(usrpci_nic_available(bench->nic), ALL);
}

/* Interrupts and link */

static void wait_for_events(struct bench *bench)
{
	struct usrpci_nic_frame frame;
	struct usrpci_nic_link link;

	assert_true(usrpci_nic_irq_fd(bench->nic, 0) >= 0);
	assert_int_equal(usrpci_nic_wait(bench->nic, 0, 10), -ETIMEDOUT);
	receive(bench, 60);
	assert_int_equal(usrpci_nic_wait(bench->nic, 0, 1000), USRPCI_NIC_RECEIVE);
	receive(bench, 61); /* with event indices no interrupt comes for this one */
	expect(bench, 60);
	expect(bench, 61);
	assert_int_equal(usrpci_nic_receive(bench->nic, 0, &frame, 1), 0);
	bench->model.config[6] = 0;
	model_change(&bench->model);
	assert_true(usrpci_nic_wait(bench->nic, 0, 1000) & USRPCI_NIC_LINK);
	assert_int_equal(usrpci_nic_link(bench->nic, &link), 0);
	assert_false(link.up);
	receive(bench, 60);
	assert_int_equal(usrpci_nic_wait(bench->nic, 0, 1000), USRPCI_NIC_RECEIVE);
	expect(bench, 60);
}

static void interrupts_say_why_by_msix(void **state)
{
	start(*state, by_default);
	wait_for_events(*state);
}

static void interrupts_say_why_by_intx(void **state)
{
	struct bench *bench = *state;

	model_plug(&bench->model, VIRTIO_TYPE_NET, 0);
	start(bench, by_default);
	wait_for_events(bench);
}

static void interrupts_come_without_event_indices(void **state)
{
	struct bench *bench = *state;

	bench->model.offered &= ~VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX);
	start(bench, by_default);
	wait_for_events(bench);
}

static void what_came_before_it_was_armed_is_not_waited_for(void **state)
{
	struct bench *bench = *state;

	start(bench, by_default);
	receive(bench, 60);
	receive(bench, 61);
	assert_int_equal(usrpci_nic_wait(bench->nic, 0, -1), USRPCI_NIC_RECEIVE);
	expect(bench, 60);
	assert_int_equal(usrpci_nic_wait(bench->nic, 0, -1), USRPCI_NIC_RECEIVE);
	expect(bench, 61);
}

static void polling_enables_no_interrupt(void **state)
{
	struct usrpci_nic *nic = start(*state,
				       (struct usrpci_nic_options){.irq = USRPCI_NIC_IRQ_NONE});

	assert_int_equal(usrpci_nic_irq_fd(nic, 0), -EINVAL);
	assert_int_equal(usrpci_nic_wait(nic, 0, 0), -EINVAL);
	receive(*state, 60);
	expect(*state, 60);
}

/* A hostile device */

static void lengths_that_cannot_be_are_dropped(void **state)
{
	static const uint32_t lengths[] = {1, 12, 25, 2049, UINT32_MAX};
	struct bench *bench = *state;
	struct usrpci_nic *nic = start(bench, by_default);
	struct usrpci_nic_frame frame;

	for (unsigned int i = 0; i < 5; i++) {
		receive_raw(bench, 0, 60, 1, lengths[i]);
		assert_int_equal(usrpci_nic_receive(nic, 0, &frame, 1), 0);
		assert_int_equal(count_dropped(bench), i + 1);
	}
	receive_raw(bench, 0, 60, 0, 0);
	receive_raw(bench, 0, 60, 2, 0); /* pieces, which were not asked for */
	assert_int_equal(usrpci_nic_receive(nic, 0, &frame, 1), 0);
	receive(bench, 60);
	expect(bench, 60);
	stop_and_count(bench);
}

static void descriptors_that_are_not_there_are_dropped(void **state)
{
	struct bench *bench = *state;
	struct usrpci_nic *nic = start(bench, by_default);
	struct usrpci_nic_frame frame;

	model_use(&bench->model, 0, 256, 100);
	model_use(&bench->model, 0, UINT32_MAX, 100);
	model_tell(&bench->model, 0);
	assert_int_equal(usrpci_nic_receive(nic, 0, &frame, 1), 0);
	assert_int_equal(count_dropped(bench), 2);
	receive(bench, 60);
	expect(bench, 60);
	stop_and_count(bench);
}

static void a_ring_with_more_than_was_given_is_broken(void **state)
{
	struct bench *bench = *state;
	struct usrpci_nic *nic = start(bench, by_default);
	struct usrpci_nic_frame frame;
	struct usrpci_nic_link link;

	bench->model.queues[0].next_used = 257;
	model_tell(&bench->model, 0);
	assert_int_equal(usrpci_nic_receive(nic, 0, &frame, 1), 0);
	assert_int_equal(usrpci_nic_wait(nic, 0, -1), -EPROTO);
	assert_int_equal(usrpci_nic_link(nic, &link), -EPROTO);
	stop_and_count(bench);
	assert_int_equal(usrpci_nic_start(nic), 0);
	receive(bench, 60);
	expect(bench, 60);
}

static void what_was_not_sent_is_not_taken_back(void **state)
{
	struct bench *bench = *state;
	struct usrpci_nic *nic = start(bench, with_offload);
	struct usrpci_nic_frame frames[3];

	for (uint32_t lie = 0; lie < 4; lie++) {
		bench->stuck_transmit = true;
		for (unsigned int i = 0; i < 3; i++)
			frames[i] = (struct usrpci_nic_frame){
				.data = usrpci_nic_get(nic), .size = 60, .more = i == 0};
		assert_int_equal(usrpci_nic_transmit(nic, 0, frames, 3), 3);
		/* The heads are 255 and 253: the middle of a chain, a free one, none, twice. */
		model_use(&bench->model, 1, (uint32_t[]){254, 0, 256, 253}[lie], 0);
		model_use(&bench->model, 1, 253, 0);
		model_tell(&bench->model, 1);
		usrpci_nic_reclaim(nic, 0);
		assert_int_equal(usrpci_nic_transmit(nic, 0, frames, 1), 0);
		assert_int_equal(usrpci_nic_wait(nic, 0, 0), -EPROTO);
		stop_and_count(bench);
		assert_int_equal(usrpci_nic_start(nic), 0);
	}
}

static void a_device_that_asks_for_a_reset_is_reported(void **state)
{
	struct bench *bench = *state;
	struct usrpci_nic *nic = start(bench, by_default);

	bench->model.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	model_change(&bench->model);
	assert_int_equal(usrpci_nic_wait(nic, 0, 1000), -EPROTO);
	assert_int_equal(usrpci_nic_stop(nic), 0);
	assert_int_equal(usrpci_nic_start(nic), 0);
	receive(bench, 60);
	expect(bench, 60);
}

static void frames_wait_in_the_ring_while_the_pool_is_empty(void **state)
{
	struct bench *bench = *state;
	struct usrpci_nic *nic = start(bench, by_default);
	void *held[320];
	struct usrpci_nic_frame frame;

	for (unsigned int i = 0; i < 320; i++) {
		held[i] = usrpci_nic_get(nic);
		assert_non_null(held[i]);
	}
	receive(bench, 60);
	assert_int_equal(usrpci_nic_receive(nic, 0, &frame, 1), 0);
	for (unsigned int i = 0; i < 320; i++)
		usrpci_nic_put(nic, held[i]);
	expect(bench, 60);
	stop_and_count(bench);
}

static void stopping_gives_up_frames_that_are_never_sent(void **state)
{
	struct bench *bench = *state;
	struct usrpci_nic *nic = start(bench, by_default);
	struct usrpci_nic_frame frame = {.data = usrpci_nic_get(nic), .size = 60};

	bench->stuck_transmit = true;
	assert_int_equal(usrpci_nic_transmit(nic, 0, &frame, 1), 1);
	assert_int_equal(usrpci_nic_stop(nic), -ETIMEDOUT);
	assert_int_equal(usrpci_nic_available(nic), ALL);
	assert_int_equal(fake_config(bench->model.dev)[4] & 4, 0); /* bus mastering */
}

static void a_device_that_is_gone_is_reported_and_can_be_closed(void **state)
{
	struct bench *bench = *state;
	struct usrpci_nic *nic = start(bench, by_default);
	struct usrpci_nic_frame frame = {.data = usrpci_nic_get(nic), .size = 60};
	struct usrpci_nic_link link;
	struct usrpci_nic_stats stats;

	bench->stuck_transmit = true;
	assert_int_equal(usrpci_nic_transmit(nic, 0, &frame, 1), 1);
	fake_unplug(bench->model.dev);
	assert_int_equal(usrpci_nic_link(nic, &link), -ENODEV);
	assert_int_equal(usrpci_nic_link_wait(nic, 1000), -ENODEV);
	assert_int_equal(usrpci_nic_stats(nic, &stats), -ENODEV);
	assert_int_equal(usrpci_nic_receive(nic, 0, &frame, 1), 0);
	assert_int_equal(usrpci_nic_stop(nic), -ENODEV);
	assert_int_equal(usrpci_nic_available(nic), ALL);
	usrpci_nic_close(nic);
	assert_int_equal(open_nic(bench, by_default, 8), -ENODEV);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_card_is_described),
		TEST(a_device_that_is_too_old_is_refused_by_the_missing_bit),
		TEST(registers_outside_of_their_window_are_refused),
		TEST(a_doorbell_outside_of_its_window_is_refused),
		TEST(impossible_options_are_refused),
		TEST(a_device_that_contradicts_itself_is_refused),
		TEST(starting_fails_where_the_device_does_not_agree),
		TEST(starting_and_opening_survive_the_failure_of_any_call),
		TEST(frames_go_both_ways_round_after_round),
		TEST(a_batch_rings_once_and_not_where_the_device_is_awake),
		TEST(a_full_ring_takes_no_more),
		TEST(a_frame_of_an_impossible_size_is_not_sent),
		TEST(offloads_are_taken_as_they_depend_on_each_other),
		TEST(a_large_frame_is_sent_in_pieces_behind_the_programs_header),
		TEST(a_merged_frame_comes_in_pieces),
		TEST(several_queues_are_asked_for_and_used),
		TEST(promiscuity_is_a_command),
		TEST(interrupts_say_why_by_msix),
		TEST(interrupts_say_why_by_intx),
		TEST(interrupts_come_without_event_indices),
		TEST(what_came_before_it_was_armed_is_not_waited_for),
		TEST(polling_enables_no_interrupt),
		TEST(lengths_that_cannot_be_are_dropped),
		TEST(descriptors_that_are_not_there_are_dropped),
		TEST(a_ring_with_more_than_was_given_is_broken),
		TEST(what_was_not_sent_is_not_taken_back),
		TEST(a_device_that_asks_for_a_reset_is_reported),
		TEST(frames_wait_in_the_ring_while_the_pool_is_empty),
		TEST(stopping_gives_up_frames_that_are_never_sent),
		TEST(a_device_that_is_gone_is_reported_and_can_be_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
