"""The imports that an apply avoids if every host is as it should be: they would take most of its time."""

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
