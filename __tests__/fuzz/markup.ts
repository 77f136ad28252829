// What a browser makes of a page: its elements and their attributes, by the rules of the HTML standard's tokenizer that count here.

export interface Element {
  readonly name: string;
  readonly attributes: readonly (readonly [name: string, value: string])[];
}

/** The start tags of a page. Inside `style` and `script` nothing is a tag but their end. */
export function elementsOf(html: string): Element[] {
  const elements: Element[] = [];
  for (let at = html.indexOf('<'); at !== -1; at = html.indexOf('<', at)) {
    const comment = html.startsWith('<!--', at);
    const name = /^<([a-z][^\s/>]*)/i.exec(html.slice(at, at + 200))?.[1]?.toLowerCase();
    if (comment || name === undefined) {
      const end = comment ? html.indexOf('-->', at) : html.indexOf('>', at);
      // What is no tag is a comment, a doctype, an end tag or text.
      at = /^<[!/?]/.test(html.slice(at, at + 2)) ? (end === -1 ? html.length : end + 1) : at + 1;
      continue;
    }
    const attributes: [string, string][] = [];
    const attribute = /[\s/]*(?:([^\s/>=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]*)))?|>)/gy;
    attribute.lastIndex = at + 1 + name.length;
    at = html.length;
    for (let match = attribute.exec(html); match !== null; match = attribute.exec(html)) {
      if (match[1] === undefined) {
        at = attribute.lastIndex;
        break;
      }
      attributes.push([match[1].toLowerCase(), match[2] ?? match[3] ?? match[4] ?? '']);
    }
    elements.push({ name, attributes });
    if (name === 'style' || name === 'script' || name === 'title' || name === 'textarea') {
      const end = html.indexOf(`</${name}>`, at);
      at = end === -1 ? html.length : end;
    }
  }
  return elements;
}
