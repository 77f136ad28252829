// How the pages look: one sheet, light and dark, from a phone on.

/** The style sheet. */
export const STYLE = `
:root { color-scheme: light dark; --text: #1c1f23; --muted: #565d66; --back: #ffffff; --panel: #f3f5f7; --line: #c9ced4;
  --accent: #0b5cad; --on-accent: #ffffff; --good: #17683a; --warn: #7a4b00; --bad: #a8201a; --bar-done: #2f8f57; --bar-waiting: #c58a17;
  --bar-failed: #d5483f; --bar-dead: #7d1712; }
@media (prefers-color-scheme: dark) { :root { --text: #e9ebee; --muted: #a9b1ba; --back: #16191d; --panel: #20252b; --line: #444c55;
  --accent: #7cb8f5; --on-accent: #10202f; --good: #79d29b; --warn: #f0bd6a; --bad: #ff9a92; --bar-done: #4fae78; --bar-waiting: #d9a33a;
  --bar-failed: #ee6a60; --bar-dead: #ffb3ad; } }
* { box-sizing: border-box; } [hidden] { display: none !important; }
body { margin: 0; background: var(--back); color: var(--text); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
a { color: var(--accent); } a:focus-visible, button:focus-visible, input:focus-visible, select:focus-visible, summary:focus-visible,
main:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: .2rem; }
.skip { position: absolute; left: -100rem; } .skip:focus { left: 1rem; top: .5rem; background: var(--back); padding: .5rem; }
header { border-bottom: 1px solid var(--line); background: var(--panel); }
header > div, main, footer { max-width: 68rem; margin: 0 auto; padding: .75rem 1rem; }
header > div { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; align-items: baseline; }
header p { margin: 0; font-weight: 700; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; margin: 0; padding: 0; }
nav a { color: var(--text); text-decoration: none; padding: .25rem 0; display: inline-block; border-bottom: 3px solid transparent; }
nav a:hover { text-decoration: underline; } nav a[aria-current] { border-color: var(--accent); font-weight: 600; }
main { padding-bottom: 3rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .75rem 0 .5rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { margin: .5rem 0; } ul, ol { padding-left: 1.25rem; } code, pre { font: .9em ui-monospace, monospace; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: .4rem; padding: .75rem; white-space: pre-wrap; }
.muted { color: var(--muted); } .good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); }
.panel { background: var(--panel); border-radius: .5rem; padding: 1rem; margin: 1rem 0; }
.notice { border-left: 4px solid var(--accent); padding: .25rem .75rem; margin: 1rem 0; color: var(--text); } .notice h2 { margin-top: 0; } .notice.bad { border-color: var(--bad); }
.notice.good { border-color: var(--good); }
button, .button { font: inherit; font-weight: 600; padding: .5rem .9rem; border: 1px solid var(--accent); border-radius: .4rem;
  background: var(--accent); color: var(--on-accent); cursor: pointer; text-decoration: none; display: inline-block; }
button.plain { background: transparent; color: var(--accent); } button.danger { background: transparent; border-color: var(--bad); color: var(--bad); }
label { display: block; font-weight: 600; } label small { display: block; font-weight: 400; color: var(--muted); }
input, select { font: inherit; color: var(--text); background: var(--back); border: 1px solid var(--muted); border-radius: .35rem;
  padding: .4rem .5rem; width: 100%; }
form.fields { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(13rem, 100%), 1fr)); gap: .75rem 1rem; align-items: end; }
form.fields .wide { grid-column: 1 / -1; }
.actions { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(7.25rem, 1fr)); gap: .75rem; margin: 1rem 0; }
.figures > div { background: var(--panel); border-radius: .5rem; padding: .75rem; } .figures dt { color: var(--muted); font-weight: 400; }
.figures dd { margin: 0; font-size: 1.5rem; font-weight: 700; line-height: 1.2; }
.list { list-style: none; margin: 1rem 0; padding: 0; border-top: 1px solid var(--line); }
.list > li { border-bottom: 1px solid var(--line); padding: .6rem 0; display: grid; gap: .1rem 1rem;
  grid-template-columns: 13rem 7rem 1fr auto; align-items: baseline; }
.list > li > .detail { grid-column: 3 / -1; margin: 0; }
dl { margin: 0; } .facts { border-top: 1px solid var(--line); }
dl:not(.figures) > div { display: grid; grid-template-columns: 12rem 1fr; gap: .25rem 1rem; padding: .5rem 0; border-bottom: 1px solid var(--line); }
dt { font-weight: 600; } dd { margin: 0; }
table { border-collapse: collapse; } th, td { text-align: left; padding: .25rem 1rem .25rem 0; border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; }
.scroll { overflow-x: auto; }
.chart { display: block; width: 100%; height: 10rem; margin: .5rem 0; border-bottom: 1px solid var(--line); background: var(--panel); } .done { fill: var(--bar-done); } .waiting { fill: var(--bar-waiting); } .failed { fill: var(--bar-failed); }
.dead { fill: var(--bar-dead); }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; padding: 0; margin: 0; } .legend svg { width: .8rem; height: .8rem; }
.visually-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (max-width: 46rem) { .list > li, dl:not(.figures) > div { grid-template-columns: 1fr; } .list > li > .detail { grid-column: 1; } }
`;
