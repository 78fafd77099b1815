"""Rules files: what `manage.py rules apply` reads and `manage.py rules export` prints, as YAML or as Python."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

import alerts
from alerts import models
from alerts.rules.planning import Fields, Step
from llmmonitor import alerts as client
from llmmonitor.alerts import AlertLevel, AlertRule, MetricType

HEADER = "from llmmonitor.alerts import AlertLevel, AlertRule, MetricType, alert_manager\n"


class BadFile(Exception):
    """A file cannot be read as a rules file. The message has the place and the reason."""


def read_rules(path: Path) -> list[Step]:
    """Return the steps of a file: those that a Python program takes, or the rules of a YAML file. Raises BadFile."""
    readers = {".py": _run, ".yaml": _load, ".yml": _load}
    if path.suffix not in readers:
        raise BadFile(f"{path}: expected a file whose name ends in .py, .yaml or .yml.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    return readers[path.suffix](text, path)


class _Recorder:
    """The `alert_manager` of a rules file. It notes the steps, so that all are applied or none."""

    def __init__(self, path: Path) -> None:
        self.steps: list[Step] = []
        self._path = path

    def add_alert_rule(self, rule: AlertRule) -> AlertRule:
        """Note a rule to store."""
        if not isinstance(rule, AlertRule):
            raise TypeError(f"expected an AlertRule, got {rule!r}")
        self.steps.append(Step(dict(vars(rule)), self._place()))
        return rule

    def remove_alert_rule(self, rule_id: str) -> bool:
        """Note a rule to delete. Return whether it is stored."""
        self.steps.append(Step({"id": rule_id}, self._place(), removes=True))
        return models.AlertRule.objects.filter(pk=rule_id).exists()

    def get_alert_rules(self) -> list[AlertRule]:
        """Return the stored rules, by name."""
        return [AlertRule(**rule.fields()) for rule in models.AlertRule.objects.all()]

    def _place(self) -> str:
        """Return the line of the file that is being run."""
        return _place_in(self._path, traceback.walk_stack(sys._getframe()))


def _place_in(path: Path, frames: Iterator[tuple[Any, int]]) -> str:
    lines = [line for frame, line in frames if frame.f_code.co_filename == str(path)]
    return f"{path.name}:{lines[-1]}" if lines else path.name


def _run(text: str, path: Path) -> list[Step]:
    """Run a Python file. Its names are those of this installation, however it imports them."""
    recorder = _Recorder(path)
    names = {
        "alert_manager": recorder, "AlertRule": AlertRule, "AlertLevel": AlertLevel, "MetricType": MetricType,
    }  # fmt: skip
    try:
        with _replaced(alerts, names), _replaced(client, names):
            exec(compile(text, str(path), "exec"), {"__name__": "__main__", "__file__": str(path), **names})  # noqa: S102
    except SyntaxError as error:
        raise BadFile(f"{path.name}:{error.lineno}: {error.msg}") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 (the file may raise anything)
        place = _place_in(path, traceback.walk_tb(error.__traceback__))
        raise BadFile(f"{place}: {type(error).__name__}: {error}") from None
    return recorder.steps


@contextmanager
def _replaced(module: ModuleType, names: Mapping[str, Any]) -> Iterator[None]:
    """Replace names of a module while the block runs."""
    before = {name: vars(module)[name] for name in names if name in vars(module)}
    vars(module).update(names)
    try:
        yield
    finally:
        for name in names:
            del vars(module)[name]
        vars(module).update(before)


class _Loader(yaml.SafeLoader):
    """Refuses a mapping that has a key twice, of which YAML's loader takes the last."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Return the mapping. Raises YAMLError."""
        node = super().compose_mapping_node(anchor)
        keys = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in keys:
                raise yaml.MarkedYAMLError(problem=f"has the key {key.value} twice", problem_mark=key.start_mark)
            keys.add(key.value if isinstance(key, yaml.ScalarNode) else key)
        return node


def _load(text: str, path: Path) -> list[Step]:
    """Return the rules of a YAML file: a list of them, or an object with the list as `rules`."""
    loader = _Loader(text)
    try:
        node: Any = loader.get_single_node()
        content = loader.construct_document(node) if node else []
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path.name}:{mark.line + 1}" if mark else path.name
        raise BadFile(f"{place}: {getattr(error, 'problem', None) or error}.") from None
    finally:
        loader.dispose()
    if isinstance(content, dict) and content.keys() == {"rules"}:
        content = content["rules"]
        node = node.value[0][1]
    if not isinstance(content, list):
        raise BadFile(f"{path.name}: expected a list of rules.")
    steps = []
    for rule, part in zip(content, node.value if node else [], strict=True):
        place = f"{path.name}:{part.start_mark.line + 1}"
        if not isinstance(rule, dict):
            raise BadFile(f"{place}: expected a rule, which has fields such as id and name.")
        steps.append(Step({str(name): value for name, value in rule.items()}, place))
    return steps


def as_yaml(rules: Sequence[Fields]) -> str:
    """Return the text of a YAML file with all fields of these rules."""
    return yaml.safe_dump([dict(rule) for rule in rules], sort_keys=False, allow_unicode=True, width=120)


def as_python(rules: Sequence[Fields]) -> str:
    """Return the text of a Python file with all fields of these rules."""
    return "\n".join([HEADER, *(_call(rule) for rule in rules)])


def _call(rule: Fields) -> str:
    enums = {"metric_type": MetricType, "severity": AlertLevel}
    lines = [
        f"    {name}={f'{enums[name].__name__}.{enums[name](value).name}' if name in enums else repr(value)},\n"
        for name, value in rule.items()
    ]
    return f"alert_manager.add_alert_rule(AlertRule(\n{''.join(lines)}))\n"
