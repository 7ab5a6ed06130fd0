from dataclasses import replace

from rackwright.lab.image import REPOSITORY, Recipe

RECIPE = Recipe("sources", "settings", {"one.crt": "text"})


def test_the_same_recipe_has_the_same_tag() -> None:
    again = Recipe("sources", "settings", {"one.crt": "text"})
    assert RECIPE.tag == again.tag == f"{REPOSITORY}:{RECIPE.digest}"
    assert len(RECIPE.digest) == 12


def test_whatever_is_in_the_image_changes_its_digest() -> None:
    others = [
        replace(RECIPE, sources="else"),
        replace(RECIPE, settings="else"),
        replace(RECIPE, authorities={}),
        replace(RECIPE, packages="else"),
        replace(RECIPE, setup="else"),
    ]
    assert len({recipe.digest for recipe in [RECIPE, *others]}) == 6
