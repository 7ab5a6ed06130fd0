"""What an apply doesn't import that finds every host as it should be: most of its time would go there."""

_ONLY_FOR_CHANGES = ("backup", "carry_out", "engines", "reboot", "rollout", "settle", "staging")
NEEDLESS = frozenset(
    (
        *(f"rackwright.lifecycle.{name}" for name in _ONLY_FOR_CHANGES),
        "asyncio",
        "huggingface_hub",
        "importlib.metadata",
        "jsonschema",
        "numpy",
        "packaging",
        "regex",
        "requests",
        "rich",
        "scipy",
        "ssl",
        "typeguard",
        "unittest",
    )
)
