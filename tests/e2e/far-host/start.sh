#!/bin/sh
# Runs until standard input ends, which it does with the test that started it, and leaves nothing behind.
set -eu
until [ -e /setup/ready ]; do sleep 0.05; done
group=$(hostname)
mount -o remount,rw /sys 2>/dev/null || true
/usr/sbin/sshd -E /tmp/sshd.log
dockerd --cgroup-parent "/$group" --host unix:///var/run/docker.sock --host tcp://0.0.0.0:2376 \
  --tlsverify --tlscacert /setup/ca.pem --tlscert /setup/cert.pem --tlskey /setup/key.pem >/tmp/dockerd.log 2>&1 &
cat >/dev/null
pidof dockerd containerd containerd-shim-runc-v2 | xargs -r kill -9 2>/dev/null || true
for folder in "/sys/fs/cgroup/$group" /sys/fs/cgroup/*/"$group"; do
  [ ! -d "$folder" ] || find "$folder" -name cgroup.procs -exec xargs -r -a {} kill -9 \; 2>/dev/null || true
done
sleep 0.3
for folder in "/sys/fs/cgroup/$group" /sys/fs/cgroup/*/"$group"; do
  [ ! -d "$folder" ] || find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || true
done
