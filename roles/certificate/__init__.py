"""A certificate with its key on one host, issued by the fleet's own CA or provided by the operator.

The role writes to /etc/rackwright/certificates/: NAME.crt, NAME.ca.crt (the CA's certificate) and NAME.key.cred, the
private key as a systemd credential that only this host can decrypt.
"""
