"""The keys by which repeated events are detected. They are stored, so a new version must not change them."""

from __future__ import annotations

from metrics.events.identity import NO_MODEL, content_key, model_key


class AKey:
    def test_is_the_same_in_every_version(self) -> None:
        assert model_key("m", "p") == -5178530570409691207
        assert content_key("E", None, "ERROR", "error") == 9066227208381857612
        assert NO_MODEL == -2632924631950128374

    def test_of_a_model_is_that_of_one_pair_of_model_and_provider(self) -> None:
        pairs = [("m",), ("m", "p"), ("mp",), ("", "m"), ("M",)]
        assert len({model_key(*pair) for pair in pairs}) == len(pairs)

    def test_of_contents_tells_a_missing_text_from_an_empty_one(self) -> None:
        contents = [(None, "a"), ("", "a"), ("a", None), ("a", ""), ("a", "a"), ("aa", None)]
        assert len({content_key(*parts) for parts in contents}) == len(contents)
