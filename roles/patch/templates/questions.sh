# What is asked on a host about its packages: by the scripts of a run's folder, and for the plan.
locks='/var/lib/dpkg/lock-frontend /var/lib/dpkg/lock'
broken() { # print a finding for each package that dpkg has not finished
  dpkg-query -W -f '${db:Status-Status}\t${db:Status-Eflag}\t${binary:Package}\n' |
    awk -F '\t' -v OFS='\t' '
      $2 != "ok" || $1 !~ /^(installed|not-installed|config-files)$/ { print "broken", $3, "installed", $1 }'
}
holder() { # PATH: print the process that has locked it: id and name
  pid=$(perl -MFcntl -e 'open F, "+<", shift or exit; $l = pack "s s x![q] q q i x![q]", F_WRLCK, 0, 0, 0, 0;
    fcntl F, F_GETLK, $l or exit; @l = unpack "s s x![q] q q i", $l; print $l[4] if $l[0] != F_UNLCK' "$1")
  [ -z "$pid" ] || echo "$pid $(tr -cd ' -~' <"/proc/$pid/comm" 2>/dev/null | cut -c -40)"
}
held_for() { # NAME: print the set of packages that rackwright holds it for; nothing if it doesn't hold it
  for list in /var/lib/rackwright/packages/*.held; do
    [ ! -e "$list" ] || ! tr ' ' '\n' <"$list" | grep -qFx -e "$1" || basename "$list" .held
  done | head -n 1
}
