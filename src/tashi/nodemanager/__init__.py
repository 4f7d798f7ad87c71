"""The node manager: it runs the guests of one machine, on the cluster manager's orders.

`guests` says what an order or a happening makes of a guest, as pure functions; `node` is the one
writer, which keeps a note of every guest on disk before anything is done; `orders` carries a note's
order out on the hypervisor; `outbox` tells the cluster manager, in order, until it has heard. The
guests outlive this program, and whatever it must not forget outlives it too.
"""
