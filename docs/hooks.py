"""What the site needs beyond Markdown: figures, the index of decisions, the page of error messages."""

import importlib.util
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the README's figures, an index of the decisions, and the page of error messages."""
    for path in sorted((ROOT / "assets" / "figures").glob("*")):
        files.append(File.generated(config, f"assets/figures/{path.name}", abs_src_path=str(path)))

    rows = ["# Decisions", "", "A page each: context, choice, cost.", ""]
    for path in sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md")):
        title = path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        rows.append(f"- [{title}]({path.name})")
    files.append(File.generated(config, "decisions/index.md", content="\n".join(rows) + "\n"))

    spec = importlib.util.spec_from_file_location("error_messages", ROOT / "tools" / "error_messages.py")
    assert spec is not None and spec.loader is not None
    error_messages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(error_messages)
    files.append(File.generated(config, "messages.md", content=error_messages.page(ROOT)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links to the figures are written for readers of the repository; here they lie inside the site."""
    depth = "../" * page.file.src_uri.count("/")
    return re.sub(r"\]\((?:\.\./)+assets/", f"]({depth}assets/", markdown)
