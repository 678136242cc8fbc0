"""The cases that each client sends: the fields that differ from a plain submission."""

from __future__ import annotations

NUMBERS_500 = ",".join(f"1390000{number:04d}" for number in range(5000, 5500))

CASES: dict[str, dict[str, str]] = {
    "Chinese": {"Msg": "您的验证码是１２３４，请勿告诉他人。【签名】"},
    "emoji": {"Msg": "您好😀𠮷👨‍👩‍👧【签名】"},
    "XML": {"Msg": "1 < 2 & \"a\" 'b' > 0 ]]>【签名】"},
    "lines": {"Msg": "第一行\n第二行\r\n第三行【签名】"},
    "edges": {"Msg": "  \t您好  【签名】"},
    "500": {"DesNo": NUMBERS_500},
    "ExeNo": {"ExeNo": "9"},
    "no ExeNo": {},
    "-3": {"userPass": "wrong"},
}
