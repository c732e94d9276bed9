# SPDX-License-Identifier: BSD-2-Clause
#
# A thin face on meson: each target sees to its packages, builds in build/, and runs.
#
#	make demo     the whole story in a virtual machine: take a NIC, drive it, give it back, lend it to QEMU
#	make demo-reincarnation   a file system and connections go on while their driver is killed again and again
#	make check    every part is tested, in less than 15 minutes on two cores; the last line says "N passed, N failed, N skipped"
#	make check-slow   what takes longer: the cases that are marked as slow, each model of QEMU, doc/first-driver.md
#	make first-driver   doc/first-driver.md as it is written, by a user without rights
#	make check-debian13   make check in a root with Debian 13, virtual machines included
#	make check-arm64   more suites in Arm machines, with pages of 4 and of 16 KiB
#	make check-kernel   vfio's newer doors, in a small kernel that is built for them
#	make check-lend     programs, brokers and recoveries are killed at each moment, KILLS=100 times under load; fork storms, all memory taken
#	make check-others   with Ansible, podman, Slurm and QEMU in the machine; ansible-lint
#	make check-serve    500 kills of the driver of a disk that is served, under uio and under vfio, while fio verifies
#	make check-net      60 kills of the driver of an interface, one a second, and what they cost
#	make fuzz HOURS=1   every fuzz target in turn, with what was found before; runs and findings by target
#	make check-faults   kills, failed calls and allocations, at every point of every command; about an hour
#	make check-rump RUMP_PREFIX=DIR   NetBSD's drivers; SOAK=600 for ten minutes of TCP
#	make bench    the figures, beside those of others
#	make deb      Debian's packages, in build-deb/, and what lintian says of them
#	make check-deb   the same, installed in a fresh chroot and tested there; as root
#	make install  as root; DESTDIR and PREFIX are respected
#	make          build only; also: make lint, analyze, format, clean

MAKEFLAGS += --no-print-directory
PREFIX ?= /usr/local
BUILD := build
ASAN := build-asan
# Debian's own; another python's meson may be first on the path and know nothing.
MESON := $(firstword $(wildcard /usr/bin/meson) meson)
JOBS := $(shell nproc)
TESTS := $(shell expr $(JOBS) + 2)
# Of fuzz.
HOURS ?= 1
# Of check-lend.
KILLS ?= 100
# Of check-rump.
PINGS ?= 5000
BYTES ?= 67108864
SOAK ?= 60
# Debian's linker, loader and pkg-config look here; meson knows that only where dpkg-dev is installed.
multiarch = $(shell gcc -print-multiarch)
directories = --prefix $(PREFIX) $(if $(multiarch),--libdir lib/$(multiarch))

BUILD_PACKAGES := gcc libc6-dev meson ninja-build pkgconf scdoc \
	libkmod-dev libmount-dev libmnl-dev libudev-dev libsmartcols-dev
VM_PACKAGES := qemu-system-x86 udev busybox-static cpio kmod xz-utils zstd procps pciutils iproute2 iputils-ping
LINT_PACKAGES := clang-format clang-tidy cppcheck shellcheck
CHECK_PACKAGES := $(BUILD_PACKAGES) $(VM_PACKAGES) $(LINT_PACKAGES) \
	libcmocka-dev g++ jq clang libclang-rt-dev python3 python3-jsonschema gccgo driverctl dmsetup strace e2fsprogs zsh fish \
	nbdkit nbdkit-plugin-dev libnbd-bin fio musl-tools mmdebstrap libpciaccess-dev \
	gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-s390x-linux-gnu libc6-dev-s390x-cross qemu-system-arm qemu-user
FIRST_PACKAGES := $(BUILD_PACKAGES) qemu-system-x86
KERNEL_PACKAGES := $(BUILD_PACKAGES) $(VM_PACKAGES) linux-source-6.12 make bc bison flex libelf-dev
OTHERS_PACKAGES := $(BUILD_PACKAGES) $(VM_PACKAGES) ansible-core ansible-lint podman crun slurmd dpdk dpdk-dev
DEBIAN13_PACKAGES := mmdebstrap
DEB_PACKAGES := $(BUILD_PACKAGES) dpkg-dev debhelper lintian nbdkit-plugin-dev libcmocka-dev
CHECK_DEB_PACKAGES := $(DEB_PACKAGES) mmdebstrap autopkgtest
BENCH_PACKAGES := $(BUILD_PACKAGES) $(VM_PACKAGES) python3 libdpdk-dev dpdk dpdk-dev driverctl \
	fio nbdkit nbdkit-plugin-dev qemu-utils qemu-block-extra

.PHONY: all build check check-slow check-debian13 check-arm64 check-kernel check-rump check-faults check-lend check-others \
	check-serve check-net fuzz demo demo-reincarnation first-driver bench deb check-deb install lint analyze format clean
all: packages-BUILD build

packages-%:
	@.ci/need-packages $($*_PACKAGES)

build: $(BUILD)/build.ninja
	@$(MESON) compile -C $(BUILD)

$(BUILD)/build.ninja:
	@$(MESON) setup $(BUILD) --werror $(directories)

$(ASAN)/build.ninja:
	@$(MESON) setup $(ASAN) --werror --buildtype debug \
		-Db_sanitize=address,undefined -Db_lundef=false

# Packages may have come since a directory was set up; meson looks for them only then. What make has just set up
# was not there when this line was read.
OLD := $(wildcard $(BUILD)/build.ninja $(ASAN)/build.ninja)
reconfigure = $(if $(filter $(1)/build.ninja,$(OLD)),$(MESON) setup --reconfigure $(1) >/dev/null)

# A failing suite does not keep the others from running; summary has the last word. A test waits for timers
# and disks for a third of its time, so there are two tests more than there are processors.
check: packages-CHECK $(BUILD)/build.ninja $(ASAN)/build.ninja
	@$(call reconfigure,$(BUILD))
	@$(call reconfigure,$(ASAN))
	@$(MESON) compile -C $(BUILD)
	@$(MESON) compile -C $(ASAN)
	@rm -f $(BUILD)/meson-logs/testlog.json $(ASAN)/meson-logs/testlog.json
	@$(MESON) test -C $(BUILD) --num-processes $(TESTS) --print-errorlogs || true
	@$(MESON) test -C $(ASAN) --num-processes $(TESTS) --print-errorlogs --suite unit --suite cli || true
	@tests/summary $(BUILD) $(ASAN)

check-slow: packages-CHECK $(BUILD)/build.ninja
	@$(call reconfigure,$(BUILD))
	@$(MESON) compile -C $(BUILD)
	@rm -f $(BUILD)/meson-logs/testlog.json
	@$(MESON) test -C $(BUILD) --num-processes $(TESTS) --print-errorlogs --suite slow || true
	@tests/summary $(BUILD)

# "check" in the root that it uses for some suites; its own build directories lie beside these.
check-debian13: packages-DEBIAN13
	@mkdir -p $(BUILD)
	@USRPCI_BUILD=$(abspath $(BUILD)) tests/debian/enter make check BUILD=$(BUILD)/debian13-all ASAN=$(BUILD)/debian13-asan

# "check" has two suites of these.
ARM64_SUITES := arm64 arm64_vfio arm64_gicv2m arm64_units uio e1000 edu drivers_vfio bind guard guard_files hugepages check dma nvme nvme_vfio
ARM64_16K_SUITES := arm64 arm64_vfio arm64_units arm64_qemu hugepages uio
check-arm64: packages-CHECK build
	@USRPCI_SOURCE=$(CURDIR) USRPCI_BUILD=$(abspath $(BUILD)) tests/debian/arm64 $(ARM64_SUITES) --16k $(ARM64_16K_SUITES)

# Debian's kernels have neither iommufd nor no-IOMMU mode.
check-kernel: packages-KERNEL build
	@kernel=$$(tests/qemu/kernel-build) && status=0 && \
	for suite in iommufd noiommu; do \
		USRPCI_KERNEL=$$kernel tests/qemu/run tests/qemu/suites/kernel_$$suite.sh || status=1; \
	done; exit $$status

# Under uio and vfio, then beside the hypercalls that the rump kernel was built with.
check-rump: packages-CHECK build
	@[ -n "$(RUMP_PREFIX)" ] || { echo "make check-rump: RUMP_PREFIX names no rump kernel" \
		"(DIR with include/rump and lib/librump*.so)" >&2; exit 1; }
	@RUMP_PREFIX=$(RUMP_PREFIX) USRPCI_RUMP_PINGS=$(PINGS) USRPCI_RUMP_BYTES=$(BYTES) USRPCI_RUMP_SOAK=$(SOAK) \
		$(MESON) test -C $(BUILD) --num-processes 1 --suite rump --print-errorlogs
	@RUMP_PREFIX=$(RUMP_PREFIX) tests/rump/table
	@sed -n 's/^# \(.*, killed .*\)/\1/p' $(BUILD)/meson-logs/testlog.txt

# The last lines are "N passed, N failed, N skipped", and how many points there were.
check-faults: packages-CHECK build
	@USRPCI_BUILD=$(abspath $(BUILD)) tests/faults/all

# "check" has a few of the moments and kills.
check-lend: packages-CHECK build
	@status=0 && for suite in lend_storm lend_memory lend_end lend_run_vfio; do \
		USRPCI_KILLS=$(KILLS) USRPCI_CASE_DEADLINE=7200 tests/qemu/run tests/qemu/suites/$$suite.sh || status=1; \
	done; exit $$status

fuzz: packages-CHECK $(BUILD)/build.ninja
	@USRPCI_BUILD=$(abspath $(BUILD)) tests/fuzz/long $(HOURS)

demo: packages-BUILD packages-VM build
	@tests/qemu/vm --nic e1000 --mem 1G -- contrib/demo/story
	@tests/qemu/vm --iommu --nic e1000 --mem 1G -- contrib/demo/lend

demo-reincarnation: packages-CHECK build
	@tests/qemu/vm --disk nvme --append hugepages=16 --deadline 1200 -- contrib/demo/reincarnation
	@tests/qemu/vm --nic virtio-net-pci@1 --nic virtio-net-pci@1 --append hugepages=16 --deadline 1200 \
		-- contrib/demo/reincarnation-net

# Fuller than in check: 500 kills of a driver while fio verifies, the count of unsafe shutdowns, and how long a
# read waits. The machine's clock counts instructions, 250 million a second, so that what else this host does
# changes no figure.
check-serve: packages-CHECK build
	@USRPCI_KILLS=500 USRPCI_ICOUNT=2 USRPCI_CASE_DEADLINE=3000 tests/qemu/run tests/qemu/suites/serve.sh \
		serve@nobody-sees-that-the-driver-dies
	@USRPCI_KILLS=500 USRPCI_ICOUNT=2 USRPCI_CASE_DEADLINE=3000 tests/qemu/run tests/qemu/suites/nvme_vfio.sh \
		nvme_vfio@is-served-while-its-driver-dies-and-the-kernel-resets-it-no-more

# Fuller than in check, and it compares what is sent with what is sent when nobody kills. The machine's clock counts
# instructions, 250 million a second, so that what else this host does changes no figure.
check-net: packages-CHECK build
	@USRPCI_KILLS=60 USRPCI_ICOUNT=2 USRPCI_CASE_DEADLINE=1800 tests/qemu/run tests/qemu/suites/net.sh \
		net@connections-live-when-the-driver-is-killed-every-second \
		net@connections-over-an-82574l-live-when-its-driver-is-killed-every-second

check-others: packages-OTHERS build
	@cd contrib/ansible && ansible-lint --offline --nocolor playbook.yml roles/usrpci
	@tests/ansible/role.sh
	@tests/qemu/run tests/qemu/suites/others.sh

first-driver: packages-FIRST
	@tests/first-driver

# As for check, but for DPDK and its tools.
bench: packages-BENCH $(BUILD)/build.ninja
	@$(call reconfigure,$(BUILD))
	@$(MESON) compile -C $(BUILD)
	@bench/run $(BUILD)

deb: packages-DEB
	@.ci/deb

check-deb: packages-CHECK_DEB
	@.ci/deb
	@.ci/check-deb

# PREFIX may differ from that of the last build; the loader learns of new libraries from ldconfig.
install: packages-BUILD $(BUILD)/build.ninja
	@$(MESON) configure $(BUILD) $(directories)
	@$(MESON) compile -C $(BUILD)
	@$(MESON) install -C $(BUILD) --no-rebuild
	@$(if $(DESTDIR),,if [ "$$(id -u)" = 0 ]; then /sbin/ldconfig; fi)

lint: packages-LINT packages-BUILD build
	@$(MESON) test -C $(BUILD) --suite lint --verbose

# Slow and one file at a time, so it is wrong about many a value that comes from another file.
analyze: packages-LINT packages-BUILD build
	@run-clang-tidy -p $(BUILD) -j $(JOBS) -quiet -checks='-*,clang-analyzer-*,-clang-analyzer-valist.*,-clang-analyzer-security.insecureAPI.*' \
		-extra-arg=-Wno-unknown-warning-option '/(util|lib|host|cli|drivers|rump|examples)/'

format: packages-LINT
	@git ls-files -z '*.c' '*.h' | xargs -0 clang-format -i

clean:
	@rm -rf $(BUILD) $(ASAN) build-deb
