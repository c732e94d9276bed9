// SPDX-License-Identifier: BSD-2-Clause
/*
 * The vfio domain over an IOMMU that only keeps books, and what is read from the kernel: no device
 * and no privileges are needed. The kernel itself is met in tests/qemu/suites/vfio.sh.
 */

#include <errno.h>
#include <linux/vfio.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "array.h"
#include "fixture.h"
#include "vfio/domain.h"
#include "vfio/iommufd_abi.h"
#include "vfio/vfio.h"

#define MIB         (UINT64_C(1) << 20)
#define WINDOW_SIZE (256 * MIB)
#define PAGE        4096

static const struct iova_range ranges[] = {{0, 0xfedfffff}, {0xfef00000, (UINT64_C(1) << 39) - 1}};

/* The bookkeeping IOMMU: what is mapped, and an error for the next call. */
static struct {
	size_t mapped;
	uint64_t last_iova;
	size_t last_size;
	int fail;
} iommu;

static int fake_map(struct vfio_iommu *self, void *va, size_t size, uint64_t iova)
{
	int error = iommu.fail;

	iommu.fail = 0;
	if (error)
		return error;
	iommu.mapped += size;
	iommu.last_iova = iova;
	iommu.last_size = size;
	return 0;
}

static int fake_unmap(struct vfio_iommu *self, uint64_t iova, size_t size)
{
	iommu.mapped -= size;
	return 0;
}

static void fake_close(struct vfio_iommu *self)
{
}

static const struct vfio_iommu_ops fake_ops = {
	.name = "fake",
	.map = fake_map,
	.unmap = fake_unmap,
	.close = fake_close,
};

static char message[512], cure[512];

static void keep_log(void *data, const struct usrpci_log_entry *entry)
{
	strncpy(message, entry->text, sizeof(message) - 1);
	strncpy(cure, entry->hint ? entry->hint : "", sizeof(cure) - 1);
}

static int open_domain(void **state)
{
	const struct usrpci_ctx_options options = {.log = keep_log};
	struct vfio_domain *domain = calloc(1, sizeof(*domain));
	struct usrpci_ctx *ctx;

	memset(&iommu, 0, sizeof(iommu));
	message[0] = cure[0] = '\0';
	assert_non_null(domain);
	assert_int_equal(usrpci_ctx_open(&options, &ctx), 0);
	domain->base.ops = &vfio_domain_ops;
	domain->base.ctx = ctx;
	domain->iommu.ops = &fake_ops;
	domain->page = PAGE;
	domain->limit = VFIO_NO_LIMIT;
	domain->privileged = true;
	pthread_mutex_init(&domain->lock, NULL);
	assert_int_equal(iova_open(&domain->space, ranges, 2), 0);
	domain->window_size = WINDOW_SIZE;
	domain->window = mmap(NULL, WINDOW_SIZE, PROT_NONE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(domain->window, MAP_FAILED);
	*state = domain;
	return 0;
}

static int close_domain(void **state)
{
	struct vfio_domain *domain = *state;
	struct usrpci_ctx *ctx = domain->base.ctx;

	vfio_domain_ops.destroy(&domain->base);
	usrpci_ctx_close(ctx);
	return 0;
}

static struct dma_chunk added;

static int add(struct dma_domain *domain, const struct dma_chunk *chunk)
{
	added = *chunk;
	return 1;
}

static int refuse(struct dma_domain *domain, const struct dma_chunk *chunk)
{
	return -ENOMEM;
}

static struct dma_chunk_request request_of(size_t size)
{
	return (struct dma_chunk_request){
		.size = size, .align = 64, .limit = UINT64_MAX, .node = -1};
}

static uint64_t added_iova(const struct vfio_domain *domain)
{
	return (uint64_t)((char *)added.va - domain->window);
}

static void memory_comes_from_the_lowest_addresses_but_never_zero(void **state)
{
	struct vfio_domain *domain = *state;
	struct dma_chunk_request request = request_of(PAGE);

	assert_int_equal(vfio_domain_ops.grow(&domain->base, &request, add), 0);
	assert_int_equal(added_iova(domain), 2 * MIB);
	assert_int_equal(iommu.last_iova, 2 * MIB);
	assert_int_equal(iommu.mapped, added.size);
	memset(added.va, 1, added.size);
	assert_int_equal(vfio_domain_ops.grow(&domain->base, &request, add), 0);
	assert_int_equal(added_iova(domain), 4 * MIB);
}

static void memory_meets_alignment_limit_and_boundary(void **state)
{
	struct vfio_domain *domain = *state;
	struct dma_chunk_request request = request_of(3 * MIB);

	request.align = 16 * MIB;
	assert_int_equal(vfio_domain_ops.grow(&domain->base, &request, add), 0);
	assert_int_equal(added_iova(domain), 16 * MIB);
	request.align = 64;
	request.boundary = 4 * MIB;
	assert_int_equal(vfio_domain_ops.grow(&domain->base, &request, add), 0);
	assert_int_equal(added_iova(domain) % (4 * MIB), 0);
	request.boundary = 0;
	request.limit = 4 * MIB;
	assert_int_equal(vfio_domain_ops.grow(&domain->base, &request, add), -ENOMEM);
	assert_non_null(strstr(message, "device addresses"));
	request.limit = PAGE;
	assert_int_equal(vfio_domain_ops.grow(&domain->base, &request, add), -ENOMEM);
}

static void memory_given_back_is_unmapped_and_its_addresses_used_again(void **state)
{
	struct vfio_domain *domain = *state;
	struct dma_chunk_request request = request_of(5 * MIB);

	assert_int_equal(vfio_domain_ops.grow(&domain->base, &request, add), 0);
	vfio_domain_ops.shrink(&domain->base, &added);
	assert_int_equal(iommu.mapped, 0);
	assert_int_equal(domain->pinned, 0);
	assert_int_equal(vfio_domain_ops.grow(&domain->base, &request, add), 0);
	assert_int_equal(added_iova(domain), 2 * MIB);
}

static void memory_that_the_heap_refuses_is_unmapped(void **state)
{
	struct vfio_domain *domain = *state;
	struct dma_chunk_request request = request_of(PAGE);

	assert_int_equal(vfio_domain_ops.grow(&domain->base, &request, refuse), -ENOMEM);
	assert_int_equal(iommu.mapped, 0);
	assert_int_equal(domain->count, 0);
	assert_int_equal(domain->space.blocks, 0);
}

static char *own_memory(size_t size)
{
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	return memory;
}

static void own_memory_gets_an_address_of_32_bits(void **state)
{
	struct vfio_domain *domain = *state;
	char *memory = own_memory(4 * PAGE);
	usrpci_dma_t addr, second;

	assert_int_equal(vfio_domain_ops.map(&domain->base, memory, PAGE, &addr), 0);
	assert_int_equal(vfio_domain_ops.map(&domain->base, memory + 2 * PAGE, 2 * PAGE, &second),
			 0);
	assert_true(addr + PAGE <= UINT64_C(1) << 32);
	assert_true(second + 2 * PAGE <= addr || second >= addr + PAGE);
	assert_int_equal(vfio_domain_ops.unmap(&domain->base, memory, PAGE), 0);
	assert_int_equal(vfio_domain_ops.unmap(&domain->base, memory + 2 * PAGE, 2 * PAGE), 0);
	assert_int_equal(iommu.mapped, 0);
	munmap(memory, 4 * PAGE);
}

static void own_memory_is_mapped_once(void **state)
{
	struct vfio_domain *domain = *state;
	char *memory = own_memory(4 * PAGE);
	usrpci_dma_t addr;

	assert_int_equal(vfio_domain_ops.map(&domain->base, memory + PAGE, 2 * PAGE, &addr), 0);
	assert_int_equal(vfio_domain_ops.map(&domain->base, memory, 4 * PAGE, &addr), -EEXIST);
	assert_int_equal(vfio_domain_ops.map(&domain->base, memory + 2 * PAGE, PAGE, &addr),
			 -EEXIST);
	assert_int_equal(vfio_domain_ops.map(&domain->base, memory, PAGE, &addr), 0);
	assert_int_equal(iommu.mapped, 3 * PAGE);
	munmap(memory, 4 * PAGE);
}

static void only_what_was_mapped_can_be_unmapped(void **state)
{
	struct vfio_domain *domain = *state;
	struct dma_chunk_request request = request_of(PAGE);
	char *memory = own_memory(2 * PAGE);
	usrpci_dma_t addr;

	assert_int_equal(vfio_domain_ops.map(&domain->base, memory, 2 * PAGE, &addr), 0);
	assert_int_equal(vfio_domain_ops.unmap(&domain->base, memory, PAGE), -EINVAL);
	assert_int_equal(vfio_domain_ops.unmap(&domain->base, memory + PAGE, PAGE), -EINVAL);
	assert_int_equal(vfio_domain_ops.grow(&domain->base, &request, add), 0);
	assert_int_equal(vfio_domain_ops.unmap(&domain->base, added.va, added.size), -EINVAL);
	assert_int_equal(iommu.mapped, added.size + 2 * PAGE);
	munmap(memory, 2 * PAGE);
}

static void a_refused_mapping_leaves_nothing_behind(void **state)
{
	struct vfio_domain *domain = *state;
	char *memory = own_memory(PAGE);
	usrpci_dma_t addr;

	iommu.fail = -EFAULT;
	assert_int_equal(vfio_domain_ops.map(&domain->base, memory, PAGE, &addr), -EFAULT);
	assert_int_equal(domain->count, 0);
	assert_int_equal(domain->space.blocks, 0);
	assert_int_equal(vfio_domain_ops.map(&domain->base, memory, PAGE, &addr), 0);
	munmap(memory, PAGE);
}

static void the_limit_of_mappings_is_reported(void **state)
{
	struct vfio_domain *domain = *state;
	char *memory = own_memory(3 * PAGE);
	usrpci_dma_t addr;

	domain->limit = 2;
	assert_int_equal(vfio_domain_ops.map(&domain->base, memory, PAGE, &addr), 0);
	assert_int_equal(vfio_domain_ops.map(&domain->base, memory + PAGE, PAGE, &addr), 0);
	assert_int_equal(vfio_domain_ops.map(&domain->base, memory + 2 * PAGE, PAGE, &addr),
			 -ENOSPC);
	assert_non_null(strstr(message, "all 2 mappings"));
	assert_int_equal(vfio_domain_ops.unmap(&domain->base, memory, PAGE), 0);
	assert_int_equal(vfio_domain_ops.map(&domain->base, memory + 2 * PAGE, PAGE, &addr), 0);
	munmap(memory, 3 * PAGE);
}

static void the_limit_of_locked_memory_is_reported_with_its_cure(void **state)
{
	struct vfio_domain *domain = *state;
	struct dma_chunk_request request = request_of(2 * MIB);
	struct rlimit old, limit;
	char want[64];

	domain->privileged = false;
	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &old), 0);
	limit = old;
	limit.rlim_cur = 3 * MIB;
	if (old.rlim_max < limit.rlim_cur)
		skip();
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	assert_int_equal(vfio_domain_ops.grow(&domain->base, &request, add), 0);
	assert_int_equal(vfio_domain_ops.grow(&domain->base, &request, add), -ENOMEM);
	assert_non_null(strstr(message,
			       "2097152 more bytes cannot be pinned: 2097152 bytes are pinned, and "
			       "RLIMIT_MEMLOCK is 3145728: "));
	snprintf(want, sizeof(want), "prlimit --pid %d --memlock=4194304:4194304", getpid());
	assert_non_null(strstr(cure, want));
	limit.rlim_cur = 4 * MIB;
	if (old.rlim_max >= limit.rlim_cur) {
		setrlimit(RLIMIT_MEMLOCK, &limit);
		assert_int_equal(vfio_domain_ops.grow(&domain->base, &request, add), 0);
	}
	setrlimit(RLIMIT_MEMLOCK, &old);
}

/* A description of 64 bytes with capabilities at 16 and 40. */
struct description {
	uint8_t bytes[64];
};

static struct vfio_info_cap_header *header_at(struct description *info, size_t offset)
{
	return (struct vfio_info_cap_header *)(info->bytes + offset);
}

static uint32_t find(struct description *info, uint32_t first, uint16_t id, uint32_t size)
{
	uint8_t cap[64];

	return vfio_find_cap(info, 64, first, id, cap, size);
}

static void add_member(struct fixture *fixture, const char *addr, uint32_t class_code,
		       const char *driver)
{
	const struct fixture_device device = {
		.addr = addr,
		.class_code = class_code,
		.driver = driver,
		.iommu_group = "9",
	};

	fixture_add(fixture, &device);
}

static void drivers_that_keep_vfio_from_a_group_are_named(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_dev dev = {.ctx = ctx, .name = "0000:00:1c.3", .info.iommu_group = 9};

	add_member(*state, "0000:00:1c.3", 0x040300, "vfio-pci");
	add_member(*state, "0000:00:1c.5", 0x0c8000, "pci-stub");
	add_member(*state, "0000:00:1c.6", 0x020000, "mlx5_vfio_pci");
	assert_false(vfio_group_has_strangers(&dev));
	add_member(*state, "0000:00:1c.4", 0x0c0500, "i801_smbus");
	assert_true(vfio_group_has_strangers(&dev));
	assert_logged(*state, "shared with devices of other drivers: 0000:00:1c.4 (i801_smbus)");
	assert_logged(*state, "usrpci bind --whole-group");
	add_member(*state, "0000:00:1c.7", 0x020000, "uio_pci_generic");
	assert_true(vfio_group_has_strangers(&dev));
	assert_logged(*state, "0000:00:1c.7 (uio_pci_generic)");
	usrpci_ctx_close(ctx);
}

/* The command never binds such bridges, so they have to lose their driver by hand. */
static void a_bridge_that_a_driver_of_slots_holds_is_to_be_unbound(void **state)
{
	const struct fixture_device slots = {.addr = "0000:00:1c.1",
					     .class_code = 0x060400,
					     .header_type = 1,
					     .driver = "shpchp",
					     .iommu_group = "9"},
				    port = {.addr = "0000:00:1c.2",
					    .class_code = 0x060400,
					    .header_type = 1,
					    .driver = "pcieport",
					    .iommu_group = "9"};
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_dev dev = {.ctx = ctx, .name = "0000:01:00.0", .info.iommu_group = 9};

	fixture_add(*state, &port);
	assert_false(vfio_group_has_strangers(&dev));
	fixture_add(*state, &slots);
	assert_true(vfio_group_has_strangers(&dev));
	assert_logged(*state, "echo 0000:00:1c.1 > /sys/bus/pci/drivers/shpchp/unbind");
	usrpci_ctx_close(ctx);
}

static void an_isa_bridge_in_the_group_is_to_be_unbound(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_dev dev = {.ctx = ctx, .name = "0000:00:1c.3", .info.iommu_group = 9};

	add_member(*state, "0000:00:1c.3", 0x040300, "vfio-pci");
	add_member(*state, "0000:00:1c.0", 0x060100, "lpc_ich");
	assert_true(vfio_group_has_strangers(&dev));
	assert_logged(*state, "echo 0000:00:1c.0 > /sys/bus/pci/drivers/lpc_ich/unbind");
	usrpci_ctx_close(ctx);
}

static void a_kernel_with_iommufd_alone_is_used_through_it(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_dev dev = {.ctx = ctx, .name = "0000:00:03.0"};

	fixture_text(*state, "/dev/iommu", "");
	assert_false(vfio_iommufd_usable(&dev));
	fixture_mkdir(*state, "/sys/bus/pci/devices/0000:00:03.0/vfio-dev/vfio0");
	assert_true(vfio_iommufd_usable(&dev));
	fixture_text(*state, "/dev/vfio/vfio", "");
	assert_false(vfio_iommufd_usable(&dev));
	fixture_text(*state, "/dev/vfio/devices/vfio0", "");
	assert_true(vfio_iommufd_usable(&dev));
	usrpci_ctx_close(ctx);
}

/*
 * What a kernel with vfio answers, in a test that needs no other ioctl; NULL: the kernel is asked.
 */
static int (*answer)(unsigned long request, void *argument);

#ifdef __GLIBC__
typedef unsigned long request_type;
#else
typedef int request_type;
#endif

/* This one in the place of the C library's is called by the library that is tested. */
int ioctl(int fd, request_type request, ...)
{
	void *argument;
	va_list args;
	int result;

	va_start(args, request);
	argument = va_arg(args, void *);
	va_end(args);
	if (!answer)
		return (int)syscall(SYS_ioctl, fd, request, argument);
	result = answer((unsigned int)request, argument);
	if (result >= 0)
		return result;
	errno = -result;
	return -1;
}

#define TOKEN "14d63f20-8445-11ea-8900-1f9ce7d5650d"

/* As vfio_pci_validate_vf_token() of Linux has it. */
static int virtual_function(unsigned long request, void *name)
{
	assert_int_equal(request, VFIO_GROUP_GET_DEVICE_FD);
	return strcmp(name, "0000:03:00.1 vf_token=" TOKEN) ? -EACCES : 7;
}

static int whole_device(unsigned long request, void *name)
{
	assert_int_equal(request, VFIO_GROUP_GET_DEVICE_FD);
	return strcmp(name, "0000:03:00.1") ? -EINVAL : 8;
}

static void a_virtual_function_is_opened_with_its_token(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_dev dev = {.ctx = ctx, .name = "0000:03:00.1"};

	answer = virtual_function;
	fixture_link(*state, "/sys/bus/pci/devices/0000:03:00.1/physfn", "../0000:03:00.0");
	assert_int_equal(vfio_open_of_group(&dev, 5), -EACCES);
	assert_logged(*state, "only with the token that the program of 0000:03:00.0 gave");
	assert_logged(*state, "export USRPCI_VF_TOKEN=");
	setenv("USRPCI_VF_TOKEN", TOKEN, 1);
	assert_int_equal(vfio_open_of_group(&dev, 5), 7);
	answer = whole_device;
	assert_int_equal(vfio_open_of_group(&dev, 5), 8);
	setenv("USRPCI_VF_TOKEN", "14d63f20", 1);
	assert_int_equal(vfio_open_of_group(&dev, 5), -EINVAL);
	assert_logged(*state, "is no UUID");
	unsetenv("USRPCI_VF_TOKEN");
	answer = NULL;
	usrpci_ctx_close(ctx);
}

static struct {
	int flags;
	uint8_t token[16];
	int refuses; /* what the kernel says to a token */
	int without; /* what it says without one */
} binding;

/* As vfio_df_ioctl_bind_iommufd() of Linux 6.17 has it. */
static int bind_of_iommufd(unsigned long request, void *argument)
{
	const struct abi_device_bind *bind = argument;

	if (request == ABI_DEVICE_ATTACH)
		return 0;
	assert_int_equal(request, ABI_DEVICE_BIND);
	assert_int_equal(bind->argsz, sizeof(*bind));
	binding.flags = (int)bind->flags;
	if (!bind->flags)
		return binding.without;
	memcpy(binding.token, (const void *)(uintptr_t)bind->token, 16);
	return binding.refuses;
}

static void iommufd_is_told_the_token_of_the_context(void **state)
{
	static const uint8_t bytes[16] = "\x14\xd6\x3f\x20\x84\x45\x11\xea"
					 "\x89\x00\x1f\x9c\xe7\xd5\x65\x0d";
	struct fixture *fixture = *state;
	struct usrpci_dev dev = {.name = "0000:03:00.1", .info.iommu_group = 3};
	struct vfio_iommu way = {.ops = &vfio_iommufd, .fd = -1};
	struct vfio_device vfio;

	fixture->vf_token = TOKEN;
	dev.ctx = way.ctx = fixture_ctx(fixture);
	fixture_mkdir(*state, "/sys/bus/pci/devices/0000:03:00.1/vfio-dev/vfio0");
	fixture_text(*state, "/dev/vfio/devices/vfio0", "");
	answer = bind_of_iommufd;
	assert_int_equal(vfio_iommufd.attach(&way, &dev, &vfio), 0);
	assert_int_equal(binding.flags, ABI_BIND_TOKEN);
	assert_memory_equal(binding.token, bytes, 16);
	vfio_iommufd.detach(&way, &vfio);

	/* A device that needs none, or a kernel that knows none. */
	binding.refuses = -EINVAL;
	assert_int_equal(vfio_iommufd.attach(&way, &dev, &vfio), 0);
	assert_int_equal(binding.flags, 0);
	vfio_iommufd.detach(&way, &vfio);
	binding.refuses = -EACCES;
	assert_int_equal(vfio_iommufd.attach(&way, &dev, &vfio), -EACCES);
	assert_logged(*state, "it can be opened only with the token");
	answer = NULL;
	usrpci_ctx_close(dev.ctx);
}

static void a_token_goes_by_the_group_where_that_may_be_opened(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_dev dev = {.ctx = ctx, .name = "0000:00:03.0", .info.iommu_group = 3};

	fixture_text(*state, "/dev/iommu", "");
	fixture_text(*state, "/dev/vfio/vfio", "");
	fixture_text(*state, "/dev/vfio/devices/vfio0", "");
	fixture_mkdir(*state, "/sys/bus/pci/devices/0000:00:03.0/vfio-dev/vfio0");
	setenv("USRPCI_VF_TOKEN", TOKEN, 1);
	assert_true(vfio_iommufd_usable(&dev));
	fixture_text(*state, "/dev/vfio/3", "");
	assert_false(vfio_iommufd_usable(&dev));
	unsetenv("USRPCI_VF_TOKEN");
	assert_true(vfio_iommufd_usable(&dev));
	usrpci_ctx_close(ctx);
}

static void a_context_refuses_a_token_that_is_no_uuid(void **state)
{
	static const char *const wrong[] = {"", "14d63f20", TOKEN "0",
					    "14d63f20-8445-11ea-8900-1f9ce7d5650g",
					    "14d63f20-8445-11ea-8900+1f9ce7d5650d"};
	struct usrpci_ctx *ctx;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(
			usrpci_ctx_open(&(struct usrpci_ctx_options){.vf_token = wrong[i]}, &ctx),
			-EINVAL);
}

static int no_type1(unsigned long request, void *argument)
{
	(void)argument;
	return request == VFIO_GET_API_VERSION ? VFIO_API_VERSION : 0;
}

static void a_kernel_without_type1_is_told_what_to_load(void **state)
{
	struct vfio_iommu container = {.ops = &vfio_type1, .ctx = fixture_ctx(*state)};

	fixture_text(*state, "/dev/vfio/vfio", "");
	answer = no_type1;
	assert_int_equal(vfio_type1.open(&container), -EOPNOTSUPP);
	assert_logged(*state, "has no type 1 IOMMU");
	assert_logged(*state, "modprobe vfio_iommu_type1");
	answer = NULL;
	usrpci_ctx_close(container.ctx);
}

static int no_remapping(unsigned long request, void *argument)
{
	if (request == VFIO_GROUP_GET_STATUS)
		((struct vfio_group_status *)argument)->flags = VFIO_GROUP_FLAGS_VIABLE;
	return request == VFIO_SET_IOMMU ? -EPERM : 0;
}

static void an_iommu_that_remaps_no_interrupts_wants_consent(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct vfio_iommu container = {.ops = &vfio_type1, .ctx = ctx};
	struct vfio_device vfio = {.fd = -1};
	struct usrpci_dev dev = {.ctx = ctx, .name = "0000:03:00.1", .info.iommu_group = 7};

	fixture_text(*state, "/dev/vfio/7", "");
	answer = no_remapping;
	assert_int_equal(vfio_type1.attach(&container, &dev, &vfio), -EPERM);
	assert_logged(*state, "vfio_iommu_type1/parameters/allow_unsafe_interrupts");
	answer = NULL;
	usrpci_ctx_close(ctx);
}

/* Another function of a wide domain, of which vfio tells 16 bits. */
static int other_function(unsigned long request, void *argument)
{
	struct vfio_pci_hot_reset_info *info = argument;

	assert_int_equal(request, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO);
	info->count = 1;
	info->devices[0] = (struct vfio_pci_dependent_device){
		.group_id = 4, .segment = 0, .bus = 0xe1, .devfn = 1};
	return 0;
}

static void a_bus_reset_names_functions_of_wide_domains(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct vfio_iommu own = {.ctx = ctx};
	struct vfio_device vfio = {.fd = 5, .iommu = &own};
	struct usrpci_dev dev = {.ctx = ctx,
				 .name = "10000:e1:00.0",
				 .backend = &vfio,
				 .info.addr = {.domain = 0x10000, .bus = 0xe1}};

	answer = other_function;
	assert_int_equal(vfio_reset(&dev, USRPCI_RESET_BUS), -EPERM);
	assert_logged(*state, "10000:e1:00.1");
	answer = NULL;
	usrpci_ctx_close(ctx);
}

static int few_vectors(unsigned long request, void *set)
{
	assert_int_equal(request, VFIO_DEVICE_SET_IRQS);
	return ((struct vfio_irq_set *)set)->count > 3 ? 3 : 0;
}

static void the_vectors_that_the_machine_has_left_are_told(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct vfio_device vfio = {.fd = 5};
	struct usrpci_dev dev = {.ctx = ctx, .name = "0000:03:00.1", .backend = &vfio};

	answer = few_vectors;
	assert_int_equal(vfio_irq_enable(&dev, USRPCI_IRQ_MSIX, 8), 3);
	assert_int_equal(vfio_irq_enable(&dev, USRPCI_IRQ_MSIX, 3), 0);
	assert_int_equal(vfio_irq_disable(&dev, USRPCI_IRQ_MSIX), 0);
	answer = NULL;
	usrpci_ctx_close(ctx);
}

static int accepts(unsigned long request, void *set)
{
	(void)set;
	assert_int_equal(request, VFIO_DEVICE_SET_IRQS);
	return 0;
}

static void enable_event(struct usrpci_dev *dev)
{
	assert_int_equal(vfio_irq_enable(dev, USRPCI_IRQ_REQUEST, 1), 0);
	assert_int_equal(vfio_irq_disable(dev, USRPCI_IRQ_REQUEST), 0);
}

static void events_that_an_smmu_swallows_are_told(void **state)
{
	struct fixture *fixture = *state;
	const struct fixture_device port = {.addr = "0000:00:01.0", .iommu_group = "9"},
				    nic = {.addr = "0000:01:00.0",
					   .iommu_group = "9",
					   .parent = "0000:00:01.0"};
	struct usrpci_ctx *ctx = fixture_ctx(fixture);
	struct vfio_device vfio = {.fd = 5};
	struct usrpci_dev dev = {
		.ctx = ctx, .name = "0000:01:00.0", .backend = &vfio, .info.iommu_group = 9};

	fixture_add(fixture, &port);
	fixture_add(fixture, &nic);
	answer = accepts;
	enable_event(&dev);
	assert_string_equal(fixture->log, "");
	fixture_mkdir(fixture, "/sys/class/iommu/smmu3.0x9050000");
	enable_event(&dev);
	assert_logged(fixture, "the kernel hears of no error and no unplugging");
	answer = NULL;
	usrpci_ctx_close(ctx);
}

static void capabilities_are_found_in_their_chain(void **state)
{
	struct description info = {{0}};
	struct vfio_info_cap_header cap = {0};

	*header_at(&info, 16) = (struct vfio_info_cap_header){.id = 7, .next = 40};
	*header_at(&info, 40) = (struct vfio_info_cap_header){.id = 9, .version = 3};
	assert_int_equal(find(&info, 16, 7, 8), 16);
	assert_int_equal(find(&info, 16, 9, 24), 40);
	assert_int_equal(vfio_find_cap(&info, 64, 16, 9, &cap, sizeof(cap)), 40);
	assert_int_equal(cap.version, 3);
	assert_int_equal(find(&info, 16, 8, 8), 0);
	assert_int_equal(find(&info, 0, 7, 8), 0);
}

static void a_chain_that_makes_no_sense_ends(void **state)
{
	struct description info = {{0}};

	*header_at(&info, 16) = (struct vfio_info_cap_header){.id = 7, .next = 16};
	assert_int_equal(find(&info, 16, 9, 8), 0);
	*header_at(&info, 16) = (struct vfio_info_cap_header){.id = 7, .next = 60};
	assert_int_equal(find(&info, 16, 9, 8), 0);
	*header_at(&info, 16) = (struct vfio_info_cap_header){.id = 7, .next = UINT32_MAX};
	assert_int_equal(find(&info, 16, 9, 8), 0);
	assert_int_equal(find(&info, 16, 7, 49), 0);
	assert_int_equal(find(&info, UINT32_MAX - 3, 7, 8), 0);
}

#define ON_HOST(test)     cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
#define domain_test(test) cmocka_unit_test_setup_teardown(test, open_domain, close_domain)

int main(void)
{
	const struct CMUnitTest tests[] = {
		domain_test(memory_comes_from_the_lowest_addresses_but_never_zero),
		domain_test(memory_meets_alignment_limit_and_boundary),
		domain_test(memory_given_back_is_unmapped_and_its_addresses_used_again),
		domain_test(memory_that_the_heap_refuses_is_unmapped),
		domain_test(own_memory_gets_an_address_of_32_bits),
		domain_test(own_memory_is_mapped_once),
		domain_test(only_what_was_mapped_can_be_unmapped),
		domain_test(a_refused_mapping_leaves_nothing_behind),
		domain_test(the_limit_of_mappings_is_reported),
		domain_test(the_limit_of_locked_memory_is_reported_with_its_cure),
		cmocka_unit_test(capabilities_are_found_in_their_chain),
		ON_HOST(drivers_that_keep_vfio_from_a_group_are_named),
		ON_HOST(an_isa_bridge_in_the_group_is_to_be_unbound),
		ON_HOST(a_bridge_that_a_driver_of_slots_holds_is_to_be_unbound),
		ON_HOST(a_virtual_function_is_opened_with_its_token),
		ON_HOST(iommufd_is_told_the_token_of_the_context),
		ON_HOST(a_token_goes_by_the_group_where_that_may_be_opened),
		cmocka_unit_test(a_context_refuses_a_token_that_is_no_uuid),
		ON_HOST(a_kernel_without_type1_is_told_what_to_load),
		ON_HOST(an_iommu_that_remaps_no_interrupts_wants_consent),
		ON_HOST(a_bus_reset_names_functions_of_wide_domains),
		ON_HOST(the_vectors_that_the_machine_has_left_are_told),
		ON_HOST(events_that_an_smmu_swallows_are_told),
		ON_HOST(a_kernel_with_iommufd_alone_is_used_through_it),
		cmocka_unit_test(a_chain_that_makes_no_sense_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
