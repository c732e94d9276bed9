// SPDX-License-Identifier: BSD-2-Clause
/*
 * The drivers on the devices that QEMU emulates: edu, and network cards of the e1000 family and of
 * virtio on QEMU's user network, whose gateway answers pings, and on a wire between two of them.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <edu/edu.h>
#include <net.h>
#include <usrpci/nic.h>

#include "deadline.h"
#include "fixture.h"

#define WAIT_MS 5000

struct bench {
	struct usrpci_ctx *ctx;
	struct usrpci_dev *devs[2];
	struct usrpci_nic *nics[2];
	struct edu *edu;
};

static int setup(void **state)
{
	static struct bench bench;

	memset(&bench, 0, sizeof(bench));
	*state = &bench;
	setenv("USRPCI_QEMU_ARGS",
	       "-netdev user,id=user -netdev hubport,id=left,hubid=0 -netdev hubport,id=right,hubid=0",
	       1);
	return usrpci_ctx_open(NULL, &bench.ctx);
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	edu_close(bench->edu);
	for (unsigned int i = 0; i < 2; i++) {
		usrpci_nic_close(bench->nics[i]);
		usrpci_dev_close(bench->devs[i]);
	}
	usrpci_ctx_close(bench->ctx);
	return 0;
}

static struct usrpci_dev *open_device(struct bench *bench, unsigned int i, const char *name)
{
	assert_int_equal(usrpci_dev_open(bench->ctx, name, &bench->devs[i]), 0);
	return bench->devs[i];
}

static struct usrpci_nic *start_nic(struct bench *bench, unsigned int i, const char *name,
				    enum usrpci_nic_irq irq)
{
	struct usrpci_nic_options options = {.irq = irq, .promiscuous = true};
	struct usrpci_dev *dev = open_device(bench, i, name);
	unsigned int mtu_max;
	const char *why;

	assert_int_equal(usrpci_nic_look(dev, &mtu_max, &why), 0);
	assert_true(mtu_max == 0 || mtu_max >= 1500);
	assert_int_equal(usrpci_nic_open(dev, &options, &bench->nics[i]), 0);
	assert_int_equal(usrpci_nic_start(bench->nics[i]), 0);
	assert_int_equal(usrpci_nic_link_wait(bench->nics[i], WAIT_MS), 0);
	return bench->nics[i];
}

/* edu */

static void open_edu(struct bench *bench, const struct edu_options *options)
{
	assert_int_equal(edu_open(open_device(bench, 0, "qemu:edu"), options, &bench->edu), 0);
}

static void edu_computes_and_interrupts(void **state)
{
	struct bench *bench = *state;
	uint32_t result, causes;

	open_edu(bench, NULL);
	assert_int_equal(edu_factorial(bench->edu, 12, &result), 0);
	assert_int_equal(result, 479001600);
	for (uint32_t i = 1; i < 4; i++) {
		assert_int_equal(edu_raise(bench->edu, i), 0);
		assert_int_equal(edu_wait(bench->edu, WAIT_MS, &causes), 0);
		assert_int_equal(causes, i);
	}
}

static void copy_there_and_back(struct bench *bench)
{
	enum { SIZE = 4095 };
	uint8_t *block;
	void *memory;

	assert_int_equal(edu_alloc(bench->edu, SIZE * (size_t)2, &memory), 0);
	block = memory;
	for (unsigned int i = 0; i < SIZE; i++)
		block[i] = (uint8_t)(i * 13 + i / 256);
	memset(block + SIZE, 0, SIZE);
	assert_int_equal(edu_write(bench->edu, 0, block, SIZE), 0);
	assert_int_equal(edu_read(bench->edu, 0, block + SIZE, SIZE), 0);
	assert_memory_equal(block, block + SIZE, SIZE);
	usrpci_dma_free(bench->ctx, block);
}

static void edu_moves_memory_both_ways_by_interrupt(void **state)
{
	open_edu(*state, NULL);
	copy_there_and_back(*state);
}

static void edu_moves_memory_both_ways_by_polling(void **state)
{
	open_edu(*state, &(struct edu_options){.poll = true});
	copy_there_and_back(*state);
}

/* network cards */

static void send_frame(struct usrpci_nic *nic, void *data, size_t size)
{
	struct usrpci_nic_frame frame = {.data = data, .size = (uint16_t)size};

	assert_int_equal(usrpci_nic_transmit(nic, 0, &frame, 1), 1);
}

/* Receives until a frame of this kind comes, which tells of the peer. */
static void await(struct usrpci_nic *nic, enum net_kind kind, const struct net_host *own,
		  struct net_host *peer, uint16_t *sequence)
{
	deadline_t deadline = deadline_in_ms(WAIT_MS);
	enum net_kind got = NET_OTHER;
	struct usrpci_nic_frame frame;
	uint16_t id;

	while (got != kind) {
		assert_true(deadline_left_ms(deadline) > 0);
		if (usrpci_nic_receive(nic, 0, &frame, 1)) {
			got = net_parse(frame.data, frame.size, own, peer, &id, sequence);
			usrpci_nic_put(nic, frame.data);
		} else if (usrpci_nic_irq_fd(nic, 0) >= 0) {
			assert_true(usrpci_nic_wait(nic, 0, deadline_left_ms(deadline)) >= 0);
		} else {
			nap_us(50);
		}
	}
}

static void ping(struct bench *bench, const char *name, enum usrpci_nic_irq irq)
{
	struct usrpci_nic *nic = start_nic(bench, 0, name, irq);
	struct net_host own = {.ip = inet_addr("10.0.2.15")}, gateway, peer;
	struct usrpci_dma_stats stats;
	uint16_t sequence = 0;
	void *data = usrpci_nic_get(nic);

	memcpy(own.mac, usrpci_nic_info(nic)->mac, 6);
	send_frame(nic, data, net_arp_request(data, &own, inet_addr("10.0.2.2")));
	await(nic, NET_ARP_REPLY, &own, &gateway, &sequence);
	for (uint16_t i = 0; i < 300; i++) {
		data = usrpci_nic_get(nic);
		send_frame(nic, data, net_echo_request(data, &own, &gateway, 1, i, i * 4u));
		await(nic, NET_ECHO_REPLY, &own, &peer, &sequence);
		assert_int_equal(sequence, i);
	}
	usrpci_dma_stats(bench->ctx, &stats);
	assert_int_equal(stats.pages, 1);
}

static void an_82540em_pings_by_intx(void **state)
{
	ping(*state, "qemu:e1000,netdev=user", USRPCI_NIC_IRQ_INTX);
}

static void an_82545em_pings_by_polling(void **state)
{
	ping(*state, "qemu:e1000-82545em,netdev=user", USRPCI_NIC_IRQ_NONE);
}

static void an_82574l_pings_by_msi(void **state)
{
	ping(*state, "qemu:e1000e,netdev=user", USRPCI_NIC_IRQ_MSI);
}

static void an_82574l_pings_by_msix(void **state)
{
	ping(*state, "qemu:e1000e,netdev=user", USRPCI_NIC_IRQ_MSIX);
}

static void fill(const struct usrpci_nic_frame *frame, unsigned int number)
{
	memset(frame->data, 0xff, 12);
	for (unsigned int i = 12; i < frame->size; i++)
		((uint8_t *)frame->data)[i] = (uint8_t)(number + i);
}

static void check(const struct usrpci_nic_frame *frame, unsigned int number, uint16_t size)
{
	assert_int_equal(frame->size, size);
	for (unsigned int i = 12; i < size; i++)
		assert_int_equal(((uint8_t *)frame->data)[i], (uint8_t)(number + i));
}

static void send_numbered(struct usrpci_nic *nic, unsigned int first, unsigned int n)
{
	struct usrpci_nic_frame frames[64];

	for (unsigned int i = 0; i < n; i++) {
		frames[i] = (struct usrpci_nic_frame){
			.data = usrpci_nic_get(nic),
			.size = (uint16_t)(60 + (first + i) % 1455),
		};
		assert_non_null(frames[i].data);
		fill(&frames[i], first + i);
	}
	assert_int_equal(usrpci_nic_transmit(nic, 0, frames, n), n);
}

static void receive_numbered(struct usrpci_nic *nic, unsigned int first, unsigned int n)
{
	deadline_t deadline = deadline_in_ms(WAIT_MS);
	struct usrpci_nic_frame frames[64];
	unsigned int got;

	while (n > 0) {
		assert_true(deadline_left_ms(deadline) > 0);
		got = usrpci_nic_receive(nic, 0, frames, n);
		for (unsigned int i = 0; i < got; i++, first++) {
			check(&frames[i], first, (uint16_t)(60 + first % 1455));
			usrpci_nic_put(nic, frames[i].data);
		}
		n -= got;
		if (!got)
			nap_us(50);
	}
}

static void virtio_pings_by_intx(void **state)
{
	ping(*state, "qemu:virtio-net-pci,netdev=user", USRPCI_NIC_IRQ_INTX);
}

static void virtio_pings_by_msix(void **state)
{
	ping(*state, "qemu:virtio-net-pci,netdev=user", USRPCI_NIC_IRQ_MSIX);
}

static void virtio_pings_by_polling(void **state)
{
	ping(*state, "qemu:virtio-net-pci,netdev=user", USRPCI_NIC_IRQ_NONE);
}

static void virtio_pings_without_event_indices(void **state)
{
	ping(*state, "qemu:virtio-net-pci,netdev=user,event_idx=off", USRPCI_NIC_IRQ_AUTO);
}

static void virtio_pings_without_merged_buffers(void **state)
{
	ping(*state, "qemu:virtio-net-pci,netdev=user,mrg_rxbuf=off", USRPCI_NIC_IRQ_AUTO);
}

static void virtio_pings_where_packed_rings_are_offered(void **state)
{
	ping(*state, "qemu:virtio-net-pci,netdev=user,packed=on,iommu_platform=on",
	     USRPCI_NIC_IRQ_AUTO);
}

static void virtio_pings_without_a_control_queue(void **state)
{
	ping(*state, "qemu:virtio-net-pci,netdev=user,ctrl_vq=off,status=off", USRPCI_NIC_IRQ_AUTO);
}

static void virtio_pings_without_a_legacy_face(void **state)
{
	ping(*state, "qemu:virtio-net-pci-non-transitional,netdev=user,rx_queue_size=1024",
	     USRPCI_NIC_IRQ_AUTO);
}

static void virtio_without_a_modern_face_is_refused(void **state)
{
	const char *why = NULL;
	struct usrpci_nic_options options = {.why = &why};
	struct usrpci_nic *nic;
	struct usrpci_dev *dev = open_device(
		*state, 0, "qemu:virtio-net-pci,netdev=user,disable-modern=on,disable-legacy=off");
	unsigned int mtu_max;

	assert_int_equal(usrpci_nic_look(dev, &mtu_max, &why), -ENOTSUP);
	assert_non_null(strstr(why, "VIRTIO_F_VERSION_1 is missing"));
	why = NULL;
	assert_int_equal(usrpci_nic_open(dev, &options, &nic), -ENOTSUP);
	assert_non_null(strstr(why, "VIRTIO_F_VERSION_1 is missing"));
}

static void cards_of_no_driver_are_refused(void **state)
{
	const char *why = NULL;
	struct usrpci_nic_options options = {.why = &why};
	struct usrpci_nic *nic;
	struct usrpci_dev *dev = open_device(*state, 0, "qemu:edu");
	unsigned int mtu_max;

	assert_int_equal(usrpci_nic_look(dev, &mtu_max, &why), -ENOTSUP);
	assert_non_null(strstr(why, "no driver"));
	assert_int_equal(usrpci_nic_open(dev, &options, &nic), -ENOTSUP);
	assert_non_null(strstr(why, "no driver"));
}

static void exchange_on_a_wire(struct bench *bench, const char *left_name, const char *right_name)
{
	struct usrpci_nic *left = start_nic(bench, 0, left_name, USRPCI_NIC_IRQ_NONE);
	struct usrpci_nic *right = start_nic(bench, 1, right_name, USRPCI_NIC_IRQ_NONE);
	struct usrpci_nic_stats stats;

	for (unsigned int first = 0; first < 3200; first += 64) {
		send_numbered(left, first, 64);
		receive_numbered(right, first, 64);
		send_numbered(right, first, 64);
		receive_numbered(left, first, 64);
	}
	assert_int_equal(usrpci_nic_stats(left, &stats), 0);
	assert_int_equal(stats.tx_frames, 3200);
	assert_int_equal(stats.rx_frames, 3200);
	assert_int_equal(stats.rx_missed + stats.rx_dropped, 0);
}

static void two_cards_on_a_wire_lose_nothing_in_either_direction(void **state)
{
	exchange_on_a_wire(*state, "qemu:e1000,netdev=left", "qemu:e1000e,netdev=right");
}

static void virtio_and_e1000_on_a_wire_lose_nothing(void **state)
{
	exchange_on_a_wire(*state, "qemu:virtio-net-pci,netdev=left", "qemu:e1000e,netdev=right");
}

static void two_virtio_on_a_wire_lose_nothing(void **state)
{
	exchange_on_a_wire(*state, "qemu:virtio-net-pci,netdev=left",
			   "qemu:virtio-net-pci,netdev=right,event_idx=off");
}

static void a_card_runs_again_after_a_stop(void **state)
{
	struct bench *bench = *state;
	struct usrpci_nic *left = start_nic(bench, 0, "qemu:virtio-net-pci,netdev=left",
					    USRPCI_NIC_IRQ_AUTO);
	struct usrpci_nic *right = start_nic(bench, 1, "qemu:virtio-net-pci,netdev=right",
					     USRPCI_NIC_IRQ_NONE);
	size_t all;

	assert_int_equal(usrpci_nic_stop(left), 0);
	all = usrpci_nic_available(left);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(usrpci_nic_start(left), 0);
		send_numbered(right, 0, 40);
		receive_numbered(left, 0, 40);
		send_numbered(left, 0, 40);
		receive_numbered(right, 0, 40);
		assert_int_equal(usrpci_nic_stop(left), 0);
		assert_int_equal(usrpci_nic_available(left), all);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(edu_computes_and_interrupts),
		TEST(edu_moves_memory_both_ways_by_interrupt),
		TEST(edu_moves_memory_both_ways_by_polling),
		TEST(an_82540em_pings_by_intx),
		TEST(an_82545em_pings_by_polling),
		TEST(an_82574l_pings_by_msi),
		TEST(an_82574l_pings_by_msix),
		TEST(two_cards_on_a_wire_lose_nothing_in_either_direction),
		TEST(virtio_pings_by_intx),
		TEST(virtio_pings_by_msix),
		TEST(virtio_pings_by_polling),
		TEST(virtio_pings_without_event_indices),
		TEST(virtio_pings_without_merged_buffers),
		TEST(virtio_pings_where_packed_rings_are_offered),
		TEST(virtio_pings_without_a_control_queue),
		TEST(virtio_pings_without_a_legacy_face),
		TEST(virtio_without_a_modern_face_is_refused),
		TEST(cards_of_no_driver_are_refused),
		TEST(virtio_and_e1000_on_a_wire_lose_nothing),
		TEST(two_virtio_on_a_wire_lose_nothing),
		TEST(a_card_runs_again_after_a_stop),
	};

	return run_tests_on_qemu(tests);
}
