"""Guests as QEMU processes, commanded through QMP.

    boot_sector command_line forwards places record   pure: bytes, arguments, paths, memories
    accelerator images disks disk_store folder saved process     one thing of the machine each
    reactor qmp                                       the one thread that waits, and QEMU's monitor
    caretaker                                         what guests leave of their networks
    remembered                                        what is known of a guest that lives
    guest                                             a QEMU that lives, and what happens to it
    launch memory ending adoption                     begin, save and restore, end, find again
    plugging plugs                                    devices of a guest that runs
    moves receiving sending                           from one machine to another
    hypervisor                                        the port, on top of these

Whether a guest has a QEMU is never guessed: each QEMU holds the lock of its guest's folder from
before it was started until the kernel has taken it down (`folder`).
"""
