"""Placeholders in the notations of other vendors: found where they are, and nowhere else."""

from __future__ import annotations

import pytest

from yunxin_soap.placeholders import find_placeholder

COLUMNS = ("手机", "客户", "name", "Amount", "折扣", "1", "优惠券")


@pytest.mark.parametrize(
    ("token", "name"),
    [
        ("${name}", "name"),
        ("${ name }", "name"),
        ("${客户}", "客户"),
        ("${anything}", "anything"),
        ("#{name}", "name"),
        ("{{name}}", "name"),
        ("{{ name }}", "name"),
        ("{{客户}}", "客户"),
        ("{{user.name}}", "user.name"),
        ("{{验证码}}", "验证码"),
        ("{$var}", "var"),
        ("{#name#}", "name"),
        ("{%name%}", "name"),
        ("%(name)s", "name"),
        ("<%= name %>", "name"),
        ("@var(name)", "name"),
        ("#name#", "name"),
        ("#code#", "code"),
        ("#客户#", "客户"),
        ("＃客户＃", "客户"),
        ("%name%", "name"),
        ("%客户%", "客户"),
        ("@name@", "name"),
        ("$name$", "name"),
        ("$客户$", "客户"),
        ("$name", "name"),
        ("$Amount", "Amount"),
        ("｛name｝", "name"),
        ("｛客户｝", "客户"),
        ("｛anything｝", "anything"),
        ("【变量】", "变量"),
        ("【变量1】", "变量1"),
        ("【客户】", "客户"),
        ("[客户]", "客户"),
        ("［客户］", "客户"),
        ("〔客户〕", "客户"),
        ("<name>", "name"),
        ("<客户>", "客户"),
        ("[变量]", "变量"),
        ("#amount#", "amount"),
        ("#变量2#", "变量2"),
    ],
)
def test_find_placeholder_of_another_notation_is_found(token: str, name: str) -> None:
    """It is found in a template and in a finished text, wherever it is."""
    for template in (True, False):
        for text in (
            f"您好{token}，余额不足【签名】",
            f"{token}您好【签名】",
            f"1#楼{token}【签名】",
        ):
            found = find_placeholder(text, COLUMNS, template=template)
            assert found is not None
            assert (found.text, found.name) in [(token, name), (token.rstrip("$"), name)]


@pytest.mark.parametrize(
    "token",
    [
        *("${name}", "#{code}", "{{name}}", "{$x}", "#name#", "%code%", "｛name｝", "【变量】"),
        *("%(a)s", "$name", "#验证码#", "<变量>", "[name]", "@name@"),
    ],
)
def test_find_placeholder_sure_one_needs_no_list(token: str) -> None:
    """What cannot be honest text is found without the columns of a list."""
    for template in (True, False):
        assert find_placeholder(f"您好{token}【签名】", template=template) is not None


@pytest.mark.parametrize(
    ("signature", "name"),
    [
        ("【变量】", "变量"),
        ("【姓名】", "姓名"),
        ("【name】", "name"),
        ("【 余额 】", "余额"),
        ("【${sign}】", "sign"),
        ("【{{sign}}】", "sign"),
        ("【#sign#】", "sign"),
        ("【%s】", "%s"),
    ],
)
def test_find_placeholder_as_signature_is_found(signature: str, name: str) -> None:
    """What ends a message is no signature if it can only be a placeholder, or is a column."""
    for template in (True, False):
        found = find_placeholder(f"您好，欢迎{signature}", ["sign"], template=template)
        assert found is not None
        assert found.name == name


def test_find_placeholder_column_as_signature_is_found() -> None:
    """A signature that a column has as its name was meant to be filled."""
    assert find_placeholder("您好，欠费【应缴】", ["应缴"], template=True) is not None
    assert find_placeholder("您好，欠费【应缴】", template=True) is None


@pytest.mark.parametrize("token", ["%s", "%d", "%1$s", "%@"])
def test_find_placeholder_of_printf_in_a_template(token: str) -> None:
    """It is none inside ``{due:%d}``, which says how to write a date."""
    found = find_placeholder(f"您好{token}，{{due:%m月%d}}到期【签名】", template=True)
    assert found is not None
    assert found.text == token
    assert find_placeholder("您好，{due:%m月%d}到期，涨{rate}%d【签名】", template=True) is None


@pytest.mark.parametrize(
    "token", ["{name}", "{姓名}", "{ code }", "{}", "{0}", "{1}", "%s", "%1$s"]
)
def test_find_placeholder_unfilled_one_in_a_finished_text(token: str) -> None:
    """In a text to be sent, nothing fills Python's own placeholders any more."""
    found = find_placeholder(f"您好{token}，余额不足【签名】")
    assert found is not None
    assert found.text == token


@pytest.mark.parametrize(
    "text",
    [
        "您好【签名】",
        "50%折扣，满100%返现【签名】",
        "5折%，100%正品，0%利率%【签名】",
        "享50%折扣，再享20%折扣【签名】",
        "涨幅5%d区【签名】",
        "学C#和F#【签名】",
        "#双11#大促，#618#返场【签名】",
        "请到3#楼2#门【签名】",
        "#iPhone#新品【签名】",
        "【重要】您的包裹已到【签名】",
        "【时间】明天【地点】上海【签名】",
        "余额$100，还款$50$【签名】",
        "付$100-$200【签名】",
        "联系a@b.com,c@d.com【签名】",
        "见https://a.cn/%E5%90%8D%E5%AD%97?x=%2F#/top【签名】",
        "见附件[1]和[2]，谢谢[微笑]【签名】",
        "1 < 2 > 1，<温馨提示>【签名】",
        "{您好，世界}【签名】",
        '{"a": 1}【签名】',
        "（name）客户【签名】",
        "您好客户，name【签名】",
        "您好，Amount不足【签名】",
        "降5%@门店，涨3%s区【签名】",
        *("您好【Link】", "您好【TIME】", "您好【姓名学会】"),
        "｛温馨提示｝您好【签名】",
        "100%（name）%【签名】",
    ],
)
def test_find_placeholder_honest_text_has_none(text: str) -> None:
    """Percentages, hashtags, headings, prices, addresses and a signature are honest text."""
    assert find_placeholder(text, COLUMNS) is None
    assert find_placeholder(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "您好{name}【签名】",
        "{{ {name} }}【签名】",
        "{{{name}}}【签名】",
        "{{A}}区{{您好}}【签名】",
        "{1}您好{}【签名】",
        "【客户】{客户}【签名】",
        "[客户]{ 客户 }，<name>{name:%m月}【签名】",
        "话题#{客户}#，住3#{客户}室【签名】",
        "[{name}]【{客户}】<{name}>@{客户} %{name}【签名】",
    ],
)
def test_find_placeholder_own_notation_is_none(text: str) -> None:
    """In a template, ``{name}`` is a column, ``{{`` a brace, and a label may have that name."""
    assert find_placeholder(text, COLUMNS, template=True) is None
