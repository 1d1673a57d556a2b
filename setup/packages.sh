# shellcheck shell=sh
# Packages, through apt alone.

DEBIAN_KEYS=/usr/share/keyrings/debian-archive-keyring.gpg

apt() {
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" </dev/null
}

# Runs a noisy command; its output is shown only when it failed.
quietly() {
  log=$("$@" 2>&1) || {
    printf '%s\n' "$log" >&2
    return 1
  }
}

install_packages() {
  [ -n "${lists_fresh:-}" ] || refresh_lists
  quietly apt install -y --no-install-recommends "$@" ||
    fail "apt could not install \`$*\`" "apt-get update && apt-get install --no-install-recommends $*"
}

refresh_lists() {
  require_apt
  [ -n "${lists_fresh:-}" ] || say "refreshing the package lists"
  lists_fresh=yes
  # An interrupted run may have left packages unpacked only, and apt then refuses to go on.
  quietly dpkg --configure -a </dev/null || fail "dpkg could not finish an earlier installation" "dpkg --configure -a"
  # A third party's source that does not answer is no reason to stop: the install says what it could not find.
  quietly apt update || say "some package lists could not be refreshed, going on"
}

require_apt() {
  # shellcheck source=/dev/null
  distribution=$(. /etc/os-release 2>/dev/null && echo "${ID:-} ${ID_LIKE:-}") || distribution=$(uname -s)
  case " $distribution " in
    *" debian "* | *" ubuntu "*) ;;
    *) fail "\`--setup\` knows Debian and Ubuntu, not \`${distribution%% *}\`" \
      "install Docker Engine, curl and a C compiler yourself: https://docs.docker.com/engine/install/" ;;
  esac
}

# The archive of the suite $1 (a pattern) as this host's apt knows it: no mirror is written down here.
archive_of() {
  uri=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' | sed -n "s/^$1 //p" | head -n 1)
  case $uri in
    # Debian's cloud images name a file that lists mirrors.
    mirror+file:*) grep -m 1 -o '[a-z]*://[^[:space:]]*' "${uri#mirror+file:}" ;;
    *) echo "${uri%/}" ;;
  esac
}

# Apt sources for archive $1 with the suites from $3 on, and for trixie's security updates where their archive $2 is known.
archive_stanzas() {
  archive=$1 security=$2
  shift 2
  printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' "$archive" "$*" "$DEBIAN_KEYS"
  [ -z "$security" ] ||
    printf '\nTypes: deb\nURIs: %s\nSuites: trixie-security\nComponents: main\nSigned-By: %s\n' "$security" "$DEBIAN_KEYS"
}
