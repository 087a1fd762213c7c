# SPDX-License-Identifier: Apache-2.0
"""The example site: an almanac of small greens, made of the table below and the template beside it.

pages() returns everything that the site serves. Nothing in it depends on the clock, the host or
the order of a hash, so a page is the same, byte for byte, each time that it is made.
"""
import html
import math
import pathlib
import struct
import zlib
from urllib.parse import quote

FOLDER = pathlib.Path(__file__).parent
PUBLISHED = "2024-03-20"

# name, botanical name, days to harvest, height in cm, taste, hue of its picture, a sentence to remember
GREENS = [
    ("Garden cress", "Lepidium sativum", 7, 6, "peppery", 96, "Grows on damp cotton wool, which is how most of us met it."),
    ("Watercress", "Nasturtium officinale", 21, 12, "sharp", 132, "Wants running water, or a saucer that is refilled twice a day."),
    ("Upland cress", "Barbarea verna", 28, 15, "hot", 110, "Stays green under snow when everything else has gone."),
    ("Winter cress", "Barbarea vulgaris", 35, 18, "bitter", 88, "The monastery gardens kept it for Saint Barbara's day in December."),
    ("Radish", "Raphanus sativus", 6, 8, "spicy", 340, "The quickest of all: sown on Monday, eaten on Sunday."),
    ("Rocket", "Eruca vesicaria", 10, 7, "nutty", 100, "Cut it young; a week later it is a different plant."),
    ("Brown mustard", "Brassica juncea", 8, 7, "fiery", 48, "A tray of it will wake up a whole bowl of potatoes."),
    ("White mustard", "Sinapis alba", 7, 8, "mild heat", 60, "Half of what is sold as mustard and cress is this."),
    ("Red cabbage", "Brassica oleracea", 10, 6, "sweet", 290, "Violet stems, blue-green leaves, and a taste of nuts."),
    ("Broccoli", "Brassica oleracea italica", 9, 6, "mellow", 140, "The least demanding tray on the shelf."),
    ("Kohlrabi", "Brassica oleracea gongylodes", 9, 6, "sweet", 310, "Purple below, green above; good on dark bread."),
    ("Grünkohl", "Brassica oleracea sabellica", 11, 6, "earthy", 150, "Kale, as the north of Germany calls it and eats it."),
    ("Pak choi", "Brassica rapa chinensis", 9, 6, "fresh", 120, "Thick little stems that stay crisp in soup."),
    ("Mizuna", "Brassica rapa nipposinica", 10, 7, "mild mustard", 105, "Feathered leaves; comes again after the first cut."),
    ("Tatsoi", "Brassica rapa narinosa", 11, 5, "mild", 145, "A rosette of spoons, and the best of them raw."),
    ("Pea shoots", "Pisum sativum", 14, 15, "sweet", 118, "Soak overnight; cut above the lowest leaf and wait for more."),
    ("Sunflower", "Helianthus annuus", 12, 10, "nutty", 52, "Take the hulls off in the morning, when they are damp."),
    ("Buckwheat", "Fagopyrum esculentum", 10, 9, "tangy", 12, "Pink stems. A garnish, not a salad."),
    ("Beetroot", "Beta vulgaris", 16, 7, "earthy", 335, "Slow, and worth it for the colour alone."),
    ("Chard", "Beta vulgaris cicla", 15, 7, "mild", 20, "Yellow, orange, pink and red from one packet."),
    ("Spinach", "Spinacia oleracea", 14, 7, "soft", 138, "Likes it cooler than its neighbours."),
    ("Amaranth", "Amaranthus tricolor", 12, 6, "beet-like", 345, "Needs warmth, gives the deepest red there is."),
    ("Coriander", "Coriandrum sativum", 20, 10, "citrus", 112, "Crack the seed in two, or wait a week longer."),
    ("Basil", "Ocimum basilicum", 18, 6, "sweet clove", 128, "Never below fifteen degrees, never wet on the leaves."),
    ("Dill", "Anethum graveolens", 16, 8, "aniseed", 92, "Threads of green that fall over, and may."),
    ("Fennel", "Foeniculum vulgare", 18, 9, "liquorice", 84, "Lighter than the bulb, and better with fish."),
    ("Chervil", "Anthriscus cerefolium", 19, 8, "delicate", 98, "The herb that no shop sells, for it wilts on the way."),
    ("Parsley", "Petroselinum crispum", 25, 8, "green", 126, "Goes nine times to the devil and back before it comes up."),
    ("Chives", "Allium schoenoprasum", 21, 9, "onion", 134, "Carry their seed hats on their heads for days."),
    ("Leek", "Allium porrum", 14, 10, "onion", 142, "Green needles; scissors, not a knife."),
    ("Sorrel", "Rumex acetosa", 22, 6, "sour", 8, "Red veins, and the sharpness of a lemon."),
    ("Purslane", "Portulaca oleracea", 14, 5, "salty, sour", 76, "A weed in the path, a delicacy on the plate."),
    ("Nasturtium", "Tropaeolum majus", 18, 12, "hot", 30, "Round leaves that water runs off like quicksilver."),
    ("Borage", "Borago officinalis", 14, 8, "cucumber", 205, "Tastes of cucumber before it has looked at one."),
]

STEPS = [
    ("Soak", "Large seeds want a night in cold water, small ones none at all. Drain them well."),
    ("Sow", "A flat tray, two fingers of compost, seed as dense as pepper on a fried egg. Do not cover it."),
    ("Wait", "A lid and darkness for three days. They stretch towards a light that is not there."),
    ("Light", "Off with the lid. A north window will do; turn the tray every morning."),
    ("Cut", "With scissors, just above the soil, when the first true leaf shows. Eat at once."),
]


def slug(name):
    return name.lower().replace(" ", "-")


def path_of(green):
    return f"/greens/{quote(slug(green[0]))}/"


def png(hue, size=96):
    """A seed, drawn as a soft disc: a small PNG without any library."""
    def pixel(x, y):
        distance = math.hypot(x - size / 2, y - size / 2) / (size / 2)
        shade = max(0.0, 1.0 - distance ** 2)
        phase = math.radians(hue)
        return bytes(int(250 - shade * (120 + 90 * math.cos(phase - turn)))
                     for turn in (0, 2.0944, 4.1888))

    rows = b"".join(b"\0" + b"".join(pixel(x, y) for x in range(size)) for y in range(size))

    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data
                + struct.pack(">I", zlib.crc32(kind + data)))

    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9))
            + chunk(b"IEND", b""))


def svg(green):
    """A tray of the green: stems as high as it grows, two leaves each."""
    _, _, days, height, _, hue, _ = green
    stems = []
    for i in range(19):
        x = 30 + i * 30
        top = 236 - height * 8 - (i * 37 + days * 11) % 29
        lean = (i * 53 + days * 7) % 21 - 10
        stems.append(
            f'<path d="M{x} 240Q{x} {top + 40} {x + lean} {top}" stroke="hsl({hue} 45% 62%)" '
            f'stroke-width="3" fill="none"/>'
            f'<g fill="hsl({hue} 48% {36 + i * 7 % 13}%)" transform="translate({x + lean} {top})">'
            f'<ellipse cx="-9" cy="-2" rx="11" ry="6" transform="rotate(24)"/>'
            f'<ellipse cx="9" cy="-2" rx="11" ry="6" transform="rotate(-24)"/></g>')
    return ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 280">'
            f'<rect width="600" height="280" fill="hsl({hue} 40% 95%)"/>{"".join(stems)}'
            '<path d="M0 238h600v42H0z" fill="#5b4636"/></svg>')


def layout(title, body):
    template = (FOLDER / "page.html").read_text(encoding="utf-8")
    return template.replace("{{title}}", html.escape(title)).replace("{{body}}", body).encode()


def article(green, before, after):
    name, botanical, days, height, taste, _, note = map(
        lambda value: html.escape(str(value)), green)
    steps = "".join(f"<li><b>{step}.</b> {text}</li>" for step, text in STEPS)
    picture = quote(slug(green[0]))
    return layout(green[0], f"""
<article>
<h1>{name} <small>{botanical}</small></h1>
<img class="tray" src="/images/{picture}.svg" alt="A tray of {name}" width="600" height="280">
<p class="note">{note}</p>
<dl>
<dt>Harvest</dt><dd>{days} days</dd>
<dt>Height</dt><dd>{height} cm</dd>
<dt>Taste</dt><dd>{taste}</dd>
<dt>Seed</dt><dd><img src="/images/{picture}.png" alt="Its seed" width="48" height="48"></dd>
</dl>
<h2>From seed to plate</h2>
<ol>{steps}</ol>
<nav class="turn"><a href="{path_of(before)}">← {html.escape(before[0])}</a>
<a href="{path_of(after)}">{html.escape(after[0])} →</a></nav>
</article>""")


def index():
    cards = "".join(
        f'<li><a href="{path_of(g)}"><img src="/images/{quote(slug(g[0]))}.svg" alt="" '
        f'width="300" height="140"><b>{html.escape(g[0])}</b> {g[2]} days</a></li>'
        for g in GREENS)
    return layout("Small greens", f"""
<h1>Small greens</h1>
<p class="note">{len(GREENS)} plants that need no garden: a tray, a window, and a week or three.</p>
<ul class="cards">{cards}</ul>""")


def calendar():
    rows = "".join(
        f'<tr><td><a href="{path_of(g)}">{html.escape(g[0])}</a><td>{g[2]}'
        f'<td><meter max="35" value="{g[2]}">{g[2]} days</meter>'
        for g in sorted(GREENS, key=lambda g: (g[2], g[0])))
    return layout("What is ready when", f"""
<h1>What is ready when</h1>
<table><thead><tr><th>Green<th>Days<th></thead><tbody>{rows}</tbody></table>""")


def about():
    return layout("About", """
<h1>About this site</h1>
<p>An example: a small site with pages, pictures, a style sheet and a sitemap, for a prerenderer to
practise on. One address in the sitemap is gone, one has moved, one changes with every visit, and
all the others stay as they are.</p>""")


def pages():
    """{path: (content type, bytes)} of all that does not change."""
    site = {
        "/": ("text/html; charset=utf-8", index()),
        "/calendar/": ("text/html; charset=utf-8", calendar()),
        "/about.html": ("text/html; charset=utf-8", about()),
        "/style.css": ("text/css; charset=utf-8", (FOLDER / "style.css").read_bytes()),
    }
    for i, green in enumerate(GREENS):
        after = GREENS[(i + 1) % len(GREENS)]
        picture = f"/images/{quote(slug(green[0]))}"
        site[path_of(green)] = ("text/html; charset=utf-8", article(green, GREENS[i - 1], after))
        site[picture + ".svg"] = ("image/svg+xml", svg(green).encode())
        site[picture + ".png"] = ("image/png", png(green[5]))
    return site


REDIRECTS = {"/cress.html": path_of(GREENS[0])}
GONE = "/greens/silphium/"  # extinct since the days of Nero
VISITS = "/visits.html"


def visits(count):
    """The page that is another one each time."""
    return layout("Visits", f"<h1>Visits</h1><p class='note'>You are visitor {count}.</p>")


def sitemap(base):
    """Every HTML page under its absolute address, and the special ones."""
    paths = [path for path, (kind, _) in pages().items() if kind.startswith("text/html")]
    entries = "".join(f"  <url><loc>{base}{path}</loc><lastmod>{PUBLISHED}</lastmod></url>\n"
                      for path in paths + [*REDIRECTS, GONE, VISITS])
    return ('<?xml version="1.0" encoding="UTF-8"?>\n'
            '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
            f"{entries}</urlset>\n").encode()
