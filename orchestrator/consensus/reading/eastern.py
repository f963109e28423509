"""How Russian, Japanese, Chinese, Korean, Hindi and Arabic texts give an answer."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

from orchestrator.consensus.reading.language import Language, words_of

EASTERN = (
    Language(
        code="ru",
        script="[а-яё]",
        nouns=r"(?:правильн(?:ый|ым)\s+(?:вариант|ответом?)|верный\s+(?:вариант|ответ)|ответ(?:ом)?)",
        after=r"здесь",
        verbs=r"это|равен|будет|является|составляет|—|–|-(?=\s)",
        result=r"(?:итоговый\s+)?результат|итого?|решение",
        labels=r"вариант|буква|ответ|под буквой|это",
        refusals=r"извините|простите|к\s+сожалению|(?:я\s+)?не\s+(?:знаю|могу|уверена?)\b|я\s+не\s+",
        yes="да",
        no="нет",
        comma=True,
        units=words_of(
            "percentage_points: процентных_пункта процентных_пунктов,"
            " m²: м² кв.м квадратных_метров квадратных_метра кв._м, cm²: квадратных_сантиметров, m³: "
            "кубических_метров"
            ", km/h: км/ч км_в_час, m/s: м/с, m: м метр метра метров, km: км километр километра "
            "километров, cm: см сантиметр сантиметра"
            " сантиметров,"
            " mm: мм миллиметр миллиметра миллиметров, kg: кг килограмм килограмма килограммов,"
            " g: г грамм грамма граммов, l: л литр литра литров, h: ч час часа часов, min: мин минута"
            " минуты минут,"
            " s: с сек секунда секунды секунд, days: день дня дней, weeks: неделя недели недель,"
            " months: месяц месяца месяцев, years: год года лет, percent: процент процента процентов,"
            " degrees: градус градуса градусов, euros: евро, dollars: доллар доллара долларов,"
            " rubles: руб рубль рубля рублей, thousand: тыс тысяча тысячи тысяч,"
            " million: млн миллион миллиона миллионов, billion: млрд миллиард миллиарда миллиардов"
        ),
        months="января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
        before=words_of(
            "and: и, or: или, to: до, at_least: минимум не_менее, at_most: максимум не_более, "
            "about: около примерно, not: не, more_than: более больше, less_than: менее меньше, "
            "exactly: ровно"
        ),
    ),
    Language(
        code="ja",
        before=words_of(
            "at_least: 少なくとも 最低, at_most: 最大 多くとも 最大で, about: 約 およそ, more_than: 超"
        ),
        behind=words_of("at_least: 以上, at_most: 以下 以内, less_than: 未満, more_than: 超 を超える"),
        counters=r"(?:個|つ|人|名|匹|枚|冊|本)(?=[^\w]|です|だ|である|$)",
        script="[ぁ-ヿ]",
        nouns=r"(?:最終的な|正しい|最終)?(?:答え|答|回答|正解|解答|選択肢)",
        verbs=r"は[、,]?",
        result=r"(?:最終)?結果|したがって|よって",
        labels=r"選択肢|選択肢の",
        ends=r"(?:です|である|だ|となります|になります|でした|となる|になる)(?:ね|よ)?",
        refusals=r"申し訳|すみません|ごめん|わかりません|分かりません|残念ながら",
        yes="はい",
        no="いいえ",
        units=words_of(
            "m²: 平方メートル, cm²: 平方センチメートル, km²: 平方キロメートル, "
            "m³: 立方メートル, ha: ヘクタール, "
            "m: メートル, km: キロメートル キロ, "
            "cm: センチメートル センチ, mm: ミリメートル ミリ,"
            " kg: キログラム,"
            " g: グラム, t: トン, l: リットル, h: 時間, min: 分 分間, s: 秒 秒間, days: 日 日間, weeks: 週間,"
            " months: か月 ヶ月, years: 年 年間, percent: パーセント, degrees: 度, yen: 円, dollars:"
            " ドル, euros: ユーロ"
        ),
    ),
    Language(
        code="zh",
        before=words_of(
            "at_least: 至少 最少 不少于 不低于, at_most: 至多 最多 不超过 不多于, "
            "about: 约 大约 約 大約, "
            "more_than: 超过 多于 大于, less_than: 少于 不到 小于 低于, not: 不是"
        ),
        behind=words_of("at_least: 以上, at_most: 以下 以内"),
        counters=r"(?:个|個|名|位)(?![月小星人])|[人只](?=\W|$)",
        script="[一-鿿]",
        nouns=r"(?:最终|正确|最後|最后|最終|正確)?的?(?:答案|选项|選項|答)",
        verbs=r"(?:应该|應該|应|應|就)?(?:是|为|為|选|選)",
        result=r"(?:最终|最后)?结果",
        labels=r"选项|選項|选择?|選擇?",
        refusals=r"(?:很)?抱歉|对不起|對不起|我?(?:不知道|无法|無法|不能|不确定|不確定)",
        yes="是 是的 对 對",
        no="否 不是 不 不对 不對",
        units=words_of(
            "percentage_points: 个百分点 個百分點,"
            " m²: 平方米, cm²: 平方厘米 平方公分, km²: 平方公里 平方千米, m³: 立方米, ha: 公顷 公頃, "
            "km/h: 公里/小时 千米/小时, m: 米 公尺, "
            "km: 公里 千米, cm: 厘米 公分, mm: 毫米, kg: 公斤 千克, g: 克, t: 吨 噸, l: 升 公升,"
            " h: 小时 小時 个小时 個小時, min: 分钟 分鐘, s: 秒 秒钟, days: 天, weeks: 周 个星期,"
            " months: 个月 個月,"
            " years: 年, percent: 百分之, degrees: 度, yuan: 元 块 人民币, dollars: 美元, euros: 欧元 歐元,"
            " yen: 日元"
        ),
    ),
    Language(
        code="ko",
        before=words_of("at_least: 최소 적어도 최소한, at_most: 최대 많아야, about: 약"),
        behind=words_of("at_least: 이상, at_most: 이하 이내, less_than: 미만, more_than: 초과"),
        counters=r"(?:개|명|권|마리)(?=\W|입니다|이다|이에요|$)",
        script="[가-힣]",
        nouns=r"(?:최종\s*|올바른\s*|맞는\s*)?(?:정답|답변|해답|답)",
        verbs=r"은|는|이|:",
        result=r"(?:최종\s*)?결과(?:는)?|따라서",
        labels=r"선택지|보기",
        ends=r"(?:입니다|이다|이에요|예요|이예요|(?:이|가)?\s*됩니다)",
        refusals=r"죄송|미안|모르겠|알\s*수\s*없",
        yes="네 예",
        no="아니요 아니오",
        units=words_of(
            "m²: 제곱미터, cm²: 제곱센티미터, km²: 제곱킬로미터, m³: 세제곱미터, ha: 헥타르, "
            "m: 미터, km: 킬로미터, cm: 센티미터, kg: "
            "킬로그램, g: 그램, l: 리터, h: 시간, min: 분,"
            " s: 초, days: 일,"
            " weeks: 주, months: 개월, years: 년, percent: 퍼센트, degrees: 도, won: 원, dollars:"
            " 달러, euros: 유로"
        ),
    ),
    Language(
        code="hi",
        before=words_of("at_least: कम_से_कम, at_most: अधिक_से_अधिक अधिकतम, about: लगभग, more_than: से_अधिक"),
        script="[ऀ-ॿ]",
        nouns=r"(?:अंतिम\s+|सही\s+)?(?:उत्तर|जवाब|विकल्प)",
        verbs=r"है(?=\s*:)|होगा(?=\s*:)",
        result=r"(?:अंतिम\s+)?परिणाम",
        labels=r"विकल्प",
        ends=r"(?:है|हैं|होगा|होगी|था)",
        refusals=r"माफ़|माफ|क्षमा|मुझे\s+नहीं\s+पता|मुझे\s+खेद",
        yes="हाँ हां",
        no="नहीं",
        units=words_of(
            "m²: वर्ग_मीटर, cm²: वर्ग_सेंटीमीटर, km²: वर्ग_किलोमीटर, m: मीटर, km: किलोमीटर किमी, cm: "
            "सेंटीमीटर, kg: किलोग्राम किलो, g: ग्राम, l: लीटर, h: घंटा घंटे,"
            " min: मिनट, s: सेकंड, days: दिन, weeks: सप्ताह, months: महीने, years: वर्ष साल, percent:"
            " प्रतिशत,"
            " degrees: डिग्री, rupees: रुपये रुपए, dollars: डॉलर, thousand: हज़ार हजार, lakh: लाख, crore:"
            " करोड़"
        ),
    ),
    Language(
        code="ar",
        before=words_of(
            "at_least: على_الأقل, at_most: على_الأكثر, about: حوالي تقريبا, more_than: أكثر_من, "
            "less_than: أقل_من"
        ),
        behind=words_of("at_least: على_الأقل, at_most: على_الأكثر"),
        script="[ء-ي]",
        nouns=r"(?:ال)?(?:إجابة|اجابة|جواب|خيار)(?:\s+(?:ال)?(?:نهائية|نهائي|صحيحة|صحيح))*",
        verbs=r"هو|هي|يساوي|تساوي",
        result=r"(?:ال)?(?:نتيجة|ناتج)(?:\s+النهائية)?",
        labels=r"الخيار|الحرف",
        refusals=r"آسف|عذر|لا\s+أعرف|لا\s+أستطيع|لا\s+يمكنني|لست\s+متأكد|للأسف",
        yes="نعم",
        no="لا",
        units=words_of(
            "m²: متر_مربع مترًا_مربعًا متراً_مربعاً م², cm²: سنتيمتر_مربع سم², km/h: كم/ساعة كم/س, m: "
            "متر مترًا أمتار متراً مترا, km: كيلومتر كم, cm: سنتيمتر سم, kg: كيلوغرام كيلوجرام كغ كجم, g:"
            " غرام جرام,"
            " l: لتر, h: ساعة ساعات, min: دقيقة دقائق, s: ثانية ثوان ثواني, days: يوم أيام, weeks: أسبوع"
            " أسابيع,"
            " years: سنة سنوات عام, percent: بالمئة بالمائة, degrees: درجة, dollars: دولار, euros: يورو,"
            " thousand: ألف, million: مليون ملايين, billion: مليار مليارات"
        ),
    ),
)
