"""Writes every dashboard anew: ``python -m monitor.dashboards``."""

from pathlib import Path

from monitor.dashboards.grafana import write
from monitor.dashboards.overview import site_overview

if __name__ == "__main__":
    write(site_overview(), Path("docs/dashboards"))
