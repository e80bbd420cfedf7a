#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "stacks": what lies above disks. Encryption with requests as large as they come, a mirror
# over two kinds of disks, discard; in place, and with all DMA bounced.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

PATH=/usr/sbin:/sbin:/usr/bin:/bin:$PATH
export MDADM_NO_UDEV=1

# through NAME DEVICE MIB: writes random bytes with requests as large as they come, reads them
# back in two sizes; their sum is in /tmp/NAME
through()
{
	dd if=/dev/urandom of="/tmp/data-$1" bs=1M count="$3" 2>/dev/null
	sha256sum <"/tmp/data-$1" | cut -d' ' -f1 >"/tmp/$1"
	dd if="/tmp/data-$1" of="$2" bs="${3}M" oflag=direct 2>/dev/null || return 1
	rm "/tmp/data-$1"
	for block in 64K "${3}M"; do
		sum=$(dd if="$2" bs="$block" count=$((($3 << 20) / $(bytes_of "$block"))) iflag=direct,fullblock 2>/dev/null |
			sha256sum | cut -d' ' -f1)
		[ "$sum" = "$(cat "/tmp/$1")" ] || return 1
	done
}

bytes_of()
{
	case $1 in *K) echo $((${1%K} << 10)) ;; *M) echo $((${1%M} << 20)) ;; esac
}

# encrypted DISK: dm-crypt over it
encrypted()
{
	key=$(head -c 64 /dev/urandom | hexdump -ve '1/1 "%02x"')
	said dmsetup create secret --noudevsync --noudevrules --table \
		"0 $(blockdev --getsz "$1") crypt aes-xts-plain64 $key 0 $1 0" && said dmsetup mknodes
}

# mirror DISK DISK
mirror()
{
	said mdadm --create /dev/md0 --level=1 --raid-devices=2 --metadata=1.0 --assume-clean --run "$1" "$2"
}

# behind DISK MIB: tell the host what must be on a mirrored disk
behind()
{
	ktap_print_msg "wrote $1 $((1 << 20)) $(($2 << 20)) $(cat /tmp/mirror)"
}

ktap_print_header
ktap_set_plan 8
ktap_print_msg "requests of $(cat "/sys/block/$(disk_of nvme)/queue/max_hw_sectors_kb") KiB on NVMe"
result crypt_over_nvme encrypted "/dev/$(part_of nvme)"
result crypt_data through crypt /dev/mapper/secret 24
result crypt_is_encrypted sh -c "! dd if=/dev/$(part_of nvme) bs=24M count=1 iflag=direct 2>/dev/null |
	sha256sum | grep -q '$(cat /tmp/crypt)'"
said dmsetup remove --noudevsync secret
result mirror_over_ahci_nvme mirror "/dev/$(part_of ahci)" "/dev/$(part_of nvme)"
result mirror_data through mirror /dev/md0 24
behind ahci 24
behind nvme 24
result mirror_discard blkdiscard -o $((32 << 20)) -l $((16 << 20)) /dev/md0
result mirror_ends mdadm --stop /dev/md0
result complaints sh -c '! dmesg | grep -e "I/O error" -e "no room"'
ktap_finished
