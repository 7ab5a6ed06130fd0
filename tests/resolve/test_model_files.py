from __future__ import annotations

import pytest

from rackwright.resolve.model_files import UnfitFiles, choose

GGUF = (".gguf",)


def sizes(*paths: str) -> dict[str, int]:
    return dict.fromkeys(paths, 1_500_000_000)


def test_the_only_gguf_is_chosen_without_what_lies_beside_it():
    assert choose(sizes("README.md", "config.json", "m.gguf"), None) == ("m.gguf",)


def test_safetensors_come_with_configuration_tokenizer_and_template_beside_them():
    there = sizes("model-1.safetensors", "model-2.safetensors", "model.safetensors.index.json", "config.json")
    there |= sizes("tokenizer.model", "chat_template.jinja", "merges.txt")
    left = sizes("README.md", "pytorch_model.bin", "modeling.py", "original/consolidated.pth", "original/params.json")
    assert choose(there | left, None) == tuple(sorted(there))


def test_an_embedding_model_comes_with_its_pooling():
    there = sizes("model.safetensors", "config.json", "modules.json", "1_Pooling/config.json", "2_Normalize/x.json")
    there |= sizes("sentencepiece.bpe.model", "2_Dense/config.json", "2_Dense/model.safetensors")
    left = sizes("onnx/config.json", "1_Pooling/README.md", "onnx/1_Pooling/config.json")
    assert choose(there | left, None) == tuple(sorted(there))
    del there["modules.json"]
    assert "1_Pooling/config.json" not in choose(there, None)


def test_a_glob_chooses_among_gguf_files():
    assert choose(sizes("m-Q4_K_M.gguf", "m-Q8_0.gguf"), "*Q8_0*") == ("m-Q8_0.gguf",)


def test_all_parts_of_a_split_gguf_are_one_model():
    parts = tuple(f"m-0000{n}-of-00003.gguf" for n in (1, 2, 3))
    assert choose(sizes(*reversed(parts)), None) == parts


def test_the_runtime_decides_where_both_kinds_are():
    there = sizes("m.gguf", "m.safetensors", "config.json")
    assert choose(there, None, GGUF) == ("m.gguf",)
    assert choose(there, None, (".safetensors", ".gguf")) == ("config.json", "m.safetensors")


CHOICES = """has 2 GGUF models; choose one by adding to the source
  - #m-Q4.gguf  (1.50 GB)
  - #m-Q8-*.gguf  (3.00 GB)"""

UNFIT = {
    "ambiguous": (sizes("m-Q4.gguf", "m-Q8-00001-of-00002.gguf", "m-Q8-00002-of-00002.gguf"), None, CHOICES),
    "part missing": (
        sizes("m-00001-of-00003.gguf", "m-00003-of-00003.gguf"),
        None,
        "has 2 of the 3 parts of m-of-00003.gguf; should have a glob that matches all parts",
    ),
    "pickles": (
        sizes("pytorch_model.bin", "config.json"),
        None,
        "has only pickled weights, which can run code when loaded; "
        "should be a repository with safetensors or GGUF files",
    ),
    "pickle asked for": (
        sizes("pytorch_model.bin"),
        "*.bin",
        "has only pickled weights, which can run code when loaded; "
        "should be a repository with safetensors or GGUF files",
    ),
    "nothing": (sizes("README.md"), None, "has no weights; should be a repository with safetensors or GGUF files"),
    "no match": (
        sizes("a.gguf"),
        "b*",
        "#b* matches none of its GGUF or safetensors files; should match one of a.gguf",
    ),
    "shell": (
        sizes("a;reboot.gguf"),
        None,
        "has a file named 'a;reboot.gguf'; should have names of letters, digits and",
    ),
    "newline": (sizes("a\nb.gguf"), None, r"has a file named 'a\nb.gguf'"),
    "traversal": (sizes("../../etc/a.gguf"), None, "has a file named '../../etc/a.gguf'"),
}


@pytest.mark.parametrize(("there", "glob", "message"), UNFIT.values(), ids=UNFIT)
def test_what_is_not_one_model_is_refused(there, glob, message):
    with pytest.raises(UnfitFiles) as caught:
        choose(there, glob)
    assert str(caught.value.problem("site.yml", "hf:a/b")).startswith(f"site.yml: hf:a/b {message}")


def test_weights_that_the_runtime_does_not_read_are_refused():
    with pytest.raises(UnfitFiles, match=r"has \.safetensors weights only"):
        choose(sizes("m.safetensors"), None, GGUF)
