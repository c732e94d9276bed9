/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The controller as the driver's files see it:
 *
 * 	controller.c  opens, resets, recovers and closes it
 * 	admin.c       the admin queue, and what is asked through it
 * 	queue.c       makes I/O queues, sets them up again after a reset, waits, looks at deadlines
 * 	io.c          the hot path: submitting and reaping
 * 	status.c      what a status means
 *
 * The device can write only to the completion queues and the data. What the driver bases its
 * decisions on is kept elsewhere.
 *
 * When the controller is reset or lost, its generation grows. Each queue compares it with its own
 * generation in its next call; the thread that uses the queue then sets it up again or ends it.
 */

#include <pthread.h>
#include <string.h>

#include <usrpci/nvme.h>
#include <usrpci/usrpci.h>

#include "nvme_reg.h"

#define NVME_QUEUES_MAX   64
#define NVME_DEPTH_MAX    1023 /* a command identifier has 10 bits for its slot */
#define NVME_SLOT_BITS    10
#define SLOT_IDLE         (UINT64_MAX << 31) /* a completion cannot have them all */
#define NVME_TRANSFER_MAX (1u << 20)
#define NVME_EVENTS       16
#define NVME_CALLS        256 /* calls until the clock is read, which costs more than a command */

#define nvme_min(a, b) ((a) < (b) ? (a) : (b))

#define nvme_likely(condition)   __builtin_expect(!!(condition), 1)
#define nvme_unlikely(condition) __builtin_expect(!!(condition), 0)

/* A submission queue and a completion queue with the same number of entries. */
struct nvme_ring {
	struct usrpci_dma_block block; /* memory of both queues */
	struct nvme_command *sq;
	volatile struct nvme_completion *cq;
	size_t sq_doorbell, cq_doorbell;
	unsigned int entries;
	unsigned int tail;  /* the entry of sq that is filled next */
	unsigned int head;  /* the entry of cq that is checked next */
	unsigned int phase; /* the phase bit of a new completion */
	unsigned int qid;
};

/* A command under way. */
struct nvme_slot {
	struct usrpci_nvme_io *io;
	uint64_t cid;    /* with SLOT_IDLE, which a completion cannot have, none is expected */
	uint32_t tick;   /* the queue's tick when it was submitted or aborted */
	int error;       /* not 0: it will be reaped with this error */
	uint8_t strikes; /* how many resets it has seen; one that it caused counts twice */
	bool aborted;
	uint16_t free;          /* not the slot's own: an entry of the stack of free slots */
} __attribute__((aligned(32))); /* the address of a slot is found by a shift */

struct usrpci_nvme_queue {
	struct usrpci_nvme *nvme;
	struct nvme_ring ring;
	unsigned int free_count; /* entries of the stack of free slots */
	unsigned int depth;
	unsigned int slot_mask;  /* how many slots the table has, a power of two, less one */
	unsigned int generation; /* behind the controller's for ever when there is an error */
	unsigned int ended;      /* slots with an error */
	int error;               /* the error that ended I/O */
	uint32_t tick;
	unsigned int calls;      /* counted where each call looks at what is rare */
	unsigned int calls_left; /* until usrpci_nvme_reap() looks at what is rare */
	bool shared;             /* other queues share its interrupt */

	struct usrpci_dma_block lists; /* a list of list_size bytes for each slot */
	unsigned int list_size;
	uint64_t next_tick; /* on the monotonic clock, microseconds */
	bool irq;
	unsigned int vector;
	int kick;  /* eventfd: another queue took the interrupt; -1 */
	int timer; /* timerfd for the next tick, while commands are under way; -1 */
	int poll;  /* epoll of the interrupt, timer and kick; -1 */
	bool timer_runs;
	struct usrpci_nvme_queue *next;
	struct nvme_slot slots[];
} __attribute__((aligned(64)));

struct usrpci_nvme {
	struct usrpci_dev *dev;
	struct usrpci_ctx *ctx;
	struct usrpci_bar bar;
	unsigned int generation; /* atomic */
	uint32_t page;           /* bytes */

	struct usrpci_nvme_info info;
	struct usrpci_nvme_options options;
	uint64_t cap;
	unsigned int ready_ms;
	unsigned int shutdown_ms;
	uint32_t tick_us;
	uint32_t late; /* ticks after which a command is late */

	/* Guards everything below, and the controller's reset. */
	pthread_mutex_t lock;
	int error; /* the error that made the controller unusable */
	struct nvme_ring admin;
	uint16_t admin_cid;
	bool admin_done;
	struct nvme_completion admin_result;
	uint32_t events[NVME_EVENTS];
	unsigned int event_first, event_count;
	uint64_t queues_used; /* bit i: queue i + 1 */
	struct usrpci_nvme_stats stats;

	/* Guards the interrupts that queues share, and the list of queues. */
	pthread_mutex_t irq_lock;
	struct usrpci_nvme_queue *queues;
	enum usrpci_irq_type irq;
	bool irq_taken;   /* atomic: the interrupt must be armed again */
	bool has_request; /* an interrupt tells when the kernel wants the device back */
};

static inline bool nvme_ring_has(const struct nvme_ring *ring)
{
	return (usrpci_le32(ring->cq[ring->head].dw3) & CQE_PHASE) == ring->phase;
}

static inline void nvme_ring_advance_head(struct nvme_ring *ring)
{
	if (++ring->head == ring->entries) {
		ring->head = 0;
		ring->phase ^= CQE_PHASE;
	}
}

static inline void nvme_ring_advance_tail(struct nvme_ring *ring)
{
	if (++ring->tail == ring->entries)
		ring->tail = 0;
}

/* Allocates both queues. qid determines their doorbells. */
int nvme_ring_alloc(struct usrpci_nvme *nvme, unsigned int qid, unsigned int entries,
		    struct nvme_ring *ring);

/* Resets both queues to the state in which the controller expects new ones. */
void nvme_ring_clear(struct nvme_ring *ring);

/* controller.c; the caller holds the lock. */

/* Resets the controller and raises the generation. Afterwards, error says whether it works. */
void nvme_reset(struct usrpci_nvme *nvme);

/* Gives the controller up for good. Afterwards it no longer accesses memory. */
void nvme_give_up(struct usrpci_nvme *nvme, int error);

/* Returns 0, -ENODEV (gone), or -EIO (it failed or is not ready). Takes no lock. */
int nvme_check_alive(struct usrpci_nvme *nvme);

/* Ends all use of a device that the kernel wants back, as before an unplug. Takes no lock. */
void nvme_look_at_request(struct usrpci_nvme *nvme);

/* Wakes the other queues of a vector. The caller holds irq_lock. */
void nvme_kick(struct usrpci_nvme *nvme, const struct usrpci_nvme_queue *but);

/* admin.c; the caller holds the lock. */

/* Executes a command. After a failure, resets the controller or gives it up. Errors: also error. */
int nvme_admin_try(struct usrpci_nvme *nvme, struct nvme_command *command, unsigned int timeout_ms,
		   uint32_t *result);

void nvme_admin_poll(struct usrpci_nvme *nvme);

/* Tells the controller how many queues there will be, and asks for events. */
int nvme_admin_start(struct usrpci_nvme *nvme, unsigned int *queues);

/* Fills info. Takes the lock. */
int nvme_identify(struct usrpci_nvme *nvme);

/* queue.c */

/*
 * Sets the queue up again, or ends it, after the controller was reset or lost. Returns the error
 * that ended I/O.
 */
int nvme_queue_attend(struct usrpci_nvme_queue *queue);

static inline bool nvme_queue_is_current(const struct usrpci_nvme_queue *queue)
{
	return queue->generation == __atomic_load_n(&queue->nvme->generation, __ATOMIC_ACQUIRE);
}

/* Each call of the queue's thread begins with it, and ends if it returns an error. */
static inline int nvme_queue_follow(struct usrpci_nvme_queue *queue)
{
	return nvme_likely(nvme_queue_is_current(queue)) ? 0 : nvme_queue_attend(queue);
}

/* Checks the deadlines when it is time. */
void nvme_queue_tick(struct usrpci_nvme_queue *queue);

/* Allows a shared interrupt to come again. */
void nvme_queue_arm(struct usrpci_nvme_queue *queue);

/* io.c: writes a slot's command to the submission queue, without ringing the doorbell. */
void nvme_queue_put(struct usrpci_nvme_queue *queue, unsigned int index);

/* status.c: returns the negative errno for a status; 0 for success. */
int nvme_status_errno(uint16_t status);
