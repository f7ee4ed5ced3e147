"""The secret key is made once, is its owner's alone, and lies in no checkout."""

import os
import stat
import threading
from pathlib import Path

import pytest

from plcsite.secret_key import Unusable, kept_key, user_data
from tests.serving.process import manage


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path, Path]:
    """The data in a checkout, the checkout, and where the user keeps data."""
    checkout = tmp_path / "checkout"
    (checkout / "data" / "gateway").mkdir(parents=True)
    return checkout / "data" / "gateway", checkout, tmp_path / "home"


def kept_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


class TestANewKey:
    def test_of_data_in_the_checkout_is_kept_outside_of_it(self, places):
        data, checkout, home = places
        key = kept_key(data, checkout, home)
        (path,) = kept_in(home)
        assert path.read_text() == key
        assert len(key) >= 50
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert kept_in(checkout) == []
        assert kept_key(data, checkout, home) == key

    def test_of_data_elsewhere_is_kept_beside_them(self, places, tmp_path: Path):
        _, checkout, home = places
        (tmp_path / "data").mkdir()
        kept_key(tmp_path / "data", checkout, home)
        assert [path.name for path in kept_in(tmp_path / "data")] == ["secret_key"]
        assert kept_in(home) == []

    def test_is_another_for_other_data(self, places):
        data, checkout, home = places
        (demo := data.with_name("demo")).mkdir()
        assert kept_key(data, checkout, home) != kept_key(demo, checkout, home)

    def test_is_one_however_many_processes_start_at_once(self, places):
        keys: list[str] = []
        threads = [threading.Thread(target=lambda: keys.append(kept_key(*places))) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(keys) == 20
        assert len(set(keys)) == 1
        assert len(kept_in(places[2])) == 1

    def test_is_kept_where_the_user_keeps_data(self):
        assert user_data("/home/anna", "") == Path("/home/anna/.local/share")
        assert user_data("/home/anna", "/srv/data") == Path("/srv/data")


class TestAnEarlierKey:
    def test_moves_out_of_the_checkout_and_stays_the_same(self, places):
        data, checkout, home = places
        (data / "secret_key").write_text("k" * 50)
        (data / "secret_key").chmod(0o600)
        assert kept_key(data, checkout, home) == "k" * 50
        assert kept_in(checkout) == []
        assert kept_key(data, checkout, home) == "k" * 50


class TestAKeyThatCannotBeUsed:
    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
    def test_since_others_may_read_it_is_refused(self, places, mode: int):
        kept_key(*places)
        (path,) = kept_in(places[2])
        path.chmod(mode)
        with pytest.raises(Unusable, match="chmod 600"):
            kept_key(*places)

    def test_since_it_is_empty_is_refused(self, places):
        kept_key(*places)
        (path,) = kept_in(places[2])
        path.write_text("\n")
        with pytest.raises(Unusable, match="is empty"):
            kept_key(*places)

    def test_since_there_is_no_place_for_it_says_what_to_set(self, places, tmp_path: Path):
        (tmp_path / "file").write_text("")
        with pytest.raises(Unusable, match="Set SECRET_KEY in the environment, or DATA_DIR"):
            kept_key(places[0], places[1], tmp_path / "file")

    def test_ends_a_command_with_that_text_and_no_stack(self, tmp_path: Path):
        (tmp_path / "secret_key").write_text("k" * 50)
        os.chmod(tmp_path / "secret_key", 0o644)
        ended = manage(tmp_path, "check")
        assert ended.returncode == 1
        assert ended.stderr.startswith("Others than its owner may read or write the secret key")
        assert "Traceback" not in ended.stderr
        assert "kkk" not in ended.stderr
