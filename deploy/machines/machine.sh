#!/bin/bash
# What a machine does when it starts: `machine head`, `machine slurm` (a node of Slurm's) or `machine plain`.
#
# /keys is the one folder that all machines share, and only while they start: the head puts its public key and munge's
# key there, and each machine the public key of its sshd.
set -euo pipefail
role=$1
me=$(hostname)

say() { echo "$me: $*"; }

await() {
    for _ in $(seq 600); do
        [ -s "$1" ] && return
        sleep 0.1
    done
    say "$1 didn't come within a minute" >&2
    exit 1
}

# The same numbers on every machine, and the owner of the folder with the labs.
if [ "${DASKCLASS_UID:-1000}" != "$(id -u learner)" ]; then
    usermod --non-unique --uid "$DASKCLASS_UID" learner
    chown -R learner: /home/learner
fi

# A key that is complete has its final name.
put() {
    install -m "$3" -o "${4:-root}" "$1" "$2.new"
    mv "$2.new" "$2"
}

ssh-keygen -q -A
if [ "$role" = head ]; then
    dd if=/dev/urandom bs=1 count=1024 status=none of=/etc/munge/munge.key
    install -d -m 700 -o learner -g learner /home/learner/.ssh
    su learner -c 'ssh-keygen -q -t ed25519 -N "" -f ~/.ssh/id_ed25519'
    put /etc/munge/munge.key /keys/munge.key 400
    put /home/learner/.ssh/id_ed25519.pub /keys/learner.pub 644
fi
put /etc/ssh/ssh_host_ed25519_key.pub "/keys/$me.host" 644

await /keys/learner.pub
for user in learner colleague; do
    install -d -m 700 -o "$user" -g "$user" "/home/$user/.ssh"
    install -m 600 -o "$user" -g "$user" /keys/learner.pub "/home/$user/.ssh/authorized_keys"
done
[ "$role" = head ] || install -m 400 /keys/munge.key /etc/munge/munge.key
chown munge: /etc/munge/munge.key
chmod 400 /etc/munge/munge.key

install -d -m 755 -o munge /run/munge
install -d -m 755 -o slurm /run/slurm /var/log/slurm
setpriv --reuid munge --regid munge --clear-groups munged --foreground &
await_munge() { for _ in $(seq 100); do [ -S /run/munge/munge.socket.2 ] && return; sleep 0.1; done; exit 1; }
await_munge
# What sessions get that come by ssh: the image's environment, and not this container's.
printf 'PATH=/opt/daskclass/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin\nDASKCLASS_MACHINE=%s\n' "$me" > /etc/environment
/usr/sbin/sshd -D -e &

if [ "$role" = slurm ]; then
    slurmd -D &
elif [ "$role" = head ]; then
    : > /home/learner/.ssh/known_hosts.new
    for machine in head node1 node2 node3; do
        await "/keys/$machine.host"
        printf '%s %s\n' "$machine" "$(cut -d' ' -f1,2 "/keys/$machine.host")" >> /home/learner/.ssh/known_hosts.new
    done
    install -m 644 -o learner -g learner /home/learner/.ssh/known_hosts.new /home/learner/.ssh/known_hosts
    setpriv --reuid slurm --regid slurm --clear-groups slurmctld -D &
    cd /class
    setpriv --reuid learner --regid learner --init-groups env HOME=/home/learner USER=learner jupyter lab \
        --ServerApp.ip=0.0.0.0 --ServerApp.port=8888 --ServerApp.port_retries=0 --ServerApp.open_browser=False \
        --ServerApp.custom_display_url="http://127.0.0.1:${DASKCLASS_MACHINES_PORT:-8890}" --ServerApp.root_dir=/class \
        --ServerProxy.host_allowlist="['head', '$(hostname -i | cut -d' ' -f1)', 'localhost', '127.0.0.1']" &
fi

# A machine without one of its services is broken: it ends, and Compose says so.
wait -n
say "one of its services ended" >&2
exit 1
