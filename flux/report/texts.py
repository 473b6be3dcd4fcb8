"""A report as Markdown, for a pull request or a wiki, and as JSON, for programs."""

import json
import re

from flux.report.facts import facts
from flux.report.load import Material
from flux.report.sections import Section, sections
from flux.report.verdict import conclude

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&])")


def markdown_report(material: Material) -> str:
    """The verdict, why, and every table."""
    conclusion = conclude(material.document)
    lines = [f"# {_escaped(_title(material))}: {conclusion.word}", "", conclusion.meaning, ""]
    for reason in conclusion.reasons:
        remedy = f" → {_escaped(reason.remedy)}" if reason.remedy else ""
        lines.append(f"- **{reason.kind}**: {_escaped(reason.text)}{remedy}")
    if conclusion.reasons:
        lines.append("")
    lines += [f"- {name}: {_escaped(value)}" for name, value in facts(material.document)]
    for section in sections(material.document):
        lines += ["", *_table(section)]
    return "\n".join(lines) + "\n"


def json_report(material: Material) -> str:
    """The same as an object: verdict, reasons, facts and tables, all as texts."""
    conclusion = conclude(material.document)
    document = {
        "name": _title(material),
        "verdict": conclusion.word,
        "reasons": [
            {"kind": one.kind, "text": one.text, "remedy": one.remedy} for one in conclusion.reasons
        ],
        "facts": dict(facts(material.document)),
        "tables": {
            section.title: [dict(zip(section.columns, row)) for row in section.rows]
            for section in sections(material.document)
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _title(material: Material) -> str:
    name = material.document.get("Script")
    return name if isinstance(name, str) and name else "run"


def _table(section: Section) -> list[str]:
    rules = ["---" if index < section.words else "---:" for index in range(len(section.columns))]
    rows = [section.columns, *section.rows]
    head, *body = (f"| {' | '.join(map(_escaped, row))} |" for row in rows)
    note = [section.note, ""] if section.note else []
    return [f"## {section.title}", "", *note, head, f"|{'|'.join(rules)}|", *body]


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
