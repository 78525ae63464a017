"""Words of the prepared posts and profiles, in several languages."""

from __future__ import annotations

SENTENCES: dict[str, tuple[str, ...]] = {
    "en": (
        "The morning train was late again, but the light over the river made up for it.",
        "Finally finished the first draft of the chapter; now the hard part begins &amp; ends with coffee.",
        "Does anyone have a good source for county level turnout before 1990?",
        "Three things I learned while mapping 4,000 bus stops by hand 🚌",
        "Our team presents the preliminary results tomorrow at noon, come and ask hard questions.",
        "A small correction to yesterday's thread: the figure is 12 %, not 21 %.",
    ),
    "es": (
        "Hoy salimos a caminar por el barrio y encontramos una librería nueva en la esquina.",
        "¿Alguien sabe si mañana hay servicio de metro hasta medianoche?",
        "El concierto de anoche fue increíble, todavía me duele la garganta 🎶",
    ),
    "pt": (
        "Choveu a tarde inteira e a feira acabou mais cedo, mas o pastel estava ótimo.",
        "Não acredito que já estamos em novembro outra vez.",
    ),
    "fr": (
        "Le marché de Noël ouvre ce soir : venez nombreux, même s'il pleut.",
        "Petite mise à jour du jeu de données : les doublons ont été retirés.",
    ),
    "de": (
        "Die Straßenbahn fällt heute aus, also wird es ein langer Spaziergang über die Brücke.",
        "Größere Änderungen am Entwurf: bitte bis Freitag zurückmelden.",
    ),
    "ja": (
        "今日は朝から雨が降っていたので、家で本を読んでいました。",
        "新しいカメラで撮った写真をまとめました📷",
    ),
    "ar": ("صباح الخير من المدينة القديمة، الجو جميل اليوم.", "نشرنا النسخة الجديدة من الخريطة."),
    "ru": ("Сегодня выпал первый снег, и весь двор сразу стал другим.", "Кто-нибудь пробовал новый маршрут?"),
    "hi": ("आज बाज़ार में बहुत भीड़ थी, फिर भी मज़ा आया।",),
    "tr": ("Bugün sahilde harika bir sergi gezdik, öneririm.",),
    "in": ("Hujan deras sejak pagi, untung jemuran sudah diangkat.",),
    "und": ("🔥🔥🔥", "…"),
}
HASHTAGS = ("opendata", "mapping", "música", "選挙", "climate", "Fußball", "OTD", "fieldwork", "книги", "photo2025")
SOURCES = ("Twitter Web App", "Twitter for iPhone", "Twitter for Android", "TweetDeck", "Instagram", "Sprinklr")
REPLY_SETTINGS = ("everyone", "everyone", "everyone", "following", "subscribers")
LINKS = (
    ("https://example.org/articles/a-walk-along-the-river", "A walk along the river", "Eight weeks of fieldwork."),
    ("https://example.com/2025/data/turnout.html?utm_source=feed", "Turnout since 1950", "Tables, maps and the code."),
    ("https://example.net/newsroom/briefing/0412", "Morning briefing", "What happened while you slept."),
)
TOPICS = (
    ("46", "Business Taxonomy", "Categories that narrow down the scope of brands", "1557696848252391426", "Media"),
    ("131", "Unified Twitter Taxonomy", "A taxonomy of interests. ", "847868745150119936", "Family & friends"),
    ("30", "Entities [Entity Service]", "Top level domain, every item that is in it", "781974596752842752", "Services"),
    ("65", "Interests and Hobbies", "Top level groupings, like Food or Travel", "852262932607926273", "Photography"),
    ("3", "TV Shows", "Television shows from around the world", "10031575238", "Evening News"),
    ("66", "Interests and Hobbies", "A grouping of entities, like Novelty Food", "839543390668673024", "Cartography"),
)
NAMES = (
    "Alba Moreno",
    "Bruno 🌻",
    "clio",
    "Dora K.",
    "Élodie Petit",
    "Fleur de Sel",
    "Gitte Østergaard",
    "Hugo Marchetti",
    "井上 健二",
    "Иван",
    "سارة",
    "Jo%",
    "K & M Archive",
    "Luca",
    "Maya | she/her",
    "nadia",
    "O. Sørensen",
    "Pia <3",
)
DESCRIPTIONS = (
    "Researcher, walker, reader. Views mine.",
    "Love is the highest form of understanding",
    "Datos abiertos y café ☕ | mapas de todo lo que se mueve",
    "Journalistin bei example.org · Tipps per Mail",
    "元図書館員。写真と散歩。",
    "",
    'He/him. I post about trains, "slow" data and bread.\nDMs open.',
    "Official account of nobody in particular. 100% unofficial.",
)
LOCATIONS = ("NC", "Lisboa, Portugal", "東京", "Berlin | Paris", "earth 🌍", "", "São Paulo", "somewhere\\else")
PLACES = (
    ("01a9a39529b27f36", "Manhattan, NY", "Manhattan", "United States", "US", (-74.0267, 40.6839, -73.9104, 40.8775)),
    ("68e019afec7d0ba5", "São Paulo, Brasil", "São Paulo", "Brasil", "BR", (-46.8260, -24.0088, -46.3651, -23.3568)),
    ("3078869807f9dd36", "Berlin, Germany", "Berlin", "Germany", "DE", (13.088304, 52.338079, 13.760909, 52.675323)),
)
LABELS = (("Yes", "No"), ("Tea", "Coffee", "Water"), ("Monday", "Tuesday", "Wednesday", "Never again"))
