# shellcheck shell=sh
# The base image of the proxy and the sample apps: pulled, or made from the Debian archive where no registry answers.

BASE=debian:trixie-slim
WORK=/var/cache/deploy-apps/base
ROOTFS=$WORK/rootfs

image_present() { engine_api "/images/$BASE/json" --fail --max-time 5 >/dev/null 2>&1; }

make_image() {
  if pull_image; then
    say "$BASE pulled"
  else
    say "no registry gave $BASE, making it with debootstrap (about 30 s)"
    bootstrap_image
    say "$BASE made"
  fi
}

# Gives up after 20 s without one byte of progress, so a network that swallows packets costs no more than that.
pull_image() {
  engine_api "/images/create?fromImage=${BASE%:*}&tag=${BASE#*:}" -X POST -o /dev/null \
    --speed-limit 1 --speed-time 20 --max-time 900 2>/dev/null || return 1
  image_present
}

# Works in a folder that each run empties first, and hands over a finished file: an interrupted run costs only its time.
bootstrap_image() {
  archive=$(archive_of "\\(bookworm\\|trixie\\)")
  security=$(archive_of "\\(bookworm\\|trixie\\)-security")
  [ -n "$archive" ] || fail "$BASE cannot be pulled, and this host knows no Debian archive to make it from" "docker pull $BASE, from a network with a registry"
  has debootstrap || install_packages debootstrap
  proxy=$(apt-config dump Acquire::http::Proxy | sed -n 's/.*"\(.*\)";/\1/p')

  trap discard_work EXIT
  trap 'exit 130' INT TERM HUP
  discard_work
  mkdir -p "$WORK"
  http_proxy=${proxy:-${http_proxy:-}} quietly debootstrap --variant=minbase --keyring="$DEBIAN_KEYS" trixie "$ROOTFS" "$archive" ||
    fail "debootstrap could not make a trixie tree" "debootstrap --variant=minbase trixie /tmp/trixie $archive"
  write_sources
  write_slim_settings
  slim_down
  trust_host_authorities
  tar -C "$ROOTFS" --numeric-owner -cf "$WORK/rootfs.tar" .
  engine_api "/images/create?fromSrc=-&repo=${BASE%:*}&tag=${BASE#*:}&changes=CMD%20%5B%22bash%22%5D&message=made%20by%20debootstrap" \
    -X POST -H 'Content-Type: application/x-tar' -T "$WORK/rootfs.tar" -o "$WORK/answer"
  image_present || fail "the engine did not take the image: $(cat "$WORK/answer")" "docker system df"
  discard_work
}

write_sources() {
  rm -f "$ROOTFS/etc/apt/sources.list" "$ROOTFS/etc/resolv.conf" "$ROOTFS/etc/hostname"
  archive_stanzas "$archive" "$security" trixie trixie-updates >"$ROOTFS/etc/apt/sources.list.d/debian.sources"
}

# As in the official slim image, so that later installs stay slim too and start no services.
write_slim_settings() {
  for tree in doc man locale groff info lintian; do
    echo "path-exclude=/usr/share/$tree/*"
  done >"$ROOTFS/etc/dpkg/dpkg.cfg.d/docker-slim"
  echo 'path-include=/usr/share/doc/*/copyright' >>"$ROOTFS/etc/dpkg/dpkg.cfg.d/docker-slim"
  cat >"$ROOTFS/etc/apt/apt.conf.d/docker-slim" <<'END'
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::GzipIndexes "true";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };
END
  printf '#!/bin/sh\nexit 101\n' >"$ROOTFS/usr/sbin/policy-rc.d"
  chmod 755 "$ROOTFS/usr/sbin/policy-rc.d"
}

slim_down() (
  cd "$ROOTFS" || exit
  find usr/share/doc -mindepth 2 ! -name copyright ! -type d -delete
  find usr/share/doc -depth -type d -empty -delete
  for tree in man locale info; do
    find "usr/share/$tree" -mindepth 1 -delete
  done
  rm -rf usr/share/groff usr/share/lintian var/lib/apt/lists/* var/cache/apt/archives/*.deb var/cache/apt/*.bin \
    var/log/*.log var/log/apt var/cache/ldconfig/aux-cache
)

# Behind a proxy that re-signs TLS, builds need the host's own authorities; `ca-certificates` takes them up from here.
trust_host_authorities() {
  for certificate in /usr/local/share/ca-certificates/*.crt; do
    [ ! -f "$certificate" ] || install -D -m 644 "$certificate" "$ROOTFS$certificate"
  done
}

# debootstrap mounts /proc and /sys in the tree; neither may be walked into when it was interrupted.
discard_work() {
  umount "$ROOTFS/proc" "$ROOTFS/sys" 2>/dev/null || true
  rm -rf --one-file-system -- "$WORK"
}
