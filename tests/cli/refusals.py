"""Command lines that end with one line of a message, and write nothing."""

import pytest


def refuses(command, rows, fixtures=()):
    """Returns a test that a command with each of these options is refused.

    Args:
        command: What each line begins with.
        rows: Pairs of further words and of what the message says.
        fixtures: Names of fixtures that the lines need.
    """

    @pytest.mark.parametrize(("options", "message"), rows)
    def test(request, tmp_path, options, message):
        for fixture in fixtures:
            request.getfixturevalue(fixture)
        refused = request.getfixturevalue("refused")
        assert message in refused(f"{command} {options}")
        assert not (tmp_path / "runs").exists()

    return test
