import json
import re

import pytest

from edgecnn import errors
from edgecnn.errors import EdgecnnError, MissingExtraError

FAMILY = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EdgecnnError)]
FAMILY.remove(EdgecnnError)


def test_every_error_has_an_exit_code_of_the_table() -> None:
    table = {int(code) for code in re.findall(r"^\| (\d+) \|", errors.__doc__ or "", re.MULTILINE)}
    assert {kind.exit_code for kind in FAMILY} == table - {0, 1, 130}


def test_no_two_errors_share_a_code() -> None:
    assert len({kind.code for kind in FAMILY}) == len(FAMILY)


@pytest.mark.parametrize("kind", [kind for kind in FAMILY if kind is not MissingExtraError])
def test_the_four_parts_stand_in_the_json(kind: type[EdgecnnError]) -> None:
    error = kind("It failed.", received=17, accepted="18", remedy="add one")
    assert json.loads(json.dumps(error.as_json())) == {
        "schema": 1,
        "error": {"code": kind.code, "message": "It failed.", "received": "17", "accepted": "18", "remedy": "add one"},
    }


def test_nothing_received_is_null_and_not_a_word() -> None:
    assert errors.DataError("It failed.", remedy="mend it").as_json()["error"]["received"] is None


def test_a_missing_extra_names_what_to_install() -> None:
    error = MissingExtraError("tf_keras", "build")
    assert error.exit_code == 2
    assert "tf_keras" in error.message
    assert ".[build]" in error.remedy
