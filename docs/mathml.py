"""Sphinx extension: formulas as MathML, which browsers draw without a script or a network."""

from docutils import nodes
from latex2mathml.converter import convert

# bars of a norm, which browsers otherwise stretch
BARS = ("&#x02016;", "&#x02225;")


def _mathml(formula, display):
    text = convert(formula, display=display)
    for bar in BARS:
        text = text.replace(f"<mo>{bar}<", f'<mo stretchy="false">{bar}<')
    return text


def _inline(translator, node):
    translator.body.append(_mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def _block(translator, node):
    translator.body.append(translator.starttag(node, "div", CLASS="formula"))
    for formula in node.astext().split("\n\n"):
        translator.body.append(_mathml(formula, "block"))
    translator.body.append("</div>")
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True}
