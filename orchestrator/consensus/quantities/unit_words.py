"""Unit words in other languages than English, by the English unit that each is. May import nothing."""

# ruff: noqa: RUF001 -- other alphabets

FOREIGN = {
    # German, French, Spanish, Portuguese, Italian, Russian, Chinese, Japanese, Korean, Hindi, Arabic
    "metro metros mètre mètres metri метр метра метров 米 メートル 미터 मीटर متر": "m",
    "kilómetro kilómetros quilômetro quilômetros quilómetros kilomètre kilomètres chilometro chilometri "
    "километр километра километров км 公里 千米 キロメートル キロ 킬로미터 किलोमीटर كيلومتر": "km",
    "zentimeter centímetro centímetros centimètre centimètres centimetri сантиметр сантиметра сантиметров см "
    "厘米 公分 センチ センチメートル 센티미터": "cm",
    "millimètre millimètres milímetro milímetros мм миллиметр миллиметров 毫米 ミリ": "mm",
    "gramm gramo gramos grama gramas grammo grammi gramme грамм грамма граммов 克 グラム 그램 ग्राम غرام": "g",
    "kilogramm kilogramo kilogramos quilograma quilogramas kilogrammes kilogramme chilogrammo chilogrammi "
    "килограмм килограмма килограммов кг 公斤 千克 キログラム 킬로그램 किलोग्राम": "kg",
    "litro litros litri литр литра литров 升 リットル 리터 लीटर لتر": "l",
    "sekunde sekunden seconde secondes segundo segundos secondo secondi секунда секунды секунд "
    "秒 초 सेकंड ثانية": "s",
    "minuten minuto minutos minuti минута минуты минут 分钟 分鐘 分間 분 मिनट دقيقة دقائق": "min",
    "stunde stunden heure heures hora horas ora ore час часа часов "
    "小时 小時 時間 시간 घंटे घंटा ساعة ساعات": "h",
    "tag tage tagen jour jours día días dia dias giorno giorni день дня дней 天 日間 일 दिन يوم أيام": "day",
    "woche wochen semaine semaines semana semanas settimana settimane неделя недели недель "
    "周 週間 주": "week",
    "monat monate monaten mois mes meses mês mese mesi месяц месяца месяцев 个月 ヶ月 か月 개월": "month",
    "jahr jahre jahren année années año años ano anos anno anni год года лет 年間 साल سنة": "year",
    "prozent procent pourcent процент процента процентов パーセント 퍼센트 प्रतिशत": "%",
    "por cento;": "%",
    "dólar dólares dollaro dollari доллар доллара долларов 美元 ドル 달러 डॉलर دولار": "$",
    "евро 欧元 歐元 ユーロ 유로 यूरो يورو": "€",
    "円 日元 엔": "¥",
    "人民币": "yuan",
    "公顷 公頃 ヘクタール 헥타르 гектар гектара гектаров Hektar hectárea hectáreas ettari": "ha",
    "平方米;平方公尺;平方メートル;제곱미터;वर्ग मीटर"
    ";متر مربع;Quadratmeter;Quadratmetern;mètre carré;mètres carrés;metro cuadrado"
    ";metros cuadrados;metro quadrado;metros quadrados;metro quadrato;metri quadrati;кв. м;кв.м;кв. метров"
    ";квадратных метров;квадратных метра": "sqm",
    "平方厘米;平方公分;平方センチメートル;제곱센티미터;Quadratzentimeter;centimètres carrés"
    ";centímetros cuadrados"
    ";centímetros quadrados;centimetri quadrati;квадратных сантиметров;кв. см": "sqcm",
    "平方公里;平方千米;平方キロメートル;제곱킬로미터;Quadratkilometer;kilomètres carrés"
    ";kilómetros cuadrados;квадратных километров": "sqkm",
    "立方米;立方公尺;立方メートル;세제곱미터;Kubikmeter;mètres cubes;metros cúbicos"
    ";metri cubi;кубических метров;куб. м": "cbm",
    "立方厘米;立方センチメートル;Kubikzentimeter;centimètres cubes;centímetros cúbicos": "ccm",
    "毫升 ミリリットル 밀리리터 мл миллилитр миллилитров Milliliter mililitros": "mL",
    "л": "l",
    "м": "m",
    "г": "g",
    "毫克 мг": "mg",
    "с сек": "s",
    "мин": "min",
    "ч": "h",
    "牛顿 牛 Н": "N",
    "焦耳 焦 Дж": "J",
    "瓦特 瓦 Вт": "W",
    "伏特 伏 В": "V",
    "安培 安": "A",
    "тонна тонны тонн 吨 噸 トン 톤 Tonne Tonnen tonelada toneladas": "t",
    "摄氏度 攝氏度": "°C",
    "коп копеек копейки копейка": "kopek",
    "원": "₩",
    "рубль рубля рублей руб": "₽",
    "रुपये रुपया रुपए": "₹",
    "grad grados graus gradi градус градуса градусов": "°",
}
"""Spellings, parted by spaces, or by ``;`` if some have spaces, to a name in the table of :mod:`.units`."""
