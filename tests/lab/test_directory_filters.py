"""Filters and names of the lab's directory: three values, and one spelling for many."""

from collections.abc import Iterable
from typing import ClassVar

import pytest
import sansldap
from hypothesis import given
from hypothesis import strategies as st

from mailmig.lab.directory.filters import compiled
from mailmig.lab.directory.syntaxes import folded, parent, rdns
from mailmig.lab.places import rdn

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(
    lambda name: name.strip() == name
)


class Anna:
    """One object with a few values of every syntax."""

    values: ClassVar = {
        "cn": [b"Anna M\xc3\xbcller"],
        "useraccountcontrol": [b"514"],
        "mdbusedefaults": [b"TRUE"],
        "objectguid": [b"\0\1abc"],
        "member": [b"CN=Ben\\2C B.,DC=town,DC=example"],
    }

    def get(self, name: str) -> Iterable[bytes]:
        return self.values.get(name, [])


def verdict_on(text: str) -> bool | None:
    asked = sansldap.LDAPFilter.from_string(text)
    return compiled(asked, lambda dn, name: (), lambda name: f"CN={name}")(Anna())


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("(cn=anna müller)", True),
        ("(cn=anna)", False),
        ("(cn=an*mü*er)", True),
        ("(cn=*x*)", False),
        ("(cn=anna*nna müller)", False),
        ("(department=x)", False),
        ("(!(department=x))", True),
        ("(department=*)", False),
        ("(nobodyKnows=x)", None),
        ("(!(nobodyKnows=x))", None),
        ("(|(nobodyKnows=x)(cn=*))", True),
        ("(&(nobodyKnows=x)(cn=*))", None),
        ("(&(nobodyKnows=x)(cn=x))", False),
        ("(userAccountControl>=514)", True),
        ("(userAccountControl<=513)", False),
        ("(userAccountControl=0514)", True),
        ("(userAccountControl=many)", None),
        ("(userAccountControl:1.2.840.113556.1.4.803:=514)", True),
        ("(userAccountControl:1.2.840.113556.1.4.803:=3)", False),
        ("(userAccountControl:1.2.840.113556.1.4.804:=3)", True),
        ("(userAccountControl:1.2.840.113556.1.4.804:=9)", False),
        ("(cn:1.2.840.113556.1.4.803:=2)", None),
        ("(cn:1.2.3:=2)", None),
        ("(mDBUseDefaults=TRUE)", True),
        ("(mDBUseDefaults=true)", None),
        ("(objectGUID=\\00\\01abc)", True),
        ("(objectGUID=\\00\\01ABC)", False),
        ("(member=cn=ben\\5c, b.,dc=town,dc=example)", True),
    ],
)
def test_a_filter_tells_yes_no_or_undefined(text: str, verdict: bool | None) -> None:
    assert verdict_on(text) is verdict


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_a_name_is_the_same_however_it_is_escaped(names: list[str]) -> None:
    plain = ",".join(f"CN={rdn(name)}" for name in names)
    hexed = ",".join(
        "cn=" + "".join(f"\\{byte:02X}" for byte in name.encode()) for name in names
    )  # fmt: skip
    assert [value for _, value in rdns(plain)] == names
    assert folded(plain) == folded(hexed)
    assert parent(plain) == ",".join(f"CN={rdn(name)}" for name in names[1:])
