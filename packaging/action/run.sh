#!/bin/sh
# Runs `deploy-apps` as the action's inputs say. All of them come as variables, so none of them is read as shell code.
# Reads: COMMAND, APPS, ARGS (an argument a line), COMPOSE_FILE_INPUT, HOST, SSH_KEY, SSH_KNOWN_HOSTS,
# OUTPUT_FILE, RUNNER_TEMP, GITHUB_OUTPUT.
set -eu

fail() {
  printf '::error title=deploy-apps::%s\n' "$1" >&2
  exit 2
}

secrets=$RUNNER_TEMP/deploy-apps/ssh
trap 'rm -rf -- "$secrets"' EXIT

# Whatever calls `ssh` calls this one: the runner's own configuration is left alone.
use_key() {
  [ -n "${SSH_KNOWN_HOSTS:-}" ] || fail "\`ssh-key\` needs \`ssh-known-hosts\`: \`ssh-keyscan HOST\`, checked by you, prints it"
  ssh=$(command -v ssh) || fail "\`ssh\` is missing on this runner"
  (umask 077 && mkdir -p "$secrets")
  (umask 077 && printf '%s\n' "$SSH_KEY" | tr -d '\r' >"$secrets/key" && printf '%s\n' "$SSH_KNOWN_HOSTS" >"$secrets/known_hosts")
  {
    echo '#!/bin/sh'
    printf 'exec "%s" -i "%s" -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile="%s" "$@"\n' \
      "$ssh" "$secrets/key" "$secrets/known_hosts"
  } >"$secrets/ssh"
  chmod 700 "$secrets/ssh"
  PATH=$secrets:$PATH
  unset SSH_KEY
}

case ${COMMAND:=deploy} in
  deploy | plan | rollback | scale | remove | down | prune | status | history | config | doctor | drain-test) ;;
  *) fail "\`command\` is not one that this action runs: $(printf %s "$COMMAND" | tr -dc 'a-z-' | cut -c1-40)" ;;
esac
[ -z "${SSH_KEY:-}" ] || use_key
if [ -n "${HOST:-}" ]; then
  export DOCKER_HOST="$HOST"
fi

set -- "$COMMAND"
[ -z "${COMPOSE_FILE_INPUT:-}" ] || set -- "$@" --file "$COMPOSE_FILE_INPUT"
# One argument a line: so it may hold blanks, and nothing is expanded.
while IFS= read -r argument; do
  [ -z "$argument" ] || set -- "$@" "$argument"
done <<END
${ARGS:-}
END
# After `--` no name is an option: who may choose the apps may not choose the engine.
[ -z "$(printf %s "${APPS:-}" | tr -d '[:space:]')" ] || set -- "$@" --
set -f
# shellcheck disable=SC2086 # names of apps hold no blanks
set -- "$@" ${APPS:-}
set +f

code=0
if [ -n "${OUTPUT_FILE:-}" ]; then
  deploy-apps "$@" >"$OUTPUT_FILE" || code=$?
  cat -- "$OUTPUT_FILE"
else
  deploy-apps "$@" || code=$?
fi
# A plan with changes is what was asked for, not a failure; the output `changed` tells.
if [ "$COMMAND" = plan ]; then
  case $code in
    0) echo "changed=false" >>"$GITHUB_OUTPUT" ;;
    11) code=0 && echo "changed=true" >>"$GITHUB_OUTPUT" ;;
  esac
fi
exit "$code"
