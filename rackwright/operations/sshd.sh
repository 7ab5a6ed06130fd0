# Functions of sshd.py. Before them stand: pending drop_in include revert keywords

# ssh.service's folder: it may not run yet where a socket starts it. A file by itself knows no host keys.
good() { install -d -m 0755 /run/sshd && /usr/sbin/sshd -t -f "$1" -h "$(key)"; }
# By default it names one of each type, also those the host hasn't.
key() {
	/usr/sbin/sshd -T | sed -n 's/^hostkey //p' | while read -r key; do [ ! -e "$key" ] || { echo "$key"; break; }; done
}
told() { /usr/sbin/sshd -T "$@" | grep -E "^($keywords) "; }

# A reload would put to work what others wrote and never tried: whether that lets us in, nobody knows.
all_read() {
	systemctl -q is-active ssh.service || return 0
	since=$(systemctl show -p StateChangeTimestamp --timestamp=us+utc --value ssh.service)
	unread=$(find /etc/ssh/sshd_config /etc/ssh/sshd_config.d -type f ! -path "$drop_in" -newermt "$since")
	[ -n "$unread" ] || return 0
	echo "sshd: changed since sshd read it:" $unread >&2
	echo 'try that first, with a session at hand: systemctl reload ssh' >&2
	return 1
}

# At boot nothing is included yet: the old settings act.
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
	echo 'sshd: another file overrides ours; what would come out:' >&2
	echo "$have" | while read -r line; do echo "$wanted" | grep -qxF -- "$line" || echo "  $line" >&2; done
	return 1
}

# A sshd that a socket started can't take the socket over when it reloads. Its sessions outlive a restart, and the
# socket listens meanwhile. Any other answers to the signal a little later: then it listens anew.
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
		[ "$tries" -lt 100 ] || { echo 'sshd: it did not reload within 10 s' >&2; return 1; }
		sleep 0.1
	done
}
sockets() { ss -Hltnpe | grep -F "pid=$pid," | grep -o 'ino:[0-9]*'; }
