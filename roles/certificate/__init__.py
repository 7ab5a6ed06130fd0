"""A certificate with its key on one host: of the fleet's own CA, or the operator's.

Afterwards /etc/rackwright/certificates/ has NAME.crt, NAME.ca.crt (the CA's) and NAME.key.cred, the private
key as a systemd credential that only this host can decrypt.
"""
