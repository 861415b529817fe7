# tests/e2e/vault.sh -- a vault for tests and benches: a private sshd on loopback
# whose account may only add.  Sourced after lib.sh; needs bash, sshd, sftp.
#
# Gives $V, a folder where another account can get at it; $URL, the vault; the
# keys ssh_keys of a configuration; vault_up and vault_down.
[ -x /usr/sbin/sshd ] && command -v sftp >/dev/null || {
    echo "there is no sshd, or no sftp"
    exit 77
}
# Where another account can get at it: what an append-only account may not do,
# root may.
V=$(mktemp -d /tmp/pitr-e2e-vault.XXXXXX)
chmod 755 "$V"
vault_finish()
{
    local rc=$?
    rm -rf "$V"
    set +e
    (exit $rc)
    finish
}
trap vault_finish EXIT
account=$(id -un)
if [ "$(id -u)" = 0 ]; then
    account=nobody
    mkdir -p /run/sshd
fi
mkdir -m 700 "$V/vault"
chown "$account" "$V/vault"
for k in host id; do
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$V/$k"
done
cp "$V/id.pub" "$V/authorized"
PORT=$((20000 + RANDOM % 12000))
echo "[127.0.0.1]:$PORT $(cut -d' ' -f1,2 "$V/host.pub")" >"$V/known_hosts"
cat >"$V/conf" <<EOF
ListenAddress 127.0.0.1
Port $PORT
HostKey $V/host
PidFile none
StrictModes no
UsePAM no
AuthorizedKeysFile $V/authorized
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 50
Subsystem sftp internal-sftp
ForceCommand internal-sftp -P remove,rename,posix-rename,rmdir,setstat,fsetstat,lsetstat,symlink,hardlink,copy-data
EOF
URL=sftp://$account@127.0.0.1:$PORT$V/vault

vault_up()
{
    /usr/sbin/sshd -D -f "$V/conf" -E "$V/log" </dev/null &
    SSHD=$!
    children+=("$SSHD")
    wait_until 10 vault_answers || {
        cat "$V/log"
        fail "the sshd does not start"
    }
}

vault_answers()
{
    (: <"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null
}

# With all connections: they are children of it, and their children.
vault_down()
{
    local pid
    for pid in $(descendants "$SSHD"); do
        kill -KILL "$pid" 2>/dev/null || true
    done
    process_end "$SSHD"
}

descendants()
{
    local pid
    for pid in $(cat /proc/"$1"/task/*/children 2>/dev/null); do
        descendants "$pid"
        echo "$pid"
    done
}

# Looked at where it lies, without the network.
vault_reached()
{
    "$PITR" list --repository "$V/vault" --json >"$T/vault.json" \
        2>/dev/null || return 1
    [ "$(grep -oE '"to": *"[0-9,-]*"' "$T/vault.json" | tail -1 |
        cut -d'"' -f4)" = "$1" ]
}

ssh_keys=("ssh_config = none" "ssh_identity = $V/id"
    "ssh_known_hosts = $V/known_hosts")
