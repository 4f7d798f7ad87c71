"""What can go wrong, sorted by what the caller can do about it.

    TashiError                  errno, kind and `about` (ids) survive the wire
    ├── Refused                 asked for what cannot be: change the request
    ├── Failed                  the world said no: trying again may help
    ├── Misconfigured           a file must be mended before the program can start
    └── Broken                  an invariant of ours does not hold: a bug

Messages are whole sentences that name the thing and, where there is one, the remedy. The numbers
1 to 13 are Apache Tashi's; kinds without a number of their own share their family's.
"""

from typing import ClassVar


class TashiError(Exception):
    """Every error that Tashi raises on purpose; `about` holds the ids it concerns."""

    errno: ClassVar[int] = 1

    def __init__(self, message: str, **about: int | str) -> None:
        super().__init__(message)
        self.message = message
        self.about = about

    @property
    def kind(self) -> str:
        """The name of the error on the wire."""
        return type(self).__name__


class Refused(TashiError):
    """The request cannot be granted as it is."""

    errno = 100


class Failed(TashiError):
    """The request was sound, but the world did not let it happen."""

    errno = 200


class Misconfigured(TashiError):
    """A configuration file must be mended first."""

    errno = 300


class Broken(TashiError):
    """An invariant of Tashi does not hold (ConvertedException on the wire)."""

    errno = 1


class NoSuchInstance(Refused):
    """No instance has that id or name."""

    errno = 2


class NoSuchVm(Refused):
    """The node has no such guest."""

    errno = 3


class IncorrectState(Refused):
    """The instance's state does not allow the command."""

    errno = 4


class NoSuchHost(Refused):
    """No host has that name."""

    errno = 5


class NoSuchHostId(Refused):
    """No host has that id."""

    errno = 6


class InstanceIdTaken(Refused):
    """An instance with that id or name exists already."""

    errno = 7


class HostNameMismatch(Refused):
    """A node calls itself by another name than the books do."""

    errno = 8


class HostStateError(Refused):
    """The host's state does not allow it."""

    errno = 10


class InvalidInstance(Refused):
    """The instance asked for breaks a rule of admission."""

    errno = 11


class NotPermitted(Refused):
    """The caller may not do that."""

    errno = 101


class NotLoggedIn(Refused):
    """The caller must first show who they are; nothing was done."""

    errno = 140


class TooManyTries(Refused):
    """Too many log-ins failed lately, or are under way; the message says when to try again."""

    errno = 141


class NoRoom(Refused):
    """The host does not fit the instance; the message says which rule failed and by how much."""

    errno = 102


class NoSuchNetwork(Refused):
    """No network has that id or name."""

    errno = 103


class NoSuchUser(Refused):
    """No user has that id or name."""

    errno = 104


class NoSuchImage(Refused):
    """The image store has no such image."""

    errno = 105


class BadRequest(Refused):
    """The bytes or arguments of a call do not fit its form."""

    errno = 106


class TooOld(Refused):
    """Events before that number are no longer kept: read a snapshot first."""

    errno = 107


class StaleSession(Refused):
    """The order or report belongs to a session that is over."""

    errno = 108


class VersionMismatch(Refused):
    """The peer speaks a version that does not fit ours."""

    errno = 109


class ImageInUse(Refused):
    """Somebody uses the image: it cannot be changed, or not be read, for as long as they do."""

    errno = 120


class NoSuchJob(Refused):
    """No job or import has that number, or not any more."""

    errno = 121


class AddressTaken(Refused):
    """The address or the host name belongs to another, in the books or in the site's servers."""

    errno = 130


class UnableToResume(Failed):
    """Saved memory could not be restored."""

    errno = 12


class UnableToSuspend(Failed):
    """The guest's memory could not be saved."""

    errno = 13


class HypervisorFailed(Failed):
    """The hypervisor could not do what it was told."""

    errno = 201


class DisksGone(HypervisorFailed):
    """The guest was to go on with disks that are not on its machine any more."""


class StoreFailed(Failed):
    """The store did not take the change; nothing of it happened."""

    errno = 202


class OutcomeUnknown(Failed):
    """The change may or may not have been stored: ask with the same request id to learn."""

    errno = 203


class ReignLost(Failed):
    """Another cluster manager has taken over the books: this one writes nothing more."""

    errno = 209


class NotLeader(Failed):
    """Another cluster manager leads, or may: ask that one.

    Its `about["sent"]` is "no" when nothing was done, else "perhaps".
    """

    errno = 211


class PeerSilent(Failed):
    """The other side did not answer in time; the request may or may not have been carried out."""

    errno = 204


class PasswordsFailed(Failed):
    """The passwords that Tashi keeps cannot be read or written."""

    errno = 210


class DirectoryFailed(Failed):
    """The directory of users did not answer."""

    errno = 205


class ImagesFailed(Failed):
    """The image store could not be read or written."""

    errno = 206


class CommandFailed(Failed):
    """A program that Tashi ran ended badly; the message holds its words."""

    errno = 207


class DnsFailed(Failed):
    """The DNS server did not take a change."""

    errno = 230


class DhcpFailed(Failed):
    """The DHCP server did not take a change."""

    errno = 231


class ServerAway(Failed):
    """A DNS or DHCP server of the site did not answer, whatever it was asked."""

    errno = 234


class HookFailed(Failed):
    """A hook of the administrator's failed or took too long."""

    errno = 232


class DeliveryFailed(Failed):
    """A receiver of events did not acknowledge one."""

    errno = 233


class Cancelled(Failed):
    """Somebody asked for it to be left undone; nothing of it happened."""

    errno = 220


class TimedOut(Failed):
    """What was waited for has not happened yet; it may still."""

    errno = 208
