"""The script of plotly: what is around it goes, and what is not known stays."""

import pytest

from flux.report.plotly_script import load_plotly, unwrapped

LICENCE = "/**\n* plotly.js v4\n*/\n"
BODY = '"use strict";var Plotly=(()=>{return {react(){}}})();\n\nwindow.Plotly = Plotly;'
WRAPPED = f"""{LICENCE}(
 function(root, factory) {{
  if (typeof module === "object" && module.exports) {{
   module.exports = factory();
  }} else {{
   root.moduleName = factory();
  }}
}} (typeof self !== "undefined" ? self : this, () => {{
{BODY}
return Plotly;
}}));
"""


def test_the_function_around_the_script_is_taken_off_and_the_licence_stays() -> None:
    assert unwrapped(WRAPPED) == f"{LICENCE}{BODY}\n"


@pytest.mark.parametrize(
    "script", ["", "window.Plotly = {};", WRAPPED.replace("return Plotly;", "return P;")]
)
def test_a_script_of_another_form_stays_as_it_is(script: str) -> None:
    assert unwrapped(script) == script


def test_that_of_the_installed_plotly_has_its_licence_and_no_wrapping() -> None:
    pytest.importorskip("plotly")
    script = load_plotly()
    assert script.startswith("/**\n* plotly.js")
    assert "MIT license" in script[:200]
    assert script.endswith("window.Plotly = Plotly;\n")
