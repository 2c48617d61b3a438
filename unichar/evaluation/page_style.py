"""The style of `report.html`: light and dark, wide and narrow, screen and paper. Fixed text of our own."""

STYLE = """
:root { color-scheme: light dark; --paper:#f7f5f0; --card:#fffefb; --ink:#22242b; --soft:#656a76; --line:#e3dfd5;
  --track:#ebe8df; --good:#1b7a48; --bad:#b23a1e; --base:#8b8f99; --prompted:#b98a2f; --text_only:#3f9a9a;
  --image_only:#c2648f; --sft:#3a6ed8; --grpo:#8248c8; --s1:#3a6ed8; --s2:#c9611f; --s3:#2a8f5b; --s4:#8248c8;
  --s5:#b98a2f; --s6:#656a76 }
@media (prefers-color-scheme: dark) { :root { --paper:#16171b; --card:#1f2127; --ink:#e9e7e2; --soft:#9ea3b0; --line:#33363f;
  --track:#2c2f37; --good:#5cc98d; --bad:#f08a6c; --base:#8f94a0; --prompted:#d9ad55; --text_only:#62bdbd;
  --image_only:#e08db2; --sft:#7ba2f5; --grpo:#b58bf0; --s1:#7ba2f5; --s2:#f0955a; --s3:#5fc48f; --s4:#b58bf0;
  --s5:#d9ad55; --s6:#9ea3b0 } }
* { box-sizing: border-box }
body { margin:0; background:var(--paper); color:var(--ink); font:16px/1.55 ui-sans-serif, system-ui, -apple-system,
  "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; overflow-wrap:anywhere }
main { max-width:1120px; margin:0 auto; padding:2.5rem 1.25rem 4rem }
h1, h2, h3, p, figure, dl, dd, ul { margin:0; padding:0 }
h1 { font-size:2.6rem; line-height:1.1; letter-spacing:-.02em; font-weight:700 }
h2 { font-size:1.3rem; letter-spacing:-.01em; margin:3.2rem 0 .3rem }
h3 { font-size:.95rem; font-weight:600 }
.lead { color:var(--soft); max-width:52rem; margin-bottom:1.1rem }
.soft { color:var(--soft) } .small { font-size:.82rem } .good { color:var(--good) } .bad { color:var(--bad) }
code { font:.85em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace }
img { display:block; max-width:100%; height:auto }
.hero { display:flex; flex-wrap:wrap; gap:1.5rem 3rem; align-items:flex-end; justify-content:space-between }
.hero > div { flex:1 1 22rem }
.hero .kicker { color:var(--soft); font-size:.8rem; letter-spacing:.09em; text-transform:uppercase; margin-bottom:.5rem }
.hero .about { margin-top:.8rem; max-width:38rem; font-size:1.05rem }
.strip { display:flex; flex-wrap:wrap; gap:.45rem; flex:0 1 27rem !important; justify-content:flex-end }
.strip img { width:76px; height:76px; object-fit:cover; border-radius:12px }
.cards { display:grid; grid-template-columns:repeat(auto-fit, minmax(17.5rem, 1fr)); gap:1rem; margin-top:2rem }
.card { background:var(--card); border:1px solid var(--line); border-radius:16px; padding:1.15rem 1.3rem }
.card .way { font-size:1.85rem; font-weight:650; letter-spacing:-.02em; font-variant-numeric:tabular-nums; margin:.35rem 0 .55rem;
  white-space:nowrap }
.card .way i { font-style:normal; font-weight:500; font-size:1.35rem; padding:0 .35rem; color:var(--soft) }
.card .way i.good { color:var(--good) } .card .way i.bad { color:var(--bad) }
.card ul { list-style:none; margin-top:.7rem; padding-top:.6rem; border-top:1px solid var(--line) }
.pair { display:grid; grid-template-columns:3.3rem 1fr auto; gap:.7rem; align-items:center; font-size:.85rem;
  font-variant-numeric:tabular-nums }
svg.bar { display:block; width:100%; height:12px; overflow:visible }
svg.bar .track { fill:var(--track) } svg.bar .fill { fill:var(--tone) }
svg.bar .whisker { stroke:var(--ink); stroke-width:1; opacity:.75; vector-effect:non-scaling-stroke }
.tone-base { --tone:var(--base) } .tone-prompted { --tone:var(--prompted) } .tone-text_only { --tone:var(--text_only) }
.tone-image_only { --tone:var(--image_only) } .tone-sft { --tone:var(--sft) } .tone-grpo { --tone:var(--grpo) }
.tone-other, .tone-truth { --tone:var(--soft) } .tone-reference { --tone:var(--good) }
.scroll { overflow-x:auto; background:var(--card); border:1px solid var(--line); border-radius:16px }
table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums }
th, td { text-align:left; vertical-align:top; padding:.7rem 1rem; border-top:1px solid var(--line) }
thead th { border-top:0; font-size:.85rem; white-space:nowrap } tbody th { font-weight:400; min-width:15rem; max-width:25rem }
td.number { min-width:7.4rem } td.number b { font-weight:500 } td.best b { font-weight:750 }
td.number .small { white-space:nowrap }
.dot { display:inline-block; width:.62rem; height:.62rem; border-radius:50%; background:var(--tone); margin-right:.45rem }
.sheet { border:1px solid var(--line); border-radius:16px; overflow:hidden; overflow-x:auto; background:#fbfaf7 }
.sheet img { margin:0 auto; max-width:none } @media (min-width:1100px) { .sheet img { max-width:100% } }
.moment { background:var(--card); border:1px solid var(--line); border-radius:16px; padding:1.1rem 1.3rem 1.3rem;
  margin-top:1rem }
.arms { display:grid; grid-template-columns:repeat(auto-fit, minmax(13.5rem, 1fr)); gap:1.1rem; margin-top:.9rem }
.says { white-space:pre-line; unicode-bidi:isolate; max-height:22rem; overflow-y:auto }
.user { display:inline-block; background:var(--track); border-radius:14px 14px 14px 4px; padding:.5rem .9rem; max-width:46rem }
.reply { border-left:3px solid var(--tone); padding:.05rem 0 .05rem .75rem; margin-top:.35rem }
.arm h3 { font-size:.82rem; color:var(--soft) }
.arm img { border-radius:12px; width:100%; max-width:16rem; margin:.5rem 0 .6rem }
.blank { border:1px dashed var(--line); border-radius:12px; width:100%; max-width:16rem; aspect-ratio:1; margin:.5rem 0 .6rem;
  display:grid; place-items:center; color:var(--soft); font-size:.82rem }
.aside { margin-top:.6rem; font-size:.86rem; color:var(--soft) }
.aside b { display:block; font-size:.72rem; letter-spacing:.06em; text-transform:uppercase; font-weight:600 }
.plots { display:grid; grid-template-columns:repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap:1rem; margin-top:1rem }
.plot { background:var(--card); border:1px solid var(--line); border-radius:16px; padding:1rem 1.1rem .7rem; min-width:0 }
.plot figcaption { display:flex; flex-wrap:wrap; justify-content:space-between; gap:.1rem 1rem; font-size:.9rem;
  margin-bottom:.4rem }
.legend { display:flex; flex-wrap:wrap; gap:0 .9rem; color:var(--soft); font-size:.82rem }
.key { display:inline-block; width:.9rem; height:.2rem; border-radius:2px; vertical-align:middle; margin-right:.35rem;
  background:var(--tone) }
svg.chart { display:block; width:100%; height:auto; font-size:12px }
svg.chart text { fill:var(--soft) } svg.chart .grid { stroke:var(--line) } svg.chart .axis { stroke:var(--soft) }
svg.chart polyline { fill:none; stroke:var(--tone); stroke-linejoin:round; stroke-linecap:round }
svg.chart .strong { stroke-width:2.2 } svg.chart .pale { stroke-width:1; opacity:.32 } svg.chart circle { fill:var(--tone) }
.series-1 { --tone:var(--s1) } .series-2 { --tone:var(--s2) } .series-3 { --tone:var(--s3) } .series-4 { --tone:var(--s4) }
.series-5 { --tone:var(--s5) } .series-6 { --tone:var(--s6) }
details { margin-top:1rem } summary { cursor:pointer; color:var(--soft) }
.facts { display:grid; grid-template-columns:repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap:1rem; margin-top:1rem }
.facts table { font-size:.92rem } .facts td, .facts th { padding:.42rem 0; min-width:0 } .facts td:last-child { text-align:right }
.facts tr:first-child > * { border-top:0 } .facts h3 { margin-bottom:.4rem }
.share { height:6px; border-radius:3px; background:var(--track); margin-top:.25rem; overflow:hidden }
.share i { display:block; height:100%; background:var(--sft); border-radius:3px }
.notes { margin-top:1rem; padding:1rem 1.3rem 1rem 2.4rem; background:var(--card); border:1px solid var(--line);
  border-left:4px solid var(--prompted); border-radius:12px }
.notes li + li { margin-top:.4rem }
.origin { display:grid; grid-template-columns:auto 1fr; gap:.25rem 1.4rem; font-size:.9rem; margin-top:.8rem }
.origin dt { color:var(--soft) }
@media (max-width:640px) { h1 { font-size:2rem } .strip { justify-content:flex-start } main { padding-top:1.5rem } }
@media print { body { background:#fff } .card, .moment, .plot, tr { break-inside:avoid } .says { max-height:none } }
"""
