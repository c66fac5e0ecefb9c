"""How results look on paper: colours of structures and the page's style sheet."""

from __future__ import annotations

# Red, green and blue as readers know them, with the green light and towards
# cyan: protan and deutan readers tell these apart by lightness and blueness,
# and all three show on a dark image.
LV_COLOUR = "#f4502f"
MYO_COLOUR = "#2fd6b0"
RV_COLOUR = "#4a8cff"
STRUCTURE_COLOURS = {1: LV_COLOUR, 2: MYO_COLOUR, 3: RV_COLOUR}

# Around something small in an image: none of the structures' colours.
POINTER_COLOUR = "#ffd84d"

# Anterior, anteroseptal, inferoseptal, inferior, inferolateral, anterolateral, after Okabe and
# Ito 2008, darker for paper; every second one is dashed, so that neighbours differ in print too.
WALL_COLOURS = ("#e69f00", "#3f9fdc", "#007a59", "#1c2733", "#c65f9a", "#b03a00")
WALL_DASHES = ("none", "7 4", "none", "7 4", "none", "7 4")

INK = "#1c2733"
QUIET_INK = "#5b6875"
RULE = "#d9e0e6"
WARNING = "#a8370f"

PAGE_CSS = f"""
:root {{ color-scheme: light; }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: #eef1f4; color: {INK};
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums; }}
main {{ max-width: 1080px; margin: 24px auto; padding: 32px 40px 28px; background: #fff;
  border: 1px solid {RULE}; border-radius: 6px; }}
header {{ border-bottom: 2px solid {INK}; padding-bottom: 14px; }}
h1 {{ font-size: 26px; line-height: 1.2; margin: 0 0 6px; overflow-wrap: anywhere; }}
h2 {{ font-size: 17px; margin: 30px 0 10px; }}
p {{ margin: 0 0 8px; }}
.quiet {{ color: {QUIET_INK}; font-size: 13px; }}
table + p {{ margin-top: 8px; }}
.worst + p {{ margin-top: 14px; }}
.research {{ font-weight: 600; margin: 8px 0 0; }}
.tiles {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 10px;
  margin: 20px 0 0; }}
.tile {{ border: 1px solid {RULE}; border-radius: 6px; padding: 10px 12px;
  display: flex; flex-direction: column; justify-content: space-between; }}
.tile .name {{ font-size: 13px; color: {QUIET_INK}; }}
.tile .value {{ font-size: 27px; font-weight: 650; line-height: 1.2; white-space: nowrap; }}
.tile .unit {{ font-size: 14px; font-weight: 400; color: {QUIET_INK}; }}
h3 {{ font-size: 14px; margin: 18px 0 6px; }}
.curve svg, .eyes svg, .thirds svg {{ width: 100%; height: auto; display: block;
  break-inside: avoid; }}
.tables {{ display: grid; gap: 4px 40px; grid-template-columns: repeat(auto-fit, minmax(380px, 1fr)); }}
.flag {{ display: inline-block; width: 1.2em; }}
.tables p {{ font-size: 13px; }}
td.beside {{ font-weight: 700; }}
.eyes {{ display: grid; gap: 12px 30px; grid-template-columns: 1fr 1fr; margin-top: 14px; }}
.eyes figcaption, .thirds figcaption {{ font-weight: 600; }}
.thirds {{ display: grid; gap: 8px 16px; grid-template-columns: repeat(3, 1fr); }}
.quality-line {{ margin: 14px 0 0; padding: 8px 12px; border-left: 5px solid {QUIET_INK};
  background: #f2f5f7; font-weight: 600; }}
.quality-line.alert {{ border-color: {WARNING}; }}
.findings td:first-child {{ width: 96px; }}
.badge {{ display: inline-block; font-size: 12px; font-weight: 650; padding: 1px 7px;
  border-radius: 4px; border: 1px solid {QUIET_INK}; color: {QUIET_INK}; }}
tr.warning .badge {{ background: {WARNING}; border-color: {WARNING}; color: #fff; }}
tr.overruled s {{ color: {QUIET_INK}; }}
.worst {{ display: grid; gap: 16px 20px; grid-template-columns: 1fr 1fr; }}
.worst p {{ font-size: 13px; margin: 4px 0 0; }}
.key {{ display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 13px; margin-bottom: 10px; }}
.key i {{ display: inline-block; width: 22px; vertical-align: middle; margin-right: 6px; }}
.slices {{ display: grid; gap: 16px;
  grid-template-columns: repeat(auto-fill, minmax(310px, 1fr)); }}
figure {{ margin: 0; break-inside: avoid; }}
figcaption {{ font-size: 13px; margin-bottom: 3px; }}
.pair {{ display: grid; grid-template-columns: 1fr 1fr; gap: 3px; }}
.picture svg {{ width: 100%; height: auto; display: block; background: #000; }}
table {{ border-collapse: collapse; width: 100%; font-size: 14px; }}
th, td {{ text-align: left; vertical-align: top; padding: 5px 12px 5px 0;
  border-bottom: 1px solid {RULE}; overflow-wrap: anywhere; }}
tr {{ break-inside: avoid; }}
th {{ font-weight: 600; }}
td.number, th.number {{ text-align: right; white-space: nowrap; }}
table.numbers {{ max-width: 560px; break-inside: avoid; }}
table.numbers td:last-child, table.numbers th:last-child {{ width: 80px; padding-right: 0; }}
table.facts th {{ width: 30%; font-weight: 400; color: {QUIET_INK}; }}
ul.notes {{ margin: 0; padding-left: 20px; }}
footer {{ margin-top: 28px; padding-top: 10px; border-top: 1px solid {RULE}; }}
@media (max-width: 720px) {{
  main {{ margin: 0; padding: 18px; border: 0; }}
  .tables, .eyes, .thirds, .worst {{ grid-template-columns: 1fr; }}
}}
@page {{ size: A4; margin: 14mm 13mm; }}
@media print {{
  body {{ background: #fff; font-size: 10.5pt; }}
  main {{ max-width: none; margin: 0; padding: 0; border: 0; }}
  h1 {{ font-size: 17pt; }} h2 {{ font-size: 12pt; margin: 5mm 0 2mm; break-after: avoid; }}
  header {{ padding-bottom: 2mm; }} header p, section p {{ margin: 0 0 1mm; line-height: 1.3; }}
  .key {{ margin-bottom: 1.5mm; }} footer {{ margin-top: 4mm; padding-top: 2mm; }}
  table {{ font-size: 9.5pt; }} th, td {{ padding: 0.7mm 3mm 0.7mm 0; }}
  .tiles {{ grid-template-columns: repeat(6, 1fr); gap: 2mm; margin-top: 4mm; }}
  .tile {{ padding: 1.5mm 2mm; line-height: 1.3; }} .tile .value {{ font-size: 17pt; }}
  .slices {{ grid-template-columns: 1fr 1fr; gap: 2mm 5mm; }}
  h3 {{ font-size: 10.5pt; margin: 3mm 0 1mm; break-after: avoid; }}
  .tables {{ grid-template-columns: 1fr 1fr; gap: 2mm 6mm; }}
  * {{ -webkit-print-color-adjust: exact; print-color-adjust: exact; }}
}}
"""
