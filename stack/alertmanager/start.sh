#!/bin/sh
# Fills the settings into the configuration, has it checked, and becomes Alertmanager.
# `start-alertmanager render` only prints the result, for tests and for a look before a change.
set -eu

: "${SMTP_HOST:=mail:1025}" "${SMTP_FROM:=alerts@example.test}" "${ALERT_MAIL_TO:=operators@example.test}"
: "${SMTP_USER:=}" "${SMTP_PASSWORD_FILE:=/run/secrets/smtp_password}" "${SMTP_REQUIRE_TLS:=}"
: "${ALERT_GROUP_WAIT:=30s}" "${ALERT_GROUP_INTERVAL:=5m}" "${ALERT_REPEAT_INTERVAL:=4h}"

# A password goes over the wire, so with a user TLS is the default; the catcher of the sample speaks none.
if [ -z "$SMTP_REQUIRE_TLS" ]; then
    SMTP_REQUIRE_TLS=false
    [ -z "$SMTP_USER" ] || SMTP_REQUIRE_TLS=true
fi

# The password stays in its file: neither this rendering nor Alertmanager's status page can show it.
SMTP_AUTH=''
if [ -n "$SMTP_USER" ]; then
    if ! [ -s "$SMTP_PASSWORD_FILE" ]; then
        echo "error: \`SMTP_USER\` is set, but \`$SMTP_PASSWORD_FILE\` holds no password" >&2
        echo "hint: let \`SMTP_PASSWORD_FILE\` in \`.env\` name the file that holds it" >&2
        exit 2
    fi
    SMTP_AUTH=$(printf 'smtp_auth_username: "%s"\n  smtp_auth_password_file: "%s"' "$SMTP_USER" "$SMTP_PASSWORD_FILE")
fi
export SMTP_HOST SMTP_FROM ALERT_MAIL_TO SMTP_REQUIRE_TLS SMTP_AUTH
export ALERT_GROUP_WAIT ALERT_GROUP_INTERVAL ALERT_REPEAT_INTERVAL

# Only these names are replaced: `$` in the templates of mails is theirs.
# shellcheck disable=SC2016
NAMES='$SMTP_HOST $SMTP_FROM $ALERT_MAIL_TO $SMTP_REQUIRE_TLS $SMTP_AUTH
    $ALERT_GROUP_WAIT $ALERT_GROUP_INTERVAL $ALERT_REPEAT_INTERVAL'
render() {
    envsubst "$NAMES" < /etc/alertmanager/alertmanager.yml.in
}
if [ "${1:-}" = render ]; then
    render
    exit
fi

CONFIG=/tmp/alertmanager.yml
render > "$CONFIG"
if ! problem=$(amtool check-config "$CONFIG" 2>&1); then
    echo "error: the settings make no valid configuration: $problem" >&2
    echo "hint: look at \`SMTP_…\` and \`ALERT_…\` in \`.env\`" >&2
    exit 2
fi
# One Alertmanager needs no gossip; without an address it does not listen for any.
exec prometheus-alertmanager --config.file="$CONFIG" --storage.path=/var/lib/alertmanager \
    --cluster.listen-address= "$@"
