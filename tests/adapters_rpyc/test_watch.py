"""Workers on watch: one does it all, and whoever is held up holds up nobody else."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tashi.adapters.rpyc.watch import Watch

PATIENCE_SECONDS = 30.0
WORKERS = 3

Thing = threading.Event | BaseException | str
MISTAKE = OSError("a mistake in waiting")


class Post:
    """Things to do come here, in batches; what was done, and by whom, is told."""

    def __init__(self, patience_seconds: float) -> None:
        self.things: queue.SimpleQueue[list[Thing]] = queue.SimpleQueue()
        self.done: queue.SimpleQueue[tuple[Thing, int]] = queue.SimpleQueue()
        self.watch = Watch(self.wait, self.attend, patience_seconds)

    def wait(self) -> list[Thing]:
        batch = self.things.get()
        if MISTAKE in batch:
            raise MISTAKE
        return batch

    def attend(self, thing: Thing) -> None:
        if isinstance(thing, threading.Event):
            thing.wait(PATIENCE_SECONDS)
        if isinstance(thing, BaseException):
            raise thing
        self.done.put((thing, threading.get_ident()))

    def hear(self) -> tuple[Thing, int]:
        return self.done.get(timeout=PATIENCE_SECONDS)


@contextmanager
def kept(patience_seconds: float = 0.01) -> Iterator[Post]:
    post = Post(patience_seconds)
    post.watch.set(WORKERS, "watch")
    yield post
    ended = threading.Thread(target=post.watch.end, args=(PATIENCE_SECONDS,))
    ended.start()
    post.things.put([])  # so that the wait that is under way returns
    ended.join()


def test_what_comes_is_done_in_order_by_the_same_worker() -> None:
    names = [str(number) for number in range(100)]
    with kept(PATIENCE_SECONDS) as post:
        post.things.put(list(names[:50]))
        post.things.put(list(names[50:]))

        done = [post.hear() for _ in names]

    assert [name for name, _ in done] == names
    assert len({worker for _, worker in done}) == 1


def test_whoever_is_held_up_holds_up_nothing_that_came_with_it_or_later() -> None:
    held = threading.Event()
    with kept() as post:
        post.things.put([held, "together"])
        post.things.put(["later"])

        others = [post.hear(), post.hear()]
        held.set()
        _, was_held = post.hear()

    assert [name for name, _ in others] == ["together", "later"]
    assert was_held not in {worker for _, worker in others}


def test_when_everybody_is_held_up_whoever_is_free_first_goes_on() -> None:
    held = [threading.Event() for _ in range(WORKERS)]
    with kept() as post:
        post.things.put([*held, "after"])
        held[1].set()

        first = [post.hear(), post.hear()]
        for one in held:
            one.set()
        rest = {post.hear()[0], post.hear()[0]}

    assert [thing for thing, _ in first] == [held[1], "after"]
    assert rest == {held[0], held[2]}


def test_a_mistake_ends_nobodys_watch() -> None:
    with kept() as post:
        post.things.put([ValueError("a mistake"), "next"])

        assert post.hear()[0] == "next"


def test_a_mistake_in_waiting_ends_nobodys_watch() -> None:
    with kept() as post:
        post.things.put([MISTAKE])
        post.things.put(["next"])

        assert post.hear()[0] == "next"


def test_nothing_stays_behind_where_everything_takes_about_as_long_as_patience_lasts() -> None:
    many = [str(number) for number in range(2000)]
    with kept(0.000_05) as post:
        post.things.put(list(many))
        done = {post.hear()[0] for _ in many}

    assert done == set(many)


def test_nobody_is_left_when_it_is_over() -> None:
    before = threading.active_count()
    with kept():
        assert threading.active_count() > before

    assert threading.active_count() == before


def test_who_is_stuck_is_told_of() -> None:
    held = threading.Event()
    with kept() as post:
        post.things.put([held])
        post.things.put([])

        assert not post.watch.end(0.05)

        held.set()
