// Horizontal bars as SVG, readable in light and dark: one line for each thing, ours in colour.

const WIDTH = 760;
const LABELS = 250;
const VALUES = 110;
const LINE = 28;
const TOP = 44;

const escape = (text) => text.replace(/[&<>"]/g, (character) => `&#${character.codePointAt(0)};`);

/** `bars`: label, value, and whether it is ours. `digits` behind the point. */
function chart({ title, unit, bars, digits = 1 }) {
  const most = Math.max(...bars.map(({ value }) => value));
  const room = WIDTH - LABELS - VALUES;
  const lines = bars.map(({ label, value, isOurs }, index) => {
    const y = TOP + index * LINE;
    const length = Math.max(1, (value / most) * room).toFixed(1);
    return [
      `<text x="${LABELS - 10}" y="${y + 14}" text-anchor="end">${escape(label)}</text>`,
      `<rect class="${isOurs ? 'ours' : 'others'}" x="${LABELS}" y="${y}" width="${length}" height="19" rx="2"/>`,
      `<text x="${(LABELS + Number(length) + 8).toFixed(1)}" y="${y + 14}">${value.toFixed(digits)} ${escape(unit)}</text>`,
    ].join('\n  ');
  });
  const height = TOP + bars.length * LINE + 6;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escape(title)}">
  <style>
    text { font: 13px system-ui, sans-serif; fill: #24292f; }
    .title { font-weight: 600; font-size: 14px; }
    .ours { fill: #1a7f5a; }
    .others { fill: #8c959f; }
    @media (prefers-color-scheme: dark) { text { fill: #e6edf3; } .ours { fill: #3fb984; } .others { fill: #6e7681; } }
  </style>
  <text class="title" x="0" y="20">${escape(title)}</text>
  ${lines.join('\n  ')}
</svg>
`;
}

module.exports = { chart };
