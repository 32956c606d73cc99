"""The check of the built pages finds each kind of fault."""

from tools.site import faults


def test_each_kind_of_fault(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.html").write_text(
        '<p id="here"><a href="sub/b.html#there"></a><a href="#here"></a>'
        '<a href="https://example.org/none"></a><img src="data:image/png;base64,"></p>'
    )
    (tmp_path / "sub/b.html").write_text('<p id="there"><a href="../a.html#here"></a></p>')
    assert not list(faults(tmp_path))
    (tmp_path / "A.html").write_text(
        '<a href="c.html"></a><a href="a.html#gone"></a><img src="c.png">'
        '<script src="https://example.org/x.js"></script><link rel="stylesheet" href="//e.org/x">'
    )
    found = sorted(faults(tmp_path))
    assert found == [
        "A.html: a.html#gone names no place on that page",
        "A.html: c.html leads nowhere",
        "A.html: c.png leads nowhere",
        "A.html: loads //e.org/x from the network",
        "A.html: loads https://example.org/x.js from the network",
        "a.html: differs from another file only by capitals",
    ]
