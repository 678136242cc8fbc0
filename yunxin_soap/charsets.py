"""Says which encoding fits some bytes best, by the characters that people use. Pure.

Nearly every sequence of bytes is valid GBK, so a list in Big5, EUC-JP, cp1251 or any other encoding
is valid GBK, too, with other characters in it; and a few words in GBK, such as 联通, are valid
UTF-8. A list is short, often 50 names, so this looks at each character: the names and headings of a
language use few of those that its encoding has, and its words have capitals at their start only.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

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
    "卡等级店省区县街村组必填序类型状态渠邮箱公司部职微昵称到欠款还支付券活动群生短信内容甲乙丙丁"
)
_LESS_FREQUENT = frozenset(
    "她湖汉米州府族河规布集古质增官游举线皇土团考具调克尔拉根格较朝价器亚属育参鱼精帝复整构料随划"
    "势热股铁断速需律纪况病境局推且列居除乐企引标初率项球节察响均消存低般击防显足素护副创照巴洲试"
    "星黑置央采底宫环案批切斗富乡另按查故责桥仅破承招负层须供续域依银修致密终旅赛独冲获演尽弹艺右"
    "攻镇检宗阿抗坐验封紧劳优养适卫排射哥油刻急降念伤例景绝阶座害亿酒助闻审待升送监策略限竟配藏敌"
    "差仍树征哪词岛怕继份角草普答益船惊核宣掌久著画辑奇尼剑吧背免材架筑括晚乱乎讲尚临激刀室既敢邦"
    "挥板港简苦担句岁荆娘守威宜衣帮块堂错剧充够班呼阵销坚练脚退测换异曲楚典毒菜判救茶洪含啊鲜败货"
    "矿端兄归冷买险评肉吗厂沉遗笔假输洞渐顶否述督控丰献姑忽互纳襄登咱伯臣雄季脑介鄂召饭暗扩祖烈赶"
    "牌恩诉移础届蒙喝盘卖授伊湾减穿逐秘陵固禁灵杂吸侧妈遇馆补炮沿殿刺怪彩俄旧警索岸轮妇载靠附毫怀"
    "软骨旁罪牙慢恶谷顿稳熟概酸操诸绿佛针托宽折午肯库厚罢耳屋嘴巨培瓦犯困翻旗吉婚奖疑币歌健烧析讨"
    "跑烟误仙疗舞亡闭汽伸脱秋繁侵川麻借岗卷跳横套兼君束夺灯径购阴床瞧择宪遍庙掉桃御舰避售课播拔奥"
    "延虚隐粮络遭混厅婆鼓访震予拜吨扬洛休纵逃纷汇灭蛋仪塔距狐融郡缓聚盖拍迹释粉涓岭搜紫虑促抵钢塞"
    "寺津奔累役迫锛凡损壁哭替综伦冰盟挂竞乌弱铺妹竹珠脉泥鬼纯睛刑潮幅杯握剂幸奉乘抱朋崇骑恐享鸡虫"
    "绍呈泛摆欲奶措爆暴猛障缩亦废搞胞埃撤寒俗绩阻盐萨勒忘奏贴灰触玩醒胸莲柱裁啦淡抢捕闹纺截朗誉忍"
    "梦伙丈迷唱残闪疾署贼冠倾豆麦泪羊尖辈镜涉贡爹妻殊贝零甘骂糖岳饮奋棉雕汗渡赞启阁斤裂患伏池劲晋"
    "倍箭沟锋胆挑闯隔苗振储贯彻桌祭符衡旋喊郎肥磁忌赏辽浪毁昨巧腿抽荷陷净腹弃乃湘滑狗冬宏皆番览恢"
    "龄绕坡摸伴绪舍蓝荡阅井鸿旦惯鸟窗扎辞穷堰键荒递恨隶厉闲腰侍灾涨叔豪浮薄赤腐译租氧肠牧孤妙堡册"
    "锅胖柳阔吹丘趋锦颜悬陶诚尺插勤摄垂罚辆戒腾粗袋绘炎氏肩狂泊估杭扑臂哲寡懂悲盾炒稍愈籍颁吐呆贷"
    "刊屈堆曼饰碎滚寄浜迟描污辅烦鼻盗餐幼凉仗冈澳驾菌肚肃爸仰抚慈扶盆仿炼纲倘碗忧暂跨渔宾漫寿猪凝"
    "邻赴仇践顷赋悄莱拟贤愤乏轰粒逼陕昆溶葬魂腊耐犹乳陪颇棋姊返翼拖惨驱袖添咸详碰割纤柔档糊岂跪拒"
    "覆绣吓宿揭烤娃颗扇伐弦羽锁疏搭俱帐胶赫埋蒸壳彼脏浙弯瓜挡拱筹疆肿杆凶甜泡玄谱夹灌尘廊钻丛狼牢"
    "脊熙卒碑躲削徽朵遵狠菲撒扰蛇锡纹亏鉴跌慌穆邀爬吾奸棒淮捷耕艘齿醉兽滴卵滋柴妃浠碍辩遂拨肌俘挖"
    "励鸣肝偿秒拦允塑拆靖耗凌披吏烂尝垸辟艰佩敦疼荐厘匠柏悠壤轴妖喷掩璃轨猜坊堤畅氨辨昏恭畜迪雾丢"
    "咨擦窝搬奈肤愁辣幽嘛挤舒诊扣篮尿唤梯勾霍舌侠筋枢屏衙栏纠链恋惧笼寸弥晃叙吊哩稿剥欺榜囊逆堪猎"
    "棺俩郊掘匆缝藻函辱扯嫩癌悟祸秉驰狱砍糕吞催踪叛浑牲杖鞭腺汝咐椒绳颈漆夷郁斑忆阀卑宴抑逻嫁仔恼"
    "兆僭疯侦鹤猴蜂瘦赐闷柄椅轿拓扮辐抛玻昂圳侨吟刃饱玛碱仓钦哼儒叉臭艾蓉鼠祯捧舱坝瘤勃敲吻契舟夸"
    "葡剪抖霸宸聪仆躺卧袍溜衔苍坑串浆碧巷咽铸惩迈锐颤滨履盒喀饿缠幻逢扁旱罕怜姻蓄磷帕掠稻劫撑姿肾"
    "胀慎哨谨鹅丑塘肺镑趁蜀兑贞禧仲惑踢妥诞禀朴祀饼萄狭澶杩赔绵诱卜陀呵疫辰顽蓬倡浦矩煌劣氛廉瓷戈"
    "秩弗悔挣拐鼎睁聊株枯幺冻唇哀芬蛮醇棍晕宙酷郧稷孕槽栖吩昭罐叠墩盼舆酬斥捐眠脆璋皱卿淋翰钉棣宰"
    "阐翅沃挨霖哄爵涔衫铭戚擅嫌赌隋饶沪雇罩煎掷誓坤竭宛菱厌矮俺崖氢棚喇溃堵抄怔蒂泌甫檐寂颠逝羞佐"
    "帖硫蹈痕挽禅柯屯韵肴螺凑兹烛歼毅慨钧渗蜜遮厦柜匈喉愧栽扔苯谊肆吵壶弓饲窟嗣煮巾裤膨奠瞪珞愚膏"
    "喘膀蔬糟僚匾妄畴沔耻牺妨硅崩雌陛砸贩竖攀惹裹屠擒鳞渴浣龟掀唉泼亥僵屡瞒璇厮刮钩谅盯逸浸阙坟咳"
    "宠脖彪朕虹衍甸鳍讼巩熔峻怖嘿磕洒掏枣滞舅昔哑焕娱衷捞卦矣茨蜡喻婶琉枕娇豹厨傲腕巢氯燥焚乖嘱赠"
    "晌琦铃雁姨蹄焰粑饥捏缔歪蕴嘻俯锻骤庵吁剿禽勉捣茎晴厢匀灏涯梨蒲驼匪嗯搏缚愣麋劈旷舵沸丸绸炬缴"
    "寰贱躯褐嚷拌颂帜陡佑皖绑啡仑帘镖钠禾藤弊痴哇凰歧铝喃滇赣闽冀渝粤"
)
"""The next ones of texts, and what stands for a province on the plates of cars.

Those whose bytes are a letter in UTF-8, such as 茅, are left out: they would hide it.
"""
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
_JAPANESE = frozenset(
    # in surnames and given names
    "佐藤鈴木高橋田中伊渡辺山本村小林加吉山佐々口松井斎清水阿部森池橋石川前岡長谷後近坂遠青西福太三浦藤原"
    "島上野金子中竹内和原宮崎酒工横今河大塚平久保増丸武杉千葉菊地新古市川堀東柴秋谷荒関桜渋沢樋安岩星土屋"
    "永黒片服五十嵐矢須浜広熊富士若尾飯岸望月早北南菅津根奈良松永北条美咲陽子太郎一二次花健翔大輔直樹恵由香"
    "真理優希愛結衣菜悠斗颯蓮湊律彩綾沙智裕誠博明和彦正雄幸夫昭男義弘隆英秀勝利進勇浩之哲也拓海亮介康司達雅"
    "人光貴紀典久美代千鶴春夏秋冬奈々織里佳祐純淳修聡敏治清実豊茂稔修平涼駿樹輝洋晃孝徳伸篤桃七海葵凛莉心乃"
    # in headings and addresses
    "氏名前電話番号住所会社様携帯顧客県都府道区町丁目店部課長株式有限日付金額円年月登録備考連絡先郵便性別男女"
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
_PUNCTUATION = frozenset("’‘“”–—…€«»°®´¿¡·§№")

# The logarithm of how likely a character is in a text of the encoding. Each is about that of the
# share of its group, divided by the size of the group.
_ASCII = -3.5
_INVALID = -20.0
_PRIVATE = -18.0
_IN_A_WORD = -5.0
_NEIGHBOURS = -4.0
_STRANGE_WORD = -5.0
_LETTER = -3.4
_CAPITAL = -4.2
_RARE_LETTER = -6.5
_SIGN = -9.0
_BINARY = -16.0
"""How likely it is that the byte 0xFF is a letter and no binary data."""


def _gbk(character: str) -> float:
    if character in _CHINESE:
        return -6.0
    if character in _LESS_FREQUENT:
        return -7.5
    if character in _RARE_NAMES or character in _TRADITIONAL:
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
    if "\uff61" <= character <= "\uff9f":
        return -4.4
    if "\ue000" <= character <= "\uf8ff" or len(character.encode("cp932")) < 2:
        return _PRIVATE
    return _japanese(character, "cp932", 0x889F, 0x989F)


def _euc_jp(character: str) -> float:
    if "\uff61" <= character <= "\uff9f":
        return -9.0  # EUC-JP has them, and nearly nobody uses them
    if len(character.encode("euc_jp")) != 2:
        return -14.0
    return _japanese(character, "euc_jp", 0xB0A1, 0xD0A1)


def _japanese(character: str, codec: str, first_level: int, second_level: int) -> float:
    if "\u3041" <= character <= "\u30fe":
        return -4.8
    if character in _JAPANESE:
        return -6.0
    code = int.from_bytes(character.encode(codec), "big")
    if code < first_level:
        return -7.5 if character in "々、。・ー　（）「」／〒０１２３４５６７８９" else -12.0
    if code >= second_level:
        return -12.5
    return -8.0 if character in _CHINESE or character in _TRADITIONAL else -9.0


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
    return -5.0 if character in _PUNCTUATION else _SIGN


def _latin(letters: str) -> Callable[[str], float]:
    """Return the frequencies of a language that is written in Latin letters with accents."""

    def frequency(character: str) -> float:
        if character in letters:
            return _LETTER
        if character.lower() in letters:
            return -5.5
        return -5.0 if character in _PUNCTUATION else _SIGN

    return frequency


def _alphabet(first: str, last: str, rare: str = "", others: str = "") -> Callable[[str], float]:
    """Return the frequencies of a language with letters of its own.

    Args:
        first: the first letter of its script.
        last: the last one.
        rare: letters that are seldom used.
        others: what else is a letter.
    """

    def frequency(character: str) -> float:
        if character in rare:
            return _RARE_LETTER
        if first <= character <= last or character in others:
            return _CAPITAL if character.isupper() else _LETTER
        return -5.0 if character in _PUNCTUATION else _SIGN

    return frequency


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


class _Model(NamedTuple):
    """How a text in an encoding looks."""

    codec: str
    """The codec, a superset of Windows where there is one."""
    frequency: Callable[[str], float]
    """Returns the logarithm of how likely a character that is not ASCII is."""
    strange: re.Pattern[str]
    """What is seldom in a text that really is in the encoding."""
    penalty: float = _STRANGE_WORD
    """The logarithm of how likely that is."""

    @property
    def is_single_byte(self) -> bool:
        """Whether each byte is a character."""
        return self.strange not in (_SWALLOWED, _HALF_WIDTH)


# A letter behind an ASCII one has swallowed one of them.
_SWALLOWED = re.compile("(?<=[A-Za-z])[^\x00-\x7f]")
_CAPITALS = "".join(filter(str.isupper, map(chr, range(0xC0, 0x250))))
_NEIGHBOUR = re.compile(
    # A capital behind a small letter, or a sign within a word, are as seldom as two accents.
    f"(?<=[^\\x00-\\x7f])[^\\x00-\\x7f]|(?<=[a-z])[{_CAPITALS}]|(?<=[A-Za-z])[^\\w\\s’·-](?<=[^\\x00-\\x7f])(?=[A-Za-z])"
)
_HALF_WIDTH = re.compile(
    # Half-width kana beside a kanji, and a voiced mark that belongs to no kana.
    "[\uff66-\uff9f](?=[\u4e00-\u9fff])|(?<=[\u4e00-\u9fff])[\uff66-\uff9f]"
    "|(?<![\uff73\uff76-\uff84\uff8a-\uff8e])[\uff9e\uff9f]"
)
_CAPITAL_INSIDE = re.compile(
    # A capital behind a small letter, a small one behind several capitals, and a mixed script.
    "(?<=[α-ωά-ώа-ёђ-џ])[Α-ΫА-ЯЀ-Џ]|(?<=[Α-ΫА-ЯЀ-Џ]{2})[α-ωά-ώа-ёђ-џ]"
    "|(?<=[A-Za-z])[Α-ώЀ-џ]|(?<=[Α-ώЀ-џ])[A-Za-z]"
)
_THAI_ORDER = re.compile(
    # A vowel sign or a tone mark that follows no consonant, and a leading vowel that is followed by
    # none.
    "(?<![ก-ฮ])[\u0e31\u0e34-\u0e3a]|(?<![ก-ฮ\u0e31\u0e34-\u0e39])[\u0e47-\u0e4e]"
    "|[\u0e40-\u0e44](?![ก-ฮ])|(?<![ก-ฮ\u0e48-\u0e4b])[\u0e30\u0e32\u0e33]"
)
_SEMITIC_ORDER = re.compile(
    # A final form within a word, and a form that only ends one.
    "[ךםןףץةىء](?=[א-תء-ي])|(?<=[A-Za-z])[א-תء-ي]|(?<=[א-תء-ي])[A-Za-z]"
)
_RUSSIAN = _alphabet("А", "я", rare="ЪЫЬъфщэцФЩЦЭ", others="ЁёЄєІіЇїҐґЎў")
_GREEK = _alphabet("Ά", "ώ", rare="ΪΫΐΰϊϋ")

_MODELS = {
    "utf-8": _Model("utf-8", _utf_8, _SWALLOWED),
    "gb18030": _Model("gb18030", _gbk, _SWALLOWED),
    "big5": _Model("cp950", _big5, _SWALLOWED),
    "shift_jis": _Model("cp932", _shift_jis, _HALF_WIDTH),
    "euc_jp": _Model("euc_jp", _euc_jp, _SWALLOWED),
    "euc_kr": _Model("cp949", _euc_kr, _SWALLOWED),
    # Accented letters are seldom neighbours.
    "cp1252": _Model("cp1252", _cp1252, _NEIGHBOUR, _NEIGHBOURS),
    "mac_roman": _Model("mac_roman", _cp1252, _NEIGHBOUR, _NEIGHBOURS),
    "cp1250": _Model("cp1250", _latin("ąćęłńóśźżáčďéěíňřšťúůýžäöüôĺľőűăâîşţ"), _NEIGHBOUR, -3.0),
    "cp1254": _Model("cp1254", _latin("çğıöşüİâîû"), _NEIGHBOUR, _NEIGHBOURS),
    "cp1258": _Model(
        "cp1258",
        _latin("àáâãèéêìíòóôõùúýăđơư\u0300\u0301\u0303\u0309\u0323"),
        _NEIGHBOUR,
        -2.0,
    ),
    "cp1251": _Model("cp1251", _RUSSIAN, _CAPITAL_INSIDE),
    "koi8-r": _Model("koi8-r", _RUSSIAN, _CAPITAL_INSIDE),
    "iso8859-5": _Model("iso8859-5", _RUSSIAN, _CAPITAL_INSIDE),
    "cp866": _Model("cp866", _RUSSIAN, _CAPITAL_INSIDE),
    "cp1253": _Model("cp1253", _GREEK, _CAPITAL_INSIDE),
    "cp1255": _Model("cp1255", _alphabet("א", "ת"), _SEMITIC_ORDER),
    "cp1256": _Model("cp1256", _alphabet("ء", "ي"), _SEMITIC_ORDER),
    "cp874": _Model(
        "cp874",
        _alphabet("ก", "\u0e4e", rare="ฃฅฆฌฎฏฑฒฬฮฤฦฯๅฝ฿ฐ\u0e3a\u0e4d\u0e4e"),
        _THAI_ORDER,
    ),
}
_CERTAIN = 6.0
"""How much more likely, as a logarithm, one encoding must be than another to be the one."""
_AS_LIKELY = 0.75
"""How far an encoding may be from the best one to GBK, and be a candidate, too."""
_MOST_LIKELY = 4
_RARE = -11.0
"""Less than this has a character that a text has seldom."""
_FREQUENT = -9.0
"""More than this has a character that is in the tables above, or a usual sign."""
_FEW = 8
_LEAST_FREQUENT = 0.4
"""The least share of frequent characters in a text of `_FEW` or more."""


class Fit(NamedTuple):
    """The encodings that a text can have."""

    encoding: str | None
    """The one that it has, ``utf-8`` or ``gb18030``; None if it is neither, or may be another."""
    likely: tuple[str, ...] = ()
    """Otherwise those that fit best, the best one first; ``gb18030`` is first if it may be that."""


def is_utf_8(sample: bytes) -> bool | None:
    """Return whether a text that is valid UTF-8 is that, and not GBK; None if it could be both.

    Args:
        sample: some lines of the text, with all of their bytes that are not ASCII.
    """
    utf_8, gbk = (_score(sample, _MODELS[name]) for name in ("utf-8", "gb18030"))
    return None if abs(utf_8 - gbk) < _CERTAIN else utf_8 > gbk


def best_fit(sample: bytes) -> Fit:
    """Return the encoding that fits a text best which is not UTF-8 in all of its lines.

    A text is GBK only if its characters are those that people use, since any bytes are valid GBK.

    Args:
        sample: some lines of the text, with all of their bytes that are not ASCII.
    """
    scores = {name: _score(sample, model) for name, model in _MODELS.items()}
    utf_8, gbk = scores.pop("utf-8"), scores["gb18030"]
    ranked = sorted(scores, key=lambda name: scores[name], reverse=True)
    best = ranked[0]
    if utf_8 > scores[best] - _CERTAIN:
        return Fit("utf-8")
    if best == "gb18030":
        return Fit(best if _is_usual(sample) else None)
    advantage = scores[best] - gbk
    likely: dict[str, str] = {}
    for name in ranked:
        if scores[name] - gbk >= _AS_LIKELY * advantage:
            # Many encodings have the same letters in the same places.
            likely.setdefault(sample.decode(_MODELS[name].codec, "replace"), name)
    found = tuple(likely.values())[:_MOST_LIKELY]
    return Fit(None, found if advantage > _CERTAIN else ("gb18030", *found))


def _is_usual(sample: bytes) -> bool:
    """Return whether enough of the characters of a text in GBK are frequent ones."""
    costs = [_gbk(each) for each in sample.decode("gb18030", "ignore") if not each.isascii()]
    frequent = sum(cost > _FREQUENT for cost in costs)
    return len(costs) < _FEW or frequent > _LEAST_FREQUENT * len(costs)


def _score(sample: bytes, model: _Model) -> float:
    """Return the logarithm of how likely a text is in an encoding."""
    text = sample.decode(model.codec, "replace")
    costs = {
        character: _ASCII if character.isascii() else _cost(character, model.frequency)
        for character in set(text)
    }
    total = sum(count * costs[character] for character, count in Counter(text).items())
    strange = model.strange.findall(text)
    if model.strange is _SWALLOWED:
        strange = [character for character in strange if costs[character] < _RARE]
    if model.is_single_byte:
        total += sample.count(0xFF) * _BINARY
    return total + len(strange) * model.penalty


def _cost(character: str, frequency: Callable[[str], float]) -> float:
    return _INVALID if character == "\ufffd" else frequency(character)
