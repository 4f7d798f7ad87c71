"""What runs guests: QEMU, and a simulation of it that runs none.

Each kind keeps the promises of `ports.hypervisor`, under one suite of tests. What it knows of a
guest it keeps by itself, so that guests outlive the program that started them.
"""
