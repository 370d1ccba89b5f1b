from sidecar.client.cache import AnswerCache


def _followed(size: int = 2) -> AnswerCache[str]:
    cache: AnswerCache[str] = AnswerCache(size)
    cache.follow(1)
    return cache


def test_closed_cache_keeps_nothing() -> None:
    """Until the sidecar is watched no answer is stored."""
    cache: AnswerCache[str] = AnswerCache(2)
    cache.put(b"q", "a", generation=1, epoch=cache.get(b"q")[1])
    assert cache.get(b"q")[0] is None
    assert not cache.open


def test_answer_of_another_generation_is_not_kept() -> None:
    """An answer that came before the news of its generation, or after, is not kept."""
    cache = _followed()
    cache.put(b"q", "a", generation=2, epoch=cache.get(b"q")[1])
    assert cache.get(b"q")[0] is None


def test_answer_asked_before_a_restart_is_not_kept() -> None:
    """A sidecar that restarts counts from 1 again: the same number is not the same generation."""
    cache = _followed()
    epoch = cache.get(b"q")[1]
    cache.close()
    cache.follow(1)
    cache.put(b"q", "old", generation=1, epoch=epoch)
    assert cache.get(b"q")[0] is None


def test_a_move_forgets_everything() -> None:
    """Answers of one generation are gone with the next, and when the watch ends."""
    cache = _followed()
    cache.put(b"q", "a", generation=1, epoch=cache.get(b"q")[1])
    cache.follow(2)
    assert cache.get(b"q")[0] is None
    cache.put(b"q", "b", generation=2, epoch=cache.get(b"q")[1])
    cache.close()
    assert cache.get(b"q")[0] is None


def test_bounded_to_the_answers_used_last() -> None:
    """The answer that was not asked for longest makes room."""
    cache = _followed(size=2)
    epoch = cache.get(b"")[1]
    cache.put(b"1", "one", generation=1, epoch=epoch)
    cache.put(b"2", "two", generation=1, epoch=epoch)
    assert cache.get(b"1")[0] == "one"
    cache.put(b"3", "three", generation=1, epoch=epoch)
    assert [cache.get(key)[0] for key in (b"1", b"2", b"3")] == ["one", None, "three"]
