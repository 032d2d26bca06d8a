"""The estimate of how good a line sounds."""

import pytest

from policies.quality import mean_opinion_score, r_factor


@pytest.mark.parametrize(
    ("codec", "lost", "jitter_ms", "round_trip_ms", "mos"),
    [
        pytest.param("PCMU", 0.0, 0.0, 0.0, 4.40, id="perfect"),
        pytest.param("PCMA", 0.0, 5.0, 40.0, 4.37, id="good"),
        pytest.param("G722", 0.0, 5.0, None, 4.39, id="round trip unknown"),
        pytest.param("pcmu", 0.02, 5.0, 40.0, 4.20, id="two percent lost"),
        pytest.param("PCMU", 0.10, 10.0, 80.0, 3.31, id="ten percent lost"),
        pytest.param("PCMU", 0.0, 20.0, 600.0, 3.33, id="satellite"),
        pytest.param("PCMU", 0.5, 60.0, 400.0, 1.0, id="half lost"),
        pytest.param("PCMU", 1.0, 200.0, 2000.0, 1.0, id="nothing left"),
    ],
)
def test_mean_opinion_score(codec: str, lost: float, jitter_ms: float, round_trip_ms: float | None, mos: float) -> None:
    """Known conditions give the E-model's scores."""
    score = mean_opinion_score(codec=codec, lost_fraction=lost, jitter_ms=jitter_ms, round_trip_ms=round_trip_ms)
    assert score == pytest.approx(mos, abs=0.02)


def test_worse_is_never_better() -> None:
    """More loss, more jitter or more delay never raises the score, and it stays within its scale."""
    last = 4.5
    for step in range(101):
        score = mean_opinion_score(
            codec="PCMU", lost_fraction=step / 100, jitter_ms=float(step), round_trip_ms=10.0 * step
        )
        assert 1.0 <= score <= last
        last = score


@pytest.mark.parametrize("lost", [-0.5, 0.0])
def test_loss_below_zero_is_none(lost: float) -> None:
    """Duplicated packets can make the counters say so."""
    assert r_factor(codec="PCMU", lost_fraction=lost, jitter_ms=0.0, round_trip_ms=None) == pytest.approx(92.72)


def test_an_unknown_codec_is_a_mistake() -> None:
    """A codec the product does not use has no figures."""
    with pytest.raises(KeyError):
        r_factor(codec="OPUS", lost_fraction=0.0, jitter_ms=0.0, round_trip_ms=None)
