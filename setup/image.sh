# shellcheck shell=sh
# The base image of the proxy and the sample apps: pulled, or made from the Debian archive where no registry answers.

BASE=debian:trixie-slim
DEBIAN_KEYS=/usr/share/keyrings/debian-archive-keyring.gpg

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

bootstrap_image() {
  main=$(archive_of "\\(bookworm\\|trixie\\)")
  security=$(archive_of "\\(bookworm\\|trixie\\)-security")
  [ -n "$main" ] || fail "$BASE cannot be pulled, and this host knows no Debian archive to make it from" "docker pull $BASE, from a network with a registry"
  command -v debootstrap >/dev/null || { refresh_lists && install debootstrap; }
  proxy=$(apt-config dump Acquire::http::Proxy | sed -n 's/.*"\(.*\)";/\1/p')

  # An interrupted run leaves nothing behind, and the image appears whole or not at all.
  work=$(mktemp -d)
  trap 'rm -rf -- "$work"' EXIT
  trap 'exit 130' INT TERM HUP
  rootfs=$work/rootfs
  http_proxy=${proxy:-${http_proxy:-}} quietly debootstrap --variant=minbase --keyring="$DEBIAN_KEYS" trixie "$rootfs" "$main" ||
    fail "debootstrap could not make a trixie tree" "debootstrap --variant=minbase trixie /tmp/trixie $main"
  write_sources
  write_slim_settings
  slim_down
  trust_host_authorities
  tar -C "$rootfs" --numeric-owner -cf "$work/rootfs.tar" .
  engine_api "/images/create?fromSrc=-&repo=${BASE%:*}&tag=${BASE#*:}&changes=CMD%20%5B%22bash%22%5D&message=made%20by%20debootstrap" \
    -X POST -H 'Content-Type: application/x-tar' -T "$work/rootfs.tar" -o "$work/answer"
  image_present || fail "the engine did not take the image: $(cat "$work/answer")" "docker system df"
  rm -rf -- "$work"
}

write_sources() {
  rm -f "$rootfs/etc/apt/sources.list" "$rootfs/etc/resolv.conf" "$rootfs/etc/hostname"
  {
    printf 'Types: deb\nURIs: %s\nSuites: trixie trixie-updates\nComponents: main\nSigned-By: %s\n' "$main" "$DEBIAN_KEYS"
    [ -z "$security" ] ||
      printf '\nTypes: deb\nURIs: %s\nSuites: trixie-security\nComponents: main\nSigned-By: %s\n' "$security" "$DEBIAN_KEYS"
  } >"$rootfs/etc/apt/sources.list.d/debian.sources"
}

# As in the official slim image, so that later installs stay slim too and start no services.
write_slim_settings() {
  for tree in doc man locale groff info lintian; do
    echo "path-exclude=/usr/share/$tree/*"
  done >"$rootfs/etc/dpkg/dpkg.cfg.d/docker-slim"
  echo 'path-include=/usr/share/doc/*/copyright' >>"$rootfs/etc/dpkg/dpkg.cfg.d/docker-slim"
  cat >"$rootfs/etc/apt/apt.conf.d/docker-slim" <<'END'
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::GzipIndexes "true";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };
END
  printf '#!/bin/sh\nexit 101\n' >"$rootfs/usr/sbin/policy-rc.d"
  chmod 755 "$rootfs/usr/sbin/policy-rc.d"
}

slim_down() (
  cd "$rootfs"
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
    [ ! -f "$certificate" ] || install_file "$certificate" "$rootfs$certificate"
  done
}

install_file() { mkdir -p "${2%/*}" && cp -- "$1" "$2"; }
