"""Mastering targets by name."""

from __future__ import annotations

import pytest

from darkchannel.audio.presets import DEFAULT_PRESET, PRESETS, get_preset
from darkchannel.errors import SettingError


@pytest.mark.parametrize("name", ["acx", "r128", "podcast"])
def test_presets_are_found_by_name(name: str) -> None:
    """Each preset goes by the name it is listed under."""
    assert get_preset(name).name == name
    assert get_preset(name) is PRESETS[name]


def test_the_default_fits_acx_with_room_on_either_side() -> None:
    """A book anywhere within the tolerance still passes ACX."""
    preset = get_preset(DEFAULT_PRESET)
    assert preset.name == "acx"
    assert preset.unit == "rms"
    assert preset.target - preset.tolerance > -23
    assert preset.target + preset.tolerance < -18
    assert preset.peak_ceiling <= -3
    assert 0.5 < preset.head_seconds < 1
    assert 1 < preset.tail_seconds < 5
    assert preset.sample_rate == 44_100
    assert preset.mp3_kbps >= 192


@pytest.mark.parametrize(("name", "nearest"), [("acs", "acx"), ("R-128", "r128"), ("pod", "podc")])
def test_unknown_names_list_the_choices(name: str, nearest: str) -> None:
    """The message lists what there is, the remedy names the nearest."""
    with pytest.raises(SettingError, match="acx, r128, podcast") as caught:
        get_preset(name)
    assert nearest in caught.value.remedy


def test_names_far_from_any_get_the_default_explained() -> None:
    """Where nothing is near, the remedy says what is used by default."""
    with pytest.raises(SettingError) as caught:
        get_preset("zzzz")
    assert "default" in caught.value.remedy
