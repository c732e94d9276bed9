// SPDX-License-Identifier: BSD-2-Clause
/*
 * The rings shared with vhost-net, on a kernel that is played: it finds descriptors by the
 * addresses that it was told, and writes used entries, right and wrong ones.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "pump/vhost.h"
#include "fixture.h"

#define BUFFERS 1024
#define HEADER  sizeof(struct virtio_net_hdr_v1)

enum { FROM_TAP, TO_TAP };

struct side {
	const struct vring_desc *desc;
	const struct vring_avail *avail;
	struct vring_used *used;
	unsigned int size;
	uint16_t seen;
	int kick, backend;
};

static struct side sides[2];
static struct vhost_memory_region memory;
static uint8_t *buffers;
static void *stack[BUFFERS];
static size_t available;
static struct usrpci_nic_info card;
static uint64_t offered;
static struct vhost *vhost;

const struct usrpci_nic_info *usrpci_nic_info(const struct usrpci_nic *nic)
{
	return &card;
}

void *usrpci_nic_get(struct usrpci_nic *nic)
{
	return available > 0 ? (uint8_t *)stack[--available] + card.headroom : NULL;
}

void usrpci_nic_put(struct usrpci_nic *nic, void *data)
{
	if (!data)
		return;
	assert_true(available < BUFFERS);
	stack[available++] = (void *)((uintptr_t)data & ~(uintptr_t)(USRPCI_NIC_BUFFER_SIZE - 1));
}

size_t usrpci_nic_available(const struct usrpci_nic *nic)
{
	return available;
}

static void learn_address(const struct vhost_vring_addr *addr)
{
	struct side *side = &sides[addr->index];

	side->desc = (const void *)(uintptr_t)addr->desc_user_addr;
	side->avail = (const void *)(uintptr_t)addr->avail_user_addr;
	side->used = (void *)(uintptr_t)addr->used_user_addr;
}

/* What the kernel is asked. */
int ioctl(int file, unsigned long request, ...)
{
	va_list args;
	void *data;

	va_start(args, request);
	data = request == VHOST_SET_OWNER ? NULL : va_arg(args, void *);
	va_end(args);
	if (request == VHOST_GET_FEATURES)
		*(uint64_t *)data = offered;
	else if (request == VHOST_SET_MEM_TABLE)
		memory = ((struct vhost_memory *)data)->regions[0];
	else if (request == VHOST_SET_VRING_NUM)
		sides[((struct vhost_vring_state *)data)->index].size =
			((struct vhost_vring_state *)data)->num;
	else if (request == VHOST_SET_VRING_ADDR)
		learn_address(data);
	else if (request == VHOST_SET_VRING_KICK)
		sides[((struct vhost_vring_file *)data)->index].kick =
			((struct vhost_vring_file *)data)->fd;
	else if (request == VHOST_NET_SET_BACKEND)
		sides[((struct vhost_vring_file *)data)->index].backend =
			((struct vhost_vring_file *)data)->fd;
	return 0;
}

static int begin_with(bool offload, bool takes)
{
	memset(sides, 0, sizeof(sides));
	card = (struct usrpci_nic_info){.offload = offload, .headroom = offload ? HEADER : 0};
	for (available = 0; available < BUFFERS; available++)
		stack[available] = buffers + available * USRPCI_NIC_BUFFER_SIZE;
	return vhost_start(open("/dev/null", O_RDWR | O_CLOEXEC), 77, NULL, takes, &vhost);
}

static int begin(bool offload)
{
	return begin_with(offload, true);
}

/* Returns the address of a descriptor, which must be in the memory that the kernel was told of. */
static uint8_t *reach(const struct vring_desc *desc)
{
	assert_true(desc->addr >= memory.guest_phys_addr);
	assert_true(desc->addr + desc->len <= memory.guest_phys_addr + memory.memory_size);
	return (uint8_t *)(uintptr_t)(desc->addr - memory.guest_phys_addr + memory.userspace_addr);
}

static void use(struct side *side, uint32_t id, uint32_t size)
{
	side->used->ring[side->used->idx % side->size] = (struct vring_used_elem){id, size};
	__atomic_store_n(&side->used->idx, (uint16_t)(side->used->idx + 1), __ATOMIC_RELEASE);
}

/* The TAP sends a frame: size bytes in so many buffers. */
static void send_frame(unsigned int pieces, uint32_t size)
{
	struct side *side = &sides[FROM_TAP];

	for (unsigned int i = 0; i < pieces; i++) {
		uint16_t id = side->avail->ring[side->seen++ % side->size];
		struct virtio_net_hdr_v1 *header = (void *)reach(&side->desc[id]);

		assert_true((uint16_t)(side->avail->idx - side->seen) < side->size);
		if (i == 0)
			header->num_buffers = (uint16_t)pieces;
		use(side, id, size);
	}
}

/* Reads the next frame that was given. Returns its bytes without the header. */
static size_t take_given(void)
{
	struct side *side = &sides[TO_TAP];
	uint16_t first = side->avail->ring[side->seen++ % side->size], id = first;
	size_t size = side->desc[id].len;

	reach(&side->desc[id]);
	while (side->desc[id].flags & VRING_DESC_F_NEXT) {
		id = side->desc[id].next;
		reach(&side->desc[id]);
		size += side->desc[id].len;
	}
	use(side, first, 0);
	return size - HEADER;
}

static void what_the_tap_sends_is_left_to_others(void **state)
{
	assert_int_equal(begin_with(false, false), 0);
	assert_int_equal(vhost_publish(vhost), 0);
	assert_int_equal(sides[FROM_TAP].backend, 0);
	assert_int_equal(sides[TO_TAP].backend, 77);
	assert_int_equal(available, BUFFERS); /* it has no buffers for them */
	vhost_stop(vhost);
}

static void a_kernel_without_the_features_is_refused(void **state)
{
	offered = 0;
	assert_int_equal(begin(true), -EOPNOTSUPP);
	assert_int_equal(available, BUFFERS);
	offered = ~UINT64_C(0);
}

static void frames_come_from_the_tap(void **state)
{
	struct usrpci_nic_frame pieces[VHOST_PIECES];
	bool offload = *(const bool *)*state;
	struct virtio_net_hdr_v1 *header;

	assert_int_equal(begin(offload), 0);
	assert_int_equal(sides[FROM_TAP].backend, 77);
	assert_int_equal(vhost_publish(vhost), 0);
	for (unsigned int round = 0; round < 2000; round++) {
		assert_int_equal(vhost_take(vhost, pieces, &header), 0);
		send_frame(1, HEADER + 60);
		assert_int_equal(vhost_take(vhost, pieces, &header), 1);
		assert_int_equal(pieces[0].size, 60);
		assert_int_equal((uintptr_t)pieces[0].data % USRPCI_NIC_BUFFER_SIZE, HEADER);
		assert_false(pieces[0].more);
		assert_int_equal(header->num_buffers, 1);
		usrpci_nic_put(NULL, pieces[0].data);
		assert_int_equal(vhost_publish(vhost), 0);
	}
	vhost_stop(vhost);
	assert_int_equal(available, BUFFERS);
}

static void a_frame_from_the_tap_has_several_pieces(void **state)
{
	bool offload = *(const bool *)*state;
	struct usrpci_nic_frame pieces[VHOST_PIECES];
	struct virtio_net_hdr_v1 *header;

	assert_int_equal(begin(offload), 0);
	assert_int_equal(vhost_publish(vhost), 0);
	send_frame(3, USRPCI_NIC_BUFFER_SIZE);
	assert_int_equal(vhost_take(vhost, pieces, &header), 3);
	assert_int_equal(pieces[0].size, USRPCI_NIC_BUFFER_SIZE - HEADER);
	assert_int_equal(pieces[1].size, USRPCI_NIC_BUFFER_SIZE);
	assert_int_equal((uintptr_t)pieces[1].data % USRPCI_NIC_BUFFER_SIZE, 0);
	assert_true(pieces[0].more && pieces[1].more && !pieces[2].more);
	for (unsigned int i = 0; i < 3; i++)
		usrpci_nic_put(NULL, pieces[i].data);
	vhost_stop(vhost);
	assert_int_equal(available, BUFFERS);
}

static void give(unsigned int count)
{
	static const struct virtio_net_hdr_v1 header;
	struct usrpci_nic_frame pieces[USRPCI_NIC_PIECES_MAX];

	for (unsigned int i = 0; i < count; i++)
		pieces[i] = (struct usrpci_nic_frame){
			.data = usrpci_nic_get(NULL),
			.size = 100,
			.more = i + 1 < count,
		};
	vhost_give(vhost, &header, pieces, count);
}

static void frames_go_to_the_tap(void **state)
{
	bool offload = *(const bool *)*state;

	assert_int_equal(begin(offload), 0);
	for (unsigned int round = 0; round < 2000; round++) {
		unsigned int pieces = offload ? 1 + round % USRPCI_NIC_PIECES_MAX : 1;

		assert_true(vhost_is_idle(vhost));
		assert_true(vhost_has_room(vhost, pieces + 1));
		give(pieces);
		assert_int_equal(vhost_publish(vhost), 0);
		assert_false(vhost_is_idle(vhost));
		assert_int_equal(take_given(), 100 * pieces);
	}
	vhost_stop(vhost);
	assert_int_equal(available, BUFFERS);
}

static void a_full_ring_has_room_again_when_the_tap_has_taken_frames(void **state)
{
	unsigned int given = 0;

	assert_int_equal(begin(true), 0);
	for (; vhost_has_room(vhost, 1); given++)
		give(1);
	assert_in_range(given, 100, 512);
	assert_int_equal(vhost_publish(vhost), 0);
	for (unsigned int i = 0; i < given; i++)
		assert_int_equal(take_given(), 100);
	assert_true(vhost_has_room(vhost, 100));
	vhost_stop(vhost);
	assert_int_equal(available, BUFFERS);
}

static void what_the_kernel_cannot_write_ends_it(void **state)
{
	static const struct {
		unsigned int side, id;
		uint32_t size;
		uint16_t pieces, count;
	} wrong[] = {
		{FROM_TAP, 1, HEADER + 60, 1, 1},
		{FROM_TAP, 70000, HEADER + 60, 1, 1},
		{FROM_TAP, 0, HEADER, 1, 1},
		{FROM_TAP, 0, UINT32_MAX, 1, 1},
		{FROM_TAP, 0, HEADER + 60, 0, 1},
		{FROM_TAP, 0, HEADER + 60, 2, 1},
		{FROM_TAP, 0, HEADER + 60, 65535, 1},
		{FROM_TAP, 0, HEADER + 60, 1, 257},
		{TO_TAP, 1, 0, 0, 1},
		{TO_TAP, 0, 0, 0, 2},
	};
	struct usrpci_nic_frame pieces[VHOST_PIECES];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct side *side = &sides[wrong[i].side];
		struct virtio_net_hdr_v1 *header;

		assert_int_equal(begin(true), 0);
		give(1);
		assert_int_equal(vhost_publish(vhost), 0);
		header = (void *)reach(&side->desc[0]);
		header->num_buffers = wrong[i].pieces;
		for (uint16_t n = 0; n < wrong[i].count; n++)
			use(side, wrong[i].id, wrong[i].size);
		assert_int_equal(vhost_take(vhost, pieces, &header), 0);
		assert_int_equal(vhost_publish(vhost), -EPROTO);
		vhost_stop(vhost);
		assert_int_equal(available, BUFFERS);
	}
}

static void the_kernel_is_told_when_it_wants_to_know(void **state)
{
	struct pollfd poller = {.events = POLLIN};

	assert_int_equal(begin(true), 0);
	poller.fd = sides[TO_TAP].kick;
	assert_int_equal(poll(&poller, 1, 0), 0);
	give(1);
	assert_int_equal(vhost_publish(vhost), 0);
	assert_int_equal(poll(&poller, 1, 0), 1);
	vhost_stop(vhost);
}

int main(void)
{
	static bool offload = true, plain = false;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kernel_without_the_features_is_refused),
		cmocka_unit_test(what_the_tap_sends_is_left_to_others),
		cmocka_unit_test_prestate(frames_come_from_the_tap, &offload),
		cmocka_unit_test_prestate(frames_come_from_the_tap, &plain),
		cmocka_unit_test_prestate(a_frame_from_the_tap_has_several_pieces, &offload),
		cmocka_unit_test_prestate(a_frame_from_the_tap_has_several_pieces, &plain),
		cmocka_unit_test_prestate(frames_go_to_the_tap, &offload),
		cmocka_unit_test_prestate(frames_go_to_the_tap, &plain),
		cmocka_unit_test(a_full_ring_has_room_again_when_the_tap_has_taken_frames),
		cmocka_unit_test(what_the_kernel_cannot_write_ends_it),
		cmocka_unit_test(the_kernel_is_told_when_it_wants_to_know),
	};
	int failed;

	offered = ~UINT64_C(0);
	buffers = aligned_alloc(USRPCI_NIC_BUFFER_SIZE, BUFFERS * USRPCI_NIC_BUFFER_SIZE);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(buffers);
	return failed;
}
