"""What an apply doesn't import that finds every host as it should be: most of its time would go there."""

ONLY_FOR_CHANGES = ("apply.carry_out", "apply.reboot", "apply.settle", "backup", "p2p.procedure", "rollout")
NEEDLESS = frozenset(
    (
        *(f"rackwright.lifecycle.{name}" for name in ONLY_FOR_CHANGES),
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
