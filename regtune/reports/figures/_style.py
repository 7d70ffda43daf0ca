"""How charts look: Vega-Lite's configuration on a light page, on a dark one, and on paper."""

from __future__ import annotations

from regtune.core.records import Plain


def light() -> Plain:
    """Return the configuration for a light page."""
    return _config(ink="#333333", faint="#dddddd", font="system-ui, sans-serif") | {"background": "transparent"}


def dark() -> Plain:
    """Return the configuration for a dark page."""
    return _config(ink="#d8d8d8", faint="#3a3a3a", font="system-ui, sans-serif") | {"background": "transparent"}


def paper() -> Plain:
    """Return the configuration for SVG and PDF."""
    return _config(ink="#222222", faint="#dddddd", font="sans-serif") | {"background": "white"}


def _config(*, ink: str, faint: str, font: str) -> Plain:
    words = {"labelColor": ink, "titleColor": ink, "titleFontWeight": "normal"}
    return {
        "font": font,
        "view": {"stroke": None},
        "axis": {**words, "domainColor": faint, "tickColor": faint, "gridColor": faint, "labelLimit": 150},
        "legend": {**words, "orient": "bottom", "direction": "horizontal", "columns": 3, "labelLimit": 150},
        "header": {**words, "labelFontWeight": "bold", "labelLimit": 170},
        "title": {"color": ink, "subtitleColor": ink, "fontSize": 11, "anchor": "start", "limit": 170},
        "text": {"color": ink},
    }
