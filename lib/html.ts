// HTML in which every value is escaped.

/** HTML that may stand in HTML as it is. Everything else is escaped. */
export class Html {
  constructor(readonly text: string) {}
}

/** What may stand in HTML. */
export type Content = Html | string | number | readonly Content[] | undefined;

/** Builds HTML; every value that is not HTML already is escaped. */
export function html(strings: TemplateStringsArray, ...values: readonly Content[]): Html {
  return new Html(strings.reduce((text, part, index) => text + render(values[index - 1]) + part));
}

function render(content: Content): string {
  if (content === undefined) return '';
  if (content instanceof Html) return content.text;
  if (typeof content === 'object') return content.map(render).join('');
  return String(content).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
