"""The keeper of daemons (nmd): starts a daemon, starts it again when it dies, stops it when told.

`policy` decides, and is pure; `keeper` carries out what it decided. Around them one small room for
each thing of the operating system that keeping needs: the log, the pid file, the background, the
out-of-memory score. Nothing here knows what the daemon does: it is a command line.
"""
