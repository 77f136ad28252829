// What the measurements share: medians with their spread, and tables.

/** The value below which this part of all values lies. */
function quantile(values, part) {
  const sorted = [...values].sort((one, other) => one - other);
  const place = (sorted.length - 1) * part;
  const below = sorted[Math.floor(place)];
  return below + (sorted[Math.ceil(place)] - below) * (place % 1);
}

/** The median, and between what the middle half of the values lies. */
const spread = (values) => ({
  median: quantile(values, 0.5),
  low: quantile(values, 0.25),
  high: quantile(values, 0.75),
});

/** The spread of one number of each. */
const spreadOf = (all, name) => spread(all.map((one) => one[name]));

/** A number; a spread with what the middle half lies between, where it was measured more than once. */
const asText = (value, digits) => {
  // What is behind the point of a large number says nothing.
  const rounded = (number) => number.toFixed(number >= 100 ? 0 : digits);
  if (typeof value === 'number') return rounded(value);
  const { median, low, high } = value;
  const between = low === high ? '' : ` (${rounded(low)} to ${rounded(high)})`;
  return `${rounded(median)}${between}`;
};

/** Rows of objects with the same keys as a Markdown table; numbers and spreads with so many digits. */
function table(rows, digits = 0) {
  const names = Object.keys(rows[0]);
  const cells = rows.map((row) =>
    names.map((name) => (typeof row[name] === 'string' ? row[name] : asText(row[name], digits))),
  );
  const lines = [names, names.map(() => '---'), ...cells].map((line) => `| ${line.join(' | ')} |`);
  return lines.join('\n');
}

module.exports = { quantile, spread, spreadOf, table };
