"""Tags: fifty pairs of texts, nothing that begins with aws:, no key twice."""

import pytest

from geumgo.domain.tags import BadTags, TooManyTags, merged_tags


def test_new_tags_join_and_replace_by_key() -> None:
    assert merged_tags({"a": "1", "b": "2"}, [{"Key": "b", "Value": "3"}, {"Key": "c"}]) == {
        "a": "1",
        "b": "3",
        "c": "",
    }


@pytest.mark.parametrize(
    "added",
    [[{"Value": "x"}], [{"Key": "a"}, {"Key": "a"}], [{"Key": "aws:x"}], [{"Key": "AWS:x"}], [{"Key": "a\n"}], [{"Key": "a", "Value": "*"}]],
)  # fmt: skip
def test_what_no_tag_may_be(added: list[dict[str, str]]) -> None:
    with pytest.raises(BadTags):
        merged_tags({}, added)


def test_letters_of_any_script_may_be_in_tags_and_fifty_are_enough() -> None:
    full = merged_tags({}, [{"Key": f"키-{number}", "Value": "값 é_.:/=+-@"} for number in range(50)])
    assert len(full) == 50
    assert merged_tags(full, [{"Key": "키-0", "Value": "again"}])["키-0"] == "again"
    with pytest.raises(TooManyTags):
        merged_tags(full, [{"Key": "one more"}])
