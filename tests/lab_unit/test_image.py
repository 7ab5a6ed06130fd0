from dataclasses import replace

from rackwright.lab.bootstrap import Recipe
from rackwright.lab.image import REPOSITORY, tag_of

RECIPE = Recipe("sources", "settings", {"one.crt": "text"}, "packages", "setup", {"etc/hosts": "text"})


def test_the_same_recipe_has_the_same_tag() -> None:
    again = replace(RECIPE)
    assert tag_of(RECIPE) == tag_of(again) == f"{REPOSITORY}:{RECIPE.digest}"
    assert len(RECIPE.digest) == 12


def test_whatever_is_in_the_image_changes_its_digest() -> None:
    others = [
        replace(RECIPE, sources="else"),
        replace(RECIPE, settings="else"),
        replace(RECIPE, cas={}),
        replace(RECIPE, packages="else"),
        replace(RECIPE, setup="else"),
        replace(RECIPE, files={}),
    ]
    assert len({recipe.digest for recipe in [RECIPE, *others]}) == 7
