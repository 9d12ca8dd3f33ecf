from geumgo.domain.policy import Context


def test_a_key_is_found_in_any_case():
    assert Context({"aws:SourceIp": ("10.0.0.1",)}).get("aws:sourceip") == ("10.0.0.1",)


def test_a_key_without_values_is_absent():
    context = Context({"aws:TagKeys": (), "aws:k": lambda: None, "aws:l": lambda: ()})
    assert [context.get(name) for name in ("aws:tagkeys", "aws:k", "aws:l", "aws:m")] == [None] * 4


def test_a_later_layer_wins():
    context = Context({"aws:A": ("1",), "aws:b": ("1",)}, {"aws:a": ("2",)})
    assert (context.get("aws:a"), context.get("aws:b")) == (("2",), ("1",))


def test_twins_in_one_layer_are_one_key():
    context = Context({"aws:RequestTag/Team": ("red",), "aws:RequestTag/team": lambda: ("blue",)})
    assert context.get("aws:requesttag/team") == ("red", "blue")


def test_a_lazy_value_is_made_once_and_only_when_asked_for():
    made = []

    def make():
        made.append(1)
        return ("late",)

    context = Context({"aws:k": make, "aws:other": ("x",)})
    assert context.get("aws:other") == ("x",)
    assert made == []
    assert context.get("aws:k") == context.get("aws:k") == ("late",)
    assert made == [1]
