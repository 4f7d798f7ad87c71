"""Ways for guests to reach a network: QEMU's own, an admin's script, or bridges that Tashi makes.

    user script bridges      one way each, as `tashi.ports.network` promises
    tap                      a TAP device, open and not persistent

Nothing here knows a hypervisor: what comes out is an open TAP, or the word that QEMU does it alone.
"""
