// SPDX-License-Identifier: BSD-2-Clause
/*
 * The admin queue, one command at a time beside the request for an event: [NVMe] 5. Completions are
 * polled for, since these commands are few.
 */

#include <errno.h>

#include "deadline.h"
#include "nvme_private.h"

#define EVENT_CID 0x8000 /* other identifiers are smaller */
#define SPINS     64     /* how often it polls without a pause */
#define NAP_US    50
#define LIST_MAX  1024 /* how many namespaces a list has */

#define BLOCK_SHIFT_MAX 20

/* A little-endian number of so many bytes. */
static uint64_t get(const uint8_t *bytes, size_t size)
{
	uint64_t value = 0;

	while (size-- > 0)
		value = value << 8 | bytes[size];
	return value;
}

static uint32_t get32(const uint8_t *bytes)
{
	return (uint32_t)get(bytes, 4);
}

static void put(struct usrpci_nvme *nvme, struct nvme_command *command, uint16_t cid)
{
	command->cdw0 = usrpci_le32((usrpci_le32(command->cdw0) & 0xffff) | (uint32_t)cid << 16);
	nvme->admin.sq[nvme->admin.tail] = *command;
	nvme_ring_advance_tail(&nvme->admin);
	usrpci_write32(&nvme->bar, nvme->admin.sq_doorbell, nvme->admin.tail);
}

static void ask_for_event(struct usrpci_nvme *nvme)
{
	struct nvme_command command = {.cdw0 = usrpci_le32(ADMIN_EVENT)};

	put(nvme, &command, EVENT_CID);
}

/* A full list drops the newest event, because the older ones already name the log pages. */
static void take_event(struct usrpci_nvme *nvme, const struct nvme_completion *completion)
{
	if (STATUS_CODE(CQE_STATUS(completion->dw3)))
		return; /* the controller takes no event, or is about to be reset */
	if (nvme->event_count < NVME_EVENTS)
		nvme->events[(nvme->event_first + nvme->event_count++) % NVME_EVENTS] =
			completion->dw0;
	ask_for_event(nvme);
}

static void take(struct usrpci_nvme *nvme, const struct nvme_completion *completion)
{
	uint16_t cid = (uint16_t)completion->dw3;

	if (cid == EVENT_CID) {
		take_event(nvme, completion);
	} else if (cid == nvme->admin_cid && !nvme->admin_done) {
		nvme->admin_result = *completion;
		nvme->admin_done = true;
	} else {
		__atomic_fetch_add(&nvme->stats.spurious, 1, __ATOMIC_RELAXED);
	}
}

void nvme_admin_poll(struct usrpci_nvme *nvme)
{
	struct nvme_ring *ring = &nvme->admin;
	struct nvme_completion completion;
	unsigned int seen = 0;

	for (; seen < ring->entries; seen++) {
		completion.dw3 = usrpci_le32(ring->cq[ring->head].dw3);
		if ((completion.dw3 & CQE_PHASE) != ring->phase)
			break;
		usrpci_dma_rmb(); /* the phase is seen before the result is read */
		completion.dw0 = usrpci_le32(ring->cq[ring->head].dw0);
		nvme_ring_advance_head(ring);
		take(nvme, &completion);
	}
	if (seen > 0)
		usrpci_write32(&nvme->bar, ring->cq_doorbell, ring->head);
}

static int await(struct usrpci_nvme *nvme, unsigned int timeout_ms)
{
	deadline_t deadline = deadline_in_ms(timeout_ms);
	bool late = false;
	int error;

	for (unsigned int spin = 0;; spin++) {
		nvme_admin_poll(nvme);
		if (nvme->admin_done)
			return 0;
		if (late)
			return -ETIMEDOUT;
		if (spin < SPINS)
			continue;
		late = deadline_left_ms(deadline) == 0;
		error = nvme_check_alive(nvme);
		if (error)
			return error;
		nap_us(NAP_US);
	}
}

/*
 * Executes a command. Returns its status. Errors: -ETIMEDOUT and -EIO (the controller has to be
 * reset); -ENODEV.
 */
static int execute(struct usrpci_nvme *nvme, struct nvme_command *command, unsigned int timeout_ms,
		   uint32_t *result)
{
	int error;

	nvme->admin_cid = (nvme->admin_cid + 1) % EVENT_CID;
	nvme->admin_done = false;
	put(nvme, command, nvme->admin_cid);
	error = await(nvme, timeout_ms);
	nvme->admin_done = true;
	if (error)
		return error;
	if (result)
		*result = nvme->admin_result.dw0;
	return CQE_STATUS(nvme->admin_result.dw3);
}

int nvme_admin_try(struct usrpci_nvme *nvme, struct nvme_command *command, unsigned int timeout_ms,
		   uint32_t *result)
{
	int status = nvme->error ?: execute(nvme, command, timeout_ms, result);

	if (status == -ENODEV)
		nvme_give_up(nvme, status);
	else if (status < 0 && !nvme->error)
		nvme_reset(nvme);
	return status;
}

static int set_feature(struct usrpci_nvme *nvme, uint32_t feature, uint32_t value, uint32_t *result)
{
	struct nvme_command command = {
		.cdw0 = usrpci_le32(ADMIN_SET_FEATURES),
		.cdw10 = usrpci_le32(feature),
		.cdw11 = usrpci_le32(value),
	};

	return execute(nvme, &command, nvme->options.timeout_ms, result);
}

int nvme_admin_start(struct usrpci_nvme *nvme, unsigned int *queues)
{
	uint32_t wanted = nvme->options.queues - 1, granted = 0;
	int status = set_feature(nvme, FEATURE_QUEUES, wanted | wanted << 16, &granted);

	if (status)
		return status < 0 ? status : -EIO;
	*queues = nvme_min(nvme_min(granted & 0xffff, granted >> 16), wanted) + 1;
	/*
	 * Controllers before 1.2 have fewer kinds of events. One that refuses them all sends none
	 * to miss.
	 */
	status = set_feature(nvme, FEATURE_EVENTS, EVENTS_ALL, NULL);
	ask_for_event(nvme);
	return status < 0 ? status : 0;
}

/* Allocates a block for data, followed by a list of its pages when there are more than two. */
static int alloc_data(struct usrpci_nvme *nvme, const struct usrpci_nvme_admin *admin,
		      struct usrpci_dma_block *block)
{
	size_t pages = (admin->size + nvme->page - 1) / nvme->page;
	struct usrpci_dma_request request = {
		.size = (pages + 1) * nvme->page,
		.align = nvme->page,
		.zero = true,
	};
	int error = usrpci_dma_block_alloc(nvme->ctx, &request, block);
	uint64_t *list;

	if (error)
		return error;
	list = (uint64_t *)((uint8_t *)block->va + pages * nvme->page);
	for (size_t i = 1; i < pages && i <= nvme->page / sizeof(*list); i++)
		list[i - 1] = usrpci_le64(block->addr + i * nvme->page);
	if (admin->to_device)
		memcpy(block->va, admin->data, admin->size);
	return 0;
}

static void point_to_data(const struct usrpci_nvme *nvme, const struct usrpci_dma_block *block,
			  size_t size, struct nvme_command *command)
{
	command->prp1 = usrpci_le64(block->addr);
	if (size > 2 * (size_t)nvme->page)
		command->prp2 = usrpci_le64(block->addr + block->size - nvme->page);
	else if (size > nvme->page)
		command->prp2 = usrpci_le64(block->addr + nvme->page);
}

static int execute_for_user(struct usrpci_nvme *nvme, struct usrpci_nvme_admin *admin,
			    const struct usrpci_dma_block *block)
{
	struct nvme_command command = {
		.cdw0 = usrpci_le32(admin->opcode),
		.nsid = usrpci_le32(admin->nsid),
		.cdw10 = usrpci_le32(admin->cdw10),
		.cdw11 = usrpci_le32(admin->cdw11),
		.cdw12 = usrpci_le32(admin->cdw12),
		.cdw13 = usrpci_le32(admin->cdw13),
		.cdw14 = usrpci_le32(admin->cdw14),
		.cdw15 = usrpci_le32(admin->cdw15),
	};
	unsigned int timeout = admin->timeout_ms ? admin->timeout_ms : nvme->options.timeout_ms;
	int status;

	if (block->va)
		point_to_data(nvme, block, admin->size, &command);
	pthread_mutex_lock(&nvme->lock);
	status = nvme_admin_try(nvme, &command, timeout, &admin->result);
	pthread_mutex_unlock(&nvme->lock);
	admin->status = status > 0 ? (uint16_t)status : 0;
	return status > 0 ? -EIO : status;
}

static bool is_for_users(const struct usrpci_nvme_admin *admin)
{
	static const uint8_t own[] = {ADMIN_DELETE_SQ, ADMIN_CREATE_SQ, ADMIN_DELETE_CQ,
				      ADMIN_CREATE_CQ, ADMIN_ABORT,     ADMIN_EVENT};

	if (memchr(own, admin->opcode, sizeof(own)))
		return false;
	return admin->opcode != ADMIN_SET_FEATURES || (admin->cdw10 & 0xff) != FEATURE_QUEUES;
}

int usrpci_nvme_admin(struct usrpci_nvme *nvme, struct usrpci_nvme_admin *admin)
{
	struct usrpci_dma_block block = {0};
	int error = 0;

	admin->result = 0;
	admin->status = 0;
	if (!is_for_users(admin) || admin->size % 4 || admin->size > NVME_TRANSFER_MAX ||
	    (admin->size > 0 && !admin->data))
		return -EINVAL;
	if (admin->size > 0)
		error = alloc_data(nvme, admin, &block);
	if (!error)
		error = execute_for_user(nvme, admin, &block);
	if (!error && admin->size > 0 && !admin->to_device)
		memcpy(admin->data, block.va, admin->size);
	usrpci_dma_block_free(nvme->ctx, &block);
	return error;
}

int usrpci_nvme_log(struct usrpci_nvme *nvme, uint8_t page, uint32_t nsid, void *data, size_t size)
{
	uint32_t dwords = (uint32_t)(size / 4 - 1);
	struct usrpci_nvme_admin admin = {
		.opcode = ADMIN_GET_LOG,
		.nsid = nsid,
		.cdw10 = page | dwords << 16,
		.cdw11 = dwords >> 16,
		.data = data,
		.size = size,
	};

	return size >= 4 ? usrpci_nvme_admin(nvme, &admin) : -EINVAL;
}

int usrpci_nvme_event(struct usrpci_nvme *nvme, uint32_t *event)
{
	int got;

	pthread_mutex_lock(&nvme->lock);
	if (!nvme->error)
		nvme_admin_poll(nvme);
	got = nvme->event_count > 0 ? 1 : nvme->error;
	if (got == 1) {
		*event = nvme->events[nvme->event_first];
		nvme->event_first = (nvme->event_first + 1) % NVME_EVENTS;
		nvme->event_count--;
	}
	pthread_mutex_unlock(&nvme->lock);
	return got;
}

static int identify(struct usrpci_nvme *nvme, uint8_t cns, uint32_t nsid, uint8_t *data,
		    uint16_t *status)
{
	struct usrpci_nvme_admin admin = {
		.opcode = ADMIN_IDENTIFY,
		.nsid = nsid,
		.cdw10 = cns,
		.data = data,
		.size = IDENTIFY_SIZE,
	};
	int error = usrpci_nvme_admin(nvme, &admin);

	if (status)
		*status = admin.status;
	return error;
}

/* ASCII, padded with blanks, [NVMe] 1.5; any other byte becomes a question mark. */
static void get_string(char *to, const uint8_t *from, size_t size)
{
	while (size > 0 && (from[size - 1] == ' ' || from[size - 1] == '\0'))
		size--;
	for (size_t i = 0; i < size; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~' ? (char)from[i] : '?';
	to[size] = '\0';
}

static uint32_t get_features(const uint8_t *id, bool no_sgl)
{
	uint64_t oncs = get(id + ID_ONCS, 2);
	uint32_t features = 0;

	features |= oncs & ONCS_COMPARE ? USRPCI_NVME_COMPARE : 0;
	features |= oncs & ONCS_DSM ? USRPCI_NVME_DEALLOCATE : 0;
	features |= oncs & ONCS_WRITE_ZEROES ? USRPCI_NVME_WRITE_ZEROES : 0;
	features |= oncs & ONCS_VERIFY ? USRPCI_NVME_VERIFY : 0;
	features |= get(id + ID_OACS, 2) & OACS_FORMAT ? USRPCI_NVME_FORMAT : 0;
	features |= get32(id + ID_SGLS) & SGLS_SUPPORT && !no_sgl ? USRPCI_NVME_SGL : 0;
	features |= id[ID_VWC] & 1 ? USRPCI_NVME_WRITE_CACHE : 0;
	return features;
}

static uint32_t get_max_transfer(const struct usrpci_nvme *nvme, unsigned int mdts)
{
	uint64_t smallest_page = 4096u << CAP_MPSMIN(nvme->cap);

	if (mdts == 0 || mdts > 8 || smallest_page << mdts > NVME_TRANSFER_MAX)
		return NVME_TRANSFER_MAX;
	return (uint32_t)(smallest_page << mdts);
}

int nvme_identify(struct usrpci_nvme *nvme)
{
	struct usrpci_nvme_info *info = &nvme->info;
	uint32_t shutdown_ms;
	uint8_t id[IDENTIFY_SIZE];
	int error = identify(nvme, CNS_CONTROLLER, 0, id, NULL);

	if (error)
		return error;
	get_string(info->serial, id + ID_SN, sizeof(info->serial) - 1);
	get_string(info->model, id + ID_MN, sizeof(info->model) - 1);
	get_string(info->firmware, id + ID_FR, sizeof(info->firmware) - 1);
	info->version = usrpci_read32(&nvme->bar, VS);
	info->features = get_features(id, nvme->options.no_sgl);
	info->namespaces = get32(id + ID_NN);
	info->max_transfer = get_max_transfer(nvme, id[ID_MDTS]);
	shutdown_ms = get32(id + ID_RTD3E) / 1000;
	if (shutdown_ms > nvme->shutdown_ms)
		nvme->shutdown_ms = shutdown_ms < 60000 ? shutdown_ms : 60000;
	return 0;
}

/*
 * Takes the new entries of a list. Returns how many there were; fewer than LIST_MAX: the list has
 * ended.
 */
static int take_list(const uint8_t *list, uint32_t *last, uint32_t *nsids, unsigned int max)
{
	unsigned int n = 0;

	for (; n < LIST_MAX && n < max && get32(list + n * sizeof(*nsids)); n++) {
		nsids[n] = get32(list + n * sizeof(*nsids));
		if (nsids[n] <= *last)
			return -EPROTO;
		*last = nsids[n];
	}
	return (int)n;
}

int usrpci_nvme_ns_list(struct usrpci_nvme *nvme, uint32_t *nsids, unsigned int max)
{
	uint8_t list[IDENTIFY_SIZE];
	unsigned int count = 0;
	uint32_t last = 0;
	int got = LIST_MAX;

	while (got == LIST_MAX && count < max) {
		got = identify(nvme, CNS_NAMESPACE_LIST, last, list, NULL);
		if (!got)
			got = take_list(list, &last, nsids + count, max - count);
		if (got > 0)
			count += (unsigned int)got;
	}
	return got < 0 ? got : (int)count;
}

static uint32_t get_optimal(const uint8_t *id)
{
	uint64_t own = id[NS_NSFEAT] & NSFEAT_OPTPERF ? get(id + NS_NPWG, 2) + 1 : 0;

	return (uint32_t)(get(id + NS_NOIOB, 2) ?: own);
}

static int fill_ns(const struct usrpci_nvme *nvme, const uint8_t *id, struct usrpci_nvme_ns *ns)
{
	unsigned int format = (id[NS_FLBAS] & 0xf) | (id[NS_FLBAS] >> 5 & 3) << 4;
	uint32_t lbaf = get32(id + NS_LBAF(format));
	unsigned int shift = lbaf >> 16 & 0xff;

	ns->blocks = get(id + NS_NSZE, 8);
	if (ns->blocks == 0)
		return -ENOENT;
	if (format > id[NS_NLBAF])
		return -EPROTO;
	if ((lbaf & 0xffff) || id[NS_DPS] & 7 || shift < 9 || shift > BLOCK_SHIFT_MAX ||
	    nvme->info.max_transfer >> shift == 0)
		return -EOPNOTSUPP;
	if (ns->blocks > UINT64_MAX >> 1 >> shift)
		return -EPROTO;
	ns->block_shift = (uint8_t)shift;
	ns->block_size = 1u << shift;
	ns->max_blocks = nvme->info.max_transfer >> shift;
	ns->optimal_blocks = get_optimal(id);
	ns->read_only = id[NS_NSATTR] & NSATTR_READONLY;
	ns->deallocated_zeroes = (id[NS_DLFEAT] & 7) == DLFEAT_ZEROES;
	return 0;
}

int usrpci_nvme_ns(struct usrpci_nvme *nvme, uint32_t nsid, struct usrpci_nvme_ns *ns)
{
	uint8_t id[IDENTIFY_SIZE];
	uint16_t status = 0;
	int error = identify(nvme, CNS_NAMESPACE, nsid, id, &status);

	*ns = (struct usrpci_nvme_ns){.nsid = nsid};
	if (!error)
		error = fill_ns(nvme, id, ns);
	else if (STATUS_CODE(status) == STATUS_INVALID_NS)
		error = -ENOENT;
	return error;
}
