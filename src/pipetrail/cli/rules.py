"""``pipetrail rules``: what to alert on in Prometheus, and the dashboard for Grafana, from one source."""

import click

HEADER = "# Written by `pipetrail rules{}`. What each alert means: {}\n"


@click.command()
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(("prometheus", "prometheusrule", "dashboard")),
    default="prometheus",
    show_default=True,
    help="A rule file; an object for the Prometheus operator; a dashboard for Grafana.",
)
def rules(form: str) -> None:
    """Print recording and alerting rules for Prometheus, or a dashboard for Grafana.

    They go with the metrics that pipetrail record serves at /metrics.

    \b
    pipetrail rules > /etc/prometheus/rules/pipetrail.yaml
    pipetrail rules -o prometheusrule | kubectl apply -n monitoring -f -
    pipetrail rules -o dashboard > pipetrail.json        import it in Grafana
    """
    click.echo(written(form), nl=False)


def written(form: str) -> str:
    """The text of one form."""
    import json

    import yaml

    from pipetrail.app.dashboard import dashboard
    from pipetrail.app.rules import RUNBOOKS, document, prometheus_rule

    if form == "dashboard":
        return json.dumps(dashboard(), indent=2) + "\n"
    found, option = (document(), "") if form == "prometheus" else (prometheus_rule(), f" -o {form}")
    body: str = yaml.safe_dump(found, sort_keys=False, width=110, allow_unicode=True)
    return HEADER.format(option, RUNBOOKS) + body
