# shellcheck shell=sh
# Packages, through apt alone.

# What is missing, by the command that shows it.
missing_commands() {
  for need in curl:curl dockerd:engine flock:util-linux cc:gcc; do
    command -v "${need%%:*}" >/dev/null || echo "${need##*:}"
  done
}

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

install() {
  quietly apt install -y --no-install-recommends "$@" ||
    fail "apt could not install \`$*\`" "apt-get update && apt-get install --no-install-recommends $*"
}

# A third party's source that does not answer is no reason to stop: the install says what it could not find.
refresh_lists() { quietly apt update || say "some package lists could not be refreshed, going on"; }

install_missing() {
  missing=$(missing_commands)
  [ -n "$missing" ] || return 0
  # shellcheck source=/dev/null
  distribution=$(. /etc/os-release && echo "${ID:-} ${ID_LIKE:-}")
  case " $distribution " in
    *" debian "* | *" ubuntu "*) ;;
    *) fail "\`--setup\` knows Debian and Ubuntu, this is \`${distribution%% *}\`" \
      "install Docker Engine, curl and gcc yourself: https://docs.docker.com/engine/install/" ;;
  esac
  say "refreshing package lists"
  refresh_lists
  for package in $missing; do
    case $package in
      engine) install_engine ;;
      gcc) install gcc libc6-dev && say "C linker installed, cargo needs it" ;;
      *) install "$package" && say "$package installed" ;;
    esac
  done
}

# The archive of the release named by the prefix $1, as this host's apt knows it; no mirror is written down here.
archive_of() {
  uri=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' | sed -n "s/^$1 //p" | head -n 1)
  case $uri in
    # Debian's cloud images name a file that lists mirrors.
    mirror+file:*) grep -m 1 -o '[a-z]*://[^[:space:]]*' "${uri#mirror+file:}" ;;
    *) printf '%s\n' "${uri%/}" ;;
  esac
}
