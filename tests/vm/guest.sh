# Runs in the virtual machine, as its first process. What it prints goes to the serial console.
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root NO_COLOR=1 DENO_NO_UPDATE_CHECK=1
export TMPDIR=/project/tmp DENO_DIR=/project/deno LANG=C.UTF-8
mount -t tmpfs tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t securityfs securityfs /sys/kernel/security 2>/dev/null
mount -t tracefs tracefs /sys/kernel/tracing
mkdir -p /dev/shm /dev/pts "$TMPDIR"
mount -t devpts devpts /dev/pts
# Where the lab has its files: on a disk, as major faults need one.
mount --bind "$TMPDIR" /var/tmp
ln -sfn /project/modules /lib/modules
ln -sfn /proc/self/fd /dev/fd
ip link set lo up
for module in fuse veth nf_tables nft_numgen sch_netem; do modprobe --quiet $module; done
for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
	echo "+$controller" > /sys/fs/cgroup/cgroup.subtree_control
done
# The firmware leaves escape codes on the line.
echo
echo @@begun
cd /project/src
. /project/stages.sh
sync
echo
echo @@ended
# The line is sent meanwhile.
sleep 1
echo b > /proc/sysrq-trigger
sleep 60
