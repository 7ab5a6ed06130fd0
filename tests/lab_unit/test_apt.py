from pathlib import Path

from rackwright.lab.apt import default_sources, settings, sources, usable_lines, usable_stanzas

KEYRING = "/usr/share/keyrings/debian-archive-keyring"
DEBIAN = f"""\
Types: deb
URIs: http://mirror.example/debian
Suites: trixie trixie-updates
Components: main
Signed-By: {KEYRING}.gpg
"""


def test_keeps_debians_archives_of_the_hosts_release() -> None:
    assert usable_stanzas(DEBIAN) == [DEBIAN.replace(".gpg", ".pgp")]


def test_leaves_out_folders_other_releases_foreign_keys_and_what_is_switched_off() -> None:
    for was, becomes in (
        ("http://mirror.example/debian", "file:/usr/share/folder"),
        ("trixie trixie-updates", "bookworm"),
        (KEYRING, "/etc/apt/keyrings/vendor"),
        ("Types: deb\n", "Enabled: no\nTypes: deb\n"),
        ("Types: deb\n", "Types: deb-src\n"),
    ):
        assert usable_stanzas(DEBIAN.replace(was, becomes)) == [], becomes


def test_comments_between_fields_do_not_matter() -> None:
    assert len(usable_stanzas("# ours: all of it\n" + DEBIAN)) == 1


def test_reads_the_one_line_style_too() -> None:
    text = (
        "# deb http://no.example/debian trixie main\n"
        "deb http://mirror.example/debian trixie main contrib\n"
        f"deb [signed-by={KEYRING}.gpg] https://mirror.example/debian trixie-updates main\n"
        "deb [trusted=yes] http://vendor.example/debian trixie main\n"
        "deb http://mirror.example/ubuntu noble main\n"
    )
    assert [block.splitlines()[1:4] for block in usable_lines(text)] == [
        ["URIs: http://mirror.example/debian", "Suites: trixie", "Components: main contrib"],
        ["URIs: https://mirror.example/debian", "Suites: trixie-updates", "Components: main"],
    ]


def test_a_machine_without_debians_archives_gets_the_public_ones(tmp_path: Path) -> None:
    assert sources(tmp_path) == default_sources()
    assert "trixie-security" in default_sources()


def test_a_machines_own_archives_are_read_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources").write_text(DEBIAN)
    assert "mirror.example" in sources(tmp_path)


def test_keeps_proxies_and_date_checks_of_apt_and_nothing_else() -> None:
    dump = (
        'APT::Architecture "amd64";\n'
        'Acquire::http "";\n'
        'Acquire::http::Proxy "http://proxy.example:3128";\n'
        'Acquire::Check-Date "false";\n'
        'Acquire::GzipIndexes "true";\n'
        'DPkg::Post-Invoke:: "rm -f /var/cache/apt/archives/*.deb";\n'
    )
    assert settings(dump) == 'Acquire::http::Proxy "http://proxy.example:3128";\nAcquire::Check-Date "false";\n'
