# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# netbsd_drivers: each driver of NetBSD's that a rump kernel has and QEMU has a device for attaches, as rump/README.md says
#
# The machine's clock counts instructions: a busy host does not make drivers give up on their devices.
#
# vm: --icount --env RUMP_PREFIX="$RUMP_PREFIX" ${RUMP_MACHINE:-} --append hugepages=32 --deadline 1800
# vm: --nic e1000 --nic pcnet --nic virtio-net-pci --disk virtio-blk-pci
# vm: --disk virtio-scsi-pci --device virtio-rng-pci --device intel-hda --device hda-duplex
# vm: --device ES1370 --device AC97 --device usb-ehci,id=ehci --device piix3-usb-uhci,id=uhci --device pci-ohci,id=ohci
# vm: --disk usb-storage,bus=ehci.0 --device usb-kbd,bus=ehci.0 --disk usb-storage,bus=uhci.0 --device usb-kbd,bus=uhci.0
# vm: --disk usb-storage,bus=ohci.0 --device usb-kbd,bus=ohci.0
# case-deadline: 240

# shellcheck source=tests/rump/common.sh
. "$USRPCI_SOURCE/tests/rump/common.sh"

driver=${USRPCI_RUMP_DRIVER:-uio_pci_generic}

setup()
{
	load_driver "$driver"
	export LD_LIBRARY_PATH=$USRPCI_BUILD/rump:$USRPCI_BUILD/lib:$RUMP_PREFIX/lib RUMP_VERBOSE=1
}

# attaches SLOT PATTERN COMPONENT...: the rump kernel's own program, which loads the drivers at run time and says what it
# finds, in the hands of a user without rights.
attaches()
{
	local device=0000:00:$1.0 socket=/run/sockets/$1 pattern=$2 component server
	shift 2
	for component; do
		[ -e "$RUMP_PREFIX/lib/librump$component.so" ] || skip "this rump kernel has no librump$component"
	done
	[ -x "$RUMP_PREFIX/bin/rump_server" ] || skip "this rump kernel has no rump_server"
	chmod a+x /root
	install -d -m 777 /run/sockets
	usrpci -q run --driver "$driver" --hugepages 8 --broker -u nobody "$device" -- \
		env LD_PRELOAD=libusrpci-rump.so "$RUMP_PREFIX/bin/rump_server" -s -lrumpvfs -lrumpdev -lrumpdev_pci \
		"${@/#/-lrump}" "unix://$socket" >"$scratch/said" 2>&1 &
	server=$!
	wait_for 200 eval "[ -S $socket ] || ! kill -0 $server"
	pkill -TERM -x rump_server || true
	wait $server || true
	cat "$scratch/said"
	grep -Em 1 "$pattern" "$scratch/said" >"$scratch/found"
	note "$(<"$scratch/found")"
}

under_uio_only()
{
	[ "$driver" = uio_pci_generic ] || skip "legacy virtio passes by the IOMMU"
}

netbsd_drivers@wm()
{
	attaches 1 '^wm0: Ethernet address' net net_net dev_miiphy dev_pci_if_wm
}

netbsd_drivers@pcn()
{
	attaches 2 '^pcn0: .* Ethernet address' net net_net dev_miiphy dev_pci_if_pcn
}

netbsd_drivers@vioif()
{
	under_uio_only
	attaches 3 '^vioif0 at virtio0: Ethernet address' net net_net dev_pci_virtio dev_virtio_if_vioif
}

netbsd_drivers@ld()
{
	under_uio_only
	attaches 4 '^ld0: 65536 KB' dev_disk dev_pci_virtio dev_virtio_ld
}

# What its probing has on its stack is copied.
netbsd_drivers@sd-behind-virtio-scsi()
{
	under_uio_only
	attaches 5 '^sd0: 65536 KB' dev_disk dev_scsipi dev_pci_virtio dev_virtio_vioscsi
}

netbsd_drivers@viornd()
{
	under_uio_only
	attaches 6 '^viornd0 at virtio0' dev_rnd dev_pci_virtio dev_virtio_viornd
}

# Its driver leaves RINTCNT at 0, and QEMU's model gives no answers of a codec then.
netbsd_drivers@hdaudio-attaches-without-its-codec()
{
	attaches 7 '^hdaudio0 at pci0' dev_audio dev_pci_hdaudio dev_hdaudio_hdafg
}

netbsd_drivers@eap()
{
	attaches 8 '^audio0 at eap0' dev_audio dev_audio_ac97 dev_pci_eap
}

netbsd_drivers@auich()
{
	attaches 9 '^audio0 at auich0' dev_audio dev_audio_ac97 dev_pci_auich
}

# usb SLOT: NetBSD 7's own build of its USB component has no DMA (NUSB_DMA), and its kernel ends there, with these words.
# The keyboard beside the disk has no driver in any component.
usb()
{
	attaches "$1" '^sd0: 65536 KB|^panic: .*ub_usedma == false' dev_disk dev_scsipi dev_usb dev_umass dev_pci_usbhc
}

netbsd_drivers@ehci-finds-a-disk-or-says-that-it-was-built-without-dma()
{
	usb a
}

# slow
netbsd_drivers@uhci-finds-a-disk-or-says-that-it-was-built-without-dma()
{
	usb b
}

# slow
netbsd_drivers@ohci-finds-a-disk-or-says-that-it-was-built-without-dma()
{
	usb c
}
