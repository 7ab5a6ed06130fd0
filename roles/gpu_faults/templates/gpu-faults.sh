# Add the Xids that the driver has written to the kernel's log since the last look. Uncorrected memory errors have Xids,
# too. This script doesn't use nvidia-smi, because it hangs on a broken card.
set -eu; umask 022; cd "$folder"; touch gpus faults
# Lines like "[   93.027938] gpu1 kernel: NVRM: Xid (PCI:0000:43:00): 31, pid=1234, name=python3, Ch 00000008 …".
# A crashing engine may cause thousands of equal lines: they are one fault, at the time of the last one.
journalctl -q --no-pager -k -o short-monotonic --cursor-file=cursor | awk '
  FILENAME == ARGV[1] { kind[$1] = $2; what = $0; sub(/^[^ ]+ [^ ]+ /, "", what); meaning[$1] = what; next }
  FILENAME == ARGV[2] { at[substr($0, index($0, " ") + 1)] = $1; next }
  match($0, /NVRM: Xid \((PCI:)?[0-9a-fA-F:.]+\): [0-9]+/) {
    split(substr($0, RSTART + 11, RLENGTH - 11), xid, /\): /)
    text = substr($0, RSTART + RLENGTH); pci = tolower(xid[1]); number = xid[2]
    if (!(number in kind)) next
    sub(/^pci:/, "", pci); if (pci !~ /[.]/) pci = pci ".0"
    pid = match(text, /^, pid=[0-9]+/) ? substr(text, 7, RLENGTH - 6) : 0
    at[pci " " kind[number] " " pid " " number " " meaning[number]] = int(substr($0, 2))
  }
  END { for (fault in at) print at[fault], fault }' "$xids" faults - | sort -n >faults.new
mv faults.new faults
# A driver that hangs blocks every reader of these files. So the log is read first, and each GPU's UUID is read only once.
for gpu in /proc/driver/nvidia/gpus/*; do
  pci=${gpu##*/}
  if [ ! -r "$gpu/information" ] || grep -q "^$pci " gpus; then continue; fi
  sed -n "s/^GPU UUID:[[:space:]]*\(GPU-[0-9a-zA-Z-]*\)[[:space:]]*\$/$pci \1/p" "$gpu/information" >>gpus
done
