"""Files of installed packages: found by name where they really lie."""

from watchword.data.package_files import package_files


def test_a_file_is_where_it_is_said_to_be() -> None:
    carried = package_files("numpy")
    assert carried is not None
    assert "def savez" in carried["_npyio_impl.py"].read_text(encoding="utf-8")


def test_a_package_that_is_not_installed_has_none() -> None:
    assert package_files("no-such-package-as-this") is None
