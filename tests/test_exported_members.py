"""What is public is listed, documented and there."""

import paribus


def test_everything_public_is_there_and_told_in_order() -> None:
    assert paribus.__all__ == sorted(paribus.__all__)
    for name in paribus.__all__:
        assert getattr(paribus, name) is not None
    assert dir(paribus) == paribus.__all__


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(paribus, "nothing")


def test_no_module_bears_the_name_of_a_public_function() -> None:
    from pkgutil import iter_modules

    modules = {module.name for module in iter_modules(paribus.__path__)}
    assert not modules & set(paribus.__all__)
