"""Guests through libvirt, for sites that run libvirtd already.

    mark domain_xml relocation door progress        pure: whose a domain is, what it is made of
    loop link                                       libvirt's thread, and the line to libvirtd
    site domains taps                               one thing of the machine each
    doing guest                                     a domain that lives, and what happens to it
    launch memory jobs adoption                     begin, save and restore, find again
    relay receiving sending                         from one machine to another
    plugs counting                                  devices in and out, and what is counted
    hypervisor                                      the port, on top of these

Under libvirt guests are QEMU's, too: their images, disks, folders and records are those of the
package `qemu` beside this one, which knows nothing of libvirt. Whether a guest has a domain only
libvirtd can tell, so it is never guessed: without libvirtd nothing is known, and nothing is done.
See doc/decisions/0024-a-domain-and-its-headstone.md.
"""
