"""Says which East Asian or Western encoding fits some bytes best, by frequent characters. Pure.

Nearly every sequence of bytes is valid GBK, so a list in Big5, Shift-JIS, EUC-KR or cp1252 is valid
GBK, too, with other characters in it; and a few words in GBK, such as 联通, are valid UTF-8. A list
is short, often 50 names, so this looks at each character: the names and headings of a language use
few of those that its encoding has.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from itertools import pairwise

_CHINESE = frozenset(
    # the most frequent in texts
    "的一是不了在人有我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可"
    "里后小么心多天而能好都然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已"
    "老从动两长知民样现分将外但身些与高意进把法此实回二理美点月明其种声全工己话儿者向情部正名定女问"
    "力机给等几很业最间新什打便位因重被走电四第门相次东政海口使教西再平真听世气信北少关并内加化由却"
    "代军产入先山五太水万市眼体别处总才场师书比住员九笑性通目华报立马命张活难神数件安表原车白应路期"
    "叫死常提感金何更反合放做系计或司利受光王果亲界及今京务制解各任至清物台象记边共风战干接它许八特"
    "觉望直服毛林题建南度统色字请交爱让认算论百吃义科怎元社术结六功指思非流每青管夫连远资队跟带花快"
    "条院变联言权往展该领传近留红治决周保达办运武半候七必城父强步完革深区即求品士转量空甚众技轻程告"
    "江语英基派满式李息写呢识极令黄德收脸钱党倒未持取设始版双历越史商千片容研像找友孩站广改议形委早"
    "房音火际则首单据导影失拿网香似斯专石若兵弟谁校读志飞观争究包组造落视济喜离虽坏虎哈"
    # in surnames and given names
    "刘陈杨赵吴徐孙朱胡郭罗梁宋郑谢韩唐冯董萧曹袁邓傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田"
    "姜范姚谭廖邹熊陆郝孔崔康邱秦顾侯邵孟龙段雷钱汤尹黎易武乔贺赖龚庞樊殷施翁倪严牛温芦俞章鲁葛伍韦"
    "申尤毕聂焦左齐梅庄辛管祝欧阳伟芳娜秀敏静丽强磊洋艳勇杰娟涛超霞刚桂玉兰萍红军建国辉玲梓涵浩宇轩"
    "欣怡睿琪瑶昊佳嘉子雨晨欢博思诗雅婷雪琳晶鑫鹏飞宁波斌凯旭俊峰亮燕彬莉莹倩颖丹晓慧云凤春梅珍荣洁"
    "琴淑惠翠琼瑞松岩昌盛兴旺祥福贵财宝庆仁义礼智忠良善永恒泽润清源森淼焱钰航瑜璐玥妍彤悦"
    # in the headings of lists
    "姓名手机号码电话联系客户会员编地址城市金额余数量日期备注性别男女订单商品尊敬贵先生小姐您费元账积分"
    "卡等级店省区县街村组必填序类型状态渠邮箱公司部职微昵称到欠款还支付券活动群生短信内容"
)
_RARE_NAMES = frozenset(
    "喆堃祎玥頔赟犇翀昇珺婳彧翊烜澍燚骁崟媖囍镕淏濛旻晞珅昉堉堯峣弢暘梽洺湉炘煊煜燊珩琤璟璠皞祺禛芃芮苡荻菡"
    "蓥骐鹂麒鑨锳銎镭韫頫騄翯翾蘅虓褀訢詝贇邺郗鄢邬亓仝逄禤璩麴逯郇劼勍喬婕嫣妤姝媛孜尧岚岐嵘峻彪怿恺懿"
)
_TRADITIONAL = frozenset(
    "們這個說國來為會學對時過還發後兩樣長開動現將實見經頭業間電門東車馬張難數應報書處場師聲點機話問"
    "號碼聯絡戶員編單訂額餘餐廳費級縣鄉鎮區樓層備註稱務戰統語論記讀請謝許設計讓認議識課證譯護變"
    "陳楊黃趙吳劉孫鄭馮蕭鄧葉鍾潘陸蘇盧蔣賈閻餘譚鄒龍錢湯賀賴龔龐嚴蘆魯葛韋畢聶齊莊歐陽偉靜麗強軍"
    "艷傑濤剛蘭紅輝鳳潔榮瓊瑩穎倫賢維綺雯萬寶慶義禮恆澤潤韻憲銘錦銀鈴鐘鴻鵬麟龜"
    "姓名手機電話先生小姐客戶台北中市香港新竹高雄林王李志明美惠淑芬雅婷怡君家豪俊宏佳玲"
)
_HANGUL = frozenset(
    "김이박최정강조윤장임한오서신권황안송류전홍고문양손배백허유남심노하곽성차주우구민진나엄원천방공현함변"
    "염여추도소석선설마길연위표명기반왕금옥육인맹제모탁국어은편용"
    "준지수영호희경미혜동재승태상철숙자순라린빈율솔아예슬다보름번전화휴대폰일월년고객주소회사메시님의을를에"
    "가는로입니습요해시서무부과팀장대리합계액원메모비이메일등급"
)
_LATIN = frozenset("éèàçüöäñáíóúêâôîëïßãõåøæœìòùýðþšž")
_LATIN_CAPITALS = frozenset("ÉÀÜÖÄÅØÇÑÁÓÚÍÈÊÂÔÎŠŽ")
_SIGNS = frozenset("\u00a0·°×÷±®©£¥§«»µ")
_LETTERS_OF_OTHERS = re.compile(
    "[\u0391-\u03c9\u0410-\u044f\u0401\u0451\u05d0-\u05ea\u0621-\u064a]"
)
_PUNCTUATION = frozenset("’‘“”–—…€«»°®´¿¡·§")

# The logarithm of how likely a character is in a text of the encoding. Each is about that of the
# share of its group, divided by the size of the group.
_ASCII = -3.5
_INVALID = -20.0
_PRIVATE = -18.0
_IN_A_WORD = -5.0
_NEIGHBOURS = -4.0


def _gbk(character: str) -> float:
    if character in _CHINESE:
        return -6.0
    if character in _RARE_NAMES:
        return -8.5
    encoded = character.encode("gb18030")
    if len(encoded) > 2 or "\ue000" <= character <= "\uf8ff":
        return _PRIVATE
    lead, trail = encoded
    if trail < 0xA1 or lead < 0xA1 or lead > 0xF7:
        return -13.5
    if lead < 0xB0:
        return {0xA1: -7.5, 0xA2: -9.5, 0xA3: -7.5}.get(lead, -14.0)
    return -9.3 if lead < 0xD8 else -11.5


def _big5(character: str) -> float:
    if character in _TRADITIONAL:
        return -6.0
    if character in _CHINESE:
        return -7.0
    if "\ue000" <= character <= "\uf8ff":
        return _PRIVATE
    lead = character.encode("cp950")[0]
    if lead < 0xA4:
        return -7.5
    return -9.3 if lead < 0xC7 else -12.0


def _shift_jis(character: str) -> float:
    if "\u3041" <= character <= "\u30fe":
        return -4.8
    if "\uff61" <= character <= "\uff9f":
        return -4.4
    if "\ue000" <= character <= "\uf8ff":
        return _PRIVATE
    encoded = character.encode("cp932")
    if len(encoded) < 2:
        return _PRIVATE
    if character in _CHINESE or character in _TRADITIONAL:
        return -7.5
    code = int.from_bytes(encoded, "big")
    if code < 0x889F:
        return -7.5
    return -8.5 if code < 0x989F else -12.5


def _euc_kr(character: str) -> float:
    if character in _HANGUL:
        return -5.3
    encoded = character.encode("cp949")
    if "\uac00" <= character <= "\ud7a3":
        return -8.5 if encoded[1] >= 0xA1 and encoded[0] >= 0xB0 else -13.0
    return -8.0 if 0xA1 <= encoded[0] <= 0xA3 else -13.0


def _cp1252(character: str) -> float:
    if character in _LATIN:
        return -3.2
    if character in _LATIN_CAPITALS:
        return -5.5
    if character == "ÿ":
        return _INVALID  # 0xFF: more often binary data than this letter
    return -5.0 if character in _PUNCTUATION else -9.0


def _utf_8(character: str) -> float:
    if character in _LATIN or character in _SIGNS:
        return -3.2
    if character in _LATIN_CAPITALS:
        return -5.5
    if character in _CHINESE:
        return -6.0
    if unicodedata.category(character) in ("Cn", "Co"):
        return _PRIVATE
    return -4.5 if _LETTERS_OF_OTHERS.fullmatch(character) else -9.0


_COSTS: dict[str, tuple[str, Callable[[str], float]]] = {
    "utf-8": ("utf-8", _utf_8),
    "gb18030": ("gb18030", _gbk),
    "big5": ("cp950", _big5),
    "shift_jis": ("cp932", _shift_jis),
    "euc_kr": ("cp949", _euc_kr),
    "cp1252": ("cp1252", _cp1252),
}
"""The codec and the frequencies of each encoding. The codecs are the supersets of Windows."""
_CERTAIN = 6.0
"""How much more likely, as a logarithm, another encoding must be than GBK."""
_RARE = -11.0
"""Less than this has a character that a text has seldom."""
_FREQUENT = -8.0
"""More than this has a character that is in the tables above."""
_FEW = 12
_LEAST_FREQUENT = 0.2
"""The least share of frequent characters in a text of `_FEW` or more. Names have half."""
_LETTERS = re.compile("[A-Za-z]")


def best_fit(sample: bytes) -> str | None:
    """Return the encoding that fits a text best, which is GBK where no other is more likely.

    Args:
        sample: some lines of the text, with all of their bytes that are not ASCII.

    Returns:
        ``utf-8``, ``gb18030``, ``big5``, ``shift_jis``, ``euc_kr`` or ``cp1252``. None if none of
        them fits, or if UTF-8 and GBK fit about equally well.
    """
    scores = {name: _score(sample, *_COSTS[name]) for name in _COSTS}
    utf_8, gbk = scores["utf-8"], scores["gb18030"]
    best = max(scores, key=lambda name: scores[name])
    if best not in ("utf-8", "gb18030") and scores[best] > gbk + _CERTAIN:
        return best
    if abs(utf_8 - gbk) < _CERTAIN:
        return None
    if utf_8 > gbk:
        return "utf-8"
    costs = [_gbk(each) for each in sample.decode("gb18030", "ignore") if not each.isascii()]
    frequent = sum(cost > _FREQUENT for cost in costs)
    return "gb18030" if len(costs) < _FEW or frequent > _LEAST_FREQUENT * len(costs) else None


def _score(sample: bytes, codec: str, frequency: Callable[[str], float]) -> float:
    """Return the logarithm of how likely a text is in an encoding."""
    text = sample.decode(codec, "replace")
    known: dict[str, float] = {}
    total = 0.0
    for character in text:
        cost = known.get(character)
        if cost is None:
            cost = known[character] = _cost(character, frequency)
        total += cost
    if codec == "cp1252":
        # Accented letters are seldom neighbours.
        return total + sum(
            _NEIGHBOURS
            for one, other in pairwise(text)
            if not one.isascii() and not other.isascii()
        )
    # A rare character between ASCII letters has swallowed one of them.
    for before, at in zip(text, range(1, len(text)), strict=False):
        if known[text[at]] < _RARE and _LETTERS.match(before):
            total += _IN_A_WORD
    return total


def _cost(character: str, frequency: Callable[[str], float]) -> float:
    if character.isascii():
        return _ASCII
    return _INVALID if character == "\ufffd" else frequency(character)
