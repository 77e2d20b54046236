#!/bin/busybox sh
# First program of the virtual machine: load modules, lay a writable layer over the host's root,
# go there. What is written stays in memory.
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
/bin/busybox mount -t proc none /proc
/bin/busybox mount -t devtmpfs none /dev
for module in $(/bin/busybox cat /modules/order); do /bin/busybox insmod /modules/$module; done
/bin/busybox mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000 root /lower
/bin/busybox mount -t tmpfs -o size=60% none /written
/bin/busybox mkdir -p /written/up /written/work
layers=lowerdir=/lower,upperdir=/written/up,workdir=/written/work
/bin/busybox mount -t overlay -o $layers none /root
/bin/busybox cp /inside /root/.machine-inside
for each in proc sys dev run tmp var/lib/bluetooth; do /bin/busybox mkdir -p /root/$each; done
/bin/busybox mount -t proc none /root/proc
/bin/busybox mount -t sysfs none /root/sys
/bin/busybox mount -t devtmpfs none /root/dev
/bin/busybox mkdir -p /root/dev/shm /root/dev/pts
/bin/busybox mount -t tmpfs none /root/dev/shm
/bin/busybox mount -t devpts none /root/dev/pts
/bin/busybox mount -t tmpfs none /root/run
/bin/busybox mount -t tmpfs none /root/var/lib/bluetooth
exec /bin/busybox switch_root /root /bin/sh /.machine-inside
