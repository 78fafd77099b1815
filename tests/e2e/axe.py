"""axe-core in a page: the rules of WCAG 2.2 A and AA that a program can judge."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

# `make setup-dev` installs it (package.json).
SCRIPT = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
BLOCKING = ("serious", "critical")
# Halfway through a transition a color is neither the one before nor the one after it.
RUN = """async () => {
  const ending = document.getAnimations().filter(({ effect }) => effect.getComputedTiming().endTime !== Infinity);
  await Promise.allSettled(ending.map(({ finished }) => finished));
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const { violations } = await axe.run(document, { runOnly: tags, resultTypes: ["violations"] });
  return violations;
}"""


@cache
def script() -> str:
    return SCRIPT.read_text(encoding="utf-8")


def faults(page: Page) -> list[str]:
    """Return the serious and critical findings on the page as it is now: rule, element and reason."""
    page.evaluate(script())  # as a person does in the developer tools, so that the policy of the page stays in force
    violations: list[dict[str, Any]] = page.evaluate(RUN)
    return [
        f"{violation['id']}: {' '.join(node['target'])}: {node['failureSummary']}"
        for violation in violations
        if violation["impact"] in BLOCKING
        for node in violation["nodes"]
    ]
