"""The Grafana dashboards, made from the models and committed in ``docs/dashboards/``.

``python -m monitor.dashboards`` writes them anew. They are classic dashboard JSON, which Grafana
takes from release 10 on, and ask in InfluxQL, which InfluxDB 1, 2 (by a DBRP mapping) and 3 speak.
"""
