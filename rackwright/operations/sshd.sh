# Functions for sshd.py, which sets these variables first: pending drop_in include revert keywords

# Create ssh.service's folder, because the service may not have run yet if a socket starts it. The tested file has no
# host keys, so pass one.
good() { install -d -m 0755 /run/sshd && /usr/sbin/sshd -t -f "$1" -h "$(key)"; }
# By default, sshd lists one key of each type, including keys that the host doesn't have.
key() {
	/usr/sbin/sshd -T | sed -n 's/^hostkey //p' | while read -r key; do [ ! -e "$key" ] || { echo "$key"; break; }; done
}
told() { /usr/sbin/sshd -T "$@" | grep -E "^($keywords) "; }

# A reload would also activate changes by others that were never tested and might lock us out.
all_read() {
	systemctl -q is-active ssh.service || return 0
	since=$(systemctl show -p StateChangeTimestamp --timestamp=us+utc --value ssh.service)
	unread=$(find /etc/ssh/sshd_config /etc/ssh/sshd_config.d -type f ! -path "$drop_in" -newermt "$since")
	[ -n "$unread" ] || return 0
	echo "sshd: changed since sshd read it:" $unread >&2
	echo 'test that first, while you have an open session: systemctl reload ssh' >&2
	return 1
}

# The included file doesn't exist at boot, so the old settings are active then.
save() {
	if ! grep -qxF "$include" "$drop_in" 2>/dev/null; then
		{ echo "$include"; cat "$drop_in" 2>/dev/null || true; } >"$drop_in.new"
		chmod 0644 "$drop_in.new"
		mv -fT "$drop_in.new" "$drop_in"
	fi
	echo "rm -f $pending" >"$revert"
	if systemctl -q is-active ssh.socket; then
		echo 'systemctl try-restart ssh.service' >>"$revert"
	elif systemctl -q is-active ssh.service; then
		echo 'systemctl reload-or-restart ssh.service' >>"$revert"
	fi
}

says_so() {
	wanted=$(told -f "$pending" -h "$(key)")
	have=$(told)
	[ "$wanted" != "$have" ] || return 0
	echo 'sshd: another file overrides ours; the effective settings would be:' >&2
	echo "$have" | while read -r line; do echo "$wanted" | grep -qxF -- "$line" || echo "  $line" >&2; done
	return 1
}

# If a socket started sshd, a reload would lose the socket, so restart it: its sessions survive a restart, and the
# socket keeps listening. Any other sshd reloads a little later; it has done so when it has new sockets.
reload() {
	if systemctl -q is-active ssh.socket; then
		systemctl try-restart ssh.service
		return
	fi
	systemctl -q is-active ssh.service || return 0
	pid=$(systemctl show -p MainPID --value ssh.service)
	before=$(sockets)
	systemctl reload ssh.service || return
	tries=0
	while now=$(sockets); [ -z "$now" ] || [ "$now" = "$before" ]; do
		tries=$((tries + 1))
		[ "$tries" -lt 100 ] || { echo 'sshd did not reload within 10 s' >&2; return 1; }
		sleep 0.1
	done
}
sockets() { ss -Hltnpe | grep -F "pid=$pid," | grep -o 'ino:[0-9]*'; }
