#!/bin/sh
# Puts the `deploy-apps` binary of a release, or one built from this source, into a folder of the runner's PATH.
# Reads: VERSION (empty: build), SOURCE (this repository's checkout), RELEASES (the URL above the releases' folders),
# RUNNER_TEMP, GITHUB_PATH.
set -eu

fail() {
  printf '::error title=deploy-apps::%s\n' "$1" >&2
  exit 1
}

folder=$RUNNER_TEMP/deploy-apps/bin
mkdir -p "$folder"

download() {
  case $VERSION in
    *[!0-9A-Za-z.+-]*) fail "\`version\` is not a version, such as 1.4.0" ;;
  esac
  case $(uname -m) in
    x86_64) name=deploy-apps-x86_64-unknown-linux-musl ;;
    aarch64 | arm64) name=deploy-apps-aarch64-unknown-linux-musl ;;
    *) fail "there is no binary for $(uname -m); leave \`version\` empty to build it" ;;
  esac
  work=$(mktemp -d "$RUNNER_TEMP/deploy-apps/XXXXXX")
  trap 'rm -rf -- "$work"' EXIT
  for file in "$name" SHA256SUMS; do
    curl --fail --silent --show-error --location --retry 3 --output "$work/$file" "$RELEASES/v${VERSION#v}/$file" ||
      fail "release ${VERSION#v} has no $file"
  done
  # Only our line: the list names the other files of the release, too.
  line=$(grep -E "^[0-9a-f]{64} [ *]$name\$" "$work/SHA256SUMS") || fail "SHA256SUMS does not name $name"
  (cd "$work" && printf '%s\n' "$line" | sha256sum --check --quiet --strict -) >&2 ||
    fail "$name is not the file that SHA256SUMS names"
  install -m 755 "$work/$name" "$folder/deploy-apps"
}

build() {
  command -v cargo >/dev/null || fail "\`cargo\` is missing; name a \`version\`, or install Rust before this step"
  cargo build --release --locked --manifest-path "$SOURCE/Cargo.toml" --bin deploy-apps --target-dir "$SOURCE/target" >&2
  install -m 755 "$SOURCE/target/release/deploy-apps" "$folder/deploy-apps"
}

if [ -n "${VERSION:-}" ]; then download; else build; fi
printf '%s\n' "$folder" >>"$GITHUB_PATH"
"$folder/deploy-apps" --version
